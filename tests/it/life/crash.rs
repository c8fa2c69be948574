//! kill -9 at any point of any transition: what was answered is on record, the record is a life that may be, and the
//! store continues from it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use atb::adapters::clock::SystemClock;
use atb::cli::approve::Shown;
use atb::cli::client::Client;
use atb::service::ports::Clock as _;
use serde_json::{Value, json};

use super::record::lives;
use crate::process::{Home, Served, body};

/// How long the storm goes on; starts and stops included.
const STORM: Duration = Duration::from_secs(11);
/// How long a challenge waits.
const CHALLENGE_SECONDS: u64 = 2;

/// What was answered with a yes: the event that must be on record, and of which challenge.
type Told = Arc<Mutex<Vec<(&'static str, String)>>>;
type Known = Arc<Mutex<Vec<String>>>;

fn asking() -> Value {
    let params = json!({"vendor_id": "V-1001", "iban": "DE02120300000000202051", "payment_limit": 25_000});
    let call = json!({"connector": "erp", "method": "POST", "path": "/vendors/V-1001/bank-account", "params": params});
    json!({"act": "sap.vendor.change", "leg": crate::process::ground(), "request": call})
}

/// Everybody that has a part in it, on connections of their own.
struct Crowd {
    agent: Client,
    approvers: [Client; 3],
}

impl Crowd {
    fn of(served: &Served) -> Self {
        let approvers = ["alice", "bob", "alice-mobile"].map(|name| served.at_agentauth(name));
        Self { agent: served.at_agentauth("procurement"), approvers }
    }

    /// Does something; the event that a yes stands for and the challenge, or none for a no. An error is a lost connection.
    async fn act(&self, what: usize, id: Option<&str>) -> anyhow::Result<Option<(&'static str, String)>> {
        let why = json!({"reason": "of the storm"});
        let Some(id) = id.filter(|_| what > 1) else {
            let opened = self.agent.post("/issue", &asking()).await?;
            return Ok(text(&body(&opened), "challenge_id").map(|id| ("poa_challenge_created", id)));
        };
        let (event, answer) = match what {
            2..8 => {
                let approver = &self.approvers[what % 3];
                let shown = approver.get(&format!("/challenges/{id}")).await?;
                let statement = match Shown::check(&shown.body).and_then(|shown| shown.sign(approver)) {
                    Ok(statement) => statement,
                    Err(_) => return Ok(None),
                };
                let path = format!("/challenges/{id}/approve");
                ("poa_approval_recorded", approver.post(&path, &json!({ "statement": statement })).await?)
            }
            8 => {
                let path = format!("/challenges/{id}/reject");
                ("poa_challenge_rejected", self.approvers[1].post(&path, &why).await?)
            }
            9 => ("poa_challenge_withdrawn", self.agent.post(&format!("/issue/{id}/withdraw"), &why).await?),
            10..13 => {
                let answer = self.agent.get(&format!("/issue/{id}")).await?;
                if answer.status.as_u16() != 201 {
                    return Ok(None);
                }
                ("poa_issued_dual_control", answer)
            }
            _ => {
                let answer = self.agent.post(&format!("/issue/{id}/reask"), &json!({})).await?;
                let next = text(&body(&answer), "challenge_id").filter(|_| answer.status.as_u16() == 202);
                return Ok(next.map(|next| ("poa_challenge_created", next)));
            }
        };
        Ok(answer.status.is_success().then(|| (event, id.to_owned())))
    }
}

fn text(document: &Value, member: &str) -> Option<String> {
    document[member].as_str().map(str::to_owned)
}

/// Goes on until the process is gone.
async fn work(crowd: Crowd, seed: usize, known: Known, told: Told) {
    let mut dice = seed;
    loop {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let roll = dice >> 33;
        let id = {
            let known = known.lock().unwrap();
            // Mostly the newest, so that something becomes of them.
            let recent = known.len().saturating_sub(6);
            let at = if roll.is_multiple_of(5) { roll / 5 % known.len().max(1) } else { recent + roll / 5 % 6 };
            known.get(at).cloned()
        };
        match crowd.act(roll / 64 % 15, id.as_deref()).await {
            Err(_) => return,
            Ok(None) => {}
            Ok(Some((event, id))) => {
                if event == "poa_challenge_created" {
                    known.lock().unwrap().push(id.clone());
                }
                told.lock().unwrap().push((event, id));
            }
        }
    }
}

async fn one_storm(served: Served, seed: usize, known: &Known, told: &Told) {
    let workers: tokio::task::JoinSet<_> = (0..4)
        .map(|at| work(Crowd::of(&served), seed.wrapping_mul(31).wrapping_add(at), Arc::clone(known), Arc::clone(told)))
        .collect();
    tokio::time::sleep(Duration::from_millis(150 + (seed as u64).wrapping_mul(7919) % 900)).await;
    served.kill();
    workers.join_all().await;
}

/// Every transition happened, and every yes is on record.
fn hold_against(record: &[Value], told: &[(&'static str, String)]) -> BTreeSet<&'static str> {
    let count = |kind: &str, id: &str| {
        record.iter().filter(|event| event["event_type"] == kind && event["challenge_id"] == id).count()
    };
    let mut answered = std::collections::BTreeMap::new();
    for (kind, id) in told {
        *answered.entry((*kind, id.as_str())).or_insert(0) += 1;
    }
    for ((kind, id), times) in answered {
        assert!(
            count(kind, id) >= times,
            "{kind} of {id} was answered {times} times and is on record {} times",
            count(kind, id)
        );
    }
    told.iter().map(|(kind, _)| *kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_point_of_any_transition_the_store_continues_and_agrees_with_the_record() {
    let home = Home::new();
    let tiers = home.file("opa/tiers/data.json");
    let mut data: Value = serde_json::from_slice(&std::fs::read(&tiers).unwrap()).unwrap();
    data["high"]["challenge_seconds"] = json!(CHALLENGE_SECONDS);
    std::fs::write(&tiers, data.to_string()).unwrap();
    let (known, told) = (Known::default(), Told::default());
    let started = Instant::now();
    let seed = usize::try_from(SystemClock.now().as_millis()).unwrap();
    println!("seed {seed}");
    let mut kills = 0;
    while started.elapsed() < STORM {
        one_storm(home.serve(), seed.wrapping_add(kills), &known, &told).await;
        kills += 1;
    }
    println!("{kills} kills, {} challenges, {} answers", known.lock().unwrap().len(), told.lock().unwrap().len());

    let served = home.serve();
    tokio::time::sleep(Duration::from_secs(CHALLENGE_SECONDS) + Duration::from_millis(1500)).await;
    let record = home.ledger().await;
    let told = told.lock().unwrap().clone();
    let happened = hold_against(&record, &told);
    assert!(happened.contains("poa_challenge_created") && happened.contains("poa_approval_recorded"), "{happened:?}");
    let lives = lives(&record, 2);
    assert!(lives.len() >= known.lock().unwrap().len(), "a challenge that was answered is not on record");
    let alice = served.at_agentauth("alice");
    for (id, life) in &lives {
        let shown = body(&alice.get(&format!("/challenges/{id}")).await.unwrap());
        assert_eq!((&shown["state"], &shown["approved"]), (&json!(life.state), &json!(life.people.len())), "{id}");
        assert_eq!(shown["reask_of"].as_str(), life.reask_of.as_deref());
        assert!(!["pending", "approved"].contains(&life.state), "overdue and not expired: {id}");
    }
    let ended: BTreeSet<_> = lives.values().map(|life| life.state).collect();
    let again = lives.values().filter(|life| life.reask_of.is_some()).count();
    println!("ended: {ended:?}; asked again: {again}; answered: {happened:?}");
    assert!(again > 0 && ended.is_superset(&BTreeSet::from(["expired", "redeemed"])), "the storm was too mild");
    drop(served);
    home.assert_intact();
}
