//! OPA's decision logs as history (OPA documentation, "Decision Logs": one event an object).
//!
//! An event holds the input in clear and the result; `erased` and `masked` name by pointer what OPA's mask policy took
//! out. Where that is in the input the decision cannot be asked again.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::judge::Answer;
use super::past::{Lost, Past, Question, WhichBundle};

/// The members that are read; OPA writes others, and more with time.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    decision_id: String,
    #[serde(default)]
    path: String,
    input: Option<Value>,
    result: Option<Value>,
    #[serde(default)]
    bundles: BTreeMap<String, LoadedBundle>,
    #[serde(default)]
    erased: Vec<String>,
    #[serde(default)]
    masked: Vec<String>,
}

#[derive(Deserialize)]
struct LoadedBundle {
    #[serde(default)]
    revision: String,
}

/// The decision of one event; none for a line of OPA's console that is no decision.
pub fn of_opa_event(text: &str) -> Option<Past> {
    let event: Event = match serde_json::from_str(text) {
        Ok(event) => event,
        Err(error) => return Some(Past::unreadable("?", &error)),
    };
    if event.decision_id.is_empty() && event.path.is_empty() {
        return None;
    }
    let of_input = |pointers: &[&str]| {
        let found = pointers.iter().find_map(|pointer| event.input.as_ref()?.pointer(pointer)?.as_str());
        found.unwrap_or("-").chars().take(2048).collect::<String>()
    };
    let (workspace, agent) = (of_input(&["/workspace"]), of_input(&["/agent/id"]));
    let act = of_input(&["/poa/act", "/request/act"]);
    let reason = event.result.as_ref().and_then(|result| result.get("reason")?.as_str()).unwrap_or("-").to_owned();
    let revisions: Vec<_> = event.bundles.values().filter_map(|bundle| bundle.revision.parse().ok()).collect();
    let hidden = |part: &str| {
        let mut pointers = event.erased.iter().chain(&event.masked);
        pointers.find(|pointer| pointer.trim_start_matches('/').starts_with(part)).cloned()
    };
    let input = match (hidden("input"), &event.input) {
        (Some(pointer), _) => Err(Lost::Masked(pointer)),
        (None, None) => Err(Lost::NotRecorded),
        (None, Some(input)) => Ok(input.to_string()),
    };
    let result = match hidden("result") {
        Some(pointer) => Err(Lost::Masked(pointer)),
        None => event.result.ok_or(Lost::NoResult),
    };
    let (input, verdict) = match (input, result) {
        (Ok(input), Ok(result)) => (Ok(input), Some(Answer::Document(result).digest())),
        (Err(lost), _) | (_, Err(lost)) => (Err(lost), None),
    };
    Some(Past {
        id: event.decision_id,
        question: Question::Path(event.path.trim_matches('/').to_owned()),
        workspace,
        agent,
        act,
        bundle: if revisions.is_empty() { WhichBundle::Unnamed } else { WhichBundle::Revisions(revisions) },
        reason,
        input,
        verdict,
    })
}
