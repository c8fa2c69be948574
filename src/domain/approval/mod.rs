//! Who agrees: what is asked, the challenge that waits for it, and the statements that prove an approval.
//!
//! An [`Ask`] is what an approver reads and signs. A [`Statement`] is believed only as a [`VerifiedStatement`], against
//! the approver's own key. A [`Challenge`] changes state only by being consumed.

mod ask;
mod challenge;
mod missing;
mod statement;

#[cfg(test)]
mod life_tests;
#[cfg(test)]
pub(crate) mod tests;

pub use ask::Ask;
pub use challenge::{
    ApprovedChallenge, CallView, Challenge, ChallengeClosed, ChallengeDraft, ChallengeState, EndedChallenge,
    MAX_REASKS, PendingChallenge, ReaskOf, ReaskRefused, Vote, VoteRefused, Voted,
};
pub use missing::{Missing, roles_of};
pub use statement::{
    Decision, MAX_STATEMENT_BYTES, MAX_STATEMENT_LIFETIME, Statement, StatementError, UnverifiedStatement,
    VerifiedStatement,
};
