//! The challenges as a queue: listed by what an approver may see, and what happened to them since.
//!
//! A list is a merge of walks along an index, one for each workspace and state, each of them in the order of the list
//! already: nothing is sorted, and a page costs what it shows however many challenges there are. What is not in the
//! index (tier, act, agent, who was named) is looked at row by row on the way, so that the limit counts what matches.

use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{QueryBuilder, Row as _};

use super::reader::{SqliteReader, failed, parse, unsigned};
use super::rows::{millis, number};
use crate::domain::approval::{Summary, Turn};
use crate::domain::ledger::Entry;
use crate::domain::policy::bundle::ActPattern;
use crate::domain::time::Timestamp;
use crate::service::ports::{ChallengeQuery, Entitled, ListKey, Order, StoreError, Stored, Viewer};

/// Walks in one merge; beyond that one walk looks at every age.
const MAX_WALKS: usize = 64;

impl SqliteReader {
    pub(super) async fn list(&self, query: &ChallengeQuery) -> Result<Vec<Stored<Summary>>, StoreError> {
        if query.viewer.as_ref().is_some_and(|viewer| viewer.workspaces.is_empty()) {
            return Ok(Vec::new());
        }
        let rows = list_query(query).build().fetch_all(&self.pool).await.map_err(failed)?;
        let listed = |row: &SqliteRow| Ok(Stored { version: unsigned(row, 0)?, value: summary(row, 1)? });
        rows.iter().map(listed).collect()
    }

    pub(super) async fn turns(
        &self,
        from: u64,
        limit: u32,
        viewer: &Viewer,
    ) -> Result<Vec<(u64, Entry, Summary)>, StoreError> {
        if viewer.workspaces.is_empty() {
            return Ok(Vec::new());
        }
        let rows = turns_query(from, limit, viewer).build().fetch_all(&self.pool).await.map_err(failed)?;
        let turn = |row: &SqliteRow| {
            let entry: &[u8] = row.try_get(1).map_err(failed)?;
            Ok((unsigned(row, 0)?, parse(entry)?, summary(row, 2)?))
        };
        rows.iter().map(turn).collect()
    }
}

fn summary(row: &SqliteRow, column: usize) -> Result<Summary, StoreError> {
    let text: &str = row.try_get(column).map_err(failed)?;
    parse(text.as_bytes())
}

/// Which part of an index one walk goes along; `None` walks along all of it.
#[derive(Clone, Copy)]
struct Walk<'a> {
    workspace: Option<&'a str>,
    state: Option<&'static str>,
}

/// The walks that together see everything that may match, or nothing if they would be too many.
fn walks(query: &ChallengeQuery) -> Vec<Walk<'_>> {
    let workspaces: Vec<_> = match &query.viewer {
        Some(viewer) => viewer.workspaces.iter().map(|workspace| Some(workspace.as_str())).collect(),
        None => vec![None],
    };
    let states: Vec<_> = match query.states.as_slice() {
        [] => vec![None],
        states => states.iter().map(|state| Some(state.as_str())).collect(),
    };
    if workspaces.len().saturating_mul(states.len()) > MAX_WALKS {
        return Vec::new();
    }
    let each = |workspace| states.iter().map(move |state| Walk { workspace, state: *state });
    workspaces.into_iter().flat_map(each).collect()
}

fn list_query(query: &ChallengeQuery) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new("");
    let walks = walks(query);
    for (place, walk) in walks.iter().enumerate() {
        if place > 0 {
            sql.push(" UNION ALL ");
        }
        push_walk(&mut sql, *walk, query);
    }
    if walks.is_empty() {
        push_walk(&mut sql, Walk { workspace: None, state: None }, query);
        push_sets(&mut sql, query);
    }
    sql.push(match query.order {
        Order::Oldest => " ORDER BY created_at, id LIMIT ",
        Order::Newest => " ORDER BY created_at DESC, id DESC LIMIT ",
    });
    sql.push_bind(query.limit);
    sql
}

fn push_walk(sql: &mut QueryBuilder<Sqlite>, walk: Walk<'_>, query: &ChallengeQuery) {
    let index = match (walk.workspace, walk.state) {
        (Some(_), Some(_)) => "challenge_queue",
        (Some(_), None) => "challenge_team",
        (None, Some(_)) => "challenge_by_state",
        (None, None) => "challenge_by_age",
    };
    sql.push("SELECT version, summary, created_at, id FROM challenge INDEXED BY ").push(index);
    push_age(sql, query);
    for (condition, value) in [(" AND workspace = ", walk.workspace), (" AND state = ", walk.state)] {
        if let Some(value) = value {
            sql.push(condition).push_bind(value.to_owned());
        }
    }
    if let Some(now) = query.in_time_at {
        sql.push(" AND (expires_at > ").push_bind(millis(now)).push(" OR state NOT IN ('pending', 'approved'))");
    }
    for (condition, value) in [
        (" AND tier = ", query.tier.map(|tier| tier.as_str().to_owned())),
        (" AND agent = ", query.agent.as_ref().map(ToString::to_string)),
    ] {
        if let Some(value) = value {
            sql.push(condition).push_bind(value);
        }
    }
    if let Some(act) = &query.act {
        sql.push(" AND ");
        push_act(sql, act);
    }
    if let Some(viewer) = &query.viewer {
        push_named(sql, viewer);
    }
    if let Some(entitled) = &query.entitled {
        push_entitled(sql, entitled);
    }
}

/// One bound at each end of the walk: a second one there would be looked at row by row, from the first page on. The
/// first condition always stands, for the others to follow.
fn push_age(sql: &mut QueryBuilder<Sqlite>, query: &ChallengeQuery) {
    let ListAges { from, below } = ages(query);
    match from {
        Bound::Key(key) => push_key(sql, " WHERE (created_at, id) > (", key),
        Bound::Instant(at) => drop(sql.push(" WHERE created_at >= ").push_bind(millis(at))),
        Bound::Open => drop(sql.push(" WHERE created_at >= 0")),
    }
    match below {
        Bound::Key(key) => push_key(sql, " AND (created_at, id) < (", key),
        Bound::Instant(at) => drop(sql.push(" AND created_at < ").push_bind(millis(at))),
        Bound::Open => {}
    }
}

fn push_key(sql: &mut QueryBuilder<Sqlite>, open: &str, key: ListKey) {
    sql.push(open).push_bind(millis(key.created_at)).push(", ").push_bind(key.id.as_bytes().to_vec()).push(")");
}

enum Bound {
    Open,
    Instant(Timestamp),
    Key(ListKey),
}

struct ListAges {
    from: Bound,
    below: Bound,
}

/// The tighter bound at each end: a place in the list lies between the instants unless somebody made it up.
fn ages(query: &ChallengeQuery) -> ListAges {
    let instant = |at: Option<Timestamp>| at.map_or(Bound::Open, Bound::Instant);
    let (mut from, mut below) = (instant(query.since), instant(query.until));
    match (query.after, query.order) {
        (Some(key), Order::Oldest) if query.since.is_none_or(|since| since <= key.created_at) => from = Bound::Key(key),
        (Some(key), Order::Newest) if query.until.is_none_or(|until| until > key.created_at) => below = Bound::Key(key),
        _ => {}
    }
    ListAges { from, below }
}

/// Workspaces and states as sets, for a viewer of too many workspaces to walk along each.
fn push_sets(sql: &mut QueryBuilder<Sqlite>, query: &ChallengeQuery) {
    if let Some(viewer) = &query.viewer {
        push_in(sql, " AND workspace IN (", viewer.workspaces.iter().map(ToString::to_string));
    }
    if !query.states.is_empty() {
        push_in(sql, " AND state IN (", query.states.iter().map(|state| state.as_str().to_owned()));
    }
}

fn push_in(sql: &mut QueryBuilder<Sqlite>, open: &str, values: impl Iterator<Item = String>) {
    sql.push(open);
    let mut list = sql.separated(", ");
    for value in values {
        list.push_bind(value);
    }
    list.push_unseparated(")");
}

fn push_act(sql: &mut QueryBuilder<Sqlite>, pattern: &ActPattern) {
    match pattern.family() {
        None => drop(sql.push("act = ").push_bind(pattern.as_str().to_owned())),
        Some(family) => {
            let length = i64::try_from(family.len()).unwrap_or(i64::MAX);
            sql.push("substr(act, 1, ").push_bind(length).push(") = ").push_bind(family.to_owned());
        }
    }
}

fn push_named(sql: &mut QueryBuilder<Sqlite>, viewer: &Viewer) {
    sql.push(" AND (asked IS NULL OR EXISTS (SELECT 1 FROM json_each(asked) WHERE value = ");
    sql.push_bind(viewer.id.to_string()).push("))");
}

fn push_entitled(sql: &mut QueryBuilder<Sqlite>, entitled: &Entitled) {
    push_in(sql, " AND tier IN (", entitled.tiers.iter().map(|tier| tier.as_str().to_owned()));
    sql.push(" AND (0");
    for act in &entitled.acts {
        sql.push(" OR ");
        push_act(sql, act);
    }
    sql.push(") AND NOT EXISTS (SELECT 1 FROM json_each(voted) WHERE value = ");
    sql.push_bind(entitled.person.to_string()).push(")");
}

fn turns_query(from: u64, limit: u32, viewer: &Viewer) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(
        "SELECT entry.seq, entry.body, challenge.summary FROM entry INDEXED BY entry_of_challenge \
         CROSS JOIN challenge ON challenge.id = entry.challenge_id \
         WHERE entry.challenge_id IS NOT NULL AND entry.seq >= ",
    );
    sql.push_bind(number(from));
    push_in(&mut sql, " AND entry.event_type IN (", Turn::ENTRIES.iter().map(|kind| (*kind).to_owned()));
    push_in(&mut sql, " AND challenge.workspace IN (", viewer.workspaces.iter().map(ToString::to_string));
    push_named(&mut sql, viewer);
    sql.push(" ORDER BY entry.seq LIMIT ").push_bind(limit);
    sql
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::approval::ChallengeState;
    use crate::domain::id::ChallengeId;
    use sqlx::ConnectOptions as _;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

    async fn schema() -> SqliteConnection {
        let mut conn = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
        sqlx::migrate!("migrations/sqlite").run(&mut conn).await.unwrap();
        conn
    }

    async fn plan(conn: &mut SqliteConnection, query: QueryBuilder<Sqlite>) -> String {
        let sql = format!("EXPLAIN QUERY PLAN {}", query.into_string());
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(conn).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>(3) + "\n").collect()
    }

    fn viewer(workspaces: usize) -> Viewer {
        let workspaces = (0..workspaces).map(|n| format!("team-{n}").parse().unwrap()).collect();
        Viewer { id: "spiffe://atb.dev/approver/alice".parse().unwrap(), workspaces }
    }

    #[tokio::test]
    async fn a_page_is_walked_along_an_index_and_never_sorted_or_searched_for() {
        let mut conn = schema().await;
        let at = Timestamp::from_secs(1_790_000_000);
        let queue = ChallengeQuery { viewer: Some(viewer(5)), limit: 51, ..ChallengeQuery::default() };
        let pending = ChallengeQuery { states: vec![ChallengeState::Pending], ..queue.clone() };
        let after = Some(ListKey { created_at: at, id: ChallengeId::new(at, [7; 10]) });
        let entitled = Entitled {
            person: "alice".parse().unwrap(),
            tiers: crate::domain::catalogue::Tier::ALL.to_vec(),
            acts: vec!["erp.*".to_owned().try_into().unwrap(), "*".to_owned().try_into().unwrap()],
        };
        for (what, query) in [
            ("everything of five teams", queue.clone()),
            ("what waits", pending.clone()),
            ("a later page", ChallengeQuery { after, ..pending.clone() }),
            ("the newest first", ChallengeQuery { after, order: Order::Newest, ..pending.clone() }),
            ("what is mine", ChallengeQuery { entitled: Some(entitled), in_time_at: Some(at), ..pending.clone() }),
            ("all states", ChallengeQuery { states: ChallengeState::ALL.to_vec(), after, ..queue.clone() }),
            ("between two days", ChallengeQuery { since: Some(at), until: Some(at), ..pending.clone() }),
            ("the sweep", ChallengeQuery { viewer: None, ..pending }),
            ("no filter", ChallengeQuery::default()),
        ] {
            let plan = plan(&mut conn, list_query(&query)).await;
            assert!(!plan.contains("TEMP B-TREE"), "{what} is sorted:\n{plan}");
            if query.after.is_some() {
                assert!(plan.contains("(created_at,id)"), "{what} starts at the first page:\n{plan}");
            }
            let walks: Vec<_> = plan.lines().filter(|line| line.contains(" challenge")).collect();
            assert!(!walks.is_empty() && walks.iter().all(|line| line.contains("SEARCH challenge USING")), "{plan}");
        }
    }

    #[tokio::test]
    async fn what_happened_is_read_from_the_place_where_reading_ended() {
        let mut conn = schema().await;
        let plan = plan(&mut conn, turns_query(10, 64, &viewer(5))).await;
        assert!(plan.contains("SEARCH entry USING INDEX entry_of_challenge (seq>?)"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE") && !plan.contains("SCAN challenge"), "{plan}");
    }

    #[test]
    fn too_many_workspaces_are_one_walk() {
        let query = ChallengeQuery { viewer: Some(viewer(100)), ..ChallengeQuery::default() };
        assert!(walks(&query).is_empty());
        assert!(!list_query(&query).sql().as_str().contains("UNION"));
    }
}
