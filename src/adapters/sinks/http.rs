//! Sinks that speak HTTP. Taken means status 2xx, and for a bulk request that every document says so.
//!
//! A status that speaks of the content (400, 413, 415, 422) means that the same again is of no use: the batch is split
//! until the record that is refused stands alone. Every other failure may pass.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode, Uri};
use http_body_util::Full;
use serde::Deserialize;

use super::SinkFault;
use super::shapes::{self, Shaped};
use crate::adapters::outgoing::{Answer, Outgoing, OutgoingLimits, OutgoingSetupError, percent_encoded, read_secrets};
use crate::config::{HttpShape, HttpSinkConfig};
use crate::service::ports::{OutboundRecord, Sink, SinkBatch, SinkError};

/// The most that is read of an answer: a bulk answer has some hundred bytes a document.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// An HTTP receiver.
pub struct HttpSink {
    url: Uri,
    shape: HttpShape,
    writer: String,
    header: HeaderName,
    secret: Option<HeaderValue>,
    http: Outgoing,
}

impl fmt::Debug for HttpSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSink").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl HttpSink {
    pub(super) fn new(config: &HttpSinkConfig, writer: &str, timeout: Duration, dev: bool) -> Result<Self, SinkFault> {
        let url = match &config.shape {
            HttpShape::Elastic(index) => {
                format!("{}/{}/_bulk", config.url.trim_end_matches('/'), percent_encoded(index))
            }
            _ => config.url.clone(),
        };
        let url: Uri = url.parse().map_err(|_| OutgoingSetupError::Url)?;
        let secret = match &config.secret {
            None => None,
            Some(path) => match read_secrets(path)?.as_slice() {
                [line] => {
                    let prefix = if matches!(config.shape, HttpShape::Splunk(_)) { "Splunk " } else { "" };
                    let value = zeroize::Zeroizing::new(format!("{prefix}{}", line.as_str()));
                    let mut value = HeaderValue::from_str(&value).map_err(|_| SinkFault::OneLine(path.clone()))?;
                    value.set_sensitive(true);
                    Some(value)
                }
                _ => return Err(SinkFault::OneLine(path.clone())),
            },
        };
        let limits = OutgoingLimits { total: timeout, max_answer_bytes: MAX_ANSWER_BYTES };
        Ok(Self {
            http: Outgoing::new(&url, config.ca.as_deref(), limits, dev)?,
            url,
            shape: config.shape.clone(),
            writer: writer.to_owned(),
            header: config.header.parse().map_err(|_| SinkFault::Header)?,
            secret,
        })
    }

    /// Sends one request.
    async fn send(&self, records: &[OutboundRecord]) -> Result<(), SinkError> {
        let shaped = shapes::request(&self.shape, &self.writer, records);
        let request = shaped.ok().and_then(|shaped| self.request(shaped));
        let request = request.ok_or_else(|| SinkError::refused("the records cannot be written as HTTP"))?;
        let answer = self.http.send(request).await.map_err(|error| SinkError::failed(error.to_string()))?;
        taken(answer.status)?;
        match &self.shape {
            HttpShape::Elastic(_) => bulk_taken(&answer, records.len()),
            _ => Ok(()),
        }
    }

    fn request(&self, shaped: Shaped) -> Option<Request<Full<bytes::Bytes>>> {
        let mut request = shaped.onto(Request::post(self.url.clone()));
        if let Some(secret) = &self.secret {
            request = request.header(&self.header, secret);
        }
        request.body(Full::from(shaped.body)).ok()
    }
}

#[async_trait]
impl Sink for HttpSink {
    async fn deliver(&self, batch: &SinkBatch) -> Result<(), SinkError> {
        if !shapes::is_one_by_one(&self.shape) {
            return self.send(&batch.records).await;
        }
        for (index, record) in batch.records.iter().enumerate() {
            self.send(std::slice::from_ref(record)).await.map_err(|error| error.after(index))?;
        }
        Ok(())
    }
}

fn taken(status: StatusCode) -> Result<(), SinkError> {
    let detail = format!("status {}", status.as_u16());
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => Err(SinkError::refused(detail)),
        _ => Err(SinkError::failed(detail)),
    }
}

/// What a bulk request answers; members that are not needed are not read.
#[derive(Deserialize)]
struct BulkAnswer {
    items: Vec<BulkItem>,
}

#[derive(Deserialize)]
struct BulkItem {
    create: BulkResult,
}

#[derive(Deserialize)]
struct BulkResult {
    status: u16,
}

/// Every document by itself: 2xx was created, 409 is there already. The first other one is where sending goes on; what
/// was taken behind it answers 409 the next time.
fn bulk_taken(answer: &Answer, sent: usize) -> Result<(), SinkError> {
    let unreadable = || SinkError::failed("the answer to the bulk request is not one");
    let BulkAnswer { items } = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
    if items.len() != sent {
        return Err(unreadable());
    }
    let is_there = |status: u16| (200..300).contains(&status) || status == 409;
    match items.iter().enumerate().find(|(_, item)| !is_there(item.create.status)) {
        None => Ok(()),
        Some((index, item)) => {
            let status = item.create.status;
            let detail = format!("a document of the bulk request has status {status}");
            // One document alone is refused; the others need not be tried one by one.
            let refused = (400..500).contains(&status) && !matches!(status, 401 | 403 | 408 | 429);
            Err(SinkError { detail, taken: index, refused })
        }
    }
}
