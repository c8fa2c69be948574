//! The circuit breaker of one connector: after so many failures in a row nothing is sent for a while, then one call tries.
//!
//! ```text
//! closed ──failures in a row──▶ open ──after its time──▶ half-open ──the probe succeeds──▶ closed
//!                                ▲                          │
//!                                └────── the probe fails ───┘
//! ```
//!
//! A call that meets an open circuit is refused before its mandate is burned. A failure is an upstream that is not there,
//! does not answer in time, breaks off, or says 502, 503 or 504; any other answer is a success. A call that the agent gave
//! up, or whose answer was too large, says nothing about the upstream's health.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::answer::{CallEnd, CallFault};

/// When a circuit opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row.
    pub failures: u32,
    /// Until one call may try.
    pub open: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { failures: 10, open: Duration::from_secs(5) }
    }
}

/// What a circuit lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// Everything.
    Closed,
    /// One call, to see.
    HalfOpen,
    /// Nothing.
    Open,
}

/// A circuit that does not let a call through now: when one may try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitOpen(pub Duration);

#[derive(Debug, Clone, Copy)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { probing: bool },
}

/// The breaker of one upstream.
pub(super) struct Breaker {
    settings: BreakerSettings,
    state: Mutex<(State, u64)>,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: Mutex::new((State::Closed { failures: 0 }, 0)) }
    }

    pub(super) fn settings(&self) -> BreakerSettings {
        self.settings
    }

    /// What it lets through, and how often it has opened.
    pub(super) fn state(&self, now: Instant) -> (CircuitState, u64) {
        let (state, opened) = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = match state {
            State::Closed { .. } => CircuitState::Closed,
            State::Open { until } if now < until => CircuitState::Open,
            State::Open { .. } | State::HalfOpen { .. } => CircuitState::HalfOpen,
        };
        (state, opened)
    }

    /// Lets one call through.
    pub(super) fn admit(self: &Arc<Self>, now: Instant) -> Result<Pass, CircuitOpen> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let probe = match state.0 {
            State::Closed { .. } => false,
            State::Open { until } if now < until => return Err(CircuitOpen(until - now)),
            State::HalfOpen { probing: true } => return Err(CircuitOpen(self.settings.open)),
            State::Open { .. } | State::HalfOpen { probing: false } => {
                state.0 = State::HalfOpen { probing: true };
                true
            }
        };
        Ok(Pass { breaker: Arc::clone(self), probe })
    }

    fn tell(&self, probe: bool, health: Health, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let open = State::Open { until: now + self.settings.open };
        let next = match (state.0, health) {
            (State::Closed { .. }, Health::Well) => State::Closed { failures: 0 },
            (State::Closed { failures }, Health::Ill) if failures + 1 >= self.settings.failures => open,
            (State::Closed { failures }, Health::Ill) => State::Closed { failures: failures + 1 },
            (State::HalfOpen { .. }, Health::Well) if probe => State::Closed { failures: 0 },
            (State::HalfOpen { .. }, Health::Ill) if probe => open,
            (State::HalfOpen { .. }, Health::Unknown) if probe => State::HalfOpen { probing: false },
            // Calls from before it opened say nothing about now.
            (same, _) => same,
        };
        if matches!(next, State::Open { .. }) && !matches!(state.0, State::Open { .. }) {
            state.1 += 1;
        }
        state.0 = next;
    }
}

/// What a call says about its upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Well,
    Ill,
    Unknown,
}

impl Health {
    fn of(end: &CallEnd) -> Self {
        match end.fault {
            None if matches!(end.status, Some(502..=504)) => Self::Ill,
            None => Self::Well,
            Some(CallFault::Abandoned | CallFault::TooLarge | CallFault::TooLong | CallFault::Switched) => {
                Self::Unknown
            }
            Some(_) => Self::Ill,
        }
    }
}

/// One call that was let through; dropped without an end it says nothing.
pub(super) struct Pass {
    breaker: Arc<Breaker>,
    probe: bool,
}

impl Pass {
    /// Says how the call ended.
    pub(super) fn settle(mut self, end: &CallEnd) {
        self.breaker.tell(self.probe, Health::of(end), Instant::now());
        self.probe = false;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.probe {
            self.breaker.release();
        }
    }
}

impl Breaker {
    /// A probe that came to nothing leaves its place to the next call.
    fn release(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::HalfOpen { probing } = &mut state.0 {
            *probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Sha256Digest;

    const OPEN: Duration = Duration::from_secs(5);

    fn breaker() -> Arc<Breaker> {
        Arc::new(Breaker::new(BreakerSettings { failures: 2, open: OPEN }))
    }

    fn end(fault: Option<CallFault>, status: Option<u16>) -> CallEnd {
        CallEnd { fault, status, bytes: 0, digest: Sha256Digest::of(b""), duration: Duration::ZERO }
    }

    fn fail(breaker: &Arc<Breaker>, now: Instant) {
        breaker.admit(now).unwrap().settle(&end(Some(CallFault::Unreachable), None));
    }

    fn opened(breaker: &Arc<Breaker>) -> Instant {
        let now = Instant::now();
        fail(breaker, now);
        fail(breaker, now);
        now
    }

    #[test]
    fn failures_in_a_row_open_the_circuit_and_a_success_between_them_does_not_let_it() {
        let breaker = breaker();
        let now = Instant::now();
        for _ in 0..5 {
            fail(&breaker, now);
            breaker.admit(now).unwrap().settle(&end(None, Some(404)));
        }
        assert_eq!(breaker.state(now), (CircuitState::Closed, 0));
        fail(&breaker, now);
        breaker.admit(now).unwrap().settle(&end(None, Some(503)));
        assert_eq!(breaker.state(now), (CircuitState::Open, 1));
        assert!(breaker.admit(now).is_err_and(|CircuitOpen(wait)| wait <= OPEN + Duration::from_secs(1)));
    }

    #[test]
    fn after_its_time_one_call_tries_and_only_one() {
        let breaker = breaker();
        let later = opened(&breaker) + OPEN + Duration::from_secs(1);
        let probe = breaker.admit(later).unwrap();
        assert!(breaker.admit(later).is_err(), "a second call beside the probe");
        probe.settle(&end(None, Some(200)));
        assert_eq!(breaker.state(later), (CircuitState::Closed, 1));
        assert!(breaker.admit(later).is_ok() && breaker.admit(later).is_ok());
    }

    #[test]
    fn a_probe_that_fails_opens_it_again_and_one_that_never_went_leaves_its_place() {
        let breaker = breaker();
        let later = opened(&breaker) + OPEN + Duration::from_secs(1);
        drop(breaker.admit(later).unwrap());
        breaker.admit(later).unwrap().settle(&end(Some(CallFault::Abandoned), None));
        assert_eq!(breaker.state(later).0, CircuitState::HalfOpen);
        breaker.admit(later).unwrap().settle(&end(Some(CallFault::Timeout), None));
        assert_eq!(breaker.state(Instant::now()), (CircuitState::Open, 2));
    }

    #[test]
    fn calls_from_before_it_opened_change_nothing() {
        let breaker = breaker();
        let now = Instant::now();
        let (early, other) = (breaker.admit(now).unwrap(), breaker.admit(now).unwrap());
        opened(&breaker);
        early.settle(&end(None, Some(200)));
        assert_eq!(breaker.state(Instant::now()).0, CircuitState::Open);
        let later = Instant::now() + OPEN + Duration::from_secs(1);
        let probe = breaker.admit(later).unwrap();
        other.settle(&end(None, Some(200)));
        assert_eq!(breaker.state(later).0, CircuitState::HalfOpen, "the probe is still under way");
        probe.settle(&end(None, Some(200)));
        assert_eq!(breaker.state(later).0, CircuitState::Closed);
    }
}
