//! `GET /audit` at both doors.

use atb::adapters::store::SqliteReader;
use atb::domain::ledger::EventType;
use atb::service::ports::{EntryFilter, Order};
use serde_json::{Value, json};

use super::{AUDITOR, a_whole_case, pages, with_an_auditor};
use crate::app::{At, TestApp};
use crate::schemas::{fits, refuses};

#[tokio::test]
async fn nobody_reads_the_record_unless_the_configuration_names_it() {
    let app = TestApp::start().await;
    for door in [At::AgentAuth, At::Broker] {
        for name in ["procurement", "alice", AUDITOR] {
            let answer = app.caller(name, door).get("/audit?nonsense=1").await;
            assert_eq!(answer.verdict(), "403 not_an_auditor", "{name} {answer}");
            answer.assert_problem();
        }
    }
    assert!(app.events_of(EventType::AuditRead).await.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn an_auditor_reads_every_entry_byte_for_byte_at_both_doors() {
    let app = with_an_auditor().await;
    let (challenge, jti) = a_whole_case(&app).await;
    let file = app.home().path("data/ledger.db");
    for door in [At::AgentAuth, At::Broker] {
        let (mut from, mut seen) = (0, Vec::new());
        loop {
            let answer = app.caller(AUDITOR, door).get(&format!("/audit?limit=4&from={from}&until=2100-01-01")).await;
            assert_eq!((answer.status, answer.header("cache-control").as_str()), (200, "no-store"), "{answer}");
            fits("audit-page", &answer.json);
            let text = String::from_utf8(answer.body.clone()).unwrap();
            for item in answer.json["items"].as_array().unwrap() {
                seen.push((item["seq"].as_u64().unwrap(), text.clone()));
            }
            from = answer.json["next"].as_u64().unwrap();
            if answer.json["more"] == json!(false) {
                break;
            }
        }
        let reader = SqliteReader::open(&file).await.unwrap();
        let rows = reader.entries(0, 1000, &EntryFilter::default()).await.unwrap();
        assert!(seen.len() >= 8 && seen.iter().enumerate().all(|(n, (seq, _))| n as u64 == *seq), "{seen:?}");
        for (seq, text) in &seen {
            let body = std::str::from_utf8(&rows[usize::try_from(*seq).unwrap()].1).unwrap();
            assert!(text.contains(&format!("{{\"seq\":{seq},\"entry\":{body}}}")), "{seq} is not as it was hashed");
        }
        reader.close().await;
    }
    let of = |query: String| {
        let app = &app;
        async move { app.caller(AUDITOR, At::Broker).get(&query).await.json }
    };
    let newest = of(format!("/audit?order=newest&challenge={challenge}&limit=1")).await;
    assert_eq!(newest["items"][0]["entry"]["event_type"], "poa_single_use_replay_blocked");
    let denied = of(format!("/audit?jti={jti}&decision=deny")).await;
    assert_eq!(denied["items"].as_array().unwrap().len(), 1, "{denied}");
    refuses(
        "audit-page",
        &denied,
        vec![
            ("/items/0/entry", json!("x")),
            ("/items/0/unreadable", json!("eA==")),
            ("/size", json!(-1)),
            ("/x", json!(1)),
        ],
    );
    let configuration = app.to_issuer(AUDITOR).get("/.well-known/atb-configuration").await.json;
    assert_eq!(
        (&configuration["audit_endpoint"], &configuration["max_audit_entries_per_page"]),
        (&json!("/audit"), &json!(1000))
    );
    app.finish().await;
}

#[tokio::test]
async fn a_reading_is_on_record_once_before_its_first_page_whatever_pages_follow() {
    let app = with_an_auditor().await;
    app.low_mandate().await;
    let auditor = app.to_broker(AUDITOR);
    for page in ["?limit=1&act=erp.*", "?limit=2&act=erp.*&from=1", "?act=erp.*&order=oldest"] {
        assert_eq!(auditor.get(&format!("/audit{page}")).await.status, 200);
    }
    assert_eq!(app.to_issuer(AUDITOR).get("/audit?act=erp.*&order=newest").await.status, 200);
    let all = auditor.get("/audit?limit=1000").await.json;
    let events = app.events_of(EventType::AuditRead).await;
    let told: Vec<_> = events.iter().map(|event| serde_json::to_value(&event.subject.detail).unwrap()).collect();
    let expected = [
        json!({"order": "oldest", "query": "act=erp.*"}),
        json!({"order": "newest", "query": "act=erp.*"}),
        json!({"order": "oldest"}),
    ];
    assert_eq!(told, expected);
    for event in &events {
        assert_eq!(event.subject.caller, Some(app.id_of(AUDITOR)));
        let event = serde_json::to_value(event).unwrap();
        refuses("ledger-entry", &event, vec![("/detail", json!({"query": "x"})), ("/allow", json!(true))]);
    }
    let last = all["items"].as_array().unwrap().last().unwrap();
    assert_eq!(last["entry"]["event_type"], "audit_read", "it was on record before it was answered");
    app.finish().await;
}

#[tokio::test]
async fn readers_cannot_fill_the_record_that_they_read() {
    let app = with_an_auditor().await;
    let auditor = app.to_broker(AUDITOR);
    for n in 0..64 {
        assert_eq!(auditor.get(&format!("/audit?risk={n}&limit=1")).await.status, 200, "{n}");
    }
    let answer = auditor.get("/audit?risk=99").await;
    assert_eq!(answer.verdict(), "429 audit_reads_limited", "{answer}");
    assert_eq!(auditor.get("/audit?risk=0&limit=1").await.status, 200, "one that is asked already goes on");
    assert_eq!(app.events_of(EventType::AuditRead).await.len(), 64);
    app.finish().await;
}

#[tokio::test]
async fn what_is_not_understood_is_refused_on_record_and_reads_nothing() {
    let app = with_an_auditor().await;
    for door in [At::AgentAuth, At::Broker] {
        for (query, verdict, pointer) in [
            ("agnet=x", "400 query_unknown", "/query/agnet"),
            ("session=x", "400 query_unknown", "/query/session"),
            ("act=erp.*&act=erp.*", "400 query_repeated", "/query/act"),
            ("act=ERP", "400 query_invalid", "/query/act"),
            ("limit=1001", "400 query_invalid", "/query/limit"),
            ("from=x", "400 query_invalid", "/query/from"),
            ("order=up", "400 query_invalid", "/query/order"),
            ("since=2026-11-02&until=2026-11-01", "400 query_invalid", "/query/until"),
        ] {
            let answer = app.caller(AUDITOR, door).get(&format!("/audit?{query}")).await;
            assert_eq!((answer.verdict().as_str(), answer.pointers()), (verdict, vec![pointer.to_owned()]), "{query}");
            answer.assert_problem();
        }
        let long = "x".repeat(4100);
        let answer = app.caller(AUDITOR, door).get(&format!("/audit?reason={long}")).await;
        assert_eq!(answer.verdict(), "400 query_invalid", "{answer}");
        let unreadable = app.caller(AUDITOR, door).get("/audit?reason=%ff").await;
        assert_eq!(unreadable.verdict(), "400 query_invalid", "{unreadable}");
        let posted = app.caller(AUDITOR, door).post("/audit", &json!({})).await;
        assert!(posted.status >= 400, "{posted}");
    }
    assert!(app.events_of(EventType::AuditRead).await.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn a_case_is_told_from_any_of_its_ids_in_order_with_people_in_words() {
    let app = with_an_auditor().await;
    let (challenge, jti) = a_whole_case(&app).await;
    let reader = SqliteReader::open(&app.home().path("data/ledger.db")).await.unwrap();
    // The outcome of a call is written beside the answer.
    while pages(&reader, &format!("jti={jti} event_type=connector_outcome"), Order::Oldest, 10).await.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let by_challenge = super::case(&reader, &challenge).await;
    let decision = by_challenge.decisions.last().unwrap().clone();
    let document = serde_json::to_value(&by_challenge).unwrap();
    refuses(
        "audit-trace",
        &document,
        vec![("/steps", json!([])), ("/duration_ms", json!(-1)), ("/people/alice", json!("alice")), ("/x", json!(1))],
    );
    for id in [&jti, &decision] {
        let told = super::case(&reader, id).await;
        assert_eq!(told.steps.iter().map(|step| step.seq).collect::<Vec<_>>(), seqs(&document), "{id}");
    }
    let told: Vec<_> = by_challenge.steps.iter().map(|step| (step.event_type.as_str(), step.what.as_str())).collect();
    let kinds: Vec<_> = told.iter().map(|(kind, _)| *kind).filter(|kind| *kind != "connector_outcome").collect();
    assert_eq!(
        kinds,
        [
            "poa_challenge_created",
            "poa_approval_recorded",
            "poa_approval_recorded",
            "poa_issued_dual_control",
            "broker_decision",
            "poa_single_use_replay_blocked",
        ]
    );
    assert_eq!(
        told[0].1,
        "procurement asked for sap.vendor.change (high) by POST erp/vendors/V-1001/bank-account; it waits for approvals"
    );
    assert_eq!((told[1].1, told[2].1), ("alice approved", "bob approved; nobody is missing any more"));
    assert_eq!(by_challenge.people["alice"], app.id_of("alice").to_string());
    assert!(told.iter().any(|(_, what)| what.starts_with("erp answered 200")), "{told:?}");
    assert!(
        by_challenge.complete && by_challenge.steps[0].after_ms.is_none() && by_challenge.steps[1].after_ms.is_some()
    );
    reader.close().await;
    app.finish().await;
}

fn seqs(trace: &Value) -> Vec<u64> {
    trace["steps"].as_array().unwrap().iter().map(|step| step["seq"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_case_goes_on_in_the_challenge_that_asks_again() {
    let app = with_an_auditor().await;
    let first = app.challenge(&crate::app::asking("high")).await;
    let agent = app.to_issuer("procurement");
    let withdrawn = agent.post(&format!("/issue/{first}/withdraw"), &json!({"reason": "typo in the order"})).await;
    assert_eq!(withdrawn.status, 200, "{withdrawn}");
    let again = agent.post(&format!("/issue/{first}/reask"), &json!({})).await;
    let second = again.text("/challenge_id");
    let reader = SqliteReader::open(&app.home().path("data/ledger.db")).await.unwrap();
    for id in [&first, &second] {
        let told = super::case(&reader, id).await;
        assert_eq!(told.challenges, [first.clone(), second.clone()], "{id}");
        let what: Vec<_> = told.steps.iter().map(|step| step.what.as_str()).collect();
        assert!(what[1].starts_with("procurement took it back: typo in the order"), "{what:?}");
        assert!(what[2].starts_with("procurement asked again for sap.vendor.change"), "{what:?}");
    }
    reader.close().await;
    app.finish().await;
}
