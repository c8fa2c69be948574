//! The systems that hold tickets.

use async_trait::async_trait;

use crate::domain::action::ActionName;
use crate::domain::id::WorkspaceId;
use crate::domain::leg::Ticket;
use crate::domain::spiffe::SpiffeId;

/// What a ticket is asked for.
#[derive(Debug, Clone, Copy)]
pub struct TicketQuery<'a> {
    /// The act that rests on it.
    pub act: &'a ActionName,
    /// The agent that wants to act.
    pub agent: &'a SpiffeId,
    /// The agent's workspace.
    pub workspace: &'a WorkspaceId,
}

/// Why a ticket does not stand behind an act. Nothing here is secret: it is told to the agent and recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// No system of that name is configured.
    #[error("no ticket system of this name is configured")]
    UnknownSystem,
    /// The system does not have it, or it cannot be a ticket of that system.
    #[error("the ticket system does not know this ticket")]
    NotFound,
    /// It is there and in another state than one that approves. The state is the system's own word, shortened.
    #[error("the ticket is not approved, its state is `{0}`")]
    NotApproved(String),
    /// The system gave no usable answer in time; the text says what is wrong with it.
    #[error("the ticket system cannot be asked now: {0}")]
    Unavailable(&'static str),
}

/// The systems that hold tickets.
///
/// One question is one look at the system as it is now; nothing is cached, retried or changed there. Every method ends
/// within the system's configured time. `Ok` only when the system itself said, in that time, that the ticket is in a state
/// that the operator lists as approved: everything else is an error, and an error is a refusal.
#[async_trait]
pub trait Tickets: Send + Sync {
    /// Whether `ticket` is approved.
    async fn confirm(&self, ticket: &Ticket, about: TicketQuery<'_>) -> Result<(), TicketError>;
}
