//! The ledger and the challenges on disk. The only SQL of the program is in this folder and in `migrations/`.
//!
//! [`SqliteStore`] implements the ports [`Ledger`](crate::service::ports::Ledger) and
//! [`Challenges`](crate::service::ports::Challenges). One thread writes; it groups what callers ask for at the same time
//! into one transaction, signs the checkpoint that covers it inside that transaction, and answers when it is on disk.
//! [`SqliteReader`] reads the same file, also from another process and while the service runs.

mod activations;
mod allowed;
mod archived;
mod audit;
mod backfill;
mod cases;
#[cfg(test)]
mod fault;
mod group;
mod life;
mod lock;
mod op;
mod openings;
mod outbox;
mod places;
mod publishing;
mod queue;
mod reader;
mod rows;
mod schema;
mod scribe;
mod seen_tokens;
mod shipping;
mod source;
mod sqlite;
mod stats;
mod transaction;
mod vkey;
mod withdrawals;
mod writer;

pub use archived::Forget;
pub use openings::{Erase, RecordedDecision};
pub use outbox::DeadLetter;
pub use reader::SqliteReader;
pub use schema::OpenError;
pub use sqlite::{OpenMode, SqliteStore};
pub use stats::{GroupCommit, StoreStats};
pub use vkey::{VerifierKeyError, read_verifier_key, write_verifier_key};
