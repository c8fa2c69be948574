//! `[notify]` and `[[notify.endpoints]]`: who is told what becomes of challenges.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;
use crate::service::notifier::NoticeKind;

/// The most endpoints; each has a task and a queue of its own.
const MAX_ENDPOINTS: usize = 16;
/// Between attempts, as the Standard Webhooks specification proposes (the first attempt is made at once).
const RETRY_SECONDS: [u64; 9] = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// Three days.
const MAX_AGE_SECONDS: u64 = 259_200;

/// The table as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNotify {
    link: Option<String>,
    #[serde(default = "default_retry_seconds")]
    retry_seconds: Vec<u64>,
    #[serde(default = "default_max_age_seconds")]
    max_age_seconds: u64,
    #[serde(default)]
    endpoints: Vec<RawEndpoint>,
}

impl Default for RawNotify {
    fn default() -> Self {
        Self {
            link: None,
            retry_seconds: default_retry_seconds(),
            max_age_seconds: default_max_age_seconds(),
            endpoints: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEndpoint {
    name: String,
    url: Option<String>,
    url_file: Option<PathBuf>,
    secret: Option<PathBuf>,
    events: Option<Vec<String>>,
    #[serde(default)]
    shape: Shape,
    ca: Option<PathBuf>,
    #[serde(default = "default_timeout_ms")]
    timeout_ms: u64,
}

fn default_retry_seconds() -> Vec<u64> {
    RETRY_SECONDS.to_vec()
}
fn default_max_age_seconds() -> u64 {
    MAX_AGE_SECONDS
}
fn default_timeout_ms() -> u64 {
    10_000
}

/// What a notification looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `schemas/notification.schema.json`.
    #[default]
    Standard,
    /// A message for an incoming webhook of Slack.
    Slack,
    /// An Adaptive Card for a Workflows webhook of Microsoft Teams.
    Teams,
}

/// Who is told, and how long it is tried.
#[derive(Debug, Clone)]
pub struct NotifyConfig {
    /// Where an approver looks, without a trailing slash; AgentAuth's own door where absent.
    pub link: Option<String>,
    /// Between attempts; one attempt more than there are pauses.
    pub retry: Vec<Duration>,
    /// The age at which an event is given up whatever the attempts.
    pub max_age: Duration,
    /// The receivers.
    pub endpoints: Vec<EndpointConfig>,
}

/// One receiver.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// Its name in metrics, records and commands.
    pub name: String,
    /// Where it is.
    pub url: EndpointUrl,
    /// The file of its secrets, one `whsec_…` a line.
    pub secret: Option<PathBuf>,
    /// What it is told of.
    pub events: Vec<NoticeKind>,
    /// What it is sent.
    pub shape: Shape,
    /// The only roots of its certificate; the system's where absent.
    pub ca: Option<PathBuf>,
    /// How long one attempt may take.
    pub timeout: Duration,
}

/// Where a receiver is.
#[derive(Debug, Clone)]
pub enum EndpointUrl {
    /// Here.
    Plain(String),
    /// In a file under the rules of private keys: who knows the URL of a Slack or Teams webhook may write there.
    File(PathBuf),
}

impl RawNotify {
    pub(super) fn resolve(self, base: &Path) -> Result<NotifyConfig, ConfigError> {
        let wrong = |key, detail: &str| ConfigError::Value { key, detail: detail.to_owned() };
        if self.retry_seconds.len() > 32 || self.retry_seconds.iter().any(|s| !(1..=604_800).contains(s)) {
            return Err(wrong("notify.retry_seconds", "at most 32 pauses of 1 second to 7 days"));
        }
        if !(1..=604_800).contains(&self.max_age_seconds) {
            return Err(wrong("notify.max_age_seconds", "1 second to 7 days"));
        }
        if self.endpoints.len() > MAX_ENDPOINTS {
            return Err(wrong("notify.endpoints", "at most 16 endpoints"));
        }
        if self.link.as_deref().is_some_and(|link| !is_base_url(link)) {
            return Err(wrong("notify.link", "expected `https://host/path` without query, fragment or blanks"));
        }
        let endpoints: Vec<_> =
            self.endpoints.into_iter().map(|endpoint| endpoint.resolve(base)).collect::<Result<_, _>>()?;
        for (index, endpoint) in endpoints.iter().enumerate() {
            if endpoints.iter().skip(index + 1).any(|other| other.name == endpoint.name) {
                return Err(wrong("notify.endpoints", &format!("two endpoints are called `{}`", endpoint.name)));
            }
        }
        Ok(NotifyConfig {
            link: self.link.map(|link| link.trim_end_matches('/').to_owned()),
            retry: self.retry_seconds.into_iter().map(Duration::from_secs).collect(),
            max_age: Duration::from_secs(self.max_age_seconds),
            endpoints,
        })
    }
}

/// Nothing in it can end a link in Slack's or Teams' markup.
fn is_base_url(link: &str) -> bool {
    let rest = link.strip_prefix("https://").or_else(|| link.strip_prefix("http://"));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/[]%".contains(&b);
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(plain))
}

impl RawEndpoint {
    fn resolve(self, base: &Path) -> Result<EndpointConfig, ConfigError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if self.name.is_empty() || self.name.len() > 32 || !self.name.bytes().all(plain) {
            let detail = "an endpoint's `name` has 1 to 32 of a-z 0-9 - _".to_owned();
            return Err(ConfigError::Value { key: "notify.endpoints", detail });
        }
        let wrong =
            |detail: &str| ConfigError::Value { key: "notify.endpoints", detail: format!("`{}`: {detail}", self.name) };
        let url = match (self.url, self.url_file) {
            (Some(url), None) => EndpointUrl::Plain(url),
            (None, Some(path)) => EndpointUrl::File(base.join(path)),
            _ => return Err(wrong("give `url` or `url_file`, one of them")),
        };
        if self.shape == Shape::Standard && self.secret.is_none() {
            return Err(wrong("`secret` is missing: without it the receiver cannot tell us from others"));
        }
        if !(100..=30_000).contains(&self.timeout_ms) {
            return Err(wrong("`timeout_ms` is 100 to 30000"));
        }
        let kind = |name: &String| {
            NoticeKind::ALL.into_iter().find(|kind| kind.short() == name).ok_or_else(|| {
                wrong(&format!("`events`: there is no `{name}`; known are created approved rejected expired withdrawn"))
            })
        };
        let events = match &self.events {
            None => NoticeKind::ALL.to_vec(),
            Some(names) => names.iter().map(kind).collect::<Result<_, _>>()?,
        };
        Ok(EndpointConfig {
            url,
            secret: self.secret.map(|path| base.join(path)),
            events,
            shape: self.shape,
            ca: self.ca.map(|path| base.join(path)),
            timeout: Duration::from_millis(self.timeout_ms),
            name: self.name,
        })
    }
}
