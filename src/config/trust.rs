//! `[trust]`, `[federation.…]` and `[access]`: where our identity and the trust bundles come from, which other trust
//! domains there are, and who of whom may come to which door.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;
use crate::domain::spiffe::{Admitted, SpiffeId, TrustDomain};
use crate::service::access::{Access, Place};

/// The most federated trust domains.
const MAX_FEDERATED: usize = 32;
/// The most entries of one list.
const MAX_ADMITTED: usize = 64;
const DAY: u64 = 86_400;

/// `[trust]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTrust {
    pub(super) domain: String,
    bundle: Option<PathBuf>,
    #[serde(default)]
    source: Source,
    endpoint_socket: Option<String>,
    #[serde(default = "default_max_age")]
    max_age_seconds: u64,
    jwt_bundle: Option<PathBuf>,
}

fn default_max_age() -> u64 {
    3600
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Source {
    #[default]
    Files,
    WorkloadApi,
}

/// One `[federation."domain"]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFederation {
    profile: Profile,
    url: Option<String>,
    spiffe_id: Option<String>,
    bundle: Option<PathBuf>,
    ca: Option<PathBuf>,
    #[serde(default = "default_federated_max_age")]
    max_age_seconds: u64,
    #[serde(default = "default_min_refresh")]
    min_refresh_seconds: u64,
}

fn default_federated_max_age() -> u64 {
    DAY
}
fn default_min_refresh() -> u64 {
    60
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Profile {
    HttpsWeb,
    HttpsSpiffe,
    WorkloadApi,
    File,
}

/// `[access]` as written: absent is our own trust domain.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAccess {
    issue: Option<Vec<String>>,
    call: Option<Vec<String>>,
    approve: Option<Vec<String>>,
    decide: Option<Vec<String>>,
    administer: Option<Vec<String>>,
    audit: Option<Vec<String>>,
}

/// Where our own identity comes from, and whom we know.
#[derive(Debug, Clone)]
pub struct TrustConfig {
    /// The Workload API's socket; files where absent.
    pub workload_api: Option<String>,
    /// Where the Workload API listens, whether or not our identity comes from there.
    pub endpoint_socket: Option<String>,
    /// How long what a source said holds without its saying it again.
    pub max_age: Duration,
    /// The keys of our domain's JWT-SVIDs, for the file source.
    pub jwt_bundle: Option<PathBuf>,
    /// Other trust domains.
    pub federation: Vec<FederationConfig>,
    /// Who may come to which door.
    pub access: Access,
}

/// One federated trust domain.
#[derive(Debug, Clone)]
pub struct FederationConfig {
    /// Its name.
    pub domain: TrustDomain,
    /// Where its bundle comes from.
    pub from: FederationSource,
    /// For how long one is believed.
    pub max_age: Duration,
    /// It is not asked for more often.
    pub min_refresh: Duration,
}

/// Where a federated bundle comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FederationSource {
    /// A bundle endpoint with a certificate of the web.
    HttpsWeb {
        /// Where.
        url: String,
        /// The only roots; the system's where absent.
        ca: Option<PathBuf>,
    },
    /// A bundle endpoint with an SVID.
    HttpsSpiffe {
        /// Where.
        url: String,
        /// Who it is.
        id: SpiffeId,
        /// The first bundle.
        initial: PathBuf,
    },
    /// The federated bundles of the Workload API.
    WorkloadApi,
    /// A file that something else keeps fresh.
    File(PathBuf),
}

/// `[trust]` before the rest of the configuration is known.
pub(super) struct Resolved {
    pub(super) domain: TrustDomain,
    pub(super) bundle: PathBuf,
    pub(super) trust: TrustConfig,
    /// Ours and the federated ones.
    pub(super) known: BTreeSet<TrustDomain>,
}

pub(super) fn resolve(
    trust: RawTrust,
    federation: BTreeMap<String, RawFederation>,
    access: RawAccess,
    store: &Path,
    base: &Path,
) -> Result<Resolved, ConfigError> {
    let domain: TrustDomain =
        trust.domain.parse().map_err(|error| wrong("trust.domain", format!("`{}`: {error}", trust.domain)))?;
    let max_age = seconds("trust.max_age_seconds", trust.max_age_seconds, 1, 7 * DAY)?;
    let workload_api = trust.workload_api()?;
    let bundle = match (&trust.bundle, workload_api.is_some()) {
        (Some(path), _) => base.join(path),
        // The copy that the services write, for tools that work offline.
        (None, true) => store.with_file_name("trust-bundle.pem"),
        (None, false) => {
            return Err(wrong(
                "trust.bundle",
                "missing: name the PEM file of the trust domain's authorities".to_owned(),
            ));
        }
    };
    if federation.len() > MAX_FEDERATED {
        return Err(wrong("federation", format!("at most {MAX_FEDERATED} trust domains")));
    }
    let one = |(name, raw): (String, RawFederation)| raw.resolve(&name, &domain, workload_api.is_some(), base);
    let federation: Vec<_> = federation.into_iter().map(one).collect::<Result<_, _>>()?;
    let known: BTreeSet<_> =
        federation.iter().map(|one: &FederationConfig| one.domain.clone()).chain([domain.clone()]).collect();
    let access = access.resolve(&domain, &known)?;
    let jwt_bundle = trust.jwt_bundle.map(|path| base.join(path));
    if jwt_bundle.is_some() && workload_api.is_some() {
        return Err(wrong("trust.jwt_bundle", "the Workload API has the JWT keys; take this key out".to_owned()));
    }
    let endpoint_socket = trust.endpoint_socket;
    let trust = TrustConfig { workload_api, endpoint_socket, max_age, jwt_bundle, federation, access };
    Ok(Resolved { domain, bundle, trust, known })
}

impl RawTrust {
    fn workload_api(&self) -> Result<Option<String>, ConfigError> {
        let key = "trust.endpoint_socket";
        match (self.source, &self.endpoint_socket) {
            // With files the socket is for connectors that show a JWT-SVID: it is looked at where one does.
            (Source::Files, _) => Ok(None),
            (Source::WorkloadApi, None) => {
                let detail = "missing: name the socket (`unix:///run/spire/agent/public/api.sock`), or set SPIFFE_ENDPOINT_SOCKET";
                Err(wrong(key, detail.to_owned()))
            }
            (Source::WorkloadApi, Some(socket)) => match spiffe::transport::Endpoint::parse(socket) {
                Ok(_) => Ok(Some(socket.clone())),
                Err(error) => Err(wrong(key, format!("`{socket}`: {error}"))),
            },
        }
    }
}

impl RawFederation {
    fn resolve(
        self,
        name: &str,
        own: &TrustDomain,
        has_workload_api: bool,
        base: &Path,
    ) -> Result<FederationConfig, ConfigError> {
        let of = |detail: String| wrong("federation", format!("`{name}`: {detail}"));
        let domain: TrustDomain = name.parse().map_err(|error| of(format!("{error}")))?;
        if domain == *own {
            return Err(of("this is `trust.domain` itself".to_owned()));
        }
        let at = |path: PathBuf| base.join(path);
        let missing = |key: &str| of(format!("`{key}` is missing for this profile"));
        let Self { profile, url, spiffe_id, bundle, ca, max_age_seconds, min_refresh_seconds } = self;
        let given = [
            ("url", url.is_some(), matches!(profile, Profile::HttpsWeb | Profile::HttpsSpiffe)),
            ("spiffe_id", spiffe_id.is_some(), profile == Profile::HttpsSpiffe),
            ("bundle", bundle.is_some(), matches!(profile, Profile::HttpsSpiffe | Profile::File)),
            ("ca", ca.is_some(), profile == Profile::HttpsWeb),
        ];
        if let Some((key, ..)) = given.iter().find(|(_, given, taken)| *given && !taken) {
            return Err(of(format!("`{key}` has no meaning for this profile")));
        }
        if url.as_ref().is_some_and(|url| !url.starts_with("https://")) {
            return Err(of("`url` is not https".to_owned()));
        }
        let from = match profile {
            Profile::HttpsWeb => FederationSource::HttpsWeb { url: url.ok_or_else(|| missing("url"))?, ca: ca.map(at) },
            Profile::HttpsSpiffe => {
                let text = spiffe_id.ok_or_else(|| missing("spiffe_id"))?;
                FederationSource::HttpsSpiffe {
                    url: url.ok_or_else(|| missing("url"))?,
                    id: text.parse().map_err(|error| of(format!("`{text}` is not a SPIFFE ID: {error}")))?,
                    initial: at(bundle.ok_or_else(|| missing("bundle"))?),
                }
            }
            Profile::WorkloadApi if has_workload_api => FederationSource::WorkloadApi,
            Profile::WorkloadApi => return Err(of("`trust.source` is not `workload_api`".to_owned())),
            Profile::File => FederationSource::File(at(bundle.ok_or_else(|| missing("bundle"))?)),
        };
        let max_age = seconds("federation", max_age_seconds, 1, 30 * DAY)?;
        let min_refresh = seconds("federation", min_refresh_seconds, 1, DAY)?;
        Ok(FederationConfig { domain, from, max_age, min_refresh })
    }
}

impl RawAccess {
    fn resolve(self, own: &TrustDomain, known: &BTreeSet<TrustDomain>) -> Result<Access, ConfigError> {
        let Self { issue, call, approve, decide, administer, audit } = self;
        let lists = [
            ("access.issue", Place::Issue, issue),
            ("access.call", Place::Call, call),
            ("access.approve", Place::Approve, approve),
            ("access.decide", Place::Decide, decide),
            ("access.administer", Place::Administer, administer),
            ("access.audit", Place::Audit, audit),
        ];
        let mut resolved = BTreeMap::new();
        for (key, place, list) in lists {
            let Some(list) = list else { continue };
            if list.len() > MAX_ADMITTED {
                return Err(wrong(key, format!("at most {MAX_ADMITTED} entries")));
            }
            let one = |text: &String| {
                let admitted: Admitted = text.parse().map_err(|error| {
                    let forms = "`spiffe://domain`, `spiffe://domain/path` or `spiffe://domain/path/*`";
                    wrong(key, format!("`{text}` is none of {forms}: {error}"))
                })?;
                // An entry that can never match is a slip.
                if known.iter().any(|domain| domain.as_str() == admitted.trust_domain_name()) {
                    return Ok(admitted);
                }
                Err(wrong(key, format!("`{text}` is of no trust domain that `trust` or `federation` names")))
            };
            resolved.insert(place, list.iter().map(one).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Access::new(own.clone(), resolved))
    }
}

fn wrong(key: &'static str, detail: String) -> ConfigError {
    ConfigError::Value { key, detail }
}

fn seconds(key: &'static str, number: u64, least: u64, most: u64) -> Result<Duration, ConfigError> {
    if (least..=most).contains(&number) {
        return Ok(Duration::from_secs(number));
    }
    Err(wrong(key, format!("{number} seconds is outside {least} to {most}")))
}

#[cfg(test)]
mod tests;
