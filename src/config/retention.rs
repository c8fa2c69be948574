//! `[retention]` and `[archive]`: how long entries stay, and where they go then.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;
use super::object_store::{ObjectStoreConfig, RawObjectStore};

const DAY: u64 = 86_400;

/// The table as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRetention {
    #[serde(default = "default_access_days")]
    access_days: u64,
    #[serde(default = "default_audit_days")]
    audit_days: u64,
}

impl Default for RawRetention {
    fn default() -> Self {
        Self { access_days: default_access_days(), audit_days: default_audit_days() }
    }
}

fn default_access_days() -> u64 {
    90
}
/// Seven years.
fn default_audit_days() -> u64 {
    2557
}

/// How long entries stay in the ledger's file at the least.
#[derive(Debug, Clone, Copy)]
pub struct RetentionConfig {
    /// Entries of mere access.
    pub access: Duration,
    /// All others.
    pub audit: Duration,
}

impl RawRetention {
    pub(super) fn resolve(self) -> Result<RetentionConfig, ConfigError> {
        let days = |key, days: u64, least: u64| match (least..=36_500).contains(&days) {
            true => Ok(Duration::from_secs(days * DAY)),
            false => Err(ConfigError::Value { key, detail: format!("{days} is outside {least} to 36500") }),
        };
        let access = days("retention.access_days", self.access_days, 1)?;
        Ok(RetentionConfig { access, audit: days("retention.audit_days", self.audit_days, self.access_days)? })
    }
}

/// The bucket of `[archive]`; none without the table.
pub(super) fn archive(raw: Option<RawObjectStore>, base: &Path) -> Result<Option<ObjectStoreConfig>, ConfigError> {
    let resolved = raw.map(|raw| raw.resolve(base)).transpose();
    resolved.map_err(|detail| ConfigError::Value { key: "archive", detail: format!("[archive]: {detail}") })
}
