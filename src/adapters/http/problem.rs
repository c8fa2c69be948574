//! Refusals as RFC 9457 problem documents: the one place where a code gets a status and a title.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::{Value, json};

use crate::service::refusal::{Code, Refusal};

/// The media type of RFC 9457 §3.
const PROBLEM_JSON: &str = "application/problem+json";

/// A refusal on its way to the caller.
#[derive(Debug)]
pub struct Problem(pub Refusal);

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

/// 401 no credential, 403 known caller refused, 404 not yours to know, 409 conflict or replay, 410 expired or withdrawn, 422 schema.
pub fn status(code: Code) -> StatusCode {
    match code {
        Code::RequestMalformed | Code::CallRefused => StatusCode::BAD_REQUEST,
        Code::CredentialMissing | Code::MandateRefused | Code::IdentityRefused => StatusCode::UNAUTHORIZED,
        Code::IdentityConflict
        | Code::CallerNotAllowed
        | Code::ApprovalRefused
        | Code::Denied
        | Code::ChallengeRejected => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Code::MandateReplayed | Code::ChallengeConflict | Code::ChallengeRedeemed => StatusCode::CONFLICT,
        Code::ChallengeExpired | Code::ChallengeWithdrawn => StatusCode::GONE,
        Code::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::SchemaViolation | Code::LegRefused => StatusCode::UNPROCESSABLE_ENTITY,
        Code::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::UpstreamFailed => StatusCode::BAD_GATEWAY,
        Code::Busy
        | Code::RecordUnavailable
        | Code::SinkBacklog
        | Code::IdentityStale
        | Code::IdentityUnavailable
        | Code::UpstreamCredential => StatusCode::SERVICE_UNAVAILABLE,
        Code::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// A short summary that does not change from occurrence to occurrence (RFC 9457 §3.1.3).
pub fn title(code: Code) -> &'static str {
    match code {
        Code::RequestMalformed => "The request is not well-formed",
        Code::SchemaViolation => "The request does not fit its schema",
        Code::RequestTooLarge => "The request is too large",
        Code::RequestTimeout => "The request took too long",
        Code::UnsupportedMediaType => "The content type is not supported",
        Code::NotFound => "Not found",
        Code::MethodNotAllowed => "The method is not allowed",
        Code::CredentialMissing => "A mandate is required",
        Code::MandateRefused => "The mandate is refused",
        Code::IdentityConflict => "The identity does not match",
        Code::IdentityRefused => "The identity is not proven",
        Code::IdentityUnavailable => "The identity cannot be checked",
        Code::CallerNotAllowed => "The caller is not allowed",
        Code::ApprovalRefused => "The approval does not count",
        Code::LegRefused => "The legal ground is refused",
        Code::CallRefused => "The call is refused",
        Code::Denied => "The policy denies",
        Code::MandateReplayed => "The mandate was used before",
        Code::ChallengeRejected => "The request was rejected",
        Code::ChallengeExpired => "The request expired",
        Code::ChallengeWithdrawn => "The request was withdrawn",
        Code::ChallengeRedeemed => "The mandate was handed out before",
        Code::ChallengeConflict => "The challenge is in another state",
        Code::TooManyRequests => "Too many at a time",
        Code::Busy => "Too busy",
        Code::RecordUnavailable => "The record is not available",
        Code::SinkBacklog => "The record does not reach its receivers",
        Code::IdentityStale => "Our own identity is out of date",
        Code::UpstreamCredential => "The upstream's credential is not available",
        Code::UpstreamFailed => "The upstream failed",
        Code::UpstreamTimeout => "The upstream did not answer in time",
        Code::Internal => "Internal error",
    }
}

/// What went wrong inside is for the log; the caller gets the id to ask with.
pub fn detail(refusal: &Refusal) -> &str {
    if refusal.code == Code::Internal { "an internal error; see the log" } else { &refusal.detail }
}

/// The document of a refusal.
pub fn document(refusal: &Refusal) -> Value {
    #[derive(Serialize)]
    struct Place<'a> {
        pointer: &'a str,
        detail: &'a str,
    }
    let code = refusal.code.as_str();
    let status = status(refusal.code);
    let mut problem = json!({
        "type": format!("urn:atb:problem:{code}"), "title": title(refusal.code), "status": status.as_u16(),
        "detail": detail(refusal), "code": code, "reason": refusal.reason,
    });
    if let Some(members) = problem.as_object_mut() {
        if let Some(id) = refusal.decision_id {
            members.insert("decision_id".to_owned(), Value::String(id.to_string()));
        }
        if !refusal.faults.is_empty() {
            let places: Vec<_> =
                refusal.faults.iter().map(|f| Place { pointer: &f.pointer, detail: &f.detail }).collect();
            members.insert("errors".to_owned(), json!(places));
        }
        if let Some(lack) = &refusal.lack {
            members.insert("missing".to_owned(), json!(lack.missing));
            if let Some(wanted) = &lack.wanted {
                members.insert("authorization_details".to_owned(), json!([wanted]));
            }
        }
    }
    problem
}

/// RFC 6750 §3: no error code where no mandate came along, `invalid_token` for one that is refused.
fn www_authenticate(refusal: &Refusal) -> Option<HeaderValue> {
    match refusal.code {
        Code::CredentialMissing => Some(HeaderValue::from_static("Bearer realm=\"atb\"")),
        Code::MandateRefused | Code::IdentityRefused => {
            let reason = &refusal.reason;
            // The token that is refused may be another one than the mandate.
            let realm = if refusal.code == Code::IdentityRefused { "atb-identity" } else { "atb" };
            let value = format!("Bearer realm=\"{realm}\", error=\"invalid_token\", error_description=\"{reason}\"");
            HeaderValue::try_from(value).ok()
        }
        _ => None,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let Self(refusal) = self;
        if refusal.code == Code::Internal {
            tracing::error!(problem.reason = refusal.reason, problem.detail = refusal.detail, "internal error");
        }
        let mut response = Response::new(Body::from(document(&refusal).to_string()));
        *response.status_mut() = status(refusal.code);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if matches!(
            refusal.code,
            Code::TooManyRequests
                | Code::Busy
                | Code::RecordUnavailable
                | Code::SinkBacklog
                | Code::IdentityStale
                | Code::IdentityUnavailable
                | Code::UpstreamCredential
        ) {
            headers.insert(RETRY_AFTER, HeaderValue::from(refusal.retry_after.unwrap_or(1)));
        }
        if let Some(challenge) = www_authenticate(&refusal) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(id) = refusal.decision_id
            && let Ok(id) = HeaderValue::from_str(&id.to_string())
        {
            headers.insert("x-atb-decision-id", id);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_becomes_a_problem_document_and_nothing_more() {
        let refusal = Refusal::because(Code::Denied, "unknown_act", "no such act").at("/poa/act", "unknown");
        insta::assert_json_snapshot!(document(&refusal), @r#"
        {
          "type": "urn:atb:problem:denied",
          "title": "The policy denies",
          "status": 403,
          "detail": "no such act",
          "code": "denied",
          "reason": "unknown_act",
          "errors": [
            {
              "pointer": "/poa/act",
              "detail": "unknown"
            }
          ]
        }
        "#);
    }

    #[test]
    fn an_internal_error_tells_nothing() {
        let refusal = Refusal::new(Code::Internal, "sqlite: /secret/path");
        assert!(!document(&refusal).to_string().contains("secret"));
    }
}
