//! The ticket that a critical act rests on, asked of the system that holds it: before anybody is asked to approve, and
//! again when the mandate is minted.

use super::Issuer;
use crate::domain::approval::Ask;
use crate::domain::id::WorkspaceId;
use crate::domain::policy::Requirement;
use crate::service::ports::{TicketError, TicketQuery};
use crate::service::refusal::{Code, Refusal};

impl Issuer {
    /// Whether the ticket stands, where the policy asks for one.
    pub(super) async fn confirm_ticket(
        &self,
        requirement: &Requirement,
        ask: &Ask,
        workspace: &WorkspaceId,
    ) -> Result<(), Refusal> {
        if !requirement.ticket {
            return Ok(());
        }
        let Some(ticket) = &ask.leg.as_leg().ticket else {
            return Err(refused("ticket_missing", "the ground names no ticket"));
        };
        let about = TicketQuery { act: &ask.act, agent: &ask.sub, workspace };
        self.ports.tickets.confirm(ticket, about).await.map_err(|error| refused(reason(&error), &error.to_string()))
    }
}

fn refused(reason: &'static str, detail: &str) -> Refusal {
    Refusal::because(Code::Denied, reason, detail).at("/leg/ticket", detail)
}

fn reason(error: &TicketError) -> &'static str {
    match error {
        TicketError::UnknownSystem => "ticket_system_unknown",
        TicketError::NotFound => "ticket_not_found",
        TicketError::NotApproved(_) => "ticket_not_approved",
        TicketError::Unavailable(_) => "ticket_unavailable",
    }
}
