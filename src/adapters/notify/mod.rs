//! Notifications as webhooks: one POST a notice, signed as Standard Webhooks says
//! (<https://www.standardwebhooks.com>, `webhook-id`, `webhook-timestamp`, `webhook-signature`).
//!
//! Taken means status 2xx. Anything else is a failure, 410 the last one: the receiver says that it is gone. A redirect is
//! not followed, what the receiver answers is not read beyond 64 KiB and never logged. Secrets and URLs are in no error.

mod shapes;
mod signature;

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::Full;

use super::clock::SystemClock;
use super::outgoing::{Outgoing, OutgoingLimits, OutgoingSetupError, SecretError, read_secrets};
use crate::config::{EndpointConfig, EndpointUrl, NotifyConfig, Shape};
use crate::domain::time::Timestamp;
use crate::service::notifier::Notice;
use crate::service::ports::{Clock as _, Notify, NotifyError};

pub use shapes::Message;
pub use signature::{SecretFormatError, WebhookSecret};

/// The most that is read of an answer.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Why an endpoint cannot be told at all.
#[derive(Debug, thiserror::Error)]
#[error("notify endpoint `{endpoint}`")]
pub struct NotifySetupError {
    endpoint: String,
    #[source]
    fault: EndpointFault,
}

#[derive(Debug, thiserror::Error)]
enum EndpointFault {
    #[error(transparent)]
    Outgoing(#[from] OutgoingSetupError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("`{}` does not hold one URL", .0.display())]
    UrlFile(std::path::PathBuf),
    #[error("`{}`: {}", .0.display(), .1)]
    Format(std::path::PathBuf, SecretFormatError),
}

/// The configured receivers.
#[derive(Debug, Default)]
pub struct Webhooks {
    endpoints: BTreeMap<String, Endpoint>,
}

struct Endpoint {
    url: Uri,
    secrets: Vec<WebhookSecret>,
    shape: Shape,
    http: Outgoing,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl Webhooks {
    /// Clients for all endpoints; nothing is sent yet. `dev` permits plain http on this machine.
    ///
    /// # Errors
    /// At the first endpoint whose configuration cannot be meant.
    pub fn new(config: &NotifyConfig, dev: bool) -> Result<Self, NotifySetupError> {
        let endpoint = |config: &EndpointConfig| match Endpoint::new(config, dev) {
            Ok(endpoint) => Ok((config.name.clone(), endpoint)),
            Err(fault) => Err(NotifySetupError { endpoint: config.name.clone(), fault }),
        };
        Ok(Self { endpoints: config.endpoints.iter().map(endpoint).collect::<Result<_, _>>()? })
    }

    /// Sends a message once and says what came back.
    ///
    /// # Errors
    /// As [`Notify::deliver`].
    pub async fn send(&self, endpoint: &str, message: &Message<'_>) -> Result<StatusCode, NotifyError> {
        let unknown = || NotifyError { detail: "no endpoint of this name is configured".to_owned(), last: false };
        self.endpoints.get(endpoint).ok_or_else(unknown)?.send(message, SystemClock.now()).await
    }
}

impl Endpoint {
    fn new(config: &EndpointConfig, dev: bool) -> Result<Self, EndpointFault> {
        let url = match &config.url {
            EndpointUrl::Plain(url) => url.parse().map_err(|_| OutgoingSetupError::Url)?,
            EndpointUrl::File(path) => match read_secrets(path)?.as_slice() {
                [url] => url.parse().map_err(|_| EndpointFault::UrlFile(path.clone()))?,
                _ => return Err(EndpointFault::UrlFile(path.clone())),
            },
        };
        let secrets = match &config.secret {
            None => Vec::new(),
            Some(path) => {
                let lines = read_secrets(path)?;
                let parsed = lines.iter().map(|line| WebhookSecret::parse(line)).collect::<Result<_, _>>();
                parsed.map_err(|error| EndpointFault::Format(path.clone(), error))?
            }
        };
        let limits = OutgoingLimits { total: config.timeout, max_answer_bytes: MAX_ANSWER_BYTES };
        let http = Outgoing::new(&url, config.ca.as_deref(), limits, dev)?;
        Ok(Self { url, secrets, shape: config.shape, http })
    }

    async fn send(&self, message: &Message<'_>, now: Timestamp) -> Result<StatusCode, NotifyError> {
        let request = self
            .request(message, now)
            .map_err(|_| NotifyError { detail: "the request is not valid HTTP".to_owned(), last: true })?;
        let failed = |detail: String, last| NotifyError { detail, last };
        let answer = self.http.send(request).await.map_err(|error| failed(error.to_string(), false))?;
        if answer.status.is_success() {
            return Ok(answer.status);
        }
        let gone = answer.status == StatusCode::GONE;
        Err(failed(format!("status {}", answer.status.as_u16()), gone))
    }

    fn request(&self, message: &Message<'_>, now: Timestamp) -> Result<Request<Full<Bytes>>, axum::http::Error> {
        let (id, timestamp) = (message.id(), now.as_secs().to_string());
        let body = shapes::body(message, self.shape).to_string();
        let mut request = Request::post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", &timestamp);
        if !self.secrets.is_empty() {
            request = request.header("webhook-signature", signature::header(&self.secrets, &id, &timestamp, &body));
        }
        request.body(Full::from(body))
    }
}

#[async_trait]
impl Notify for Webhooks {
    async fn deliver(&self, endpoint: &str, notice: &Notice) -> Result<(), NotifyError> {
        self.send(endpoint, &Message::Notice(notice)).await.map(drop)
    }
}
