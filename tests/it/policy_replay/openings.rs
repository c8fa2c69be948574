//! Openings in the store: with their entry, erased one by one and by age, and gone from the file.

use std::time::Duration;

use atb::adapters::store::{Erase, OpenMode, SqliteReader};
use atb::domain::ledger::{Entry, EventType, PolicyRecord, PolicyRule, Salt};
use atb::domain::time::Timestamp;
use atb::service::auditor::{Start, verify_log};
use atb::service::ports::Ledger as _;
use serde_json::json;

use crate::store_contract::{entry, now, open};

const SECRET: &str = "DE02120300000000202051";

fn decided(at: Timestamp, value: &str) -> Entry {
    let input = json!({"request": {"params": {"iban": value}}}).to_string();
    let mut entry = Entry { at, ..entry(EventType::BrokerDecision, None) };
    let record = PolicyRecord::of(PolicyRule::PoaDecision, &input, &json!({}), &[].into(), Salt::from_bytes([3; 16]));
    record.onto(&mut entry.subject);
    entry
}

async fn opened(reader: &SqliteReader) -> Vec<(u64, bool)> {
    let decisions = reader.recorded_decisions(0, 10_000).await.unwrap();
    decisions.iter().map(|decision| (decision.seq, decision.openings.is_some())).collect()
}

#[tokio::test]
async fn an_erased_opening_is_gone_from_the_file_and_the_record_still_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let store = open(&path, OpenMode::Create).await.unwrap();
    let first = decided(now(), SECRET);
    let decision = first.subject.decision_id.unwrap();
    store.record(first).await.unwrap();
    store.record(decided(now(), "kept")).await.unwrap();
    assert_eq!(opened(store.reader()).await, [(0, true), (1, true)]);
    assert_eq!(store.erase_openings(Erase::Decision(decision)).await.unwrap(), 1);
    assert_eq!(store.erase_openings(Erase::Decision(decision)).await.unwrap(), 0);
    assert_eq!(opened(store.reader()).await, [(0, false), (1, true)]);
    let report = verify_log(store.reader(), store.verifier(), &[], Start::Beginning).await.unwrap();
    assert!(report.is_intact(), "{report:?}");
    store.close().await.unwrap();
    let holds = |text: &str| {
        std::fs::read_dir(folder.path()).unwrap().any(|file| {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    };
    assert!(holds("kept"), "the check finds what is there");
    assert!(!holds(SECRET));
}

#[tokio::test]
async fn openings_are_erased_by_age_however_many_there_are() {
    const MANY: u64 = 9_000;
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("ledger.db"), OpenMode::Create).await.unwrap();
    let at = |nth: u64| now().plus(Duration::from_secs(nth));
    for part in 0..MANY / 1_000 {
        let writes = (part * 1_000..(part + 1) * 1_000).map(|nth| store.record(decided(at(nth), "x")));
        for written in futures_util::future::join_all(writes).await {
            written.unwrap();
        }
    }
    assert_eq!(store.erase_openings(Erase::Before(at(MANY - 3))).await.unwrap(), MANY - 3);
    let left: Vec<_> = opened(store.reader()).await.into_iter().filter(|(_, opened)| *opened).collect();
    assert_eq!(left.len(), 3, "{left:?}");
    assert_eq!(store.erase_openings(Erase::Before(at(0))).await.unwrap(), 0);
    store.close().await.unwrap();
}
