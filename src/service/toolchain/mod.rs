//! The policy toolchain (the PAP): texts in, report out.
//!
//! What those who write policy need before they merge it. Every module reads [`BundleFiles`](crate::domain::policy::bundle::BundleFiles)
//! or a [`Bundle`](crate::domain::policy::Bundle) and gives a report that is data; files, flags and formats are the
//! command line's. The engine is the one that decides in production.

pub mod annotations;
pub mod bench;
pub mod check;
pub mod coverage;
pub mod docs;
pub mod loosening;
pub mod mutate;
pub mod replay;
pub mod suite;
