//! How often a connector is called: a rate and a burst for all agents together, and for each agent by its SPIFFE ID
//! (GCRA, a leaky bucket without a queue).
//!
//! A call beyond either is refused before its mandate is burned, and told when to come again. An agent is counted by what
//! its SVID proves and by nothing that it sends. What is remembered of agents is bounded: one that has not called for as
//! long as its burst lasts is forgotten, and where all places are taken a newcomer waits.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::domain::spiffe::SpiffeId;

/// Agents that one connector remembers at a time.
const MAX_AGENTS: usize = 16_384;
/// Between two looks for agents to forget: each goes through all of them.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// So many calls a minute, and so many at once before the rate tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Calls a minute, evenly.
    pub per_minute: NonZeroU32,
    /// Calls at once.
    pub burst: NonZeroU32,
}

impl Budget {
    fn quota(self) -> Quota {
        Quota::per_minute(self.per_minute).allow_burst(self.burst)
    }
}

/// The budgets of one connector; where one is absent there is no such limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rate {
    /// Of all agents together.
    pub all: Option<Budget>,
    /// Of each agent.
    pub agent: Option<Budget>,
}

/// A call came too early: when the next may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooEarly(pub Duration);

type PerAgent = RateLimiter<SpiffeId, HashMapStateStore<SpiffeId>, DefaultClock>;

/// What was called lately.
pub(super) struct Meter {
    rate: Rate,
    all: Option<DefaultDirectRateLimiter>,
    agents: Option<PerAgent>,
    swept: Mutex<Option<Instant>>,
    clock: DefaultClock,
}

impl Meter {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            all: rate.all.map(|budget| RateLimiter::direct(budget.quota())),
            agents: rate.agent.map(|budget| RateLimiter::hashmap(budget.quota())),
            swept: Mutex::new(None),
            clock: DefaultClock::default(),
        }
    }

    /// What it measures by; with the same budgets it goes on when the connectors are loaded anew.
    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Counts one call of `agent` against its own budget.
    pub(super) fn agent(&self, agent: &SpiffeId) -> Result<(), TooEarly> {
        let Some(agents) = &self.agents else { return Ok(()) };
        if agents.len() >= MAX_AGENTS && !self.sweep(agents) {
            return Err(TooEarly(SWEEP_EVERY));
        }
        agents.check_key(agent).map_err(|until| TooEarly(until.wait_time_from(self.clock.now())))
    }

    /// Forgets agents whose budget is whole again; whether there is a place now.
    fn sweep(&self, agents: &PerAgent) -> bool {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if swept.is_none_or(|at| at.elapsed() >= SWEEP_EVERY) {
            *swept = Some(Instant::now());
            agents.retain_recent();
            agents.shrink_to_fit();
        }
        agents.len() < MAX_AGENTS
    }

    /// Counts one call against the budget of all.
    pub(super) fn all(&self) -> Result<(), TooEarly> {
        let Some(all) = &self.all else { return Ok(()) };
        all.check().map_err(|until| TooEarly(until.wait_time_from(self.clock.now())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(per_minute: u32, burst: u32) -> Budget {
        Budget { per_minute: per_minute.try_into().unwrap(), burst: burst.try_into().unwrap() }
    }

    fn agent(n: usize) -> SpiffeId {
        format!("spiffe://atb.dev/agent/n{n}").parse().unwrap()
    }

    #[test]
    fn one_agent_that_calls_too_often_waits_and_another_does_not() {
        let meter = Meter::new(Rate { all: None, agent: Some(budget(60, 2)) });
        assert_eq!((meter.agent(&agent(1)), meter.agent(&agent(1))), (Ok(()), Ok(())));
        let TooEarly(wait) = meter.agent(&agent(1)).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        assert_eq!(meter.agent(&agent(2)), Ok(()));
        assert_eq!(meter.all(), Ok(()));
    }

    #[test]
    fn what_is_remembered_of_agents_is_bounded() {
        let meter = Meter::new(Rate { all: None, agent: Some(budget(1, 1)) });
        let served = (0..MAX_AGENTS + 2000).filter(|n| meter.agent(&agent(*n)).is_ok()).count();
        assert_eq!(served, MAX_AGENTS);
        assert_eq!(meter.agents.as_ref().unwrap().len(), MAX_AGENTS);
        // With a budget that is whole again at once, those before are forgotten and the next one is served.
        let meter = Meter::new(Rate { all: None, agent: Some(budget(u32::MAX, 1)) });
        assert!((0..=MAX_AGENTS).all(|n| meter.agent(&agent(n)).is_ok()));
        assert!(meter.agents.as_ref().unwrap().len() < MAX_AGENTS);
    }

    #[test]
    fn all_agents_together_share_the_connectors_budget() {
        let meter = Meter::new(Rate { all: Some(budget(1, 3)), agent: None });
        assert_eq!((0..5).filter(|_| meter.all().is_ok()).count(), 3);
        assert!((0..100).all(|_| meter.agent(&agent(1)).is_ok()), "no limit of its own");
    }
}
