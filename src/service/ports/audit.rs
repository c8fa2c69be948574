//! Questions to the record.

use async_trait::async_trait;

use super::{Order, StoreError};
use crate::domain::ledger::query::Query;

/// The most entries on one page.
pub const MAX_AUDIT_PAGE: u32 = 1000;

/// One page that is asked for.
#[derive(Debug, Clone, Default)]
pub struct AuditQuestion {
    /// Which entries.
    pub query: Query,
    /// In which order.
    pub order: Order,
    /// Where to go on: oldest first the lowest number that is looked at, newest first one more than the highest.
    /// Absent at the first page.
    pub from: Option<u64>,
    /// At most so many, and never more than [`MAX_AUDIT_PAGE`].
    pub limit: u32,
}

/// An entry that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub seq: u64,
    /// Its bytes as they were hashed.
    pub body: Vec<u8>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries, in the order that was asked for.
    pub items: Vec<Found>,
    /// How far it was looked, as the `from` of a next page.
    pub seen: u64,
    /// How many entries the record has.
    pub size: u64,
    /// Whether there may be more behind `seen`. A page can be short, or empty, and there is more: the work on one is
    /// bounded.
    pub more: bool,
}

/// The record as it is asked.
///
/// Pages are stable: an entry never changes its number or its bytes, so that pages followed from `seen` to `seen` show
/// each entry that was there at the first page exactly once, whatever is appended meanwhile. Oldest first, what is
/// appended comes at the end; newest first, it is not shown. The work on a page is bounded.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// One page.
    async fn page(&self, question: &AuditQuestion) -> Result<AuditPage, StoreError>;
}
