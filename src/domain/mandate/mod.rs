//! The PoA mandate: minted by AgentAuth, verified by the broker on every call.
//!
//! The trust in a mandate is in its type: [`UnverifiedMandate`] → [`VerifiedMandate`] → [`BoundMandate`] on the way in,
//! [`UnsignedMandate`] → [`SealedMandate`] → [`Mandate`] on the way out, the last step only with the
//! [`Receipt`](crate::domain::ledger::Receipt) of the durable entry that records the issuance.

mod approvals;
mod claims;
mod mint;
mod verify;

#[cfg(test)]
mod tests;

pub use approvals::{ApprovalsError, ProvenApprovals};
pub use claims::{Claims, MAX_MANDATE_BYTES};
pub use mint::{Mandate, ReleaseError, SealedMandate, UnsignedMandate};
pub use verify::{BoundMandate, Expected, MandateError, UnverifiedMandate, VerifiedMandate};

/// How far another clock may be ahead of ours, and how much longer than `exp` a burned `jti` is remembered. One
/// constant, so that no mandate can outlive the memory of its use.
pub const LEEWAY: std::time::Duration = std::time::Duration::from_secs(5);
