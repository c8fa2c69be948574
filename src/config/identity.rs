//! `[jwt_svid]` and `[platform]`: what may prove who calls besides the connection's own SVID.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;
use crate::domain::jwt::JwtAlg;
use crate::domain::platform::Binding;
use crate::domain::spiffe::{SpiffeId, SpiffePattern};

/// The most proxies, and the most rows of a mapping.
const MAX_ROWS: usize = 1024;
/// The longest that a JWT-SVID may be let live: an hour.
const MAX_JWT_SVID_SECONDS: u64 = 3600;
/// The longest that a platform's token may be let live: a day.
const MAX_TOKEN_SECONDS: u64 = 86_400;

/// `[jwt_svid]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawJwtSvid {
    #[serde(default)]
    enabled: bool,
    #[serde(default = "both_doors")]
    doors: BTreeSet<DoorName>,
    audience: Option<String>,
    #[serde(default = "default_lifetime")]
    max_lifetime_seconds: u64,
    #[serde(default)]
    proxies: Vec<String>,
    #[serde(default)]
    without_jti: WithoutJtiConfig,
}

impl Default for RawJwtSvid {
    fn default() -> Self {
        Self {
            enabled: false,
            doors: both_doors(),
            audience: None,
            max_lifetime_seconds: default_lifetime(),
            proxies: Vec::new(),
            without_jti: WithoutJtiConfig::default(),
        }
    }
}

fn both_doors() -> BTreeSet<DoorName> {
    BTreeSet::from([DoorName::Agentauth, DoorName::Broker])
}
fn default_lifetime() -> u64 {
    300
}

/// A door with callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DoorName {
    /// AgentAuth's.
    Agentauth,
    /// The broker's.
    Broker,
}

/// What becomes of JWT-SVIDs without a `jti`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithoutJtiConfig {
    /// Refused.
    Refuse,
    /// Taken once.
    #[default]
    Once,
    /// Taken until they expire, from one proxy.
    SameProxy,
}

/// How JWT-SVIDs are taken.
#[derive(Debug, Clone)]
pub struct JwtSvidConfig {
    /// At which doors.
    pub doors: BTreeSet<DoorName>,
    /// For whom a token must be; the door's own SPIFFE ID where absent.
    pub audience: Option<String>,
    /// The longest that one may live.
    pub max_lifetime: Duration,
    /// Who may hand one in.
    pub proxies: BTreeSet<SpiffeId>,
    /// What becomes of those without a `jti`.
    pub without_jti: WithoutJtiConfig,
}

impl RawJwtSvid {
    /// `None` where it is off. What is written is checked all the same.
    pub(super) fn resolve(self) -> Result<Option<JwtSvidConfig>, ConfigError> {
        let wrong = |key, detail: &str| ConfigError::Value { key, detail: detail.to_owned() };
        let proxy = |text: &String| {
            text.parse::<SpiffeId>().map_err(|error| ConfigError::Value {
                key: "jwt_svid.proxies",
                detail: format!("`{text}` is not a SPIFFE ID: {error}"),
            })
        };
        let proxies = self.proxies.iter().map(proxy).collect::<Result<BTreeSet<_>, _>>()?;
        if self.enabled && (proxies.is_empty() || proxies.len() > MAX_ROWS) {
            let detail = "name the proxies that may hand JWT-SVIDs in; they are never taken from anybody else";
            return Err(wrong("jwt_svid.proxies", detail));
        }
        if !(1..=MAX_JWT_SVID_SECONDS).contains(&self.max_lifetime_seconds) {
            return Err(wrong("jwt_svid.max_lifetime_seconds", "it is 1 to 3600"));
        }
        if self.doors.is_empty() {
            return Err(wrong("jwt_svid.doors", "name `agentauth`, `broker` or both"));
        }
        if self.audience.as_ref().is_some_and(|audience| audience.is_empty() || audience.len() > 512) {
            return Err(wrong("jwt_svid.audience", "an audience has 1 to 512 bytes"));
        }
        Ok(self.enabled.then_some(JwtSvidConfig {
            doors: self.doors,
            audience: self.audience,
            max_lifetime: Duration::from_secs(self.max_lifetime_seconds),
            proxies,
            without_jti: self.without_jti,
        }))
    }
}

/// `[platform]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPlatform {
    issuer: String,
    audience: String,
    algorithms: Vec<JwtAlg>,
    jwks_url: Option<String>,
    ca: Option<PathBuf>,
    #[serde(default = "default_claim")]
    claim: String,
    #[serde(default)]
    binding: RawBinding,
    #[serde(default)]
    mapping: BTreeMap<String, Vec<String>>,
    #[serde(default = "default_token_lifetime")]
    max_lifetime_seconds: u64,
    #[serde(default = "default_refresh")]
    refresh_seconds: u64,
    #[serde(default = "default_max_stale")]
    max_stale_seconds: u64,
    #[serde(default = "default_timeout_ms")]
    timeout_ms: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawBinding {
    #[default]
    Off,
    Exact,
    Prefix,
    Mapping,
}

fn default_claim() -> String {
    "sub".to_owned()
}
fn default_token_lifetime() -> u64 {
    3600
}
fn default_refresh() -> u64 {
    300
}
fn default_max_stale() -> u64 {
    3600
}
fn default_timeout_ms() -> u64 {
    3000
}

/// The platform's provider, and what its word is bound to.
#[derive(Debug, Clone)]
pub struct PlatformConfig {
    /// Its issuer.
    pub issuer: String,
    /// Whom its tokens must be for.
    pub audience: String,
    /// How they may be signed.
    pub algorithms: Vec<JwtAlg>,
    /// Its key set; found by discovery where absent.
    pub jwks_url: Option<String>,
    /// The only roots of its certificate; the system's where absent.
    pub ca: Option<PathBuf>,
    /// The claim that says which workload it is.
    pub claim: String,
    /// To which identities that belongs.
    pub binding: Binding,
    /// The longest that a token may live.
    pub max_lifetime: Duration,
    /// The age at which keys are fetched again.
    pub refresh: Duration,
    /// The age at which they verify nothing any more.
    pub max_stale: Duration,
    /// How long one document may take.
    pub timeout: Duration,
}

impl RawPlatform {
    pub(super) fn resolve(self, base: &Path) -> Result<PlatformConfig, ConfigError> {
        let wrong = |key, detail: &str| ConfigError::Value { key, detail: detail.to_owned() };
        let short = |text: &str| !text.is_empty() && text.len() <= 512;
        if !short(&self.issuer) {
            return Err(wrong("platform.issuer", "the provider's issuer, for example `https://login.example.org`"));
        }
        if !short(&self.audience) {
            return Err(wrong("platform.audience", "name whom its tokens are for: a name of this service"));
        }
        if self.algorithms.is_empty() {
            return Err(wrong("platform.algorithms", "name how its tokens are signed, for example [\"RS256\"]"));
        }
        if !short(&self.claim) || matches!(self.claim.as_str(), "iss" | "aud" | "exp" | "iat" | "nbf") {
            return Err(wrong("platform.claim", "name the claim that says which workload it is, for example `sub`"));
        }
        let seconds = |key, value: u64, max: u64| match (1..=max).contains(&value) {
            true => Ok(Duration::from_secs(value)),
            false => Err(ConfigError::Value { key, detail: format!("{value} is outside 1 to {max}") }),
        };
        let max_stale = seconds("platform.max_stale_seconds", self.max_stale_seconds, MAX_TOKEN_SECONDS)?;
        let refresh = seconds("platform.refresh_seconds", self.refresh_seconds, MAX_TOKEN_SECONDS)?.min(max_stale);
        if !(100..=10_000).contains(&self.timeout_ms) {
            return Err(wrong("platform.timeout_ms", "it is 100 to 10000"));
        }
        Ok(PlatformConfig {
            binding: binding(self.binding, self.mapping)?,
            issuer: self.issuer,
            audience: self.audience,
            algorithms: self.algorithms,
            jwks_url: self.jwks_url,
            ca: self.ca.map(|path| base.join(path)),
            claim: self.claim,
            max_lifetime: seconds("platform.max_lifetime_seconds", self.max_lifetime_seconds, MAX_TOKEN_SECONDS)?,
            refresh,
            max_stale,
            timeout: Duration::from_millis(self.timeout_ms),
        })
    }
}

fn binding(kind: RawBinding, mapping: BTreeMap<String, Vec<String>>) -> Result<Binding, ConfigError> {
    let wrong = |detail: String| ConfigError::Value { key: "platform.mapping", detail };
    if (kind == RawBinding::Mapping) == mapping.is_empty() || mapping.len() > MAX_ROWS {
        return Err(wrong(
            "`binding = \"mapping\"` has a `mapping` of 1 to 1024 rows, and no other binding has one".to_owned(),
        ));
    }
    let pattern = |text: &String| {
        let parsed = text.parse::<SpiffePattern>();
        parsed.map_err(|error| wrong(format!("`{text}` is not a SPIFFE ID, nor one with `/*` at its end: {error}")))
    };
    let row = |(claim, ids): (String, Vec<String>)| {
        let ids = ids.iter().map(pattern).collect::<Result<Vec<_>, _>>()?;
        if ids.is_empty() { Err(wrong(format!("`{claim}` stands for no SPIFFE ID"))) } else { Ok((claim, ids)) }
    };
    Ok(match kind {
        RawBinding::Off => Binding::Off,
        RawBinding::Exact => Binding::Exact,
        RawBinding::Prefix => Binding::Prefix,
        RawBinding::Mapping => Binding::Mapping(mapping.into_iter().map(row).collect::<Result<_, _>>()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt_svid(text: &str) -> Result<Option<JwtSvidConfig>, String> {
        let raw: RawJwtSvid = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        raw.resolve().map_err(|error| error.to_string())
    }

    fn platform(text: &str) -> Result<PlatformConfig, String> {
        let whole = format!("issuer = \"https://i\"\naudience = \"atb\"\nalgorithms = [\"RS256\"]\n{text}");
        let raw: RawPlatform = toml::from_str(&whole).map_err(|error| error.message().to_owned())?;
        raw.resolve(Path::new("/etc/atb")).map_err(|error| error.to_string())
    }

    #[test]
    fn jwt_svids_are_off_and_on_only_with_named_proxies() {
        assert!(jwt_svid("").unwrap().is_none());
        assert!(jwt_svid("proxies = [\"spiffe://a/proxy\"]").unwrap().is_none());
        let on = jwt_svid("enabled = true\nproxies = [\"spiffe://a/proxy\"]").unwrap().unwrap();
        assert_eq!((on.doors.len(), on.max_lifetime.as_secs(), on.without_jti), (2, 300, WithoutJtiConfig::Once));
        for (text, expected) in [
            ("enabled = true", "never taken from anybody else"),
            ("proxies = [\"proxy\"]", "is not a SPIFFE ID"),
            ("doors = []", "`agentauth`, `broker` or both"),
            ("doors = [\"console\"]", "unknown variant"),
            ("max_lifetime_seconds = 0", "1 to 3600"),
            ("max_lifetime_seconds = 3601", "1 to 3600"),
            ("audience = \"\"", "1 to 512"),
            ("without_jti = \"always\"", "unknown variant"),
        ] {
            let error = jwt_svid(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_platforms_algorithms_are_named_and_a_table_belongs_to_the_mapping() {
        let plain = platform("").unwrap();
        assert!(!plain.binding.requires_a_token() && plain.claim == "sub");
        assert!(platform("binding = \"exact\"").unwrap().binding.requires_a_token());
        assert!(platform("binding = \"mapping\"\nmapping = { x = [\"spiffe://a/*/b\"] }").is_err());
        let stale = platform("refresh_seconds = 600\nmax_stale_seconds = 60").unwrap();
        assert_eq!(stale.refresh, stale.max_stale);
        for (text, expected) in [
            ("binding = \"mapping\"", "`mapping` of 1 to 1024 rows"),
            ("binding = \"exact\"\nmapping = { x = [\"spiffe://a/b\"] }", "no other binding has one"),
            ("binding = \"mapping\"\nmapping = { x = [] }", "stands for no SPIFFE ID"),
            ("binding = \"mapping\"\nmapping = { x = [\"*\"] }", "is not a SPIFFE ID"),
            ("claim = \"aud\"", "which workload it is"),
            ("max_stale_seconds = 0", "outside 1 to 86400"),
            ("timeout_ms = 50", "100 to 10000"),
        ] {
            let error = platform(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        for algorithms in ["[]", "[\"none\"]", "[\"HS256\"]", "[\"EdDSA\"]"] {
            let text = format!("issuer = \"https://i\"\naudience = \"atb\"\nalgorithms = {algorithms}\n");
            let read = toml::from_str::<RawPlatform>(&text).map(|raw| raw.resolve(Path::new("/")).is_ok());
            assert!(!matches!(read, Ok(true)), "{algorithms}");
        }
    }
}
