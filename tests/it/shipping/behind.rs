//! A sink that is dead: decisions go on until the bound, then as the operator chose.

use atb::domain::ledger::EventType;
use tokio::net::TcpListener;

use super::{QUICK, Receiver, assert_all_in_order, ledger, lines, some_entries, until};
use crate::app::{TestApp, asking};

async fn dead_sink(more: &str) -> (TestApp, std::net::SocketAddr) {
    let place = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = place.local_addr().unwrap();
    drop(place);
    let table = format!("[sinks.siem]\nkind = \"http\"\nurl = \"http://{address}/in\"\n{QUICK}{more}\n");
    (TestApp::start_with(|home| home.configure(&table)).await, address)
}

async fn recorded(app: &TestApp, kind: EventType) -> atb::domain::ledger::Entry {
    let end = std::time::Instant::now() + super::PATIENCE;
    loop {
        if let Some(entry) = app.events_of(kind).await.pop() {
            return entry;
        }
        assert!(std::time::Instant::now() < end, "there is no {kind:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_dead_sink_lets_decisions_go_on_until_its_bound_and_then_refuses_them_until_it_is_back() {
    let (mut app, address) = dead_sink("max_lag_records = 30\non_full = \"refuse\"").await;
    let challenge = app.challenge(&asking("high")).await;
    let mandate = app.low_mandate().await;
    let (mut taken, end) = (0, std::time::Instant::now() + super::PATIENCE);
    let refused = loop {
        let answer = app.issue(&asking("low")).await;
        if answer.status != 201 {
            break answer;
        }
        taken += 1;
        assert!(std::time::Instant::now() < end, "{taken} decisions and no end");
    };
    assert!(taken >= 20, "decisions went on until the bound: {taken}");
    refused.assert_problem();
    assert_eq!((refused.status, refused.text("/code")), (503, "sink_backlog".to_owned()));
    assert_eq!(refused.header("retry-after"), "1");
    let hits = app.erp_hits();
    let call = app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await;
    assert_eq!((call.status, call.text("/code")), (503, "sink_backlog".to_owned()));
    assert_eq!(app.erp_hits(), hits, "a call went out");
    assert!(!call.json.to_string().contains("siem"), "callers are not told which sink");
    let (status, ready) = app.ops("/ready").await;
    assert!(status == 503 && ready.contains("sink `siem` is behind") && ready.contains("no connection"), "{ready}");
    let lagging = recorded(&app, EventType::SinkLagging).await;
    crate::schemas::fits("ledger-entry", &serde_json::to_value(&lagging).unwrap());
    assert_eq!(
        (lagging.subject.detail["sink"].as_str(), lagging.subject.detail["on_full"].as_str()),
        ("siem", "refuse")
    );
    let (_, metrics) = app.ops("/metrics").await;
    assert!(metrics.contains("atb_sink_beyond_bound{sink=\"siem\"} 1"), "{metrics}");
    // What makes things safer is taken: the challenge can be rejected.
    let rejected =
        app.to_issuer("alice").post(&format!("/challenges/{challenge}/reject"), &serde_json::json!({})).await;
    assert_ne!(rejected.text("/code"), "sink_backlog", "{rejected:?}");

    // A start does not forget that it is behind.
    app.restart().await;
    assert_eq!(app.issue(&asking("low")).await.text("/code"), "sink_backlog");

    let siem = Receiver::at(TcpListener::bind(address).await.unwrap(), |_| (200, String::new()));
    let caught_up = recorded(&app, EventType::SinkCaughtUp).await;
    crate::schemas::fits("ledger-entry", &serde_json::to_value(&caught_up).unwrap());
    let end = std::time::Instant::now() + super::PATIENCE;
    while app.issue(&asking("low")).await.status != 201 {
        assert!(std::time::Instant::now() < end, "decisions are not taken again");
    }
    assert_eq!(app.ops("/ready").await.0, 200);
    let written = ledger(&app).await;
    until("everything", || lines(&siem.taken()).contains(written.last().unwrap())).await;
    assert_all_in_order(lines(&siem.taken()), &written);
    app.finish().await;
}

#[tokio::test]
async fn a_dead_sink_that_alerts_says_so_once_and_refuses_nothing() {
    let (app, _) = dead_sink("max_lag_records = 5\non_full = \"alert\"").await;
    some_entries(&app, 10).await;
    let lagging = recorded(&app, EventType::SinkLagging).await;
    assert_eq!(lagging.subject.detail["on_full"], "alert");
    assert_eq!(app.issue(&asking("low")).await.status, 201);
    assert_eq!(app.ops("/ready").await.0, 200);
    some_entries(&app, 5).await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!(app.events_of(EventType::SinkLagging).await.len(), 1, "once, not with every look");
    app.finish().await;
}

#[tokio::test]
async fn a_new_sink_may_start_at_what_is_written_from_now_on() {
    let siem = Receiver::start(|_| (200, String::new())).await;
    let address = siem.address;
    let table = format!("[sinks.siem]\nkind = \"http\"\nurl = \"http://{address}/in\"\nstart = \"now\"\n{QUICK}");
    let app = TestApp::start_with(|home| home.configure(&table)).await;
    some_entries(&app, 2).await;
    let written = ledger(&app).await;
    until("the last entry", || lines(&siem.taken()).contains(written.last().unwrap())).await;
    assert_all_in_order(lines(&siem.taken()), &written);
    app.finish().await;
}
