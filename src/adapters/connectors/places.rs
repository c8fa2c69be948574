//! Parameters that stand in declared headers, and at places inside a JSON body.
//!
//! A header's parameter has one text, as a query's has, and is sent to the upstream from that text. A body's parameter is a
//! copy of the value at an RFC 6901 pointer: the body itself stays a parameter too, so that both are bound, and a
//! description in which they differ is refused.

use axum::http::header::{AUTHORIZATION, COOKIE, EXPECT, FORWARDED, FROM, MAX_FORWARDS, USER_AGENT, VIA};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::headers;
use super::query;
use super::refusal::CallRefused;
use super::route::{ParamName, QueryParam};

/// The longest text of a header's parameter.
const MAX_TEXT: usize = 1024;

/// A parameter that stands in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderParam {
    /// The header.
    pub header: HeaderName,
    /// The parameter's name, and how its text is read.
    pub param: QueryParam,
}

/// A parameter whose value stands inside the JSON body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointerParam {
    /// Its name.
    pub name: ParamName,
    /// RFC 6901.
    pub pointer: String,
}

/// Whether a connector may read a parameter from `header`: not what the broker itself reads, sets, passes on or strips.
pub(super) fn may_carry_a_parameter(header: &HeaderName) -> bool {
    let taken = [AUTHORIZATION, COOKIE, EXPECT, FORWARDED, FROM, MAX_FORWARDS, USER_AGENT, VIA];
    let name = header.as_str();
    let identity = ["x-poa-token", "x-platform-token", "x-spiffe-id", "x-real-ip"].contains(&name);
    let forwarding = name.starts_with("x-forwarded-") || name.starts_with("proxy-") || name.starts_with("sec-");
    !taken.contains(header) && !identity && !forwarding && !headers::has_a_meaning(header)
}

/// Whether `pointer` is a place inside a JSON document (RFC 6901 §3), and not the whole.
pub(super) fn is_pointer(pointer: &str) -> bool {
    let escapes = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    pointer.len() <= 256 && pointer.starts_with('/') && escapes && !pointer.chars().any(char::is_control)
}

/// Reads the declared headers into `params`.
pub(super) fn read(
    declared: &[HeaderParam],
    headers: &HeaderMap,
    params: &mut Map<String, Value>,
) -> Result<(), CallRefused> {
    for HeaderParam { header, param } in declared {
        let mut values = headers.get_all(header).iter();
        let Some(value) = values.next() else { continue };
        if values.next().is_some() {
            return Err(CallRefused::RepeatedParameter(param.name.to_string()));
        }
        if headers::is_of_one_hop(headers, header) {
            return Err(CallRefused::HeaderValue(param.name.to_string()));
        }
        let text = value.to_str().ok().filter(|text| is_one_text(text));
        let text = text.ok_or_else(|| CallRefused::HeaderValue(param.name.to_string()))?;
        params.insert(param.name.to_string(), query::value(param, text.to_owned())?);
    }
    Ok(())
}

/// Checks a value that was given as JSON by the rule that its text would have to pass.
pub(super) fn check(declared: &HeaderParam, given: &Value) -> Result<(), CallRefused> {
    let text = query::text(given);
    if !is_one_text(&text) {
        return Err(CallRefused::HeaderValue(declared.param.name.to_string()));
    }
    query::is_value(&declared.param, text, given)
}

/// Sets the declared headers from `params`.
pub(super) fn render(declared: &[HeaderParam], params: &Map<String, Value>, headers: &mut HeaderMap) {
    for HeaderParam { header, param } in declared {
        let value = params.get(param.name.as_str()).map(query::text);
        // A text that was read or checked is visible ASCII, so the conversion does not fail.
        headers.extend(value.and_then(|text| HeaderValue::from_str(&text).ok()).map(|value| (header.clone(), value)));
    }
}

/// The values at the declared places of `body`, by name; what is not there has no parameter.
pub(super) fn lift(declared: &[PointerParam], body: &Value) -> Map<String, Value> {
    let lifted = |param: &PointerParam| Some((param.name.to_string(), body.pointer(&param.pointer)?.clone()));
    declared.iter().filter_map(lifted).collect()
}

/// Visible ASCII without space around it: what every server reads alike (RFC 9110 §5.5).
fn is_one_text(text: &str) -> bool {
    let visible = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    !text.is_empty() && text.len() <= MAX_TEXT && visible && text.trim() == text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_means_something_to_the_broker_carries_no_parameter() {
        for name in [
            "authorization",
            "cookie",
            "host",
            "content-length",
            "content-type",
            "transfer-encoding",
            "connection",
            "te",
            "x-poa-token",
            "x-platform-token",
            "x-spiffe-id",
            "x-forwarded-for",
            "x-atb-action",
            "x-http-method-override",
            "traceparent",
            "idempotency-key",
            "proxy-authorization",
            "expect",
            "upgrade",
            "accept-encoding",
        ] {
            assert!(!may_carry_a_parameter(&HeaderName::from_static(name)), "{name}");
        }
        for name in ["x-tenant", "prefer", "if-match"] {
            assert!(may_carry_a_parameter(&HeaderName::from_static(name)), "{name}");
        }
    }

    #[test]
    fn a_place_is_a_pointer_into_the_body() {
        assert!(["/a", "/a/b/0", "/a~1b/c~0d", "/"].iter().all(|pointer| is_pointer(pointer)));
        assert!(!["", "a", "#/a", "/a~", "/a~2", "/a\n"].iter().any(|pointer| is_pointer(pointer)));
    }
}
