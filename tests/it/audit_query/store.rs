//! The file behind the questions: what SQL narrows is what the bytes say, pages hold still while others write, and no
//! question takes for ever.

use std::sync::Arc;

use atb::adapters::store::{OpenMode, SqliteReader};
use atb::domain::catalogue::Tier;
use atb::domain::id::{ChallengeId, DecisionId, Sha256Digest};
use atb::domain::ledger::query::{Key, Query};
use atb::domain::ledger::{Entry, EventType};
use atb::domain::time::Timestamp;
use atb::service::ports::{AuditLog as _, AuditQuestion, EntryFilter, Ledger, Order};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use super::pages;
use crate::store_contract::{entry, fresh, new_jti, now, open};

/// An entry unlike its neighbours in everything that can be asked for.
fn varied(n: u64) -> Entry {
    let pick = |names: &[&str], by: u64| names[usize::try_from(n / by).unwrap() % names.len()].to_owned();
    let mut entry = entry(EventType::ALL[usize::try_from(n % 21).unwrap()], n.is_multiple_of(3).then(new_jti));
    let subject = &mut entry.subject;
    entry.at = now().plus(std::time::Duration::from_millis(n * 700));
    entry.workspace = pick(&["default", "finance", "hr"], 2).parse().unwrap();
    let agents = ["spiffe://atb.dev/agent/buyer", "spiffe://atb.dev/agent/buyer/two", "spiffe://atb.dev/agent-x/y"];
    subject.agent = Some(pick(&agents, 1).parse().unwrap()).filter(|_| !n.is_multiple_of(7));
    subject.act =
        Some(pick(&["erp.order.read", "erp.order.create", "erpx.order.read", "crm.lead.read"], 1).parse().unwrap());
    subject.tier = Some(Tier::ALL[usize::try_from(n % 4).unwrap()]).filter(|_| !n.is_multiple_of(5));
    subject.allow = [Some(true), Some(false), None][usize::try_from(n % 3).unwrap()];
    subject.reason = Some(pick(&["ok", "not covered", "say \"no\" \\ now"], 3));
    subject.risk_score = (!n.is_multiple_of(4)).then(|| (n % 101).try_into().unwrap());
    subject.connector = Some(pick(&["erp", "crm"], 1).parse().unwrap()).filter(|_| !n.is_multiple_of(2));
    subject.challenge_id = n.is_multiple_of(4).then(|| ChallengeId::new(now(), fresh()));
    subject.decision_id = n.is_multiple_of(2).then(|| DecisionId::new(now(), fresh()));
    subject.bundle = Some(pick(&["r1", "r2"], 4).parse().unwrap());
    subject.bundle_digest = Some(Sha256Digest::of(pick(&["r1", "r2"], 4).as_bytes()));
    let people = ["spiffe://atb.dev/approver/alice", "spiffe://atb.dev/approver/bob"];
    subject.caller = Some(pick(&people, 1).parse().unwrap());
    subject.approvers = people.iter().take(usize::try_from(n % 3).unwrap()).map(|id| id.parse().unwrap()).collect();
    if n.is_multiple_of(6) {
        subject.detail.insert("on_behalf_of".to_owned(), people[1].to_owned());
    }
    entry
}

/// What can be asked of `entry`, so that it is found.
fn questions_about(entry: &Entry) -> Vec<String> {
    let subject = &entry.subject;
    let mut out = vec![
        format!("since={} until={}", entry.at, entry.at.plus(std::time::Duration::from_secs(30))),
        format!("workspace={}", entry.workspace),
        format!("event_type={},service_stopped", entry.event_type.as_str()),
        "agent=spiffe://atb.dev/agent/*".to_owned(),
        "act=erp.* decision=deny risk=20..".to_owned(),
        "act=*".to_owned(),
        "approver=spiffe://atb.dev/approver/bob".to_owned(),
        "approver=spiffe://atb.dev/approver/*".to_owned(),
        "tier=high,critical agent=spiffe://atb.dev/agent/buyer".to_owned(),
    ];
    let mut put = |key: &str, value: Option<String>| {
        out.extend(value.map(|value| Query::of_pairs([(key, value.as_str())]).unwrap().to_string()));
    };
    put("agent", subject.agent.as_ref().map(ToString::to_string));
    put("act", subject.act.as_ref().map(ToString::to_string));
    put("tier", subject.tier.map(|tier| tier.to_string()));
    put("decision", subject.allow.map(|allow| if allow { "allow" } else { "deny" }.to_owned()));
    put("reason", subject.reason.clone());
    put("risk", subject.risk_score.map(|score| score.as_u8().to_string()));
    put("connector", subject.connector.as_ref().map(ToString::to_string));
    put("jti", subject.jti.map(|id| id.to_string()));
    put("challenge", subject.challenge_id.map(|id| id.to_string()));
    put("decision_id", subject.decision_id.map(|id| id.to_string()));
    put("bundle", subject.bundle.as_ref().map(ToString::to_string));
    put("bundle", subject.bundle_digest.map(|digest| digest.to_string()));
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn every_question_finds_exactly_the_entries_whose_bytes_say_so_in_both_orders() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("ledger.db"), OpenMode::Create).await.unwrap();
    for n in 0..260 {
        store.record(varied(n)).await.unwrap();
    }
    let all = store.entries(0, 1000, &EntryFilter::default()).await.unwrap();
    let mut asked = std::collections::BTreeSet::new();
    for n in [0, 1, 8, 12, 25, 131, 259] {
        let (_, body) = &all[n];
        asked.extend(questions_about(&serde_json::from_slice(body).unwrap()));
    }
    let keys: std::collections::BTreeSet<_> =
        asked.iter().flat_map(|text| text.parse::<Query>().unwrap().pairs()).map(|(key, _)| key).collect();
    assert_eq!(keys.len(), Key::ALL.len(), "every key is asked for: {keys:?}");
    for text in &asked {
        let query: Query = text.parse().unwrap();
        let expected: Vec<u64> = all.iter().filter(|(_, body)| query.matches_body(body)).map(|(seq, _)| *seq).collect();
        assert!(!expected.is_empty(), "{text}");
        let oldest: Vec<_> = pages(&store, text, Order::Oldest, 7).await.iter().map(|found| found.seq).collect();
        assert_eq!(oldest, expected, "{text}");
        let mut newest: Vec<_> = pages(&store, text, Order::Newest, 7).await.iter().map(|found| found.seq).collect();
        newest.reverse();
        assert_eq!(newest, expected, "{text}");
    }
    let found = pages(&store, "", Order::Oldest, 100).await;
    assert!(found.iter().map(|found| (found.seq, &found.body)).eq(all.iter().map(|(seq, body)| (*seq, body))));
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_each_entry_once_while_a_writer_appends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    let store = Arc::new(open(&path, OpenMode::Create).await.unwrap());
    for n in 0..150 {
        store.record(varied(n)).await.unwrap();
    }
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            let mut n = 150;
            while !*stopped.borrow() {
                store.record(varied(n)).await.unwrap();
                n += 1;
            }
            n
        }
    });
    let reader = SqliteReader::open(&path).await.unwrap();
    for (text, order) in [("", Order::Newest), ("decision=deny", Order::Newest), ("decision=deny", Order::Oldest)] {
        let found = pages(&reader, text, order, 10).await;
        let mut seqs: Vec<_> = found.iter().map(|found| found.seq).collect();
        if order == Order::Newest {
            seqs.reverse();
        }
        assert!(seqs.is_sorted_by(|a, b| a < b), "{text}: twice or out of order");
        let (first, last) = (seqs[0], *seqs.last().unwrap());
        let query: Query = text.parse().unwrap();
        let all = reader.entries(0, 100_000, &EntryFilter::default()).await.unwrap();
        let there = all.iter().filter(|(seq, body)| *seq <= last && query.matches_body(body));
        assert_eq!(seqs, there.map(|(seq, _)| *seq).collect::<Vec<_>>(), "{text} from {first}: one is missing");
    }
    stop.send_replace(true);
    let written = writer.await.unwrap();
    assert!(written > 150, "the writer wrote meanwhile");
    // Who waits at the end gets what is written next, once.
    let ask = |from| AuditQuestion { from: Some(from), limit: 10, ..AuditQuestion::default() };
    let end = reader.page(&ask(written)).await.unwrap();
    assert_eq!((end.items.len(), end.more, end.seen, end.size), (0, false, written, written));
    store.record(varied(1)).await.unwrap();
    let next = reader.page(&ask(end.seen)).await.unwrap();
    assert_eq!(next.items.iter().map(|found| found.seq).collect::<Vec<_>>(), [written]);
    reader.close().await;
    Arc::into_inner(store).unwrap().close().await.unwrap();
}

/// So many copies of one entry, put into a closed ledger's file; what they are worth as evidence does not matter here.
async fn fill(path: &std::path::Path, rows: i64) {
    let mut conn = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::query(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) \
         INSERT INTO entry (seq, event_type, at_ms, agent, act, reason, workspace, body, leaf) \
         SELECT i, e.event_type, e.at_ms + i, e.agent, e.act, e.reason, e.workspace, e.body, e.leaf \
         FROM n, entry AS e WHERE e.seq = 0",
    )
    .bind(rows)
    .execute(&mut conn)
    .await
    .unwrap();
    conn.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_nothing_answers_ends_with_a_place_to_go_on_and_not_with_a_wait() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    let store = open(&path, OpenMode::Create).await.unwrap();
    store.record(entry(EventType::PoaDenied, None)).await.unwrap();
    store.close().await.unwrap();
    fill(&path, 300_000).await;
    let reader = SqliteReader::open(&path).await.unwrap();
    for text in ["tier=critical", "agent=spiffe://example.org/agent/buyer tier=critical"] {
        let ask = |from, order| AuditQuestion { query: text.parse().unwrap(), order, from, limit: 1000 };
        for order in [Order::Oldest, Order::Newest] {
            let first = reader.page(&ask(None, order)).await.unwrap();
            assert!(first.items.is_empty() && first.more, "{text}: the work on a page is bounded");
            assert!((1..300_000).contains(&first.seen), "{text}: {}", first.seen);
            let second = reader.page(&ask(Some(first.seen), order)).await.unwrap();
            assert!(second.items.is_empty() && !second.more, "{text}: {}", second.seen);
        }
    }
    let exact = format!("jti={}", new_jti());
    let ask = AuditQuestion { query: exact.parse().unwrap(), limit: 10, ..AuditQuestion::default() };
    assert!(reader.page(&ask).await.unwrap().more, "blocks without tags are looked at whole");
    let mut conn = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    for table in ["jti_tags", "decision_tags"] {
        // As the writer leaves them of full blocks whose entries name neither.
        let text = format!(
            "INSERT INTO {table} (idx, tags) SELECT DISTINCT seq / 256, zeroblob(1024) FROM entry WHERE seq < 300000 / 256 * 256"
        );
        sqlx::query(AssertSqlSafe(text)).execute(&mut conn).await.unwrap();
    }
    conn.close().await.unwrap();
    assert!(!reader.page(&ask).await.unwrap().more, "an id is looked up");
    reader.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_about_a_time_starts_at_the_checkpoint_before_it_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    let store = open(&path, OpenMode::Create).await.unwrap();
    store.record(entry(EventType::PoaDenied, None)).await.unwrap();
    store.close().await.unwrap();
    // Times are read from the body, so that these differ in them as the writer's do.
    let mut conn = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let hour = 3_600_000;
    for n in 1..=200_i64 {
        let at = Timestamp::from_millis(now().as_millis() + u64::try_from(n * hour).unwrap());
        let mut one = entry(EventType::PoaDenied, None);
        one.at = at;
        sqlx::query(
            "INSERT INTO entry (seq, event_type, at_ms, agent, act, reason, workspace, body, leaf) \
             SELECT ?1, event_type, ?2, agent, act, reason, workspace, ?3, leaf FROM entry WHERE seq = 0",
        )
        .bind(n)
        .bind(i64::try_from(at.as_millis()).unwrap())
        .bind(one.to_bytes())
        .execute(&mut conn)
        .await
        .unwrap();
        sqlx::query("INSERT OR REPLACE INTO checkpoint (size, at_ms, frontier, note) VALUES (?1, ?2, x'', '')")
            .bind(n + 1)
            .bind(i64::try_from(at.as_millis()).unwrap())
            .execute(&mut conn)
            .await
            .unwrap();
    }
    conn.close().await.unwrap();
    let reader = SqliteReader::open(&path).await.unwrap();
    for (since, until) in [(0, 200), (1, 3), (50, 51), (199, 200), (200, 260), (250, 260)] {
        let at = |n: u64| Timestamp::from_millis(now().as_millis() + n * 3_600_000);
        let text = format!("since={} until={}", at(since), at(until));
        let found: Vec<_> = pages(&reader, &text, Order::Oldest, 50).await.iter().map(|found| found.seq).collect();
        assert_eq!(found, (since..until.min(201)).collect::<Vec<_>>(), "{text}");
        let mut newest: Vec<_> = pages(&reader, &text, Order::Newest, 50).await.iter().map(|found| found.seq).collect();
        newest.reverse();
        assert_eq!(newest, found, "{text}");
    }
    reader.close().await;
}
