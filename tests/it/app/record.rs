//! The record, as an auditor reads it beside the running service.

use std::collections::{BTreeMap, BTreeSet};

use atb::adapters::store::{SqliteReader, read_verifier_key};
use atb::config::Config;
use atb::domain::ledger::{Entry, EventType, Outcome};
use atb::service::auditor::{Start, verify_log};
use atb::service::ports::EntryFilter;

use super::TestApp;

/// A place in the record: what came before is not looked at.
#[derive(Debug, Clone, Copy)]
pub struct Mark(u64);

impl TestApp {
    /// Everything on record.
    pub async fn events(&self) -> Vec<Entry> {
        self.events_since(Mark(0)).await
    }

    /// The end of the record now.
    pub async fn mark(&self) -> Mark {
        Mark(u64::try_from(self.events().await.len()).unwrap())
    }

    /// What came after `mark`.
    pub async fn events_since(&self, mark: Mark) -> Vec<Entry> {
        let open = async || SqliteReader::open(&self.config.store).await.unwrap();
        read(self.reader.get_or_init(open).await, mark.0).await
    }

    /// Everything of one kind.
    pub async fn events_of(&self, kind: EventType) -> Vec<Entry> {
        self.events().await.into_iter().filter(|entry| entry.event_type == kind).collect()
    }

    /// The one event after `mark`.
    #[track_caller]
    pub fn only(events: Vec<Entry>, what: &str) -> Entry {
        let kinds: Vec<_> = events.iter().map(|e| (e.event_type.as_str(), e.subject.reason.clone())).collect();
        assert_eq!(events.len(), 1, "{what}: not one event but {kinds:?}");
        events.into_iter().next().unwrap()
    }
}

async fn read(reader: &SqliteReader, from: u64) -> Vec<Entry> {
    let rows = reader.entries(from, 1_000_000, &EntryFilter::default()).await.unwrap();
    rows.iter().map(|(_, bytes)| serde_json::from_slice(bytes).unwrap()).collect()
}

/// What must be so at the end of every test, whatever it did.
pub(super) async fn hold_to_the_invariants(config: &Config, erp_hits: Option<u64>) {
    let reader = SqliteReader::open(&config.store).await.unwrap();
    let verifier = read_verifier_key(&config.ledger_key.with_extension("vkey")).unwrap();
    let report = verify_log(&reader, &verifier, &[], Start::Beginning).await.unwrap();
    assert!(report.is_intact(), "{:?}", report.findings);
    let entries = read(&reader, 0).await;
    reader.close().await;

    every_verdict_is_on_record_once(&entries);
    every_allowed_call_has_one_outcome(&entries, erp_hits);
    every_challenge_gives_at_most_one_mandate(&entries);
    for entry in &entries {
        let text = String::from_utf8(entry.to_bytes()).unwrap();
        // Where a JWS or its payload begins; within a key's id the letters may stand by chance.
        assert!(!["\"eyJ", " eyJ", ".eyJ"].iter().any(|jws| text.contains(jws)), "a token on record: {text}");
    }
}

fn every_verdict_is_on_record_once(entries: &[Entry]) {
    let verdicts = entries.iter().filter(|entry| {
        use EventType as E;
        let opened_or_ended = matches!(entry.event_type, E::PoaChallengeCreated | E::ConnectorOutcome);
        entry.subject.decision_id.is_some() && !opened_or_ended
    });
    let mut seen = BTreeMap::new();
    for entry in verdicts {
        let id = entry.subject.decision_id.unwrap();
        if let Some(earlier) = seen.insert(id, entry) {
            panic!("two verdicts of one id: {earlier:?} and {entry:?}");
        }
    }
}

fn every_allowed_call_has_one_outcome(entries: &[Entry], erp_hits: Option<u64>) {
    let ids = |wanted: &dyn Fn(&Entry) -> bool| -> Vec<_> {
        let mut ids: Vec<_> = entries.iter().filter(|e| wanted(e)).map(|e| e.subject.decision_id.unwrap()).collect();
        ids.sort();
        ids
    };
    // A decision that a connector asked for (`caller`) is that connector's to carry out.
    let allowed = ids(&|e| {
        e.event_type == EventType::BrokerDecision && e.subject.allow == Some(true) && e.subject.caller.is_none()
    });
    let ended = ids(&|e| e.event_type == EventType::ConnectorOutcome);
    assert_eq!(allowed, ended, "allowed calls and outcomes do not match one to one");
    let reached = ids(&|e| e.event_type == EventType::ConnectorOutcome && e.subject.outcome == Some(Outcome::Ok));
    if let Some(hits) = erp_hits {
        assert!(hits >= u64::try_from(reached.len()).unwrap(), "an outcome `ok` of a call that did not arrive");
        assert!(hits <= u64::try_from(allowed.len()).unwrap(), "the ERP saw a call that was not allowed");
    }
}

fn every_challenge_gives_at_most_one_mandate(entries: &[Entry]) {
    let issued =
        entries.iter().filter(|e| matches!(e.event_type, EventType::PoaIssued | EventType::PoaIssuedDualControl));
    let (mut challenges, mut mandates) = (BTreeSet::new(), BTreeSet::new());
    for entry in issued {
        assert!(mandates.insert(entry.subject.jti.unwrap()), "one mandate issued twice: {entry:?}");
        if let Some(challenge) = entry.subject.challenge_id {
            assert!(challenges.insert(challenge), "two mandates on one challenge: {entry:?}");
        }
    }
}
