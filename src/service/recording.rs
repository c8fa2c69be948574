//! What the record is told of a question to the policy. Does not ask and does not decide.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::ports::{CandidateVerdict, Entropy, Judged};
use crate::domain::action::ActionName;
use crate::domain::id::Sha256Digest;
use crate::domain::ledger::{KeptDocument, Openings, PolicyRecord, PolicyRule, Salt, Subject};
use crate::domain::policy::{Assessment, Decision, IssueDecision, PolicyInput, RiskScore};
use crate::domain::spiffe::VerifiedSvid;

/// Repeats in one entry how another says that the caller was proven.
pub fn copy_proof(from: &Subject, to: &mut Subject) {
    let facts = PROOF.iter().filter_map(|name| from.detail.get_key_value(*name));
    to.detail.extend(facts.map(|(name, value)| (name.clone(), value.clone())));
}

/// The names of what [`proof_of`] says.
const PROOF: [&str; 3] = ["presented_by", "platform_issuer", "platform_subject"];

/// A verdict of the policy.
pub trait Verdict: Serialize {
    /// How risky the policy thinks what was asked about, where it says so.
    fn risk_score(&self) -> Option<RiskScore>;
}

impl Verdict for Decision {
    fn risk_score(&self) -> Option<RiskScore> {
        Decision::risk_score(self)
    }
}

impl Verdict for IssueDecision {
    fn risk_score(&self) -> Option<RiskScore> {
        self.decision.risk_score()
    }
}

impl Verdict for Assessment {
    fn risk_score(&self) -> Option<RiskScore> {
        None
    }
}

/// What an entry says of one question: the input and the verdict, its risk, and what a candidate would have answered.
#[derive(Debug, Clone)]
pub struct Recorded {
    policy: PolicyRecord,
    risk_score: Option<RiskScore>,
    candidate: Option<CandidateVerdict>,
    proof: BTreeMap<String, String>,
}

/// What an entry says of how a caller was proven, where its own connection did not do it alone: the proxy that handed its
/// JWT-SVID in, and whom its platform says that it is.
pub fn proof_of(caller: &VerifiedSvid) -> BTreeMap<String, String> {
    let presenter = caller.presenter().map(|proxy| ("presented_by", proxy.to_string()));
    let platform = caller
        .platform()
        .map(|identity| [("platform_issuer", identity.issuer.clone()), ("platform_subject", identity.subject.clone())]);
    let facts = presenter.into_iter().chain(platform.into_iter().flatten());
    facts.map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Recorded {
    /// With how the caller was proven.
    #[must_use]
    pub fn by(mut self, caller: &VerifiedSvid) -> Self {
        self.proof = proof_of(caller);
        self
    }

    /// Puts it into what an entry says.
    pub fn onto(self, subject: &mut Subject) {
        self.policy.onto(subject);
        subject.risk_score = self.risk_score;
        subject.detail.extend(self.proof);
        if let Some(candidate) = self.candidate {
            candidate.note(&mut subject.detail);
        }
    }
}

/// The record of one verdict: `act` says which parameters may be read, by the catalogue of the bundle that judged. Of an
/// act that it does not have, none.
pub fn of<T: Verdict>(
    rule: PolicyRule,
    input: &PolicyInput,
    judged: &Judged<T>,
    act: &ActionName,
    entropy: &dyn Entropy,
) -> Recorded {
    static NONE: BTreeSet<String> = BTreeSet::new();
    let entry = judged.bundle.catalogue().find(act);
    let loggable = entry.map_or(&NONE, |entry| &entry.loggable);
    let policy = PolicyRecord::of(rule, input.as_json(), &judged.verdict, loggable, salt(entropy));
    let (risk_score, candidate) = (judged.verdict.risk_score(), judged.candidate.clone());
    Recorded { policy, risk_score, candidate, proof: BTreeMap::new() }
}

/// Notes the digest of a signed document in `subject`, and keeps the document itself with the openings: an entry never
/// holds a token, and what is personal in it can be erased.
pub fn keep(subject: &mut Subject, document: KeptDocument, jws: &str, entropy: &dyn Entropy) {
    note(subject, document, jws);
    let openings = subject.openings.as_deref().cloned().unwrap_or_else(|| Openings::none(salt(entropy)));
    subject.openings = Some(Arc::new(openings.with(document, jws)));
}

/// Notes the digest alone: of a document that may still be used, or that nobody else signed.
pub fn note(subject: &mut Subject, document: KeptDocument, jws: &str) {
    let digest = Sha256Digest::of(jws.as_bytes());
    subject.detail.insert(document.digest_member().to_owned(), digest.to_string());
}

/// Puts a salted commitment in the place of the request's digest, from which parameters with few values could be guessed,
/// and keeps what opens it. For a subject that is about to become an entry, once.
#[must_use]
pub fn hide_request(mut subject: Subject, entropy: &dyn Entropy) -> Subject {
    if let Some(digest) = subject.request_digest {
        let mut openings = subject.openings.as_deref().cloned().unwrap_or_else(|| Openings::none(salt(entropy)));
        subject.request_digest = Some(openings.commit_request(digest));
        subject.openings = Some(Arc::new(openings));
    }
    subject
}

/// Sees to it that everything which is committed to about this question has one salt.
pub fn salt_once(subject: &mut Subject, entropy: &dyn Entropy) {
    subject.openings.get_or_insert_with(|| Arc::new(Openings::none(salt(entropy))));
}

fn salt(entropy: &dyn Entropy) -> Salt {
    let mut bytes = [0; 16];
    let random = entropy.bytes().into_iter().chain(entropy.bytes());
    bytes.iter_mut().zip(random).for_each(|(to, from)| *to = from);
    Salt::from_bytes(bytes)
}
