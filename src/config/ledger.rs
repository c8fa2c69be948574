//! `[ledger]` and `[ledger.checkpoints]`: who may read the record and the log, and where its checkpoints go.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;
use crate::domain::ledger::{MAX_WITNESSES, WitnessKey};
use crate::domain::spiffe::{SpiffePattern, TrustDomain};

/// The most patterns of readers.
const MAX_READERS: usize = 64;

/// The table as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLedger {
    #[serde(default)]
    pub(super) auditors: Vec<String>,
    #[serde(default)]
    readers: Vec<String>,
    #[serde(default)]
    checkpoints: RawCheckpoints,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCheckpoints {
    #[serde(default = "default_interval")]
    interval_seconds: u64,
    file: Option<PathBuf>,
    #[serde(default)]
    witness: Vec<RawWitness>,
}

impl Default for RawCheckpoints {
    fn default() -> Self {
        Self { interval_seconds: default_interval(), file: None, witness: Vec::new() }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWitness {
    url: String,
    key: String,
    ca: Option<PathBuf>,
    #[serde(default = "default_timeout_ms")]
    timeout_ms: u64,
}

fn default_interval() -> u64 {
    60
}
fn default_timeout_ms() -> u64 {
    10_000
}

/// The log and those outside.
#[derive(Debug, Clone)]
pub struct LedgerConfig {
    /// Who may read the log at the doors; nobody by default.
    pub readers: Vec<SpiffePattern>,
    /// How often the newest checkpoint is published, where there is a new one.
    pub checkpoint_interval: Duration,
    /// The file that checkpoints are appended to.
    pub checkpoint_file: Option<PathBuf>,
    /// Who cosigns them.
    pub witnesses: Vec<WitnessConfig>,
}

/// One witness.
#[derive(Debug, Clone)]
pub struct WitnessConfig {
    /// Its submission prefix.
    pub url: String,
    /// Its key; the name in it is its name here.
    pub key: WitnessKey,
    /// The only roots of its certificate; the system's where absent.
    pub ca: Option<PathBuf>,
    /// How long one attempt may take.
    pub timeout: Duration,
}

impl RawLedger {
    pub(super) fn resolve(self, known: &BTreeSet<TrustDomain>, base: &Path) -> Result<LedgerConfig, ConfigError> {
        let wrong = |key, detail: String| ConfigError::Value { key, detail };
        let reader = |text: &String| {
            let pattern: SpiffePattern = text.parse().map_err(|error| {
                wrong("ledger.readers", format!("`{text}` is no SPIFFE ID and no `spiffe://domain/path/*`: {error}"))
            })?;
            // Nobody of a domain that we do not know gets in; an entry that can never match is a slip.
            if known.contains(pattern.trust_domain_name()) {
                return Ok(pattern);
            }
            Err(wrong("ledger.readers", format!("`{text}` is not of our trust domain, nor of a federated one")))
        };
        if self.readers.len() > MAX_READERS {
            return Err(wrong("ledger.readers", format!("at most {MAX_READERS} patterns")));
        }
        let RawCheckpoints { interval_seconds, file, witness } = self.checkpoints;
        if !(1..=86_400).contains(&interval_seconds) {
            return Err(wrong("ledger.checkpoints", "`interval_seconds` is 1 to 86400".to_owned()));
        }
        let witnesses: Vec<_> = witness.into_iter().map(|one| one.resolve(base)).collect::<Result<_, _>>()?;
        let twice = witnesses.iter().enumerate().any(|(n, one)| {
            witnesses.iter().skip(n + 1).any(|other: &WitnessConfig| other.key.name() == one.key.name())
        });
        if witnesses.len() > MAX_WITNESSES || twice {
            return Err(wrong("ledger.checkpoints", format!("at most {MAX_WITNESSES} witnesses, each name once")));
        }
        Ok(LedgerConfig {
            readers: self.readers.iter().map(reader).collect::<Result<_, _>>()?,
            checkpoint_interval: Duration::from_secs(interval_seconds),
            checkpoint_file: file.map(|path| base.join(path)),
            witnesses,
        })
    }
}

impl RawWitness {
    fn resolve(self, base: &Path) -> Result<WitnessConfig, ConfigError> {
        let wrong = |detail: String| ConfigError::Value { key: "ledger.checkpoints", detail };
        if !(100..=30_000).contains(&self.timeout_ms) {
            return Err(wrong("a witness's `timeout_ms` is 100 to 30000".to_owned()));
        }
        let key = self.key.parse().map_err(|error| wrong(format!("the witness's `key`: {error}")))?;
        Ok(WitnessConfig {
            url: self.url,
            key,
            ca: self.ca.map(|path| base.join(path)),
            timeout: Duration::from_millis(self.timeout_ms),
        })
    }
}
