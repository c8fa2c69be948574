//! What may be called, and what reaches an upstream: hostile requests and connector files, one defect each, and calls
//! over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy's leave for tests does not reach the helpers of an integration test"
)]

mod client_identity;
mod files;
mod live;
mod requests;
mod yaml;
