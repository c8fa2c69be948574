//! Many at once, through the real doors: exact counts, and never two mandates.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atb::adapters::clock::SystemClock;
use atb::domain::ledger::{Entry, EventType};
use atb::service::ports::Clock as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::record::lives;
use crate::app::{AGENT, Answer, Caller, TestApp, asking};

/// Four people with two identities each.
const PEOPLE: [&str; 8] = ["p1x", "p1y", "p2x", "p2y", "p3x", "p3y", "p4x", "p4y"];

async fn with_people() -> (TestApp, BTreeMap<&'static str, Arc<Caller>>) {
    let app = TestApp::start_with(|home| {
        home.edit_policy_data("opa/approvers/data.json", |people| {
            for name in PEOPLE {
                let mut entry = people["spiffe://atb.dev/approver/bob"].clone();
                entry["person"] = json!(&name[..2]);
                people[format!("spiffe://atb.dev/approver/{name}")] = entry;
            }
        });
    })
    .await;
    let mut callers = BTreeMap::new();
    for name in PEOPLE {
        app.enrol(name, &format!("approver/{name}"), Duration::from_secs(6000));
        callers.insert(name, Arc::new(app.to_issuer(name).connected().await));
    }
    (app, callers)
}

/// What `name` would send.
async fn approval(app: &TestApp, caller: &Caller, challenge: &str) -> (String, Value) {
    let statement = caller.sign(&caller.statement(&app.shown(challenge).await));
    (format!("/challenges/{challenge}/approve"), json!({ "statement": statement }))
}

fn values(events: &[Entry]) -> Vec<Value> {
    events.iter().map(|event| serde_json::to_value(event).unwrap()).collect()
}

fn count(answers: &[Answer], verdicts: &[&str]) -> usize {
    answers.iter().filter(|answer| verdicts.contains(&answer.verdict().as_str())).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_approvals_two_a_person_over_thirty_challenges_are_counted_exactly() {
    let (app, callers) = with_people().await;
    let mut challenges = Vec::new();
    for _ in 0..30 {
        challenges.push(app.challenge(&asking("high")).await);
    }
    // Over twenty of them four people through two identities each; over ten one person, through two, twice.
    let mut prepared = Vec::new();
    for (at, challenge) in challenges.iter().enumerate() {
        let (names, times) = if at < 20 { (&PEOPLE[..], 1) } else { (&PEOPLE[..2], 2) };
        for name in names.repeat(times) {
            let (path, body) = approval(&app, &callers[name], challenge).await;
            prepared.push((Arc::clone(&callers[name]), path, body));
        }
    }
    assert_eq!(prepared.len(), 200);
    let mark = app.mark().await;
    let votes: JoinSet<_> =
        prepared.into_iter().map(|(caller, path, body)| async move { caller.post(&path, &body).await }).collect();
    let answers = votes.join_all().await;
    assert_eq!(count(&answers, &["200 "]), 20 * 2 + 10);
    let refused = ["403 same_person", "403 approver_already_counted", "409 challenge_approved"];
    assert_eq!(count(&answers, &refused), 150);
    let events = app.events_since(mark).await;
    let of = |kind| events.iter().filter(|event| event.event_type == kind).count();
    assert_eq!((of(EventType::PoaApprovalRecorded), of(EventType::PoaApprovalRefused)), (50, 150));
    assert_eq!(events.len(), 200);

    let agent = Arc::new(app.to_issuer(AGENT).connected().await);
    let paths = challenges.iter().cycle().take(90).map(|challenge| format!("/issue/{challenge}"));
    let collected: JoinSet<_> = paths
        .into_iter()
        .map(|path| (Arc::clone(&agent), path))
        .map(|(agent, path)| async move { agent.get(&path).await })
        .collect();
    let collected = collected.join_all().await;
    assert_eq!(count(&collected, &["201 "]), 20);
    assert_eq!(count(&collected, &["409 challenge_redeemed"]), 40);
    assert_eq!(count(&collected, &["202 "]), 30);

    let record = values(&app.events().await);
    let lives = lives(&record, 2);
    for (at, challenge) in challenges.iter().enumerate() {
        let life = &lives[challenge];
        let expected = if at < 20 { ("redeemed", 2, 1) } else { ("pending", 1, 0) };
        assert_eq!((life.state, life.people.len(), life.mandates), expected, "{life:?}");
        assert_eq!(app.shown(challenge).await["approved"], expected.1);
    }
    app.finish().await;
}

/// A generator that gives a failing run back (Knuth's MMIX constants).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// What may be tried on a challenge; all of it at once.
#[derive(Debug, Clone, Copy)]
enum Try {
    Approve(&'static str),
    Reject,
    Withdraw,
    Collect,
    Reask,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_tried_at_once_the_record_is_a_life_that_may_be_and_the_store_agrees() {
    use Try::{Approve, Collect, Reask, Reject, Withdraw};
    let seed = SystemClock.now().as_secs();
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let (app, callers) = with_people().await;
    let agent = Arc::new(app.to_issuer(AGENT).connected().await);
    let mut minted = 0;
    let mut rounds = vec![app.challenge(&asking("high")).await];
    for round in 0..24 {
        let challenge = rounds[dice.roll(rounds.len())].clone();
        let mut tries = JoinSet::new();
        for _ in 0..10 {
            let which = match dice.roll(20) {
                0..9 => Approve(PEOPLE[dice.roll(6)]),
                9 => Reject,
                10..12 => Withdraw,
                12..17 => Collect,
                _ => Reask,
            };
            let (caller, agent) = (Arc::clone(&callers[PEOPLE[0]]), Arc::clone(&agent));
            let why = json!({"reason": "of it all"});
            match which {
                Approve(name) => {
                    let caller = Arc::clone(&callers[name]);
                    let (path, body) = approval(&app, &caller, &challenge).await;
                    tries.spawn(async move { (which, caller.post(&path, &body).await) });
                }
                Reject => {
                    let path = format!("/challenges/{challenge}/reject");
                    tries.spawn(async move { (which, caller.post(&path, &why).await) });
                }
                Withdraw => {
                    let path = format!("/issue/{challenge}/withdraw");
                    tries.spawn(async move { (which, agent.post(&path, &why).await) });
                }
                Collect => {
                    let path = format!("/issue/{challenge}");
                    tries.spawn(async move { (which, agent.get(&path).await) });
                }
                Reask => {
                    let path = format!("/issue/{challenge}/reask");
                    tries.spawn(async move { (which, agent.post(&path, &json!({})).await) });
                }
            }
        }
        for (which, answer) in tries.join_all().await {
            assert!(answer.status < 500, "seed {seed}: {which:?}: {answer}");
            match (which, answer.status) {
                (Collect, 201) => minted += 1,
                (Reask, 202) => rounds.push(answer.text("/challenge_id")),
                _ => {}
            }
        }
        if round % 3 == 0 {
            rounds.push(app.challenge(&asking("high")).await);
        }
    }
    let record = values(&app.events().await);
    let lives = lives(&record, 2);
    assert_eq!(lives.len(), rounds.len(), "seed {seed}");
    assert_eq!(lives.values().map(|life| life.mandates).sum::<usize>(), minted, "seed {seed}");
    for (challenge, life) in &lives {
        let shown = app.shown(challenge).await;
        assert_eq!(
            (&shown["state"], &shown["approved"]),
            (&json!(life.state), &json!(life.people.len())),
            "seed {seed}"
        );
    }
    app.finish().await;
}
