//! The caller's body, read within the connector's limits before anything is decided.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;

use super::canonical::MatchedRoute;
use super::headers;
use super::refusal::CallRefused;
use super::route::RouteBody;

/// A body that is within its route's limit.
pub enum BoundedBody {
    /// The bytes of a body that is read whole, empty if there was none.
    Whole(Bytes),
    /// A body that passes through; it fails once it has given more bytes than the limit.
    Stream(Body),
}

impl BoundedBody {
    /// No body.
    pub fn empty() -> Self {
        Self::Whole(Bytes::new())
    }
}

impl MatchedRoute {
    /// Checks the head and reads the body, so that [`MatchedRoute::bind`] has all of the call.
    ///
    /// # Errors
    /// As [`MatchedRoute::bind`] for the head; when the body is too large, too slow or breaks off.
    pub async fn receive(&self, parts: &Parts, body: Body) -> Result<BoundedBody, CallRefused> {
        self.check_head(parts)?;
        let limits = self.connector().limits;
        let too_large = CallRefused::BodyTooLarge { limit: limits.max_request_bytes };
        if body.size_hint().lower() > limits.max_request_bytes {
            return Err(too_large);
        }
        let limited = Limited::new(body, usize::try_from(limits.max_request_bytes).unwrap_or(usize::MAX));
        match self.route().body {
            RouteBody::Stream(_) => Ok(BoundedBody::Stream(Body::new(DataAlone(limited)))),
            RouteBody::None | RouteBody::Json => whole(limited, limits.request, too_large).await,
        }
    }
}

/// A body without its trailers: nobody declared them, nobody bound them, so they do not go on.
struct DataAlone(Limited<Body>);

impl hyper::body::Body for DataAlone {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.get_mut().0).poll_frame(cx));
        Poll::Ready(frame.filter(|frame| !frame.as_ref().is_ok_and(hyper::body::Frame::is_trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.0.size_hint()
    }
}

async fn whole(body: Limited<Body>, within: Duration, too_large: CallRefused) -> Result<BoundedBody, CallRefused> {
    match tokio::time::timeout(within, body.collect()).await {
        Ok(Ok(collected)) => Ok(BoundedBody::Whole(collected.to_bytes())),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large),
        Ok(Err(_)) => Err(CallRefused::BodyBroken),
        Err(_) => Err(CallRefused::BodyTimeout),
    }
}

impl MatchedRoute {
    /// Refuses a head that is not this call's, whatever its body.
    pub(super) fn check_head(&self, parts: &Parts) -> Result<(), CallRefused> {
        headers::check(parts, &self.route().act)?;
        match &self.route().body {
            RouteBody::None => Ok(()),
            RouteBody::Json => headers::check_media_type(&parts.headers, "application/json"),
            RouteBody::Stream(media_type) => headers::check_media_type(&parts.headers, media_type),
        }
    }
}
