//! An endpoint of OPA's bundle API ("Bundle Service API" in OPA's documentation of bundles): `GET` with the `ETag` of the
//! last answer in `If-None-Match`; 304 when there is nothing else; long polling where the endpoint offers it, which it says
//! with the content type of its answers. Only snapshots are asked for, never deltas: a bundle is activated whole.

use std::path::PathBuf;
use std::time::Duration;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderValue, Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::Full;
use zeroize::Zeroizing;

use super::{MAX_ARCHIVE_BYTES, SourceError, SourceSetupError};
use crate::adapters::outgoing::{Outgoing, OutgoingError, OutgoingLimits, read_secrets};
use crate::config::SourceConfig;

/// How long an endpoint may wait for news, in seconds.
const WAIT_SECONDS: u64 = 30;
/// The wait and the transfer.
const TOTAL: Duration = Duration::from_secs(WAIT_SECONDS + 30);
const LONG_POLLING: &str = "application/vnd.openpolicyagent.bundles";

/// A client of one endpoint.
pub(super) struct Endpoint {
    client: Outgoing,
    uri: Uri,
    token: Option<PathBuf>,
    etag: Option<HeaderValue>,
    polls_long: bool,
}

impl Endpoint {
    pub(super) fn new(url: &str, config: &SourceConfig, dev: bool) -> Result<Self, SourceSetupError> {
        let uri: Uri = url.parse().map_err(|_| SourceSetupError::Url(config.place.to_string()))?;
        let limits = OutgoingLimits { total: TOTAL, max_answer_bytes: MAX_ARCHIVE_BYTES };
        let client = Outgoing::new(&uri, config.ca.as_deref(), limits, dev)?;
        Ok(Self { client, uri, token: config.token_file.clone(), etag: None, polls_long: false })
    }

    /// The archive, unless it is the one of the last answer.
    pub(super) async fn fetch(&mut self, patiently: bool) -> Result<Option<Vec<u8>>, SourceError> {
        let answer = self.client.send(self.request(patiently)?).await?;
        match answer.status {
            StatusCode::NOT_MODIFIED if self.etag.is_some() => Ok(None),
            StatusCode::OK => {
                self.etag = answer.headers.get(ETAG).cloned();
                self.polls_long = answer.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == LONG_POLLING);
                Ok(Some(answer.body.to_vec()))
            }
            status => Err(SourceError::Status(status.as_u16())),
        }
    }

    pub(super) fn polls_long(&self) -> bool {
        self.polls_long && self.etag.is_some()
    }

    pub(super) fn forget(&mut self) {
        self.etag = None;
    }

    fn request(&self, patiently: bool) -> Result<Request<Full<Bytes>>, SourceError> {
        let prefer = match patiently && self.polls_long() {
            true => format!("modes=snapshot;wait={WAIT_SECONDS}"),
            false => "modes=snapshot".to_owned(),
        };
        let mut request = Request::get(self.uri.clone()).header("prefer", prefer);
        if let Some(etag) = &self.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if let Some(path) = &self.token {
            // Read anew at every request, so that a token may be replaced while we run.
            let secrets = read_secrets(path)?;
            let token = secrets.first().map_or("", |secret| secret.as_str());
            let bearer = Zeroizing::new(format!("Bearer {token}"));
            let mut value = HeaderValue::from_str(&bearer).map_err(|_| OutgoingError::Unsendable)?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        Ok(request.body(Full::default()).map_err(|_| OutgoingError::Unsendable)?)
    }
}
