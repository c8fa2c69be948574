//! Bodies of our own calls: JSON, small, whole, in time.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::service::refusal::{Code, Refusal};

/// A request for a mandate with eight statements fits.
const MAX_BYTES: usize = 96 * 1024;
/// How long a body may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What is read of a body that is too large, to be thrown away, and for how long.
const DISCARDED_BYTES: usize = 1 << 20;
const DISCARDED_FOR: Duration = Duration::from_secs(2);

/// Reads a JSON body.
pub(super) async fn json(headers: &HeaderMap, mut body: Body) -> Result<Bytes, Refusal> {
    let plain = |value: &str| {
        let value = value.trim().to_ascii_lowercase();
        matches!(
            value.as_str(),
            "application/json" | "application/json; charset=utf-8" | "application/json;charset=utf-8"
        )
    };
    let one = headers.get_all(CONTENT_TYPE).iter().count() == 1;
    let typed = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(plain);
    if !one || !typed || headers.contains_key(CONTENT_ENCODING) {
        return Err(Refusal::new(Code::UnsupportedMediaType, "expected a body of `application/json`, not encoded"));
    }
    let read = tokio::time::timeout(TIMEOUT, Limited::new(&mut body, MAX_BYTES).collect());
    match read.await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            discard(&mut body).await;
            Err(Refusal::new(Code::RequestTooLarge, format!("a body has at most {MAX_BYTES} bytes")))
        }
        Ok(Err(_)) => Err(Refusal::new(Code::RequestMalformed, "the body broke off")),
        Err(_) => Err(Refusal::new(Code::RequestTimeout, "the body did not arrive in time")),
    }
}

/// Many clients send everything before they look for an answer, and find a broken connection where one closes on them.
async fn discard(body: &mut Body) {
    let rest = async {
        let mut left = DISCARDED_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let Some(less) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
            left = less;
        }
    };
    // Whoever is slower finds what it finds.
    let _ = tokio::time::timeout(DISCARDED_FOR, rest).await;
}

/// What the doors know at all, for the `Allow` of a 405 that is not about one path (RFC 9110 §15.5.6).
pub(super) const ALLOWED: (axum::http::HeaderName, &str) =
    (axum::http::header::ALLOW, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// CONNECT asks for a tunnel and TRACE for an echo of what may be secret (RFC 9110 §9.3.8): neither exists here, under any
/// path.
pub(super) fn no_foreign_method(method: &Method) -> Result<(), Refusal> {
    if matches!(*method, Method::CONNECT | Method::TRACE) {
        return Err(Refusal::new(Code::MethodNotAllowed, "this service has no such method"));
    }
    Ok(())
}

/// Refuses headers that claim another identity than the SVID proves. They are never believed, not even when they agree.
pub(super) fn no_other_identity(headers: &HeaderMap, caller: &str) -> Result<(), Refusal> {
    let conflict = |name: &str| {
        Err(Refusal::new(Code::IdentityConflict, format!("`{name}` names another identity than your SVID")))
    };
    for value in headers.get_all("x-spiffe-id") {
        if value.as_bytes() != caller.as_bytes() {
            return conflict("X-SPIFFE-ID");
        }
    }
    for value in headers.get_all("x-forwarded-client-cert") {
        let value = value.to_str().unwrap_or_default();
        let mut uris = value.split([';', ',']).filter_map(|part| part.trim().strip_prefix("URI="));
        if uris.next() != Some(caller) || uris.any(|uri| uri != caller) {
            return conflict("X-Forwarded-Client-Cert");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::HeaderValue;

    use super::*;

    #[tokio::test]
    async fn a_body_that_is_too_large_is_read_on_for_a_while_so_that_its_sender_hears_why() {
        const PIECE: usize = 64 * 1024;
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        for (pieces, read) in [(8, 8), (100, 2 + DISCARDED_BYTES / PIECE + 1)] {
            let seen = Arc::<AtomicUsize>::default();
            let counted = Arc::clone(&seen);
            let body = futures_util::stream::iter((0..pieces).map(move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Infallible>(Bytes::from_static(&[b' '; PIECE]))
            }));
            let refused = json(&headers, Body::from_stream(body)).await.unwrap_err();
            assert_eq!((refused.code, seen.load(Ordering::Relaxed)), (Code::RequestTooLarge, read), "{pieces} pieces");
        }
    }
}
