//! Asking the record: who may, what of it is recorded itself, and the story of one case.
//!
//! The grammar of questions is [`crate::domain::ledger::query`]; pages come from the port
//! [`AuditLog`](super::ports::AuditLog). Not here: whether the record is intact ([`super::auditor`]).

mod reads;
pub mod trace;

pub use reads::{AuditPorts, AuditReads, Period};
