//! What the writer tells about itself, for metrics.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// One group that became durable.
#[derive(Debug, Clone, Copy)]
pub struct GroupCommit {
    /// Requests that were answered together.
    pub requests: u64,
    /// From the start of the transaction until it was durable.
    pub micros: u64,
}

type Observer = Box<dyn Fn(GroupCommit) + Send + Sync>;

/// Counters since the store was opened.
#[derive(Default)]
pub struct StoreStats {
    groups: AtomicU64,
    requests: AtomicU64,
    failures: AtomicU64,
    recoveries: AtomicU64,
    observer: OnceLock<Observer>,
}

impl StoreStats {
    /// Transactions that became durable.
    pub fn groups(&self) -> u64 {
        self.groups.load(Ordering::Relaxed)
    }

    /// Requests in them.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Groups that were not written, or whose fate was unknown when they were answered.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// How often the file was opened again and verified after a failure.
    pub fn recoveries(&self) -> u64 {
        self.recoveries.load(Ordering::Relaxed)
    }

    /// Has `observer` called after every durable group, from the writing thread. The first one stays.
    pub fn on_commit(&self, observer: impl Fn(GroupCommit) + Send + Sync + 'static) {
        let _ = self.observer.set(Box::new(observer));
    }

    pub(super) fn committed(&self, group: GroupCommit) {
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_add(group.requests, Ordering::Relaxed);
        if let Some(observer) = self.observer.get() {
            observer(group);
        }
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn recovered(&self) {
        self.recoveries.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for StoreStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreStats")
            .field("groups", &self.groups)
            .field("requests", &self.requests)
            .field("failures", &self.failures)
            .field("recoveries", &self.recoveries)
            .finish_non_exhaustive()
    }
}
