//! An agent asks again for what came to nothing.

use std::collections::BTreeSet;

use atb::domain::ledger::EventType;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::withdraw::withdraw;
use crate::app::{AGENT, Answer, OTHER, TestApp, asking};
use crate::process::{Home, Upstream, body, ground};
use crate::schemas::fits;

async fn reask(app: &TestApp, challenge: &str) -> Answer {
    app.to_issuer(AGENT).post(&format!("/issue/{challenge}/reask"), &json!({})).await
}

async fn reject(app: &TestApp, challenge: &str) {
    let no = app.to_issuer("bob").post(&format!("/challenges/{challenge}/reject"), &json!({"reason": "not yet"})).await;
    assert_eq!(no.status, 200, "{no}");
}

#[tokio::test]
async fn what_was_rejected_is_asked_again_as_another_challenge_without_the_votes() {
    let app = TestApp::start().await;
    let mut ask = asking("high");
    ask["approvers"] = json!([app.id_of("alice"), app.id_of("bob")]);
    let first = app.challenge(&ask).await;
    assert_eq!(app.approve("alice", &first).await.status, 200);
    let alice = app.to_issuer("alice");
    let old = alice.sign(&alice.statement(&app.shown(&first).await));
    reject(&app, &first).await;

    let mark = app.mark().await;
    let again = reask(&app, &first).await;
    assert_eq!(again.status, 202, "{again}");
    fits("issue-pending", &again.json);
    let second = again.text("/challenge_id");
    assert_ne!(first, second);
    assert_eq!(again.header("location"), format!("/issue/{second}"));
    assert_eq!((again.text("/reask_of"), &again.json["approved"]), (first.clone(), &json!(0)));
    let event = TestApp::only(app.events_since(mark).await, "asked again");
    assert_eq!(event.event_type, EventType::PoaChallengeCreated);
    assert_eq!((event.subject.detail["reask_of"].as_str(), event.subject.detail["reask"].as_str()), (&*first, "1"));
    fits("ledger-entry", &serde_json::to_value(&event).unwrap());

    let (before, after) = (app.shown(&first).await, app.shown(&second).await);
    assert_eq!((&before["reasked_as"], &after["reask_of"]), (&json!(second), &json!(first)));
    assert_eq!(
        (&before["ask"], &before["call"], &before["state"]),
        (&after["ask"], &after["call"], &json!("rejected"))
    );
    assert_eq!(after["approvers"].as_array().unwrap().len(), 2, "who was named is named again");
    for shown in [&before, &after] {
        fits("challenge", shown);
    }
    // What alice signed was for the first one.
    let path = format!("/challenges/{second}/approve");
    assert_eq!(alice.post(&path, &json!({ "statement": old })).await.verdict(), "403 statement_challenge");
    for name in ["alice", "bob"] {
        assert_eq!(app.approve(name, &second).await.status, 200, "{name}");
    }
    assert_eq!(app.collect(&second).await.status, 201);
    assert_eq!(app.collect(&first).await.verdict(), "403 challenge_rejected");
    app.finish().await;
}

#[tokio::test]
async fn only_what_ended_without_a_mandate_is_asked_again_by_its_agent() {
    let app = TestApp::start().await;
    let (pending, approved) = (app.challenge(&asking("medium")).await, app.challenge(&asking("medium")).await);
    let redeemed = app.challenge(&asking("medium")).await;
    for challenge in [&approved, &redeemed] {
        assert_eq!(app.approve("alice", challenge).await.status, 200);
    }
    assert_eq!(app.collect(&redeemed).await.status, 201);
    let ended = app.challenge(&asking("medium")).await;
    reject(&app, &ended).await;
    let unknown = "01890000-0000-7000-8000-000000000000".to_owned();
    let (empty, more) = (json!({}), json!({"ttl_seconds": 900}));
    for (what, name, challenge, body, verdict) in [
        ("pending", AGENT, &pending, &empty, "409 challenge_pending"),
        ("approved", AGENT, &approved, &empty, "409 challenge_approved"),
        ("redeemed", AGENT, &redeemed, &empty, "409 challenge_redeemed"),
        ("another agent", OTHER, &ended, &empty, "404 challenge_not_found"),
        ("an approver", "alice", &ended, &empty, "404 challenge_not_found"),
        ("no such challenge", AGENT, &unknown, &empty, "404 challenge_not_found"),
        ("something else", AGENT, &ended, &more, "422 schema_violation"),
        ("no object", AGENT, &ended, &json!([]), "422 schema_violation"),
    ] {
        let mark = app.mark().await;
        let answer = app.to_issuer(name).post(&format!("/issue/{challenge}/reask"), body).await;
        assert_eq!(answer.verdict(), verdict, "{what}: {answer}");
        answer.assert_problem();
        assert_eq!(TestApp::only(app.events_since(mark).await, what).event_type, EventType::PoaDenied, "{what}");
    }
    assert_eq!(reask(&app, &ended).await.status, 202);
    app.finish().await;
}

#[tokio::test]
async fn one_request_is_asked_again_three_times_and_each_once() {
    let app = TestApp::start().await;
    let mut challenge = app.challenge(&asking("high")).await;
    let mut chain = vec![challenge.clone()];
    for way in ["rejected", "withdrawn", "rejected"] {
        match way {
            "withdrawn" => assert_eq!(withdraw(&app, AGENT, &challenge).await.status, 200),
            _ => reject(&app, &challenge).await,
        }
        let again = reask(&app, &challenge).await;
        assert_eq!(again.status, 202, "{again}");
        let twice = reask(&app, &challenge).await;
        assert_eq!(twice.verdict(), "409 challenge_reasked");
        challenge = again.text("/challenge_id");
        assert!(twice.text("/detail").contains(&challenge), "the successor is not named: {twice}");
        chain.push(challenge.clone());
    }
    reject(&app, &challenge).await;
    let too_often = reask(&app, &challenge).await;
    assert_eq!(too_often.verdict(), "409 reask_limit");
    fits("problem", &too_often.json);
    assert_eq!(chain.iter().collect::<BTreeSet<_>>().len(), 4);
    assert_eq!(app.events_of(EventType::PoaChallengeCreated).await.len(), 4);
    app.finish().await;
}

#[tokio::test]
async fn what_ran_out_of_time_is_asked_again_with_time_anew() {
    let app = TestApp::start_with(|home| home.challenges_last(2)).await;
    let first = app.challenge(&asking("high")).await;
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    // Whether or not the sweep has come by.
    let again = reask(&app, &first).await;
    assert_eq!((again.status, again.text("/reask_of")), (202, first.clone()), "{again}");
    assert_eq!(app.collect(&again.text("/challenge_id")).await.status, 202);
    assert_eq!(app.collect(&first).await.verdict(), "410 challenge_expired");
    let expired = app.events_of(EventType::PoaChallengeExpired).await;
    let of_first = expired.iter().filter(|event| event.subject.challenge_id.unwrap().to_string() == first);
    assert_eq!(of_first.count(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_who_ask_again_at_once_get_one_successor() {
    let app = TestApp::start().await;
    let first = app.challenge(&asking("high")).await;
    reject(&app, &first).await;
    let mut agents = Vec::new();
    for _ in 0..6 {
        agents.push(std::sync::Arc::new(app.to_issuer(AGENT).connected().await));
    }
    let mark = app.mark().await;
    let path = format!("/issue/{first}/reask");
    let asked: JoinSet<_> = (0..60)
        .map(|at| (agents[at % agents.len()].clone(), path.clone()))
        .map(|(agent, path)| async move { agent.post(&path, &json!({})).await })
        .collect();
    let answers = asked.join_all().await;
    let opened: Vec<_> = answers.iter().filter(|answer| answer.status == 202).collect();
    assert_eq!(opened.len(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.verdict() == "409 challenge_reasked").count(), 59);
    assert_eq!(app.shown(&first).await["reasked_as"], opened[0].json["challenge_id"]);
    let events = app.events_since(mark).await;
    assert_eq!(events.iter().filter(|event| event.event_type == EventType::PoaChallengeCreated).count(), 1);
    assert_eq!(events.len(), 60);
    app.finish().await;
}

/// A process whose directory changes while it is down.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_again_is_judged_by_the_policy_and_templates_of_today() {
    let upstream = Upstream::open().await;
    let home = Home::new();
    home.connect(upstream.address);
    let served = home.serve();
    let ask = json!({"act": "erp.order.create", "leg": ground()});
    let open = async |served: &crate::process::Served| {
        let agent = served.at_agentauth("procurement");
        let asked = agent.post("/issue", &ask).await.unwrap();
        assert_eq!(asked.status.as_u16(), 202, "{}", body(&asked));
        let id = body(&asked)["challenge_id"].as_str().unwrap().to_owned();
        let gone = agent.post(&format!("/issue/{id}/withdraw"), &json!({"reason": "later"})).await.unwrap();
        assert_eq!(gone.status.as_u16(), 200);
        id
    };
    let (one, two) = (open(&served).await, open(&served).await);
    served.kill();

    let tiers = home.file("opa/tiers/data.json");
    let mut data: Value = serde_json::from_slice(&std::fs::read(&tiers).unwrap()).unwrap();
    data["medium"]["approvals"] = json!(2);
    std::fs::write(&tiers, data.to_string()).unwrap();
    let served = home.serve();
    let again = served.at_agentauth("procurement").post(&format!("/issue/{one}/reask"), &json!({})).await.unwrap();
    assert_eq!((again.status.as_u16(), &body(&again)["required"]), (202, &json!(2)), "{}", body(&again));
    served.kill();

    home.edit("opa/leg_templates/contract/data.yaml", r#"version: "1.0.0""#, r#"version: "1.0.1""#);
    let served = home.serve();
    let again = served.at_agentauth("procurement").post(&format!("/issue/{two}/reask"), &json!({})).await.unwrap();
    assert_eq!((again.status.as_u16(), &body(&again)["code"]), (422, &json!("leg_refused")), "{}", body(&again));
    // Nothing was opened, so it may be asked again once the template is back.
    drop(served);
    home.edit("opa/leg_templates/contract/data.yaml", r#"version: "1.0.1""#, r#"version: "1.0.0""#);
    let served = home.serve();
    let again = served.at_agentauth("procurement").post(&format!("/issue/{two}/reask"), &json!({})).await.unwrap();
    assert_eq!(again.status.as_u16(), 202, "{}", body(&again));
}
