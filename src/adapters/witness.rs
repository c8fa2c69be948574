//! A witness over HTTP: `POST <prefix>/add-checkpoint` (C2SP tlog-witness).
//!
//! ```text
//! old 20852014                                           the size that the witness has
//! PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=           the consistency proof from there, base64, a hash a line
//!                                                        (empty line)
//! atb.example/broker-1 …                                 the checkpoint
//! ```
//!
//! 200 answers signature lines, of which only those of the configured key count, verified over exactly this checkpoint.
//! 409 with `text/x.tlog.size` says what the witness has. Everything else is a refusal or a failure; nothing of its text is
//! logged.

use async_trait::async_trait;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode, Uri};
use base64ct::{Base64, Encoding as _};
use bytes::Bytes;
use http_body_util::Full;

use super::outgoing::{Answer, Outgoing, OutgoingLimits, OutgoingSetupError};
use crate::config::WitnessConfig;
use crate::domain::id::Sha256Digest;
use crate::domain::ledger::{Checkpoint, Cosignature, WitnessKey};
use crate::service::ports::{PublishError, Witness};

/// The most that is read of an answer: a handful of lines.
const MAX_ANSWER_BYTES: usize = 16 * 1024;
/// What a witness must take.
const MAX_PROOF: usize = 63;

/// A witness that cannot be asked at all.
#[derive(Debug, thiserror::Error)]
#[error("ledger witness `{name}`")]
pub struct WitnessSetupError {
    name: String,
    #[source]
    fault: OutgoingSetupError,
}

/// A configured witness.
#[derive(Debug)]
pub struct HttpWitness {
    key: WitnessKey,
    url: Uri,
    http: Outgoing,
}

impl HttpWitness {
    /// A client; nothing is sent yet. `dev` permits plain http on this machine.
    ///
    /// # Errors
    /// When its URL or its roots cannot be meant.
    pub fn new(config: &WitnessConfig, dev: bool) -> Result<Self, WitnessSetupError> {
        let setup = || {
            let url = format!("{}/add-checkpoint", config.url.trim_end_matches('/'));
            let url: Uri = url.parse().map_err(|_| OutgoingSetupError::Url)?;
            let limits = OutgoingLimits { total: config.timeout, max_answer_bytes: MAX_ANSWER_BYTES };
            let http = Outgoing::new(&url, config.ca.as_deref(), limits, dev)?;
            Ok(Self { key: config.key.clone(), url, http })
        };
        setup().map_err(|fault| WitnessSetupError { name: config.key.name().to_string(), fault })
    }

    fn read(&self, answer: &Answer, checkpoint: &Checkpoint) -> Result<Cosignature, PublishError> {
        let refused = |what: String| Err(PublishError::Refused(what));
        let text = std::str::from_utf8(&answer.body).unwrap_or_default();
        match answer.status {
            StatusCode::OK => match self.key.cosignature_in(checkpoint, text) {
                Ok(Some(cosignature)) => Ok(cosignature),
                Ok(None) => refused("its answer has no cosignature by the configured key".to_owned()),
                Err(error) => refused(error.to_string()),
            },
            StatusCode::CONFLICT => match size(answer, text) {
                Some(size) => Err(PublishError::OtherSize(size)),
                None => refused("status 409 without the size that it has".to_owned()),
            },
            // The checks of the protocol; the rest may pass.
            StatusCode::BAD_REQUEST
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::UNPROCESSABLE_ENTITY => refused(format!("status {}", answer.status.as_u16())),
            other => Err(PublishError::Unavailable(format!("status {}", other.as_u16()))),
        }
    }
}

fn size(answer: &Answer, text: &str) -> Option<u64> {
    let kind = answer.headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let size = text.strip_suffix('\n')?;
    let number: u64 = size.parse().ok()?;
    (kind.split(';').next() == Some("text/x.tlog.size") && number.to_string() == size).then_some(number)
}

/// The request's body.
fn body(old: u64, proof: &[Sha256Digest], checkpoint: &Checkpoint) -> String {
    let mut body = format!("old {old}\n");
    for hash in proof {
        body.push_str(&Base64::encode_string(hash.as_bytes()));
        body.push('\n');
    }
    body.push('\n');
    body.push_str(checkpoint.note());
    body
}

#[async_trait]
impl Witness for HttpWitness {
    fn key(&self) -> &WitnessKey {
        &self.key
    }

    async fn add_checkpoint(
        &self,
        old: u64,
        proof: &[Sha256Digest],
        checkpoint: &Checkpoint,
    ) -> Result<Cosignature, PublishError> {
        if proof.len() > MAX_PROOF {
            return Err(PublishError::Refused("the consistency proof is longer than witnesses take".to_owned()));
        }
        let request = Request::post(self.url.clone())
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(Full::from(Bytes::from(body(old, proof, checkpoint))))
            .map_err(|_| PublishError::Refused("the request is not valid HTTP".to_owned()))?;
        let answer = self.http.send(request).await.map_err(|error| PublishError::Unavailable(error.to_string()))?;
        self.read(&answer, checkpoint)
    }
}
