//! The attacker is the ticket system of critical acts: it says yes to everything.

use atb::domain::ledger::EventType;

use super::Attack;
use super::board::Board;
use crate::app::{TestApp, asking, asking_critical, ground, the_call};

#[tokio::test]
async fn a_yes_to_every_ticket_is_nobodys_approval() {
    let board = Board::start("approved").await;
    let app = TestApp::start_with(|home| board.stands_in(home)).await;
    let mut made_up = asking("critical");
    made_up["leg"] = ground(&[("ticket_system", "jira"), ("ticket_ref", "OPS-40404")]);
    let challenge = app.challenge(&made_up).await;
    assert_eq!(app.collect(&challenge).await.status, 202, "a ticket that was made up still asks people");
    for name in ["alice", "bob"] {
        assert_eq!(app.approve(name, &challenge).await.status, 200);
    }
    let waiting = app.collect(&challenge).await;
    assert_eq!(waiting.status, 202, "two people, and no executive among them: {waiting}");
    let attack = Attack::begins(&app, "without a ticket").await;
    attack.fails(&app.issue(&asking("critical")).await, "403 ticket_missing", EventType::PoaDenied).await;
    assert!(board.asked() > 0);
    app.finish().await;
}

/// What remains: a critical act without a change that anybody approved there, if enough people sign it.
#[tokio::test]
async fn what_remains_is_what_enough_people_sign_without_a_change() {
    let board = Board::start("approved").await;
    let app = TestApp::start_with(|home| board.stands_in(home)).await;
    let mandate = app.approved_mandate(&asking_critical(), &["alice", "carol"]).await;
    let (method, path, body) = the_call("critical");
    assert_eq!(app.call(method, path, &mandate, body.as_ref()).await.status, 204);
    app.finish().await;
}
