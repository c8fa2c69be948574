//! The keys of the platform's OIDC provider (OpenID Connect Discovery §4, RFC 7517): fetched, kept, and given up in time.
//!
//! ```text
//! kid known, keys young ────────────────────────▶ answer
//! kid known, keys not young but not too old ────▶ answer, and one task fetches
//! kid unknown, not lately asked for in vain ────▶ one fetch that all wait for ▶ answer or unknown
//! no keys, or too old ──────────────────────────▶ one fetch that all wait for ▶ answer or unavailable
//! ```
//!
//! INVARIANT: keys older than `max_stale` verify nothing, however long the provider is away. A flood of unknown names
//! makes one fetch each `PAUSE` at most; the memory of names is bounded. Time is the monotonic one: a clock that is
//! moved makes no key young.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::header::ACCEPT;
use axum::http::{Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::Full;
use serde::Deserialize;
use tokio::time::Instant;

use super::outgoing::{Outgoing, OutgoingError, OutgoingLimits, OutgoingSetupError};
use crate::domain::json;
use crate::domain::jwt::JwtKeys;
use crate::service::ports::{PlatformKeys, PlatformKeysError};

/// The largest document of a provider.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;
/// The shortest time between two fetches, whatever is asked for.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a name that the provider did not have is not asked for again.
const FORGET_UNKNOWN: Duration = Duration::from_secs(30);
/// The most such names.
const MAX_UNKNOWN: usize = 256;
/// Where discovery finds a provider's metadata, behind its issuer (OpenID Connect Discovery §4.1).
const METADATA: &str = "/.well-known/openid-configuration";

/// How a provider is asked.
#[derive(Debug, Clone)]
pub struct ProviderConfig {
    /// Its issuer, as it says it.
    pub issuer: String,
    /// Its key set; found by discovery where absent.
    pub jwks_url: Option<String>,
    /// The only roots of its certificate; the system's where absent.
    pub ca: Option<PathBuf>,
    /// How long one document may take.
    pub timeout: Duration,
    /// The age at which keys are fetched again.
    pub refresh: Duration,
    /// The age at which they verify nothing any more.
    pub max_stale: Duration,
}

/// Why a provider did not give its keys. Says nothing that it sent.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Setup(#[from] OutgoingSetupError),
    #[error(transparent)]
    Send(#[from] OutgoingError),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("its {0} is not what the standard says")]
    Document(&'static str),
    #[error("its metadata is that of another issuer")]
    Issuer,
}

/// A provider's keys, as far as they are known.
pub struct OidcKeys(Arc<Provider>);

struct Provider {
    config: ProviderConfig,
    dev: bool,
    /// Clients by URL: of the issuer and, where it is elsewhere, of the key set.
    clients: Mutex<BTreeMap<String, Arc<Outgoing>>>,
    known: Mutex<Known>,
    /// Whoever holds it fetches.
    flight: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: Option<(Arc<JwtKeys>, Instant)>,
    unknown: BTreeMap<String, Instant>,
    tried_at: Option<Instant>,
}

/// What memory says to a name.
enum Memory {
    Has(Arc<JwtKeys>),
    /// It has, and the keys should be fetched again.
    HasOld(Arc<JwtKeys>),
    /// It was asked for in vain, or may not be asked for now.
    HasNot,
    Silent,
}

impl OidcKeys {
    /// The keys of a provider; nothing is fetched yet.
    ///
    /// # Errors
    /// When a URL or the roots cannot be used.
    pub fn new(config: ProviderConfig, dev: bool) -> Result<Self, OutgoingSetupError> {
        let (clients, known, flight) = (Mutex::default(), Mutex::default(), tokio::sync::Mutex::default());
        let provider = Provider { config, dev, clients, known, flight };
        provider.client(&provider.first_url())?;
        Ok(Self(Arc::new(provider)))
    }
}

impl std::fmt::Debug for OidcKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OidcKeys").field(&self.0.config.issuer).finish()
    }
}

#[async_trait]
impl PlatformKeys for OidcKeys {
    async fn with(&self, kid: &str) -> Result<Arc<JwtKeys>, PlatformKeysError> {
        match self.0.remember(kid) {
            Memory::Has(keys) => Ok(keys),
            Memory::HasOld(keys) => {
                let provider = Arc::clone(&self.0);
                tokio::spawn(async move {
                    if let Ok(_flight) = provider.flight.try_lock() {
                        provider.fetch().await;
                    }
                });
                Ok(keys)
            }
            Memory::HasNot => Err(PlatformKeysError::Unknown),
            Memory::Silent => self.0.ask_for(kid).await,
        }
    }
}

impl Provider {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, kid: &str) -> Memory {
        let (known, now) = (self.known(), Instant::now());
        match &known.keys {
            Some((keys, at)) if now.duration_since(*at) < self.config.max_stale => {
                if keys.find(kid).is_none() {
                    let lately = known.unknown.get(kid).is_some_and(|at| now.duration_since(*at) < FORGET_UNKNOWN);
                    return if lately || known.is_too_soon(now) { Memory::HasNot } else { Memory::Silent };
                }
                // A fetch that failed lately is not tried again at every request.
                let old = now.duration_since(*at) >= self.config.refresh && !known.is_too_soon(now);
                if old { Memory::HasOld(Arc::clone(keys)) } else { Memory::Has(Arc::clone(keys)) }
            }
            _ => Memory::Silent,
        }
    }

    /// One fetch that all who want something wait for. Whoever finds it done looks again and does not ask again.
    async fn ask_for(&self, kid: &str) -> Result<Arc<JwtKeys>, PlatformKeysError> {
        let _flight = self.flight.lock().await;
        if let Memory::Has(keys) | Memory::HasOld(keys) = self.remember(kid) {
            return Ok(keys);
        }
        let may_ask = !self.known().is_too_soon(Instant::now());
        if may_ask {
            self.fetch().await;
        }
        let (mut known, now) = (self.known(), Instant::now());
        match &known.keys {
            Some((keys, at)) if now.duration_since(*at) < self.config.max_stale => {
                let keys = Arc::clone(keys);
                if keys.find(kid).is_some() {
                    return Ok(keys);
                }
                if may_ask {
                    known.note_unknown(kid, now);
                }
                Err(PlatformKeysError::Unknown)
            }
            _ => Err(PlatformKeysError::Unavailable),
        }
    }

    /// Only for whoever holds the flight.
    async fn fetch(&self) {
        // Keys are as old as the question, not as the answer; the pause is after it, so that nobody who comes meanwhile is
        // turned away.
        let asked_at = Instant::now();
        let fetched = self.key_set().await;
        let mut known = self.known();
        known.tried_at = Some(Instant::now());
        match fetched {
            Ok(keys) => {
                known.unknown.retain(|kid, _| keys.find(kid).is_none());
                known.keys = Some((Arc::new(keys), asked_at));
            }
            Err(error) => {
                tracing::warn!(platform.issuer = self.config.issuer, %error, "the platform's keys could not be fetched");
            }
        }
    }

    async fn key_set(&self) -> Result<JwtKeys, FetchError> {
        let url = match &self.config.jwks_url {
            Some(url) => url.clone(),
            None => self.discovered().await?,
        };
        let document = json::parse(&self.document(&url).await?).map_err(|_| FetchError::Document("key set"))?;
        // RFC 7517 §4.2: absent, or for signatures.
        JwtKeys::from_set(&document, |purpose| purpose.is_none_or(|purpose| purpose == "sig"))
            .map_err(|_| FetchError::Document("key set"))
    }

    /// OpenID Connect Discovery §4.3: the metadata is that of the issuer that was asked, or of nobody.
    async fn discovered(&self) -> Result<String, FetchError> {
        #[derive(Deserialize)]
        struct Metadata {
            issuer: String,
            jwks_uri: String,
        }
        let document = self.document(&self.first_url()).await?;
        let metadata: Metadata = json::parse_as(&document).map_err(|_| FetchError::Document("metadata"))?;
        if metadata.issuer == self.config.issuer { Ok(metadata.jwks_uri) } else { Err(FetchError::Issuer) }
    }

    fn first_url(&self) -> String {
        let discovery = || format!("{}{METADATA}", self.config.issuer.trim_end_matches('/'));
        self.config.jwks_url.clone().unwrap_or_else(discovery)
    }

    async fn document(&self, url: &str) -> Result<Bytes, FetchError> {
        let client = self.client(url)?;
        let request = Request::get(url).header(ACCEPT, "application/json").body(Full::default());
        let answer = client.send(request.map_err(|_| OutgoingError::Unsendable)?).await?;
        if answer.status == StatusCode::OK { Ok(answer.body) } else { Err(FetchError::Status(answer.status)) }
    }

    /// The client for a URL. There are two at most, unless a provider moves its key set.
    fn client(&self, url: &str) -> Result<Arc<Outgoing>, OutgoingSetupError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(url) {
            return Ok(Arc::clone(client));
        }
        let uri: Uri = url.parse().map_err(|_| OutgoingSetupError::Url)?;
        let limits = OutgoingLimits { total: self.config.timeout, max_answer_bytes: MAX_DOCUMENT_BYTES };
        let client = Arc::new(Outgoing::new(&uri, self.config.ca.as_deref(), limits, self.dev)?);
        if clients.len() > 2 {
            clients.clear();
        }
        clients.insert(url.to_owned(), Arc::clone(&client));
        Ok(client)
    }
}

impl Known {
    fn is_too_soon(&self, now: Instant) -> bool {
        self.tried_at.is_some_and(|at| now.duration_since(at) < PAUSE)
    }

    fn note_unknown(&mut self, kid: &str, now: Instant) {
        self.unknown.retain(|_, at| now.duration_since(*at) < FORGET_UNKNOWN);
        if self.unknown.len() < MAX_UNKNOWN {
            self.unknown.insert(kid.to_owned(), now);
        }
    }
}
