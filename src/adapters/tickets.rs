//! Tickets over HTTP: one GET of the ticket, one text in its JSON answer.
//!
//! A ticket is confirmed by status 200 and a state that the operator lists, and by nothing else: a redirect, another
//! status, an answer that is not JSON, too large or too late, a state that is no text confirm nothing. A number that does
//! not look like one of the system's never leaves this process.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use axum::http::header::ACCEPT;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::Full;
use regex_lite::Regex;
use serde_json::Value;

use super::outgoing::{
    Outgoing, OutgoingError, OutgoingLimits, OutgoingSetupError, SecretError, percent_encoded, read_secrets,
};
use crate::config::TicketSystemConfig;
use crate::domain::leg::Ticket;
use crate::service::ports::{TicketError, TicketQuery, Tickets};

/// The largest ticket: those of common systems with their comments fit.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// How much of a foreign state is told.
const MAX_STATE_CHARS: usize = 64;

/// Why a system cannot be asked at all.
#[derive(Debug, thiserror::Error)]
#[error("[tickets.{system}]")]
pub struct TicketSetupError {
    system: String,
    #[source]
    fault: TicketFault,
}

/// What is wrong with a system's configuration.
#[derive(Debug, thiserror::Error)]
enum TicketFault {
    #[error("`url` may have `{{ref}}`, `{{act}}`, `{{agent}}` and `{{workspace}}` in its path and query only")]
    Url,
    #[error("`pattern` is not a regular expression")]
    Pattern,
    #[error("`header` is not the name of a header")]
    Header,
    #[error(transparent)]
    Outgoing(#[from] OutgoingSetupError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("`secret` holds more than one line")]
    Secrets,
}

/// The configured systems.
#[derive(Debug, Default)]
pub struct HttpTickets {
    systems: BTreeMap<String, System>,
}

struct System {
    url: String,
    pattern: Regex,
    credentials: Option<(HeaderName, HeaderValue)>,
    state: String,
    accept: Vec<String>,
    http: Outgoing,
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System").field("state", &self.state).field("accept", &self.accept).finish_non_exhaustive()
    }
}

impl HttpTickets {
    /// Clients for all of `systems`; nothing is asked yet. `dev` permits plain http on this machine.
    ///
    /// # Errors
    /// At the first system whose configuration cannot be meant.
    pub fn new(systems: &BTreeMap<String, TicketSystemConfig>, dev: bool) -> Result<Self, TicketSetupError> {
        let system = |(name, config): (&String, &TicketSystemConfig)| match System::new(config, dev) {
            Ok(system) => Ok((name.clone(), system)),
            Err(fault) => Err(TicketSetupError { system: name.clone(), fault }),
        };
        Ok(Self { systems: systems.iter().map(system).collect::<Result<_, _>>()? })
    }
}

impl System {
    fn new(config: &TicketSystemConfig, dev: bool) -> Result<Self, TicketFault> {
        // Two different fillings give one origin: no placeholder stands in the scheme or the authority.
        let origin: Uri = filled(&config.url, &["x"; 4]).parse().map_err(|_| TicketFault::Url)?;
        let other: Uri = filled(&config.url, &["y"; 4]).parse().map_err(|_| TicketFault::Url)?;
        if origin.authority() != other.authority() || filled(&config.url, &[""; 4]).contains(['{', '}']) {
            return Err(TicketFault::Url);
        }
        let limits = OutgoingLimits { total: config.timeout, max_answer_bytes: MAX_ANSWER_BYTES };
        Ok(Self {
            http: Outgoing::new(&origin, config.ca.as_deref(), limits, dev)?,
            url: config.url.clone(),
            // Whole texts only, whatever anchors are written.
            pattern: Regex::new(&format!(r"\A(?:{})\z", config.pattern)).map_err(|_| TicketFault::Pattern)?,
            credentials: config.secret.as_deref().map(|path| credentials(&config.header, path)).transpose()?,
            state: config.state.clone(),
            accept: config.accept.clone(),
        })
    }

    async fn confirm(&self, reference: &str, about: TicketQuery<'_>) -> Result<(), TicketError> {
        if !self.pattern.is_match(reference) {
            return Err(TicketError::NotFound);
        }
        let answer = self.http.send(self.request(reference, about)?).await.map_err(|error| {
            TicketError::Unavailable(match error {
                OutgoingError::Timeout => "it did not answer in time",
                OutgoingError::TooLarge => "its answer is too large",
                OutgoingError::Unreachable => "it cannot be reached",
                OutgoingError::Broken | OutgoingError::Unsendable => "the connection broke",
            })
        })?;
        match answer.status {
            StatusCode::OK => self.judge(&answer.body),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(TicketError::NotFound),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(TicketError::Unavailable("it does not accept our credentials"))
            }
            status if status.is_redirection() => Err(TicketError::Unavailable("it answers with a redirect")),
            _ => Err(TicketError::Unavailable("it answers with an error")),
        }
    }

    fn request(&self, reference: &str, about: TicketQuery<'_>) -> Result<Request<Full<Bytes>>, TicketError> {
        let values = [reference, about.act.as_str(), about.agent.as_str(), about.workspace.as_str()];
        let mut request = Request::get(filled(&self.url, &values))
            .header(ACCEPT, "application/json")
            .body(Full::default())
            .map_err(|_| TicketError::NotFound)?;
        if let Some((name, value)) = &self.credentials {
            request.headers_mut().insert(name, value.clone());
        }
        Ok(request)
    }

    fn judge(&self, body: &[u8]) -> Result<(), TicketError> {
        let answer: Value =
            serde_json::from_slice(body).map_err(|_| TicketError::Unavailable("its answer is not JSON"))?;
        let state = answer.pointer(&self.state).and_then(Value::as_str);
        let state = state.ok_or(TicketError::Unavailable("its answer has no text where the state should be"))?;
        if self.accept.iter().any(|accepted| accepted == state) {
            return Ok(());
        }
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.');
        Err(TicketError::NotApproved(state.chars().filter(plain).take(MAX_STATE_CHARS).collect()))
    }
}

/// `template` with its placeholders filled: ticket, act, agent, workspace.
fn filled(template: &str, values: &[&str; 4]) -> String {
    let names = ["{ref}", "{act}", "{agent}", "{workspace}"];
    // No value brings a placeholder of its own: braces are encoded.
    names.iter().zip(values).fold(template.to_owned(), |url, (name, value)| url.replace(name, &percent_encoded(value)))
}

fn credentials(header: &str, path: &std::path::Path) -> Result<(HeaderName, HeaderValue), TicketFault> {
    let name = HeaderName::try_from(header).map_err(|_| TicketFault::Header)?;
    let secrets = read_secrets(path)?;
    let [secret] = secrets.as_slice() else { return Err(TicketFault::Secrets) };
    let mut value = HeaderValue::from_str(secret).map_err(|_| SecretError::Content(path.to_owned()))?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[async_trait]
impl Tickets for HttpTickets {
    async fn confirm(&self, ticket: &Ticket, about: TicketQuery<'_>) -> Result<(), TicketError> {
        let system = self.systems.get(ticket.system.as_str()).ok_or(TicketError::UnknownSystem)?;
        let confirmed = system.confirm(ticket.reference.as_str(), about).await;
        if let Err(TicketError::Unavailable(why)) = &confirmed {
            tracing::warn!(ticket.system = ticket.system.as_str(), reason = why, "a ticket could not be confirmed");
        }
        confirmed
    }
}
