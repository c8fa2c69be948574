//! OAuth 2.0 client credentials (RFC 6749 §4.4), as a client with a secret (§2.3.1).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderValue, Request, StatusCode, Uri};
use base64ct::{Base64, Encoding};
use bytes::Bytes;
use http_body_util::Full;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{CredentialError, Fetched, TokenSource};
use crate::adapters::outgoing::{Outgoing, OutgoingLimits, OutgoingSetupError, percent_encoded};
use crate::domain::json;

/// The largest answer of a token endpoint.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// How long a token endpoint may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a token is taken to live whose endpoint does not say it (§5.1 recommends that it does).
const UNSAID_LIFE: Duration = Duration::from_secs(60);
/// The longest that a token is believed to live.
const LONGEST_LIFE: u64 = 24 * 60 * 60;

/// How a client names itself to the endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// `client_secret_basic`: what every endpoint must take.
    #[default]
    Basic,
    /// `client_secret_post`: in the body.
    Post,
}

/// A client of one token endpoint.
#[derive(Clone)]
pub struct OAuthClient {
    http: Arc<Outgoing>,
    url: Uri,
    authorization: Option<HeaderValue>,
    body: Zeroizing<String>,
}

/// What a client asks for and as whom.
pub(in crate::adapters::connectors) struct OAuthRequest<'a> {
    pub(in crate::adapters::connectors) url: Uri,
    pub(in crate::adapters::connectors) client_id: &'a str,
    pub(in crate::adapters::connectors) secret: &'a str,
    pub(in crate::adapters::connectors) auth: ClientAuth,
    pub(in crate::adapters::connectors) scope: Option<&'a str>,
    /// RFC 8707 §2.
    pub(in crate::adapters::connectors) resource: Option<&'a str>,
}

/// A way to a token endpoint, over which nothing was sent yet.
pub(in crate::adapters::connectors) fn endpoint(
    url: &Uri,
    ca: Option<&Path>,
    dev: bool,
) -> Result<Outgoing, OutgoingSetupError> {
    Outgoing::new(url, ca, OutgoingLimits { total: TIMEOUT, max_answer_bytes: MAX_ANSWER_BYTES }, dev)
}

impl OAuthClient {
    /// Nothing is asked for yet.
    pub(in crate::adapters::connectors) fn new(
        http: Outgoing,
        request: &OAuthRequest<'_>,
    ) -> Result<Self, OutgoingSetupError> {
        let (id, secret) = (percent_encoded(request.client_id), Zeroizing::new(percent_encoded(request.secret)));
        let mut body = Zeroizing::new("grant_type=client_credentials".to_owned());
        for (name, value) in [("scope", request.scope), ("resource", request.resource)] {
            if let Some(value) = value {
                body.push_str(&format!("&{name}={}", percent_encoded(value)));
            }
        }
        let authorization = match request.auth {
            ClientAuth::Basic => {
                let pair = Zeroizing::new(format!("{id}:{}", *secret));
                let text = Zeroizing::new(format!("Basic {}", Base64::encode_string(pair.as_bytes())));
                let mut value = HeaderValue::from_str(&text).map_err(|_| OutgoingSetupError::Url)?;
                value.set_sensitive(true);
                Some(value)
            }
            ClientAuth::Post => {
                // Written at once, so that no copy of the secret stays behind in a buffer that grew.
                body = Zeroizing::new(format!("{}&client_id={id}&client_secret={}", *body, *secret));
                None
            }
        };
        Ok(Self { http: Arc::new(http), url: request.url.clone(), authorization, body })
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, axum::http::Error> {
        let mut request = Request::post(self.url.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(Full::new(Bytes::from(self.body.as_bytes().to_vec())))?;
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        Ok(request)
    }
}

/// §5.1. What else stands in it (a refresh token, the scope) has no use here.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: String,
    expires_in: Option<u64>,
}

#[async_trait]
impl TokenSource for OAuthClient {
    async fn fetch(&self) -> Result<Fetched, CredentialError> {
        let request = self.request().map_err(|_| CredentialError::Unusable)?;
        let answer = self.http.send(request).await.map_err(|_| CredentialError::Unavailable)?;
        match answer.status {
            StatusCode::OK => {}
            // §5.2: the client, the grant or the scope is not taken.
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(CredentialError::Refused);
            }
            _ => return Err(CredentialError::Unavailable),
        }
        let granted: Granted = json::parse_as(&answer.body).map_err(|_| CredentialError::Unusable)?;
        if !granted.token_type.eq_ignore_ascii_case("bearer") {
            return Err(CredentialError::Unusable);
        }
        let lives = granted.expires_in.map_or(UNSAID_LIFE, |s| Duration::from_secs(s.min(LONGEST_LIFE)));
        Ok(Fetched { token: Zeroizing::new(granted.access_token), lives })
    }
}
