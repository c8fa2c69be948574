//! Withdrawn legal grounds: the rows, and the port over the writer's queue and the reader.

use async_trait::async_trait;
use rusqlite::{Connection, Error, params};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use super::op::{Op, Prepared};
use super::reader::{SqliteReader, failed, unsigned};
use super::rows::millis;
use crate::domain::ledger::{Entry, Receipt};
use crate::domain::leg::{Withdrawal, Withdrawn};
use crate::domain::time::Timestamp;
use crate::service::ports::{AdvanceError, StoreError, WithdrawalStore};

/// A withdrawal as a row.
#[derive(Debug)]
pub(super) struct WithdrawalRow {
    kind: &'static str,
    target: String,
    reason: String,
    withdrawn_by: String,
    at: Timestamp,
}

impl WithdrawalRow {
    fn of(withdrawal: &Withdrawal) -> Self {
        let (kind, target) = match &withdrawal.what {
            Withdrawn::Template(version) => ("template", version.to_string()),
            Withdrawn::ConsentRef(reference) => ("consent_ref", reference.to_string()),
        };
        Self {
            kind,
            target,
            reason: withdrawal.reason.to_string(),
            withdrawn_by: withdrawal.withdrawn_by.to_string(),
            at: withdrawal.withdrawn_at,
        }
    }
}

/// Whether the row is new.
pub(super) fn insert(db: &Connection, row: &WithdrawalRow) -> Result<bool, Error> {
    let inserted = db
        .prepare_cached(
            "INSERT INTO leg_withdrawal (kind, target, reason, withdrawn_by, at_ms) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (kind, target) DO NOTHING",
        )?
        .execute(params![row.kind, row.target, row.reason, row.withdrawn_by, millis(row.at)])?;
    Ok(inserted == 1)
}

impl SqliteReader {
    async fn withdrawals(&self) -> Result<Vec<Withdrawal>, StoreError> {
        let query = "SELECT kind, target, reason, withdrawn_by, at_ms FROM leg_withdrawal ORDER BY kind, target";
        let rows = sqlx::query(query).fetch_all(&self.pool).await.map_err(failed)?;
        rows.iter().map(withdrawal).collect()
    }

    async fn recorded_withdrawals(&self) -> Result<Vec<Entry>, StoreError> {
        let query = "SELECT body FROM entry WHERE event_type = 'leg_withdrawn' ORDER BY seq";
        let rows = sqlx::query(query).fetch_all(&self.pool).await.map_err(failed)?;
        let entry = |row: &SqliteRow| serde_json::from_slice(row.try_get(0).map_err(failed)?).map_err(failed);
        rows.iter().map(entry).collect()
    }
}

fn withdrawal(row: &SqliteRow) -> Result<Withdrawal, StoreError> {
    let text = |column: usize| row.try_get::<String, _>(column).map_err(failed);
    let what = match text(0)?.as_str() {
        "template" => Withdrawn::Template(text(1)?.parse().map_err(failed)?),
        "consent_ref" => Withdrawn::ConsentRef(text(1)?.parse().map_err(failed)?),
        other => return Err(failed(format!("a withdrawal of kind `{other}`"))),
    };
    Ok(Withdrawal {
        what,
        reason: text(2)?.parse().map_err(failed)?,
        withdrawn_by: text(3)?.parse().map_err(failed)?,
        withdrawn_at: Timestamp::from_millis(unsigned(row, 4)?),
    })
}

#[async_trait]
impl WithdrawalStore for SqliteStore {
    async fn withdraw(&self, withdrawal: &Withdrawal, entry: Entry) -> Result<Receipt, AdvanceError> {
        self.change(Op::Withdraw { row: WithdrawalRow::of(withdrawal), entry: Prepared::of(entry)? }).await
    }

    async fn withdrawals(&self) -> Result<Vec<Withdrawal>, StoreError> {
        self.reader().withdrawals().await
    }

    async fn recorded_withdrawals(&self) -> Result<Vec<Entry>, StoreError> {
        self.reader().recorded_withdrawals().await
    }
}
