//! How far a sink may be behind, and what happens when it is farther.

use std::sync::PoisonError;
use std::time::Duration;

use serde::Deserialize;

use super::{Lag, Shipper};
use crate::domain::id::{EventId, WorkspaceId};
use crate::domain::ledger::{Entry, EventType, Subject};
use crate::service::ports::StoreError;

/// What happens when a sink is farther behind than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFull {
    /// An event and a metric say so.
    #[default]
    Alert,
    /// Also, no new decision is taken until it has caught up.
    Refuse,
}

impl OnFull {
    /// The name as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Refuse => "refuse",
        }
    }
}

/// How far a sink may be behind; without either limit it may be any distance.
#[derive(Debug, Clone, Copy, Default)]
pub struct LagBound {
    /// Entries.
    pub records: Option<u64>,
    /// Age of the oldest entry that waits.
    pub age: Option<Duration>,
    /// What happens beyond.
    pub on_full: OnFull,
}

impl LagBound {
    fn is_exceeded(&self, lag: Lag) -> bool {
        self.records.is_some_and(|most| lag.records > most) || self.age.is_some_and(|most| lag.age > most)
    }

    /// Half of the bound again, so that a sink at its edge does not open and close the doors in turn.
    fn is_kept_well(&self, lag: Lag) -> bool {
        let half = Self { records: self.records.map(|most| most / 2), age: self.age.map(|most| most / 2), ..*self };
        !half.is_exceeded(lag)
    }
}

impl Shipper {
    /// Holds the sink against its bound: closes or opens the gate, and puts a change on record. Whether it is beyond.
    ///
    /// # Errors
    /// When the change cannot be put on record; the gate is right all the same, and the next look tries again.
    pub async fn judge(&self) -> Result<bool, StoreError> {
        let lag = self.lag();
        let was = *self.progress.beyond.lock().unwrap_or_else(PoisonError::into_inner);
        let beyond = if was { !self.bound.is_kept_well(lag) } else { self.bound.is_exceeded(lag) };
        if self.bound.on_full == OnFull::Refuse {
            match beyond {
                true => self.ports.gate.close(&self.sink, self.why(lag)),
                false => self.ports.gate.open(&self.sink),
            }
        }
        if was != beyond {
            self.ports.ledger.record(self.change(beyond, lag)).await?;
            *self.progress.beyond.lock().unwrap_or_else(PoisonError::into_inner) = beyond;
        }
        Ok(beyond)
    }

    fn why(&self, lag: Lag) -> String {
        let waits = format!("{} entries wait, the oldest for {} s", lag.records, lag.age.as_secs());
        match self.last_fault() {
            Some(fault) => format!("{waits}; {fault}"),
            None => waits,
        }
    }

    fn change(&self, beyond: bool, lag: Lag) -> Entry {
        let at = self.ports.clock.now();
        let facts = [
            ("sink", Some(self.sink.clone())),
            ("on_full", Some(self.bound.on_full.as_str().to_owned())),
            ("lag_records", Some(lag.records.to_string())),
            ("lag_seconds", Some(lag.age.as_secs().to_string())),
            ("last", self.last_fault().filter(|_| beyond)),
        ];
        let detail = facts.into_iter().filter_map(|(name, fact)| Some((name.to_owned(), fact?))).collect();
        Entry {
            event_id: EventId::new(at, self.ports.entropy.bytes()),
            event_type: if beyond { EventType::SinkLagging } else { EventType::SinkCaughtUp },
            at,
            workspace: WorkspaceId::default(),
            subject: Subject { detail, ..Subject::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_exceeded_beyond_it_and_kept_well_at_its_half() {
        let bound = LagBound { records: Some(10), age: Some(Duration::from_secs(60)), on_full: OnFull::Alert };
        let lag = |records, secs| Lag { records, age: Duration::from_secs(secs) };
        assert!(!bound.is_exceeded(lag(10, 60)) && bound.is_exceeded(lag(11, 0)) && bound.is_exceeded(lag(1, 61)));
        assert!(bound.is_kept_well(lag(5, 30)) && !bound.is_kept_well(lag(6, 0)) && !bound.is_kept_well(lag(0, 31)));
        assert!(!LagBound::default().is_exceeded(lag(u64::MAX, u64::MAX)));
    }
}
