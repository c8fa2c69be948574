//! What the port `Outbox` promises, over its one store.

use std::time::Duration;

use atb::adapters::store::{OpenMode, SqliteStore};
use atb::domain::id::{ChallengeId, EventId};
use atb::domain::ledger::{Entry, EventType};
use atb::service::ports::{Ledger, Outbox, Queued};

use crate::store_contract::{entry, fresh, now, open};

async fn created(store: &SqliteStore, challenge: ChallengeId) -> (u64, Entry) {
    let mut event = entry(EventType::PoaChallengeCreated, None);
    event.subject.challenge_id = Some(challenge);
    (store.record(event.clone()).await.unwrap().seq(), event)
}

async fn queued(store: &SqliteStore, endpoint: &str, challenge: ChallengeId) -> Queued {
    let (seq, event) = created(store, challenge).await;
    let queued = Queued { seq, challenge_id: challenge, at: event.at };
    store.queue(endpoint, seq + 1, vec![queued]).await.unwrap();
    queued
}

async fn due(store: &SqliteStore, endpoint: &str) -> Vec<u64> {
    store.due(endpoint, now(), 100).await.unwrap().iter().map(|waiting| waiting.seq).collect()
}

fn challenge() -> ChallengeId {
    ChallengeId::new(now(), fresh())
}

#[tokio::test]
async fn a_new_endpoint_starts_at_the_end_and_an_old_one_where_it_was_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let store = open(&path, OpenMode::Create).await.unwrap();
    created(&store, challenge()).await;
    assert_eq!(store.join("old").await.unwrap(), 1);
    let (seq, event) = created(&store, challenge()).await;
    store.record(entry(EventType::BrokerDecision, None)).await.unwrap();
    store.close().await.unwrap();
    let store = open(&path, OpenMode::Existing).await.unwrap();
    assert_eq!((store.join("old").await.unwrap(), store.join("new").await.unwrap()), (1, 3));
    let news = store.news(1, 100).await.unwrap();
    assert_eq!((news.entries, news.next), (vec![(seq, event)], 3), "what is not about challenges is passed over");
    assert_eq!(store.news(1, 1).await.unwrap().next, 2, "no more than the window");
    assert_eq!(store.news(3, 100).await.unwrap().next, 3);
    store.close().await.unwrap();
}

#[tokio::test]
async fn events_of_one_challenge_wait_for_each_other_and_for_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("ledger.db"), OpenMode::Create).await.unwrap();
    store.join("hook").await.unwrap();
    store.join("other").await.unwrap();
    let (slow, quick) = (challenge(), challenge());
    let first = queued(&store, "hook", slow).await;
    let second = queued(&store, "hook", slow).await;
    let third = queued(&store, "hook", quick).await;
    assert_eq!(due(&store, "hook").await, [first.seq, third.seq]);
    assert_eq!(due(&store, "other").await, [0; 0]);
    let later = now().plus(Duration::from_secs(60));
    store.postpone("hook", first.seq, 1, later, "status 500").await.unwrap();
    assert_eq!(due(&store, "hook").await, [third.seq], "the second waits for the first although it is due");
    let tried = store.due("hook", later, 1).await.unwrap();
    assert_eq!((tried[0].seq, tried[0].attempts), (first.seq, 1));
    store.strike("hook", first.seq).await.unwrap();
    assert_eq!(due(&store, "hook").await, [second.seq, third.seq]);
    assert_eq!(store.waiting("hook").await.unwrap().count, 2);
    assert_eq!(store.waiting("hook").await.unwrap().oldest, Some(now()));
    store.close().await.unwrap();
}

/// The fate of a write may be unknown, so that it is made again; a failing statement would take others' decisions along.
#[tokio::test]
async fn every_change_can_be_made_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let store = open(&path, OpenMode::Create).await.unwrap();
    let event = |kind| Entry { event_id: EventId::new(now(), fresh()), ..entry(kind, None) };
    for _ in 0..2 {
        store.join("hook").await.unwrap();
    }
    let waits = queued(&store, "hook", challenge()).await;
    store.queue("hook", waits.seq + 1, vec![waits]).await.unwrap();
    assert_eq!(due(&store, "hook").await, [waits.seq]);
    for _ in 0..2 {
        store.bury("hook", waits.seq, 3, "status 500", event(EventType::NotificationDead)).await.unwrap();
        store.strike("hook", waits.seq).await.unwrap();
        store.postpone("hook", waits.seq, 1, now(), "gone already").await.unwrap();
    }
    assert_eq!(due(&store, "hook").await, [0; 0]);
    let letters = store.reader().dead_letters(10).await.unwrap();
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!(
        (letter.endpoint.as_str(), letter.seq, letter.attempts, letter.last.as_str()),
        ("hook", waits.seq, 3, "status 500")
    );
    store.close().await.unwrap();
}
