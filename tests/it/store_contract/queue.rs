//! What the port `Challenges` promises about lists and turns.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use atb::domain::approval::{Challenge, ChallengeDraft, ChallengeState, Summary, Turn};
use atb::domain::catalogue::Tier;
use atb::domain::id::ChallengeId;
use atb::domain::ledger::{Entry, EventType};
use atb::domain::spiffe::SpiffeId;
use atb::domain::time::Timestamp;
use atb::service::ports::{ChallengeQuery, Challenges, Entitled, Ledger, ListKey, Order, Viewer};

use super::{challenge, entry, fresh, now};

pub(super) async fn keeps_the_contract(store: Arc<dyn Challenges>, ledger: Arc<dyn Ledger>) {
    a_list_shows_what_matches_and_nothing_else(&*store).await;
    what_has_run_out_of_time_is_left_out_when_asked(&*store).await;
    paging_shows_each_once_while_others_come_and_change(store.clone()).await;
    turns_are_told_from_the_place_that_was_named(&*store, &*ledger).await;
    whoever_waits_for_a_turn_is_woken_by_it(store, &*ledger).await;
}

/// A viewer of one workspace.
pub(super) fn viewer(name: &str, workspace: &str) -> Viewer {
    Viewer { id: id(name), workspaces: vec![workspace.parse().unwrap()] }
}

fn id(name: &str) -> SpiffeId {
    format!("spiffe://example.org/approver/{name}").parse().unwrap()
}

/// A challenge opened at `at`, changed by `edit` before.
pub(super) fn opened(at: Timestamp, edit: impl FnOnce(&mut ChallengeDraft)) -> Challenge {
    let mut draft = challenge().draft().clone();
    edit(&mut draft);
    Challenge::open(ChallengeId::new(at, fresh()), draft, at)
}

pub(super) fn about(challenge: &Challenge, kind: EventType) -> Entry {
    let mut entry = entry(kind, None);
    entry.subject.challenge_id = Some(challenge.id());
    entry
}

pub(super) async fn open(store: &dyn Challenges, challenge: &Challenge) {
    store.open(challenge, about(challenge, EventType::PoaChallengeCreated)).await.unwrap();
}

/// As if somebody had approved it: the vote is put into the stored form.
fn voted(challenge: &Challenge, person: &str) -> Challenge {
    let mut value = serde_json::to_value(challenge).unwrap();
    let vote = serde_json::json!({"approver": id(person), "person": person, "roles": [],
        "approved_at": now(), "statement": "e30.e30.e30"});
    value["votes"].as_array_mut().unwrap().push(vote);
    serde_json::from_value(value).unwrap()
}

async fn ids(store: &dyn Challenges, query: &ChallengeQuery) -> Vec<ChallengeId> {
    store.list(query).await.unwrap().iter().map(|stored| stored.value.challenge_id).collect()
}

async fn a_list_shows_what_matches_and_nothing_else(store: &dyn Challenges) {
    let at = |seconds| now().plus(Duration::from_secs(seconds));
    let team = |draft: &mut ChallengeDraft, name: &str| draft.workspace = name.parse().unwrap();
    let plain = opened(at(1), |d| team(d, "list-a"));
    let low = opened(at(2), |d| {
        team(d, "list-a");
        d.tier = Tier::Low;
        d.ask.act = "erp.order.create".parse().unwrap();
    });
    let named = opened(at(3), |d| {
        team(d, "list-b");
        d.asked = vec![id("carol")];
        d.ask.sub = "spiffe://example.org/agent/other".parse().unwrap();
    });
    let rejected = opened(at(4), |d| team(d, "list-b"));
    for challenge in [&rejected, &plain, &named, &low] {
        open(store, challenge).await;
    }
    let no = rejected.clone().pending(at(4)).unwrap().reject(id("bob"), "no".parse().unwrap(), at(5));
    store.advance(1, &no, about(&no, EventType::PoaChallengeRejected)).await.unwrap();
    let vote = voted(&low, "bob");
    store.advance(1, &vote, about(&vote, EventType::PoaApprovalRecorded)).await.unwrap();

    let two = |name: &str| {
        let workspaces = ["list-a", "list-b"].map(|team| team.parse().unwrap()).to_vec();
        ChallengeQuery { viewer: Some(Viewer { id: id(name), workspaces }), limit: 100, ..ChallengeQuery::default() }
    };
    let act = |pattern: &str| Some(pattern.to_owned().try_into().unwrap());
    let mine = |person: &str, tiers: &[Tier], pattern: &str| {
        let acts = vec![pattern.to_owned().try_into().unwrap()];
        Some(Entitled { person: person.parse().unwrap(), tiers: tiers.to_vec(), acts })
    };
    let only = |workspace| ChallengeQuery { viewer: Some(viewer("alice", workspace)), limit: 9, ..Default::default() };
    let pending = vec![ChallengeState::Pending];
    for (what, query, expected) in [
        ("the named one sees all", two("carol"), vec![&plain, &low, &named, &rejected]),
        ("others see not what is asked of her", two("alice"), vec![&plain, &low, &rejected]),
        ("another team's are not seen", only("list-a"), vec![&plain, &low]),
        ("nobody's team", only("list-z"), vec![]),
        ("the newest first", ChallengeQuery { order: Order::Newest, ..two("alice") }, vec![&rejected, &low, &plain]),
        ("a state", ChallengeQuery { states: pending.clone(), ..two("carol") }, vec![&plain, &low, &named]),
        (
            "two states",
            ChallengeQuery { states: vec![ChallengeState::Rejected, ChallengeState::Pending], ..two("alice") },
            vec![&plain, &low, &rejected],
        ),
        ("no such state", ChallengeQuery { states: vec![ChallengeState::Redeemed], ..two("carol") }, vec![]),
        ("a tier", ChallengeQuery { tier: Some(Tier::Low), ..two("carol") }, vec![&low]),
        ("an act", ChallengeQuery { act: act("erp.order.create"), ..two("carol") }, vec![&low]),
        ("a family", ChallengeQuery { act: act("sap.*"), ..two("carol") }, vec![&plain, &named, &rejected]),
        ("a family is more than letters", ChallengeQuery { act: act("er.*"), ..two("carol") }, vec![]),
        ("any act", ChallengeQuery { act: act("*"), ..two("alice") }, vec![&plain, &low, &rejected]),
        ("an agent", ChallengeQuery { agent: Some(named.agent().clone()), ..two("carol") }, vec![&named]),
        ("from then on", ChallengeQuery { since: Some(at(2)), ..two("alice") }, vec![&low, &rejected]),
        ("until then", ChallengeQuery { until: Some(at(2)), ..two("alice") }, vec![&plain]),
        (
            "mine",
            ChallengeQuery { entitled: mine("alice", &Tier::ALL, "*"), ..two("alice") },
            vec![&plain, &low, &rejected],
        ),
        (
            "voted already",
            ChallengeQuery { entitled: mine("bob", &Tier::ALL, "*"), ..two("alice") },
            vec![&plain, &rejected],
        ),
        ("my tiers", ChallengeQuery { entitled: mine("alice", &[Tier::Low], "*"), ..two("alice") }, vec![&low]),
        ("my acts", ChallengeQuery { entitled: mine("alice", &Tier::ALL, "erp.*"), ..two("alice") }, vec![&low]),
        ("no tiers", ChallengeQuery { entitled: mine("alice", &[], "*"), ..two("alice") }, vec![]),
    ] {
        let expected: Vec<_> = expected.iter().map(|challenge| challenge.id()).collect();
        assert_eq!(ids(store, &query).await, expected, "{what}");
        // The limit counts what matches, and going on behind the last leaves nothing out.
        let mut paged = Vec::new();
        let mut page = ChallengeQuery { limit: 1, ..query };
        while let [one] = store.list(&page).await.unwrap().as_slice() {
            page.after = Some(ListKey { created_at: one.value.created_at, id: one.value.challenge_id });
            paged.push(one.value.challenge_id);
        }
        assert_eq!(paged, expected, "{what}, one by one");
    }
    let stored = store.list(&ChallengeQuery { tier: Some(Tier::Low), ..two("alice") }).await.unwrap();
    assert_eq!(stored[0].value, Summary::of(&vote), "what is listed is what the challenge says");
}

async fn what_has_run_out_of_time_is_left_out_when_asked(store: &dyn Challenges) {
    let waits = opened(now(), |d| d.workspace = "time".parse().unwrap());
    open(store, &waits).await;
    let at = |instant| ChallengeQuery {
        viewer: Some(viewer("alice", "time")),
        in_time_at: Some(instant),
        limit: 9,
        ..ChallengeQuery::default()
    };
    let before = waits.expires_at().minus(Duration::from_millis(1));
    assert_eq!(ids(store, &at(before)).await, [waits.id()]);
    assert!(ids(store, &at(waits.expires_at())).await.is_empty());
    let expired = waits.clone().expire(waits.expires_at());
    store.advance(1, &expired, about(&expired, EventType::PoaChallengeExpired)).await.unwrap();
    assert_eq!(ids(store, &at(waits.expires_at())).await, [waits.id()], "that it expired is on record: it is shown");
}

async fn paging_shows_each_once_while_others_come_and_change(store: Arc<dyn Challenges>) {
    let team = |n: usize| format!("page-{}", n % 3);
    let at = |n: usize| now().plus(Duration::from_millis(u64::try_from(n / 4).unwrap())); // four at each instant
    let mut there = BTreeSet::new();
    let mut changing = Vec::new();
    for n in 0..120 {
        let challenge = opened(at(n), |d| d.workspace = team(n).parse().unwrap());
        open(&*store, &challenge).await;
        if n % 5 == 0 { changing.push(challenge) } else { assert!(there.insert(challenge.id())) }
    }
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for (n, challenge) in changing.iter().enumerate() {
                let early = opened(at(n), |d| d.workspace = team(n).parse().unwrap());
                let late = opened(at(200 + n), |d| d.workspace = team(n).parse().unwrap());
                open(&*store, &early).await;
                open(&*store, &late).await;
                let next = challenge.clone().expire(challenge.expires_at());
                store.advance(1, &next, about(&next, EventType::PoaChallengeExpired)).await.unwrap();
            }
        }
    });
    for order in [Order::Oldest, Order::Newest] {
        let workspaces = (0..3).map(|n| team(n).parse().unwrap()).collect();
        let mut query = ChallengeQuery {
            viewer: Some(Viewer { id: id("alice"), workspaces }),
            states: vec![ChallengeState::Pending],
            order,
            limit: 7,
            ..ChallengeQuery::default()
        };
        let mut seen = BTreeSet::new();
        let mut last: Option<ListKey> = None;
        loop {
            let page = store.list(&query).await.unwrap();
            for stored in &page {
                let key = ListKey { created_at: stored.value.created_at, id: stored.value.challenge_id };
                assert!(seen.insert(key.id), "shown twice: {key:?}");
                let behind = |last: ListKey| if order == Order::Oldest { key > last } else { key < last };
                assert!(last.is_none_or(behind), "out of order: {key:?}");
                last = Some(key);
            }
            if page.len() < 7 {
                break;
            }
            query.after = last;
            tokio::task::yield_now().await;
        }
        assert!(there.is_subset(&seen), "left out: {:?}", there.difference(&seen));
    }
    writer.await.unwrap();
}

async fn turns_are_told_from_the_place_that_was_named(store: &dyn Challenges, ledger: &dyn Ledger) {
    let mine = opened(now(), |d| d.workspace = "turns".parse().unwrap());
    let asked = opened(now(), |d| {
        d.workspace = "turns".parse().unwrap();
        d.asked = vec![id("carol")];
    });
    let theirs = opened(now(), |d| d.workspace = "turns-2".parse().unwrap());
    let start = ledger.checkpoint().await.unwrap().size();
    for challenge in [&mine, &theirs, &asked] {
        open(store, challenge).await;
    }
    ledger.record(about(&mine, EventType::PoaApprovalRefused)).await.unwrap();
    let expired = mine.clone().expire(mine.expires_at());
    store.advance(1, &expired, about(&expired, EventType::PoaChallengeExpired)).await.unwrap();

    let told = async |from, limit, name: &str| -> Vec<_> {
        let turns = store.turns(from, limit, &viewer(name, "turns")).await.unwrap();
        turns.iter().map(|(seq, entry, now)| (*seq - start, Turn::of(entry).unwrap(), now.challenge_id)).collect()
    };
    let (created, ended) = ((0, Turn::Created, mine.id()), (4, Turn::Expired, mine.id()));
    assert_eq!(told(start, 9, "alice").await, [created, ended]);
    assert_eq!(told(start, 9, "carol").await, [created, (2, Turn::Created, asked.id()), ended]);
    assert_eq!(told(start, 1, "alice").await, [created]);
    assert_eq!(told(start + 1, 9, "alice").await, [ended]);
    assert!(told(start + 5, 9, "alice").await.is_empty());
    let shown = &store.turns(start, 1, &viewer("alice", "turns")).await.unwrap()[0].2;
    assert_eq!(shown, &Summary::of(&expired), "the challenge as it stands now");
}

async fn whoever_waits_for_a_turn_is_woken_by_it(store: Arc<dyn Challenges>, ledger: &dyn Ledger) {
    let size = ledger.checkpoint().await.unwrap().size();
    let waiting = Arc::clone(&store);
    let waiter = tokio::spawn(async move { waiting.moved(size, 20_000).await });
    ledger.record(entry(EventType::PoaDenied, None)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiter.is_finished(), "an entry about something else is no turn");
    open(&*store, &opened(now(), |_| {})).await;
    tokio::time::timeout(Duration::from_secs(5), waiter).await.expect("woken").unwrap();
    let missed = store.moved(size, 20_000);
    tokio::time::timeout(Duration::from_secs(5), missed).await.expect("what came before the waiting counts");
}

/// A page must not cost what the whole queue does: 50 ms are the bound of a release build (`cargo bench --bench queue`),
/// this is a debug build beside other tests. Reading all 10,000 takes above a second.
const BOUND: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn a_page_costs_what_it_shows_and_not_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let store = super::open(&dir.path().join("ledger.db"), super::OpenMode::Create).await.unwrap();
    let store: Arc<dyn Challenges> = Arc::new(store);
    for group in 0..20_usize {
        let fill = (group * 500..(group + 1) * 500).map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let at = now().plus(Duration::from_millis(u64::try_from(n).unwrap()));
                let challenge = opened(at, |d| {
                    d.workspace = format!("team-{}", n % 5).parse().unwrap();
                    d.tier = Tier::ALL[n % 4];
                });
                open(&*store, &challenge).await;
            })
        });
        for task in fill.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    }
    let workspaces = (0..5).map(|n| format!("team-{n}").parse().unwrap()).collect();
    let acts = vec!["sap.*".to_owned().try_into().unwrap()];
    let all = ChallengeQuery {
        viewer: Some(Viewer { id: id("alice"), workspaces }),
        states: vec![ChallengeState::Pending],
        in_time_at: Some(now()),
        ..ChallengeQuery::default()
    };
    let mine = Entitled { person: "alice".parse().unwrap(), tiers: vec![Tier::High], acts };
    let one = ChallengeQuery { viewer: Some(viewer("alice", "team-3")), ..all.clone() };
    for (what, query) in [
        ("all", all.clone()),
        ("one team", one),
        ("one tier", ChallengeQuery { tier: Some(Tier::Critical), ..all.clone() }),
        ("mine", ChallengeQuery { entitled: Some(mine), ..all.clone() }),
        ("nothing", ChallengeQuery { agent: Some(id("nobody")), ..all.clone() }),
        ("the newest", ChallengeQuery { order: Order::Newest, ..all }),
    ] {
        for limit in [50, 200] {
            let mut query = ChallengeQuery { limit, ..query.clone() };
            for page in 1..=40 {
                // The best of three: other tests run beside this one.
                let (mut best, mut listed) = (Duration::MAX, Vec::new());
                for _ in 0..if page == 1 || page == 40 { 3 } else { 1 } {
                    let started = std::time::Instant::now();
                    listed = store.list(&query).await.unwrap();
                    best = best.min(started.elapsed());
                }
                if page == 1 || page == 40 {
                    println!("{what}, page {page} of {limit}: {best:?}");
                    assert!(best < BOUND, "{what}, page {page} of {limit}: {best:?}");
                }
                let Some(last) = listed.last().filter(|_| listed.len() == usize::try_from(limit).unwrap()) else {
                    break;
                };
                query.after = Some(ListKey { created_at: last.value.created_at, id: last.value.challenge_id });
            }
        }
    }
}
