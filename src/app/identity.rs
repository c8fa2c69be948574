//! Our identity and the trust bundles: where they come from at the start, what keeps them fresh, and what is written
//! down of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{Core, Mode};
use crate::adapters::clock::{SystemClock, SystemEntropy};
use crate::adapters::identity::{
    BundleEndpoint, EndpointProfile, EndpointSetup, FederatedFile, FileSource, Identities, IdentitySettings,
    KeptBundles, News, Refused, Stale, Tell, WorkloadApi,
};
use crate::adapters::pem;
use crate::config::{Config, Door, FederationConfig, FederationSource};
use crate::domain::ledger::{EventType, Subject};
use crate::domain::spiffe::TrustBundle;
use crate::service::access::Place;
use crate::service::ports::{Clock as _, Ledger as _};

/// How long a start waits for a Workload API that has nothing for us yet.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at what became too old.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// News that wait for the record; a source waits when there are more.
const NEWS: usize = 64;
/// The pause before a piece of news is written down again.
const RECORD_AGAIN: Duration = Duration::from_secs(1);

/// What keeps identities fresh; nothing of it runs yet.
pub(super) struct Sources {
    own: OwnSource,
    endpoints: Vec<BundleEndpoint>,
    files: Vec<FederatedFile>,
    /// What happened before there was a record to write it into.
    news: Vec<News>,
}

enum OwnSource {
    Files(FileSource),
    WorkloadApi(WorkloadApi),
}

/// Reads what there is now, and refuses to start without it. What federated domains say may come later.
pub(super) async fn open(config: &Config, mode: Mode) -> anyhow::Result<(Arc<Identities>, Sources)> {
    let doors = doors(config, mode);
    let settings = settings(config, &doors);
    let clock = Arc::new(SystemClock);
    let accept = |material| Identities::open(settings.clone(), material, clock.clone());
    let (identities, own) = match workload_api(config)? {
        Some(api) => {
            let first = api.first(PATIENCE, accept).await.context("the Workload API has no identity for us")?;
            (first, OwnSource::WorkloadApi(api))
        }
        None => {
            let files = file_source(config, &doors);
            let identities = accept(files.read()?).map_err(|refused| in_file(refused, &doors))?;
            if let Some(jwt) = files.read_jwt()? {
                identities.offer_jwt(jwt);
            }
            (identities, OwnSource::Files(files))
        }
    };
    let identities = Arc::new(identities);
    let mut sources = Sources { own, endpoints: Vec::new(), files: Vec::new(), news: Vec::new() };
    for one in &config.trust.federation {
        sources.add(config, one, &identities)?;
    }
    sources.keep_copy(config, &identities);
    Ok((identities, sources))
}

/// The doors of this process.
fn doors(config: &Config, mode: Mode) -> Vec<Door> {
    let agentauth = config.agentauth.as_ref().filter(|_| mode.agentauth()).map(|part| part.door.clone());
    let broker = config.broker.as_ref().filter(|_| mode.broker()).map(|part| part.door.clone());
    agentauth.into_iter().chain(broker).collect()
}

fn settings(config: &Config, doors: &[Door]) -> IdentitySettings {
    let access = &config.trust.access;
    IdentitySettings {
        domain: config.trust_domain.clone(),
        ids: doors.iter().map(|door| door.spiffe_id.clone()).collect(),
        max_age: config.trust.max_age,
        dev_authorities: config.dev,
        at_doors: access.domains(&Place::ALL),
        approving: access.domains(&[Place::Approve]),
    }
}

fn workload_api(config: &Config) -> anyhow::Result<Option<WorkloadApi>> {
    let Some(socket) = &config.trust.workload_api else { return Ok(None) };
    let endpoint = spiffe::transport::Endpoint::parse(socket).context("`trust.endpoint_socket`")?;
    let federated = config.trust.federation.iter().filter(|one| one.from == FederationSource::WorkloadApi);
    Ok(Some(WorkloadApi::new(
        endpoint,
        config.trust_domain.clone(),
        federated.map(|one| one.domain.clone()).collect(),
        config.trust.max_age,
        Arc::new(SystemEntropy),
    )))
}

fn file_source(config: &Config, doors: &[Door]) -> FileSource {
    FileSource {
        domain: config.trust_domain.clone(),
        bundle: config.trust_bundle.clone(),
        svids: doors.iter().filter_map(|door| door.files.clone()).collect(),
        jwt_bundle: config.trust.jwt_bundle.clone(),
    }
}

/// Refuses a trust bundle in a file before anything that rests on it.
pub(super) fn check_bundle(config: &Config, mode: Mode) -> anyhow::Result<()> {
    if config.trust.workload_api.is_some() {
        return Ok(());
    }
    let bundle = pem::read_bundle(&config.trust_bundle, config.trust_domain.clone())?;
    let judged = settings(config, &doors(config, mode)).judge_bundle(&bundle, SystemClock.now());
    judged.with_context(|| format!("`{}`", config.trust_bundle.display()))
}

/// For `config check`: every file that the configuration names. The Workload API is not asked: it answers this process
/// by who it is, and the services run as somebody else.
pub(super) fn check(config: &Config) -> anyhow::Result<Option<Identities>> {
    let doors = doors(config, Mode::Both);
    let settings = settings(config, &doors);
    let identities = match config.trust.workload_api {
        Some(_) => None,
        None => {
            let files = file_source(config, &doors);
            files.read_jwt()?;
            let opened = Identities::open(settings, files.read()?, Arc::new(SystemClock));
            Some(opened.map_err(|refused| in_file(refused, &doors))?)
        }
    };
    for one in &config.trust.federation {
        let known = identities.as_ref().map(Identities::all).unwrap_or_default();
        match &one.from {
            FederationSource::File(path) => {
                let file = FederatedFile { domain: one.domain.clone(), path: path.clone(), max_age: one.max_age };
                if let Some(identities) = &identities {
                    file.look(identities)??;
                }
            }
            FederationSource::WorkloadApi => {}
            _ => drop(endpoint(config, one, &known)?),
        }
    }
    Ok(identities)
}

/// With the file that holds what is refused.
fn in_file(refused: Refused, doors: &[Door]) -> anyhow::Error {
    let id = match &refused {
        Refused::Svid { id, .. } | Refused::NoSvid { wanted: id, .. } => Some(id),
        _ => None,
    };
    let files = doors.iter().find(|door| Some(&door.spiffe_id) == id).and_then(|door| door.files.as_ref());
    let file = files.map(|(svid, _)| format!("`{}`", svid.display()));
    let error = anyhow::Error::new(refused);
    match file {
        Some(file) => error.context(file),
        None => error.context("`trust.bundle`"),
    }
}

fn endpoint(
    config: &Config,
    one: &FederationConfig,
    known: &crate::adapters::tls::SharedTrust,
) -> anyhow::Result<Option<BundleEndpoint>> {
    let (url, profile) = match &one.from {
        FederationSource::HttpsWeb { url, ca } => (url, EndpointProfile::HttpsWeb { ca: ca.clone() }),
        FederationSource::HttpsSpiffe { url, id, initial } => {
            (url, EndpointProfile::HttpsSpiffe { id: id.clone(), initial: initial.clone() })
        }
        FederationSource::WorkloadApi | FederationSource::File(_) => return Ok(None),
    };
    let url = url.parse().with_context(|| format!("the bundle endpoint of `{}`: `{url}` is no URL", one.domain))?;
    let setup =
        EndpointSetup { domain: one.domain.clone(), url, profile, max_age: one.max_age, min_refresh: one.min_refresh };
    let kept = KeptBundles::new(config.store.with_file_name("federation"));
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    Ok(Some(BundleEndpoint::new(setup, known, kept, config.dev, clock, entropy)?))
}

impl Sources {
    fn add(&mut self, config: &Config, one: &FederationConfig, identities: &Identities) -> anyhow::Result<()> {
        if let FederationSource::File(path) = &one.from {
            let file = FederatedFile { domain: one.domain.clone(), path: path.clone(), max_age: one.max_age };
            self.news.extend(file.look(identities)??);
            self.files.push(file);
        }
        if let Some(endpoint) = endpoint(config, one, &identities.all())? {
            self.news.extend(endpoint.restore(identities));
            self.endpoints.push(endpoint);
        }
        Ok(())
    }

    /// Asks once more, before the doors open: a start may take longer than what was read at its beginning holds.
    pub(super) async fn confirm(&self, identities: &Identities) {
        let material = match &self.own {
            OwnSource::Files(files) => files.read().map_err(anyhow::Error::new),
            OwnSource::WorkloadApi(api) => api.fetch().await.map_err(anyhow::Error::new),
        };
        let confirmed = material.and_then(|material| Ok(identities.offer(material)?));
        if let Err(error) = confirmed {
            tracing::warn!(error = %format!("{error:#}"), "our identity could not be confirmed before the doors open");
        }
    }

    /// Tools that work offline read the trust bundle from a file.
    fn keep_copy(&self, config: &Config, identities: &Identities) {
        if let (OwnSource::WorkloadApi(_), Some(own)) =
            (&self.own, identities.all().load().bundle(&config.trust_domain))
        {
            write_copy(&config.trust_bundle, own);
        }
    }

    /// Keeps identities fresh until the process stops, and writes down what happens.
    pub(super) fn start(self, core: &Arc<Core>, stopping: &watch::Receiver<bool>, tasks: &mut JoinSet<()>) {
        let (sender, receiver) = mpsc::channel(NEWS);
        let metrics = core.metrics.clone();
        let failed = Arc::new(move |source: &str, code| metrics.identity().source_failed(source, code));
        let tell = Tell::new(sender.clone(), failed);
        let identities = &core.identities;
        let mut until_stopped = |task: futures_util::future::BoxFuture<'static, ()>| {
            let mut stopping = stopping.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = task => {}
                    _ = stopping.wait_for(|stop| *stop) => {}
                }
            });
        };
        until_stopped(match self.own {
            OwnSource::Files(files) => Box::pin(files.watch(Arc::clone(identities), tell.clone())),
            OwnSource::WorkloadApi(api) => Box::pin(api.watch(Arc::clone(identities), tell.clone())),
        });
        for endpoint in self.endpoints {
            until_stopped(Box::pin(endpoint.watch(Arc::clone(identities), tell.clone())));
        }
        for file in self.files {
            until_stopped(Box::pin(file.watch(Arc::clone(identities), tell.clone())));
        }
        until_stopped(Box::pin(look(Arc::clone(core), sender, self.news)));
        until_stopped(Box::pin(write_down(Arc::clone(core), receiver)));
    }
}

/// Looks at what became too old, and shows ages to the metrics.
async fn look(core: Arc<Core>, news: mpsc::Sender<News>, from_before: Vec<News>) {
    for one in from_before {
        let _ = news.send(one).await;
    }
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for one in core.identities.look() {
            let _ = news.send(one).await;
        }
        show(&core);
    }
}

fn show(core: &Core) {
    let now = core.clock.now();
    let svids: BTreeMap<_, _> = core
        .identities
        .svids()
        .map(|source| source.current())
        .map(|one| (part(core, one.svid().id().as_str()), one.svid().expires_at().since(now)))
        .collect();
    let (own, federated) = core.identities.ages();
    core.metrics.identity().show(&svids, (&core.config.trust_domain, own), &federated);
}

/// Which door an identity is of: no label carries an ID.
fn part(core: &Core, id: &str) -> &'static str {
    let agentauth = core.config.agentauth.as_ref().is_some_and(|part| part.door.spiffe_id.as_str() == id);
    if agentauth { "agentauth" } else { "broker" }
}

/// Writes news down in their order; what cannot be written is tried again, and later news wait behind it.
async fn write_down(core: Arc<Core>, mut news: mpsc::Receiver<News>) {
    while let Some(one) = news.recv().await {
        log(&one);
        core.metrics.identity().told(&one);
        let own_bundle = matches!(&one, News::BundleRotated { domain, .. } if *domain == core.config.trust_domain);
        if own_bundle && core.config.trust.workload_api.is_some() {
            let trust = core.identities.all();
            if let Some(own) = trust.load().bundle(&core.config.trust_domain) {
                write_copy(&core.config.trust_bundle, own);
            }
        }
        let (event_type, subject) = recorded(&one);
        let entry = core.entry(event_type, subject);
        while let Err(error) = core.store.record(entry.clone()).await {
            tracing::warn!(%error, "a change of identity is not on record yet; tried again");
            sleep(RECORD_AGAIN).await;
        }
    }
}

fn recorded(news: &News) -> (EventType, Subject) {
    let subject = |reason: &str, detail: &[(&str, String)]| Subject {
        reason: Some(reason.to_owned()),
        detail: detail.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        ..Subject::default()
    };
    match news {
        News::SvidRotated { id, expires_at } => {
            let detail = [("spiffe_id", id.to_string()), ("expires_at", expires_at.to_string())];
            (EventType::IdentityRotated, subject("svid", &detail))
        }
        News::BundleRotated { domain, fingerprint, authorities, sequence } => {
            let mut subject = subject(
                "trust_bundle",
                &[
                    ("trust_domain", domain.to_string()),
                    ("fingerprint", fingerprint.to_string()),
                    ("authorities", authorities.to_string()),
                ],
            );
            if let Some(sequence) = sequence {
                subject.detail.insert("sequence".to_owned(), sequence.to_string());
            }
            (EventType::IdentityRotated, subject)
        }
        News::FederatedDropped { domain, reason } => {
            let detail = [("trust_domain", domain.to_string())];
            let reason = if *reason == "stale" { "federated_bundle_stale" } else { "federated_bundle_removed" };
            (EventType::IdentityStale, subject(reason, &detail))
        }
        News::Closed(stale) => (EventType::IdentityStale, subject(stale.code(), &[("doors", "closed".to_owned())])),
        News::Opened => (EventType::IdentityRotated, subject("doors_opened", &[("doors", "open".to_owned())])),
    }
}

fn log(news: &News) {
    match news {
        News::SvidRotated { id, expires_at } => tracing::info!(svid.id = %id, %expires_at, "our SVID was renewed"),
        News::BundleRotated { domain, authorities, .. } => {
            tracing::info!(trust_domain = %domain, authorities, "a trust bundle changed");
        }
        News::FederatedDropped { domain, reason } => {
            tracing::warn!(trust_domain = %domain, reason, "a federated trust domain is not trusted any more");
        }
        News::Closed(stale) => tracing::error!(reason = stale.code(), "{stale}: the doors are closed"),
        News::Opened => tracing::info!("our identity is good again: the doors are open"),
    }
}

fn write_copy(path: &Path, own: &TrustBundle) {
    if let Err(error) = pem::replace_bundle(path, own) {
        tracing::warn!(error = %error, "the copy of the trust bundle for offline tools could not be written");
    }
}

/// For `/ready`.
pub(super) fn problem(identities: &Identities, of_svid: bool) -> Option<String> {
    identities.problem().filter(|stale: &Stale| stale.is_of_svid() == of_svid).map(|stale| stale.to_string())
}
