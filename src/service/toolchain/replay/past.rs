//! One decision of the past, wherever it was recorded.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::id::{Revision, Sha256Digest};
use crate::domain::json;
use crate::domain::ledger::{Entry, EventType, OpenError, Openings, PolicyRule, RecordedInput, Salt};

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A rule that ATB asks; its answer is a typed verdict.
    Rule(PolicyRule),
    /// Any document, by the path behind `data`, with slashes; its answer is compared as JSON.
    Path(String),
}

/// Which bundle gave the verdict, as the record names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhichBundle {
    /// The ledger names the digest of its files.
    Digest(Sha256Digest),
    /// OPA names revisions.
    Revisions(Vec<Revision>),
    /// The record does not say.
    Unnamed,
}

/// Why the input of a decision is not there to be asked again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The entry is older than the recording of inputs.
    #[error("its input was not recorded")]
    NotRecorded,
    /// The input was larger than what is recorded.
    #[error("its input was too large to be recorded")]
    TooLarge,
    /// A value was erased.
    #[error("the opening of `{0}` was erased")]
    Erased(String),
    /// A value is not the one that was committed to.
    #[error("the opening of `{0}` is not the one that was committed to")]
    Tampered(String),
    /// OPA masked or erased a member before it wrote its log.
    #[error("OPA masked `{0}` in its log")]
    Masked(String),
    /// OPA reported an error instead of a result.
    #[error("OPA had no result")]
    NoResult,
    /// The line is not a decision.
    #[error("not readable: {0}")]
    Unreadable(String),
}

impl Lost {
    /// The name as written in reports.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotRecorded => "input_not_recorded",
            Self::TooLarge => "input_too_large",
            Self::Erased(_) => "opening_erased",
            Self::Tampered(_) => "opening_tampered",
            Self::Masked(_) => "input_masked",
            Self::NoResult => "no_result",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

/// One decision of the past.
#[derive(Debug, Clone)]
pub struct Past {
    /// The decision's id; the event's where it has none.
    pub id: String,
    /// What was asked.
    pub question: Question,
    /// The agent's workspace.
    pub workspace: String,
    /// The agent.
    pub agent: String,
    /// The act.
    pub act: String,
    /// Which bundle judged.
    pub bundle: WhichBundle,
    /// The reason on record, for people; at the ledger it may be of a check behind the policy.
    pub reason: String,
    /// The input, or why there is none.
    pub input: Result<String, Lost>,
    /// The digest of the verdict, as [`Answer::digest`](super::Answer::digest) gives it.
    pub verdict: Option<Sha256Digest>,
}

/// One line of an exported history: the entry's bytes as they are in the ledger, and what opens its input if that was
/// exported too.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryLine {
    /// The entry's number.
    pub seq: u64,
    /// The entry.
    pub entry: Box<RawValue>,
    /// The openings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openings: Option<ExportedOpenings>,
}

/// Openings as exported.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportedOpenings {
    /// 32 hexadecimal digits.
    pub salt: String,
    /// The values by pointer.
    pub values: serde_json::Map<String, Value>,
}

impl HistoryLine {
    /// The line of an entry. None for bytes that are no JSON text, which no ledger holds.
    pub fn of(seq: u64, body: Vec<u8>, openings: Option<&Openings>) -> Option<Self> {
        let entry = RawValue::from_string(String::from_utf8(body).ok()?).ok()?;
        Some(Self { seq, entry, openings: openings.map(ExportedOpenings::of) })
    }
}

impl ExportedOpenings {
    /// The salt and the values. Documents are not among them.
    pub fn of(openings: &Openings) -> Self {
        Self {
            salt: base16ct::lower::encode_string(openings.salt().as_bytes()),
            values: openings.values().clone().into_iter().collect(),
        }
    }

    /// What was exported; none for anything else.
    pub fn read(self) -> Option<Openings> {
        let mut salt = [0; 16];
        let whole = base16ct::lower::decode(&self.salt, &mut salt).ok()?.len() == 16;
        whole.then(|| Openings::from_stored(Salt::from_bytes(salt), &serde_json::to_vec(&self.values).ok()?)).flatten()
    }
}

impl Past {
    /// The decision of a ledger entry; none if the policy decided nothing there.
    pub fn of_entry(body: &[u8], openings: Option<&Openings>) -> Option<Self> {
        let entry: Entry = match json::from_slice(body) {
            Ok(entry) => entry,
            Err(error) => return Some(Self::unreadable("?", &error)),
        };
        let subject = entry.subject;
        let (rule, input) = match (subject.rule, subject.input, subject.input_digest) {
            (Some(rule), Some(input), _) => (rule, open(&input, openings)),
            (Some(rule), None, Some(_)) => (rule, Err(Lost::TooLarge)),
            (Some(rule), None, None) => (rule, Err(Lost::NotRecorded)),
            // Before inputs were recorded: the bundle is named where the policy was asked.
            (None, ..) => (asked_by(entry.event_type, subject.bundle_digest)?, Err(Lost::NotRecorded)),
        };
        let text = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        Some(Self {
            id: subject.decision_id.map_or_else(|| entry.event_id.to_string(), |id| id.to_string()),
            question: Question::Rule(rule),
            workspace: entry.workspace.to_string(),
            agent: text(subject.agent.map(|id| id.to_string())),
            act: text(subject.act.map(|act| act.to_string())),
            bundle: subject.bundle_digest.map_or(WhichBundle::Unnamed, WhichBundle::Digest),
            reason: text(subject.reason),
            input,
            verdict: subject.verdict_digest,
        })
    }

    /// The decision of a line that `--export` wrote.
    pub fn of_history_line(line: &str) -> Option<Self> {
        let HistoryLine { entry, openings, seq } = match serde_json::from_str(line) {
            Ok(line) => line,
            Err(error) => return Some(Self::unreadable("?", &error)),
        };
        match openings.map(|openings| openings.read().ok_or("the openings are not as they were exported")).transpose() {
            Ok(openings) => Self::of_entry(entry.get().as_bytes(), openings.as_ref()),
            Err(what) => Some(Self::unreadable(&format!("entry {seq}"), &what)),
        }
    }

    /// A line that is no decision.
    pub(super) fn unreadable(id: &str, error: &dyn std::fmt::Display) -> Self {
        let text = || "-".to_owned();
        Self {
            id: id.to_owned(),
            question: Question::Path(String::new()),
            workspace: text(),
            agent: text(),
            act: text(),
            bundle: WhichBundle::Unnamed,
            reason: text(),
            input: Err(Lost::Unreadable(error.to_string().chars().take(200).collect())),
            verdict: None,
        }
    }
}

fn open(input: &RecordedInput, openings: Option<&Openings>) -> Result<String, Lost> {
    input.open(openings).map_err(|error| match error {
        OpenError::Erased(pointer) => Lost::Erased(pointer),
        OpenError::Tampered(pointer) => Lost::Tampered(pointer),
    })
}

fn asked_by(event: EventType, bundle: Option<Sha256Digest>) -> Option<PolicyRule> {
    bundle?;
    match event {
        EventType::BrokerDecision => Some(PolicyRule::PoaDecision),
        EventType::PoaIssued
        | EventType::PoaIssuedDualControl
        | EventType::PoaChallengeCreated
        | EventType::PoaDenied => Some(PolicyRule::IssueDecision),
        _ => None,
    }
}
