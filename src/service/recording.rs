//! What the record is told of a question to the policy. Does not ask and does not decide.

use std::collections::BTreeSet;

use serde::Serialize;

use super::ports::{Entropy, Judged};
use crate::domain::action::ActionName;
use crate::domain::ledger::{PolicyRecord, PolicyRule, Salt};
use crate::domain::policy::PolicyInput;

/// The record of one verdict: `act` says which parameters may be read, by the catalogue of the bundle that judged. Of an
/// act that it does not have, none.
pub fn of<T: Serialize>(
    rule: PolicyRule,
    input: &PolicyInput,
    judged: &Judged<T>,
    act: &ActionName,
    entropy: &dyn Entropy,
) -> PolicyRecord {
    static NONE: BTreeSet<String> = BTreeSet::new();
    let entry = judged.bundle.catalogue().find(act);
    let loggable = entry.map_or(&NONE, |entry| &entry.loggable);
    PolicyRecord::of(rule, input.as_json(), &judged.verdict, loggable, salt(entropy))
}

fn salt(entropy: &dyn Entropy) -> Salt {
    let mut bytes = [0; 16];
    let random = entropy.bytes().into_iter().chain(entropy.bytes());
    bytes.iter_mut().zip(random).for_each(|(to, from)| *to = from);
    Salt::from_bytes(bytes)
}
