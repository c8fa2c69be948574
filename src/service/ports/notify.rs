//! Endpoints that are told of challenges.

use async_trait::async_trait;

use crate::service::notifier::Notice;

/// Why an endpoint was not told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct NotifyError {
    /// What went wrong, without the URL and without what the endpoint said.
    pub detail: String,
    /// Whether trying again is of no use.
    pub last: bool,
}

/// Tells endpoints of challenges.
///
/// One call is one attempt; it ends within the endpoint's configured time and is retried by the caller alone. `Ok` only
/// when the endpoint said that it took the notice. Dropping the future gives the attempt up; it may have arrived all the
/// same, so the same notice may come twice, under the same event id.
#[async_trait]
pub trait Notify: Send + Sync {
    /// Sends `notice` to the endpoint of that name.
    async fn deliver(&self, endpoint: &str, notice: &Notice) -> Result<(), NotifyError>;
}
