//! Who may agree: people of the directory, for this tier and act, who have no part in the request.

use atb::domain::ledger::EventType;
use serde_json::{Value, json};

use crate::app::{AGENT, Answer, Home, OTHER, TestApp, asking, ground};

/// Changes what the directory says about one approver.
fn directory(home: &Home, name: &str, member: &str, value: Value) {
    home.edit_policy_data("opa/approvers/data.json", |people| {
        people[format!("spiffe://atb.dev/approver/{name}")][member] = value;
    });
}

/// `name` signs and hands in what everybody else is shown.
async fn tries(app: &TestApp, name: &str, ask: &Value) -> Answer {
    let asked = app.issue(ask).await;
    assert_eq!(asked.status, 202, "{asked}");
    let caller = app.to_issuer(name);
    let statement = caller.sign(&caller.statement(&asked.json));
    let mark = app.mark().await;
    let path = format!("/challenges/{}/approve", asked.text("/challenge_id"));
    let answer = caller.post(&path, &json!({ "statement": statement })).await;
    let event = TestApp::only(app.events_since(mark).await, name);
    let expected = if answer.status == 200 { EventType::PoaApprovalRecorded } else { EventType::PoaApprovalRefused };
    assert_eq!(event.event_type, expected);
    answer
}

#[tokio::test]
async fn the_requester_cannot_approve_her_own_request() {
    let app = TestApp::start().await;
    assert_eq!(tries(&app, AGENT, &asking("high")).await.verdict(), "403 approver_unknown");
    app.finish().await;
}

#[tokio::test]
async fn the_requester_cannot_approve_even_where_the_directory_lists_her() {
    let app = TestApp::start_with(|home| {
        home.edit_policy_data("opa/approvers/data.json", |people| {
            let mut entry = people["spiffe://atb.dev/approver/bob"].clone();
            entry["person"] = json!("procurement-bot");
            people["spiffe://atb.dev/agent/procurement"] = entry;
        });
    })
    .await;
    assert_eq!(tries(&app, AGENT, &asking("high")).await.verdict(), "403 approver_is_requester");
    app.finish().await;
}

#[tokio::test]
async fn whoever_is_not_in_the_directory_does_not_count() {
    let app = TestApp::start().await;
    app.enrol("mallory", "approver/mallory", std::time::Duration::from_secs(600));
    for name in [OTHER, "mallory"] {
        assert_eq!(tries(&app, name, &asking("high")).await.verdict(), "403 approver_unknown", "{name}");
    }
    app.finish().await;
}

#[tokio::test]
async fn the_accountable_party_does_not_count() {
    let app = TestApp::start().await;
    let mut ask = asking("high");
    ask["leg"] = ground(&[("accountable_id", "bob")]);
    assert_eq!(tries(&app, "bob", &ask).await.verdict(), "403 approver_is_accountable_party");
    assert_eq!(tries(&app, "alice", &ask).await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn the_person_who_operates_the_agent_does_not_count() {
    let app = TestApp::start_with(|home| directory(home, "bob", "person", json!("dave"))).await;
    assert_eq!(tries(&app, "bob", &asking("high")).await.verdict(), "403 approver_operates_requester");
    app.finish().await;
}

#[tokio::test]
async fn an_approver_counts_for_her_tiers_acts_and_workspaces_only() {
    let app = TestApp::start_with(|home| {
        directory(home, "alice", "tiers", json!(["medium"]));
        directory(home, "bob", "acts", json!(["crm.*"]));
        directory(home, "carol", "workspaces", json!(["team-b"]));
    })
    .await;
    assert_eq!(tries(&app, "alice", &asking("high")).await.verdict(), "403 approver_tier");
    assert_eq!(tries(&app, "alice", &asking("medium")).await.status, 200);
    assert_eq!(tries(&app, "bob", &asking("high")).await.verdict(), "403 approver_act");
    // Another workspace's requests are not hers to know.
    assert_eq!(tries(&app, "carol", &asking("high")).await.verdict(), "404 challenge_not_found");
    app.finish().await;
}

#[tokio::test]
async fn agents_see_no_challenges_and_foreign_agents_see_none_of_another() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    for (name, path, verdict) in [
        (AGENT, "/challenges".to_owned(), "403 approver_unknown"),
        (AGENT, format!("/challenges/{challenge}"), "403 approver_unknown"),
        (OTHER, format!("/issue/{challenge}"), "404 challenge_not_found"),
        ("alice", format!("/issue/{challenge}"), "404 challenge_not_found"),
        (AGENT, "/issue/01890000-0000-7000-8000-000000000000".to_owned(), "404 challenge_not_found"),
    ] {
        let mark = app.mark().await;
        let answer = app.to_issuer(name).get(&path).await;
        assert_eq!(answer.verdict(), verdict, "{name} {path}");
        answer.assert_problem();
        TestApp::only(app.events_since(mark).await, &path);
    }
    app.finish().await;
}

#[tokio::test]
async fn what_is_signed_is_what_is_shown() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    let shown = app.to_issuer("alice").get(&format!("/challenges/{challenge}")).await;
    // The command line signs nothing whose digests it cannot compute from what it shows.
    let checked = atb::cli::approve::Shown::check(&shown.body).unwrap().lines().join("\n");
    let sentence = "Change the bank account of vendor V-1001 to DE02120300000000202051 and its payment limit to 25000";
    for text in [sentence, "(high tier)", "/vendors/V-1001/bank-account", "/payment_limit  25000", "MSA-1001"] {
        assert!(checked.contains(text), "{text} is not shown:\n{checked}");
    }
    let body = String::from_utf8(shown.body).unwrap();
    assert!(atb::cli::approve::Shown::check(body.replacen("25000", "250000", 1).as_bytes()).is_err());
    app.finish().await;
}

/// A service that lies: whatever it shows otherwise than it asks, and however well its digests fit.
#[tokio::test]
async fn a_service_cannot_show_other_facts_than_those_that_are_signed() {
    use atb::cli::approve::Shown;
    use atb::domain::approval::View;
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    let honest = app.shown(&challenge).await;
    assert!(Shown::check(honest.to_string().as_bytes()).is_ok());
    // With a digest that fits what is shown.
    let lie = |edit: &dyn Fn(&mut Value)| {
        let mut shown = honest.clone();
        edit(&mut shown);
        if let Ok(view) = serde_json::from_value::<View>(shown["view"].clone()) {
            shown["statement"]["view"] = json!(view.digest());
        }
        Shown::check(shown.to_string().as_bytes()).err().map(|error| format!("{error:#}")).unwrap_or_default()
    };
    let facts = honest["view"]["facts"].as_array().unwrap();
    for (at, fact) in facts.iter().enumerate() {
        for (member, value) in [("value", json!("other")), ("label", json!("other")), ("flags", json!(["bidi"]))] {
            let told = lie(&|shown| shown["view"]["facts"][at][member] = value.clone());
            assert!(told.contains("tell security"), "{fact} {member}: {told}");
        }
        let told = lie(&|shown| drop(shown["view"]["facts"].as_array_mut().unwrap().remove(at)));
        assert!(told.contains("tell security"), "without {fact}: {told}");
    }
    assert!(lie(&|shown| shown["view"]["tier"] = json!("low")).contains("tell security"));
    assert!(lie(&|shown| shown["call"]["params"]["payment_limit"] = json!(1)).contains("tell security"));
    assert!(lie(&|shown| shown["ask"]["ttl"] = json!(1)).contains("tell security"));
    assert!(lie(&|shown| shown["call"] = json!(null)).contains("tell security"));
    // Another sentence fits its own digest, and no broker: it is not what its bundle gives.
    assert_eq!(lie(&|shown| shown["view"]["sentence"] = json!("Read vendor V-1001")), "");
    let mut shown = honest.clone();
    shown["view"]["sentence"] = json!("Read vendor V-1001");
    let error = Shown::check(shown.to_string().as_bytes()).err().map(|error| error.to_string()).unwrap();
    assert!(error.contains("another view") && error.contains("tell security"), "{error}");
    app.finish().await;
}
