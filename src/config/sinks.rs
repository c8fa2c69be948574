//! `[sinks.<name>]`: the systems that are sent the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;
use super::object_store::{ObjectStoreConfig, RawObjectStore};
use crate::domain::ledger::EventType;
use crate::service::shipping::{Backoff, BatchLimits, LagBound, OnFull, StartAt};

/// The most sinks; each has a task and a place of its own.
const MAX_SINKS: usize = 16;

/// A sink as written. What a kind does not take is refused, not passed over.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSink {
    kind: Kind,
    events: Option<Vec<EventType>>,
    #[serde(default)]
    start: StartAt,
    #[serde(default = "default_batch_records")]
    batch_records: usize,
    #[serde(default = "default_batch_bytes")]
    batch_bytes: usize,
    #[serde(default = "default_linger_ms")]
    linger_ms: u64,
    #[serde(default = "default_retry_first_ms")]
    retry_first_ms: u64,
    #[serde(default = "default_retry_longest_ms")]
    retry_longest_ms: u64,
    #[serde(default = "default_timeout_ms")]
    timeout_ms: u64,
    max_lag_records: Option<u64>,
    max_lag_seconds: Option<u64>,
    #[serde(default)]
    on_full: OnFull,

    url: Option<String>,
    format: Option<String>,
    index: Option<String>,
    header: Option<String>,
    secret: Option<PathBuf>,
    ca: Option<PathBuf>,

    address: Option<String>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    facility: Option<u8>,
    enterprise_id: Option<u32>,

    path: Option<PathBuf>,
    rotate_bytes: Option<u64>,
    rotate_seconds: Option<u64>,

    bucket: Option<String>,
    prefix: Option<String>,
    region: Option<String>,
    endpoint: Option<String>,
    lock_mode: Option<String>,
    lock_days: Option<u64>,
}

fn default_batch_records() -> usize {
    500
}
fn default_batch_bytes() -> usize {
    1_000_000
}
fn default_linger_ms() -> u64 {
    200
}
fn default_retry_first_ms() -> u64 {
    1000
}
fn default_retry_longest_ms() -> u64 {
    60_000
}
fn default_timeout_ms() -> u64 {
    10_000
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Syslog,
    Splunk,
    Elastic,
    Http,
    Cloudevents,
    File,
    S3,
}

/// A system that is sent the ledger.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    /// Its name in metrics, records and places. Under another name a sink is a new one.
    pub name: String,
    /// What it is.
    pub target: SinkTarget,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// What it is sent; everything where absent.
    pub events: Option<BTreeSet<EventType>>,
    /// Where it starts if it is new.
    pub start: StartAt,
    /// How much at once.
    pub limits: BatchLimits,
    /// When to try again.
    pub backoff: Backoff,
    /// How far it may be behind.
    pub bound: LagBound,
}

/// Where a sink is and what it speaks.
#[derive(Debug, Clone)]
pub enum SinkTarget {
    /// RFC 5424 messages over TLS (RFC 5425).
    Syslog(SyslogConfig),
    /// HTTP of one of several shapes.
    Http(HttpSinkConfig),
    /// Lines in a file that is rotated.
    File(FileSinkConfig),
    /// Objects in a store that speaks S3.
    Objects(ObjectStoreConfig),
}

/// A syslog receiver.
#[derive(Debug, Clone)]
pub struct SyslogConfig {
    /// `host:port`.
    pub address: String,
    /// The only roots of its certificate; the system's where absent.
    pub ca: Option<PathBuf>,
    /// Our certificate and its key, where the receiver asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// RFC 5424 §6.2.1.
    pub facility: u8,
    /// The IANA private enterprise number in the name of the structured data.
    pub enterprise_id: u32,
}

/// An HTTP receiver.
#[derive(Debug, Clone)]
pub struct HttpSinkConfig {
    /// Where it is.
    pub url: String,
    /// What it is sent.
    pub shape: HttpShape,
    /// The header that carries the secret.
    pub header: String,
    /// The file of the header's value.
    pub secret: Option<PathBuf>,
    /// The only roots of its certificate; the system's where absent.
    pub ca: Option<PathBuf>,
}

/// What an HTTP receiver is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpShape {
    /// Events of Splunk's HTTP Event Collector, to an index where one is named.
    Splunk(Option<String>),
    /// A bulk request that creates documents in an index or data stream of Elasticsearch or OpenSearch.
    Elastic(String),
    /// One entry a request.
    Json,
    /// One entry a line.
    JsonLines,
    /// CloudEvents 1.0, attributes in headers.
    CloudEventBinary,
    /// CloudEvents 1.0, one event a document.
    CloudEventStructured,
    /// CloudEvents 1.0, a batch of events a document.
    CloudEventBatch,
}

/// A file.
#[derive(Debug, Clone)]
pub struct FileSinkConfig {
    /// Where it is; rotated files stand beside it.
    pub path: PathBuf,
    /// The size beyond which it is rotated.
    pub rotate_bytes: u64,
    /// The age beyond which it is rotated.
    pub rotate_after: Duration,
}

/// The sinks, in the order of their names.
pub(super) fn resolve(raw: BTreeMap<String, RawSink>, base: &Path) -> Result<Vec<SinkConfig>, ConfigError> {
    if raw.len() > MAX_SINKS {
        return Err(ConfigError::Value { key: "sinks", detail: format!("at most {MAX_SINKS} sinks") });
    }
    raw.into_iter().map(|(name, sink)| sink.resolve(name, base)).collect()
}

impl RawSink {
    fn resolve(self, name: String, base: &Path) -> Result<SinkConfig, ConfigError> {
        let wrong = |detail: String| ConfigError::Value { key: "sinks", detail: format!("[sinks.{name}]: {detail}") };
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if name.is_empty() || name.len() > 32 || !name.bytes().all(plain) {
            return Err(wrong("a sink's name has 1 to 32 of a-z 0-9 - _".to_owned()));
        }
        if let Some(key) = self.foreign_key() {
            return Err(wrong(format!("this kind takes no `{key}`")));
        }
        for (key, value, range) in [
            ("batch_records", self.batch_records as u64, 1..=10_000),
            ("batch_bytes", self.batch_bytes as u64, 1024..=16_000_000),
            ("linger_ms", self.linger_ms, 0..=60_000),
            ("retry_first_ms", self.retry_first_ms, 10..=60_000),
            ("retry_longest_ms", self.retry_longest_ms, self.retry_first_ms..=3_600_000),
            ("timeout_ms", self.timeout_ms, 100..=120_000),
        ] {
            if !range.contains(&value) {
                return Err(wrong(format!("`{key}` is {} to {}", range.start(), range.end())));
            }
        }
        if self.on_full == OnFull::Refuse && self.max_lag_records.or(self.max_lag_seconds).is_none() {
            return Err(wrong("`on_full = \"refuse\"` needs `max_lag_records` or `max_lag_seconds`".to_owned()));
        }
        let limits = BatchLimits {
            records: self.batch_records,
            bytes: self.batch_bytes,
            linger: Duration::from_millis(self.linger_ms),
        };
        let backoff = Backoff {
            first: Duration::from_millis(self.retry_first_ms),
            longest: Duration::from_millis(self.retry_longest_ms),
        };
        let bound = LagBound {
            records: self.max_lag_records,
            age: self.max_lag_seconds.map(Duration::from_secs),
            on_full: self.on_full,
        };
        let events = self.events.clone().map(BTreeSet::from_iter);
        let (start, timeout) = (self.start, Duration::from_millis(self.timeout_ms));
        let target = self.target(base).map_err(wrong)?;
        Ok(SinkConfig { name, target, timeout, events, start, limits, backoff, bound })
    }

    /// The first key that is written and that a sink of this kind has no use for.
    fn foreign_key(&self) -> Option<&'static str> {
        use Kind::{Cloudevents, Elastic, File, Http, S3, Splunk, Syslog};
        let written: [(&str, bool, &[Kind]); 20] = [
            ("url", self.url.is_some(), &[Splunk, Elastic, Http, Cloudevents]),
            ("format", self.format.is_some(), &[Http, Cloudevents]),
            ("index", self.index.is_some(), &[Splunk, Elastic]),
            ("header", self.header.is_some(), &[Elastic, Http, Cloudevents]),
            ("secret", self.secret.is_some(), &[Splunk, Elastic, Http, Cloudevents, S3]),
            ("ca", self.ca.is_some(), &[Splunk, Elastic, Http, Cloudevents, Syslog, S3]),
            ("address", self.address.is_some(), &[Syslog]),
            ("cert", self.cert.is_some(), &[Syslog]),
            ("key", self.key.is_some(), &[Syslog]),
            ("facility", self.facility.is_some(), &[Syslog]),
            ("enterprise_id", self.enterprise_id.is_some(), &[Syslog]),
            ("path", self.path.is_some(), &[File]),
            ("rotate_bytes", self.rotate_bytes.is_some(), &[File]),
            ("rotate_seconds", self.rotate_seconds.is_some(), &[File]),
            ("bucket", self.bucket.is_some(), &[S3]),
            ("prefix", self.prefix.is_some(), &[S3]),
            ("region", self.region.is_some(), &[S3]),
            ("endpoint", self.endpoint.is_some(), &[S3]),
            ("lock_mode", self.lock_mode.is_some(), &[S3]),
            ("lock_days", self.lock_days.is_some(), &[S3]),
        ];
        written.into_iter().find(|(_, given, kinds)| *given && !kinds.contains(&self.kind)).map(|(key, ..)| key)
    }

    fn target(self, base: &Path) -> Result<SinkTarget, String> {
        match self.kind {
            Kind::Syslog => self.syslog(base).map(SinkTarget::Syslog),
            Kind::File => self.file(base).map(SinkTarget::File),
            Kind::S3 => RawObjectStore {
                bucket: self.bucket,
                prefix: self.prefix,
                region: self.region,
                endpoint: self.endpoint,
                secret: self.secret,
                ca: self.ca,
                lock_mode: self.lock_mode,
                lock_days: self.lock_days,
                timeout_ms: self.timeout_ms,
            }
            .resolve(base)
            .map(SinkTarget::Objects),
            Kind::Splunk | Kind::Elastic | Kind::Http | Kind::Cloudevents => self.http(base).map(SinkTarget::Http),
        }
    }

    fn syslog(self, base: &Path) -> Result<SyslogConfig, String> {
        let address = self.address.ok_or("`address` is missing: `host:port` of a receiver of syslog over TLS")?;
        let port =
            address.rsplit_once(':').and_then(|(host, port)| port.parse::<u16>().ok().filter(|_| !host.is_empty()));
        if port.is_none() {
            return Err("`address` is `host:port`, by default port 6514".to_owned());
        }
        let identity = match (self.cert, self.key) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((base.join(cert), base.join(key))),
            _ => return Err("give `cert` and `key`, both or neither".to_owned()),
        };
        let facility = self.facility.unwrap_or(13);
        if facility > 23 {
            return Err("`facility` is 0 to 23 (RFC 5424); 13 is log audit".to_owned());
        }
        Ok(SyslogConfig {
            address,
            ca: self.ca.map(|path| base.join(path)),
            identity,
            facility,
            // Reserved for examples (RFC 5612).
            enterprise_id: self.enterprise_id.unwrap_or(32_473),
        })
    }

    fn http(self, base: &Path) -> Result<HttpSinkConfig, String> {
        let url = self.url.ok_or("`url` is missing")?;
        let shape = match (self.kind, self.format.as_deref()) {
            (Kind::Splunk, _) => HttpShape::Splunk(self.index),
            (Kind::Elastic, _) => {
                let index = self.index.ok_or("`index` is missing: the index or data stream to create documents in")?;
                HttpShape::Elastic(index)
            }
            (Kind::Http, Some("json")) => HttpShape::Json,
            (Kind::Http, None | Some("jsonl")) => HttpShape::JsonLines,
            (Kind::Http, Some(_)) => return Err("`format` is `json` or `jsonl`".to_owned()),
            (_, Some("binary")) => HttpShape::CloudEventBinary,
            (_, Some("structured")) => HttpShape::CloudEventStructured,
            (_, None | Some("batch")) => HttpShape::CloudEventBatch,
            (_, Some(_)) => return Err("`format` is `binary`, `structured` or `batch`".to_owned()),
        };
        if matches!(shape, HttpShape::Splunk(_)) && self.secret.is_none() {
            return Err("`secret` is missing: the file of the collector's token".to_owned());
        }
        Ok(HttpSinkConfig {
            url,
            shape,
            header: self.header.unwrap_or_else(|| "authorization".to_owned()),
            secret: self.secret.map(|path| base.join(path)),
            ca: self.ca.map(|path| base.join(path)),
        })
    }

    fn file(self, base: &Path) -> Result<FileSinkConfig, String> {
        let path = base.join(self.path.ok_or("`path` is missing")?);
        let (bytes, seconds) = (self.rotate_bytes.unwrap_or(100_000_000), self.rotate_seconds.unwrap_or(86_400));
        if !(4096..=1_000_000_000_000).contains(&bytes) || !(1..=31_622_400).contains(&seconds) {
            return Err("`rotate_bytes` is 4096 to 10^12, `rotate_seconds` 1 to 31622400".to_owned());
        }
        Ok(FileSinkConfig { path, rotate_bytes: bytes, rotate_after: Duration::from_secs(seconds) })
    }
}
