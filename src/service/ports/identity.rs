//! What the proof of a caller's identity stands on besides certificates.

use std::sync::Arc;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::id::Sha256Digest;
use crate::domain::jwt::JwtKeys;
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Timestamp;

/// A token that was verified and is about to be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenToken {
    /// Names it.
    pub key: Sha256Digest,
    /// Who handed it in.
    pub presenter: SpiffeId,
    /// After this it cannot verify any more, and may be forgotten.
    pub keep_until: Timestamp,
}

/// Whether a token was seen before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Never; from now on it was.
    First,
    /// Yes, first from this presenter.
    Before(SpiffeId),
}

/// The memory of tokens.
///
/// Durable before it answers, so that a token is not new again after a crash. Of any number at once with one token
/// exactly one is the first. An error says that it is not known: the token is then not believed.
#[async_trait]
pub trait SeenTokens: Send + Sync {
    /// Remembers a token.
    async fn see(&self, token: SeenToken) -> Result<Seen, StoreError>;
}

/// Why there are no keys to verify a platform's token with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlatformKeysError {
    /// The provider has no key of that name, as far as is known and may be asked.
    #[error("the platform's provider has no such key")]
    Unknown,
    /// No keys that are fresh enough: the provider cannot be asked, or answers with something else.
    #[error("the keys of the platform's provider are not to be had")]
    Unavailable,
}

/// The keys of the platform's provider.
///
/// Answers from memory while the keys are fresh. Asks the provider at most once at a time and not more often than its
/// own limit, whatever names it is asked for. Never answers with keys older than their longest age.
#[async_trait]
pub trait PlatformKeys: Send + Sync {
    /// The keys, of which one is called `kid`.
    async fn with(&self, kid: &str) -> Result<Arc<JwtKeys>, PlatformKeysError>;
}
