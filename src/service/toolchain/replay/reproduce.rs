//! Are the verdicts on record those that their bundle gives? Bit for bit, by the digest of the whole verdict.

use std::collections::BTreeMap;

use serde::Serialize;

use super::judge::Judge;
use super::past::{Past, WhichBundle};
use crate::domain::id::Sha256Digest;
use crate::domain::ledger::verdict_digest;
use crate::domain::policy::{Assessment, Decision, IssueDecision, PolicyFault, PolicyInput};

/// Decisions that a report names for one reason; of the others it has the number.
const EXAMPLES: usize = 20;

/// Why a decision was not reproduced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhyNot {
    /// The name as written in reports.
    pub code: &'static str,
    /// In words.
    pub detail: String,
}

impl WhyNot {
    /// Whether this contradicts the record. An erased opening, or what was lost in that moment, contradicts nothing.
    pub fn is_contradiction(&self) -> bool {
        CONTRADICTIONS.contains(&self.code)
    }
}

/// Where the record and the bundles contradict each other, or a bundle or a line is missing.
const CONTRADICTIONS: [&str; 5] = ["differs", "bundle_missing", "bundle_refused", "opening_tampered", "unreadable"];

/// What became of all decisions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReplayReport {
    /// Decisions that were read.
    pub decisions: u64,
    /// Those that the recorded bundle gives again.
    pub reproduced: u64,
    /// The others, by why.
    pub not_reproduced: BTreeMap<String, NotReproduced>,
}

/// Decisions that were not reproduced for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NotReproduced {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<Example>,
}

/// One decision that was not reproduced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Example {
    /// Its id.
    pub id: String,
    /// Its act.
    pub act: String,
    /// Why, in words.
    pub detail: String,
}

impl ReplayReport {
    /// Takes one decision.
    pub fn take(&mut self, judge: &mut Judge, past: &Past) {
        self.decisions += 1;
        match reproduce(judge, past) {
            None => self.reproduced += 1,
            Some(why) => {
                let group = self.not_reproduced.entry(why.code.to_owned()).or_default();
                group.count += 1;
                group.examples.push(Example { id: past.id.clone(), act: past.act.clone(), detail: why.detail });
                group.bound();
            }
        }
    }

    /// Adds what another thread found.
    pub fn merge(&mut self, other: Self) {
        self.decisions += other.decisions;
        self.reproduced += other.reproduced;
        for (code, found) in other.not_reproduced {
            let group = self.not_reproduced.entry(code).or_default();
            group.count += found.count;
            group.examples.extend(found.examples);
            group.bound();
        }
    }

    /// Whether the record and the bundles contradict each other, or a bundle or a line is missing. Openings that were
    /// erased and faults of that moment contradict nothing.
    pub fn is_sound(&self) -> bool {
        !CONTRADICTIONS.iter().any(|code| self.not_reproduced.contains_key(*code))
    }

    /// For people.
    pub fn in_text(&self) -> String {
        let mut out = format!("{} of {} decisions reproduced bit for bit\n", self.reproduced, self.decisions);
        for (code, group) in &self.not_reproduced {
            out.push_str(&format!("{} {code}\n", group.count));
            for example in &group.examples {
                out.push_str(&format!("  {} {}: {}\n", example.id, example.act, example.detail));
            }
            if group.count > group.examples.len() as u64 {
                out.push_str(&format!("  and {} more\n", group.count - group.examples.len() as u64));
            }
        }
        out
    }
}

impl NotReproduced {
    /// The smallest ids stay: those of the oldest decisions, whichever thread saw them.
    fn bound(&mut self) {
        if self.examples.len() > EXAMPLES {
            self.examples.sort_unstable();
            self.examples.truncate(EXAMPLES);
        }
    }
}

/// Why not; none if it was reproduced.
pub fn reproduce(judge: &mut Judge, past: &Past) -> Option<WhyNot> {
    let not = |code, detail: String| Some(WhyNot { code, detail });
    let input = match &past.input {
        Ok(input) => PolicyInput::from_recorded(input.clone()),
        Err(lost) => return not(lost.code(), lost.to_string()),
    };
    let Some(recorded) = past.verdict else {
        return not("verdict_not_recorded", "no digest of its verdict".to_owned());
    };
    match judge.ask(&past.bundle, &past.question, &input) {
        Err(error) => not("bundle_refused", error.to_string()),
        Ok(None) => not("bundle_missing", missing(&past.bundle)),
        Ok(Some(answer)) if answer.digest() == recorded => None,
        Ok(Some(_)) if is_fault_of_the_moment(recorded) => {
            not("fault_of_the_moment", format!("`{}` is no answer of the policy", past.reason))
        }
        Ok(Some(answer)) => not(
            "differs",
            format!("the record has {recorded} ({}), the bundle gives {}", past.reason, answer.in_words()),
        ),
    }
}

/// A deadline, a full queue or a panic was the answer then: what the policy would have said is not on record.
fn is_fault_of_the_moment(recorded: Sha256Digest) -> bool {
    const FAULTS: [PolicyFault; 3] = [PolicyFault::Timeout, PolicyFault::Overloaded, PolicyFault::Panic];
    let of = |fault| {
        [
            verdict_digest(&Decision::fault(fault)),
            verdict_digest(&IssueDecision::fault(fault)),
            verdict_digest(&Assessment::fault(fault)),
        ]
    };
    FAULTS.into_iter().flat_map(of).any(|fault| fault == recorded)
}

fn missing(bundle: &WhichBundle) -> String {
    match bundle {
        WhichBundle::Digest(digest) => format!("the bundle {digest} was not given"),
        WhichBundle::Revisions(names) => {
            let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
            format!("the bundle of revision {} was not given", names.join(" or "))
        }
        WhichBundle::Unnamed => "the record does not name its bundle; give that one alone".to_owned(),
    }
}
