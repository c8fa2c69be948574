//! The broker's memory of allowed calls, shared by every call at once: a place is taken before the policy is asked and
//! given back when the call is not allowed, so that calls that come together cannot exceed a limit between them.
//!
//! One lock, held for three look-ups. The numbers and their bounds are `domain::policy::counters`'s.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Broker;
use crate::domain::action::ActionName;
use crate::domain::id::WorkspaceId;
use crate::domain::policy::{CallCounters, CallSlot, Counters};
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Timestamp;
use crate::service::refusal::{Code, Refusal};

/// The longest window.
const LOOK_BACK: Duration = Duration::from_secs(86_400);

#[derive(Debug, Clone, Default)]
pub(super) struct SharedCounters(Arc<Mutex<CallCounters>>);

/// A call in flight. It counts until it is dropped; confirmed it counts for as long as the windows reach.
pub(super) struct Reservation {
    counters: SharedCounters,
    slot: Option<CallSlot>,
    told: Counters,
}

impl SharedCounters {
    /// Takes a place for a call that arrived at `now`.
    pub(super) fn reserve(
        &self,
        agent: &SpiffeId,
        act: &ActionName,
        workspace: &WorkspaceId,
        now: Timestamp,
    ) -> Result<Reservation, Refusal> {
        let reserved = self.lock().reserve(agent, act, workspace, now.as_secs());
        let (slot, told) = reserved
            .map_err(|full| Refusal::because(Code::Busy, "counters_full", format!("{full}; ask again later")))?;
        Ok(Reservation { counters: self.clone(), slot: Some(slot), told })
    }

    /// A panic elsewhere leaves numbers behind, not half of one.
    fn lock(&self) -> MutexGuard<'_, CallCounters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// What was allowed before.
    pub(super) fn told(&self) -> &Counters {
        &self.told
    }

    /// The call was allowed at `at`, as the record says.
    pub(super) fn confirm(mut self, at: Timestamp) {
        if let Some(slot) = self.slot.take() {
            self.counters.lock().confirm(slot, at.as_secs());
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.counters.lock().release(slot);
        }
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("told", &self.told).finish_non_exhaustive()
    }
}

impl Broker {
    /// Counts what the record says was allowed in the last day, so that a start forgets nothing. To be called before the
    /// first call is taken.
    ///
    /// # Errors
    /// When the record cannot be read, or says more than can be counted.
    pub async fn restore_counters(&self) -> Result<(), Refusal> {
        let now = self.ports.clock.now();
        let allowed = self.ports.ledger.allowed_calls(now.minus(LOOK_BACK), now).await?;
        let mut counters = self.counters.lock();
        for calls in allowed {
            counters
                .restore(&calls.agent, &calls.act, &calls.workspace, calls.at, calls.calls)
                .map_err(|full| Refusal::because(Code::Busy, "counters_full", full.to_string()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn reserve(counters: &SharedCounters) -> Reservation {
        let (agent, act) = ("spiffe://atb.dev/agent/a".parse().unwrap(), "erp.order.read".parse().unwrap());
        counters.reserve(&agent, &act, &WorkspaceId::default(), Timestamp::from_secs(1_790_000_000)).unwrap()
    }

    #[test]
    fn a_call_that_ends_anyhow_gives_its_place_back() {
        let counters = SharedCounters::default();
        drop(reserve(&counters));
        let panicked = thread::spawn({
            let counters = counters.clone();
            move || {
                let _in_flight = reserve(&counters);
                std::panic::resume_unwind(Box::new("a rule panicked"));
            }
        });
        assert!(panicked.join().is_err());
        assert_eq!(reserve(&counters).told().agent.minute, 0);
        let waiting = reserve(&counters);
        assert_eq!(reserve(&counters).told().agent.minute, 1, "in flight");
        waiting.confirm(Timestamp::from_secs(1_790_000_000));
        assert_eq!(reserve(&counters).told().agent.day, 1, "allowed");
    }

    /// Each thread admits a call while fewer than the limit are counted, as a policy would.
    #[test]
    fn threads_together_admit_no_more_than_the_limit() {
        const MAX: u64 = 37;
        let counters = SharedCounters::default();
        let admitted: u64 = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let admit = |reserved: Reservation| {
                            let fits = reserved.told().agent.minute < MAX;
                            thread::yield_now();
                            if fits {
                                reserved.confirm(Timestamp::from_secs(1_790_000_000));
                            }
                            u64::from(fits)
                        };
                        (0..50).map(|_| admit(reserve(&counters))).sum::<u64>()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!(admitted <= MAX, "{admitted}");
        while reserve(&counters).told().agent.minute < MAX {
            reserve(&counters).confirm(Timestamp::from_secs(1_790_000_000));
        }
    }
}
