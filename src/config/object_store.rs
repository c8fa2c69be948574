//! A bucket that speaks S3, for sinks and for the archive.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

/// As written, in `[archive]` and in a sink of kind `s3`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawObjectStore {
    pub(super) bucket: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) secret: Option<PathBuf>,
    pub(super) ca: Option<PathBuf>,
    pub(super) lock_mode: Option<String>,
    pub(super) lock_days: Option<u64>,
    #[serde(default = "default_timeout_ms")]
    pub(super) timeout_ms: u64,
}

fn default_timeout_ms() -> u64 {
    30_000
}

/// A bucket.
#[derive(Debug, Clone)]
pub struct ObjectStoreConfig {
    /// Its name.
    pub bucket: String,
    /// What every object's name begins with, without slashes at its ends; may be empty.
    pub prefix: String,
    /// Its region, as signatures name it.
    pub region: String,
    /// Where the service is; requests name the bucket in the path.
    pub endpoint: String,
    /// The file of two lines: access key id, secret access key.
    pub secret: PathBuf,
    /// The only roots of its certificate; the system's where absent.
    pub ca: Option<PathBuf>,
    /// How long each object is locked; the bucket's own default where absent.
    pub lock: Option<ObjectLock>,
    /// How long one request may take.
    pub timeout: Duration,
}

/// A retention period of S3 Object Lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectLock {
    /// Whether nobody at all can shorten it.
    pub compliance: bool,
    /// How long from the writing on.
    pub period: Duration,
}

impl RawObjectStore {
    pub(super) fn resolve(self, base: &Path) -> Result<ObjectStoreConfig, String> {
        let bucket = self.bucket.ok_or("`bucket` is missing")?;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(plain) {
            return Err("`bucket` has 3 to 63 of a-z 0-9 - .".to_owned());
        }
        let prefix = self.prefix.unwrap_or_default();
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
        if prefix.len() > 256 || !prefix.bytes().all(plain) {
            return Err("`prefix` has at most 256 of a-z A-Z 0-9 - _ . /".to_owned());
        }
        let region = self.region.unwrap_or_else(|| "us-east-1".to_owned());
        let endpoint = self.endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let lock = match (self.lock_mode.as_deref(), self.lock_days) {
            (None, None) => None,
            (Some(mode @ ("governance" | "compliance")), Some(days @ 1..=36_500)) => {
                Some(ObjectLock { compliance: mode == "compliance", period: Duration::from_secs(days * 86_400) })
            }
            _ => {
                let detail = "`lock_mode` is `governance` or `compliance`, with `lock_days` of 1 to 36500";
                return Err(detail.to_owned());
            }
        };
        if !(100..=120_000).contains(&self.timeout_ms) {
            return Err("`timeout_ms` is 100 to 120000".to_owned());
        }
        Ok(ObjectStoreConfig {
            bucket,
            prefix: prefix.trim_matches('/').to_owned(),
            region,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            secret: base.join(self.secret.ok_or("`secret` is missing: a file of two lines, key id and secret key")?),
            ca: self.ca.map(|path| base.join(path)),
            lock,
            timeout: Duration::from_millis(self.timeout_ms),
        })
    }
}
