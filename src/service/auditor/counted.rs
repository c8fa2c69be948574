//! What a broker counts from when it starts: the allowed calls of each full block, kept beside the log.
//!
//! They are no part of the tree. Whoever can write the file could take calls out of them, and an agent would have its rate
//! anew. So they are held against the entries of the block. A block without them is counted from its entries, which is
//! never wrong; one that says something else than its entries is a finding.

use std::collections::HashMap;

use serde::Deserialize;

use super::LogRow;
use crate::domain::ledger::EventType;

/// What is kept of the allowed calls of one block, unverified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Counted {
    /// Nothing: they are counted from the entries.
    #[default]
    FromEntries,
    /// Something that no writer wrote.
    Unreadable,
    /// The calls.
    Calls(Vec<CountedCalls>),
}

/// The calls of one agent for one act: agent, act, workspace, and when, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CountedCalls(pub String, pub String, pub String, pub Vec<u64>);

/// What tells one call from another here.
type Call<'a> = (&'a str, &'a str, &'a str, u64);

impl Counted {
    /// As stored: a JSON array of `[agent, act, workspace, [milliseconds, …]]`.
    pub fn from_stored(stored: Option<&[u8]>) -> Self {
        match stored.map(serde_json::from_slice) {
            None => Self::FromEntries,
            Some(Ok(calls)) => Self::Calls(calls),
            Some(Err(_)) => Self::Unreadable,
        }
    }

    /// Whether the entries of the block say something else.
    pub(super) fn is_contradicted_by(&self, rows: &[LogRow]) -> bool {
        let calls = match self {
            Self::FromEntries => return false,
            Self::Unreadable => return true,
            Self::Calls(calls) => calls,
        };
        let mut difference: HashMap<Call<'_>, i64> = HashMap::new();
        for CountedCalls(agent, act, workspace, times) in calls {
            for at in times {
                *difference.entry((agent, act, workspace, *at)).or_default() += 1;
            }
        }
        for call in rows.iter().filter_map(allowed) {
            *difference.entry(call).or_default() -= 1;
        }
        // Of entries that are not here nothing is known, so that calls may be kept which no entry shows.
        let whole = rows.iter().all(|row| !row.body.is_empty());
        difference.values().any(|count| *count < 0 || (*count > 0 && whole))
    }
}

/// The call that the entry says the broker allowed, if it is one: by its columns, which are held against its bytes.
fn allowed(row: &LogRow) -> Option<Call<'_>> {
    let columns = row.columns.as_ref()?;
    let is_decision = columns.event_type == EventType::BrokerDecision.as_str();
    if !is_decision || columns.reason.as_deref() != Some("ok") || is_peek(&row.body) {
        return None;
    }
    Some((columns.agent.as_deref()?, columns.act.as_deref()?, columns.workspace.as_str(), columns.at.as_millis()))
}

/// Whether it was a question that spends nothing.
fn is_peek(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Said {
        detail: Option<Detail>,
    }
    #[derive(Deserialize)]
    struct Detail {
        peek: Option<String>,
    }
    // Few are; the others are not parsed for it.
    std::str::from_utf8(body).is_ok_and(|text| text.contains("\"peek\""))
        && serde_json::from_slice::<Said>(body)
            .is_ok_and(|said| said.detail.and_then(|detail| detail.peek).as_deref() == Some("true"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Columns;
    use super::*;

    fn row(seq: u64, change: Value) -> LogRow {
        let mut entry = json!({
            "event_type": "broker_decision", "at": format!("2026-11-21T10:00:00.{seq:03}Z"), "workspace": "default",
            "agent": "spiffe://atb.test/agent/a", "act": "erp.order.read", "reason": "ok", "detail": {},
        });
        entry.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let body = entry.to_string().into_bytes();
        LogRow { seq, columns: Columns::of_body(&body), body, leaf: Vec::new() }
    }

    fn counted(calls: &Value) -> Counted {
        Counted::from_stored(Some(calls.to_string().as_bytes()))
    }

    #[test]
    fn calls_are_those_that_the_entries_allow_however_they_are_ordered() {
        let rows = [
            row(1, json!({})),
            row(2, json!({"reason": "denied"})),
            row(3, json!({"act": "erp.vendor.read"})),
            row(4, json!({"detail": {"peek": "true"}})),
            row(5, json!({"detail": {"note": "\"peek\""}})),
            row(6, json!({"event_type": "connector_outcome"})),
        ];
        let at = |seq: usize| rows[seq - 1].columns.as_ref().unwrap().at.as_millis();
        let (agent, order, vendor) = ("spiffe://atb.test/agent/a", "erp.order.read", "erp.vendor.read");
        let right = json!([[agent, vendor, "default", [at(3)]], [agent, order, "default", [at(5), at(1)]]]);
        assert!(!counted(&right).is_contradicted_by(&rows));
        let wrong = [
            json!([]),
            json!([[agent, order, "default", [at(1), at(5)]]]),
            json!([[agent, vendor, "default", [at(3), at(3)]], [agent, order, "default", [at(5), at(1)]]]),
            json!([[agent, vendor, "default", [at(3)]], [agent, order, "default", [at(5), at(1) - 1]]]),
            json!([[agent, vendor, "default", [at(3)]], [agent, order, "other", [at(5), at(1)]]]),
            json!([
                ["spiffe://atb.test/agent/b", vendor, "default", [at(3)]],
                [agent, order, "default", [at(5), at(1)]]
            ]),
            json!({"calls": []}),
        ];
        for wrong in wrong {
            assert!(counted(&wrong).is_contradicted_by(&rows), "{wrong}");
        }
        assert!(!Counted::from_stored(None).is_contradicted_by(&rows));
    }
}
