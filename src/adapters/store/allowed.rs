//! What was allowed lately, for the counters of a broker that starts: written block by block, so that a start reads no
//! entries but those behind the last full block.
//!
//! The calls of a block are no part of the log. They are what the writer counted, as the keys of what was spent are.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::reader::{SqliteReader, failed, unsigned};
use super::rows::number;
use crate::domain::action::ActionName;
use crate::domain::id::WorkspaceId;
use crate::domain::ledger::{Entry, EventType};
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Timestamp;
use crate::service::auditor::BLOCK;
use crate::service::ports::{AllowedCalls, StoreError};

/// How long the time of a call is given to the second, in milliseconds.
const BY_SECOND: u64 = 3_600_000;
/// Blocks that are read at a time.
const PAGE: u64 = 256;

/// A call that the broker allowed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AllowedCall {
    agent: SpiffeId,
    act: ActionName,
    workspace: WorkspaceId,
    at: Timestamp,
}

impl AllowedCall {
    /// `None` where the entry is something else, or a question that spent nothing.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        let subject = &entry.subject;
        let asked = subject.detail.get("peek").is_some_and(|peek| peek == "true");
        if entry.event_type != EventType::BrokerDecision || subject.reason.as_deref() != Some("ok") || asked {
            return None;
        }
        let (agent, act) = subject.agent.clone().zip(subject.act.clone())?;
        Some(Self { agent, act, workspace: entry.workspace.clone(), at: entry.at })
    }
}

/// The calls of one block as stored.
pub(super) fn block_of(calls: &[Arc<AllowedCall>]) -> Vec<u8> {
    let mut by_kind: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    for call in calls {
        let kind = (call.agent.as_str(), call.act.as_str(), call.workspace.as_str());
        by_kind.entry(kind).or_default().push(call.at.as_millis());
    }
    let kinds: Vec<_> = by_kind.into_iter().map(|((agent, act, workspace), at)| (agent, act, workspace, at)).collect();
    // INVARIANT: texts and numbers serialise. A block without its calls is read from its entries.
    serde_json::to_vec(&kinds).unwrap_or_default()
}

/// Agent, act, workspace, and when.
type Kind = (SpiffeId, ActionName, WorkspaceId, Vec<u64>);
type Sums = BTreeMap<(u64, String, String, String), AllowedCalls>;

impl SqliteReader {
    /// As [`Ledger::allowed_calls`](crate::service::ports::Ledger::allowed_calls).
    pub(super) async fn allowed_calls(
        &self,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<AllowedCalls>, StoreError> {
        let (size, first) = self.written_since(since).await?;
        let (since, recent) = (since.as_millis(), now.as_millis().saturating_sub(BY_SECOND));
        let mut sums = Sums::new();
        for from in (first / BLOCK..size.div_ceil(BLOCK)).step_by(PAGE as usize) {
            let to = from.saturating_add(PAGE).min(size.div_ceil(BLOCK));
            for (agent, act, workspace, times) in self.allowed_in(from, to).await? {
                for at in times.into_iter().filter(|at| *at >= since) {
                    // To the second, or to the end of its quarter of an hour.
                    let at = if at >= recent { at / 1000 } else { at / 900_000 * 900 + 899 };
                    let key = (at, agent.to_string(), act.to_string(), workspace.to_string());
                    let fresh = || AllowedCalls {
                        agent: agent.clone(),
                        act: act.clone(),
                        workspace: workspace.clone(),
                        at,
                        calls: 0,
                    };
                    let sum = sums.entry(key).or_insert_with(fresh);
                    sum.calls = sum.calls.saturating_add(1);
                }
            }
        }
        Ok(sums.into_values().collect())
    }

    /// The calls of the blocks `from..to`; those that are not kept are read from the entries.
    async fn allowed_in(&self, from: u64, to: u64) -> Result<Vec<Kind>, StoreError> {
        let rows = sqlx::query("SELECT idx, calls FROM allowed_block WHERE idx >= ? AND idx < ? ORDER BY idx")
            .bind(number(from))
            .bind(number(to))
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        let kept = |row: &SqliteRow| {
            let calls: &[u8] = row.try_get(1).map_err(failed)?;
            Ok((unsigned(row, 0)?, serde_json::from_slice::<Vec<Kind>>(calls).map_err(failed)?))
        };
        let mut kept: BTreeMap<u64, Vec<Kind>> = rows.iter().map(kept).collect::<Result<_, StoreError>>()?;
        let mut kinds = Vec::new();
        for block in from..to {
            match kept.remove(&block) {
                Some(of_block) => kinds.extend(of_block),
                None => {
                    let calls = self.allowed_among(block * BLOCK, (block + 1) * BLOCK).await?;
                    kinds.extend(calls.into_iter().map(|c| (c.agent, c.act, c.workspace, vec![c.at.as_millis()])));
                }
            }
        }
        Ok(kinds)
    }

    /// The allowed calls of the entries `from..to`, read from their bytes.
    pub(super) async fn allowed_among(&self, from: u64, to: u64) -> Result<Vec<AllowedCall>, StoreError> {
        let query = "SELECT body FROM entry WHERE seq >= ? AND seq < ? AND event_type = 'broker_decision' \
                     AND reason = 'ok' ORDER BY seq";
        let rows = sqlx::query(query).bind(number(from)).bind(number(to)).fetch_all(&self.pool).await;
        let call = |row: &SqliteRow| {
            let body: &[u8] = row.try_get(0).map_err(failed)?;
            // What does not read is no allowed call; verification says that it was edited.
            Ok(serde_json::from_slice::<Entry>(body).ok().as_ref().and_then(AllowedCall::of))
        };
        rows.map_err(failed)?.iter().filter_map(|row| call(row).transpose()).collect()
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::adapters::clock::SystemClock;
    use crate::adapters::store::{OpenMode, SqliteStore};
    use crate::domain::id::{DecisionId, EventId, Jti};
    use crate::domain::ledger::{LogKey, Subject};
    use crate::service::ports::{Clock as _, Ledger as _};

    fn allowed(n: u64, at: Timestamp) -> Entry {
        let bytes = |kind: u8| {
            let mut bytes = [kind; 10];
            bytes[..8].copy_from_slice(&n.to_be_bytes());
            bytes
        };
        let subject = Subject {
            agent: format!("spiffe://atb.test/agent/{}", n % 3).parse().ok(),
            act: "erp.order.read".parse().ok(),
            allow: Some(true),
            reason: Some("ok".to_owned()),
            decision_id: Some(DecisionId::new(at, bytes(1))),
            jti: Some(Jti::new(at, bytes(2))),
            ..Subject::default()
        };
        let event_id = EventId::new(at, bytes(3));
        Entry { event_id, event_type: EventType::BrokerDecision, at, workspace: WorkspaceId::default(), subject }
    }

    /// Else a start would read the bodies of a day: 40 seconds for a million calls.
    #[tokio::test]
    async fn the_allowed_calls_of_full_blocks_are_counted_without_their_entries_and_with_them_alike() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let key = || LogKey::new(SigningKey::from_bytes(&[7; 32]));
        let origin = || "atb.test/allowed".parse().unwrap();
        let open = |mode| SqliteStore::open(&path, mode, key(), origin(), Arc::new(SystemClock));
        let now = SystemClock.now();
        let store = open(OpenMode::Create).await.unwrap();
        for n in 0..300 {
            store.record(allowed(n, now)).await.unwrap();
        }
        store.close().await.unwrap();
        // Opened again in the middle of a block, which has to go on where it was.
        let store = open(OpenMode::Existing).await.unwrap();
        for n in 300..600 {
            store.record(allowed(n, now)).await.unwrap();
        }
        let count = async || {
            let sums = store.allowed_calls(now, now).await.unwrap();
            sums.iter().map(|sum| (sum.agent.to_string(), sum.calls)).collect::<Vec<_>>()
        };
        let expected: Vec<_> = (0..3).map(|n| (format!("spiffe://atb.test/agent/{n}"), 200)).collect();
        assert_eq!(count().await, expected);
        store.close().await.unwrap();

        let change = async |statement: &'static str| {
            use sqlx::{ConnectOptions as _, Connection as _};
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
            let mut conn = options.connect().await.unwrap();
            sqlx::query(statement).execute(&mut conn).await.unwrap();
            conn.close().await.unwrap();
        };
        // Bodies that do not read: what is counted of full blocks does not come from them.
        change("UPDATE entry SET body = CAST('{}' AS BLOB) WHERE seq < 512").await;
        let reader = SqliteReader::open(&path).await.unwrap();
        let calls = |sums: Vec<AllowedCalls>| sums.iter().map(|sum| sum.calls).sum::<u32>();
        assert_eq!(calls(reader.allowed_calls(now, now).await.unwrap()), 600);
        change("DELETE FROM allowed_block").await;
        assert_eq!(calls(reader.allowed_calls(now, now).await.unwrap()), 88, "of the open block");
        reader.close().await;
    }
}
