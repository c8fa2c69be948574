//! Puts a release where brokers and OPA servers fetch it: any HTTP address that answers `GET` and takes `PUT`.
//!
//! First it looks what is there. A release with the same or a higher sequence is never replaced, and the `PUT` says what
//! it replaces (`If-Match`, or `If-None-Match: *` where nothing is; RFC 9110 §13.1), so that of two at once only one
//! arrives. A server without strong `ETag`s cannot hold that, which the caller must accept by name.

use axum::http::header::{CONTENT_TYPE, ETAG, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, Method, Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::Full;

use super::bundle_archive;
use super::outgoing::{Outgoing, OutgoingError};
use crate::domain::policy::bundle::{Manifest, Sequence, UnverifiedArchive};

/// What is pushed where.
#[derive(Debug)]
pub struct Push<'a> {
    /// The address.
    pub url: Uri,
    /// Headers of each request, such as credentials.
    pub headers: HeaderMap,
    /// The archive as it is sent.
    pub archive: Bytes,
    /// The archive as it was read.
    pub content: &'a UnverifiedArchive,
    /// Its sequence.
    pub sequence: Sequence,
    /// Whether to send it to a server that has no strong `ETag`.
    pub unguarded: bool,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is there now.
    Stored,
    /// It was there before.
    AlreadyThere,
}

/// Why it is not there.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The server cannot be asked.
    #[error("the server cannot be asked")]
    Outgoing(#[from] OutgoingError),
    /// What is there is not a bundle with a sequence.
    #[error(
        "what is there is not a bundle with a sequence, so nobody knows whether it is older: look at it and remove it"
    )]
    Unreadable,
    /// What is there is not older.
    #[error("sequence {there} is there and {ours} is not higher: build with a higher --sequence")]
    NotNewer {
        /// The sequence that is there.
        there: Sequence,
        /// Ours.
        ours: Sequence,
    },
    /// What is there has no strong `ETag`.
    #[error(
        "the server gives no strong ETag, so another push at the same time could be overwritten: `--unguarded` accepts that"
    )]
    NoEtag,
    /// Somebody else was faster.
    #[error("somebody else pushed meanwhile (412): look at what is there and push again")]
    Overtaken,
    /// Another status than expected.
    #[error("the server answered {0} to {1}")]
    Refused(StatusCode, Method),
}

impl Push<'_> {
    /// Pushes.
    ///
    /// # Errors
    /// As the variants of [`PushError`] say.
    pub async fn run(self, client: &Outgoing) -> Result<Pushed, PushError> {
        let there = client.send(self.request(Method::GET, Bytes::new(), None)?).await?;
        let condition = match there.status {
            StatusCode::NOT_FOUND | StatusCode::GONE => Some((IF_NONE_MATCH, HeaderValue::from_static("*"))),
            StatusCode::OK => {
                let (sequence, same) = self.compare(&there.body)?;
                if same {
                    return Ok(Pushed::AlreadyThere);
                }
                if sequence >= self.sequence {
                    return Err(PushError::NotNewer { there: sequence, ours: self.sequence });
                }
                let etag = there.headers.get(ETAG).filter(|etag| etag.as_bytes().first() == Some(&b'"'));
                etag.map(|etag| (IF_MATCH, etag.clone()))
            }
            status => return Err(PushError::Refused(status, Method::GET)),
        };
        if condition.is_none() && !self.unguarded {
            return Err(PushError::NoEtag);
        }
        let stored = client.send(self.request(Method::PUT, self.archive.clone(), condition)?).await?;
        match stored.status {
            StatusCode::PRECONDITION_FAILED => Err(PushError::Overtaken),
            status if status.is_success() => Ok(Pushed::Stored),
            status => Err(PushError::Refused(status, Method::PUT)),
        }
    }

    /// The sequence of what is there, and whether it is what we have, signature and all.
    fn compare(&self, there: &[u8]) -> Result<(Sequence, bool), PushError> {
        let there = bundle_archive::read(there).map_err(|_| PushError::Unreadable)?;
        let sequence = Manifest::of(&there.files).ok().and_then(|manifest| manifest.sequence());
        Ok((sequence.ok_or(PushError::Unreadable)?, there == *self.content))
    }

    fn request(
        &self,
        method: Method,
        body: Bytes,
        condition: Option<(axum::http::HeaderName, HeaderValue)>,
    ) -> Result<Request<Full<Bytes>>, PushError> {
        let request = Request::builder().method(method).uri(self.url.clone());
        let mut request = request.body(Full::new(body)).map_err(|_| OutgoingError::Unsendable)?;
        let headers = request.headers_mut();
        headers.extend(self.headers.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/gzip"));
        headers.extend(condition);
        Ok(request)
    }
}
