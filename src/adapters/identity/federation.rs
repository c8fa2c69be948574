//! Bundles of federated trust domains from SPIFFE bundle endpoints (SPIFFE Federation §5) and from files.
//!
//! `https_web`: the endpoint is believed by the roots of the web or of one file. `https_spiffe`: it is believed by its
//! SVID, against the last bundle that we had of its trust domain, however old, so that an endpoint that was away for
//! long is found again; the first comes from a file. One task asks one endpoint, so that there is never a second request
//! beside the first. No redirect is followed (§5.2). The refresh hint is honoured between the operator's lower bound and
//! half of the age limit. Whatever fails leaves the last good bundle in force until it is too old; it is kept over a
//! restart ([`super::KeptBundles`]).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::http::{Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::Full;

use super::federated::{FederatedBundle, FederatedRefused};
use super::kept::KeptBundles;
use super::news::Trouble;
use super::{Identities, News, Tell};
use crate::adapters::outgoing::{Outgoing, OutgoingError, OutgoingLimits, OutgoingSetupError};
use crate::adapters::pem::{self, PemFileError};
use crate::adapters::tls::{self, SharedTrust};
use crate::domain::spiffe::{
    BundleDocument, BundleError, DocumentError, MAX_DOCUMENT_BYTES, SpiffeId, TrustBundle, TrustBundles, TrustDomain,
};
use crate::domain::time::Timestamp;
use crate::service::ports::{Clock, Entropy};
use crate::service::shipping::Backoff;

/// One request, from the connection to the end of the document.
const ANSWER: Duration = Duration::from_secs(10);
/// Where the publisher says nothing (SPIFFE Trust Domain and Bundle §4.1.2 leaves it to us).
const REFRESH: Duration = Duration::from_secs(300);
/// Pauses after failures; never longer than the pause after a success.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(300) };
/// How often a file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// By what an endpoint is believed.
#[derive(Debug, Clone)]
pub enum EndpointProfile {
    /// A certificate of the web, or of the roots in a PEM file.
    HttpsWeb {
        /// The only roots; the system's where absent.
        ca: Option<PathBuf>,
    },
    /// The SVID of this identity.
    HttpsSpiffe {
        /// Who the endpoint is.
        id: SpiffeId,
        /// The first bundle of its trust domain: a SPIFFE bundle document or PEM.
        initial: PathBuf,
    },
}

/// One endpoint, from the configuration.
#[derive(Debug, Clone)]
pub struct EndpointSetup {
    /// Whose bundle it publishes.
    pub domain: TrustDomain,
    /// Where.
    pub url: Uri,
    /// By what it is believed.
    pub profile: EndpointProfile,
    /// For how long its last answer is.
    pub max_age: Duration,
    /// It is not asked more often.
    pub min_refresh: Duration,
}

/// Why an endpoint cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum EndpointSetupError {
    /// Its URL, or whom to trust there.
    #[error("the bundle endpoint of `{domain}`")]
    Client {
        /// Whose.
        domain: TrustDomain,
        /// Why.
        #[source]
        source: OutgoingSetupError,
    },
    /// TLS refuses its defaults.
    #[error("TLS cannot be configured")]
    Tls(#[from] rustls::Error),
    /// The first bundle.
    #[error(transparent)]
    Initial(#[from] FederatedFileError),
}

/// Why a file holds no bundle.
#[derive(Debug, thiserror::Error)]
pub enum FederatedFileError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] PemFileError),
    /// It is no bundle document.
    #[error("the bundle `{}` is refused", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: DocumentError,
    },
    /// It is no PEM of authorities.
    #[error("the bundle `{}` is refused", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: BundleError,
    },
}

/// Why an answer is none.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
    #[error("the endpoint answered {0}")]
    Status(StatusCode),
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error(transparent)]
    Refused(#[from] FederatedRefused),
}

impl FetchError {
    fn code(&self) -> &'static str {
        match self {
            Self::Outgoing(OutgoingError::Timeout) => "silent",
            Self::Outgoing(OutgoingError::TooLarge) => "bundle_too_large",
            Self::Outgoing(_) => "unreachable",
            Self::Status(_) => "bad_status",
            Self::Document(error) => error.code(),
            Self::Refused(refused) => refused.code(),
        }
    }
}

/// One endpoint.
pub struct BundleEndpoint {
    setup: EndpointSetup,
    client: Outgoing,
    /// By what an `https_spiffe` endpoint is believed: the last bundle of its domain that we had.
    believed_by: Option<SharedTrust>,
    kept: KeptBundles,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl BundleEndpoint {
    /// A client of the endpoint; nothing is asked yet. `known` are the bundles of all other domains, for an endpoint
    /// whose own identity is of one of them.
    ///
    /// # Errors
    /// When it can never be asked.
    pub fn new(
        setup: EndpointSetup,
        known: &SharedTrust,
        kept: KeptBundles,
        dev: bool,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, EndpointSetupError> {
        let limits = OutgoingLimits { total: ANSWER, max_answer_bytes: MAX_DOCUMENT_BYTES };
        let failed = |source| EndpointSetupError::Client { domain: setup.domain.clone(), source };
        let (client, believed_by) = match &setup.profile {
            EndpointProfile::HttpsWeb { ca } => {
                (Outgoing::new(&setup.url, ca.as_deref(), limits, dev).map_err(failed)?, None)
            }
            EndpointProfile::HttpsSpiffe { id, initial } => {
                let trust = match id.trust_domain() == setup.domain {
                    false => Arc::clone(known),
                    true => {
                        let (x509, _) = read_bundle(&setup.domain, initial)?;
                        let bundles = x509.map(TrustBundles::from).unwrap_or_default();
                        Arc::new(ArcSwap::from_pointee(bundles))
                    }
                };
                let config = tls::bundle_endpoint_config(Arc::clone(&trust), Arc::clone(&clock), id.clone())?;
                (Outgoing::with_tls(&setup.url, config, limits, dev).map_err(failed)?, Some(trust))
            }
        };
        Ok(Self { setup, client, believed_by, kept, clock, entropy })
    }

    /// Whose bundle it publishes.
    pub fn domain(&self) -> &TrustDomain {
        &self.setup.domain
    }

    /// Takes what was kept of it, or its first bundle, before a door opens. Nothing of both is no failure.
    pub fn restore(&self, identities: &Identities) -> Vec<News> {
        let kept = self.kept.load(&self.setup.domain).and_then(|(at, bytes)| {
            let document = BundleDocument::parse(self.setup.domain.clone(), &bytes).ok()?;
            self.take(document, Some(at), identities).ok()
        });
        kept.map_or_else(Vec::new, |(news, _)| news)
    }

    /// Asks for as long as the services run.
    pub async fn watch(self, identities: Arc<Identities>, tell: Tell) {
        let source = format!("federation.{}", self.setup.domain);
        let (mut failures, mut trouble) = (0_u32, Trouble::default());
        loop {
            let asked = self.ask(&identities).await;
            let [jitter, ..] = self.entropy.bytes();
            let pause = match asked {
                Ok((news, hint)) => {
                    failures = 0;
                    trouble.over(&source);
                    tell.news(news).await;
                    self.refresh(hint)
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tell.failed(&source, error.code());
                    trouble.with(&source, error.code(), &error);
                    BACKOFF.pause(failures, jitter).min(self.refresh(None))
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// How long after a good answer it is asked again.
    fn refresh(&self, hint: Option<Duration>) -> Duration {
        let longest = (self.setup.max_age / 2).max(self.setup.min_refresh);
        hint.unwrap_or(REFRESH).clamp(self.setup.min_refresh, longest)
    }

    async fn ask(&self, identities: &Identities) -> Result<(Vec<News>, Option<Duration>), FetchError> {
        let request = Request::get(self.setup.url.clone()).body(Full::<Bytes>::default());
        let answer = self.client.send(request.map_err(|_| OutgoingError::Unsendable)?).await?;
        if answer.status != StatusCode::OK {
            return Err(FetchError::Status(answer.status));
        }
        let document = BundleDocument::parse(self.setup.domain.clone(), &answer.body)?;
        let taken = self.take(document, None, identities)?;
        if let Err(error) = self.kept.keep(&self.setup.domain, self.clock.now(), &answer.body) {
            tracing::warn!(domain = %self.setup.domain, %error, "a federated bundle could not be kept for the next start");
        }
        Ok(taken)
    }

    fn take(
        &self,
        document: BundleDocument,
        confirmed_at: Option<Timestamp>,
        identities: &Identities,
    ) -> Result<(Vec<News>, Option<Duration>), FederatedRefused> {
        let BundleDocument { x509, jwt, sequence, refresh_hint, keys_digest } = document;
        let news = identities.offer_federated(FederatedBundle {
            domain: self.setup.domain.clone(),
            x509: x509.clone(),
            jwt: Some(jwt),
            sequence,
            digest: Some(keys_digest),
            confirmed_at,
            max_age: self.setup.max_age,
        })?;
        let own_domain = matches!(&self.setup.profile, EndpointProfile::HttpsSpiffe { id, .. }
            if id.trust_domain() == self.setup.domain);
        if let (Some(trust), Some(x509), true) = (&self.believed_by, x509, own_domain) {
            trust.store(Arc::new(TrustBundles::from(x509)));
        }
        Ok((news, refresh_hint))
    }
}

/// A federated bundle in a file that something else keeps fresh.
#[derive(Debug, Clone)]
pub struct FederatedFile {
    /// Whose.
    pub domain: TrustDomain,
    /// A SPIFFE bundle document or PEM.
    pub path: PathBuf,
    /// For how long the last look is believed.
    pub max_age: Duration,
}

impl FederatedFile {
    /// Looks once. Blocks.
    ///
    /// # Errors
    /// When the file holds no bundle; whether the bundle is taken is another question.
    pub fn look(&self, identities: &Identities) -> Result<Result<Vec<News>, FederatedRefused>, FederatedFileError> {
        let (x509, document) = read_bundle(&self.domain, &self.path)?;
        let (jwt, sequence, digest) = match document {
            Some(document) => (Some(document.jwt), document.sequence, Some(document.keys_digest)),
            None => (None, None, None),
        };
        let confirmed_at = None;
        let (domain, max_age) = (self.domain.clone(), self.max_age);
        Ok(identities.offer_federated(FederatedBundle { domain, x509, jwt, sequence, digest, confirmed_at, max_age }))
    }

    /// Looks for as long as the services run.
    pub async fn watch(self, identities: Arc<Identities>, tell: Tell) {
        let source = format!("federation.{}", self.domain);
        let mut trouble = Trouble::default();
        let file = Arc::new(self);
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let (looking, at) = (Arc::clone(&file), Arc::clone(&identities));
            let (code, error) = match tokio::task::spawn_blocking(move || looking.look(&at)).await {
                Ok(Ok(Ok(news))) => {
                    trouble.over(&source);
                    tell.news(news).await;
                    continue;
                }
                Ok(Ok(Err(refused))) => (refused.code(), refused.to_string()),
                Ok(Err(error)) => ("file_unusable", format!("{:#}", anyhow::Error::new(error))),
                // The runtime is shutting down.
                Err(_) => return,
            };
            tell.failed(&source, code);
            trouble.with(&source, code, &error);
        }
    }
}

/// A bundle in a file: a SPIFFE bundle document, or PEM. Blocks.
fn read_bundle(
    domain: &TrustDomain,
    path: &std::path::Path,
) -> Result<(Option<TrustBundle>, Option<BundleDocument>), FederatedFileError> {
    let bytes = pem::read_small(path)?;
    if bytes.trim_ascii_start().first() == Some(&b'{') {
        let document = BundleDocument::parse(domain.clone(), &bytes)
            .map_err(|source| FederatedFileError::Document { path: path.to_owned(), source })?;
        return Ok((document.x509.clone(), Some(document)));
    }
    let bundle = TrustBundle::parse_pem(domain.clone(), &bytes)
        .map_err(|source| FederatedFileError::Pem { path: path.to_owned(), source })?;
    Ok((Some(bundle), None))
}
