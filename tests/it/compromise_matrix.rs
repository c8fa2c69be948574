//! `docs/security/compromise-matrix.md`, row by row: the attacker is handed one key or component and runs everything that
//! it opens. What must stay impossible is tried through the real doors; so is what remains possible, because a row that
//! promises too much is worse than none.
//!
//! Every attack names the verdict, and with it the event on record. None may reach the ERP, and none may spend what is
//! genuine.

mod agent;
mod agentauth;
mod agentauth_configuration;
mod approver;
mod board;
mod configuration;
mod console;
mod database;
mod issuer_key;
mod network;
mod officer;
mod platform_token;
mod policy_data;
mod proxy;
mod thief;
mod ticket_system;
mod workload;

use std::collections::BTreeSet;

use atb::domain::ledger::EventType;

use crate::app::{Answer, Mark, TestApp};

/// One attack through a door, and what must come of it.
struct Attack<'a> {
    app: &'a TestApp,
    what: &'a str,
    mark: Mark,
    hits: u64,
}

impl<'a> Attack<'a> {
    async fn begins(app: &'a TestApp, what: &'a str) -> Self {
        Self { app, what, mark: app.mark().await, hits: app.erp_hits() }
    }

    /// Refused with this verdict, on record as `event` with the same reason, and the ERP saw nothing.
    async fn fails(self, answer: &Answer, verdict: &str, event: EventType) {
        let what = self.what;
        assert_eq!(answer.verdict(), verdict, "{what}: {answer}");
        answer.assert_problem();
        // The outcome of a genuine call before it may be written at any moment.
        let mut events = self.app.events_since(self.mark).await;
        events.retain(|entry| entry.event_type != EventType::ConnectorOutcome);
        let recorded = TestApp::only(events, what);
        assert_eq!(recorded.event_type, event, "{what}");
        assert_eq!(recorded.subject.allow, Some(false), "{what}");
        assert_eq!(recorded.subject.reason, Some(answer.reason()), "{what}");
        assert_eq!(self.app.erp_hits(), self.hits, "{what}: it reached the ERP");
    }

    /// Refused at the broker.
    async fn fails_at_the_broker(self, answer: &Answer, verdict: &str) {
        self.fails(answer, verdict, EventType::BrokerDecision).await;
    }
}

/// A legal officer withdraws the template that [`asking`](crate::app::asking) asks on.
async fn withdraw_contract(app: &TestApp) {
    let body = serde_json::json!({"template": "contract", "reason": "the form was wrong"});
    let answer = app.to_issuer("officer").post("/leg/withdrawals", &body).await;
    assert_eq!(answer.status, 201, "{answer}");
}

/// Every test of this module's rows is named in the document, and every test that the document names is here.
#[test]
fn the_document_and_the_tests_are_the_same_list() {
    let sources = [
        include_str!("compromise_matrix/agent.rs"),
        include_str!("compromise_matrix/agentauth.rs"),
        include_str!("compromise_matrix/agentauth_configuration.rs"),
        include_str!("compromise_matrix/approver.rs"),
        include_str!("compromise_matrix/configuration.rs"),
        include_str!("compromise_matrix/console.rs"),
        include_str!("compromise_matrix/database.rs"),
        include_str!("compromise_matrix/issuer_key.rs"),
        include_str!("compromise_matrix/network.rs"),
        include_str!("compromise_matrix/officer.rs"),
        include_str!("compromise_matrix/platform_token.rs"),
        include_str!("compromise_matrix/policy_data.rs"),
        include_str!("compromise_matrix/proxy.rs"),
        include_str!("compromise_matrix/ticket_system.rs"),
        include_str!("compromise_matrix/workload.rs"),
    ];
    let tests = sources.iter().flat_map(|source| source.split("#[tokio::test]\nasync fn ").skip(1));
    let written: BTreeSet<_> = tests.filter_map(|test| test.split('(').next()).collect();
    let document = include_str!("../../docs/security/compromise-matrix.md");
    let named: BTreeSet<_> =
        document.split('`').filter_map(|code| code.strip_prefix("compromise_matrix::")?.split("::").nth(1)).collect();
    assert!(written.len() >= 40, "{written:?}");
    assert_eq!(written, named);
}

/// The document promises events by name; each of them exists.
#[test]
fn every_event_that_the_document_names_exists() {
    let document = include_str!("../../docs/security/compromise-matrix.md");
    let known: BTreeSet<_> = EventType::ALL.iter().map(|event| event.as_str()).collect();
    let named: BTreeSet<_> = document
        .split('`')
        .filter(|code| {
            ["poa_", "broker_", "connector_", "leg_", "service_", "policy_"].iter().any(|p| code.starts_with(p))
        })
        .collect();
    assert!(!named.is_empty());
    assert!(named.is_subset(&known), "{:?}", named.difference(&known));
}
