//! The file as written, by section, and what it means.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::{
    AgentAuthConfig, AgentShare, BrokerConfig, Config, ConfigError, Door, guardrails, identity, ledger, notify,
    object_store, policy, retention, sinks, tickets, trust,
};
use crate::domain::approval::ConnectorSigner;
use crate::domain::policy::Environment;
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Ttl;

/// The file as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    /// Allows what production refuses. Written by `atb init`.
    #[serde(default)]
    dev: bool,
    /// Where the services run: `production` unless it says otherwise, also for development.
    #[serde(default)]
    environment: Environment,
    trust: trust::RawTrust,
    #[serde(default)]
    federation: BTreeMap<String, trust::RawFederation>,
    #[serde(default)]
    access: trust::RawAccess,
    #[serde(default)]
    jwt_svid: identity::RawJwtSvid,
    platform: Option<identity::RawPlatform>,
    store: RawStore,
    keys: RawKeys,
    #[serde(default)]
    bundle: RawBundle,
    #[serde(default)]
    policy: policy::RawPolicy,
    #[serde(default)]
    agentauth: Option<RawAgentAuth>,
    #[serde(default)]
    broker: Option<RawBroker>,
    #[serde(default)]
    tickets: BTreeMap<String, tickets::RawTicketSystem>,
    #[serde(default)]
    notify: notify::RawNotify,
    #[serde(default)]
    sinks: BTreeMap<String, sinks::RawSink>,
    #[serde(default)]
    retention: retention::RawRetention,
    archive: Option<object_store::RawObjectStore>,
    #[serde(default)]
    api: RawApi,
    #[serde(default)]
    guardrails: guardrails::RawGuardrails,
    #[serde(default)]
    legal: RawLegal,
    #[serde(default)]
    ledger: ledger::RawLedger,
    #[serde(default)]
    ops: RawOps,
    #[serde(default)]
    limits: RawLimits,
    #[serde(default)]
    log: RawLog,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStore {
    path: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKeys {
    mandate: Option<PathBuf>,
    commitment: Option<PathBuf>,
    ledger: PathBuf,
    jwks: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBundle {
    dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAgentAuth {
    listen: SocketAddr,
    spiffe_id: String,
    svid: Option<PathBuf>,
    key: Option<PathBuf>,
    #[serde(default = "default_ttl")]
    default_ttl_seconds: u64,
    #[serde(default = "default_ttl")]
    max_ttl_seconds: u64,
    #[serde(default)]
    brokers: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBroker {
    listen: SocketAddr,
    spiffe_id: String,
    svid: Option<PathBuf>,
    key: Option<PathBuf>,
    connectors: PathBuf,
    #[serde(default = "default_ttl")]
    max_ttl_seconds: u64,
    #[serde(default)]
    agentauth: Option<String>,
    #[serde(default)]
    allow_unmandated_low_risk: bool,
    #[serde(default)]
    data_api: Vec<String>,
    #[serde(default)]
    connector_signers: Vec<ConnectorSigner>,
    require_signed_connectors: Option<bool>,
    #[serde(default = "default_connectors_poll")]
    connectors_poll_seconds: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawApi {
    #[serde(default)]
    readers: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLegal {
    #[serde(default)]
    officers: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOps {
    #[serde(default = "default_ops")]
    listen: SocketAddr,
}

impl Default for RawOps {
    fn default() -> Self {
        Self { listen: default_ops() }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    #[serde(default = "default_connections")]
    connections: usize,
    #[serde(default = "default_agent_share")]
    agent_connections: usize,
    #[serde(default = "default_agent_share")]
    agent_requests: usize,
    #[serde(default = "default_drain")]
    drain_seconds: u64,
    #[serde(default = "default_policy_threads")]
    policy_threads: usize,
    #[serde(default = "default_policy_ms")]
    policy_ms: u16,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            connections: default_connections(),
            agent_connections: default_agent_share(),
            agent_requests: default_agent_share(),
            drain_seconds: default_drain(),
            policy_threads: default_policy_threads(),
            policy_ms: default_policy_ms(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLog {
    #[serde(default = "default_level")]
    level: String,
}

impl Default for RawLog {
    fn default() -> Self {
        Self { level: default_level() }
    }
}

fn default_ttl() -> u64 {
    300
}
fn default_ops() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8440))
}
fn default_connections() -> usize {
    4096
}
fn default_agent_share() -> usize {
    1024
}
fn default_connectors_poll() -> u64 {
    5
}
fn default_drain() -> u64 {
    20
}
fn default_policy_threads() -> usize {
    2
}
fn default_policy_ms() -> u16 {
    500
}
fn default_level() -> String {
    "info".to_owned()
}

impl Raw {
    pub(super) fn resolve(self, base: &Path) -> Result<Config, ConfigError> {
        let value = |key, detail: String| ConfigError::Value { key, detail };
        let id = |key, text: &str| {
            text.parse::<SpiffeId>().map_err(|error| value(key, format!("`{text}` is not a SPIFFE ID: {error}")))
        };
        let at = |path: PathBuf| base.join(path);
        let store = at(self.store.path);
        let trust::Resolved { domain, bundle, trust, known } =
            trust::resolve(self.trust, self.federation, self.access, &store, base)?;
        let from_files = trust.workload_api.is_none();
        let door = |listen, spiffe_id, svid: Option<PathBuf>, key: Option<PathBuf>, name| {
            let files = match (svid, key, from_files) {
                (Some(svid), Some(key), true) => Some((base.join(svid), base.join(key))),
                (None, None, false) => None,
                (_, _, true) => return Err(value(name, "`svid` and `key` are missing: name the PEM files".to_owned())),
                (_, _, false) => {
                    let detail = "the Workload API has SVID and key (`trust.source`): take `svid` and `key` out";
                    return Err(value(name, detail.to_owned()));
                }
            };
            Ok(Door { listen, spiffe_id, files })
        };
        // Nobody of a domain that we do not know gets in; an entry that can never match is a slip.
        let ours = |key, texts: &[String]| {
            let one = |text: &String| {
                let named: SpiffeId = id(key, text)?;
                if known.contains(named.trust_domain_name()) {
                    return Ok(named);
                }
                Err(value(key, format!("`{named}` is not of the trust domain `{domain}`, nor of a federated one")))
            };
            texts.iter().map(one).collect::<Result<Vec<_>, _>>()
        };
        let agentauth_id =
            self.agentauth.as_ref().map(|part| id("agentauth.spiffe_id", &part.spiffe_id)).transpose()?;
        let broker_id = self.broker.as_ref().map(|part| id("broker.spiffe_id", &part.spiffe_id)).transpose()?;
        let broker = match (self.broker, broker_id.clone()) {
            (Some(raw), Some(spiffe_id)) => Some(BrokerConfig {
                door: door(raw.listen, spiffe_id, raw.svid, raw.key, "broker.svid")?,
                connectors: at(raw.connectors),
                max_ttl: ttl("broker.max_ttl_seconds", raw.max_ttl_seconds)?,
                allow_unmandated_low_risk: raw.allow_unmandated_low_risk,
                require_signed_connectors: signed_connectors(raw.require_signed_connectors, self.dev)?,
                connector_signers: signers(raw.connector_signers)?,
                connectors_poll: match raw.connectors_poll_seconds {
                    seconds @ 1..=3600 => Duration::from_secs(seconds),
                    other => {
                        let detail = format!("{other} is outside 1 to 3600");
                        return Err(value("broker.connectors_poll_seconds", detail));
                    }
                },
                data_api: raw.data_api.iter().map(|text| id("broker.data_api", text)).collect::<Result<_, _>>()?,
                agentauth: match (&raw.agentauth, &agentauth_id) {
                    (Some(text), _) => id("broker.agentauth", text)?,
                    (None, Some(id)) => id.clone(),
                    (None, None) => {
                        return Err(value(
                            "broker.agentauth",
                            "name the AgentAuth whose mandates are taken".to_owned(),
                        ));
                    }
                },
            }),
            _ => None,
        };
        let agentauth = match (self.agentauth, agentauth_id) {
            (Some(raw), Some(spiffe_id)) => {
                let mut brokers =
                    raw.brokers.iter().map(|text| id("agentauth.brokers", text)).collect::<Result<Vec<_>, _>>()?;
                brokers.extend(broker_id.filter(|id| !brokers.contains(id)));
                if brokers.is_empty() || brokers.len() > 16 {
                    return Err(value("agentauth.brokers", "name 1 to 16 brokers that mandates are for".to_owned()));
                }
                let max_ttl = ttl("agentauth.max_ttl_seconds", raw.max_ttl_seconds)?;
                Some(AgentAuthConfig {
                    door: door(raw.listen, spiffe_id, raw.svid, raw.key, "agentauth.svid")?,
                    default_ttl: ttl("agentauth.default_ttl_seconds", raw.default_ttl_seconds)?.min(max_ttl),
                    max_ttl,
                    brokers,
                })
            }
            _ => None,
        };
        let in_range = |key, number: usize, range: std::ops::RangeInclusive<usize>| {
            let detail = format!("{number} is outside {} to {}", range.start(), range.end());
            if range.contains(&number) { Ok(number) } else { Err(value(key, detail)) }
        };
        let policy = self.policy.resolve(self.bundle.dir, &store, base, self.dev)?;
        in_range("limits.policy_ms", usize::from(self.limits.policy_ms), 10..=10_000)?;
        Ok(Config {
            dev: self.dev,
            environment: self.environment,
            trust_bundle: bundle,
            jwt_svid: self.jwt_svid.resolve()?,
            platform: self.platform.map(|raw| raw.resolve(base)).transpose()?,
            store,
            mandate_key: self.keys.mandate.map(at),
            commitment_key: self.keys.commitment.map(at),
            jwks: self.keys.jwks.map(at),
            ledger_key: at(self.keys.ledger),
            bundle_dir: policy.path(),
            policy,
            agentauth,
            broker,
            tickets: tickets::resolve(self.tickets, base)?,
            notify: self.notify.resolve(base)?,
            trust,
            api_readers: ours("api.readers", &self.api.readers)?,
            guardrails: self.guardrails.resolve(base)?,
            legal_officers: ours("legal.officers", &self.legal.officers)?,
            auditors: ours("ledger.auditors", &self.ledger.auditors)?,
            ledger: self.ledger.resolve(&known, base)?,
            trust_domain: domain,
            sinks: sinks::resolve(self.sinks, base)?,
            retention: self.retention.resolve()?,
            archive: retention::archive(self.archive, base)?,
            ops: self.ops.listen,
            connections: in_range("limits.connections", self.limits.connections, 1..=100_000)?,
            agent_share: AgentShare {
                connections: in_range("limits.agent_connections", self.limits.agent_connections, 1..=100_000)?,
                requests: in_range("limits.agent_requests", self.limits.agent_requests, 1..=100_000)?,
            },
            drain: Duration::from_secs(self.limits.drain_seconds.min(600)),
            policy_threads: in_range("limits.policy_threads", self.limits.policy_threads, 1..=64)?,
            policy_deadline: Duration::from_millis(u64::from(self.limits.policy_ms)),
            log_level: self.log.level,
        })
    }
}

/// In production every connector is signed off, whatever the file says.
fn signed_connectors(written: Option<bool>, dev: bool) -> Result<bool, ConfigError> {
    let key = "broker.require_signed_connectors";
    match (written, dev) {
        (Some(false), false) => {
            let detail = "production uses only connectors that security and legal have signed off".to_owned();
            Err(ConfigError::Value { key, detail })
        }
        (Some(written), _) => Ok(written),
        (None, dev) => Ok(!dev),
    }
}

/// One identity is one person, who signs once for a role.
fn signers(signers: Vec<ConnectorSigner>) -> Result<Vec<ConnectorSigner>, ConfigError> {
    let key = "broker.connector_signers";
    for (at, signer) in signers.iter().enumerate() {
        let others = signers.iter().take(at).filter(|other| other.id == signer.id);
        if let Some(other) = others.into_iter().find(|o| o.person != signer.person || o.role == signer.role) {
            let detail = format!("`{}` is there twice for {}, or is two people", other.id, signer.role.as_str());
            return Err(ConfigError::Value { key, detail });
        }
    }
    if signers.len() > 64 {
        return Err(ConfigError::Value { key, detail: "name at most 64 signers".to_owned() });
    }
    Ok(signers)
}

fn ttl(key: &'static str, seconds: u64) -> Result<Ttl, ConfigError> {
    Ttl::from_secs(seconds).map_err(|error| ConfigError::Value { key, detail: error.to_string() })
}
