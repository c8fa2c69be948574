//! Configuration: one TOML file, every key also as `ATB_SECTION__KEY` in the environment.
//!
//! Two forms. [`Raw`](crate::config::Raw) is the file as written: strict, unknown keys refused with the nearest known
//! name. [`Config`](crate::config::Config) is what the rest of the program sees: paths resolved against the file's
//! folder, names parsed, insecure choices refused outside development. This module is the only reader of the environment.

mod guardrails;
mod identity;
mod ledger;
mod notify;
mod object_store;
mod policy;
mod raw;
mod retention;
mod sinks;
mod tickets;
mod trust;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::approval::ConnectorSigner;
use crate::domain::policy::Environment;
use crate::domain::spiffe::{SpiffeId, TrustDomain};
use crate::domain::time::Ttl;

pub use guardrails::{GuardrailServiceConfig, GuardrailsConfig};
pub use identity::{DoorName, JwtSvidConfig, PlatformConfig, WithoutJtiConfig};
pub use ledger::{LedgerConfig, WitnessConfig};
pub use notify::{EndpointConfig, EndpointUrl, NotifyConfig, Shape};
pub use object_store::{ObjectLock, ObjectStoreConfig};
pub use policy::{CandidateConfig, PolicyConfig, SourceConfig, SourcePlace};
pub use raw::Raw;
pub use retention::RetentionConfig;
pub use sinks::{FileSinkConfig, HttpShape, HttpSinkConfig, SinkConfig, SinkTarget, SyslogConfig};
pub use tickets::TicketSystemConfig;
pub use trust::{FederationConfig, FederationSource, TrustConfig};

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read `{}`: {source}; `atb init DIR` makes one", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong type.
    #[error("{}:{place}: {detail}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// `line:column`.
        place: String,
        /// What and what to do.
        detail: String,
    },
    /// A variable that no key has.
    #[error("the environment sets `{name}`, and there is no such key{hint}")]
    Variable {
        /// The variable.
        name: String,
        /// The nearest known one.
        hint: String,
    },
    /// A value that cannot be meant.
    #[error("`{key}`: {detail}")]
    Value {
        /// The key.
        key: &'static str,
        /// What and what to do.
        detail: String,
    },
}

/// Every key, as `section.key`. A test holds it against [`Raw`].
pub const KEYS: [&str; 100] = [
    "dev",
    "environment",
    "trust.domain",
    "trust.bundle",
    "trust.source",
    "trust.endpoint_socket",
    "trust.max_age_seconds",
    "trust.jwt_bundle",
    "access.issue",
    "access.call",
    "access.approve",
    "access.decide",
    "access.administer",
    "access.audit",
    "store.path",
    "keys.mandate",
    "keys.commitment",
    "keys.ledger",
    "keys.jwks",
    "bundle.dir",
    "policy.source",
    "policy.poll_seconds",
    "policy.persist",
    "policy.verification_keys",
    "policy.require_signature",
    "policy.pin",
    "policy.token_file",
    "policy.ca",
    "policy.candidate",
    "agentauth.listen",
    "agentauth.spiffe_id",
    "agentauth.svid",
    "agentauth.key",
    "agentauth.default_ttl_seconds",
    "agentauth.max_ttl_seconds",
    "agentauth.brokers",
    "broker.listen",
    "broker.spiffe_id",
    "broker.svid",
    "broker.key",
    "broker.connectors",
    "broker.max_ttl_seconds",
    "broker.agentauth",
    "broker.allow_unmandated_low_risk",
    "broker.data_api",
    "broker.connector_signers",
    "broker.require_signed_connectors",
    "broker.connectors_poll_seconds",
    "notify.link",
    "notify.retry_seconds",
    "notify.max_age_seconds",
    "notify.endpoints",
    "api.readers",
    "guardrails.patterns",
    "guardrails.service",
    "guardrails.ca",
    "guardrails.secret",
    "guardrails.timeout_ms",
    "guardrails.fail_open",
    "legal.officers",
    "ledger.auditors",
    "ledger.readers",
    "ledger.checkpoints",
    "retention.access_days",
    "retention.audit_days",
    "archive.bucket",
    "archive.prefix",
    "archive.region",
    "archive.endpoint",
    "archive.secret",
    "archive.ca",
    "archive.lock_mode",
    "archive.lock_days",
    "archive.timeout_ms",
    "jwt_svid.enabled",
    "jwt_svid.doors",
    "jwt_svid.audience",
    "jwt_svid.max_lifetime_seconds",
    "jwt_svid.proxies",
    "jwt_svid.without_jti",
    "platform.issuer",
    "platform.audience",
    "platform.algorithms",
    "platform.jwks_url",
    "platform.ca",
    "platform.claim",
    "platform.binding",
    "platform.mapping",
    "platform.max_lifetime_seconds",
    "platform.refresh_seconds",
    "platform.max_stale_seconds",
    "platform.timeout_ms",
    "ops.listen",
    "limits.connections",
    "limits.agent_connections",
    "limits.agent_requests",
    "limits.drain_seconds",
    "limits.policy_threads",
    "limits.policy_ms",
    "log.level",
];

/// The configuration in its meaningful form.
#[derive(Debug, Clone)]
pub struct Config {
    /// Development: allows what production refuses.
    pub dev: bool,
    /// Where the services run, as the policy is told.
    pub environment: Environment,
    /// The trust domain.
    pub trust_domain: TrustDomain,
    /// Its X.509 authorities, PEM: the source, or the copy of what the Workload API said last.
    pub trust_bundle: PathBuf,
    /// Where our identity and the bundles come from, and who may come to which door.
    pub trust: TrustConfig,
    /// What of JWT-SVIDs is taken at the doors, if any is.
    pub jwt_svid: Option<JwtSvidConfig>,
    /// The platform that vouches for agents, if one does.
    pub platform: Option<PlatformConfig>,
    /// The ledger's database.
    pub store: PathBuf,
    /// AgentAuth's signing key, PKCS#8 PEM.
    pub mandate_key: Option<PathBuf>,
    /// The key of commitments to personal data in legal grounds, 64 hexadecimal digits.
    pub commitment_key: Option<PathBuf>,
    /// AgentAuth's public keys, for a broker that runs apart from it.
    pub jwks: Option<PathBuf>,
    /// The ledger's signing key, PKCS#8 PEM.
    pub ledger_key: PathBuf,
    /// The policy bundle for tools: its folder or archive; of an endpoint, the last good archive.
    pub bundle_dir: PathBuf,
    /// Where the policy comes from.
    pub policy: PolicyConfig,
    /// AgentAuth, where this process runs it.
    pub agentauth: Option<AgentAuthConfig>,
    /// The broker, where this process runs it.
    pub broker: Option<BrokerConfig>,
    /// The systems that confirm tickets, by name.
    pub tickets: BTreeMap<String, TicketSystemConfig>,
    /// Who is told of challenges.
    pub notify: NotifyConfig,
    /// The systems that are sent the ledger.
    pub sinks: Vec<SinkConfig>,
    /// How long entries stay.
    pub retention: RetentionConfig,
    /// Where they go then, if it is a bucket.
    pub archive: Option<ObjectStoreConfig>,
    /// Who may read the description of the API, at both doors.
    pub api_readers: Vec<SpiffeId>,
    /// What looks at what calls say, where anything does.
    pub guardrails: Option<GuardrailsConfig>,
    /// Who may withdraw legal grounds, at both doors.
    pub legal_officers: Vec<SpiffeId>,
    /// Who may read the record, at both doors.
    pub auditors: Vec<SpiffeId>,
    /// Who may read the log, and where its checkpoints go.
    pub ledger: LedgerConfig,
    /// The plain listener for health, readiness and metrics.
    pub ops: SocketAddr,
    /// Connections per mTLS listener.
    pub connections: usize,
    /// What one identity may have at the doors.
    pub agent_share: AgentShare,
    /// How long a shutdown waits for calls in flight.
    pub drain: Duration,
    /// Threads that evaluate policy.
    pub policy_threads: usize,
    /// The longest that one question to the policy may take; its evaluation alone a tenth of it.
    pub policy_deadline: Duration,
    /// The log filter, `tracing` syntax.
    pub log_level: String,
}

/// One mTLS listener and the SVID that it shows.
#[derive(Debug, Clone)]
pub struct Door {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Who we are there.
    pub spiffe_id: SpiffeId,
    /// The chain (PEM) and its key (PKCS#8 PEM); absent where the Workload API has them.
    pub files: Option<(PathBuf, PathBuf)>,
}

/// AgentAuth's part.
#[derive(Debug, Clone)]
pub struct AgentAuthConfig {
    /// The listener.
    pub door: Door,
    /// The lifetime where none is asked for.
    pub default_ttl: Ttl,
    /// The longest lifetime.
    pub max_ttl: Ttl,
    /// The brokers that mandates are for.
    pub brokers: Vec<SpiffeId>,
}

/// The broker's part.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// The listener.
    pub door: Door,
    /// The folder of connector files.
    pub connectors: PathBuf,
    /// The longest lifetime that a mandate may have.
    pub max_ttl: Ttl,
    /// The AgentAuth whose mandates are taken.
    pub agentauth: SpiffeId,
    /// Whether the policy may let low-risk reads through that come without a mandate.
    pub allow_unmandated_low_risk: bool,
    /// Who may ask the policy by OPA's Data API.
    pub data_api: Vec<SpiffeId>,
    /// Who may sign connectors off.
    pub connector_signers: Vec<ConnectorSigner>,
    /// Whether a connector is used only when security and legal have signed it off; always in production.
    pub require_signed_connectors: bool,
    /// How often the connector files are looked at.
    pub connectors_poll: Duration,
}

/// What one identity may have at the doors of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentShare {
    /// Open connections.
    pub connections: usize,
    /// Requests under way.
    pub requests: usize,
}

/// Where a workload finds its Workload API (SPIFFE Workload Endpoint §4).
const ENDPOINT: &str = "SPIFFE_ENDPOINT_SOCKET";
/// The operating model's own name for `broker.allow_unmandated_low_risk`.
const UNMANDATED: &str = "ALLOW_UNMANDATED_LOW_RISK";

impl Config {
    /// Reads a file and the process's environment.
    ///
    /// # Errors
    /// As the variants of [`ConfigError`] say.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        #[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
        let environment =
            std::env::vars().filter(|(name, _)| name.starts_with("ATB_") || name == UNMANDATED || name == ENDPOINT);
        let environment = environment.collect::<Vec<_>>();
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text, &environment)
    }

    /// Reads a text and the variables that overlay it.
    ///
    /// # Errors
    /// As the variants of [`ConfigError`] say.
    pub fn parse(path: &Path, text: &str, environment: &[(String, String)]) -> Result<Self, ConfigError> {
        let syntax = |error: &toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            place: error.span().map_or_else(|| "1:1".to_owned(), |span| place(text, span.start)),
            detail: with_hint(error.message()),
        };
        // The file alone first, so that its errors have their line. What it lacks the environment may give.
        let written: toml::Table = text.parse().map_err(|error| syntax(&error))?;
        let overlaid = overlay(written.clone(), environment)?;
        if let Err(error) = toml::from_str::<Raw>(text)
            && (overlaid == written || error.message().starts_with("unknown field"))
        {
            return Err(syntax(&error));
        }
        let raw: Raw = overlaid.try_into().map_err(|error: toml::de::Error| syntax(&error))?;
        raw.resolve(path.parent().unwrap_or(Path::new(".")))
    }
}

/// `ATB_SECTION__KEY=value` over the file. A value is TOML where it parses as such, else text.
fn overlay(mut table: toml::Table, environment: &[(String, String)]) -> Result<toml::Table, ConfigError> {
    if let Some(broker) = table.get_mut("broker").and_then(toml::Value::as_table_mut)
        && let Some((_, text)) = environment.iter().find(|(name, _)| name == UNMANDATED)
    {
        // An AgentAuth that runs alone has no calls to let through.
        let value = text.parse().map(toml::Value::Boolean).unwrap_or_else(|_| toml::Value::String(text.clone()));
        broker.insert("allow_unmandated_low_risk".to_owned(), value);
    }
    if let Some(trust) = table.get_mut("trust").and_then(toml::Value::as_table_mut)
        && let Some((_, text)) = environment.iter().find(|(name, _)| name == ENDPOINT)
    {
        // Ours is more particular than everybody's.
        trust.entry("endpoint_socket").or_insert_with(|| toml::Value::String(text.clone()));
    }
    for (name, text) in environment {
        let Some(key) = name.strip_prefix("ATB_") else { continue };
        // Other variables of ours (ATB_HOME for the clients) have no section.
        if !key.contains("__") && key != "DEV" && key != "ENVIRONMENT" {
            continue;
        }
        let dotted = key.to_ascii_lowercase().replacen("__", ".", 1);
        // The names below `tickets`, `sinks` and `federation` are the operator's own; the value is an inline table.
        let own = ["tickets.", "sinks.", "federation."].iter().any(|section| dotted.starts_with(section));
        if !own && !KEYS.contains(&dotted.as_str()) {
            let hint = nearest(&dotted, KEYS.iter().copied()).map_or_else(String::new, |known| {
                format!("; did you mean `ATB_{}`?", known.replacen('.', "__", 1).to_ascii_uppercase())
            });
            return Err(ConfigError::Variable { name: name.clone(), hint });
        }
        let parsed = format!("x = {text}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("x"));
        let value = parsed.unwrap_or_else(|| toml::Value::String(text.clone()));
        match dotted.split_once('.') {
            None => drop(table.insert(dotted, value)),
            Some((section, key)) => {
                let section = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
                if let Some(section) = section.as_table_mut() {
                    section.insert(key.to_owned(), value);
                }
            }
        }
    }
    Ok(table)
}

fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{line}:{column}")
}

/// serde's "unknown field `x`, expected one of …" with the nearest name in front.
fn with_hint(message: &str) -> String {
    let Some(rest) = message.strip_prefix("unknown field `") else { return message.to_owned() };
    let Some((unknown, known)) = rest.split_once('`') else { return message.to_owned() };
    let known = known.split('`').skip(1).step_by(2);
    let mut out = format!("unknown key `{unknown}`");
    if let Some(nearest) = nearest(unknown, known) {
        let _ = write!(out, "; did you mean `{nearest}`?");
    }
    out
}

fn nearest<'k>(unknown: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known
        .map(|name| (strsim::jaro_winkler(unknown, name), name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"
dev = true
[trust]
domain = "atb.dev"
bundle = "trust/bundle.pem"
[store]
path = "data/ledger.db"
[keys]
mandate = "keys/mandate.pem"
ledger = "keys/ledger.pem"
[bundle]
dir = "opa"
[agentauth]
listen = "127.0.0.1:8441"
spiffe_id = "spiffe://atb.dev/agentauth"
svid = "svids/agentauth/svid.pem"
key = "svids/agentauth/key.pem"
[broker]
listen = "127.0.0.1:8442"
spiffe_id = "spiffe://atb.dev/broker"
svid = "svids/broker/svid.pem"
key = "svids/broker/key.pem"
connectors = "connectors"
"#;

    fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let environment: Vec<_> = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Config::parse(Path::new("/etc/atb/atb.toml"), text, &environment)
    }

    #[test]
    fn paths_are_relative_to_the_file_and_defaults_are_filled_in() {
        let config = parse(MINIMAL, &[]).unwrap();
        assert_eq!(config.store, Path::new("/etc/atb/data/ledger.db"));
        assert_eq!(config.ops.to_string(), "127.0.0.1:8440");
        let agentauth = config.agentauth.unwrap();
        assert_eq!(agentauth.brokers, ["spiffe://atb.dev/broker".parse().unwrap()]);
        assert_eq!(agentauth.default_ttl, Ttl::DEFAULT);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place_and_the_nearest_name() {
        let text = MINIMAL.replace("[bundle]\ndir", "[bundle]\ndri");
        for environment in [&[][..], &[("ATB_OPS__LISTEN", "127.0.0.1:1")]] {
            let error = parse(&text, environment).unwrap_err().to_string();
            assert!(error.contains("atb.toml:12:1"), "{error}");
            assert!(error.contains("unknown key `dri`; did you mean `dir`?"), "{error}");
        }
    }

    #[test]
    fn the_environment_overlays_every_key_and_refuses_others() {
        let config = parse(MINIMAL, &[("ATB_OPS__LISTEN", "127.0.0.1:1"), ("ATB_LIMITS__CONNECTIONS", "7")]).unwrap();
        assert_eq!((config.ops.port(), config.connections), (1, 7));
        let error = parse(MINIMAL, &[("ATB_OPS__LISTN", "127.0.0.1:1")]).unwrap_err().to_string();
        assert!(error.contains("did you mean `ATB_OPS__LISTEN`?"), "{error}");
        assert!(parse(MINIMAL, &[("ATB_HOME", "x")]).is_ok());
        let incomplete = MINIMAL.replace("[bundle]\ndir = \"opa\"", "[bundle]");
        assert!(incomplete != MINIMAL && parse(&incomplete, &[("ATB_BUNDLE__DIR", "opa")]).is_ok());
    }

    #[test]
    fn the_environment_is_production_unless_it_is_named_and_development_alone_loosens_nothing() {
        let config = parse(MINIMAL, &[]).unwrap();
        assert!(config.dev && config.environment == Environment::Production);
        assert!(!config.broker.unwrap().allow_unmandated_low_risk);
        assert_eq!(parse(MINIMAL, &[("ATB_ENVIRONMENT", "staging")]).unwrap().environment, Environment::Staging);
        let written = format!("environment = \"development\"\n{MINIMAL}");
        assert_eq!(parse(&written, &[]).unwrap().environment, Environment::Development);
        assert!(parse(MINIMAL, &[("ATB_ENVIRONMENT", "prod")]).is_err());
    }

    #[test]
    fn calls_without_a_mandate_are_allowed_by_one_of_three_names_and_by_no_other_word_than_true() {
        let allowed = |text: &str, environment: &[(&str, &str)]| {
            parse(text, environment).map(|config| config.broker.unwrap().allow_unmandated_low_risk)
        };
        let written = format!("{MINIMAL}allow_unmandated_low_risk = true\n");
        assert!(allowed(&written, &[]).unwrap());
        assert!(allowed(MINIMAL, &[("ATB_BROKER__ALLOW_UNMANDATED_LOW_RISK", "true")]).unwrap());
        assert!(allowed(MINIMAL, &[("ALLOW_UNMANDATED_LOW_RISK", "true")]).unwrap());
        assert!(!allowed(&written, &[("ALLOW_UNMANDATED_LOW_RISK", "false")]).unwrap());
        for other in ["1", "yes", "TRUE", "", " true"] {
            assert!(allowed(MINIMAL, &[("ALLOW_UNMANDATED_LOW_RISK", other)]).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_lifetime_above_fifteen_minutes_is_refused() {
        let error = parse(MINIMAL, &[("ATB_AGENTAUTH__MAX_TTL_SECONDS", "901")]).unwrap_err().to_string();
        assert!(error.contains("agentauth.max_ttl_seconds"), "{error}");
    }

    #[test]
    fn an_officer_of_another_trust_domain_is_refused() {
        let of =
            |domain: &str| parse(&format!("{MINIMAL}[legal]\nofficers = [\"spiffe://{domain}/legal/officer\"]\n"), &[]);
        assert_eq!(of("atb.dev").unwrap().legal_officers.len(), 1);
        assert!(of("other.dev").unwrap_err().to_string().contains("legal.officers"));
    }

    #[test]
    fn nobody_reads_the_record_unless_it_is_named_and_nobody_of_another_trust_domain_is() {
        let of = |domain: &str| {
            parse(&format!("{MINIMAL}[ledger]\nauditors = [\"spiffe://{domain}/auditor/first\"]\n"), &[])
        };
        assert!(parse(MINIMAL, &[]).unwrap().auditors.is_empty());
        assert_eq!(of("atb.dev").unwrap().auditors.len(), 1);
        assert!(of("other.dev").unwrap_err().to_string().contains("ledger.auditors"));
    }

    /// A key that is missing from `KEYS` would be refused in the environment although the file takes it.
    #[test]
    fn every_key_of_the_file_is_listed() {
        for key in KEYS {
            let (section, name) = key.split_once('.').unwrap_or(("", key));
            let misspelt = format!("{name}_x");
            let line = format!("{misspelt} = 1\n");
            let text = match section {
                "" => format!("{line}{MINIMAL}"),
                _ if MINIMAL.contains(&format!("[{section}]")) => {
                    MINIMAL.replace(&format!("[{section}]\n"), &format!("[{section}]\n{line}"))
                }
                _ => format!("{MINIMAL}[{section}]\n{line}"),
            };
            let error = parse(&text, &[]).unwrap_err().to_string();
            assert!(error.contains(&format!("did you mean `{name}`?")), "{key}: {error}");
        }
    }
}
