//! The gate that sinks close: whether new decisions are taken.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

/// Which sinks are so far behind that the operator wants no new decision. The doors ask before they take one; what was
/// begun ends, and what makes things safer (a rejection, a withdrawal) is always taken.
#[derive(Debug, Default)]
pub struct SinkGate(RwLock<BTreeMap<String, String>>);

impl SinkGate {
    /// Why no new decision is taken; `None` when they are.
    pub fn problem(&self) -> Option<String> {
        let closed = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (sink, why) = closed.first_key_value()?;
        Some(format!("sink `{sink}` is behind: {why}"))
    }

    /// Whether no new decision is taken.
    pub fn is_closed(&self) -> bool {
        !self.0.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(super) fn close(&self, sink: &str, why: String) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(sink.to_owned(), why);
    }

    pub(super) fn open(&self, sink: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(sink);
    }
}
