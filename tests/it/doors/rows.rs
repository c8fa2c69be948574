//! Rows of the threat table that need a door, an upstream and a configuration of their own.

use std::collections::BTreeSet;

use atb::domain::ledger::{EventType, Outcome};
use serde_json::json;

use crate::app::{AGENT, Answer, Home, TestApp, asking};

const CONNECTOR: &str = "connectors/erp.toml";
const CALL: &str = "/c/erp/vendors/V-1001";

async fn call(app: &TestApp, headers: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {}", app.low_mandate().await);
    let headers = [&[("authorization", bearer.as_str())][..], headers].concat();
    app.to_broker(AGENT).send("GET", CALL, &headers, Vec::new()).await
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_not_connected_to_unless_the_connector_says_so() {
    // `127.1` is a name to a URL and loopback to a resolver (inet_aton), so this needs no DNS.
    let mut app = TestApp::start_with(|home| home.replace(CONNECTOR, "http://127.0.0.1:", "http://127.1:")).await;
    let answer = call(&app, &[]).await;
    assert_eq!(answer.verdict(), "502 upstream_address_forbidden", "{answer}");
    answer.assert_problem();
    assert_eq!(app.erp_hits(), 0);
    app.stop().await;
    app.home().replace(CONNECTOR, "dev_plain_http = true", "allow_private = true\ndev_plain_http = true");
    app.start_again().await.unwrap();
    let outcomes = app.events_of(EventType::ConnectorOutcome).await;
    assert_eq!(outcomes.iter().map(|event| event.subject.outcome).collect::<Vec<_>>(), [Some(Outcome::Failed)]);
    assert_eq!(call(&app, &[]).await.status, 200);
    assert_eq!(app.erp_hits(), 1);
    app.finish().await;
}

fn with_credentials(home: &Home) {
    home.secret("connectors/erp-key", "ours-77\n");
    let table = "[credentials]\nheader = \"X-ERP-Key\"\nvalue_file = \"erp-key\"\n\n[limits]";
    home.replace(CONNECTOR, "[limits]", table);
}

#[tokio::test]
async fn no_header_of_the_caller_strips_or_replaces_what_the_broker_shows_the_upstream() {
    let app = TestApp::start_with(with_credentials).await;
    let cases: [&[(&str, &str)]; 4] = [
        &[("connection", "x-erp-key, x-atb-act, host")],
        &[("x-erp-key", "forged")],
        &[("x-atb-act", "erp.vendor.delete"), ("x-atb-decision-id", "forged")],
        &[("x-real-ip", "10.0.0.1"), ("x-forwarded-host", "evil.example"), ("forwarded", "host=evil.example")],
    ];
    for (nth, headers) in (1..).zip(cases) {
        let answer = call(&app, headers).await;
        assert_eq!((answer.status, app.erp_hits()), (200, nth), "{headers:?}: {answer}");
        let seen = app.erp().seen().headers;
        assert_eq!(seen["x-erp-key"], "ours-77", "{headers:?}");
        assert_eq!(seen["x-atb-act"], "erp.vendor.read", "{headers:?}");
        assert_eq!(seen["x-atb-decision-id"], answer.header("x-atb-decision-id"), "{headers:?}");
        assert_eq!(seen["host"], app.erp().address().to_string(), "{headers:?}");
        let names = ["x-real-ip", "x-forwarded-host", "forwarded", "connection", "authorization"];
        assert!(names.iter().all(|name| !seen.contains_key(*name)), "{headers:?}: {seen:?}");
    }
    app.finish().await;
}

/// The series that `/metrics` has: names with their labels.
async fn series(app: &TestApp) -> BTreeSet<String> {
    let (_, text) = app.ops("/metrics").await;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| name.to_owned()).collect()
}

#[tokio::test]
async fn whatever_names_callers_make_up_add_no_series() {
    let app = TestApp::start().await;
    let (issuer, broker) = (app.to_issuer(AGENT), app.to_broker(AGENT));
    let mandate = app.low_mandate().await;
    let bearer = format!("Bearer {mandate}");
    let round = async |from: usize, to: usize| {
        for nth in from..to {
            let mut ask = asking("low");
            ask["act"] = json!(format!("erp.made{nth}.up"));
            assert!((400..500).contains(&issuer.post("/issue", &ask).await.status));
            let trace = format!("00-{nth:032x}-{nth:016x}-01");
            let headers = [("authorization", bearer.as_str()), ("traceparent", &trace), ("user-agent", &trace)];
            for path in [format!("/c/made{nth}/x"), format!("/c/erp/made{nth}"), format!("/made{nth}")] {
                let answer = broker.send("GET", &path, &headers, Vec::new()).await;
                assert_eq!(answer.status, 404, "{answer}");
            }
        }
    };
    round(1, 4).await;
    let before = series(&app).await;
    assert!(before.len() > 50, "{before:?}");
    round(4, 104).await;
    let after = series(&app).await;
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(after.iter().all(|name| !name.contains("made")), "{after:?}");
    assert_eq!(app.erp_hits(), 0);
    app.finish().await;
}
