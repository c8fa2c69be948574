//! `atb audit erase`: what opens a case goes, the entries stay, and the record says who was forgotten and why.

use std::collections::BTreeSet;

use atb::adapters::store::SqliteReader;
use atb::domain::id::Sha256Digest;
use atb::domain::ledger::Entry;
use serde_json::Value;

use super::process::{Home, Upstream, body, get, low_mandate};

/// The entries that can be opened.
async fn opened(home: &Home) -> BTreeSet<u64> {
    let reader = SqliteReader::open(&home.file("data/ledger.db")).await.unwrap();
    let decisions = reader.recorded_decisions(0, 1000).await.unwrap();
    reader.close().await;
    decisions.into_iter().filter(|entry| entry.openings.is_some()).map(|entry| entry.seq).collect()
}

/// The digest of the request in the entry `seq`, as it stands there and opened.
async fn request(home: &Home, seq: u64) -> (Sha256Digest, Option<Sha256Digest>) {
    let reader = SqliteReader::open(&home.file("data/ledger.db")).await.unwrap();
    let found = reader.entry_at(seq).await.unwrap().unwrap();
    reader.close().await;
    let entry: Entry = serde_json::from_slice(&found.body).unwrap();
    let commitment = entry.subject.request_digest.unwrap();
    (commitment, found.openings.and_then(|openings| openings.request(commitment)))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_case_is_erased_on_record_and_nothing_else_changes() {
    let upstream = Upstream::open().await;
    let home = Home::new();
    home.connect(upstream.address);
    let served = home.serve();
    let (issuer, broker) = (served.at_agentauth("procurement"), served.at_broker("procurement"));
    for _ in 0..2 {
        let mandate = low_mandate(&issuer).await;
        let answer = get(&broker, "/c/erp/vendors/V-1001", &mandate).await.unwrap();
        assert_eq!(answer.status.as_u16(), 200, "{}", body(&answer));
    }
    let erase = |id: &str, more: &[&str]| {
        let mut command = home.atb(["audit", "erase", "--reason", "request 2026-17"]);
        super::process::Ran::of(command.args(["--id", id]).args(more))
    };
    let ledger = home.ledger().await;
    let decisions: Vec<(u64, &Value)> =
        (0..).zip(&ledger).filter(|(_, event)| event["event_type"] == "broker_decision").collect();
    let [(first, one), (second, _)] = decisions[..] else { panic!("{decisions:?}") };
    let jti = one["jti"].as_str().unwrap();
    // The same call twice: one digest, two commitments, and neither is the digest.
    let ((a, opened_a), (b, opened_b)) = (request(&home, first).await, request(&home, second).await);
    assert!(a != b && opened_a.is_some() && opened_a == opened_b && opened_a != Some(a));
    assert!(!ledger.iter().any(|event| event.to_string().contains(&opened_a.unwrap().to_string())));

    let running = erase(jti, &[]);
    assert!(running.code == 2 && running.err.contains("stop the service first"), "{running:?}");
    served.kill();
    let before = opened(&home).await;
    assert!(before.contains(&first) && before.contains(&second));
    let told = erase(jti, &["--dry-run"]).ok();
    assert!(told.out.starts_with("would erase"), "{told:?}");
    assert_eq!(opened(&home).await, before);

    let erased = erase(jti, &[]).ok();
    assert!(erased.out.starts_with("erased what opens"), "{erased:?}");
    let after = opened(&home).await;
    assert!(!after.contains(&first) && after.contains(&second), "{before:?} {after:?}");
    assert_eq!(request(&home, first).await, (a, None));
    let event = home.ledger().await.pop().unwrap();
    assert_eq!((&event["event_type"], &event["detail"]["of"]), (&"openings_erased".into(), &jti.into()));
    assert_eq!(event["reason"], "request 2026-17");
    crate::schemas::fits("ledger-entry", &event);
    home.assert_intact();

    let again = erase(jti, &[]);
    assert!(again.code == 1 && again.err.contains("erased before"), "{again:?}");
    // The service goes on from it.
    drop(home.serve());
    home.assert_intact();
}
