//! Standing in: a signed, scoped, time-boxed delegation lets one approver act for another and never for herself.

use atb::domain::approval::{Delegation, Statement};
use atb::domain::catalogue::Tier;
use atb::domain::ledger::{Entry, EventType};
use serde_json::json;

use crate::app::{AGENT, Answer, Caller, TestApp, asking, ground, the_call};

/// Why a test waits: the policy in this tree counts a delegate without saying for whom, and is therefore not believed.
/// The tests that need its word are ignored with this reason.
///
/// `needs data.atb.approval.assessment.counted[].on_behalf_of`
struct Standing<'a> {
    app: &'a TestApp,
    challenge: String,
    delegate: Caller,
    delegator: Caller,
    plain: Delegation,
}

impl<'a> Standing<'a> {
    /// `delegate` stands in for `delegator` on a fresh challenge.
    async fn new(app: &'a TestApp, ask: &serde_json::Value, delegate: &str, delegator: &str) -> Self {
        let challenge = app.challenge(ask).await;
        Self::on(app, challenge, delegate, delegator).await
    }

    async fn on(app: &'a TestApp, challenge: String, delegate: &str, delegator: &str) -> Self {
        let (delegate, delegator) = (app.to_issuer(delegate), app.to_issuer(delegator));
        let shown = app.shown(&challenge).await;
        let plain = delegator.delegation(&delegate, &shown);
        Self { app, challenge, delegate, delegator, plain }
    }

    /// The delegate hands in her statement with this delegation.
    async fn tries(&self, jws: &str) -> Answer {
        let statement = self.delegate.statement(&self.app.shown(&self.challenge).await);
        let signed = self.delegate.sign(&Statement { del: Some(jws.to_owned()), ..statement });
        let path = format!("/challenges/{}/approve", self.challenge);
        self.delegate.post(&path, &json!({ "statement": signed })).await
    }

    async fn votes(&self) -> Answer {
        self.tries(&self.delegator.delegate(&self.plain)).await
    }

    /// Hands it in: it must not count, one event must say so, and the delegate's own approval still counts.
    async fn refuses(&self, what: &str, jws: &str, verdict: &str) {
        let mark = self.app.mark().await;
        let answer = self.tries(jws).await;
        assert_eq!(answer.verdict(), verdict, "{what}: {answer}");
        answer.assert_problem();
        let event = TestApp::only(self.app.events_since(mark).await, what);
        assert_eq!(event.event_type, EventType::PoaApprovalRefused, "{what}");
        assert_eq!(event.subject.reason, Some(answer.reason()), "{what}");
    }

    async fn nothing_counted(&self) {
        assert_eq!(self.app.shown(&self.challenge).await["approved"], json!(0));
    }
}

fn detail(event: &Entry, name: &str) -> String {
    event.subject.detail.get(name).cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_delegation_counts_for_exactly_one_delegate_audience_time_and_scope() {
    let app = TestApp::start().await;
    let standing = Standing::new(&app, &asking("high"), "bob", "carol").await;
    let good = standing.plain.clone();
    let signed = |delegation: Delegation| standing.delegator.delegate(&delegation);
    let acts = |pattern: &str| vec![pattern.to_owned().try_into().unwrap()];
    let cases = [
        ("another delegate", Delegation { sub: app.id_of("alice"), ..good.clone() }, "403 delegation_delegate"),
        ("another audience", Delegation { aud: app.id_of(AGENT), ..good.clone() }, "403 delegation_audience"),
        ("ends before the statement", Delegation { exp: good.iat + 60, ..good.clone() }, "403 delegation_expired"),
        (
            "over",
            Delegation { iat: good.iat - 90, nbf: good.iat - 90, exp: good.iat - 30, ..good.clone() },
            "403 delegation_expired",
        ),
        ("begins later", Delegation { nbf: good.iat + 600, ..good.clone() }, "403 delegation_not_yet_valid"),
        (
            "another tier",
            Delegation { tiers: vec![Tier::Medium, Tier::Critical], ..good.clone() },
            "403 delegation_tier",
        ),
        ("another act", Delegation { acts: acts("crm.*"), ..good.clone() }, "403 delegation_act"),
        (
            "another team",
            Delegation { workspaces: vec!["team-b".parse().unwrap()], ..good.clone() },
            "403 delegation_workspace",
        ),
    ];
    for (what, delegation, verdict) in cases {
        standing.refuses(what, &signed(delegation), verdict).await;
    }
    standing.nothing_counted().await;
    app.finish().await;
}

#[tokio::test]
async fn a_delegation_counts_only_under_the_delegators_own_key() {
    let app = TestApp::start().await;
    let standing = Standing::new(&app, &asking("high"), "bob", "carol").await;
    let by_bob = standing.delegate.delegate(&standing.plain);
    let statement = standing.delegator.statement(&app.shown(&standing.challenge).await);
    let agent = app.to_issuer(AGENT);
    let agents = agent.delegate(&Delegation { iss: agent.id(), ..standing.plain.clone() });
    let good = standing.delegator.delegate(&standing.plain);
    let (head, tail) = good.split_at(good.rfind('.').unwrap() + 1);
    let flipped = format!("{head}{}{}", if tail.starts_with('A') { 'B' } else { 'A' }, &tail[1..]);
    let cases = [
        ("signed by the delegate", by_bob, "403 delegation_issuer"),
        ("one bit of the signature", flipped, "403 delegation_signature"),
        ("the delegator's statement", standing.delegator.sign(&statement), "403 delegation_malformed"),
        ("no JWS", "carol said so".to_owned(), "403 delegation_malformed"),
        ("by the agent that asks", agents, "403 delegation_by_requester"),
    ];
    for (what, jws, verdict) in cases {
        standing.refuses(what, &jws, verdict).await;
    }
    standing.nothing_counted().await;
    app.finish().await;
}

#[tokio::test]
async fn a_delegate_sees_what_her_delegator_was_asked_and_nobody_elses_delegate_does() {
    let app = TestApp::start().await;
    let mut ask = asking("high");
    ask["approvers"] = json!([app.id_of("alice"), app.id_of("carol")]);
    let standing = Standing::new(&app, &ask, "bob", "carol").await;
    let path = format!("/challenges/{}", standing.challenge);
    assert_eq!(standing.delegate.get(&path).await.verdict(), "404 challenge_not_found");
    let look = async |jws: &str| standing.delegate.send("GET", &path, &[("atb-delegation", jws)], Vec::new()).await;
    let seen = look(&standing.delegator.delegate(&standing.plain)).await;
    assert_eq!((seen.status, seen.text("/challenge_id")), (200, standing.challenge.clone()), "{seen}");
    for (what, delegation, verdict) in [
        (
            "over",
            Delegation {
                exp: standing.plain.iat + 1,
                nbf: standing.plain.iat - 90,
                iat: standing.plain.iat - 90,
                ..standing.plain.clone()
            },
            "403 delegation_expired",
        ),
        ("another's", Delegation { sub: app.id_of("alice"), ..standing.plain.clone() }, "403 delegation_delegate"),
    ] {
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        let mark = app.mark().await;
        let answer = look(&standing.delegator.delegate(&delegation)).await;
        assert_eq!(answer.verdict(), verdict, "{what}: {answer}");
        TestApp::only(app.events_since(mark).await, what);
    }
    let twice = [("atb-delegation", "a"), ("atb-delegation", "b")];
    assert_eq!(standing.delegate.send("GET", &path, &twice, Vec::new()).await.status, 422);
    app.finish().await;
}

#[tokio::test]
async fn a_delegated_approval_is_recorded_shown_carried_and_proven_again() {
    let app = TestApp::start().await;
    let mut ask = asking("high");
    ask["approvers"] = json!([app.id_of("alice"), app.id_of("carol")]);
    let standing = Standing::new(&app, &ask, "bob", "carol").await;
    let mark = app.mark().await;
    let answer = standing.votes().await;
    assert_eq!((answer.status, &answer.json["approved"]), (200, &json!(1)), "{answer}");
    assert_eq!(answer.text("/approvers/0/id"), app.id_of("bob").as_str());
    assert_eq!(answer.text("/approvers/0/on_behalf_of"), app.id_of("carol").as_str());
    let event = TestApp::only(app.events_since(mark).await, "the vote");
    assert_eq!(event.event_type, EventType::PoaApprovalRecorded);
    assert_eq!(detail(&event, "on_behalf_of"), app.id_of("carol").as_str());
    assert_eq!(detail(&event, "delegation"), standing.plain.jti.to_string());

    assert_eq!(app.approve("alice", &standing.challenge).await.status, 200);
    let mandate = app.collect(&standing.challenge).await;
    assert_eq!(mandate.status, 201, "{mandate}");
    let (method, path, body) = the_call("high");
    let called = app.call(method, path, &mandate.text("/token"), body.as_ref()).await;
    assert_eq!(called.status, 200, "{called}");
    app.finish().await;
}

#[tokio::test]
async fn a_delegated_vote_uses_up_both_people() {
    let app = TestApp::start().await;
    let standing = Standing::new(&app, &asking("high"), "bob", "alice").await;
    assert_eq!(standing.votes().await.status, 200);
    for name in ["bob", "alice"] {
        let answer = app.approve(name, &standing.challenge).await;
        assert_eq!(answer.verdict(), "403 approver_already_counted", "{name}: {answer}");
    }
    // Alice's other identity is Alice.
    assert_eq!(app.approve("alice-mobile", &standing.challenge).await.verdict(), "403 same_person");
    let carol_for_alice = Standing::on(&app, standing.challenge.clone(), "carol", "alice-mobile").await;
    assert_eq!(carol_for_alice.votes().await.verdict(), "403 same_person");
    assert_eq!(app.approve("carol", &standing.challenge).await.json["approved"], json!(2));
    app.finish().await;
}

#[tokio::test]
async fn nobody_stands_in_for_herself_under_another_name() {
    let app = TestApp::start().await;
    let standing = Standing::new(&app, &asking("high"), "alice-mobile", "alice").await;
    assert_eq!(standing.votes().await.verdict(), "403 delegation_to_self");
    standing.nothing_counted().await;
    app.finish().await;
}

#[tokio::test]
async fn a_delegation_never_yields_an_approval_of_ones_own() {
    let app = TestApp::start_with(|home| {
        home.edit_policy_data("opa/approvers/data.json", |people| {
            people["spiffe://atb.dev/approver/carol"]["person"] = json!("dave");
        });
    })
    .await;
    // Carol's person operates the agent: nobody approves in her name.
    let operator = Standing::new(&app, &asking("high"), "bob", "carol").await;
    operator
        .refuses(
            "the operator's delegate",
            &operator.delegator.delegate(&operator.plain),
            "403 delegator_operates_requester",
        )
        .await;
    // Alice answers for the act: neither she nor her delegate approves it.
    let mut ask = asking("high");
    ask["leg"] = ground(&[("accountable_id", "alice")]);
    let accountable = Standing::new(&app, &ask, "bob", "alice").await;
    let verdict = "403 delegator_is_accountable_party";
    accountable
        .refuses("the accountable party's delegate", &accountable.delegator.delegate(&accountable.plain), verdict)
        .await;
    app.finish().await;
}

#[tokio::test]
async fn a_delegate_may_do_what_her_delegator_may_and_no_more() {
    let app = TestApp::start_with(|home| {
        home.edit_policy_data("opa/approvers/data.json", |people| {
            people["spiffe://atb.dev/approver/bob"]["tiers"] = json!(["low"]);
            people["spiffe://atb.dev/approver/carol"]["acts"] = json!(["crm.*"]);
        });
    })
    .await;
    // Bob may not approve high acts himself; Alice, who may, lets him.
    let wider = Standing::new(&app, &asking("high"), "bob", "alice").await;
    assert_eq!(app.approve("bob", &wider.challenge).await.verdict(), "403 approver_tier");
    assert_eq!(wider.votes().await.status, 200);
    // Carol cannot give what she has not.
    let nothing = Standing::new(&app, &asking("high"), "alice", "carol").await;
    nothing
        .refuses(
            "an act that is not Carol's",
            &nothing.delegator.delegate(&nothing.plain),
            "403 delegator_not_entitled",
        )
        .await;
    app.finish().await;
}
