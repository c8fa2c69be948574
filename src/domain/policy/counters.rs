//! How many calls were allowed lately: what rate limits are about.
//!
//! ```text
//! reserve(now) ──▶ CallSlot + Counters (what the policy is told)     in flight: counts in every window
//!    ├─ confirm(at)  the call was allowed: it counts from `at` on    one second of the windows' clock
//!    └─ release()    it was not: it counts no more
//! ```
//!
//! INVARIANT: a call that was allowed in a window, or may still be, is counted in it, so that a limit that the policy
//! holds against these numbers is never exceeded, whatever comes at once. Numbers are exact to the second as long as an
//! agent, an act of it or a workspace's act had calls in at most [`MAX_MARKS`] different seconds of a day, and always
//! for the last minute. Beyond that, calls older than a minute leave the hour up to a minute late, and calls older than
//! an hour leave the day up to a quarter of an hour late: never early.
//!
//! Bounded: [`MAX_KEYS`] counters of at most [`MAX_MARKS`] marks. When there is no room for another counter there is no
//! answer ([`CountersFull`]); nothing that still counts is forgotten. Time is an argument, in whole seconds.

use std::collections::HashMap;

use serde::Serialize;

use crate::domain::action::ActionName;
use crate::domain::id::WorkspaceId;
use crate::domain::spiffe::SpiffeId;

/// The windows in seconds: a minute, an hour, a day.
pub const WINDOWS: [u64; 3] = [MINUTE, HOUR, DAY];
/// The most counters: an agent, an agent's act and a workspace's act are one each.
const MAX_KEYS: usize = 100_000;
/// The most marks of one counter.
const MAX_MARKS: usize = 256;
/// How often at most counters that count nothing any more are looked for when there is no room.
const SWEEP_SECONDS: u64 = 10;

const MINUTE: u64 = 60;
const QUARTER: u64 = 900;
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// Calls in each window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Windows {
    /// In the last 60 seconds.
    #[serde(rename = "60")]
    pub minute: u64,
    /// In the last 3,600 seconds.
    #[serde(rename = "3600")]
    pub hour: u64,
    /// In the last 86,400 seconds.
    #[serde(rename = "86400")]
    pub day: u64,
}

/// What the policy is told: allowed calls, those in flight among them, the one that is asked about not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Of this agent.
    pub agent: Windows,
    /// Of this agent with this act.
    pub act: Windows,
    /// Of this workspace with this act.
    pub workspace: Windows,
}

/// There is no room to count another agent or act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many agents and acts are counted at once")]
pub struct CountersFull;

/// The place of one call in flight; given back to [`CallCounters::confirm`] or [`CallCounters::release`].
#[derive(Debug)]
#[must_use = "a slot that is not given back counts for ever"]
pub struct CallSlot {
    agent: SpiffeId,
    act: ActionName,
    workspace: WorkspaceId,
}

/// The counters of one broker.
#[derive(Debug, Default)]
pub struct CallCounters {
    agents: HashMap<SpiffeId, OfAgent>,
    workspaces: HashMap<WorkspaceId, HashMap<ActionName, Marks>>,
    keys: usize,
    swept_at: u64,
}

#[derive(Debug, Default)]
struct OfAgent {
    all: Marks,
    acts: HashMap<ActionName, Marks>,
}

impl CallCounters {
    /// Takes a place for a call that arrived at `now`, and says what was allowed before it.
    ///
    /// # Errors
    /// When it cannot be counted: then it cannot be allowed.
    pub fn reserve(
        &mut self,
        agent: &SpiffeId,
        act: &ActionName,
        workspace: &WorkspaceId,
        now: u64,
    ) -> Result<(CallSlot, Counters), CountersFull> {
        self.make_room(agent, act, workspace, now)?;
        let slot = CallSlot { agent: agent.clone(), act: act.clone(), workspace: workspace.clone() };
        let [mut all, mut of_act, mut of_workspace] = [Windows::default(); 3];
        self.each(&slot, |[a, b, c]| {
            (all, of_act, of_workspace) = (a.count(now), b.count(now), c.count(now));
            for marks in [a, b, c] {
                marks.in_flight = marks.in_flight.saturating_add(1);
            }
        });
        Ok((slot, Counters { agent: all, act: of_act, workspace: of_workspace }))
    }

    /// The call was allowed at `at`.
    pub fn confirm(&mut self, slot: CallSlot, at: u64) {
        self.each(&slot, |marks| {
            for marks in marks {
                marks.in_flight = marks.in_flight.saturating_sub(1);
                marks.add(at, 1);
            }
        });
    }

    /// The call was not allowed.
    pub fn release(&mut self, slot: CallSlot) {
        self.each(&slot, |marks| {
            for marks in marks {
                marks.in_flight = marks.in_flight.saturating_sub(1);
            }
        });
        self.forget_if_idle(&slot);
    }

    /// Calls that were allowed at `at`, from the record.
    ///
    /// # Errors
    /// When there is no room for them.
    pub fn restore(
        &mut self,
        agent: &SpiffeId,
        act: &ActionName,
        workspace: &WorkspaceId,
        at: u64,
        calls: u32,
    ) -> Result<(), CountersFull> {
        self.make_room(agent, act, workspace, at)?;
        let slot = CallSlot { agent: agent.clone(), act: act.clone(), workspace: workspace.clone() };
        self.each(&slot, |marks| marks.into_iter().for_each(|marks| marks.add(at, calls)));
        Ok(())
    }

    /// The three counters that a call is counted in, made where there is none.
    fn each(&mut self, slot: &CallSlot, change: impl FnOnce([&mut Marks; 3])) {
        if !self.agents.contains_key(&slot.agent) {
            self.agents.insert(slot.agent.clone(), OfAgent::default());
            self.keys += 1;
        }
        if !self.workspaces.contains_key(&slot.workspace) {
            self.workspaces.insert(slot.workspace.clone(), HashMap::new());
        }
        // INVARIANT: both are there, from now on if not before.
        let (Some(agent), Some(workspace)) =
            (self.agents.get_mut(&slot.agent), self.workspaces.get_mut(&slot.workspace))
        else {
            return;
        };
        self.keys += make(&mut agent.acts, &slot.act) + make(workspace, &slot.act);
        if let (Some(of_act), Some(of_workspace)) = (agent.acts.get_mut(&slot.act), workspace.get_mut(&slot.act)) {
            change([&mut agent.all, of_act, of_workspace]);
        }
    }

    fn make_room(
        &mut self,
        agent: &SpiffeId,
        act: &ActionName,
        workspace: &WorkspaceId,
        now: u64,
    ) -> Result<(), CountersFull> {
        let of_agent = self.agents.get(agent);
        let known = [
            of_agent.is_some(),
            of_agent.is_some_and(|of| of.acts.contains_key(act)),
            self.workspaces.get(workspace).is_some_and(|acts| acts.contains_key(act)),
        ];
        let new = known.iter().filter(|known| !**known).count();
        if new == 0 || self.keys + new <= MAX_KEYS {
            return Ok(());
        }
        if now.abs_diff(self.swept_at) >= SWEEP_SECONDS {
            self.swept_at = now;
            self.sweep(now);
        }
        if self.keys + new <= MAX_KEYS { Ok(()) } else { Err(CountersFull) }
    }

    /// Forgets the counters that count nothing at `now`.
    fn sweep(&mut self, now: u64) {
        for of in self.agents.values_mut() {
            of.acts.retain(|_, marks| marks.is_used(now));
        }
        self.agents.retain(|_, of| !of.acts.is_empty() || of.all.is_used(now));
        for acts in self.workspaces.values_mut() {
            acts.retain(|_, marks| marks.is_used(now));
        }
        self.workspaces.retain(|_, acts| !acts.is_empty());
        let of_agents: usize = self.agents.values().map(|of| of.acts.len() + 1).sum();
        self.keys = of_agents + self.workspaces.values().map(HashMap::len).sum::<usize>();
    }

    /// A call that was denied leaves nothing behind, so that denials cannot use up the room.
    fn forget_if_idle(&mut self, slot: &CallSlot) {
        if let Some(of) = self.agents.get_mut(&slot.agent) {
            self.keys = self.keys.saturating_sub(remove_if_empty(&mut of.acts, &slot.act));
            if of.acts.is_empty() && of.all.is_empty() {
                self.agents.remove(&slot.agent);
                self.keys = self.keys.saturating_sub(1);
            }
        }
        if let Some(acts) = self.workspaces.get_mut(&slot.workspace) {
            self.keys = self.keys.saturating_sub(remove_if_empty(acts, &slot.act));
            if acts.is_empty() {
                self.workspaces.remove(&slot.workspace);
            }
        }
    }
}

/// Makes the counter of `act` where there is none: how many were made. Nearly always it is there, and nothing is cloned.
fn make(acts: &mut HashMap<ActionName, Marks>, act: &ActionName) -> usize {
    if acts.contains_key(act) {
        return 0;
    }
    acts.insert(act.clone(), Marks::default());
    1
}

fn remove_if_empty(acts: &mut HashMap<ActionName, Marks>, act: &ActionName) -> usize {
    if acts.get(act).is_some_and(Marks::is_empty) {
        acts.remove(act);
        return 1;
    }
    0
}

/// Calls by the second in which they were allowed, oldest first, and those in flight.
#[derive(Debug, Default)]
struct Marks {
    marks: Vec<Mark>,
    in_flight: u32,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    at: u64,
    calls: u32,
}

impl Marks {
    fn count(&self, now: u64) -> Windows {
        let mut counted =
            Windows { minute: self.in_flight.into(), hour: self.in_flight.into(), day: self.in_flight.into() };
        for mark in self.marks.iter().rev().take_while(|mark| mark.is_within(DAY, now)) {
            let calls = u64::from(mark.calls);
            counted.day += calls;
            counted.hour += if mark.is_within(HOUR, now) { calls } else { 0 };
            counted.minute += if mark.is_within(MINUTE, now) { calls } else { 0 };
        }
        counted
    }

    fn add(&mut self, at: u64, calls: u32) {
        // Nearly always the last mark or a new one behind it.
        let behind = self.marks.iter().rposition(|mark| mark.at <= at).map_or(0, |index| index + 1);
        if let Some(same) = behind.checked_sub(1).and_then(|index| self.marks.get_mut(index))
            && same.at == at
        {
            same.calls = same.calls.saturating_add(calls);
            return;
        }
        self.marks.insert(behind, Mark { at, calls });
        if self.marks.len() > MAX_MARKS {
            self.compact();
        }
    }

    /// Drops what no window holds any more, then puts old marks together, each moved later and never out of its window.
    fn compact(&mut self) {
        let now = self.marks.last().map_or(0, |mark| mark.at);
        self.marks.retain(|mark| mark.is_within(DAY, now));
        if self.marks.len() <= MAX_MARKS {
            return;
        }
        let mut kept: Vec<Mark> = Vec::with_capacity(MAX_MARKS);
        for mark in &self.marks {
            let at = mark.later(now);
            match kept.last_mut() {
                Some(last) if last.at >= at => last.calls = last.calls.saturating_add(mark.calls),
                _ => kept.push(Mark { at, calls: mark.calls }),
            }
        }
        self.marks = kept;
    }

    fn is_empty(&self) -> bool {
        self.in_flight == 0 && self.marks.is_empty()
    }

    fn is_used(&self, now: u64) -> bool {
        self.in_flight > 0 || self.marks.last().is_some_and(|mark| mark.is_within(DAY, now))
    }
}

impl Mark {
    /// Whether it lies less than `window` seconds back; what is ahead of `now` counts, a clock that was set back must
    /// not make calls vanish.
    fn is_within(self, window: u64, now: u64) -> bool {
        self.at.saturating_add(window) > now
    }

    /// The instant that it is moved to: the end of its minute or quarter of an hour, at most to the edge of the window
    /// that it has left.
    fn later(self, now: u64) -> u64 {
        let round_up = |step: u64| self.at.div_ceil(step).saturating_mul(step);
        if self.is_within(MINUTE, now) {
            self.at
        } else if self.is_within(HOUR, now) {
            round_up(MINUTE).min(now.saturating_sub(MINUTE))
        } else {
            round_up(QUARTER).min(now.saturating_sub(HOUR))
        }
    }
}

#[cfg(test)]
mod tests;
