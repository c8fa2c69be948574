//! Logs: one JSON object a line on stderr. A failure is logged once, where it is handled; no token, key or body is.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::UtcTime;

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Not a filter.
    #[error("`log.level`: `{0}` is not a filter such as `info` or `atb=debug`")]
    Filter(String),
    /// Somebody started it before.
    #[error("logging was started before")]
    Started,
}

/// Starts logging with a filter in `tracing` syntax.
///
/// # Errors
/// As the variants of [`TelemetryError`] say.
pub fn start(filter: &str) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(filter).map_err(|_| TelemetryError::Filter(filter.to_owned()))?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_timer(UtcTime::rfc_3339())
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .try_init()
        .map_err(|_| TelemetryError::Started)
}
