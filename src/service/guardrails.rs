//! Guardrails around a call: patterns of our own, then a service of the operator's, where either is configured.
//!
//! The verdict is told to the policy (`input.guardrails`), is on record, and is held against the call once more after the
//! policy's yes, so that a bundle that does not look at it loosens nothing. It is never the only gate: it only refuses.
//!
//! Where nobody could look (the service is down, the call says more than is looked at) the tier decides: refused, unless
//! the operator lets calls of that tier through.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ports::GuardrailService;
use super::refusal::{Code, Refusal};
use crate::domain::action::CallRequest;
use crate::domain::catalogue::Tier;
use crate::domain::guardrail::{FindingName, FoldedTexts, GuardrailFacts, GuardrailStatus, Patterns};
use crate::domain::ledger::Subject;

/// The guardrails of a broker.
#[derive(Clone)]
pub struct Guardrails {
    patterns: Patterns,
    service: Option<Arc<dyn GuardrailService>>,
    /// The tiers whose calls go on where nobody could look.
    fail_open: BTreeSet<Tier>,
}

impl Guardrails {
    /// Patterns, a service, and the tiers that go on without it.
    pub fn new(
        patterns: Patterns,
        service: Option<Arc<dyn GuardrailService>>,
        fail_open: impl IntoIterator<Item = Tier>,
    ) -> Self {
        Self { patterns, service, fail_open: fail_open.into_iter().collect() }
    }

    /// Looks at a call.
    pub async fn look(&self, call: &CallRequest) -> GuardrailFacts {
        let Some(texts) = FoldedTexts::of(call) else { return GuardrailFacts::unavailable() };
        let found = self.patterns.find(&texts);
        let Some(service) = self.service.as_ref().filter(|_| found.is_empty()) else {
            return GuardrailFacts::found(found);
        };
        match service.look(call, &texts).await {
            Ok(found) => GuardrailFacts::found(found),
            Err(_) => GuardrailFacts::unavailable(),
        }
    }

    /// Holds what was found against a call of this tier.
    ///
    /// # Errors
    /// Whatever was found, and where nobody could look and the tier does not go on without.
    pub fn hold(&self, facts: &GuardrailFacts, tier: Option<Tier>) -> Result<(), Refusal> {
        match facts.status {
            GuardrailStatus::Clear => Ok(()),
            GuardrailStatus::Matched => {
                let detail = format!("the call says what guardrails stop: {}", named(&facts.findings));
                Err(Refusal::because(Code::Denied, "guardrail_matched", detail))
            }
            GuardrailStatus::Unavailable if tier.is_some_and(|tier| self.fail_open.contains(&tier)) => Ok(()),
            GuardrailStatus::Unavailable => {
                let detail = "the guardrails could not look at the call, and calls of its tier do not go on without";
                Err(Refusal::because(Code::Denied, "guardrail_unavailable", detail))
            }
        }
    }
}

/// Writes what was found down. Names only: what a call says is not for the record.
pub fn note(facts: &GuardrailFacts, subject: &mut Subject) {
    subject.detail.insert("guardrails".to_owned(), facts.status.as_str().to_owned());
    if !facts.findings.is_empty() {
        subject.detail.insert("guardrail_findings".to_owned(), named(&facts.findings));
    }
}

fn named(findings: &[FindingName]) -> String {
    findings.iter().map(FindingName::as_str).collect::<Vec<_>>().join(" ")
}
