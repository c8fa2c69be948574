//! Who agrees: what is asked, the challenge that waits for it, and the statements that prove an approval.
//!
//! An [`Ask`] is what an approver signs, a [`View`] what she reads of it and signs as well. A [`Statement`] is believed only
//! as a [`VerifiedStatement`], against the approver's own key; by a [`Delegation`] an approver lets another stand in for
//! her. A [`Challenge`] changes state only by being consumed.

mod ask;
mod challenge;
mod delegation;
mod missing;
mod sign_off;
mod signed;
mod statement;
mod summary;
mod view;

#[cfg(test)]
mod life_tests;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod view_tests;

pub use ask::Ask;
pub use challenge::{
    ApprovedChallenge, CallView, Challenge, ChallengeClosed, ChallengeDraft, ChallengeState, EndedChallenge,
    MAX_REASKS, NotEnough, PendingChallenge, ReaskOf, ReaskRefused, StoodInFor, Vote, VoteRefused, Voted,
};
pub use delegation::{
    Delegation, DelegationError, MAX_DELEGATION_BYTES, MAX_DELEGATION_LIFETIME, OutOfScope, UnverifiedDelegation,
    VerifiedDelegation,
};
pub use missing::Missing;
pub use sign_off::{
    ConnectorSigner, MAX_SIGN_OFF_BYTES, SignOff, SignOffError, SignOffRole, UnverifiedSignOff, VerifiedSignOff,
    signed_off,
};
pub use statement::{
    Decision, MAX_STATEMENT_BYTES, MAX_STATEMENT_LIFETIME, Statement, StatementError, UnverifiedStatement,
    VerifiedStatement,
};
pub use summary::{ApproverLine, ApproverState, CallPlace, GroundLine, Summary, Turn};
pub use view::{Fact, V1, View, ViewError};
