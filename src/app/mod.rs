//! The composition root: the only place that names a port beside its adapter.
//!
//! `start` opens things in the order in which they depend on each other and refuses to start without any one of them;
//! `stop` closes them in reverse and loses nothing: doors first, then calls in flight, then the record.

mod background;
mod callers;
mod connectors;
mod doors;
mod identity;
mod notifying;
mod parts;
mod policy;
mod publishing;
mod shipping;
mod status;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::adapters::clock::{SystemClock, SystemEntropy};
use crate::adapters::http::broker::{InFlight, Upstreams};
use crate::adapters::http::fairness::{Fairness, Share};
use crate::adapters::identity::Identities;
use crate::adapters::metrics::{Metered, Metrics};
use crate::adapters::notify::Webhooks;
use crate::adapters::pdp::InForce;
use crate::adapters::signer;
use crate::adapters::store::SqliteStore;
use crate::adapters::tickets::HttpTickets;
use crate::config::Config;
use crate::domain::id::{EventId, Sha256Digest};
use crate::domain::jose::MandateKeys;
use crate::domain::ledger::{Entry, EventType, LogKey, Subject};
use crate::domain::mandate::Expected;
use crate::domain::policy::Bundle;
use crate::service::audit::{AuditPorts, AuditReads};
use crate::service::broker::{Broker, BrokerPorts, BrokerSettings};
use crate::service::issuer::{Issuer, IssuerPorts, IssuerSettings};
use crate::service::ports::{Clock, Entropy, Ledger as _, PlatformKeys, PolicyPoint as _};
use crate::service::publisher::Publisher;

use crate::service::shipping::SinkGate;
use crate::service::withdrawals::{LegWithdrawals, WithdrawalPorts};

use background::HandshakeFailures;
pub use parts::published_jwks;

/// Which services this process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// AgentAuth and broker.
    Both,
    /// AgentAuth alone.
    AgentAuth,
    /// The broker alone.
    Broker,
}

impl Mode {
    fn agentauth(self) -> bool {
        self != Self::Broker
    }

    fn broker(self) -> bool {
        self != Self::AgentAuth
    }

    /// The last part of the log's origin.
    fn log_name(self) -> &'static str {
        match self {
            Self::Both => "atb",
            Self::AgentAuth => "agentauth",
            Self::Broker => "broker",
        }
    }
}

/// Where a started process listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// AgentAuth.
    pub agentauth: Option<SocketAddr>,
    /// The broker.
    pub broker: Option<SocketAddr>,
    /// Health, readiness, metrics.
    pub ops: SocketAddr,
}

/// Everything that the doors and the background stand on.
struct Core {
    config: Config,
    clock: Arc<SystemClock>,
    entropy: Arc<SystemEntropy>,
    identities: Arc<Identities>,
    platform_keys: Option<Arc<dyn PlatformKeys>>,
    sqlite: Arc<SqliteStore>,
    store: Arc<Metered<SqliteStore>>,
    policy: Arc<InForce>,
    policy_state: policy::PolicyState,
    upstreams: Arc<ArcSwap<Upstreams>>,
    audit: Arc<AuditReads>,
    withdrawn: Arc<LegWithdrawals>,
    gate: Arc<SinkGate>,
    fairness: Arc<Fairness>,
    metrics: Metrics,
}

/// A running process.
pub struct App {
    core: Arc<Core>,
    addresses: Addresses,
    shutdown: watch::Sender<bool>,
    doors: JoinSet<()>,
    background: JoinSet<()>,
    in_flight: InFlight,
    handshakes: Arc<HandshakeFailures>,
    reload: watch::Sender<u64>,
    publishers: Vec<Publisher>,
}

/// Looks at the sources of policy at once.
#[derive(Clone)]
pub struct Reloader(watch::Sender<u64>);

impl Reloader {
    /// Returns at once; what comes of it is in the record and in the log.
    pub fn reload(&self) {
        self.0.send_modify(|looks| *looks += 1);
    }
}

impl App {
    /// Starts the services that `mode` names. `exe` is this program, which checks bundles in a process of its own.
    ///
    /// # Errors
    /// When anything that a service needs is missing, unreadable, unsafe or in use: nothing is half started.
    pub async fn start(config: Config, mode: Mode, exe: &Path) -> anyhow::Result<Self> {
        parts::refuse_unsafe(&config, mode)?;
        let clock = Arc::new(SystemClock);
        let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
        let gate = Arc::new(policy::Gate::new(&config, exe.to_owned(), mode.agentauth())?);
        identity::check_bundle(&config, mode)?;
        // What is wrong in a file is said before an agent is waited for.
        connectors::load(&config, mode, None, None, clock.now())?;
        let (identities, sources) = identity::open(&config, mode).await?;
        let platform_keys = callers::platform_keys(&config)?;
        let upstreams = connectors::load(&config, mode, Some(&identities), None, clock.now())?;
        let upstreams = Arc::new(ArcSwap::from_pointee(upstreams));
        let share = config.agent_share;
        let share = Share { connections: share.connections, requests: share.requests };
        let webhooks = match mode.agentauth() {
            true => Some(Arc::new(Webhooks::new(&config.notify, config.dev)?)),
            false => None,
        };
        let witnesses = publishing::witnesses(&config)?;
        let sqlite = Arc::new(parts::open_store(&config, mode, &clock).await?);
        let started = policy::start(&config, &gate, &sqlite, &clock, &metrics).await;
        let policy::Started { policy, state, bundle, facts, bytes, source, refused } = match started {
            Ok(started) => started,
            Err(error) => {
                let _ = sqlite.close().await;
                return Err(error);
            }
        };
        let store = Arc::new(Metered::new(Arc::clone(&sqlite), metrics.clone()));
        let entropy = Arc::new(SystemEntropy);
        let ports = WithdrawalPorts {
            store: store.clone(),
            policy: policy.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let withdrawn = LegWithdrawals::open(config.legal_officers.clone(), ports).await;
        let ports =
            AuditPorts { log: store.clone(), ledger: store.clone(), clock: clock.clone(), entropy: entropy.clone() };
        let audit = Arc::new(AuditReads::new(config.auditors.clone(), ports));
        let core = Arc::new(Core {
            audit,
            withdrawn: Arc::new(withdrawn.context("the withdrawn legal grounds")?),
            policy,
            policy_state: state,
            store,
            entropy,
            config,
            clock,
            identities,
            platform_keys,
            sqlite,
            upstreams,
            gate: Arc::default(),
            fairness: Arc::new(Fairness::new(share)),
            metrics,
        });
        core.observe_commits();
        let in_flight = InFlight::default();
        let (shutdown, stopping) = watch::channel(false);
        let handshakes = Arc::new(HandshakeFailures::default());
        let joined = match notifying::join(&core, webhooks.as_ref()).await {
            Ok(()) => shipping::join(&core, mode).await,
            Err(error) => Err(error),
        };
        sources.confirm(&core.identities).await;
        let opened = match joined {
            Ok(joined) => {
                let opened = doors::open(&core, mode, &in_flight, &handshakes, stopping.clone()).await;
                opened.map(|opened| (opened, joined))
            }
            Err(error) => Err(error),
        };
        let ((doors, addresses, issuer), joined) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let _ = core.sqlite.close().await;
                return Err(error);
            }
        };
        core.record_start(&bundle, &facts, bytes, mode).await?;
        core.record_connectors(&core.upstreams.load_full().connectors).await?;
        core.show_policy();
        if let Some(refused) = &refused {
            policy::refuse(&core, policy::Role::InForce, refused).await?;
        }
        let mut background = background::start(&core, issuer, &handshakes, stopping.clone());
        sources.start(&core, &stopping, &mut background);
        let (reload, reloads) = watch::channel(0);
        policy::watch(&core, source, &reloads, &stopping, &mut background)?;
        connectors::start(&core, mode, &reloads, &stopping, &mut background);
        if let (Some(webhooks), Some(door)) = (&webhooks, addresses.agentauth) {
            notifying::start(&core, webhooks, door, &stopping, &mut background);
        }
        let publishers = publishing::places(&core, witnesses);
        publishing::start(&core, &publishers, &stopping, &mut background);
        shipping::start(&core, joined, &stopping, &mut background);
        tracing::info!(
            agentauth = addresses.agentauth.map(|a| a.to_string()),
            broker = addresses.broker.map(|a| a.to_string()),
            ops = %addresses.ops,
            bundle.revision = %bundle.revision(),
            dev = core.config.dev,
            "started"
        );
        Ok(Self { core, addresses, shutdown, doors, background, in_flight, handshakes, reload, publishers })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// What makes it look at its policy's sources at once.
    pub fn reloader(&self) -> Reloader {
        Reloader(self.reload.clone())
    }

    /// Stops in order: no new requests, requests in flight and their outcomes on record, a last checkpoint.
    ///
    /// # Errors
    /// When the record could not be closed in order; the next start recovers.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.send_replace(true);
        while self.doors.join_next().await.is_some() {}
        let drain = self.core.config.drain;
        if tokio::time::timeout(drain, self.in_flight.settled()).await.is_err() {
            tracing::warn!("calls are still in doubt after the drain time; the next start records them as unknown");
        }
        while self.background.join_next().await.is_some() {}
        self.handshakes.flush(&self.core).await;
        self.core.flush_throttled().await;
        let stopped = self.core.entry(EventType::ServiceStopped, Subject::default());
        self.core.store.record(stopped).await.context("the stop is not on record")?;
        publishing::finish(&self.core, &self.publishers).await;
        self.core.sqlite.close().await.context("the ledger was not closed in order")?;
        tracing::info!("stopped");
        Ok(())
    }
}

impl Core {
    fn entry(&self, event_type: EventType, subject: Subject) -> Entry {
        let at = self.clock.now();
        let event_id = EventId::new(at, self.entropy.bytes());
        Entry { event_id, event_type, at, workspace: crate::domain::id::WorkspaceId::default(), subject }
    }

    fn observe_commits(&self) {
        let metrics = self.metrics.clone();
        self.sqlite.stats().on_commit(move |group| {
            metrics.committed(group.requests, Duration::from_micros(group.micros));
        });
    }

    /// What the policy is and that the process runs, before the first request is taken.
    async fn record_start(
        &self,
        bundle: &Bundle,
        facts: &policy::BundleFacts,
        bytes: Option<Vec<u8>>,
        mode: Mode,
    ) -> anyhow::Result<()> {
        policy::keep(self, bytes).await?;
        let highest = self.policy_state.highest();
        let activated = policy::activation(bundle, facts, policy::Role::InForce, None, highest);
        self.store.record(self.entry(EventType::PolicyActivated, activated)).await?;
        self.metrics.policy().activated(policy::Role::InForce.as_str());
        let of_bundle = Subject {
            bundle: Some(bundle.revision().clone()),
            bundle_digest: Some(bundle.digest()),
            ..Subject::default()
        };
        let mut subject = of_bundle;
        subject.detail.insert("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        subject.detail.insert("services".to_owned(), format!("{mode:?}").to_lowercase());
        let digest = Sha256Digest::of(format!("{:?}", self.config).as_bytes());
        subject.detail.insert("configuration_digest".to_owned(), digest.to_string());
        // By whose keys mandates and approvals were believed: who checks a case later holds the files against these.
        let files =
            [("jwks_digest", published_jwks(&self.config)), ("trust_digest", Some(self.config.trust_bundle.clone()))];
        for (name, path) in files {
            if let Some(bytes) = path.and_then(|path| std::fs::read(path).ok()) {
                subject.detail.insert(name.to_owned(), Sha256Digest::of(&bytes).to_string());
            }
        }
        self.store.record(self.entry(EventType::ServiceStarted, subject)).await?;
        Ok(())
    }

    /// What is in force, for the metrics.
    fn show_policy(&self) {
        let (since, expires_at, sequence) = self.policy_state.in_force();
        self.metrics.policy().in_force(since, expires_at, sequence);
        self.metrics.policy().looked(policy::Role::InForce.as_str(), self.clock.now());
    }

    fn trust_port(&self) -> Arc<dyn Fn() -> Arc<crate::domain::spiffe::TrustBundles> + Send + Sync> {
        let trust = self.identities.approving();
        Arc::new(move || trust.load_full())
    }

    /// AgentAuth's use cases and the keys that it publishes.
    fn issuer(&self) -> anyhow::Result<(Arc<Issuer>, Arc<MandateKeys>)> {
        let part = self.config.agentauth.as_ref().context("the configuration has no [agentauth]")?;
        let path = self.config.mandate_key.as_ref().context("`keys.mandate` is missing: AgentAuth cannot sign")?;
        let (signer, public) = signer::mandate_signer(signer::read_ed25519(path)?)?;
        let keys = Arc::new(MandateKeys::new(vec![public]));
        parts::publish_jwks(&self.config, &keys)?;
        let settings = IssuerSettings {
            id: part.door.spiffe_id.clone(),
            brokers: part.brokers.clone(),
            default_ttl: part.default_ttl,
            max_ttl: part.max_ttl,
            environment: self.config.environment,
        };
        let ports = IssuerPorts {
            ledger: self.store.clone(),
            challenges: self.store.clone(),
            policy: self.policy.clone(),
            tickets: Arc::new(HttpTickets::new(&self.config.tickets, self.config.dev)?),
            calls: Arc::new(parts::Routes(Arc::clone(&self.upstreams))),
            trust: self.trust_port(),
            withdrawn: Arc::clone(&self.withdrawn),
            commit: parts::commitment_key(&self.config, &self.policy.bundle())?,
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        };
        Ok((Arc::new(Issuer::new(settings, signer, ports)), keys))
    }

    /// The broker's use cases over `keys`.
    fn broker(&self, keys: Arc<MandateKeys>) -> anyhow::Result<Arc<Broker>> {
        let part = self.config.broker.as_ref().context("the configuration has no [broker]")?;
        let expected =
            Expected { issuer: part.agentauth.clone(), audience: part.door.spiffe_id.clone(), max_ttl: part.max_ttl };
        let settings = BrokerSettings {
            expected,
            environment: self.config.environment,
            allow_unmandated_low_risk: part.allow_unmandated_low_risk,
        };
        let ports = BrokerPorts {
            ledger: self.store.clone(),
            policy: self.policy.clone(),
            guardrails: parts::guardrails(&self.config)?,
            data_api: part.data_api.iter().cloned().collect(),
            calls: Arc::new(parts::Routes(Arc::clone(&self.upstreams))),
            withdrawn: Arc::clone(&self.withdrawn),
            keys: Arc::new(move || Arc::clone(&keys)),
            trust: self.trust_port(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        };
        Ok(Arc::new(Broker::new(settings, ports)))
    }
}

/// What a start would refuse, without starting.
pub async fn check(config: &Config, exe: &Path) -> Vec<anyhow::Error> {
    let modes = match (&config.agentauth, &config.broker) {
        (Some(_), Some(_)) => Mode::Both,
        (Some(_), None) => Mode::AgentAuth,
        _ => Mode::Broker,
    };
    let bundle = policy::check(config, exe, modes.agentauth()).await;
    let log_key = || signer::read_ed25519(&config.ledger_key).map(LogKey::new).map(drop).map_err(Into::into);
    let mandate_key = || match (&config.mandate_key, modes.agentauth()) {
        (Some(path), true) => signer::read_ed25519(path).map(drop).map_err(Into::into),
        (None, true) => Err(anyhow::Error::msg("`keys.mandate` is missing: AgentAuth cannot sign")),
        _ => Ok(()),
    };
    let tickets = || match modes.agentauth() {
        true => HttpTickets::new(&config.tickets, config.dev).map(drop).map_err(Into::into),
        false => Ok(()),
    };
    let webhooks = || match modes.agentauth() {
        true => Webhooks::new(&config.notify, config.dev).map(drop).map_err(Into::into),
        false => Ok(()),
    };
    let witnesses = || publishing::witnesses(config).map(drop).map_err(Into::into);
    let mut identities = identity::check(config);
    // Without identities, which are named below, nothing can be said of who signed what.
    let known = identities.as_mut().ok().and_then(Option::take);
    let results: [anyhow::Result<()>; 12] = [
        parts::refuse_unsafe(config, modes),
        identities.map(drop),
        callers::platform_keys(config).map(drop),
        parts::guardrails(config).map(drop),
        connectors::load(config, modes, known.as_ref(), None, SystemClock.now()).map(drop).map_err(Into::into),
        log_key(),
        mandate_key(),
        tickets(),
        webhooks(),
        witnesses(),
        shipping::check(config, modes),
        bundle,
    ];
    results.into_iter().filter_map(Result::err).collect()
}

/// The verification key's file, beside the ledger's key.
fn verifier_key_path(config: &Config) -> PathBuf {
    config.ledger_key.with_extension("vkey")
}
