//! The withdrawn legal grounds.

use async_trait::async_trait;

use super::challenges::AdvanceError;
use super::ledger::StoreError;
use crate::domain::ledger::{Entry, Receipt};
use crate::domain::leg::Withdrawal;

/// The withdrawn legal grounds. The same transaction and durability rules as [`Ledger`](super::Ledger).
#[async_trait]
pub trait WithdrawalStore: Send + Sync {
    /// Keeps a withdrawal and appends `entry`, both or neither.
    ///
    /// `AdvanceError::Conflict` when the same was withdrawn before; nothing is written then.
    async fn withdraw(&self, withdrawal: &Withdrawal, entry: Entry) -> Result<Receipt, AdvanceError>;

    /// Every withdrawal. Read at start, not on calls.
    async fn withdrawals(&self) -> Result<Vec<Withdrawal>, StoreError>;

    /// The entries of the record that say `leg_withdrawn`, oldest first. Read at start: the record is signed, the rows
    /// are not.
    async fn recorded_withdrawals(&self) -> Result<Vec<Entry>, StoreError>;
}
