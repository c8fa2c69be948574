//! Every trait that the outside implements. The doc of a port is its contract: atomicity, durability, retries,
//! concurrency, and what each error promises.

mod audit;
mod calls;
mod challenges;
mod clock;
mod guardrails;
mod identity;
mod ledger;
mod notify;
mod outbox;
mod policy;
mod publishing;
mod sinks;
mod tickets;
mod withdrawals;

pub use audit::{AuditLog, AuditPage, AuditQuestion, Found, MAX_AUDIT_PAGE};
pub use calls::{CallDirectory, NotACall};
pub use challenges::{AdvanceError, ChallengeQuery, Challenges, Entitled, ListKey, Order, Stored, Viewer};
pub use clock::{Clock, Entropy};
pub use guardrails::{GuardrailDown, GuardrailService};
pub use identity::{PlatformKeys, PlatformKeysError, Seen, SeenToken, SeenTokens};
pub use ledger::{AllowedCalls, Burn, BurnError, EntryFilter, Ledger, StoreError};
pub use notify::{Notify, NotifyError};
pub use outbox::{Backlog, News, Outbox, Queued, Waiting};
pub use policy::{CandidateVerdict, Judged, Opinion, PolicyPoint};
pub use publishing::{CheckpointFile, PublishError, PublishedLog, Witness};
pub use sinks::{OutboundRecord, ShippingLog, Sink, SinkBatch, SinkError, Stretch};
pub use tickets::{TicketError, TicketQuery, Tickets};
pub use withdrawals::WithdrawalStore;
