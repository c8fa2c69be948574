//! Where in the log an agent, a mandate or a decision stands.
//!
//! An index row for every entry took a quarter of the writer's time, within the transaction that callers wait for. So the
//! places are written once a block of 256 entries: four bytes an entry that stand for its name ([`Tag`]). Who looks for a
//! name reads them, a kilobyte a block, and gets the few entries that may be meant. A block without them, and the entries
//! behind the last full block, may all be meant, so that nothing that is missing hides an entry.

use std::ops::Range;

use rusqlite::{Connection, Error, params};
use sqlx::Row as _;

use super::reader::{SqliteReader, failed, unsigned};
use super::rows::number;
use crate::service::auditor::{BLOCK, LogSource as _, Tag, Tags};
use crate::service::ports::{Order, StoreError};

/// Blocks whose missing places one transaction writes.
const PORTION: u64 = 256;
/// Blocks whose places are read at a time.
const BLOCKS: u32 = 1024;
/// How often, before somebody who waits for a page is told how far that was: 16 million entries.
const STEPS: u32 = 64;

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

/// Writes the places of a full block whose rows are there.
fn rewrite(db: &Connection, index: u64) -> Result<(), Error> {
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

/// Writes the places of those of the first `end` blocks that have none yet: of all, once, in a ledger of an earlier
/// version. How many there are must be verified. Blocks of which an archive has entries stay without: what they say is
/// not here, and few entries are left to look at.
pub(super) fn complete(db: &mut Connection, end: u64) -> Result<(), Error> {
    let first: i64 = db.query_row(
        "SELECT min((SELECT coalesce(max(idx) + 1, 0) FROM agent_tags), (SELECT coalesce(max(idx) + 1, 0) FROM jti_tags), \
         (SELECT coalesce(max(idx) + 1, 0) FROM decision_tags))",
        [],
        |row| row.get(0),
    )?;
    let mut next = u64::try_from(first).unwrap_or_default();
    while next < end {
        let tx = db.transaction()?;
        for index in next..end.min(next + PORTION) {
            let mut archived = tx.prepare_cached("SELECT 1 FROM archived_block WHERE idx = ?")?;
            if !archived.exists([number(index)])? {
                rewrite(&tx, index)?;
            }
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
    /// Entries that name one of these as mandate or decision; sorted.
    Ids(Vec<Tag>),
}

impl Sought {
    /// Entries that name one of `ids` as mandate or decision.
    pub(super) fn ids<'a>(ids: impl IntoIterator<Item = &'a [u8; 16]>) -> Self {
        let mut tags: Vec<_> = ids.into_iter().map(Tag::of_id).collect();
        tags.sort_unstable();
        Self::Ids(tags)
    }

    fn statement(&self, order: Order) -> &'static str {
        match (self, order) {
            (Self::Agent(_), Order::Oldest) => {
                "SELECT idx, tags, NULL FROM agent_tags WHERE idx >= ? AND idx < ? ORDER BY idx LIMIT ?"
            }
            (Self::Agent(_), Order::Newest) => {
                "SELECT idx, tags, NULL FROM agent_tags WHERE idx >= ? AND idx < ? ORDER BY idx DESC LIMIT ?"
            }
            (Self::Ids(_), Order::Oldest) => {
                "SELECT idx, jti_tags.tags, decision_tags.tags FROM jti_tags JOIN decision_tags USING (idx) \
                 WHERE idx >= ? AND idx < ? ORDER BY idx LIMIT ?"
            }
            (Self::Ids(_), Order::Newest) => {
                "SELECT idx, jti_tags.tags, decision_tags.tags FROM jti_tags JOIN decision_tags USING (idx) \
                 WHERE idx >= ? AND idx < ? ORDER BY idx DESC LIMIT ?"
            }
        }
    }

    /// The entries of the block that may be meant, by the tags that are kept of it.
    fn among(&self, block: u64, kept: [&[u8]; 2]) -> Vec<u64> {
        let is_it = |tag: &[u8; 4]| match self {
            Self::Agent(agent) => agent.as_bytes() == tag,
            // Mostly there is one, which a set would be slower to compare.
            Self::Ids(ids) => ids.binary_search(&Tag::from_bytes(*tag)).is_ok(),
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

/// The places of a name while they are looked for.
struct Search<'a> {
    sought: &'a Sought,
    order: Order,
    most: usize,
    found: Vec<u64>,
    /// What was not looked at yet.
    rest: Range<u64>,
}

impl Search<'_> {
    fn ended(&self) -> bool {
        self.rest.is_empty() || self.found.len() >= self.most
    }

    /// All up to the far end of `part` was looked at.
    fn pass(&mut self, part: &Range<u64>) {
        match self.order {
            Order::Oldest => self.rest.start = part.end,
            Order::Newest => self.rest.end = part.start,
        }
    }

    /// What is to be looked at before `part`.
    fn before(&self, part: &Range<u64>) -> Range<u64> {
        match self.order {
            Order::Oldest => self.rest.start..part.start,
            Order::Newest => part.end..self.rest.end,
        }
    }

    /// A block, with its entries that may be meant.
    fn add(&mut self, part: &Range<u64>, places: Vec<u64>) {
        let within = places.into_iter().filter(|seq| part.contains(seq));
        match self.order {
            Order::Oldest => self.found.extend(within),
            Order::Newest => self.found.extend(within.collect::<Vec<_>>().into_iter().rev()),
        }
        self.pass(part);
    }

    /// Looks at blocks with tags, at most [`BLOCKS`], and at what lies between them.
    async fn step(&mut self, reader: &SqliteReader) -> Result<(), StoreError> {
        let rows = sqlx::query(self.sought.statement(self.order))
            .bind(number(self.rest.start / BLOCK))
            .bind(number(self.rest.end.div_ceil(BLOCK)))
            .bind(BLOCKS)
            .fetch_all(&reader.pool)
            .await
            .map_err(failed)?;
        for row in &rows {
            let block = unsigned(row, 0)?;
            let part = (block * BLOCK).max(self.rest.start)..((block + 1) * BLOCK).min(self.rest.end);
            self.all_of(reader, self.before(&part)).await?;
            if self.ended() {
                return Ok(());
            }
            let more: Option<&[u8]> = row.try_get(2).map_err(failed)?;
            let kept = [row.try_get(1).map_err(failed)?, more.unwrap_or_default()];
            self.add(&part, self.sought.among(block, kept));
            if self.ended() {
                return Ok(());
            }
        }
        if rows.len() < BLOCKS as usize { self.all_of(reader, self.rest.clone()).await } else { Ok(()) }
    }

    /// Entries of blocks without tags: those that are there.
    async fn all_of(&mut self, reader: &SqliteReader, part: Range<u64>) -> Result<(), StoreError> {
        if part.is_empty() {
            return Ok(());
        }
        let left = self.most.saturating_sub(self.found.len()) as u64;
        let statement = match self.order {
            Order::Oldest => "SELECT seq FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT ?",
            Order::Newest => "SELECT seq FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq DESC LIMIT ?",
        };
        let query = sqlx::query(statement).bind(number(part.start)).bind(number(part.end)).bind(number(left));
        let rows = query.fetch_all(&reader.pool).await.map_err(failed)?;
        let whole = (rows.len() as u64) < left;
        for row in rows {
            self.found.push(unsigned(&row, 0)?);
        }
        match self.found.last().filter(|_| !whole) {
            Some(last) => self.pass(&(*last..*last + 1)),
            None => self.pass(&part),
        }
        Ok(())
    }
}

impl SqliteReader {
    /// The entries of `span` that may be meant, in `order`: all that are, and hardly any other. Ends when there are `most`,
    /// or after [`STEPS`], and says which part of `span` that is all of.
    pub(super) async fn places(
        &self,
        sought: &Sought,
        span: Range<u64>,
        order: Order,
        most: usize,
    ) -> Result<(Vec<u64>, Range<u64>), StoreError> {
        let mut search = Search { sought, order, most, found: Vec::new(), rest: span.clone() };
        for _ in 0..STEPS {
            if search.ended() {
                break;
            }
            search.step(self).await?;
        }
        let Search { found, rest, .. } = search;
        match order {
            Order::Oldest => Ok((found, span.start..rest.start)),
            Order::Newest => Ok((found, rest.end..span.end)),
        }
    }

    /// The entries that may name one of `ids` as mandate or decision, oldest first, as the JSON array that one parameter
    /// of a statement holds.
    pub(super) async fn may_name(&self, ids: &[[u8; 16]]) -> Result<String, StoreError> {
        let end = sqlx::query("SELECT coalesce(max(seq) + 1, 0) FROM entry").fetch_one(&self.pool).await;
        let end = unsigned(&end.map_err(failed)?, 0)?;
        let (sought, mut rest, mut all) = (Sought::ids(ids), 0..end, Vec::new());
        while !rest.is_empty() {
            let (mut found, seen) = self.places(&sought, rest.clone(), Order::Oldest, usize::MAX).await?;
            all.append(&mut found);
            rest.start = seen.end;
        }
        Ok(listed(&all))
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

    /// Else a number that somebody wrote into the file would keep a question busy for ever.
    #[tokio::test]
    async fn what_is_looked_at_whole_is_what_is_there() {
        const FAR: u64 = 1 << 62;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        filled(&path).await.close().await.unwrap();
        change(&path, &format!("UPDATE entry SET seq = {FAR} WHERE seq = 690"));
        let reader = SqliteReader::open(&path).await.unwrap();
        for order in [Order::Oldest, Order::Newest] {
            let (found, seen) =
                reader.places(&Sought::ids([&id(20_300)]), 0..FAR + 1, order, usize::MAX).await.unwrap();
            assert_eq!((found.len(), seen), (1 + 188, 0..FAR + 1));
            assert!(found.contains(&300) && found.contains(&FAR));
        }
        let (found, seen) = reader.places(&Sought::ids([&id(1)]), 0..FAR + 1, Order::Newest, 3).await.unwrap();
        assert_eq!((found, seen), (vec![FAR, 699, 698], 698..FAR + 1));
        reader.close().await;
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

        change(&path, "INSERT INTO archived_block (idx, at_ms, place) VALUES (0, 1, 'file:///archive')");
        change(&path, "DELETE FROM agent_tags; DELETE FROM jti_tags; DELETE FROM decision_tags");
        open(&path, OpenMode::Existing).await.close().await.unwrap();
        let of_the_second: Vec<_> = before.into_iter().filter(|(index, _)| *index == 1).collect();
        assert_eq!(kept(&path), of_the_second);
    }
}
