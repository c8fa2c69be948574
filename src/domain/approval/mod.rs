//! Who agrees: what is asked, the challenge that waits for it, and the statements that prove an approval.
//!
//! An [`Ask`] is what an approver reads and signs. A [`Statement`] is believed only as a [`VerifiedStatement`], against
//! the approver's own key. A [`Challenge`] changes state only by being consumed.

mod ask;
mod challenge;
mod statement;
mod summary;

#[cfg(test)]
pub(crate) mod tests;

pub use ask::Ask;
pub use challenge::{
    ApprovedChallenge, CallView, Challenge, ChallengeClosed, ChallengeDraft, ChallengeState, PendingChallenge, Vote,
    VoteRefused, Voted,
};
pub use statement::{
    Decision, MAX_STATEMENT_BYTES, MAX_STATEMENT_LIFETIME, Statement, StatementError, UnverifiedStatement,
    VerifiedStatement,
};
pub use summary::{ApproverLine, ApproverState, CallPlace, GroundLine, Summary, Turn};
