//! `[tickets.<system>]`: the systems that confirm the tickets of critical acts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;

/// The most systems.
const MAX_SYSTEMS: usize = 16;

/// A system as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTicketSystem {
    url: String,
    #[serde(default = "default_pattern")]
    pattern: String,
    #[serde(default = "default_header")]
    header: String,
    secret: Option<PathBuf>,
    ca: Option<PathBuf>,
    state: String,
    accept: Vec<String>,
    #[serde(default = "default_timeout_ms")]
    timeout_ms: u64,
}

fn default_pattern() -> String {
    "^[A-Z][A-Z0-9]*-[0-9]+$".to_owned()
}
fn default_header() -> String {
    "authorization".to_owned()
}
fn default_timeout_ms() -> u64 {
    3000
}

/// A system that holds tickets.
#[derive(Debug, Clone)]
pub struct TicketSystemConfig {
    /// Where a ticket is read; `{ref}` stands for its number.
    pub url: String,
    /// What a ticket's number looks like.
    pub pattern: String,
    /// The header that carries the secret.
    pub header: String,
    /// The file of the header's value, where the system wants one.
    pub secret: Option<PathBuf>,
    /// The only roots of its certificate; the system's where absent.
    pub ca: Option<PathBuf>,
    /// Where in the answer the state stands, an RFC 6901 pointer.
    pub state: String,
    /// The states that approve.
    pub accept: Vec<String>,
    /// How long one question may take.
    pub timeout: Duration,
}

/// The systems by the name that a ground gives in `ticket.system`.
pub(super) fn resolve(
    raw: BTreeMap<String, RawTicketSystem>,
    base: &Path,
) -> Result<BTreeMap<String, TicketSystemConfig>, ConfigError> {
    if raw.len() > MAX_SYSTEMS {
        let detail = format!("at most {MAX_SYSTEMS} systems");
        return Err(ConfigError::Value { key: "tickets", detail });
    }
    raw.into_iter().map(|(name, system)| Ok((name.clone(), system.resolve(&name, base)?))).collect()
}

impl RawTicketSystem {
    fn resolve(self, name: &str, base: &Path) -> Result<TicketSystemConfig, ConfigError> {
        let wrong = |detail: &str| ConfigError::Value { key: "tickets", detail: format!("[tickets.{name}]: {detail}") };
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            return Err(wrong("a system's name has 1 to 64 of a-z A-Z 0-9 - _"));
        }
        if !self.url.contains("{ref}") {
            return Err(wrong("`url` needs `{ref}`, the place of the ticket's number"));
        }
        if !(self.state.is_empty() || self.state.starts_with('/')) {
            return Err(wrong("`state` is a JSON pointer (RFC 6901), for example `/fields/status/name`"));
        }
        if self.accept.is_empty() || self.accept.len() > 32 || self.accept.iter().any(String::is_empty) {
            return Err(wrong("`accept` names 1 to 32 states that approve, for example [\"Approved\"]"));
        }
        if !(100..=10_000).contains(&self.timeout_ms) {
            return Err(wrong("`timeout_ms` is 100 to 10000"));
        }
        Ok(TicketSystemConfig {
            url: self.url,
            pattern: self.pattern,
            header: self.header,
            secret: self.secret.map(|path| base.join(path)),
            ca: self.ca.map(|path| base.join(path)),
            state: self.state,
            accept: self.accept,
            timeout: Duration::from_millis(self.timeout_ms),
        })
    }
}
