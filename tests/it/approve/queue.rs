//! `GET /challenges`: what an approver finds, what she does not, and pages that stay put.

use std::collections::BTreeSet;
use std::time::Duration;

use atb::domain::ledger::EventType;
use serde_json::json;

use crate::app::{AGENT, Answer, OTHER, TestApp, asking, ground};

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer}");
    let challenges = answer.json["challenges"].as_array().unwrap();
    challenges.iter().map(|challenge| challenge["challenge_id"].as_str().unwrap().to_owned()).collect()
}

async fn a_team_of_its_own() -> TestApp {
    TestApp::start_with(|home| {
        home.edit_policy_data("opa/approvers/data.json", |people| {
            people["spiffe://atb.dev/approver/carol"]["workspaces"] = json!(["team-b"]);
            people["spiffe://atb.dev/approver/bob"]["acts"] = json!(["erp.*"]);
        });
    })
    .await
}

#[tokio::test]
async fn every_filter_finds_what_it_says() {
    let app = a_team_of_its_own().await;
    let medium = app.challenge(&asking("medium")).await;
    let high = app.challenge(&asking("high")).await;
    let mut ask = asking("medium");
    ask["approvers"] = json!(["spiffe://atb.dev/approver/bob"]);
    let of_bob = app.challenge(&ask).await;
    let other = app.to_issuer(OTHER).post("/issue", &asking("medium")).await;
    assert_eq!(other.status, 202, "{other}");
    let other = other.text("/challenge_id");
    let no = app.to_issuer("alice").post(&format!("/challenges/{other}/reject"), &json!({"reason": "no"})).await;
    assert_eq!(no.status, 200, "{no}");
    let between = app.shown(&high).await["created_at"].as_str().unwrap().to_owned();

    let (alice, bob) = (app.to_issuer("alice"), app.to_issuer("bob"));
    let (medium, high, of_bob, other) = (medium.as_str(), high.as_str(), of_bob.as_str(), other.as_str());
    for (who, query, expected) in [
        (&alice, String::new(), vec![medium, high, other]),
        (&bob, String::new(), vec![medium, high, of_bob, other]),
        (&alice, "?status=pending".to_owned(), vec![medium, high]),
        (&alice, "?status=rejected".to_owned(), vec![other]),
        (&alice, "?status=pending,rejected".to_owned(), vec![medium, high, other]),
        (&alice, "?status=pending&status=rejected&status=pending".to_owned(), vec![medium, high, other]),
        (&alice, "?status=redeemed".to_owned(), vec![]),
        (&alice, "?tier=high".to_owned(), vec![high]),
        (&alice, "?act=erp.order.create".to_owned(), vec![medium, other]),
        (&alice, "?act=sap.*".to_owned(), vec![high]),
        (&alice, "?agent=spiffe://atb.dev/agent/support".to_owned(), vec![other]),
        (&alice, "?workspace=default".to_owned(), vec![medium, high, other]),
        (&alice, "?workspace=team-b".to_owned(), vec![]),
        (&alice, format!("?since={between}"), vec![high, other]),
        (&alice, format!("?until={between}"), vec![medium]),
        (&alice, "?order=newest".to_owned(), vec![other, high, medium]),
        (&alice, "?order=oldest&limit=200".to_owned(), vec![medium, high, other]),
        (&alice, "?mine=true".to_owned(), vec![medium, high]),
        (&alice, "?mine=false&status=rejected".to_owned(), vec![other]),
        (&alice, "?mine=true&status=rejected".to_owned(), vec![]),
        (&bob, "?mine=true".to_owned(), vec![medium, of_bob]),
    ] {
        assert_eq!(ids(&who.get(&format!("/challenges{query}")).await), expected, "{query}");
    }
    // Whoever has voted is not asked again, whichever of her identities she comes with.
    assert_eq!(app.approve("alice", high).await.status, 200);
    for name in ["alice", "alice-mobile"] {
        assert_eq!(ids(&app.to_issuer(name).get("/challenges?mine=true").await), [medium], "{name}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_query_that_is_not_understood_is_refused_and_names_the_parameter() {
    let app = TestApp::start().await;
    let alice = app.to_issuer("alice");
    for (query, reason, parameter) in [
        ("state=pending", "query_unknown", "state"),
        ("status=open", "query_invalid", "status"),
        ("status=", "query_invalid", "status"),
        ("status=pending,", "query_invalid", "status"),
        ("tier=extreme", "query_invalid", "tier"),
        ("tier=low&tier=low", "query_repeated", "tier"),
        ("act=*.read", "query_invalid", "act"),
        ("agent=procurement", "query_invalid", "agent"),
        ("workspace=A%20B", "query_invalid", "workspace"),
        ("mine=yes", "query_invalid", "mine"),
        ("mine=true&mine=true", "query_repeated", "mine"),
        ("since=yesterday", "query_invalid", "since"),
        ("until=2026-11-21", "query_invalid", "until"),
        ("order=random", "query_invalid", "order"),
        ("limit=0", "query_invalid", "limit"),
        ("limit=201", "query_invalid", "limit"),
        ("limit=-1", "query_invalid", "limit"),
        ("cursor=x", "query_invalid", "cursor"),
        ("cursor=", "query_invalid", "cursor"),
        ("cursor=AQAAAaDFxzlAAaDFxzlAcACAAAAAAAAAAAAAAAAAAAAA", "query_invalid", "cursor"),
        ("%E2%80%AE=1", "query_unknown", "?"),
    ] {
        let mark = app.mark().await;
        let answer = alice.get(&format!("/challenges?{query}")).await;
        assert_eq!(answer.verdict(), format!("400 {reason}"), "{query}: {answer}");
        assert_eq!(answer.pointers(), [format!("/query/{parameter}")], "{query}");
        assert!(answer.text("/detail").contains(&format!("`{parameter}`")), "{query}: {answer}");
        answer.assert_problem();
        assert_eq!(TestApp::only(app.events_since(mark).await, query).event_type, EventType::PoaDenied);
    }
    assert_eq!(alice.get("/challenges?status=%ff").await.status, 400);
    app.finish().await;
}

#[tokio::test]
async fn nobody_sees_what_is_not_hers_to_see() {
    let app = a_team_of_its_own().await;
    let challenge = app.challenge(&asking("medium")).await;
    let carol = app.to_issuer("carol");
    for query in ["", "?status=pending", "?workspace=default", "?mine=true", "?act=erp.*&order=newest"] {
        assert!(ids(&carol.get(&format!("/challenges{query}")).await).is_empty(), "{query}");
    }
    // A cursor of somebody else is a place and not a grant.
    for _ in 0..2 {
        app.challenge(&asking("medium")).await;
    }
    let page = app.to_issuer("alice").get("/challenges?limit=1").await;
    let cursor = page.text("/next");
    assert!(ids(&carol.get(&format!("/challenges?limit=1&cursor={cursor}")).await).is_empty());
    for path in ["/challenges", "/challenges?mine=true", "/challenges/events"] {
        let mark = app.mark().await;
        let answer = app.to_issuer(AGENT).get(path).await;
        assert_eq!(answer.verdict(), "403 approver_unknown", "{path}");
        answer.assert_problem();
        let event = TestApp::only(app.events_since(mark).await, path);
        assert_eq!(event.event_type, EventType::PoaApprovalRefused, "{path}");
    }
    assert_eq!(ids(&page), [challenge]);
    app.finish().await;
}

#[tokio::test]
async fn pages_stay_put_while_others_ask_and_decide() {
    let app = TestApp::start().await;
    let mut there = Vec::new();
    for _ in 0..14 {
        there.push(app.challenge(&asking("medium")).await);
    }
    let (stays, goes): (Vec<_>, Vec<_>) = there.into_iter().enumerate().partition(|(n, _)| n % 3 != 0);
    let alice = app.to_issuer("alice");
    let read = async {
        for order in ["oldest", "newest"] {
            let (mut seen, mut path) = (Vec::new(), format!("/challenges?status=pending&limit=4&order={order}"));
            loop {
                let page = alice.get(&path).await;
                seen.extend(ids(&page));
                let link = page.header("link");
                let Some(next) = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")) else {
                    assert!(page.json.get("next").is_none() && link.is_empty(), "{link}");
                    break;
                };
                assert!(next.ends_with(&page.text("/next")), "{next}");
                assert!(page.json["challenges"].as_array().unwrap().len() == 4);
                path = next.to_owned();
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            let once: BTreeSet<_> = seen.iter().collect();
            assert_eq!(once.len(), seen.len(), "{order}: shown twice in {seen:?}");
            for (_, id) in &stays {
                assert!(once.contains(id), "{order}: {id} was left out");
            }
        }
    };
    let write = async {
        for (_, challenge) in &goes {
            app.challenge(&asking("medium")).await;
            assert_eq!(app.approve("bob", challenge).await.status, 200);
        }
    };
    tokio::join!(read, write);
    app.finish().await;
}

#[tokio::test]
async fn what_ran_out_of_time_does_not_wait() {
    let app = TestApp::start_with(|home| home.challenges_last(1)).await;
    let challenge = app.challenge(&asking("medium")).await;
    let alice = app.to_issuer("alice");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(ids(&alice.get("/challenges?status=pending").await).is_empty());
    let all = alice.get("/challenges").await;
    assert_eq!(all.text("/challenges/0/state"), "expired", "{all}");
    let recorded = async {
        while ids(&alice.get("/challenges?status=expired").await) != [challenge.clone()] {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), recorded).await.expect("it is not listed as expired");
    app.finish().await;
}

#[tokio::test]
async fn a_list_tells_what_is_asked_and_no_parameters() {
    let app = TestApp::start().await;
    let mut ask = asking("high");
    ask["leg"] = ground(&[("order", "order 42")]);
    ask["approvers"] = json!(["spiffe://atb.dev/approver/bob", "spiffe://atb.dev/approver/alice"]);
    let challenge = app.challenge(&ask).await;
    assert_eq!(app.approve("alice", &challenge).await.status, 200);
    let listed = app.to_issuer("bob").get("/challenges").await;
    let (item, shown) = (&listed.json["challenges"][0], app.shown(&challenge).await);
    for (of_list, of_challenge) in [
        ("/challenge_id", "/challenge_id"),
        ("/state", "/state"),
        ("/tier", "/tier"),
        ("/workspace", "/workspace"),
        ("/act", "/ask/act"),
        ("/agent", "/ask/sub"),
        ("/call/path", "/call/path"),
        ("/ground/ref", "/ask/leg/ref"),
        ("/ground/description", "/ask/leg/description"),
        ("/sum", "/statement/sum"),
        ("/required", "/required"),
        ("/approved", "/approved"),
        ("/approvers", "/approvers"),
        ("/created_at", "/created_at"),
        ("/expires_at", "/expires_at"),
    ] {
        assert!(item.pointer(of_list).is_some(), "{of_list}: {item}");
        assert_eq!(item.pointer(of_list), shown.pointer(of_challenge), "{of_list}");
    }
    assert!(!listed.to_string().contains("DE02120300000000202051"), "{listed}");
    app.finish().await;
}
