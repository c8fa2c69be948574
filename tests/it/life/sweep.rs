//! The job that expires challenges: all that are overdue, once each, also across a crash; and what it stands on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atb::adapters::clock::{SystemClock, SystemEntropy};
use atb::adapters::signer::read_ed25519;
use atb::adapters::store::{OpenMode, SqliteStore, write_verifier_key};
use atb::domain::approval::{Challenge, ChallengeDraft};
use atb::domain::id::ChallengeId;
use atb::domain::ledger::{EventType, LogKey};
use atb::domain::time::Timestamp;
use atb::service::ports::{AdvanceError, ChallengeQuery, Challenges as _, Clock as _, Entropy as _};
use serde_json::Value;

use crate::process::{Home, PATIENCE};
use crate::store_contract;

const OVERDUE: usize = 2000;

fn challenge_of(time: Timestamp) -> Challenge {
    let draft: ChallengeDraft = store_contract::challenge().draft().clone();
    Challenge::open(ChallengeId::new(time, SystemEntropy.bytes()), draft, time)
}

fn opened(challenge: &Challenge) -> atb::domain::ledger::Entry {
    let mut entry = store_contract::entry(EventType::PoaChallengeCreated, None);
    entry.subject.challenge_id = Some(challenge.id());
    entry
}

/// A ledger with 2,000 challenges that ran out of time while nobody was there, and three that have time.
async fn a_ledger_left_alone(home: &Home) -> Vec<ChallengeId> {
    let config = home.config();
    let key = LogKey::new(read_ed25519(&config.ledger_key).unwrap());
    let origin = "atb.dev/atb".parse().unwrap();
    std::fs::create_dir_all(config.store.parent().unwrap()).unwrap();
    let store = SqliteStore::open(&config.store, OpenMode::Create, key, origin, Arc::new(SystemClock)).await.unwrap();
    write_verifier_key(&config.ledger_key.with_extension("vkey"), store.verifier()).unwrap();
    let now = SystemClock.now();
    let long_ago = Timestamp::from_secs(now.as_secs() - 7200);
    let fresh: Vec<_> = (0..3).map(|_| challenge_of(now)).collect();
    let store = Arc::new(store);
    let mut opening = tokio::task::JoinSet::new();
    for challenge in fresh.iter().cloned().chain((0..OVERDUE).map(|_| challenge_of(long_ago))) {
        let store = Arc::clone(&store);
        opening.spawn(async move { store.open(&challenge, opened(&challenge)).await.map(|_| ()) });
        if opening.len() >= 500 {
            opening.join_next().await.unwrap().unwrap().unwrap();
        }
    }
    for done in opening.join_all().await {
        done.unwrap();
    }
    store.close().await.unwrap();
    fresh.iter().map(Challenge::id).collect()
}

async fn expired(home: &Home) -> Vec<String> {
    let of_kind = |event: &Value| event["event_type"] == "poa_challenge_expired";
    let ledger = home.ledger().await;
    ledger
        .iter()
        .filter(|event| of_kind(event))
        .map(|event| event["challenge_id"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until so many have expired.
async fn until_expired(home: &Home, count: usize) {
    let until = Instant::now() + PATIENCE;
    while expired(home).await.len() < count {
        assert!(Instant::now() < until, "{} expired", expired(home).await.len());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_overdue_challenges_expire_once_each_also_when_the_job_is_killed() {
    let home = Home::new();
    let fresh = a_ledger_left_alone(&home).await;
    let served = home.serve();
    until_expired(&home, 1).await;
    served.kill();
    let before = expired(&home).await.len();
    println!("killed after {before}");
    let served = home.serve();
    until_expired(&home, OVERDUE).await;
    // One more round of the job finds nothing to do.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let ids = expired(&home).await;
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (OVERDUE, OVERDUE));
    for id in fresh {
        assert!(!ids.contains(&id.to_string()), "it has time");
    }
    drop(served);
    home.assert_intact();
}

#[tokio::test]
async fn what_is_overdue_is_found_however_much_else_is_open_longest_overdue_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_contract::open(&folder.path().join("ledger.db"), OpenMode::Create).await.unwrap();
    let now = store_contract::now();
    // Older ones that have more time: the order of opening must not matter.
    for at in 0..600 {
        let mut draft = store_contract::challenge().draft().clone();
        draft.requirement.challenge_seconds = 100_000;
        let early = Timestamp::from_secs(now.as_secs() - 50_000 + at);
        let waits = Challenge::open(ChallengeId::new(early, SystemEntropy.bytes()), draft, early);
        store.open(&waits, opened(&waits)).await.unwrap();
    }
    let mut overdue = Vec::new();
    for ago in [1000, 3000, 2000] {
        let challenge = challenge_of(Timestamp::from_secs(now.as_secs() - ago));
        store.open(&challenge, opened(&challenge)).await.unwrap();
        overdue.push(challenge);
    }
    let exactly_now = challenge_of(Timestamp::from_secs(now.as_secs() - 900));
    store.open(&exactly_now, opened(&exactly_now)).await.unwrap();
    let ended = challenge_of(Timestamp::from_secs(now.as_secs() - 4000)).expire(now);
    store.open(&ended, opened(&ended)).await.unwrap();
    let found: Vec<_> = store.overdue(now, 10).await.unwrap().into_iter().map(|stored| stored.value.id()).collect();
    assert_eq!(found, [overdue[1].id(), overdue[2].id(), overdue[0].id(), exactly_now.id()]);
    assert_eq!(store.overdue(now, 2).await.unwrap().len(), 2);
    store.close().await.unwrap();
}

#[tokio::test]
async fn of_many_successors_one_is_stored_with_its_record_and_nothing_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let store = Arc::new(store_contract::open(&path, OpenMode::Create).await.unwrap());
    let earlier = challenge_of(store_contract::now()).withdraw("no".parse().unwrap(), store_contract::now()).unwrap();
    store.open(&earlier, opened(&earlier)).await.unwrap();
    let taken = challenge_of(store_contract::now());
    store.open(&taken, opened(&taken)).await.unwrap();
    // An id that is taken leaves the earlier one as it was.
    let named = earlier.clone().ended().unwrap().reasked_as(taken.id());
    let clash = store.succeed(1, &named, &taken, opened(&taken)).await;
    assert!(matches!(clash, Err(AdvanceError::Conflict)));
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (store, next) = (Arc::clone(&store), challenge_of(store_contract::now()));
        let named = earlier.clone().ended().unwrap().reasked_as(next.id());
        tries.spawn(async move { store.succeed(1, &named, &next, opened(&next)).await.ok().map(|_| next.id()) });
    }
    let won: Vec<_> = tries.join_all().await.into_iter().flatten().collect();
    assert_eq!(won.len(), 1);
    store.close().await.unwrap();
    // As another process finds it.
    let store = store_contract::open(&path, OpenMode::Existing).await.unwrap();
    let found = store.find(earlier.id()).await.unwrap().unwrap();
    assert_eq!((found.version, found.value.successor()), (2, Some(won[0])));
    assert_eq!(store.list(&ChallengeQuery { limit: 1000, ..ChallengeQuery::default() }).await.unwrap().len(), 3);
    let entries = atb::service::ports::Ledger::entries(&store, 0, 1000, &Default::default()).await.unwrap();
    assert_eq!(entries.len(), 3);
    store.close().await.unwrap();
}
