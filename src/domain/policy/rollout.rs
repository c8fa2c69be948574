//! Which agents a candidate bundle decides for, while it is rolled out.
//!
//! An agent has one place among [`PLACES`], by SHA-256 over its workspace and its SPIFFE ID: the same in every process, at
//! every question and under every bundle. A share takes the places below its percentage, so that raising the percentage
//! never takes an agent out and lowering it never takes one in.

use sha2::{Digest as _, Sha256};

use crate::domain::id::WorkspaceId;
use crate::domain::spiffe::SpiffeId;

/// How finely agents are spread.
const PLACES: u64 = 10_000;

/// An agent's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u64);

impl Place {
    /// The place of `agent` in `workspace`: the first 8 bytes of SHA-256 over `workspace`, a zero byte and `agent`, modulo
    /// 10,000. Neither name holds a zero byte.
    pub fn of(workspace: &WorkspaceId, agent: &SpiffeId) -> Self {
        let mut hash = Sha256::new();
        hash.update(workspace.to_string());
        hash.update([0]);
        hash.update(agent.to_string());
        let first = hash.finalize().first_chunk::<8>().copied().unwrap_or_default();
        Self(u64::from_be_bytes(first) % PLACES)
    }
}

/// Per cent of the agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u8);

impl Share {
    /// 0 to 100 per cent.
    pub fn of_percent(percent: u8) -> Option<Self> {
        (percent <= 100).then_some(Self(percent))
    }

    /// The percentage.
    pub fn percent(self) -> u8 {
        self.0
    }

    /// Whether the agent of this place is among them.
    pub fn takes(self, place: Place) -> bool {
        place.0 < u64::from(self.0) * (PLACES / 100)
    }
}

/// What a candidate's verdicts are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandidateMode {
    /// For the record only.
    Shadow,
    /// They decide for a share of the agents; for everybody else they are for the record.
    Rollout(Share),
}

impl CandidateMode {
    /// The name as written in configurations and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Rollout(_) => "rollout",
        }
    }

    /// Whether the candidate decides for the agent of this place. For nobody whose place is not known.
    pub fn decides_for(self, place: Option<Place>) -> bool {
        match (self, place) {
            (Self::Rollout(share), Some(place)) => share.takes(place),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(workspace: &str, agent: &str) -> Place {
        Place::of(&workspace.parse().unwrap(), &format!("spiffe://atb.dev/agent/{agent}").parse().unwrap())
    }

    proptest! {
        #[test]
        fn raising_the_percentage_takes_nobody_out(agent in "[a-z0-9]{1,20}", low in 0_u8..=100, more in 0_u8..=100) {
            let high = low.saturating_add(more).min(100);
            let place = place("default", &agent);
            let takes = |percent| Share::of_percent(percent).unwrap().takes(place);
            prop_assert!(!takes(low) || takes(high));
            prop_assert!(!takes(0) && takes(100));
        }
    }

    #[test]
    fn a_share_is_what_it_says_within_two_per_cent() {
        for percent in [1, 5, 10, 25, 50, 75, 90, 99] {
            let share = Share::of_percent(percent).unwrap();
            let taken = (0..10_000).filter(|n| share.takes(place("default", &format!("agent-{n}")))).count();
            let wanted = usize::from(percent) * 100;
            assert!(taken.abs_diff(wanted) < 200, "{percent} %: {taken} of 10,000");
        }
    }

    /// Another process, another version: the same agents. The bytes are those of `printf 'default\0spiffe://…' | sha256sum`.
    #[test]
    fn the_place_of_an_agent_is_fixed_by_its_names() {
        assert_eq!(place("default", "procurement"), Place(FIXED));
        assert_ne!(place("default", "procurement"), place("finance", "procurement"));
    }

    #[test]
    fn a_question_without_an_agent_is_never_the_candidates() {
        assert!(!CandidateMode::Rollout(Share::of_percent(100).unwrap()).decides_for(None));
        assert!(!CandidateMode::Shadow.decides_for(Some(Place(0))));
        assert_eq!(Share::of_percent(101), None);
    }

    const FIXED: u64 = 9377;
}
