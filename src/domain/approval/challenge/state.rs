//! The names of a challenge's states, and why one takes no more.

use serde::{Deserialize, Serialize};

use crate::domain::spiffe::SpiffeId;
use crate::domain::text::PlainText;

/// Where a challenge stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChallengeState {
    /// Waits for approvals.
    Pending,
    /// Has all approvals; the agent may fetch the mandate, once.
    Approved,
    /// An approver said no.
    Rejected,
    /// Ran out of time.
    Expired,
    /// The agent took its request back.
    Withdrawn,
    /// The mandate was minted.
    Redeemed,
}

impl ChallengeState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Approved, Self::Rejected, Self::Expired, Self::Withdrawn, Self::Redeemed];

    /// The name as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Redeemed => "redeemed",
        }
    }
}

/// Why a challenge takes no more of what was tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeClosed {
    /// Still waits for approvals.
    #[error("the challenge still waits for approvals")]
    StillPending,
    /// Has all approvals already.
    #[error("the challenge has all its approvals already")]
    AlreadyApproved,
    /// An approver said no.
    #[error("the challenge was rejected by {by}: {reason}")]
    Rejected {
        /// Who.
        by: SpiffeId,
        /// Why.
        reason: PlainText,
    },
    /// Ran out of time.
    #[error("the challenge has expired")]
    Expired,
    /// The agent took its request back.
    #[error("the agent withdrew its request: {reason}")]
    Withdrawn {
        /// Why.
        reason: PlainText,
    },
    /// The mandate was minted.
    #[error("the challenge was redeemed")]
    Redeemed,
}
