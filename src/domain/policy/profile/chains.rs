//! Chains of a function: an `else` without a value has the value true, whatever the head's value is.
//!
//! regorus gives such an `else` no value where the head has one, so that the call is undefined; in OPA it is true. The
//! value is spelt out here, on its line. Complete rules are not concerned: regorus reads theirs as OPA does.

use regorus::unstable::{Rule, RuleHead};

use super::edits::Edit;
use super::syntax::ParsedFile;

/// The edits that spell the values out.
pub(super) fn implied_values(file: &ParsedFile<'_>) -> Vec<Edit> {
    let mut edits = Vec::new();
    for rule in &file.module.policy {
        let Rule::Spec { head: RuleHead::Func { assign: Some(_), .. }, bodies, .. } = rule.as_ref() else { continue };
        for body in bodies.iter().filter(|body| body.is_else && body.assign.is_none()) {
            let Ok(start) = usize::try_from(body.span.start) else { continue };
            let at = start.saturating_add("else".len());
            if file.text.get(start..at) == Some("else") {
                edits.push(Edit { start: at, end: at, text: " := true".to_owned() });
            }
        }
    }
    edits
}
