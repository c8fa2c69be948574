//! On what ground: the `leg` claim and the legal templates that fill it.

mod claim;
mod day;
pub mod diff;
pub mod lint;
mod placeholder;
mod template;

pub use claim::{
    AccountableParty, ApprovalClaim, Approvals, ApproverKind, Basis, DualControl, DualControlApprover, Jurisdiction,
    Leg, LegError, LegGround, TemplateRef, Ticket,
};
pub use day::{Day, DayError};
pub use template::{BindError, LegTemplate, TemplateError, TemplateVariable, Templates};
