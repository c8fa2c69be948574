//! `[policy]` and `[policy.candidate]`: where the bundle comes from, who must have signed it, what is tried out beside it.
//!
//! `bundle.dir` is the short form of `policy.source` for a folder. Whatever came through other hands (an archive, an
//! endpoint) must be signed outside of development.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;
use crate::domain::id::Sha256Digest;
use crate::domain::policy::{CandidateMode, Share};

const MAX_KEYS: usize = 32;

/// The table as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPolicy {
    source: Option<String>,
    #[serde(default = "default_poll_seconds")]
    poll_seconds: u64,
    persist: Option<PathBuf>,
    #[serde(default)]
    verification_keys: Vec<PathBuf>,
    require_signature: Option<bool>,
    pin: Option<String>,
    token_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    candidate: Option<RawCandidate>,
}

impl Default for RawPolicy {
    fn default() -> Self {
        Self {
            source: None,
            poll_seconds: default_poll_seconds(),
            persist: None,
            verification_keys: Vec::new(),
            require_signature: None,
            pin: None,
            token_file: None,
            ca: None,
            candidate: None,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCandidate {
    source: String,
    mode: RawMode,
    percent: Option<u8>,
    pin: Option<String>,
    token_file: Option<PathBuf>,
    ca: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawMode {
    Shadow,
    Rollout,
}

fn default_poll_seconds() -> u64 {
    10
}

/// Where the policy comes from and what is asked of it.
#[derive(Debug, Clone)]
pub struct PolicyConfig {
    /// The bundle in force.
    pub source: SourceConfig,
    /// How often a source is looked at, and the longest pause after an endpoint failed.
    pub poll: Duration,
    /// Where the last good archive is kept; none for a folder.
    pub persist: Option<PathBuf>,
    /// Public keys (PEM), one of which must have signed; none where nobody needs to have signed.
    pub verification_keys: Vec<PathBuf>,
    /// What is tried out.
    pub candidate: Option<CandidateConfig>,
}

/// One place that bundles come from.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    /// The place.
    pub place: SourcePlace,
    /// Whether an unsigned bundle is refused.
    pub require_signature: bool,
    /// The only digest that is taken.
    pub pin: Option<Sha256Digest>,
    /// The file of the bearer token for an endpoint.
    pub token_file: Option<PathBuf>,
    /// The only roots of an endpoint's certificate; the system's where absent.
    pub ca: Option<PathBuf>,
}

/// What kind of place it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourcePlace {
    /// A folder, which the operator owns.
    Folder(PathBuf),
    /// A `.tar.gz`.
    Archive(PathBuf),
    /// An endpoint of OPA's bundle API.
    Endpoint(String),
}

/// What is tried out.
#[derive(Debug, Clone)]
pub struct CandidateConfig {
    /// Where it comes from.
    pub source: SourceConfig,
    /// What for.
    pub mode: CandidateMode,
}

impl SourcePlace {
    fn of(text: &str, base: &Path) -> Self {
        if text.starts_with("https://") || text.starts_with("http://") {
            return Self::Endpoint(text.to_owned());
        }
        let path = base.join(text);
        if text.ends_with(".tar.gz") || text.ends_with(".tgz") { Self::Archive(path) } else { Self::Folder(path) }
    }

    /// Whether the files came through other hands than the operator's.
    fn is_foreign(&self) -> bool {
        !matches!(self, Self::Folder(_))
    }
}

impl std::fmt::Display for SourcePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(path) | Self::Archive(path) => write!(f, "{}", path.display()),
            // A query may hold a secret.
            Self::Endpoint(url) => f.write_str(url.split('?').next().unwrap_or_default()),
        }
    }
}

impl PolicyConfig {
    /// The path of the policy for tools that read one: the folder, the archive, or the last good archive.
    pub(super) fn path(&self) -> PathBuf {
        match (&self.source.place, &self.persist) {
            (SourcePlace::Folder(path) | SourcePlace::Archive(path), _) => path.clone(),
            (SourcePlace::Endpoint(_), persist) => persist.clone().unwrap_or_default(),
        }
    }
}

fn wrong<T>(key: &'static str, detail: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Value { key, detail: detail.into() })
}

impl RawPolicy {
    /// `dir` is `bundle.dir`, `store` the ledger.
    pub(super) fn resolve(
        self,
        dir: Option<PathBuf>,
        store: &Path,
        base: &Path,
        dev: bool,
    ) -> Result<PolicyConfig, ConfigError> {
        let place = match (&self.source, dir) {
            (Some(source), None) => SourcePlace::of(source, base),
            (None, Some(dir)) => SourcePlace::Folder(base.join(dir)),
            (Some(_), Some(_)) => return wrong("policy.source", "`bundle.dir` names the policy too: keep one of them"),
            (None, None) => return wrong("policy.source", "name a folder, a .tar.gz or an https URL"),
        };
        if !(1..=86_400).contains(&self.poll_seconds) {
            return wrong("policy.poll_seconds", format!("{} is outside 1 to 86400", self.poll_seconds));
        }
        if self.verification_keys.len() > MAX_KEYS {
            return wrong("policy.verification_keys", format!("at most {MAX_KEYS} keys"));
        }
        if matches!(place, SourcePlace::Folder(_)) && self.persist.is_some() {
            return wrong("policy.persist", "a folder is read where it is: only archives and endpoints are kept");
        }
        let terms = Terms { dev, keys: !self.verification_keys.is_empty(), asked: self.require_signature };
        let persist = match place {
            SourcePlace::Folder(_) => None,
            SourcePlace::Archive(_) => self.persist.map(|path| base.join(path)),
            SourcePlace::Endpoint(_) => Some(
                self.persist.map_or_else(|| store.with_file_name("policy-last-good.tar.gz"), |path| base.join(path)),
            ),
        };
        Ok(PolicyConfig {
            source: SourceConfig {
                require_signature: terms.require("policy.require_signature", &place)?,
                place,
                pin: digest("policy.pin", self.pin.as_deref())?,
                token_file: self.token_file.map(|path| base.join(path)),
                ca: self.ca.map(|path| base.join(path)),
            },
            poll: Duration::from_secs(self.poll_seconds),
            persist,
            verification_keys: self.verification_keys.into_iter().map(|path| base.join(path)).collect(),
            candidate: self.candidate.map(|raw| raw.resolve(&terms, base)).transpose()?,
        })
    }
}

impl RawCandidate {
    fn resolve(self, terms: &Terms, base: &Path) -> Result<CandidateConfig, ConfigError> {
        const KEY: &str = "policy.candidate";
        let mode = match (self.mode, self.percent) {
            (RawMode::Shadow, None) => CandidateMode::Shadow,
            (RawMode::Shadow, Some(_)) => return wrong(KEY, "`percent` goes with mode \"rollout\""),
            (RawMode::Rollout, percent) => match percent.and_then(Share::of_percent) {
                Some(share) => CandidateMode::Rollout(share),
                None => return wrong(KEY, "mode \"rollout\" needs `percent`, 0 to 100"),
            },
        };
        let place = SourcePlace::of(&self.source, base);
        let source = SourceConfig {
            require_signature: terms.require(KEY, &place)?,
            place,
            pin: digest(KEY, self.pin.as_deref())?,
            token_file: self.token_file.map(|path| base.join(path)),
            ca: self.ca.map(|path| base.join(path)),
        };
        Ok(CandidateConfig { source, mode })
    }
}

/// What the file says about signatures.
struct Terms {
    dev: bool,
    keys: bool,
    asked: Option<bool>,
}

impl Terms {
    fn require(&self, key: &'static str, place: &SourcePlace) -> Result<bool, ConfigError> {
        if self.asked == Some(false) && place.is_foreign() && !self.dev {
            return wrong(key, "an archive or an endpoint must be signed outside of development");
        }
        let required = self.asked.unwrap_or(place.is_foreign() && !self.dev);
        if required && !self.keys {
            return wrong("policy.verification_keys", format!("`{place}` must be signed: name the public keys (PEM)"));
        }
        Ok(required)
    }
}

fn digest(key: &'static str, text: Option<&str>) -> Result<Option<Sha256Digest>, ConfigError> {
    match text.map(str::parse).transpose() {
        Ok(digest) => Ok(digest),
        Err(error) => wrong(key, format!("{error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(table: &str, dir: Option<&str>, dev: bool) -> Result<PolicyConfig, String> {
        let raw: RawPolicy = toml::from_str(table).map_err(|error| error.message().to_owned())?;
        let resolved = raw.resolve(dir.map(Into::into), Path::new("/d/ledger.db"), Path::new("/etc/atb"), dev);
        resolved.map_err(|error| error.to_string())
    }

    #[test]
    fn the_old_key_for_a_folder_is_a_source_that_may_be_unsigned() {
        let policy = resolve("", Some("opa"), false).unwrap();
        assert_eq!(policy.source.place, SourcePlace::Folder("/etc/atb/opa".into()));
        assert!(!policy.source.require_signature && policy.persist.is_none());
        assert!(resolve("source = \"opa\"", Some("opa"), false).unwrap_err().contains("keep one"));
        assert!(resolve("", None, false).unwrap_err().contains("policy.source"));
    }

    #[test]
    fn what_came_through_other_hands_is_signed_in_production() {
        for source in ["https://policy.example/atb.tar.gz", "bundle.tar.gz", "bundle.tgz"] {
            let text = format!("source = \"{source}\"");
            assert!(resolve(&text, None, false).unwrap_err().contains("policy.verification_keys"), "{source}");
            let unsigned = format!("{text}\nrequire_signature = false\nverification_keys = [\"k.pem\"]");
            assert!(resolve(&unsigned, None, false).unwrap_err().contains("must be signed"), "{source}");
            assert!(!resolve(&unsigned, None, true).unwrap().source.require_signature, "{source}");
            let signed = resolve(&format!("{text}\nverification_keys = [\"k.pem\"]"), None, false).unwrap();
            assert!(signed.source.require_signature, "{source}");
        }
        let candidate = "[candidate]\nsource = \"next.tar.gz\"\nmode = \"shadow\"";
        assert!(resolve(candidate, Some("opa"), false).unwrap_err().contains("policy.verification_keys"));
    }

    #[test]
    fn an_endpoint_is_kept_beside_the_ledger_unless_said_otherwise() {
        let of = |more: &str| resolve(&format!("source = \"https://policy.example/b\"\n{more}"), None, true).unwrap();
        assert_eq!(of("").persist.as_deref(), Some(Path::new("/d/policy-last-good.tar.gz")));
        assert_eq!(of("persist = \"p.tar.gz\"").path(), Path::new("/etc/atb/p.tar.gz"));
        assert!(resolve("persist = \"p\"", Some("opa"), true).unwrap_err().contains("policy.persist"));
    }

    #[test]
    fn a_rollout_says_for_how_many() {
        let of = |more: &str| resolve(&format!("[candidate]\nsource = \"next\"\n{more}"), Some("opa"), true);
        let rollout = of("mode = \"rollout\"\npercent = 5").unwrap().candidate.unwrap();
        assert_eq!(rollout.mode, CandidateMode::Rollout(Share::of_percent(5).unwrap()));
        for bad in ["mode = \"rollout\"", "mode = \"rollout\"\npercent = 101", "mode = \"shadow\"\npercent = 5"] {
            assert!(of(bad).unwrap_err().contains("percent"), "{bad}");
        }
        assert!(of("mode = \"permissive\"").unwrap_err().contains("permissive"));
    }

    #[test]
    fn a_source_is_shown_without_its_query() {
        let place = SourcePlace::of("https://policy.example/b.tar.gz?token=secret", Path::new("/"));
        assert_eq!(place.to_string(), "https://policy.example/b.tar.gz");
    }
}
