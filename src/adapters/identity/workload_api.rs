//! The SPIFFE Workload API as the source of our identities (SPIFFE Workload API §5, SPIFFE Workload Endpoint).
//!
//! X.509-SVIDs with their bundles, X.509 bundles and JWT bundles are streamed. The streams say nothing while nothing
//! changes, and the client library drops a message that it cannot use, so that silence proves nothing: the streams are
//! opened anew three times within the age limit, and each opening is answered with the state of now. Only such an answer
//! counts as a confirmation. An agent that is gone, denies, hangs or answers emptily leaves the last good state in force
//! until it is too old; it is asked again with growing, jittered pauses.
//!
//! The library (crate `spiffe`) lower-cases names of trust domains; ours are lower case, and what a certificate names is
//! read from the certificate by our own rules ([`crate::domain::spiffe`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use spiffe::transport::Endpoint;
use spiffe::{JwtBundleSet, WorkloadApiClient, WorkloadApiError, X509BundleSet, X509Context};
use tokio::time::{sleep, timeout};

use super::federated::{FederatedBundle, FederatedRefused};
use super::news::Trouble;
use super::{Identities, Material, News, Refused, Tell};
use crate::domain::spiffe::{BundleError, DocumentError, JwtBundle, TrustBundle, TrustDomain};
use crate::service::ports::Entropy;
use crate::service::shipping::Backoff;

/// The name of this source in metrics and logs.
const SOURCE: &str = "workload_api";
/// For the socket.
const CONNECT: Duration = Duration::from_secs(5);
/// For the head of a stream: an agent finds out who asks before it answers, which takes seconds on a busy host.
const ATTEST: Duration = Duration::from_secs(30);
/// For the first message of the stream of SVIDs: an agent that holds its answer back is no agent.
const FIRST_MESSAGE: Duration = Duration::from_secs(10);
/// Pauses between attempts.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(15) };
/// The bounds of how often the streams are opened anew.
const CONFIRM_EVERY: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(300));

/// A Workload API and what is taken from it.
pub struct WorkloadApi {
    endpoint: Endpoint,
    domain: TrustDomain,
    /// Federated domains whose bundles come from here.
    federated: Vec<TrustDomain>,
    max_age: Duration,
    entropy: Arc<dyn Entropy>,
}

/// Why nothing usable came.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadApiProblem {
    /// The agent cannot be reached, denies, or answers what is no answer.
    #[error(transparent)]
    Api(#[from] WorkloadApiError),
    /// Not in time.
    #[error("the Workload API does not answer")]
    Silent,
    /// It ended a stream.
    #[error("the Workload API ended its stream")]
    Ended,
    /// Our own trust domain is not among the bundles.
    #[error("the Workload API has no bundle of `{0}`")]
    NoBundle(TrustDomain),
    /// A bundle that breaks our rules.
    #[error("the bundle of `{domain}` is refused: {source}")]
    Bundle {
        /// Whose.
        domain: TrustDomain,
        /// Why.
        source: BundleError,
    },
    /// JWT keys that break our rules.
    #[error("the JWT keys of `{domain}` are refused: {source}")]
    JwtBundle {
        /// Whose.
        domain: TrustDomain,
        /// Why.
        source: DocumentError,
    },
    /// What came is not what we may be.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A federated bundle cannot be taken.
    #[error(transparent)]
    Federated(#[from] FederatedRefused),
}

impl WorkloadApiProblem {
    /// The stable name of this fact.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Api(WorkloadApiError::NoIdentityIssued | WorkloadApiError::PermissionDenied(_)) => {
                "permission_denied"
            }
            Self::Api(WorkloadApiError::EmptyResponse | WorkloadApiError::MissingRequiredField { .. }) => {
                "empty_answer"
            }
            Self::Api(WorkloadApiError::Transport(_)) => "unreachable",
            Self::Api(_) => "bad_answer",
            Self::Silent => "silent",
            Self::Ended => "ended",
            Self::NoBundle(_) => "no_bundle",
            Self::Bundle { source, .. } => source.code(),
            Self::JwtBundle { source, .. } => source.code(),
            Self::Refused(refused) => refused.code(),
            Self::Federated(refused) => refused.code(),
        }
    }

    /// Whether the stream goes on behind it: one message was bad, not the connection.
    fn is_of_one_message(&self) -> bool {
        use WorkloadApiError as E;
        !matches!(
            self,
            Self::Silent
                | Self::Ended
                | Self::Api(E::Transport(_) | E::PermissionDenied(_) | E::NoIdentityIssued | E::EmptyResponse)
        )
    }
}

impl WorkloadApi {
    /// The API behind `endpoint`, for our `domain` and those of `federated` whose bundles it has.
    pub fn new(
        endpoint: Endpoint,
        domain: TrustDomain,
        federated: Vec<TrustDomain>,
        max_age: Duration,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { endpoint, domain, federated, max_age, entropy }
    }

    /// What it has now.
    ///
    /// # Errors
    /// When it cannot be had, or holds nothing for us.
    pub async fn fetch(&self) -> Result<Material, WorkloadApiProblem> {
        let asked = async {
            let client = WorkloadApiClient::connect(self.endpoint.clone()).await?;
            client.fetch_x509_context().await
        };
        let context = timeout(ATTEST, asked).await.map_err(|_| WorkloadApiProblem::Silent)??;
        self.material(&context)
    }

    /// What it has once `accept` takes it, asked again with pauses for at most `patience`.
    ///
    /// # Errors
    /// The last reason.
    pub async fn first<T>(
        &self,
        patience: Duration,
        accept: impl Fn(Material) -> Result<T, Refused>,
    ) -> Result<T, WorkloadApiProblem> {
        let started = tokio::time::Instant::now();
        let mut trouble = Trouble::default();
        for failures in 1.. {
            let problem = match self.fetch().await.map(&accept) {
                Ok(Ok(accepted)) => return Ok(accepted),
                Ok(Err(refused)) => refused.into(),
                Err(problem) => problem,
            };
            if started.elapsed() >= patience {
                return Err(problem);
            }
            trouble.with(SOURCE, problem.code(), &problem);
            self.pause(failures).await;
        }
        Err(WorkloadApiProblem::Silent)
    }

    /// Follows it for as long as the services run.
    pub async fn watch(self, identities: Arc<Identities>, tell: Tell) {
        let (mut failures, mut trouble) = (0, Trouble::default());
        loop {
            let Err(problem) = self.session(&identities, &tell, &mut failures, &mut trouble).await else { continue };
            failures = failures.saturating_add(1);
            tell.failed(SOURCE, problem.code());
            trouble.with(SOURCE, problem.code(), &problem);
            self.pause(failures).await;
        }
    }

    async fn pause(&self, failures: u32) {
        let [jitter, ..] = self.entropy.bytes();
        sleep(BACKOFF.pause(failures, jitter)).await;
    }

    /// The streams, from their opening until it is time to open them anew.
    async fn session(
        &self,
        identities: &Identities,
        tell: &Tell,
        failures: &mut u32,
        trouble: &mut Trouble,
    ) -> Result<(), WorkloadApiProblem> {
        let client = in_time(CONNECT, WorkloadApiClient::connect(self.endpoint.clone())).await?;
        // All at once: each is attested for itself. A denial comes by the stream of SVIDs; what has no other streams is a
        // Workload API all the same.
        let (contexts, bundles, keys) = tokio::join!(
            in_time(ATTEST, client.stream_x509_contexts()),
            in_time(ATTEST, client.stream_x509_bundles()),
            in_time(ATTEST, client.stream_jwt_bundles()),
        );
        let (mut contexts, mut bundles, mut keys) = (contexts?, bundles.ok(), keys.ok());
        let (mut reopen, mut first) =
            (std::pin::pin!(sleep(self.confirm_every())), std::pin::pin!(sleep(FIRST_MESSAGE)));
        let mut heard = false;
        loop {
            let taken = tokio::select! {
                message = contexts.next() => {
                    heard = true;
                    of(message).and_then(|context| self.take_context(&context, identities))
                }
                message = next(&mut bundles) => match of_optional(&mut bundles, message) {
                    Some(message) => message.and_then(|set| self.take_bundles(&set, identities)),
                    None => continue,
                },
                message = next(&mut keys) => match of_optional(&mut keys, message) {
                    Some(message) => message.and_then(|set| self.take_keys(&set, identities)),
                    None => continue,
                },
                () = first.as_mut(), if !heard => return Err(WorkloadApiProblem::Silent),
                () = reopen.as_mut(), if heard => return Ok(()),
            };
            match taken {
                Ok(news) => {
                    *failures = 0;
                    trouble.over(SOURCE);
                    tell.news(news).await;
                }
                Err(problem) if problem.is_of_one_message() => {
                    tell.failed(SOURCE, problem.code());
                    trouble.with(SOURCE, problem.code(), &problem);
                }
                Err(problem) => return Err(problem),
            }
        }
    }

    fn confirm_every(&self) -> Duration {
        (self.max_age / 3).clamp(CONFIRM_EVERY.0, CONFIRM_EVERY.1)
    }

    fn take_context(&self, context: &X509Context, identities: &Identities) -> Result<Vec<News>, WorkloadApiProblem> {
        let mut news = identities.offer(self.material(context)?)?;
        news.extend(self.take_federated(context.bundle_set(), identities)?);
        Ok(news)
    }

    fn take_bundles(&self, set: &X509BundleSet, identities: &Identities) -> Result<Vec<News>, WorkloadApiProblem> {
        let own = bundle_of(&self.domain, set)?.ok_or_else(|| WorkloadApiProblem::NoBundle(self.domain.clone()))?;
        let mut news = identities.offer_bundle(own)?;
        news.extend(self.take_federated(set, identities)?);
        Ok(news)
    }

    /// A message names every federated domain that there is: one that is missing is none any more.
    fn take_federated(&self, set: &X509BundleSet, identities: &Identities) -> Result<Vec<News>, WorkloadApiProblem> {
        let mut news = Vec::new();
        for domain in &self.federated {
            news.extend(match bundle_of(domain, set)? {
                Some(bundle) => identities.offer_federated(FederatedBundle {
                    domain: domain.clone(),
                    x509: Some(bundle),
                    jwt: None,
                    sequence: None,
                    digest: None,
                    confirmed_at: None,
                    max_age: self.max_age,
                })?,
                None => identities.forget_federated(domain),
            });
        }
        Ok(news)
    }

    fn take_keys(&self, set: &JwtBundleSet, identities: &Identities) -> Result<Vec<News>, WorkloadApiProblem> {
        for (name, bundle) in set.iter() {
            let Ok(domain) = name.as_str().parse::<TrustDomain>() else { continue };
            let keys = bundle.jwt_authorities().map(|key| key.jwk_json());
            let keys = JwtBundle::of_keys(domain.clone(), keys)
                .map_err(|source| WorkloadApiProblem::JwtBundle { domain: domain.clone(), source })?;
            if domain == self.domain {
                identities.offer_jwt(keys);
            } else if self.federated.contains(&domain) {
                identities.offer_federated_jwt(keys);
            }
        }
        Ok(Vec::new())
    }

    fn material(&self, context: &X509Context) -> Result<Material, WorkloadApiProblem> {
        let bundle = bundle_of(&self.domain, context.bundle_set())?
            .ok_or_else(|| WorkloadApiProblem::NoBundle(self.domain.clone()))?;
        let pair = |svid: &Arc<spiffe::X509Svid>| {
            let chain = svid.cert_chain().iter().map(|one| CertificateDer::from(one.as_bytes().to_vec())).collect();
            (chain, PrivatePkcs8KeyDer::from(svid.private_key().as_bytes().to_vec()).into())
        };
        Ok(Material { bundle, svids: context.svids().iter().map(pair).collect() })
    }
}

fn bundle_of(domain: &TrustDomain, set: &X509BundleSet) -> Result<Option<TrustBundle>, WorkloadApiProblem> {
    let named: BTreeMap<_, _> = set.iter().map(|(name, bundle)| (name.as_str(), bundle)).collect();
    let Some(bundle) = named.get(domain.as_str()) else { return Ok(None) };
    let authorities: Vec<_> = bundle.authorities().iter().map(|one| CertificateDer::from(one.as_bytes())).collect();
    let parsed = TrustBundle::from_der(domain.clone(), &authorities);
    parsed.map(Some).map_err(|source| WorkloadApiProblem::Bundle { domain: domain.clone(), source })
}

async fn in_time<T>(
    limit: Duration,
    asked: impl Future<Output = Result<T, WorkloadApiError>>,
) -> Result<T, WorkloadApiProblem> {
    timeout(limit, asked).await.map_err(|_| WorkloadApiProblem::Silent)?.map_err(Into::into)
}

fn of<T>(message: Option<Result<T, WorkloadApiError>>) -> Result<T, WorkloadApiProblem> {
    message.ok_or(WorkloadApiProblem::Ended)?.map_err(Into::into)
}

/// A message of a stream that a Workload API may not have; none, and no stream any more, where it ended. That of SVIDs
/// ends with it if the agent is gone.
fn of_optional<S, T>(
    stream: &mut Option<S>,
    message: Option<Result<T, WorkloadApiError>>,
) -> Option<Result<T, WorkloadApiProblem>> {
    match message.map(|message| message.map_err(WorkloadApiProblem::from)) {
        Some(Err(problem)) if !problem.is_of_one_message() => *stream = None,
        None => *stream = None,
        message => return message,
    }
    None
}

/// The next message of a stream that may be missing: then never.
async fn next<S: Stream + Unpin>(stream: &mut Option<S>) -> Option<S::Item> {
    match stream {
        Some(stream) => stream.next().await,
        None => std::future::pending().await,
    }
}
