//! What the broker shows an upstream: a fixed header, or a token that is fetched before the mandate is burned.
//!
//! ```text
//! Slot::equip ▶ Credentials::header ▶ the token in hand, if it is young
//!                                   ▶ the token in hand, and one task fetches the next, once half of its life is over
//!                                   ▶ one fetch that all who have none wait for ▶ a header, or a refusal: nothing is spent
//! ```
//!
//! INVARIANT: a token is used no later than [`MARGIN`] before its end, and no fetch is tried again before its pause is
//! over. No secret and no token is in a `Debug`, an error or a log; what we hold of them is wiped when it goes.
//!
//! Not here: what an upstream makes of the credential. A `401` of it is passed on like any other answer.

mod file;
mod oauth;
mod workload;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderName, HeaderValue};
use tokio::time::Instant;
use zeroize::Zeroizing;

pub(super) use file::CredentialsTable;
pub use oauth::OAuthClient;
pub use workload::WorkloadJwtSvids;

/// What a token must still have to live when it is handed out: the call is sent a moment later.
const MARGIN: Duration = Duration::from_secs(10);
/// The pause after the first failure; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest that a fetch may take, whatever its source allows itself.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// What one connector shows its upstream, and in which header. Injected last.
pub struct Credentials {
    header: HeaderName,
    kind: Kind,
}

enum Kind {
    /// The same value in every call.
    Fixed(HeaderValue),
    /// A JWT-SVID for this audience.
    JwtSvid(String, Arc<TokenCache>),
    /// An access token by the client credentials grant.
    OAuth(Arc<OAuthClient>, Arc<TokenCache>),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Fixed(_) => "fixed",
            Kind::JwtSvid(..) => "jwt_svid",
            Kind::OAuth(..) => "oauth",
        };
        f.debug_struct("Credentials").field("header", &self.header).field("kind", &kind).finish_non_exhaustive()
    }
}

impl Credentials {
    fn fixed(header: HeaderName, value: HeaderValue) -> Self {
        Self { header, kind: Kind::Fixed(value) }
    }

    fn jwt_svid(header: HeaderName, audience: String) -> Self {
        Self { header, kind: Kind::JwtSvid(audience, Arc::default()) }
    }

    fn oauth(header: HeaderName, client: OAuthClient) -> Self {
        Self { header, kind: Kind::OAuth(Arc::new(client), Arc::default()) }
    }

    /// Whether it is a JWT-SVID, for which somebody must be there who gives them.
    pub fn wants_jwt_svids(&self) -> bool {
        matches!(self.kind, Kind::JwtSvid(..))
    }

    /// The header to send.
    pub(super) async fn header(
        &self,
        svids: Option<&Arc<dyn JwtSvids>>,
    ) -> Result<(HeaderName, HeaderValue), CredentialError> {
        let token = match &self.kind {
            Kind::Fixed(value) => return Ok((self.header.clone(), value.clone())),
            Kind::JwtSvid(audience, cache) => {
                let svids = Arc::clone(svids.ok_or(CredentialError::Unavailable)?);
                cache.token(Arc::new(ForAudience { svids, audience: audience.clone() })).await?
            }
            Kind::OAuth(client, cache) => cache.token(client.clone()).await?,
        };
        Ok((self.header.clone(), header_value(&self.header, &token)?))
    }
}

/// Why there is no credential for a call. Says nothing that a source sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The source cannot be reached, or did not answer in time or as its standard says.
    #[error("the source of the upstream's credential does not answer as it should")]
    Unavailable,
    /// The source says no.
    #[error("the source of the upstream's credential refuses us")]
    Refused,
    /// What it gave is no token that can be sent, or lives too short.
    #[error("the source of the upstream's credential gave something that cannot be used")]
    Unusable,
}

impl CredentialError {
    /// The stable name, for records and problem documents.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unavailable => "credential_unavailable",
            Self::Refused => "credential_refused",
            Self::Unusable => "credential_unusable",
        }
    }
}

/// A token and how long it lives from now on.
pub struct Fetched {
    /// The token.
    pub token: Zeroizing<String>,
    /// Counted from the moment at which the source was asked.
    pub lives: Duration,
}

/// Where tokens come from.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// A new token.
    async fn fetch(&self) -> Result<Fetched, CredentialError>;
}

/// Gives JWT-SVIDs of our own identity.
#[async_trait]
pub trait JwtSvids: Send + Sync {
    /// One for this audience.
    async fn fetch(&self, audience: &str) -> Result<Fetched, CredentialError>;
}

struct ForAudience {
    svids: Arc<dyn JwtSvids>,
    audience: String,
}

#[async_trait]
impl TokenSource for ForAudience {
    async fn fetch(&self) -> Result<Fetched, CredentialError> {
        self.svids.fetch(&self.audience).await
    }
}

/// RFC 6750 §2.1 in `Authorization`, the bare token in any other header.
fn header_value(header: &HeaderName, token: &str) -> Result<HeaderValue, CredentialError> {
    let text = match *header == AUTHORIZATION {
        true => Zeroizing::new(format!("Bearer {token}")),
        false => Zeroizing::new(token.to_owned()),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| CredentialError::Unusable)?;
    value.set_sensitive(true);
    Ok(value)
}

/// A token in hand, renewed in time by one fetch at a time.
#[derive(Default)]
struct TokenCache {
    held: Mutex<Option<Held>>,
    flight: tokio::sync::Mutex<Pause>,
}

#[derive(Clone)]
struct Held {
    token: Arc<Zeroizing<String>>,
    renew_at: Instant,
    usable_until: Instant,
}

/// After a failure: until when nobody asks again, and what they are told.
#[derive(Default)]
struct Pause {
    until: Option<(Instant, CredentialError)>,
    next: Duration,
}

impl TokenCache {
    async fn token(self: &Arc<Self>, source: Arc<dyn TokenSource>) -> Result<Arc<Zeroizing<String>>, CredentialError> {
        if let Some(held) = self.usable() {
            if Instant::now() >= held.renew_at {
                let cache = Arc::clone(self);
                tokio::spawn(async move {
                    if let Ok(mut pause) = cache.flight.try_lock() {
                        let _ = cache.renew(source.as_ref(), &mut pause).await;
                    }
                });
            }
            return Ok(held.token);
        }
        let mut pause = self.flight.lock().await;
        match self.usable() {
            Some(held) => Ok(held.token),
            None => self.renew(source.as_ref(), &mut pause).await,
        }
    }

    fn usable(&self) -> Option<Held> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone().filter(|held| Instant::now() < held.usable_until)
    }

    /// Asks the source, unless it failed a moment ago or somebody else did meanwhile.
    async fn renew(
        &self,
        source: &dyn TokenSource,
        pause: &mut Pause,
    ) -> Result<Arc<Zeroizing<String>>, CredentialError> {
        let asked_at = Instant::now();
        if let Some(held) = self.usable().filter(|held| asked_at < held.renew_at) {
            return Ok(held.token);
        }
        if let Some((until, error)) = pause.until
            && asked_at < until
        {
            return Err(error);
        }
        let fetched = tokio::time::timeout(FETCH_TIMEOUT, source.fetch()).await;
        match fetched.unwrap_or(Err(CredentialError::Unavailable)).and_then(|fetched| held(fetched, asked_at)) {
            Ok(held) => {
                *pause = Pause::default();
                let token = Arc::clone(&held.token);
                *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
                Ok(token)
            }
            Err(error) => {
                let length = pause.next.clamp(FIRST_PAUSE, LONGEST_PAUSE);
                *pause = Pause { until: Some((Instant::now() + length, error)), next: length * 2 };
                tracing::warn!(reason = error.code(), "a connector's credential could not be fetched");
                Err(error)
            }
        }
    }
}

fn held(fetched: Fetched, asked_at: Instant) -> Result<Held, CredentialError> {
    let Fetched { token, lives } = fetched;
    let sendable = !token.is_empty() && token.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
    let usable = lives.checked_sub(MARGIN).filter(|usable| !usable.is_zero());
    let usable = usable.filter(|_| sendable).ok_or(CredentialError::Unusable)?;
    let renew_at = asked_at + (lives / 2).min(usable);
    Ok(Held { token: Arc::new(token), renew_at, usable_until: asked_at + usable })
}

#[cfg(test)]
mod tests;
