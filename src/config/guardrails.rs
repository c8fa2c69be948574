//! `[guardrails]`: what calls may not say.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;
use crate::domain::catalogue::Tier;

/// As written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGuardrails {
    patterns: Option<PathBuf>,
    service: Option<String>,
    ca: Option<PathBuf>,
    secret: Option<PathBuf>,
    timeout_ms: Option<u64>,
    #[serde(default)]
    fail_open: Vec<Tier>,
}

/// The guardrails of the broker.
#[derive(Debug, Clone)]
pub struct GuardrailsConfig {
    /// The file of patterns.
    pub patterns: Option<PathBuf>,
    /// The service.
    pub service: Option<GuardrailServiceConfig>,
    /// The tiers whose calls go on where nobody could look.
    pub fail_open: Vec<Tier>,
}

/// A service that looks at what calls say.
#[derive(Debug, Clone)]
pub struct GuardrailServiceConfig {
    /// Where it is asked.
    pub url: String,
    /// The only roots of its certificate; the system's where absent.
    pub ca: Option<PathBuf>,
    /// The file of the `Authorization` header's value, where it wants one.
    pub secret: Option<PathBuf>,
    /// How long one question may take.
    pub timeout: Duration,
}

impl RawGuardrails {
    /// None where nothing is configured.
    pub(super) fn resolve(self, base: &Path) -> Result<Option<GuardrailsConfig>, ConfigError> {
        let wrong = |key, detail: &str| ConfigError::Value { key, detail: detail.to_owned() };
        let timeout = self.timeout_ms.unwrap_or(500);
        if !(10..=10_000).contains(&timeout) {
            return Err(wrong("guardrails.timeout_ms", "10 to 10000"));
        }
        let of_service = self.ca.is_some() || self.secret.is_some() || self.timeout_ms.is_some();
        if self.service.is_none() && of_service {
            return Err(wrong("guardrails.service", "name the service that the other keys are about"));
        }
        if self.patterns.is_none() && self.service.is_none() {
            return match self.fail_open.is_empty() {
                true => Ok(None),
                false => Err(wrong("guardrails.fail_open", "there are no guardrails: name `patterns` or `service`")),
            };
        }
        let at = |path: PathBuf| base.join(path);
        let (ca, secret) = (self.ca.map(at), self.secret.map(at));
        let timeout = Duration::from_millis(timeout);
        Ok(Some(GuardrailsConfig {
            patterns: self.patterns.map(at),
            service: self.service.map(|url| GuardrailServiceConfig { url, ca, secret, timeout }),
            fail_open: self.fail_open,
        }))
    }
}
