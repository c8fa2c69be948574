//! A refusal: the one form in which a use case says no. Whatever is refused is recorded with the same words.

use crate::domain::catalogue::ParamError;
use crate::domain::id::DecisionId;
use crate::domain::json::JsonError;
use crate::domain::policy::{Decision, Violation};

use super::ports::StoreError;
use super::wanted::{Wanted, missing_for};

/// Why something was refused. The closed list of the contract: every problem document's `code` is one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// The request is not what this call takes.
    RequestMalformed,
    /// A member of the request does not fit; `errors` points at it.
    SchemaViolation,
    /// The request is larger than this call takes.
    RequestTooLarge,
    /// The request did not arrive in time.
    RequestTimeout,
    /// The content type or coding is not what this call takes.
    UnsupportedMediaType,
    /// Nothing is here, or nothing that is yours to know.
    NotFound,
    /// The method does not exist here.
    MethodNotAllowed,
    /// No mandate came with the call.
    CredentialMissing,
    /// The mandate is not genuine, not for us or not in time; `reason` says which.
    MandateRefused,
    /// The mandate belongs to another agent, or a header names another identity than the SVID.
    IdentityConflict,
    /// A token that should prove who calls, or on which platform, is missing or does not; `reason` says which.
    IdentityRefused,
    /// Whether a token proves who calls cannot be said at the moment; nothing happened.
    IdentityUnavailable,
    /// The caller is known and this is not for it.
    CallerNotAllowed,
    /// An approval in the mandate, or a statement, does not count; `reason` says why.
    ApprovalRefused,
    /// The legal ground is not one of a template in force.
    LegRefused,
    /// The call is not one that its connector's routes describe without doubt.
    CallRefused,
    /// The policy denies; `reason` is the policy's own.
    Denied,
    /// The mandate, or the challenge that its approvals answer, was used before.
    MandateReplayed,
    /// The challenge was rejected by an approver.
    ChallengeRejected,
    /// The challenge ran out of time.
    ChallengeExpired,
    /// The agent withdrew the challenge.
    ChallengeWithdrawn,
    /// The challenge gave its mandate already.
    ChallengeRedeemed,
    /// The challenge is not in the state that this takes.
    ChallengeConflict,
    /// The caller has as many of these as one caller may have.
    TooManyRequests,
    /// The record or the connector cannot take more at the moment; nothing happened.
    Busy,
    /// The record cannot be written; nothing happened.
    RecordUnavailable,
    /// A sink of the record is farther behind than it may be; nothing happened.
    SinkBacklog,
    /// Our own identity or trust bundle is out of date; nothing happened.
    IdentityStale,
    /// The broker's own credential for the upstream is not to be had; the call was not made and the mandate not spent.
    UpstreamCredential,
    /// The upstream could not be reached or answered outside its limits.
    UpstreamFailed,
    /// The upstream did not answer in time.
    UpstreamTimeout,
    /// A fault of ours.
    Internal,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 32] = [
        Self::RequestMalformed,
        Self::SchemaViolation,
        Self::RequestTooLarge,
        Self::RequestTimeout,
        Self::UnsupportedMediaType,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::CredentialMissing,
        Self::MandateRefused,
        Self::IdentityConflict,
        Self::IdentityRefused,
        Self::IdentityUnavailable,
        Self::CallerNotAllowed,
        Self::ApprovalRefused,
        Self::LegRefused,
        Self::CallRefused,
        Self::Denied,
        Self::MandateReplayed,
        Self::ChallengeRejected,
        Self::ChallengeExpired,
        Self::ChallengeWithdrawn,
        Self::ChallengeRedeemed,
        Self::ChallengeConflict,
        Self::TooManyRequests,
        Self::Busy,
        Self::RecordUnavailable,
        Self::SinkBacklog,
        Self::IdentityStale,
        Self::UpstreamCredential,
        Self::UpstreamFailed,
        Self::UpstreamTimeout,
        Self::Internal,
    ];

    /// The name as written in problem documents and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequestMalformed => "request_malformed",
            Self::SchemaViolation => "schema_violation",
            Self::RequestTooLarge => "request_too_large",
            Self::RequestTimeout => "request_timeout",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::CredentialMissing => "credential_missing",
            Self::MandateRefused => "mandate_refused",
            Self::IdentityConflict => "identity_conflict",
            Self::IdentityRefused => "identity_refused",
            Self::IdentityUnavailable => "identity_unavailable",
            Self::CallerNotAllowed => "caller_not_allowed",
            Self::ApprovalRefused => "approval_refused",
            Self::LegRefused => "leg_refused",
            Self::CallRefused => "call_refused",
            Self::Denied => "denied",
            Self::MandateReplayed => "mandate_replayed",
            Self::ChallengeRejected => "challenge_rejected",
            Self::ChallengeExpired => "challenge_expired",
            Self::ChallengeWithdrawn => "challenge_withdrawn",
            Self::ChallengeRedeemed => "challenge_redeemed",
            Self::ChallengeConflict => "challenge_conflict",
            Self::TooManyRequests => "too_many_requests",
            Self::Busy => "busy",
            Self::RecordUnavailable => "record_unavailable",
            Self::SinkBacklog => "sink_backlog",
            Self::IdentityStale => "identity_stale",
            Self::UpstreamCredential => "upstream_credential",
            Self::UpstreamFailed => "upstream_failed",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Internal => "internal",
        }
    }
}

/// One place that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// RFC 6901 pointer into what the caller sent (or, for policy violations on a call, into the policy's input).
    pub pointer: String,
    /// What is wrong there, in a sentence.
    pub detail: String,
}

/// A refusal. Holds nothing secret: it goes to the caller and into the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which of the closed list.
    pub code: Code,
    /// The most specific reason: the policy's own, or the defect's own name, or the code.
    pub reason: String,
    /// What is wrong and what to do, in a sentence.
    pub detail: String,
    /// The places.
    pub faults: Vec<Fault>,
    /// The verdict's id, once there is one.
    pub decision_id: Option<DecisionId>,
    /// What is missing, where asking for it helps. Behind a pointer, because few refusals have it and all are moved.
    pub lack: Option<Box<Lack>>,
    /// In how many seconds it is worth asking again, where that is known.
    pub retry_after: Option<u32>,
}

/// What is missing for a yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// By name.
    pub missing: Vec<String>,
    /// What to ask for, where it is known.
    pub wanted: Option<Wanted>,
}

impl Refusal {
    /// A refusal whose reason is the code itself.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self::because(code, code.as_str(), detail)
    }

    /// A refusal with a reason of its own.
    pub fn because(code: Code, reason: impl Into<String>, detail: impl Into<String>) -> Self {
        let (reason, detail) = (reason.into(), detail.into());
        Self { code, reason, detail, faults: Vec::new(), decision_id: None, lack: None, retry_after: None }
    }

    /// With one place that is wrong.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.faults.push(Fault { pointer: pointer.into(), detail: detail.into() });
        self
    }

    /// With the time after which it is worth asking again, in whole seconds and at least one.
    #[must_use]
    pub fn again_in(mut self, wait: std::time::Duration) -> Self {
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
        self.retry_after = Some(u32::try_from(seconds).unwrap_or(u32::MAX));
        self
    }

    /// With the id of the verdict.
    #[must_use]
    pub fn decided(mut self, id: DecisionId) -> Self {
        self.decision_id = Some(id);
        self
    }

    /// With what is missing and, where it is known, what to ask for.
    #[must_use]
    pub fn missing(mut self, names: Vec<String>, wanted: Option<Wanted>) -> Self {
        self.lack = (!names.is_empty()).then(|| Box::new(Lack { missing: names, wanted }));
        self
    }

    /// With what to ask for, if it is a denial that a mandate of another content would not have met.
    #[must_use]
    pub fn wanting(mut self, wanted: impl FnOnce() -> Wanted) -> Self {
        if let (Code::Denied, Some(lack)) = (self.code, self.lack.as_mut()) {
            lack.wanted = Some(wanted());
        }
        self
    }

    /// The parameters of a call do not fit the act's schema.
    pub fn by_schema(errors: Vec<ParamError>) -> Self {
        let detail = "the parameters do not fit the act's schema";
        let mut refusal = Self::because(Code::SchemaViolation, "parameters_invalid", detail);
        refusal.faults.extend(
            errors.into_iter().map(|e| Fault { pointer: format!("/request/params{}", e.pointer), detail: e.detail }),
        );
        refusal
    }

    /// The policy's denial.
    pub fn by_policy(decision: &Decision) -> Self {
        let first = decision.violations.iter().find(|v| v.rule == decision.reason);
        let detail = first.map_or_else(|| format!("the policy denies: {}", decision.reason), |v| v.detail.clone());
        let mut refusal = Self::because(Code::Denied, decision.reason.clone(), detail);
        refusal.faults = decision.violations.iter().map(fault).collect();
        refusal.missing(missing_for(&decision.reason, &decision.missing), None)
    }
}

fn fault(violation: &Violation) -> Fault {
    Fault { pointer: violation.pointer.clone(), detail: format!("{}: {}", violation.rule, violation.detail) }
}

impl From<JsonError> for Refusal {
    /// Not JSON at all is malformed; JSON of another shape is a schema violation with its place.
    fn from(error: JsonError) -> Self {
        Self::new(Code::SchemaViolation, error.to_string()).at(error.pointer, error.detail)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::new(Code::Busy, "too many requests wait for the record; ask again"),
            // The cause is for the log, not for the caller.
            StoreError::Unavailable(_) => Self::new(Code::RecordUnavailable, "the record cannot be written"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
    }
}
