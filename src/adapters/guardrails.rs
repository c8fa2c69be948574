//! Guardrails from outside the code: patterns in a file, and a service over HTTPS.
//!
//! The service gets one POST with what the call says, folded (`schemas/guardrail-question`), and answers with the names of
//! what it finds (`schemas/guardrail-answer`). Another status, an answer of another form, too large or too late, is no
//! answer. It gets what agents send, so it is as much in need of protection as the upstream is.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderValue, Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::Full;
use serde::Deserialize;
use serde_json::json;

use super::outgoing::{Outgoing, OutgoingError, OutgoingLimits, OutgoingSetupError, SecretError, read_secrets};
use crate::domain::action::CallRequest;
use crate::domain::guardrail::{FindingName, FoldedTexts, MAX_FINDINGS, PatternError, Patterns};
use crate::domain::json as strict;
use crate::service::ports::{GuardrailDown, GuardrailService};

/// The largest answer.
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// Why guardrails cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum GuardrailSetupError {
    /// The file cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: String,
        /// What the operating system says.
        #[source]
        source: std::io::Error,
    },
    /// Not a list of `[[pattern]]` with `name` and `regex`.
    #[error("`{path}`: {detail}")]
    Form {
        /// The file.
        path: String,
        /// What the parser says, with line and column.
        detail: String,
    },
    /// A pattern that cannot be used.
    #[error("`{path}`: {fault}")]
    Pattern {
        /// The file.
        path: String,
        /// Which and why.
        fault: PatternError,
    },
    /// The service's URL or trust.
    #[error("`guardrails.service`")]
    Service(#[from] OutgoingSetupError),
    /// The service's secret.
    #[error("`guardrails.secret`")]
    Secret(#[from] SecretError),
    /// The secret is more than one line.
    #[error("`guardrails.secret` holds more than one line")]
    Secrets,
}

/// Reads a file of patterns.
///
/// # Errors
/// When it is not one.
pub fn read_patterns(path: &Path) -> Result<Patterns, GuardrailSetupError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        pattern: Vec<Written>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written {
        name: FindingName,
        regex: String,
    }
    let shown = || path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| GuardrailSetupError::Read { path: shown(), source })?;
    let file: File = toml::from_str(&text)
        .map_err(|error| GuardrailSetupError::Form { path: shown(), detail: error.to_string().trim().to_owned() })?;
    Patterns::new(file.pattern.into_iter().map(|written| (written.name, written.regex)))
        .map_err(|fault| GuardrailSetupError::Pattern { path: shown(), fault })
}

/// The operator's service.
pub struct HttpGuardrail {
    url: Uri,
    credentials: Option<HeaderValue>,
    http: Outgoing,
}

impl fmt::Debug for HttpGuardrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpGuardrail")
    }
}

impl HttpGuardrail {
    /// A client of the service at `url`; nothing is asked yet. `dev` permits plain http on this machine.
    ///
    /// # Errors
    /// When the URL, its trust or the secret cannot be meant.
    pub fn new(
        url: &str,
        ca: Option<&Path>,
        secret: Option<&Path>,
        timeout: Duration,
        dev: bool,
    ) -> Result<Self, GuardrailSetupError> {
        let url: Uri = url.parse().map_err(|_| OutgoingSetupError::Url)?;
        let limits = OutgoingLimits { total: timeout, max_answer_bytes: MAX_ANSWER_BYTES };
        let http = Outgoing::new(&url, ca, limits, dev)?;
        Ok(Self { url, credentials: secret.map(credentials).transpose()?, http })
    }

    fn request(&self, call: &CallRequest, texts: &FoldedTexts) -> Option<Request<Full<Bytes>>> {
        let question = json!({
            "connector": call.connector, "act": call.act, "texts": texts.iter().collect::<Vec<_>>(),
        });
        let mut request = Request::post(self.url.clone())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(question.to_string()))
            .ok()?;
        request.headers_mut().extend(self.credentials.clone().map(|value| (AUTHORIZATION, value)));
        Some(request)
    }

    async fn ask(&self, call: &CallRequest, texts: &FoldedTexts) -> Result<Vec<FindingName>, GuardrailDown> {
        let request = self.request(call, texts).ok_or(GuardrailDown("the question cannot be sent"))?;
        let answer = self.http.send(request).await.map_err(|error| {
            GuardrailDown(match error {
                OutgoingError::Timeout => "it did not answer in time",
                OutgoingError::TooLarge => "its answer is too large",
                OutgoingError::Unreachable => "it cannot be reached",
                OutgoingError::Broken | OutgoingError::Unsendable => "the connection broke",
            })
        })?;
        if answer.status != StatusCode::OK {
            return Err(GuardrailDown("it answers with another status than 200"));
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Found {
            findings: Vec<FindingName>,
        }
        let found: Found =
            strict::parse_as(&answer.body).map_err(|_| GuardrailDown("its answer is not what it should be"))?;
        Ok(found.findings.into_iter().take(MAX_FINDINGS).collect())
    }
}

fn credentials(path: &Path) -> Result<HeaderValue, GuardrailSetupError> {
    let secrets = read_secrets(path)?;
    let [secret] = secrets.as_slice() else { return Err(GuardrailSetupError::Secrets) };
    let mut value = HeaderValue::from_str(secret).map_err(|_| SecretError::Content(path.to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[async_trait]
impl GuardrailService for HttpGuardrail {
    async fn look(&self, call: &CallRequest, texts: &FoldedTexts) -> Result<Vec<FindingName>, GuardrailDown> {
        let found = self.ask(call, texts).await;
        if let Err(down) = &found {
            tracing::warn!(reason = down.0, "the guardrail service did not look at a call");
        }
        found
    }
}
