//! Canonical calls: what is forwarded is the same call when it comes through the door again, byte for byte.
//!
//! The input is a request as in `tests/vectors/call`: comment lines, `METHOD target HTTP/1.1`, headers, an empty line, the
//! body.
#![no_main]

use std::path::Path;
use std::sync::{Arc, LazyLock};

use atb::adapters::connectors::{BoundedBody, CallRefused, Connector, Forward, Target, parse_file};
use atb::domain::action::CallRequest;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use libfuzzer_sys::fuzz_target;

static CONNECTORS: LazyLock<Vec<Arc<Connector>>> = LazyLock::new(|| {
    let files = [
        ("erp.toml", include_str!("../../connectors/erp.toml")),
        ("pay.toml", include_str!("../../tests/vectors/call/connectors/pay.toml")),
        ("dms.toml", include_str!("../../tests/vectors/call/connectors/dms.toml")),
    ];
    let read = |(name, text)| parse_file(&Path::new("/nowhere").join(name), text, true).expect("a connector").0;
    files.map(read).map(Arc::new).into()
});

fuzz_target!(|bytes: &[u8]| {
    let Some((parts, body)) = request(bytes) else { return };
    let Ok((call, forward)) = bind(&parts, body) else { return };
    let first = Sent::of(forward);
    assert!(call.params.as_map().len() <= 100_000);
    let again = Request::builder().method(call.method.as_str()).uri(format!("/c/{}{}", call.connector, first.target));
    let (mut parts, ()) = again.body(()).expect("what is forwarded is a request").into_parts();
    parts.headers = first.headers.clone();
    let (same, forward) = bind(&parts, first.body.clone()).expect("what is forwarded is taken");
    assert_eq!((&same, same.digest()), (&call, call.digest()));
    assert_eq!(Sent::of(forward), first);
});

#[derive(Debug, PartialEq)]
struct Sent {
    target: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Sent {
    fn of(forward: Forward) -> Self {
        let (target, headers) = (forward.target().to_owned(), forward.headers().clone());
        let body = forward.into_body().collect().now_or_never().expect("in memory").expect("in memory").to_bytes();
        Self { target, headers, body }
    }
}

fn bind(parts: &Parts, body: Bytes) -> Result<(CallRequest, Forward), CallRefused> {
    let target = Target::of(&parts.uri)?;
    let connector = CONNECTORS.iter().find(|c| c.name.as_str() == target.connector);
    let matched = connector.ok_or(CallRefused::UnknownRoute)?.route(&parts.method, target.path)?;
    let body = BoundedBody::Whole(body);
    let (call, forward) = matched.bind(parts, body)?;
    Ok((call, forward))
}

fn request(bytes: &[u8]) -> Option<(Parts, Bytes)> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n")?;
    let (head, body) = bytes.split_at_checked(end)?;
    let mut lines = head.split(|byte| *byte == b'\n').skip_while(|line| line.starts_with(b"#"));
    let line = lines.next()?.strip_suffix(b" HTTP/1.1")?;
    let space = line.iter().position(|byte| *byte == b' ')?;
    let mut request = Request::builder().method(line.get(..space)?).uri(line.get(space + 1..)?);
    for header in lines {
        let colon = header.windows(2).position(|pair| pair == b": ")?;
        request = request.header(header.get(..colon)?, header.get(colon + 2..)?);
    }
    let (parts, ()) = request.body(()).ok()?.into_parts();
    Some((parts, Bytes::copy_from_slice(body.get(2..)?)))
}
