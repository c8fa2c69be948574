//! The symmetric signature of Standard Webhooks: `v1,` + base64 of HMAC-SHA-256 over `id.timestamp.body`.

use std::fmt;

use aws_lc_rs::hmac;
use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

/// A secret shared with one receiver. In no `Debug`, log or error.
pub struct WebhookSecret(hmac::Key);

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret")
    }
}

/// A text that is no such secret. Does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected `whsec_` and the base64 of 24 to 64 bytes a line; make one with: echo whsec_$(openssl rand -base64 32)"
)]
pub struct SecretFormatError;

impl WebhookSecret {
    /// Reads `whsec_` + base64 of 24 to 64 bytes, as the specification asks.
    ///
    /// # Errors
    /// When the text is something else.
    pub fn parse(text: &str) -> Result<Self, SecretFormatError> {
        let encoded = text.strip_prefix("whsec_").ok_or(SecretFormatError)?;
        let key = Zeroizing::new(Base64::decode_vec(encoded).map_err(|_| SecretFormatError)?);
        if !(24..=64).contains(&key.len()) {
            return Err(SecretFormatError);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    fn sign(&self, id: &str, timestamp: &str, body: &str) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [id, ".", timestamp, ".", body] {
            context.update(part.as_bytes());
        }
        format!("v1,{}", Base64::encode_string(context.sign().as_ref()))
    }
}

/// The value of `webhook-signature`: one signature a secret, so that a receiver can change its secret without a gap.
pub(super) fn header(secrets: &[WebhookSecret], id: &str, timestamp: &str, body: &str) -> String {
    secrets.iter().map(|secret| secret.sign(id, timestamp, body)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that the specification's own libraries are tested with.
    #[test]
    fn the_published_vector_comes_out() {
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let header = header(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);
        assert_eq!(header, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_weak_or_mistyped_secret_is_refused_without_being_repeated() {
        for bad in
            ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base64 at all!!!!!!!"]
        {
            let error = WebhookSecret::parse(bad).unwrap_err().to_string();
            assert!(bad.len() < 7 || !error.contains(bad.trim_start_matches("whsec_")), "{error}");
        }
        let long = format!("whsec_{}", Base64::encode_string(&[7; 65]));
        assert!(WebhookSecret::parse(&long).is_err());
    }
}
