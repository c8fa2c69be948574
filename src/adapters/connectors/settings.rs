//! The tables of a connector file that say how much, how often, when not, and over which identity: `[limits]`, `[rate]`,
//! `[breaker]`, `[tls]`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::breaker::BreakerSettings;
use super::client_identity::{ClientIdentity, UpstreamTls};
use super::config::Limits;
use super::load_error::{LoadError, Problem};
use super::rate::{Budget, Rate};
use super::table::Source;

/// A number in its range, or nothing where the key is absent.
fn within(
    source: Source<'_>,
    key: &'static str,
    value: Option<Spanned<u64>>,
    max: u64,
) -> Result<Option<u64>, LoadError> {
    match value {
        Some(value) if (1..=max).contains(value.get_ref()) => Ok(Some(*value.get_ref())),
        Some(value) => Err(source.error(value.span(), Problem::Range { key, min: 1, max })),
        None => Ok(None),
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsTable {
    connect_ms: Option<Spanned<u64>>,
    request_ms: Option<Spanned<u64>>,
    idle_ms: Option<Spanned<u64>>,
    answer_ms: Option<Spanned<u64>>,
    max_request_bytes: Option<Spanned<u64>>,
    max_response_bytes: Option<Spanned<u64>>,
    max_concurrent: Option<Spanned<u64>>,
}

impl LimitsTable {
    pub(super) fn read(self, source: Source<'_>) -> Result<Limits, LoadError> {
        const GIB: u64 = 1024 * 1024 * 1024;
        const HOUR: u64 = 3_600_000;
        let default = Limits::default();
        let millis = |key, value, max, default| {
            within(source, key, value, max).map(|value| value.map_or(default, Duration::from_millis))
        };
        let bytes = |key, value, max, default| within(source, key, value, max).map(|value| value.unwrap_or(default));
        Ok(Limits {
            connect: millis("connect_ms", self.connect_ms, 600_000, default.connect)?,
            request: millis("request_ms", self.request_ms, 600_000, default.request)?,
            idle: millis("idle_ms", self.idle_ms, 600_000, default.idle)?,
            answer: millis("answer_ms", self.answer_ms, 24 * HOUR, default.answer)?,
            max_request_bytes: bytes("max_request_bytes", self.max_request_bytes, GIB, default.max_request_bytes)?,
            max_response_bytes: bytes(
                "max_response_bytes",
                self.max_response_bytes,
                64 * GIB,
                default.max_response_bytes,
            )?,
            max_concurrent: within(source, "max_concurrent", self.max_concurrent, 10_000)?
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(default.max_concurrent),
        })
    }
}

/// The most calls a minute that can be said.
const MAX_PER_MINUTE: u64 = 6_000_000;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RateTable {
    per_minute: Option<Spanned<u64>>,
    burst: Option<Spanned<u64>>,
    agent_per_minute: Option<Spanned<u64>>,
    agent_burst: Option<Spanned<u64>>,
}

impl RateTable {
    pub(super) fn read(self, source: Source<'_>) -> Result<Rate, LoadError> {
        Ok(Rate {
            all: budget(source, ("per_minute", self.per_minute), ("burst", self.burst))?,
            agent: budget(source, ("agent_per_minute", self.agent_per_minute), ("agent_burst", self.agent_burst))?,
        })
    }
}

/// Where no burst is said, it is what a second holds, and at least one call.
fn budget(
    source: Source<'_>,
    (rate, per_minute): (&'static str, Option<Spanned<u64>>),
    (burst, at_once): (&'static str, Option<Spanned<u64>>),
) -> Result<Option<Budget>, LoadError> {
    let number = |value: u64| u32::try_from(value).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    if let (None, Some(at_once)) = (&per_minute, &at_once) {
        return Err(source.error(at_once.span(), Problem::BurstAlone { burst, rate }));
    }
    let at_once = within(source, burst, at_once, MAX_PER_MINUTE)?;
    let per_minute = within(source, rate, per_minute, MAX_PER_MINUTE)?;
    Ok(per_minute.map(|calls| Budget { per_minute: number(calls), burst: number(at_once.unwrap_or(calls / 60)) }))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct BreakerTable {
    failures: Option<Spanned<u64>>,
    open_ms: Option<Spanned<u64>>,
}

impl BreakerTable {
    pub(super) fn read(self, source: Source<'_>) -> Result<BreakerSettings, LoadError> {
        let default = BreakerSettings::default();
        let failures = within(source, "failures", self.failures, 10_000)?.and_then(|n| u32::try_from(n).ok());
        let open = within(source, "open_ms", self.open_ms, 600_000)?.map(Duration::from_millis);
        Ok(BreakerSettings { failures: failures.unwrap_or(default.failures), open: open.unwrap_or(default.open) })
    }
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum ClientKind {
    Svid,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsTable {
    spiffe_id: Option<Spanned<String>>,
    client: Option<ClientKind>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
}

impl TlsTable {
    pub(super) fn read(table: Spanned<Self>, source: Source<'_>, ca: bool) -> Result<UpstreamTls, LoadError> {
        let span = table.span();
        let Self { spiffe_id, client, cert_file, key_file } = table.into_inner();
        let server = spiffe_id.map(|id| {
            let parsed = id.get_ref().parse();
            parsed.map_err(|error: crate::domain::spiffe::SpiffeIdError| source.error(id.span(), error))
        });
        let client = match (server.is_some(), client, cert_file, key_file) {
            // Who is to be a workload of ours sees that we are one.
            (true, _, None, None) | (false, Some(ClientKind::Svid), None, None) => Some(ClientIdentity::Svid),
            (false, None, Some(cert), Some(key)) => {
                Some(ClientIdentity::Files { cert: source.beside(&cert), key: source.beside(&key) })
            }
            _ => None,
        };
        match client {
            Some(client) if !(ca && server.is_some()) => {
                Ok(UpstreamTls { server: server.transpose()?, client: Some(client) })
            }
            _ => Err(source.error(span, Problem::TlsChoice)),
        }
    }
}
