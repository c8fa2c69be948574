//! The second part of the matrix: every state that a challenge can reach, and what each event makes of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::domain::approval::tests::{assessment, both, challenge, now, redeem, two_people};
use crate::domain::approval::{Challenge, VerifiedStatement, Voted};
use crate::domain::time::Timestamp;

/// What may happen, in time or after the hour.
const EVENTS: [&str; 7] = ["approve by bob", "approve by carol", "reject", "redeem", "expire", "withdraw", "restart"];

fn label(challenge: &Challenge) -> String {
    let votes = challenge.votes().iter().map(|vote| vote.person.as_str()).collect::<Vec<_>>().join("+");
    let of = challenge.draft().requirement.required;
    let votes = if votes.is_empty() { String::new() } else { format!(" by {votes}") };
    format!("{} {}/{of}{votes}", challenge.state().as_str(), challenge.votes().len())
}

fn play(stored: &Challenge, event: &str, at: Timestamp, people: &[VerifiedStatement; 2]) -> Result<Challenge, String> {
    let stored = stored.clone();
    match event {
        "reject" => {
            let pending = stored.pending(at).map_err(|closed| closed.to_string())?;
            Ok(pending.reject(people[0].approver().clone(), "no".to_owned().try_into().unwrap(), at))
        }
        "redeem" => {
            let approved = stored.approved(at).map_err(|closed| closed.to_string())?;
            redeem(approved, at).map(|(challenge, _)| challenge).map_err(|error| error.to_string())
        }
        "expire" => Ok(stored.expire(at)),
        "withdraw" => {
            stored.withdraw("not needed".to_owned().try_into().unwrap(), at).map_err(|closed| closed.to_string())
        }
        // What is written is what is read.
        "restart" => Ok(serde_json::from_str(&serde_json::to_string(&stored).unwrap()).unwrap()),
        approve => {
            let statement = &people[usize::from(approve.ends_with("carol"))];
            let assessment = assessment(&stored, statement.approver(), two_people);
            let pending = stored.pending(at).map_err(|closed| closed.to_string())?;
            pending
                .approve(statement, &assessment, at)
                .map(Voted::into_challenge)
                .map_err(|refused| refused.to_string())
        }
    }
}

/// Everything that can be reached from a challenge for two people.
pub(super) fn table() -> String {
    let (people, hour) = (both(), now().plus(Duration::from_secs(3600)));
    let mut known = BTreeMap::new();
    let mut open = vec![challenge(2)];
    let mut text = String::new();
    while let Some(stored) = open.pop() {
        let from = label(&stored);
        if known.insert(from.clone(), ()).is_some() {
            continue;
        }
        for event in EVENTS {
            for (when, at) in [("", now()), (" an hour later", hour)] {
                match play(&stored, event, at, &people) {
                    Ok(next) => {
                        writeln!(text, "{from} | {event}{when} | {}", label(&next)).unwrap();
                        open.push(next);
                    }
                    Err(why) => writeln!(text, "{from} | {event}{when} | not: {why}").unwrap(),
                }
            }
        }
    }
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n") + "\n"
}
