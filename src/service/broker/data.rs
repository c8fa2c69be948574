//! `/v1/data/{path}`: OPA's Data API, for those whom the configuration allows to ask.
//!
//! Any rule below `data.atb`, over the input as it is given: nothing is added to it, not even the time, so that the same
//! question has the same answer here and in `opa eval`. Rules only: documents hold people's names. It enforces nothing:
//! no mandate is looked at, none is spent, and an answer is no permission; the record says `policy_queried` and not
//! `broker_decision`, because whoever may ask learns what the policy would say, and that should be seen.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Attempt, Broker};
use crate::domain::id::DecisionId;
use crate::domain::json;
use crate::domain::ledger::{EventType, Subject};
use crate::domain::policy::{PolicyFault, PolicyInput};
use crate::domain::spiffe::VerifiedSvid;
use crate::service::refusal::{Code, Refusal};

/// Below which package rules may be asked for.
const ROOT: &str = "atb";
const MAX_PATH: usize = 256;

/// The body of `POST /v1/data/{path}`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DataQuestion {
    #[serde(default)]
    input: Option<Value>,
}

/// The answer. A rule without a value has no `result`, as in OPA.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataAnswer {
    /// The value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Finds the question in the record.
    pub decision_id: DecisionId,
}

/// What is asked, as it arrived.
#[derive(Debug, Clone, Copy)]
pub enum Asked<'b> {
    /// The body of a `POST`; empty for none.
    Body(&'b [u8]),
    /// The query parameter `input` of a `GET`.
    Parameter(Option<&'b str>),
}

impl Broker {
    /// Answers a question about a rule.
    ///
    /// # Errors
    /// A refusal, on record: not the caller's to ask, not well-formed, or the policy gave no answer.
    pub async fn data(&self, caller: &VerifiedSvid, path: &str, asked: Asked<'_>) -> Result<DataAnswer, Refusal> {
        let mut attempt = self.attempt(caller.id());
        attempt.subject = Subject { caller: Some(caller.id().clone()), ..Subject::default() };
        attempt.subject.detail.insert("path".to_owned(), path.chars().take(MAX_PATH).collect());
        let answered = self.try_data(&mut attempt, caller, path, asked).await;
        let reason = answered.as_ref().map_or_else(
            |refusal| refusal.reason.clone(),
            |result| if result.is_some() { "ok".to_owned() } else { "undefined".to_owned() },
        );
        let mut entry = self.entry(&attempt, EventType::PolicyQueried, answered.is_ok(), &reason);
        // A verdict is on it only where the question was refused: an answer is none.
        entry.subject.allow = answered.is_err().then_some(false);
        self.ports.ledger.record(entry).await?;
        match answered {
            Ok(result) => Ok(DataAnswer { result, decision_id: attempt.decision_id }),
            Err(refusal) => Err(refusal.decided(attempt.decision_id)),
        }
    }

    async fn try_data(
        &self,
        attempt: &mut Attempt,
        caller: &VerifiedSvid,
        path: &str,
        asked: Asked<'_>,
    ) -> Result<Option<Value>, Refusal> {
        if !self.ports.data_api.contains(caller.id()) {
            let detail = "only the identities under `broker.data_api` ask the policy";
            return Err(Refusal::because(Code::CallerNotAllowed, "data_api_not_callers", detail));
        }
        let rule = rule(path)?;
        let input = PolicyInput::from_recorded(input(asked)?.to_string());
        let judged = self.ports.policy.query(&rule, input).await;
        attempt.subject.bundle = Some(judged.bundle.revision().clone());
        attempt.subject.bundle_digest = Some(judged.bundle.digest());
        match judged.verdict {
            Ok(value) => Ok(Some(value)),
            Err(PolicyFault::Undefined) => Ok(None),
            Err(fault @ PolicyFault::Overloaded) => {
                Err(Refusal::because(Code::Busy, fault.to_string(), "every engine is busy; ask again"))
            }
            Err(fault) => Err(Refusal::because(Code::Internal, fault.to_string(), "the policy gave no answer")),
        }
    }
}

/// `atb/poa/decision` → `atb.poa.decision`.
fn rule(path: &str) -> Result<String, Refusal> {
    let name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let parts: Vec<&str> = path.split('/').collect();
    if path.len() > MAX_PATH || parts.len() < 2 || parts.first() != Some(&ROOT) || !parts.iter().all(|part| name(part))
    {
        let detail = "only rules below /v1/data/atb/ are here, a name in each part of the path";
        return Err(Refusal::because(Code::NotFound, "rule_not_found", detail));
    }
    Ok(parts.join("."))
}

/// The input as given; an empty object where none is, in which nothing is defined.
fn input(asked: Asked<'_>) -> Result<Value, Refusal> {
    let malformed = |error: json::JsonError| {
        Refusal::because(Code::RequestMalformed, "body_not_json", error.to_string()).at(error.pointer, error.detail)
    };
    let given = match asked {
        Asked::Body([]) | Asked::Parameter(None) => None,
        Asked::Body(bytes) => {
            json::parse(bytes).map_err(malformed)?;
            json::parse_as::<DataQuestion>(bytes)?.input
        }
        Asked::Parameter(Some(text)) => Some(json::parse(text.as_bytes()).map_err(malformed)?),
    };
    Ok(given.unwrap_or_else(|| Value::Object(serde_json::Map::new())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_names_below_atb_is_a_rule() {
        assert_eq!(rule("atb/poa/decision").unwrap(), "atb.poa.decision");
        for path in [
            "",
            "atb",
            "approvers",
            "atb/",
            "atb//poa",
            "atb/../approvers",
            "atb/poa.decision",
            "atb/a%2eb",
            "catalogue/x",
        ] {
            assert_eq!(rule(path).unwrap_err().code, Code::NotFound, "{path}");
        }
    }

    #[test]
    fn the_input_is_taken_as_given_or_refused() {
        assert_eq!(input(Asked::Body(b"{\"input\": [1, null]}")).unwrap(), serde_json::json!([1, null]));
        for none in [Asked::Body(b""), Asked::Body(b"{}"), Asked::Parameter(None)] {
            assert_eq!(input(none).unwrap(), serde_json::json!({}));
        }
        for (asked, code) in [
            (Asked::Body(b"{\"input\": 1"), Code::RequestMalformed),
            (Asked::Body(b"{\"input\": 1, \"input\": 2}"), Code::RequestMalformed),
            (Asked::Body(b"{\"inputs\": 1}"), Code::SchemaViolation),
            (Asked::Parameter(Some("{")), Code::RequestMalformed),
        ] {
            assert_eq!(input(asked).unwrap_err().code, code, "{asked:?}");
        }
    }
}
