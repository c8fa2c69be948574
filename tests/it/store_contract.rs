//! What the ports `Ledger` and `Challenges` promise, as functions over the traits, so that every store is held to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests' helpers")]

mod queue;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use atb::adapters::store::{OpenError, OpenMode, SqliteStore};
use atb::domain::approval::{Challenge, ChallengeDraft, ChallengeState};
use atb::domain::id::{ChallengeId, DecisionId, EventId, Jti, WorkspaceId};
use atb::domain::ledger::{CallKey, Entry, EventType, LogKey, Origin, Subject};
use atb::domain::time::Timestamp;
use atb::service::auditor::{Start, verify_log};
use atb::service::ports::{
    AdvanceError, Burn, BurnError, ChallengeQuery, Challenges, Clock, EntryFilter, Ledger, StoreError,
};

/// The instant at which every test begins.
pub fn now() -> Timestamp {
    Timestamp::from_secs(1_790_000_000)
}

/// A clock that stands at [`now`] and moves only when told.
pub struct TestClock(AtomicU64, Instant);

impl TestClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(now().as_millis()), Instant::now()))
    }

    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn monotonic_micros(&self) -> u64 {
        u64::try_from(self.1.elapsed().as_micros()).unwrap()
    }
}

/// Ten bytes that no other call in this process gave.
pub fn fresh() -> [u8; 10] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 10];
    bytes[..4].copy_from_slice(&std::process::id().to_be_bytes());
    bytes[4..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes()[2..]);
    bytes
}

pub fn key() -> LogKey {
    LogKey::new(ed25519_dalek::SigningKey::from_bytes(&[42; 32]))
}

pub fn origin() -> Origin {
    "atb.test/store".parse().unwrap()
}

pub async fn open(path: &std::path::Path, mode: OpenMode) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(path, mode, key(), origin(), TestClock::new()).await
}

pub fn entry(event_type: EventType, jti: Option<Jti>) -> Entry {
    Entry {
        event_id: EventId::new(now(), fresh()),
        event_type,
        at: now(),
        workspace: WorkspaceId::default(),
        subject: Subject {
            agent: Some("spiffe://example.org/agent/buyer".parse().unwrap()),
            act: Some("erp.order.read".parse().unwrap()),
            decision_id: Some(DecisionId::new(now(), fresh())),
            reason: Some("ok".to_owned()),
            jti,
            ..Subject::default()
        },
    }
}

/// The broker's yes.
pub fn allowed(jti: Option<Jti>) -> Entry {
    let mut entry = entry(EventType::BrokerDecision, jti);
    entry.subject.allow = Some(true);
    entry
}

pub fn new_jti() -> Jti {
    Jti::new(now(), fresh())
}

pub fn burn(jti: Jti, challenge: Option<ChallengeId>) -> Burn {
    Burn { jti, challenge, keep_until: now().plus(Duration::from_secs(330)), calls: true }
}

pub async fn spend(ledger: &dyn Ledger, burn: Burn) -> Result<u64, BurnError> {
    let jti = burn.jti;
    let spent = allowed(Some(jti));
    let replayed = entry(EventType::PoaSingleUseReplayBlocked, Some(jti));
    let decision = spent.subject.decision_id.unwrap();
    let receipt = ledger.burn_and_record(burn, spent, replayed).await?;
    assert!(receipt.proves_permission(CallKey::Mandate(jti), decision));
    Ok(receipt.seq())
}

pub fn challenge() -> Challenge {
    let draft: ChallengeDraft = serde_json::from_value(serde_json::json!({
        "ask": {
            "sub": "spiffe://example.org/agent/buyer", "act": "sap.vendor.change", "con": {}, "ttl": 300,
            "leg": {
                "jurisdiction": "DE", "accountable_party": {"type": "employee", "id": "p-1"}, "basis": "CONTRACT",
                "ref": "C-1", "description": "Change of a vendor", "template": {"id": "vendor", "version": "1",
                "digest": "sha-256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}
            }
        },
        "view": {"v": 1, "title": "Change a vendor", "tier": "high", "sentence": "Change a vendor", "facts": []},
        "workspace": "default", "tier": "high", "aud": ["spiffe://example.org/broker"],
        "requirement": {"required": 2, "roles": {}, "excluded": ["requester"], "delegable": true, "ticket": false,
            "challenge_seconds": 900, "max_ttl_seconds": 300},
        "requires_dual_control": false, "asked": [], "pol": "r1"
    }))
    .unwrap();
    Challenge::open(ChallengeId::new(now(), fresh()), draft, now())
}

async fn all(ledger: &dyn Ledger, filter: EntryFilter) -> Vec<(u64, Entry)> {
    let rows = ledger.entries(0, 10_000, &filter).await.unwrap();
    rows.iter().map(|(seq, body)| (*seq, serde_json::from_slice(body).unwrap())).collect()
}

async fn of_type(ledger: &dyn Ledger, event_type: EventType) -> usize {
    all(ledger, EntryFilter { event_type: Some(event_type), ..EntryFilter::default() }).await.len()
}

// ---- the contract ----

async fn entries_are_numbered_without_gaps_and_covered_by_the_checkpoint(ledger: &dyn Ledger) {
    let before = ledger.checkpoint().await.unwrap().size();
    for expected in before..before + 5 {
        let written = entry(EventType::PoaDenied, None);
        let receipt = ledger.record(written.clone()).await.unwrap();
        assert_eq!((receipt.seq(), receipt.event_id()), (expected, written.event_id));
        assert_eq!(ledger.checkpoint().await.unwrap().size(), expected + 1);
        let rows = ledger.entries(expected, 10, &EntryFilter::default()).await.unwrap();
        assert_eq!(rows, [(expected, written.to_bytes())]);
    }
}

async fn a_mandate_is_spent_once(ledger: &dyn Ledger) {
    let jti = new_jti();
    let first = spend(ledger, burn(jti, None)).await.unwrap();
    let Err(BurnError::Replayed(receipt)) = spend(ledger, burn(jti, None)).await else { panic!("spent twice") };
    assert_eq!(receipt.seq(), first + 1);
    let replays = EntryFilter { event_type: Some(EventType::PoaSingleUseReplayBlocked), ..EntryFilter::default() };
    let (_, replay) = all(ledger, replays).await.pop().unwrap();
    let permits = receipt.proves_permission(CallKey::Mandate(jti), replay.subject.decision_id.unwrap());
    assert!(!permits, "the record of a replay is no permit");
}

async fn a_challenge_and_a_mandate_are_spent_both_or_neither(ledger: &dyn Ledger) {
    let approved = ChallengeId::new(now(), fresh());
    spend(ledger, burn(new_jti(), Some(approved))).await.unwrap();
    let second = new_jti();
    assert!(matches!(spend(ledger, burn(second, Some(approved))).await, Err(BurnError::Replayed(_))));
    spend(ledger, burn(second, None)).await.expect("the mandate was not burned with the replayed challenge");
}

async fn a_call_is_in_doubt_until_its_outcome(ledger: &dyn Ledger) {
    let (called, asked) = (new_jti(), new_jti());
    let seq = spend(ledger, burn(called, Some(ChallengeId::new(now(), fresh())))).await.unwrap();
    spend(ledger, Burn { calls: false, ..burn(asked, None) }).await.unwrap();
    let in_doubt = ledger.calls_in_doubt().await.unwrap();
    let (_, decision) = in_doubt.iter().find(|(key, _)| key.jti() == Some(called)).unwrap();
    assert_eq!(ledger.entries(seq, 1, &EntryFilter::default()).await.unwrap()[0].1, decision.to_bytes());
    assert!(in_doubt.iter().all(|(key, _)| key.jti() != Some(asked)), "a verdict alone has no outcome to wait for");
    let key = CallKey::Mandate(called);
    ledger.record_outcome(key, entry(EventType::ConnectorOutcome, Some(called))).await.unwrap();
    assert!(ledger.calls_in_doubt().await.unwrap().iter().all(|(doubt, _)| *doubt != key));
}

async fn a_call_without_a_mandate_is_in_doubt_until_its_outcome_and_then_forgotten(ledger: &dyn Ledger) {
    let decision = allowed(None);
    let id = decision.subject.decision_id.unwrap();
    let key = CallKey::Unmandated(id);
    let receipt = ledger.record_unmandated(id, decision.clone()).await.unwrap();
    assert!(receipt.proves_permission(key, id));
    let again = ledger.record_unmandated(id, decision.clone()).await;
    assert!(again.is_err(), "one decision permits one call");
    let in_doubt = async || ledger.calls_in_doubt().await.unwrap().into_iter().find(|(doubt, _)| *doubt == key);
    assert_eq!(in_doubt().await.unwrap().1, decision);
    ledger.prune_burned(now().plus(Duration::from_secs(100_000))).await.unwrap();
    assert!(in_doubt().await.is_some(), "what is in doubt stays");
    ledger.record_outcome(key, entry(EventType::ConnectorOutcome, None)).await.unwrap();
    assert!(in_doubt().await.is_none());
}

async fn what_was_allowed_lately_is_summed_up_without_questions_and_denials(ledger: &dyn Ledger) {
    let at = |entry: Entry, ago: u64| {
        let mut entry = Entry { at: now().minus(Duration::from_secs(ago)), ..entry };
        entry.workspace = "counted".parse().unwrap();
        entry
    };
    let mut peek = allowed(Some(new_jti()));
    peek.subject.detail.insert("peek".to_owned(), "true".to_owned());
    let mut look_alike = allowed(Some(new_jti()));
    look_alike.subject.detail.insert("note".to_owned(), "\"peek\":\"true\"".to_owned());
    let mut denied = entry(EventType::BrokerDecision, Some(new_jti()));
    denied.subject.reason = Some("unknown_act".to_owned());
    for (entry, ago) in [
        (allowed(Some(new_jti())), 0),
        (allowed(None), 0),
        (look_alike, 0),
        (allowed(Some(new_jti())), 30),
        (allowed(Some(new_jti())), 7_200),
        (allowed(Some(new_jti())), 90_000),
        (peek, 0),
        (denied, 0),
        (entry(EventType::ConnectorOutcome, None), 0),
    ] {
        ledger.record(at(entry, ago)).await.unwrap();
    }
    let since = now().minus(Duration::from_secs(86_400));
    let mut sums = ledger.allowed_calls(since, now()).await.unwrap();
    sums.retain(|sum| sum.workspace.as_str() == "counted");
    assert!(sums.iter().all(|sum| sum.agent.as_str() == "spiffe://example.org/agent/buyer"));
    assert!(sums.iter().all(|sum| sum.act.as_str() == "erp.order.read"));
    let this = now().as_secs();
    let quarter = (this - 7_200) / 900 * 900 + 899;
    let found: Vec<_> = sums.iter().map(|sum| (sum.at, sum.calls)).collect();
    assert_eq!(found, [(quarter, 1), (this - 30, 1), (this, 3)]);
}

async fn what_need_not_be_remembered_is_forgotten_except_calls_in_doubt(ledger: &dyn Ledger) {
    let (open, settled, later) = (new_jti(), new_jti(), new_jti());
    for jti in [open, settled] {
        spend(ledger, burn(jti, None)).await.unwrap();
    }
    spend(ledger, Burn { keep_until: now().plus(Duration::from_secs(9000)), calls: false, ..burn(later, None) })
        .await
        .unwrap();
    let settle = ledger.record_outcome(CallKey::Mandate(settled), entry(EventType::ConnectorOutcome, Some(settled)));
    settle.await.unwrap();
    assert_eq!(ledger.prune_burned(now()).await.unwrap(), 0, "all are still to be remembered");
    assert!(ledger.prune_burned(now().plus(Duration::from_secs(1000))).await.unwrap() >= 1);
    assert!(spend(ledger, burn(settled, None)).await.is_ok(), "forgotten");
    assert!(matches!(spend(ledger, burn(open, None)).await, Err(BurnError::Replayed(_))), "in doubt");
    assert!(matches!(spend(ledger, burn(later, None)).await, Err(BurnError::Replayed(_))), "not yet due");
}

async fn a_query_finds_what_its_filter_says_and_nothing_else(ledger: &dyn Ledger) {
    let jti = new_jti();
    let mut wanted = entry(EventType::PoaIssued, Some(jti));
    wanted.at = now().plus(Duration::from_secs(60));
    wanted.workspace = "team-7".parse().unwrap();
    wanted.subject.agent = Some("spiffe://example.org/agent/other".parse().unwrap());
    wanted.subject.act = Some("hr.employee.read".parse().unwrap());
    wanted.subject.reason = Some("odd".to_owned());
    wanted.subject.challenge_id = Some(ChallengeId::new(now(), fresh()));
    ledger.record(entry(EventType::PoaDenied, Some(new_jti()))).await.unwrap();
    let seq = ledger.record(wanted.clone()).await.unwrap().seq();
    let text = |id: Option<&dyn ToString>| id.map(ToString::to_string);
    let none = EntryFilter::default;
    let subject = &wanted.subject;
    for filter in [
        EntryFilter { event_type: Some(EventType::PoaIssued), jti: text(Some(&jti)), ..none() },
        EntryFilter { agent: text(subject.agent.as_ref().map(|v| v as _)), ..none() },
        EntryFilter { act: text(subject.act.as_ref().map(|v| v as _)), ..none() },
        EntryFilter { reason: subject.reason.clone(), ..none() },
        EntryFilter { challenge_id: text(subject.challenge_id.as_ref().map(|v| v as _)), ..none() },
        EntryFilter { decision_id: text(subject.decision_id.as_ref().map(|v| v as _)), ..none() },
        EntryFilter { workspace: Some(wanted.workspace.clone()), ..none() },
        EntryFilter { since: Some(wanted.at), until: Some(wanted.at.plus(Duration::from_millis(1))), ..none() },
    ] {
        assert_eq!(all(ledger, filter.clone()).await, [(seq, wanted.clone())], "{filter:?}");
    }
    assert!(all(ledger, EntryFilter { until: Some(wanted.at), jti: text(Some(&jti)), ..none() }).await.is_empty());
    assert!(all(ledger, EntryFilter { jti: Some("' OR 1=1 --".to_owned()), ..none() }).await.is_empty());
    assert_eq!(ledger.entries(seq + 1, 10, &none()).await.unwrap(), []);
}

async fn one_of_a_thousand_parallel_burns_is_the_first(ledger: Arc<dyn Ledger>) {
    let jti = new_jti();
    let before = of_type(&*ledger, EventType::PoaSingleUseReplayBlocked).await;
    let tasks: Vec<_> = (0..1000)
        .map(|_| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move { spend(&*ledger, burn(jti, None)).await })
        })
        .collect();
    let (mut spent, mut seqs) = (0, std::collections::BTreeSet::new());
    for task in tasks {
        match task.await.unwrap() {
            Ok(seq) => {
                spent += 1;
                seqs.insert(seq);
            }
            Err(BurnError::Replayed(receipt)) => {
                seqs.insert(receipt.seq());
            }
            Err(BurnError::Store(error)) => panic!("{error}"),
        }
    }
    assert_eq!((spent, seqs.len()), (1, 1000), "one decision, and an entry for each");
    assert_eq!(of_type(&*ledger, EventType::PoaSingleUseReplayBlocked).await, before + 999);
}

async fn a_challenge_changes_only_from_the_version_that_was_read(store: &dyn Challenges, ledger: &dyn Ledger) {
    let opened = challenge();
    store.open(&opened, entry(EventType::PoaChallengeCreated, None)).await.unwrap();
    let size = ledger.checkpoint().await.unwrap().size();
    let again = store.open(&opened, entry(EventType::PoaChallengeCreated, None)).await;
    assert!(matches!(again, Err(AdvanceError::Conflict)));
    let read = store.find(opened.id()).await.unwrap().unwrap();
    assert_eq!(read.value, opened);
    let expired = read.value.expire(opened.expires_at());
    for stale in [read.version - 1, read.version + 1] {
        let result = store.advance(stale, &expired, entry(EventType::PoaChallengeExpired, None)).await;
        assert!(matches!(result, Err(AdvanceError::Conflict)));
    }
    assert_eq!(ledger.checkpoint().await.unwrap().size(), size, "a conflict writes nothing");
    store.advance(read.version, &expired, entry(EventType::PoaChallengeExpired, None)).await.unwrap();
    let stored = store.find(opened.id()).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.value), (read.version + 1, expired));
    let in_state = |state| ChallengeQuery { states: vec![state], limit: 100, ..ChallengeQuery::default() };
    let pending = store.list(&in_state(ChallengeState::Pending)).await.unwrap();
    assert!(pending.iter().all(|c| c.value.challenge_id != opened.id()));
    let listed = store.list(&in_state(ChallengeState::Expired)).await.unwrap();
    assert!(listed.iter().any(|c| c.value.challenge_id == opened.id() && c.version == read.version + 1));
    assert!(store.find(ChallengeId::new(now(), fresh())).await.unwrap().is_none());
    let unknown = challenge();
    let result = store.advance(1, &unknown, entry(EventType::PoaChallengeExpired, None)).await;
    assert!(matches!(result, Err(AdvanceError::Conflict)));
}

async fn one_of_many_concurrent_changes_wins(store: Arc<dyn Challenges>) {
    let opened = challenge();
    store.open(&opened, entry(EventType::PoaChallengeCreated, None)).await.unwrap();
    let version = store.find(opened.id()).await.unwrap().unwrap().version;
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let (store, next) = (Arc::clone(&store), opened.clone().expire(opened.expires_at()));
            tokio::spawn(
                async move { store.advance(version, &next, entry(EventType::PoaChallengeExpired, None)).await },
            )
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => won += 1,
            Err(AdvanceError::Conflict) => {}
            Err(AdvanceError::Store(error)) => panic!("{error}"),
        }
    }
    assert_eq!(won, 1);
}

async fn a_waiter_is_woken_by_the_change_and_not_before(store: Arc<dyn Challenges>) {
    let opened = challenge();
    store.open(&opened, entry(EventType::PoaChallengeCreated, None)).await.unwrap();
    let version = store.find(opened.id()).await.unwrap().unwrap().version;
    let (id, waiting) = (opened.id(), Arc::clone(&store));
    let waiter = tokio::spawn(async move { waiting.changed(id, version, 20_000).await });
    store.open(&challenge(), entry(EventType::PoaChallengeCreated, None)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiter.is_finished(), "another challenge's change is not this one's");
    let next = opened.clone().expire(opened.expires_at());
    store.advance(version, &next, entry(EventType::PoaChallengeExpired, None)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), waiter).await.expect("woken").unwrap();
    let returns_at_once = store.changed(id, version, 20_000);
    tokio::time::timeout(Duration::from_secs(5), returns_at_once).await.expect("it has changed already");
    let started = Instant::now();
    store.changed(id, version + 1, 60).await;
    assert!(started.elapsed() >= Duration::from_millis(55), "waits for its time");
}

// ---- SQLite ----

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    let store = Arc::new(open(&path, OpenMode::Create).await.unwrap());
    entries_are_numbered_without_gaps_and_covered_by_the_checkpoint(&*store).await;
    a_mandate_is_spent_once(&*store).await;
    a_challenge_and_a_mandate_are_spent_both_or_neither(&*store).await;
    a_call_is_in_doubt_until_its_outcome(&*store).await;
    a_call_without_a_mandate_is_in_doubt_until_its_outcome_and_then_forgotten(&*store).await;
    what_was_allowed_lately_is_summed_up_without_questions_and_denials(&*store).await;
    what_need_not_be_remembered_is_forgotten_except_calls_in_doubt(&*store).await;
    a_query_finds_what_its_filter_says_and_nothing_else(&*store).await;
    one_of_a_thousand_parallel_burns_is_the_first(store.clone()).await;
    a_challenge_changes_only_from_the_version_that_was_read(&*store, &*store).await;
    one_of_many_concurrent_changes_wins(store.clone()).await;
    a_waiter_is_woken_by_the_change_and_not_before(store.clone()).await;
    queue::keeps_the_contract(store.clone(), store.clone()).await;

    let checkpoint = store.checkpoint().await.unwrap();
    assert_eq!(store.verifier().verify(checkpoint.note()).unwrap(), checkpoint);
    store.close().await.unwrap();
    assert!(matches!(store.record(entry(EventType::PoaDenied, None)).await, Err(StoreError::Unavailable(_))));
    let again = open(&path, OpenMode::Existing).await;
    assert!(matches!(again, Ok(ref s) if s.queue_depth() == 0), "{again:?}");
    assert_eq!(again.unwrap().checkpoint().await.unwrap(), checkpoint);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_spent_stays_spent_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    let jti = new_jti();
    let store = open(&path, OpenMode::Create).await.unwrap();
    spend(&store, burn(jti, None)).await.unwrap();
    store.close().await.unwrap();
    let store = open(&path, OpenMode::Existing).await.unwrap();
    assert!(matches!(spend(&store, burn(jti, None)).await, Err(BurnError::Replayed(_))));
    assert_eq!(store.calls_in_doubt().await.unwrap()[0].0, CallKey::Mandate(jti));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_does_not_depend_on_how_entries_were_grouped() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&dir.path().join("ledger.db"), OpenMode::Create).await.unwrap());
    for group in [1_usize, 2, 255, 256, 257, 1, 511, 512, 64, 3] {
        let tasks: Vec<_> = (0..group)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { store.record(entry(EventType::PoaDenied, None)).await.unwrap() })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
    let mut tree = atb::domain::ledger::Frontier::new();
    for (_, body) in store.entries(0, 10_000, &EntryFilter::default()).await.unwrap() {
        tree.append(atb::domain::ledger::LeafHash::of(&body));
    }
    let checkpoint = store.checkpoint().await.unwrap();
    assert_eq!((checkpoint.size(), checkpoint.root()), (tree.size(), tree.root()));
    let report = verify_log(store.reader(), store.verifier(), &[], Start::Beginning).await.unwrap();
    assert!(report.is_intact(), "{:?}", report.findings);
    proofs_verify(&store).await;
}

async fn proofs_verify(store: &SqliteStore) {
    use atb::domain::ledger::{LeafHash, verify_consistency, verify_inclusion};
    let now = store.checkpoint().await.unwrap();
    let bodies = store.entries(0, 10_000, &EntryFilter::default()).await.unwrap();
    for seq in [0, 255, 256, 700, now.size() - 1] {
        let proof = store.reader().inclusion_proof(seq, now.size()).await.unwrap();
        let leaf = LeafHash::of(&bodies[usize::try_from(seq).unwrap()].1);
        assert!(verify_inclusion(leaf, seq, now.size(), now.root(), &proof), "{seq}");
    }
    for old in [1_usize, 256, 300, 1024] {
        let mut tree = atb::domain::ledger::Frontier::new();
        bodies[..old].iter().for_each(|(_, body)| tree.append(LeafHash::of(body)));
        let proof = store.reader().consistency_proof(old as u64, now.size()).await.unwrap();
        assert!(verify_consistency(old as u64, tree.root(), now.size(), now.root(), &proof), "{old}");
    }
}
