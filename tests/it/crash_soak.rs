//! kill -9 at random points under load: nothing that was answered is lost, nothing is spent twice, no call without its
//! record. A few kills by default; `scripts/crash-test` makes it a thousand.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atb::adapters::store::SqliteReader;
use atb::service::ports::EntryFilter;
use serde_json::Value;
use tokio::task::JoinSet;

use super::process::{Home, PATIENCE, Served, Upstream, body, get, ground};

/// Kills where the environment does not say.
const KILLS: u64 = 4;
/// Agents that ask and call at once.
const AGENTS: usize = 8;
/// The longest that a round runs.
const LONGEST_MILLIS: u64 = 400;
/// Every so many rounds the process is killed while it starts.
const IN_THE_START: u64 = 5;

/// Repeatable random numbers (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[allow(clippy::disallowed_methods, reason = "how many kills and in which order is the caller's choice")]
fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// What agents were told before the kill.
#[derive(Default)]
struct Told {
    /// Mandates that were handed out, by their id in the record.
    mandates: BTreeSet<String>,
    /// Decisions of calls that were answered with 200.
    allowed: BTreeSet<String>,
}

/// Asks for mandates and calls with them, each on a path of its own, until the service is gone; every third mandate is
/// used twice.
async fn agent(served: Arc<Served>, calls: Arc<AtomicU64>) -> Told {
    let (issuer, broker) = (served.at_agentauth("procurement"), served.at_broker("procurement"));
    let mut told = Told::default();
    loop {
        let ask = serde_json::json!({"act": "erp.vendor.read", "leg": ground()});
        let Ok(issued) = issuer.post("/issue", &ask).await else { return told };
        if issued.status.as_u16() != 201 {
            continue;
        }
        let issued = body(&issued);
        told.mandates.insert(issued["jti"].as_str().unwrap().to_owned());
        let mandate = issued["token"].as_str().unwrap();
        let nth = calls.fetch_add(1, Ordering::Relaxed);
        for _ in 0..=u64::from(nth.is_multiple_of(3)) {
            let Ok(answer) = get(&broker, &format!("/c/erp/vendors/V-{}", 10_000 + nth), mandate).await else {
                return told;
            };
            if answer.status.as_u16() == 200 {
                told.allowed.insert(answer.headers["x-atb-decision-id"].to_str().unwrap().to_owned());
            }
        }
    }
}

async fn entries(home: &Home) -> Vec<Value> {
    let reader = SqliteReader::open(&home.file("data/ledger.db")).await.unwrap();
    let mut all: Vec<Value> = Vec::new();
    loop {
        let page = reader.entries(all.len() as u64, 10_000, &EntryFilter::default()).await.unwrap();
        if page.is_empty() {
            break;
        }
        all.extend(page.iter().map(|(_, body)| serde_json::from_slice::<Value>(body).unwrap()));
    }
    reader.close().await;
    all
}

/// Holds the record against what agents were told and what reached the upstream.
async fn hold(home: &Home, upstream: &Upstream, told: &Told) -> BTreeMap<String, usize> {
    let ledger = entries(home).await;
    let of = |kind: &'static str| ledger.iter().filter(move |event| event["event_type"] == kind);
    let ids = |member: &'static str, kind| -> Vec<String> {
        of(kind).filter_map(|event| event[member].as_str().map(str::to_owned)).collect()
    };
    let issued: HashSet<_> = ids("jti", "poa_issued").into_iter().collect();
    let lost: Vec<_> = told.mandates.iter().filter(|jti| !issued.contains(*jti)).collect();
    assert!(lost.is_empty(), "mandates that were handed out and are not on record: {lost:?}");

    let allows: Vec<_> = of("broker_decision").filter(|event| event["allow"] == true).collect();
    let decisions: HashSet<_> = allows.iter().map(|event| event["decision_id"].as_str().unwrap()).collect();
    let lost: Vec<_> = told.allowed.iter().filter(|id| !decisions.contains(id.as_str())).collect();
    assert!(lost.is_empty(), "allows that were answered and are not on record: {lost:?}");
    let spent: HashSet<_> = allows.iter().map(|event| event["jti"].as_str().unwrap()).collect();
    assert_eq!(spent.len(), allows.len(), "a mandate was spent twice");

    let mut paths: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &allows {
        *paths.entry(event["path"].as_str().unwrap()).or_default() += 1;
    }
    for path in upstream.seen() {
        let left = paths.get_mut(path.as_str()).filter(|left| **left > 0);
        *left.unwrap_or_else(|| panic!("{path} reached the upstream without a decision of its own")) -= 1;
    }
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for event in of("connector_outcome") {
        *outcomes.entry(event["outcome"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(outcomes.values().sum::<usize>(), allows.len(), "one outcome a call: {outcomes:?}");
    home.assert_intact();
    outcomes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_at_random_points_under_load_loses_nothing_that_was_answered() {
    let (kills, seed) = (from_environment("ATB_KILLS", KILLS), from_environment("ATB_KILL_SEED", 1));
    let mut dice = Dice(seed);
    let upstream = Upstream::open().await;
    let home = Home::new();
    home.connect(upstream.address);
    let (mut told, calls) = (Told::default(), Arc::new(AtomicU64::new(0)));
    for kill in 1..=kills {
        if kill.is_multiple_of(IN_THE_START) {
            let mut starting = home.serving().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            tokio::time::sleep(Duration::from_millis(dice.below(LONGEST_MILLIS))).await;
            starting.kill().unwrap();
            starting.wait().unwrap();
            continue;
        }
        let served = Arc::new(home.serve());
        let agents: JoinSet<Told> = (0..AGENTS).map(|_| agent(Arc::clone(&served), Arc::clone(&calls))).collect();
        if kill == 1 {
            // On a busy machine every round may be too short for anybody to be served.
            let somebody = async {
                while calls.load(Ordering::Relaxed) == 0 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::time::timeout(PATIENCE, somebody).await.expect("somebody is served");
        }
        tokio::time::sleep(Duration::from_millis(dice.below(LONGEST_MILLIS))).await;
        served.kill_now();
        for heard in agents.join_all().await {
            told.mandates.extend(heard.mandates);
            told.allowed.extend(heard.allowed);
        }
        if kill.is_multiple_of(100) {
            eprintln!("{kill} kills, {} mandates, {} allows answered", told.mandates.len(), told.allowed.len());
        }
    }
    // The last start settles what is in doubt.
    drop(home.serve());
    let outcomes = hold(&home, &upstream, &told).await;
    assert!(!told.mandates.is_empty(), "nobody was served");
    eprintln!(
        "{kills} kills (seed {seed}): {} mandates and {} allows answered, {} requests upstream, outcomes {outcomes:?}",
        told.mandates.len(),
        told.allowed.len(),
        upstream.seen().len()
    );
}
