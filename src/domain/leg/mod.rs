//! On what ground: the `leg` claim and the legal templates that fill it.

mod claim;
mod template;

pub use claim::{
    AccountableParty, ApprovalClaim, Approvals, ApproverKind, Basis, DualControl, DualControlApprover, Jurisdiction,
    Leg, LegError, LegGround, TemplateRef, Ticket,
};
pub use template::{BindError, LegTemplate, TemplateError, TemplateVariable, Templates};
