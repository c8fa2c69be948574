//! Questions to the record, page by page.
//!
//! SQL narrows, the entry's bytes decide: the columns and the searches in the body let more through than is asked for,
//! never less, and [`Query::matches_body`] has the last word. The conditions on the body rely on how [`Entry::to_bytes`]
//! writes, compact JSON in which a quote inside a text is escaped.
//!
//! A page looks at windows of entries one after the other, at the places where a name stands or along the log, and ends
//! when it is full or has looked at so many entries. Times are turned into numbers by the kept checkpoints, so that a
//! question about yesterday does not read a year; an hour is left on both sides for clocks that were set.
//!
//! [`Entry::to_bytes`]: crate::domain::ledger::Entry::to_bytes

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use sqlx::sqlite::Sqlite;
use sqlx::{QueryBuilder, Row as _};

use super::places::{Sought, listed};
use super::reader::{SqliteReader, failed, unsigned};
use super::rows::{millis, number};
use super::sqlite::SqliteStore;
use crate::domain::ledger::query::{BundleName, IdPattern, Query};
use crate::domain::time::Timestamp;
use crate::service::auditor::Tag;
use crate::service::ports::{AuditLog, AuditPage, AuditQuestion, Found, MAX_AUDIT_PAGE, Order, StoreError};

/// Entries that one statement looks at, along the log.
const WINDOW: u64 = 16_384;
/// Entries that one statement looks at where a name stands; a statement sorts them.
const PLACES: usize = 1024;
/// Entries that one page looks at.
const LOOKED_AT: u64 = 16 * WINDOW;
/// Entries whose tags say that they are not meant, and that count as one that is looked at.
const PASSED_OVER: u64 = 64;
/// Bytes of entries after which a page is full; entries have some hundred, at the most 64 KiB.
const PAGE_BYTES: usize = 4 << 20;
/// How far the clock of the writer may have been set back or forth without hiding an entry.
const SLACK: Duration = Duration::from_secs(3600);

#[async_trait]
impl AuditLog for SqliteReader {
    async fn page(&self, question: &AuditQuestion) -> Result<AuditPage, StoreError> {
        let (size, span) = self.span(&question.query).await?;
        let place = match (question.order, question.from) {
            (Order::Oldest, from) => from.unwrap_or(0).clamp(span.start, span.end),
            (Order::Newest, from) => from.unwrap_or(u64::MAX).clamp(span.start, span.end),
        };
        let limit = question.limit.clamp(1, MAX_AUDIT_PAGE) as usize;
        let driver = driver(&question.query);
        let mut walk = Walk { reader: self, question, driver, span, place, items: Vec::new(), bytes: 0, looked_at: 0 };
        while !walk.ended() && !walk.full(limit) && walk.looked_at < LOOKED_AT {
            walk.step(limit).await?;
        }
        Ok(AuditPage { size, seen: walk.place, more: !walk.ended(), items: walk.items })
    }
}

#[async_trait]
impl AuditLog for SqliteStore {
    async fn page(&self, question: &AuditQuestion) -> Result<AuditPage, StoreError> {
        self.reader().page(question).await
    }
}

impl SqliteReader {
    /// How many entries there are, and the numbers between which those of the asked times are.
    async fn span(&self, query: &Query) -> Result<(u64, Range<u64>), StoreError> {
        let row = sqlx::query(
            "SELECT (SELECT coalesce(max(seq) + 1, 0) FROM entry), (SELECT max(size) FROM checkpoint), \
             (SELECT min(size) FROM checkpoint INDEXED BY checkpoint_at WHERE at_ms >= ?1), \
             (SELECT max(size) FROM checkpoint INDEXED BY checkpoint_at WHERE at_ms <= ?2)",
        )
        .bind(query.since.map(|since| millis(since.minus(SLACK))))
        .bind(query.until.map(|until| millis(until.plus(SLACK))))
        .fetch_one(&self.pool)
        .await
        .map_err(failed)?;
        let head = unsigned(&row, 0)?;
        let size = |column| row.try_get::<Option<i64>, _>(column).map_err(failed);
        let (newest, first_within, last_within) = (size(1)?, size(2)?, size(3)?);
        // The neighbour on the far side: what lies between two checkpoints can be on either side of the time.
        let start = match (query.since, first_within) {
            (None, _) => None,
            (Some(_), Some(within)) => {
                self.neighbour("SELECT max(size) FROM checkpoint WHERE size < ?", within).await?
            }
            (Some(_), None) => newest,
        };
        let end = match (query.until, last_within) {
            (Some(_), Some(within)) => {
                self.neighbour("SELECT min(size) FROM checkpoint WHERE size > ?", within).await?
            }
            _ => None,
        };
        let number = |size: Option<i64>| size.and_then(|size| u64::try_from(size).ok());
        let end = number(end).unwrap_or(head).min(head);
        Ok((head, number(start).unwrap_or(0).min(end)..end))
    }

    /// How many entries there are, and one before which none was written at `since` or later.
    pub(super) async fn written_since(&self, since: Timestamp) -> Result<(u64, u64), StoreError> {
        let (size, span) = self.span(&Query { since: Some(since), ..Query::default() }).await?;
        Ok((size, span.start))
    }

    async fn neighbour(&self, sql: &'static str, size: i64) -> Result<Option<i64>, StoreError> {
        sqlx::query_scalar(sql).bind(size).fetch_one(&self.pool).await.map_err(failed)
    }
}

/// A page while it is looked for.
struct Walk<'a> {
    reader: &'a SqliteReader,
    question: &'a AuditQuestion,
    driver: Driver,
    span: Range<u64>,
    /// As `from` of a question.
    place: u64,
    items: Vec<Found>,
    bytes: usize,
    looked_at: u64,
}

/// A stretch of the log, and where in it to look; at all of it where absent.
struct Window {
    stretch: Range<u64>,
    places: Option<Vec<u64>>,
}

impl Walk<'_> {
    fn ended(&self) -> bool {
        match self.question.order {
            Order::Oldest => self.place >= self.span.end,
            Order::Newest => self.place <= self.span.start,
        }
    }

    fn full(&self, limit: usize) -> bool {
        self.items.len() >= limit || self.bytes >= PAGE_BYTES
    }

    /// Looks at one window, or at the part of it with which the page is full.
    async fn step(&mut self, limit: usize) -> Result<(), StoreError> {
        let window = self.window().await?;
        let Window { stretch, places } = &window;
        let length = stretch.end - stretch.start;
        self.looked_at += places.as_ref().map_or(length, |places| length / PASSED_OVER + places.len() as u64);
        let mut statement = statement(self.question, &self.driver, &window);
        let mut rows = statement.build().fetch(&self.reader.pool);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let (seq, body): (u64, Vec<u8>) = (unsigned(&row, 0)?, row.try_get(1).map_err(failed)?);
            if self.question.query.matches_body(&body) {
                self.bytes += body.len();
                self.items.push(Found { seq, body });
                if self.full(limit) {
                    self.place = if self.question.order == Order::Oldest { seq + 1 } else { seq };
                    return Ok(());
                }
            }
        }
        self.place = if self.question.order == Order::Oldest { stretch.end } else { stretch.start };
        Ok(())
    }

    async fn window(&self) -> Result<Window, StoreError> {
        let (start, end) = (self.span.start, self.span.end);
        let order = self.question.order;
        let ahead = if order == Order::Oldest { self.place..end } else { start..self.place };
        let whole = |stretch| Window { stretch, places: None };
        match (&self.driver, order) {
            (Driver::Challenge, _) => Ok(whole(ahead)),
            (Driver::Log, Order::Oldest) => Ok(whole(self.place..self.place.saturating_add(WINDOW).min(end))),
            (Driver::Log, Order::Newest) => Ok(whole(self.place.saturating_sub(WINDOW).max(start)..self.place)),
            (Driver::Places(sought), order) => {
                let (places, stretch) = self.reader.places(sought, ahead, order, PLACES).await?;
                Ok(Window { stretch, places: Some(places) })
            }
        }
    }
}

/// Along what a page goes.
enum Driver {
    /// Where a name stands.
    Places(Sought),
    /// The index of challenges.
    Challenge,
    /// All entries.
    Log,
}

fn driver(query: &Query) -> Driver {
    match (&query.jti, &query.decision_id, &query.challenge, &query.agent) {
        (Some(id), ..) => Driver::Places(Sought::ids([id.as_bytes()])),
        (_, Some(id), ..) => Driver::Places(Sought::ids([id.as_bytes()])),
        (_, _, Some(_), _) => Driver::Challenge,
        (.., Some(IdPattern::One(agent))) => Driver::Places(Sought::Agent(Tag::of_agent(agent.as_str()))),
        _ => Driver::Log,
    }
}

fn statement(question: &AuditQuestion, driver: &Driver, window: &Window) -> QueryBuilder<Sqlite> {
    let query = &question.query;
    // Named, because a range of numbers would look cheaper to the planner than it is.
    let mut sql = QueryBuilder::new("SELECT seq, body FROM entry ");
    if let Some(places) = &window.places {
        sql.push("WHERE seq IN (SELECT value FROM json_each(").push_bind(listed(places)).push("))");
    } else {
        sql.push(if matches!(driver, Driver::Challenge) { "INDEXED BY entry_challenge_id" } else { "NOT INDEXED" });
        sql.push(" WHERE seq >= ").push_bind(number(window.stretch.start));
        sql.push(" AND seq < ").push_bind(number(window.stretch.end));
    }
    narrow_by_columns(&mut sql, query);
    narrow_by_body(&mut sql, query);
    sql.push(match question.order {
        Order::Oldest => " ORDER BY seq",
        Order::Newest => " ORDER BY seq DESC",
    });
    sql
}

fn narrow_by_columns(sql: &mut QueryBuilder<Sqlite>, query: &Query) {
    for (condition, id) in [
        (" AND jti = ", query.jti.map(|id| id.as_bytes().to_vec())),
        (" AND challenge_id = ", query.challenge.map(|id| id.as_bytes().to_vec())),
        (" AND decision_id = ", query.decision_id.map(|id| id.as_bytes().to_vec())),
    ] {
        if let Some(id) = id {
            sql.push(condition).push_bind(id);
        }
    }
    for (condition, at) in [(" AND at_ms >= ", query.since), (" AND at_ms < ", query.until)] {
        if let Some(at) = at {
            sql.push(condition).push_bind(millis(at));
        }
    }
    match &query.agent {
        Some(IdPattern::One(agent)) => drop(sql.push(" AND agent = ").push_bind(agent.to_string())),
        Some(IdPattern::Below(prefix)) => starts_with(sql, "agent", prefix),
        None => {}
    }
    match query.act.as_ref().map(|act| (act.as_str(), act.family())) {
        Some((_, Some(""))) => drop(sql.push(" AND act IS NOT NULL")),
        Some((_, Some(family))) => starts_with(sql, "act", family),
        Some((act, None)) => drop(sql.push(" AND act = ").push_bind(act.to_owned())),
        None => {}
    }
    if let Some(workspace) = &query.workspace {
        sql.push(" AND workspace = ").push_bind(workspace.to_string());
    }
    if let Some(reason) = &query.reason {
        sql.push(" AND reason = ").push_bind(reason.to_string());
    }
    if !query.event_types.is_empty() {
        let mut kinds = sql.push(" AND event_type IN (").separated(", ");
        for kind in &query.event_types {
            kinds.push_bind(kind.as_str());
        }
        sql.push(")");
    }
}

/// `prefix` ends with `/` or `.`, which are single bytes with a next one.
fn starts_with(sql: &mut QueryBuilder<Sqlite>, column: &'static str, prefix: &str) {
    let mut next = prefix.to_owned();
    let last = next.pop().unwrap_or_default();
    next.push(char::from_u32(u32::from(last) + 1).unwrap_or(char::MAX));
    sql.push(" AND ").push(column).push(" >= ").push_bind(prefix.to_owned());
    sql.push(" AND ").push(column).push(" < ").push_bind(next);
}

fn narrow_by_body(sql: &mut QueryBuilder<Sqlite>, query: &Query) {
    let mut has = |parts: Vec<String>| {
        let mut any = sql.push(" AND (").separated(" OR ");
        for part in parts {
            any.push("instr(body, ").push_bind_unseparated(part.into_bytes()).push_unseparated(") > 0");
        }
        sql.push(")");
    };
    if !query.tiers.is_empty() {
        has(query.tiers.iter().map(|tier| format!(r#""tier":"{tier}""#)).collect());
    }
    if let Some(allow) = query.allow {
        has(vec![format!(r#""allow":{allow}"#)]);
    }
    if query.risk.is_some() {
        has(vec![r#""risk_score":"#.to_owned()]);
    }
    if let Some(connector) = &query.connector {
        has(vec![format!(r#""connector":"{connector}""#)]);
    }
    match &query.bundle {
        Some(BundleName::Revision(revision)) => has(vec![format!(r#""bundle":"{revision}""#)]),
        Some(BundleName::Digest(digest)) => has(vec![format!(r#""bundle_digest":"{digest}""#)]),
        None => {}
    }
    match &query.approver {
        Some(IdPattern::One(id)) => has(vec![format!(r#""{id}""#)]),
        Some(IdPattern::Below(prefix)) => has(vec![format!(r#""{prefix}"#)]),
        None => {}
    }
}
