//! The record read as a whole: every challenge's events must be a life that the state machine allows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What the record says of one challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    pub state: &'static str,
    pub people: BTreeSet<String>,
    pub mandates: usize,
    pub reask_of: Option<String>,
}

/// Plays the record; fails where an event may not come after those before it.
#[track_caller]
pub fn lives<'e>(events: impl IntoIterator<Item = &'e Value>, required: usize) -> BTreeMap<String, Life> {
    let mut lives: BTreeMap<String, Life> = BTreeMap::new();
    let mut asked_again = BTreeSet::new();
    for event in events {
        let text = |member: &str| event[member].as_str().unwrap_or_default().to_owned();
        let (kind, id) = (text("event_type"), text("challenge_id"));
        if kind == "poa_challenge_created" {
            let reask_of = event["detail"]["reask_of"].as_str().map(str::to_owned);
            if let Some(earlier) = &reask_of {
                let ended = ["rejected", "expired", "withdrawn"].contains(&lives[earlier].state);
                assert!(ended, "asked again while {:?}: {event}", lives[earlier]);
                assert!(asked_again.insert(earlier.clone()), "two successors of {earlier}");
            }
            let life = Life { state: "pending", people: BTreeSet::new(), mandates: 0, reask_of };
            assert!(lives.insert(id, life).is_none(), "opened twice: {event}");
            continue;
        }
        let next = match kind.as_str() {
            "poa_approval_recorded" => "counted",
            "poa_challenge_rejected" => "rejected",
            "poa_challenge_expired" => "expired",
            "poa_challenge_withdrawn" => "withdrawn",
            "poa_issued" | "poa_issued_dual_control" if !id.is_empty() => "redeemed",
            _ => continue,
        };
        let life = lives.get_mut(&id).unwrap_or_else(|| panic!("nobody opened it: {event}"));
        let from: &[&str] = match next {
            "counted" | "rejected" => &["pending"],
            "redeemed" => &["approved"],
            _ => &["pending", "approved"],
        };
        assert!(from.contains(&life.state), "{} ▶ {next}: {event}", life.state);
        life.state = next;
        if next == "counted" {
            let person = text("caller").replace("-mobile", "").trim_end_matches(['x', 'y']).to_owned();
            assert!(life.people.insert(person), "one person twice: {event}");
            life.state = if life.people.len() >= required { "approved" } else { "pending" };
            assert_eq!(event["detail"]["state"], life.state, "{event}");
        }
        life.mandates += usize::from(next == "redeemed");
    }
    assert!(lives.values().all(|life| life.mandates <= 1));
    lives
}
