//! On what ground: the `leg` claim and the legal templates that fill it.
//!
//! ```text
//! data.yaml ──TemplateDocument──▶ LegTemplate ──bind(variables, key)──▶ LegGround ──with(approvals)──▶ Leg
//! ```

mod bind;
mod claim;
mod commitment;
pub mod diff;
mod document;
mod ground;
pub mod lint;
mod placeholder;
mod template;
mod validate;
mod withdrawal;

pub use crate::domain::day::{Day, DayError};
pub use bind::{BindError, ValueDefect};
pub use claim::{
    AccountableParty, ApprovalClaim, Approvals, ApproverKind, Basis, DualControl, DualControlApprover, Jurisdiction,
    JurisdictionError, Leg, LegError, LegGround, TemplateRef, Ticket,
};
pub use commitment::{Commit, Commitment, CommitmentError};
pub use document::{
    AccountablePartyRule, EvidenceKind, EvidenceRule, TemplateDocument, TemplateVariable, VariableKind,
};
pub use ground::GroundDefect;
pub use template::{LegTemplate, TemplateState, Templates};
pub use validate::{TemplateDefect, TemplateError};
pub use withdrawal::{TemplateVersion, TemplateVersionError, Withdrawal, Withdrawals, Withdrawn};

#[cfg(test)]
pub(crate) use commitment::testing;
#[cfg(test)]
mod tests;
