//! Which headers count, which pass, and which never do.
//!
//! Towards the upstream only [`FORWARDED`] pass, so that mandates, cookies, platform tokens, forwarding headers and the
//! client's `Host` stay here without being named. From the upstream everything passes but hop-by-hop fields
//! (RFC 9110 §7.6.1), `Set-Cookie` and what only ATB may say.

use axum::http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Version};

use super::refusal::CallRefused;
use crate::domain::action::ActionName;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// The act that the caller believes this call to be.
const ACTION: &str = "x-atb-action";
/// What only ATB says to upstreams and agents.
const OURS: &str = "x-atb-";

/// Request headers that pass; `true` where only one value makes sense.
const FORWARDED: [(&str, bool); 6] = [
    ("accept", false),
    ("accept-language", false),
    ("idempotency-key", true),
    ("traceparent", true),
    ("tracestate", false),
    ("x-request-id", true),
];

/// Headers by which servers and frameworks take another method or path than the request line's.
const OVERRIDES: [&str; 8] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-method",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-forwarded-method",
];

/// Fields of one hop, besides those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Refuses a request head that asks for something else than method and path say.
pub(super) fn check(parts: &Parts, act: &ActionName) -> Result<(), CallRefused> {
    if parts.version <= Version::HTTP_11 && (parts.uri.scheme().is_some() || parts.uri.authority().is_some()) {
        return Err(CallRefused::AbsoluteForm);
    }
    if let (Some(authority), Some(host)) = (parts.uri.authority(), single(&parts.headers, "host")?)
        && !host.eq_ignore_ascii_case(authority.as_str().as_bytes())
    {
        // RFC 9113 §8.3.1: two names for one place.
        return Err(CallRefused::HostMismatch);
    }
    // HTTP/2 frames say how long the body is; a second word on it is one too many.
    single(&parts.headers, "content-length")?;
    if let Some(name) = OVERRIDES.iter().find(|name| parts.headers.contains_key(**name)) {
        return Err(CallRefused::OverrideHeader(name));
    }
    let upgrade = parts.headers.contains_key(UPGRADE)
        || parts.headers.contains_key("http2-settings")
        || connection_names(&parts.headers).any(|name| name.eq_ignore_ascii_case("upgrade"));
    if upgrade {
        return Err(CallRefused::Upgrade);
    }
    match single(&parts.headers, ACTION)? {
        Some(named) if named != act.as_str().as_bytes() => Err(CallRefused::ActMismatch),
        _ => Ok(()),
    }
}

/// Refuses a body of another type than `expected`, in another charset than UTF-8, or encoded.
pub(super) fn check_media_type(headers: &HeaderMap, expected: &str) -> Result<(), CallRefused> {
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(CallRefused::ContentEncoding);
    }
    let refused = || CallRefused::MediaType { expected: expected.to_owned() };
    let value = single(headers, "content-type")?.and_then(|v| std::str::from_utf8(v).ok()).ok_or_else(refused)?;
    let mut parts = value.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let utf8 = |parameter: &str| {
        let value = parameter.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
        value.is_some_and(|(_, v)| v.trim_matches('"').eq_ignore_ascii_case("utf-8"))
    };
    let plain = parts.next().is_none_or(utf8) && parts.next().is_none();
    if media_type.eq_ignore_ascii_case(expected) && plain { Ok(()) } else { Err(refused()) }
}

/// The caller's headers that go on to the upstream.
pub(super) fn forwarded(headers: &HeaderMap) -> Result<HeaderMap, CallRefused> {
    let mut out = HeaderMap::with_capacity(FORWARDED.len() + 6);
    for (name, one) in FORWARDED {
        if connection_names(headers).any(|hop| hop.eq_ignore_ascii_case(name)) {
            continue;
        }
        let mut values = headers.get_all(name).iter();
        if let Some(first) = values.next() {
            out.append(HeaderName::from_static(name), first.clone());
        }
        for value in values {
            if one {
                return Err(CallRefused::RepeatedHeader(name));
            }
            out.append(HeaderName::from_static(name), value.clone());
        }
    }
    if trace_id(&out).is_none() {
        // W3C Trace Context §3.2.2.4, §4.3: who cannot read the parent ignores both; nothing else comes of it.
        out.remove(TRACEPARENT);
        out.remove(TRACESTATE);
    }
    Ok(out)
}

/// The trace that the caller says this call belongs to (W3C Trace Context §3.2, version 00): 32 lower-case hexadecimal
/// digits, not all zero. It is the caller's word, for finding things, and decides nothing.
pub fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let text = values.next()?.to_str().ok().filter(|_| values.next().is_none())?;
    let mut parts = text.split('-');
    let [version, trace, parent, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let hex = |text: &str, len| text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let id = |text: &str, len| hex(text, len) && text.bytes().any(|b| b != b'0');
    let whole = parts.next().is_none() && version == "00" && id(trace, 32) && id(parent, 16) && hex(flags, 2);
    whole.then_some(trace)
}

/// Takes from an upstream's answer what is not for the agent.
pub(super) fn strip_answer(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> =
        connection_names(headers).filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()).collect();
    let ours = headers.keys().filter(|name| name.as_str().starts_with(OURS)).cloned();
    let gone: Vec<HeaderName> = ours.chain(named).chain(HOP_BY_HOP).chain([SET_COOKIE]).collect();
    for name in gone {
        headers.remove(name);
    }
}

/// Whether `name` means something on the way, so that it is nobody's parameter.
pub(super) fn has_a_meaning(name: &HeaderName) -> bool {
    let framing = [HOST, CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING, ACCEPT_ENCODING];
    let passed = FORWARDED.iter().any(|(passed, _)| name == passed);
    let other_call = OVERRIDES.contains(&name.as_str()) || name == "http2-settings";
    passed || other_call || HOP_BY_HOP.contains(name) || framing.contains(name) || name.as_str().starts_with(OURS)
}

/// Whether `Connection` names `header`, so that it ends here.
pub(super) fn is_of_one_hop(headers: &HeaderMap, header: &HeaderName) -> bool {
    connection_names(headers).any(|hop| hop.eq_ignore_ascii_case(header.as_str()))
}

/// Whether an operator may have the broker inject `name`.
pub(super) fn may_carry_credentials(name: &HeaderName) -> bool {
    let framing = [HOST, CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING];
    let hop = HOP_BY_HOP.contains(name) && name != PROXY_AUTHORIZATION;
    !hop && !framing.contains(name) && !name.as_str().starts_with(OURS)
}

/// `type/subtype` of RFC 9110 tokens, without parameters.
pub(super) fn is_media_type(text: &str) -> bool {
    let token = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b));
    text.len() <= 127 && text.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

fn single<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<Option<&'h [u8]>, CallRefused> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(axum::http::HeaderValue::as_bytes);
    if values.next().is_some() { Err(CallRefused::RepeatedHeader(name)) } else { Ok(first) }
}

fn connection_names(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers.get_all(CONNECTION).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_parent_is_of_the_one_form_or_nothing() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(TRACEPARENT, text.parse().unwrap());
            trace_id(&headers).map(str::to_owned)
        };
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(of(good).as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
    }
}
