//! Where in the log an agent, a mandate or a decision stands.
//!
//! An index row for every entry took a quarter of the writer's time, within the transaction that callers wait for. So the
//! places are written once a block of 256 entries: four bytes an entry that stand for its name ([`Tag`]). Who looks for a
//! name reads them, a kilobyte a block, and gets the few entries that may be meant. A block without them, and the entries
//! behind the last full block, may all be meant, so that nothing that is missing hides an entry.

use std::collections::HashSet;
use std::ops::Range;

use futures_util::TryStreamExt as _;
use rusqlite::{Connection, Error, params};
use sqlx::Row as _;

use super::reader::{SqliteReader, failed, unsigned};
use super::rows::number;
use crate::service::auditor::{BLOCK, LogSource as _, Tag, Tags};
use crate::service::ports::{Order, StoreError};

/// Blocks whose missing places one transaction writes.
const PORTION: u64 = 256;

/// One of an entry's tags.
type Part = fn(&Tags) -> Tag;

/// The tables, each with the tag that it has of an entry.
const TABLES: [(&str, Part); 3] = [
    ("INSERT OR REPLACE INTO agent_tags (idx, tags) VALUES (?, ?)", |tags| tags.agent),
    ("INSERT OR REPLACE INTO jti_tags (idx, tags) VALUES (?, ?)", |tags| tags.jti),
    ("INSERT OR REPLACE INTO decision_tags (idx, tags) VALUES (?, ?)", |tags| tags.decision),
];

/// Writes the places of the full block `index`.
pub(super) fn write(db: &Connection, index: u64, tags: &[Tags]) -> Result<(), Error> {
    for (statement, part) in TABLES {
        let bytes: Vec<u8> = tags.iter().flat_map(|tags| *part(tags).as_bytes()).collect();
        db.prepare_cached(statement)?.execute(params![number(index), bytes])?;
    }
    Ok(())
}

/// Writes the places of a full block by the rows that are there.
pub(super) fn rewrite(db: &Connection, index: u64) -> Result<(), Error> {
    let mut tags = [Tags::default(); BLOCK as usize];
    let first = index * BLOCK;
    let mut rows = db.prepare_cached(
        "SELECT seq - ?1, agent, jti, decision_id FROM entry WHERE seq >= ?1 AND seq < ?1 + 256 ORDER BY seq",
    )?;
    let mut rows = rows.query([number(first)])?;
    while let Some(row) = rows.next()? {
        let id = |column| Ok::<_, Error>(row.get::<_, Option<[u8; 16]>>(column)?.map(|id| Tag::of_id(&id)));
        let found = Tags {
            agent: row.get::<_, Option<String>>(1)?.map_or(Tag::NONE, |agent| Tag::of_agent(&agent)),
            jti: id(2)?.unwrap_or(Tag::NONE),
            decision: id(3)?.unwrap_or(Tag::NONE),
        };
        if let Some(place) = tags.get_mut(usize::from(row.get::<_, u8>(0)?)) {
            *place = found;
        }
    }
    write(db, index, &tags)
}

/// Writes the places of full blocks that have none yet: all of them, once, in a ledger of an earlier version.
pub(super) fn complete(db: &mut Connection) -> Result<(), Error> {
    let (first, end): (i64, i64) = db.query_row(
        "SELECT min((SELECT coalesce(max(idx) + 1, 0) FROM agent_tags), (SELECT coalesce(max(idx) + 1, 0) FROM jti_tags), \
         (SELECT coalesce(max(idx) + 1, 0) FROM decision_tags)), (SELECT coalesce(max(seq) + 1, 0) / 256 FROM entry)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    // Neither is below 0.
    let (mut next, end) = (first.unsigned_abs(), end.unsigned_abs());
    while next < end {
        let tx = db.transaction()?;
        for index in next..end.min(next + PORTION) {
            rewrite(&tx, index)?;
        }
        tx.commit()?;
        next += PORTION;
    }
    Ok(())
}

/// What is looked for.
#[derive(Debug)]
pub(super) enum Sought {
    /// An agent's entries.
    Agent(Tag),
    /// Entries that name one of these as mandate or decision.
    Ids(HashSet<Tag>),
}

impl Sought {
    /// Entries that name one of `ids` as mandate or decision.
    pub(super) fn ids<'a>(ids: impl IntoIterator<Item = &'a [u8; 16]>) -> Self {
        Self::Ids(ids.into_iter().map(Tag::of_id).collect())
    }

    fn statement(&self, order: Order) -> &'static str {
        match (self, order) {
            (Self::Agent(_), Order::Oldest) => {
                "SELECT idx, tags, NULL FROM agent_tags WHERE idx >= ? AND idx < ? ORDER BY idx"
            }
            (Self::Agent(_), Order::Newest) => {
                "SELECT idx, tags, NULL FROM agent_tags WHERE idx >= ? AND idx < ? ORDER BY idx DESC"
            }
            (Self::Ids(_), Order::Oldest) => {
                "SELECT idx, jti_tags.tags, decision_tags.tags FROM jti_tags JOIN decision_tags USING (idx) \
                 WHERE idx >= ? AND idx < ? ORDER BY idx"
            }
            (Self::Ids(_), Order::Newest) => {
                "SELECT idx, jti_tags.tags, decision_tags.tags FROM jti_tags JOIN decision_tags USING (idx) \
                 WHERE idx >= ? AND idx < ? ORDER BY idx DESC"
            }
        }
    }

    /// The entries of the block that may be meant, by the tags that are kept of it.
    fn among(&self, block: u64, kept: [&[u8]; 2]) -> Vec<u64> {
        let is_it = |tag: &[u8; 4]| match self {
            Self::Agent(agent) => agent.as_bytes() == tag,
            Self::Ids(ids) => ids.contains(&Tag::from_bytes(*tag)),
        };
        let [mut some, more] = kept.map(|bytes| {
            let tags = (block * BLOCK..).zip(bytes.as_chunks::<4>().0);
            tags.filter(|(_, tag)| is_it(tag)).map(|(seq, _)| seq).collect::<Vec<_>>()
        });
        if !more.is_empty() {
            some.extend(more);
            some.sort_unstable();
            some.dedup();
        }
        some
    }
}

impl SqliteReader {
    /// The entries of `span` that may be meant, in `order`: all that are, and hardly any other. Ends when there are `most`,
    /// and says which part of `span` that is all of.
    pub(super) async fn places(
        &self,
        sought: &Sought,
        span: Range<u64>,
        order: Order,
        most: usize,
    ) -> Result<(Vec<u64>, Range<u64>), StoreError> {
        let blocks = span.start / BLOCK..span.end.div_ceil(BLOCK);
        let mut rows =
            sqlx::query(sought.statement(order)).bind(number(blocks.start)).bind(number(blocks.end)).fetch(&self.pool);
        let mut kept = rows.try_next().await.map_err(failed)?;
        let mut found = Vec::new();
        for nth in 0..blocks.end.saturating_sub(blocks.start) {
            let block = if order == Order::Oldest { blocks.start + nth } else { blocks.end - 1 - nth };
            let whole = block * BLOCK..(block + 1) * BLOCK;
            let index = kept.as_ref().map(|row| unsigned(row, 0)).transpose()?;
            let mut places: Vec<u64> = match &kept {
                Some(row) if index == Some(block) => {
                    let tags = row.try_get(1).map_err(failed)?;
                    let more: Option<&[u8]> = row.try_get(2).map_err(failed)?;
                    let places = sought.among(block, [tags, more.unwrap_or_default()]);
                    kept = rows.try_next().await.map_err(failed)?;
                    places
                }
                _ => whole.clone().collect(),
            };
            places.retain(|seq| span.contains(seq));
            if order == Order::Newest {
                places.reverse();
            }
            found.append(&mut places);
            if found.len() >= most {
                let seen = match order {
                    Order::Oldest => span.start..whole.end.min(span.end),
                    Order::Newest => whole.start.max(span.start)..span.end,
                };
                return Ok((found, seen));
            }
        }
        Ok((found, span))
    }

    /// The entries that may name one of `ids` as mandate or decision, oldest first, as the JSON array that one parameter
    /// of a statement holds.
    pub(super) async fn may_name(&self, ids: &[[u8; 16]]) -> Result<String, StoreError> {
        let end = sqlx::query("SELECT coalesce(max(seq) + 1, 0) FROM entry").fetch_one(&self.pool).await;
        let end = unsigned(&end.map_err(failed)?, 0)?;
        let (found, _) = self.places(&Sought::ids(ids), 0..end, Order::Oldest, usize::MAX).await?;
        Ok(listed(&found))
    }

    /// The tags of the entries `from..to`, which are no full block.
    pub(super) async fn tags_among(&self, from: u64, to: u64) -> Result<Vec<Tags>, StoreError> {
        let rows = self.rows(from, to).await?;
        Ok(rows.iter().map(|row| row.columns.as_ref().map(Tags::of).unwrap_or_default()).collect())
    }
}

/// Numbers as a JSON array.
pub(super) fn listed(seqs: &[u64]) -> String {
    serde_json::Value::from(seqs).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::adapters::clock::SystemClock;
    use crate::adapters::store::{OpenMode, SqliteStore};
    use crate::domain::id::{DecisionId, EventId, Jti, WorkspaceId};
    use crate::domain::ledger::{Entry, EventType, LogKey, Subject};
    use crate::service::ports::{Clock as _, Ledger as _};

    const ENTRIES: u64 = 700;

    fn bytes(n: u64) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[2..].copy_from_slice(&n.to_be_bytes());
        bytes
    }

    /// Of one of three agents or of none; every fifth names a mandate that the one after it names too.
    fn entry(n: u64) -> Entry {
        let at = SystemClock.now();
        let subject = Subject {
            agent: (n % 4 != 3).then(|| agent(n % 4).parse().unwrap()),
            jti: (n % 5 < 2).then(|| Jti::new(at, bytes(n / 5 + 10_000))),
            decision_id: Some(DecisionId::new(at, bytes(n + 20_000))),
            ..Subject::default()
        };
        let (event_id, workspace) = (EventId::new(at, bytes(n)), WorkspaceId::default());
        Entry { event_id, event_type: EventType::ConnectorOutcome, at, workspace, subject }
    }

    fn agent(n: u64) -> String {
        format!("spiffe://atb.test/agent/{n}")
    }

    fn id(n: u64) -> [u8; 16] {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&n.to_be_bytes());
        id
    }

    async fn open(path: &Path, mode: OpenMode) -> SqliteStore {
        let key = LogKey::new(SigningKey::from_bytes(&[7; 32]));
        SqliteStore::open(path, mode, key, "atb.test/places".parse().unwrap(), Arc::new(SystemClock)).await.unwrap()
    }

    fn change(path: &Path, statement: &str) {
        Connection::open(path).unwrap().execute_batch(statement).unwrap();
    }

    fn kept(path: &Path) -> Vec<(i64, Vec<u8>)> {
        let db = Connection::open(path).unwrap();
        let mut all = db
            .prepare("SELECT idx, tags FROM agent_tags UNION ALL SELECT idx, tags FROM jti_tags UNION ALL SELECT idx, tags FROM decision_tags")
            .unwrap();
        all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    }

    /// A ledger that was closed and opened again within a block.
    async fn filled(path: &Path) -> SqliteStore {
        let store = open(path, OpenMode::Create).await;
        for n in 0..300 {
            store.record(entry(n)).await.unwrap();
        }
        store.close().await.unwrap();
        let store = open(path, OpenMode::Existing).await;
        for n in 300..ENTRIES {
            store.record(entry(n)).await.unwrap();
        }
        store
    }

    #[tokio::test]
    async fn the_places_of_a_name_are_its_entries_in_any_part_and_in_either_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let store = filled(&path).await;
        let reader = store.reader();
        let of_agent = || Sought::Agent(Tag::of_agent(&agent(1)));
        // Behind the last full block every entry may be meant.
        let expected = |n: &u64| n % 4 == 1 || *n >= 512;
        for span in [0..ENTRIES, 5..6, 200..300, 256..512, 511..513, 600..700, 3..3, 0..256] {
            let wanted: Vec<u64> = span.clone().filter(expected).collect();
            let (found, seen) = reader.places(&of_agent(), span.clone(), Order::Oldest, usize::MAX).await.unwrap();
            assert_eq!((&found, seen), (&wanted, span.clone()));
            let (mut found, seen) = reader.places(&of_agent(), span.clone(), Order::Newest, usize::MAX).await.unwrap();
            found.reverse();
            assert_eq!((&found, seen), (&wanted, span));
        }
        // In portions, from either end.
        let (found, seen) = reader.places(&of_agent(), 10..ENTRIES, Order::Oldest, 1).await.unwrap();
        assert_eq!((found.first(), seen), (Some(&13), 10..256));
        let (found, seen) = reader.places(&of_agent(), 10..500, Order::Newest, 1).await.unwrap();
        assert_eq!((found.first(), seen), (Some(&497), 256..500));

        let ids = Sought::ids([&id(10_020), &id(20_300)]);
        let (found, _) = reader.places(&ids, 0..512, Order::Oldest, usize::MAX).await.unwrap();
        assert_eq!(found, [100, 101, 300], "a mandate by two entries, a decision by one");
        store.close().await.unwrap();
    }

    #[tokio::test]
    async fn what_is_missing_is_looked_at_whole_and_written_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        filled(&path).await.close().await.unwrap();
        let before = kept(&path);
        assert_eq!(before.len(), 6);
        change(&path, "DELETE FROM agent_tags; DELETE FROM jti_tags WHERE idx = 1; DELETE FROM decision_tags");
        let reader = SqliteReader::open(&path).await.unwrap();
        let of_agent = Sought::Agent(Tag::of_agent(&agent(1)));
        let (found, _) = reader.places(&of_agent, 0..ENTRIES, Order::Oldest, usize::MAX).await.unwrap();
        assert_eq!(found, (0..ENTRIES).collect::<Vec<_>>());
        let (found, _) = reader.places(&Sought::ids([&id(1)]), 0..ENTRIES, Order::Newest, usize::MAX).await.unwrap();
        assert_eq!(found, (0..ENTRIES).rev().collect::<Vec<_>>());
        reader.close().await;
        open(&path, OpenMode::Existing).await.close().await.unwrap();
        assert_eq!(kept(&path), before);
    }
}
