//! What the agent that asked may do with its challenge: take it back, and ask again when it came to nothing.
//!
//! Asking again never revives a challenge: it opens another one, with fresh time and no votes, and the two name each
//! other. A challenge has at most one successor, because it takes the successor's name by the same versioned change as
//! any other transition; a chain has at most [`MAX_REASKS`] of them, so that people are not asked until they give in.

use serde::{Deserialize, Serialize};

use super::{Challenge, ChallengeClosed, State};
use crate::domain::id::ChallengeId;
use crate::domain::spiffe::SpiffeId;
use crate::domain::text::PlainText;
use crate::domain::time::Timestamp;

/// How often one request may be asked again.
pub const MAX_REASKS: u32 = 3;

/// That a challenge asks again for what an earlier one asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReaskOf {
    /// The earlier challenge.
    pub challenge: ChallengeId,
    /// 1 for the first time that it is asked again, and so on.
    pub nth: u32,
}

/// Why a challenge is not asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReaskRefused {
    /// It still waits.
    #[error("the challenge still waits for approvals; withdraw it first")]
    Pending,
    /// It has all approvals.
    #[error("the challenge has all its approvals; collect the mandate")]
    Approved,
    /// It gave its mandate.
    #[error("the challenge gave its mandate; ask for another one with POST /issue")]
    Redeemed,
    /// It was asked again before.
    #[error("it was asked again before, as {0}")]
    Reasked(ChallengeId),
    /// Too often.
    #[error("it was asked again {MAX_REASKS} times; talk to the approvers before you ask with POST /issue")]
    Limit,
}

impl ReaskRefused {
    /// A stable code for problem documents and records.
    pub fn code(self) -> &'static str {
        match self {
            Self::Pending => "challenge_pending",
            Self::Approved => "challenge_approved",
            Self::Redeemed => "challenge_redeemed",
            Self::Reasked(_) => "challenge_reasked",
            Self::Limit => "reask_limit",
        }
    }
}

/// A challenge that ended without a mandate and was not asked again.
#[derive(Debug)]
pub struct EndedChallenge(Challenge);

impl EndedChallenge {
    /// The challenge.
    pub fn as_challenge(&self) -> &Challenge {
        &self.0
    }

    /// What the successor says of it.
    pub fn reask_of(&self) -> ReaskOf {
        let before = self.0.draft.reask_of.map_or(0, |reask| reask.nth);
        ReaskOf { challenge: self.0.id, nth: before.saturating_add(1) }
    }

    /// The challenge, naming its one successor.
    pub fn reasked_as(self, successor: ChallengeId) -> Challenge {
        Challenge { reasked_as: Some(successor), ..self.0 }
    }
}

impl Challenge {
    /// Ends the challenge because the agent that asked takes its request back, whoever has agreed by now.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn withdraw(self, reason: PlainText, now: Timestamp) -> Result<Self, ChallengeClosed> {
        match self.closed(now) {
            None | Some(ChallengeClosed::AlreadyApproved) => {
                Ok(Self { state: State::Withdrawn { at: now, reason }, ..self })
            }
            Some(closed) => Err(closed),
        }
    }

    /// The challenge as one that may be asked again. One that is overdue must be expired first, with its event.
    ///
    /// # Errors
    /// When it has not ended, gave a mandate, has a successor, or is the last of its chain.
    pub fn ended(self) -> Result<EndedChallenge, ReaskRefused> {
        match self.state {
            State::Pending => return Err(ReaskRefused::Pending),
            State::Approved { .. } => return Err(ReaskRefused::Approved),
            State::Redeemed { .. } => return Err(ReaskRefused::Redeemed),
            State::Rejected { .. } | State::Expired { .. } | State::Withdrawn { .. } => {}
        }
        if let Some(successor) = self.reasked_as {
            return Err(ReaskRefused::Reasked(successor));
        }
        if self.draft.reask_of.is_some_and(|reask| reask.nth >= MAX_REASKS) {
            return Err(ReaskRefused::Limit);
        }
        Ok(EndedChallenge(self))
    }

    /// The challenge that asks again for the same, if there is one.
    pub fn successor(&self) -> Option<ChallengeId> {
        self.reasked_as
    }

    /// Who ended it without a mandate and why, where a person or its agent did.
    pub fn ended_by(&self) -> Option<(&SpiffeId, &PlainText)> {
        match &self.state {
            State::Rejected { by, reason, .. } => Some((by, reason)),
            State::Withdrawn { reason, .. } => Some((self.agent(), reason)),
            State::Pending | State::Approved { .. } | State::Expired { .. } | State::Redeemed { .. } => None,
        }
    }
}
