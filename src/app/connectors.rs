//! The connectors in force: read and checked as a whole, put in force in one step, kept while the next ones are wrong.
//!
//! A look reads the directory, every file that it names and every sign-off. What has changed and is right as a whole takes
//! the place of what was in force; calls under way end on what they began with. What is wrong is recorded once, as
//! `connectors_refused`, and changes nothing.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Core, Mode, callers};
use crate::adapters::clock::SystemClock;
use crate::adapters::connectors::{
    Connectors, LoadError, OurIdentity, PoolError, SignOffError, SignOffs, UpstreamPool,
};
use crate::adapters::http::broker::Upstreams;
use crate::adapters::http::fairness::RefusedSum;
use crate::adapters::identity::Identities;
use crate::adapters::tls::SharedTrust;
use crate::config::{BrokerConfig, Config};
use crate::domain::id::Sha256Digest;
use crate::domain::ledger::{EventType, Subject};
use crate::domain::time::Timestamp;
use crate::service::ports::{Clock as _, Ledger as _, PolicyPoint as _};

/// How often refusals at the door are written down, and circuits shown.
const SUMS_EVERY: Duration = Duration::from_secs(1);
/// The most characters of a finding on record.
const MAX_FINDING: usize = 300;

/// Why connectors are not put in force.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    SignOff(#[from] SignOffError),
    #[error(transparent)]
    Pool(#[from] PoolError),
    #[error("{0:#}")]
    Credentials(anyhow::Error),
}

impl Refused {
    fn reason(&self) -> &'static str {
        match self {
            Self::Load(_) => "connectors_invalid",
            Self::SignOff(error) => error.code(),
            Self::Pool(_) | Self::Credentials(_) => "connectors_unusable",
        }
    }
}

/// Reads what the configuration names and checks it as a whole; `before` is what is in force. Without `identities` (at a
/// start before there are any, and where `config check` has none) signatures are not looked at and nobody can be called.
/// A process that runs no broker has the routes and calls nobody; one without connectors takes no exact calls.
pub(super) fn load(
    config: &Config,
    mode: Mode,
    identities: Option<&Identities>,
    before: Option<&Upstreams>,
    now: Timestamp,
) -> Result<Upstreams, Refused> {
    let Some(part) = &config.broker else { return Ok(Upstreams::default()) };
    let connectors = Connectors::load(&part.connectors, config.dev)?;
    callers::check_jwt_svids(config, &connectors).map_err(Refused::Credentials)?;
    let fingerprint = fingerprint(&connectors);
    if let Some(identities) = identities {
        signed_off(part, &connectors, &identities.approving(), now)?;
    }
    if before.is_some_and(|before| before.fingerprint == fingerprint) {
        return Ok(Upstreams { connectors, pool: UpstreamPool::default(), fingerprint });
    }
    let pool = match identities.filter(|_| mode.broker()) {
        Some(identities) => {
            let ours = ours(part, identities);
            before.map_or(&UpstreamPool::default(), |before| &before.pool).succeed(&connectors, ours.as_ref())?
        }
        None => UpstreamPool::default(),
    };
    Ok(Upstreams { connectors, pool, fingerprint })
}

fn signed_off(
    part: &BrokerConfig,
    connectors: &Connectors,
    trust: &SharedTrust,
    now: Timestamp,
) -> Result<(), SignOffError> {
    let trust = trust.load();
    let sign_offs = SignOffs { signers: &part.connector_signers, trust: &trust, now };
    match part.require_signed_connectors {
        true => sign_offs.require_all(connectors),
        // Nobody has to sign; but what is signed must hold, where anybody may.
        false if !part.connector_signers.is_empty() => {
            connectors.iter().try_for_each(|connector| sign_offs.of(connector).map(drop))
        }
        false => Ok(()),
    }
}

/// Our own identity, for upstreams that want to see it.
fn ours(part: &BrokerConfig, identities: &Identities) -> Option<OurIdentity> {
    let svid = identities.svid(&part.door.spiffe_id)?;
    Some(OurIdentity { svid, trust: identities.all(), clock: Arc::new(SystemClock) })
}

/// Of all that the connectors are made of, secrets and sign-offs included; for this process alone.
fn fingerprint(connectors: &Connectors) -> Sha256Digest {
    let mut all = String::new();
    for connector in connectors.iter() {
        let sign_offs =
            std::fs::read(crate::adapters::connectors::signatures_file(&connector.file)).unwrap_or_default();
        let _ = write!(all, "{} {} {};", connector.name, connector.fingerprint(), Sha256Digest::of(&sign_offs));
    }
    Sha256Digest::of(all.as_bytes())
}

/// Of the files' exact bytes, by name: for the record.
fn digest(connectors: &Connectors) -> Sha256Digest {
    let lines = connectors.iter().map(|connector| format!("{} {}\n", connector.name, connector.digest));
    Sha256Digest::of(lines.collect::<String>().as_bytes())
}

impl Core {
    /// Which connectors are in force from here on.
    pub(super) async fn record_connectors(&self, connectors: &Connectors) -> anyhow::Result<()> {
        if self.config.broker.is_none() {
            return Ok(());
        }
        let names: Vec<_> = connectors.iter().map(|connector| connector.name.as_str()).collect();
        let mut subject = Subject::default();
        subject.detail.insert("digest".to_owned(), digest(connectors).to_string());
        subject.detail.insert("count".to_owned(), names.len().to_string());
        subject.detail.insert("connectors".to_owned(), names.join(", ").chars().take(MAX_FINDING).collect());
        self.store.record(self.entry(EventType::ConnectorsActivated, subject)).await?;
        Ok(())
    }

    async fn record_refused(&self, refused: &Refused) -> anyhow::Result<()> {
        let mut subject =
            Subject { allow: Some(false), reason: Some(refused.reason().to_owned()), ..Subject::default() };
        let finding = chain(refused).chars().take(MAX_FINDING).collect();
        subject.detail.insert("finding".to_owned(), finding);
        self.store.record(self.entry(EventType::ConnectorsRefused, subject)).await?;
        Ok(())
    }

    /// Writes down what was refused at the doors; what cannot be written is counted on.
    pub(super) async fn flush_throttled(&self) {
        for sum in self.fairness.take() {
            self.metrics.connectors().throttled(sum.what.as_str(), sum.count);
            let RefusedSum { what, agent, count } = &sum;
            let mut subject =
                Subject { allow: Some(false), reason: Some(what.as_str().to_owned()), ..Subject::default() };
            subject.agent = agent.clone();
            subject.detail.insert("count".to_owned(), count.to_string());
            let mut entry = self.entry(EventType::RequestsThrottled, subject);
            if let Some(agent) = agent {
                entry.workspace = self.policy.bundle().workspace_of(agent);
            }
            if self.store.record(entry).await.is_err() {
                self.fairness.put_back(sum);
            }
        }
        for (name, state, opened) in self.upstreams.load().pool.circuits() {
            self.metrics.connectors().circuit(name.as_str(), state, opened);
        }
    }
}

fn chain(error: &Refused) -> String {
    use std::error::Error as _;
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

/// Starts the tasks: one looks at the directory, at an interval and at every change of `reload`; one writes sums down.
pub(super) fn start(
    core: &Arc<Core>,
    mode: Mode,
    reload: &watch::Receiver<u64>,
    stopping: &watch::Receiver<bool>,
    tasks: &mut JoinSet<()>,
) {
    let (summed, stop) = (Arc::clone(core), stopping.clone());
    tasks.spawn(super::background::every(SUMS_EVERY, stop, move || {
        let core = Arc::clone(&summed);
        async move { core.flush_throttled().await }
    }));
    if let Some(part) = &core.config.broker {
        tasks.spawn(follow(Arc::clone(core), mode, part.connectors_poll, reload.clone(), stopping.clone()));
    }
}

async fn follow(
    core: Arc<Core>,
    mode: Mode,
    poll: Duration,
    mut reload: watch::Receiver<u64>,
    mut stop: watch::Receiver<bool>,
) {
    let mut refused_before = None;
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            Ok(()) = reload.changed() => {}
            () = sleep(poll) => {}
        }
        if let Err(error) = look(&core, mode, &mut refused_before).await {
            tracing::warn!(error = format!("{error:#}"), "the connectors are looked at again");
        }
    }
}

/// One look; `refused_before` is what was refused last, so that it is recorded once.
async fn look(core: &Arc<Core>, mode: Mode, refused_before: &mut Option<String>) -> anyhow::Result<()> {
    let before = core.upstreams.load_full();
    let (reading, in_force) = (Arc::clone(core), Arc::clone(&before));
    let now = core.clock.now();
    let looked = tokio::task::spawn_blocking(move || {
        load(&reading.config, mode, Some(&reading.identities), Some(&in_force), now)
    });
    match looked.await? {
        Ok(next) if next.fingerprint == before.fingerprint => *refused_before = None,
        Ok(next) => {
            // On record first: nothing is called by what nobody can read about.
            core.record_connectors(&next.connectors).await?;
            core.upstreams.store(Arc::new(next));
            *refused_before = None;
            core.metrics.connectors().loaded(true);
            tracing::info!("other connectors are in force");
        }
        Err(refused) => {
            let finding = chain(&refused);
            if refused_before.as_ref() != Some(&finding) {
                tracing::warn!(connectors.finding = finding, "the connectors are refused; the last good ones stay");
                core.record_refused(&refused).await?;
                core.metrics.connectors().loaded(false);
                *refused_before = Some(finding);
            }
        }
    }
    Ok(())
}
