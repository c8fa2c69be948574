//! Decisions of the past: reproduced under the bundle that gave them, and asked again of a candidate.
//!
//! ```text
//! entry + openings │ line of a history │ OPA's decision log ─▶ Past ─▶ Judge ─▶ Reproduced, or why not
//!                                                               └────▶ two Judges ─▶ Flips ─▶ Accepted? ─▶ report
//! ```
//!
//! One decision at a time and nothing kept of it but counts and a few ids, so that a year of decisions takes the memory
//! of a day. Threads, files and flags are the command line's. A report holds no value of a parameter and no text of a
//! ground: acts, agents, workspaces, reasons and numbers of approvals only.
//!
//! INVARIANT: what could not be asked is counted and named; it is never taken for unchanged.

mod accept;
mod flip;
mod judge;
mod opa;
mod past;
mod report;
mod reproduce;

pub use accept::{Accept, AcceptError, Verdicts};
pub use flip::{Change, FlipKind, changes};
pub use judge::{Answer, Judge, Shelf};
pub use opa::of_opa_event;
pub use past::{ExportedOpenings, HistoryLine, Lost, Past, Question, WhichBundle};
pub use report::{Counted, DiffReport, Flip, JudgedLoosening, Subjects};
pub use reproduce::{Example, NotReproduced, ReplayReport, WhyNot, reproduce};
