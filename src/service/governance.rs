//! Figures of governance for a period: the record is read once, in order, and counted.
//!
//! Whether the record verifies is asked of [`verify_log`](super::auditor::verify_log) by the caller, because that reads
//! all of it and a door may not have the time.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::domain::governance::{Integrity, Report, Tally};
use crate::domain::id::WorkspaceId;
use crate::domain::ledger::{Entry, Openings};
use crate::domain::time::Timestamp;

use super::ports::{EntryFilter, Ledger, StoreError};

/// Entries read at a time.
const PAGE: u32 = 1000;

/// What a report is asked for.
#[derive(Debug, Clone)]
pub struct Question {
    /// The first instant that counts.
    pub since: Timestamp,
    /// The first instant that does not count any more.
    pub until: Timestamp,
    /// Only this workspace.
    pub workspace: Option<WorkspaceId>,
    /// What a verification of the record said.
    pub integrity: Integrity,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The period ends before it begins.
    #[error("the period ends at {until}, before it begins at {since}")]
    EmptyPeriod {
        /// Its begin.
        since: Timestamp,
        /// Its end.
        until: Timestamp,
    },
    /// An entry cannot be read; figures without it would be wrong.
    #[error("entry {0} is no entry that this program knows; `atb audit verify` says more")]
    Unreadable(u64),
    /// The record cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A record that is read page by page, as [`Ledger::entries`] has it.
#[async_trait]
pub trait Entries: Send + Sync {
    /// Entries with `seq >= from` that match, oldest first, at most `limit`.
    async fn page(&self, from: u64, limit: u32, filter: &EntryFilter) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;

    /// What opens commitments of the entries `first..=last`, as far as it was not erased.
    async fn openings(&self, first: u64, last: u64) -> Result<BTreeMap<u64, Openings>, StoreError>;
}

#[async_trait]
impl Entries for dyn Ledger {
    async fn page(&self, from: u64, limit: u32, filter: &EntryFilter) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.entries(from, limit, filter).await
    }

    async fn openings(&self, first: u64, last: u64) -> Result<BTreeMap<u64, Openings>, StoreError> {
        Ledger::openings(self, first, last).await
    }
}

/// The figures.
///
/// # Errors
/// When the period is empty, or the record or an entry of it cannot be read.
pub async fn report<E: Entries + ?Sized>(question: Question, record: &E) -> Result<Report, ReportError> {
    let Question { since, until, workspace, integrity } = question;
    if until <= since {
        return Err(ReportError::EmptyPeriod { since, until });
    }
    let mut tally = Tally::new(since, until, workspace.clone());
    let filter =
        EntryFilter { since: Some(tally.read_from()), until: Some(until), workspace, ..EntryFilter::default() };
    let mut next = 0;
    loop {
        let rows = record.page(next, PAGE, &filter).await?;
        let full = rows.len() >= PAGE as usize;
        let (first, last) = (rows.first().map_or(0, |row| row.0), rows.last().map_or(0, |row| row.0));
        let openings = record.openings(first, last).await?;
        for (seq, body) in rows {
            let mut entry: Entry = serde_json::from_slice(&body).map_err(|_| ReportError::Unreadable(seq))?;
            // The same question asked again is known by its digest; each entry has its own commitment to it.
            if let Some(commitment) = entry.subject.request_digest
                && let Some(digest) = openings.get(&seq).and_then(|openings| openings.request(commitment))
            {
                entry.subject.request_digest = Some(digest);
            }
            tally.add(&entry);
            next = seq + 1;
        }
        if !full {
            return Ok(tally.report(integrity));
        }
    }
}
