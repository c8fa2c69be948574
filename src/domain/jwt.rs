//! JSON Web Tokens of other issuers: SPIFFE's authorities and the platform's OIDC provider (RFC 7519, RFC 7515, RFC 7517).
//!
//! What both kinds share: the algorithms that exist here, public keys as others publish them, and the times. Which header,
//! which claims and whose keys is said by [`crate::domain::spiffe::UnverifiedJwtSvid`] and [`crate::domain::platform`].
//! Mandates and statements are not of this kind: their algorithms are those of [`super::jose`].
//!
//! INVARIANT: a signature is checked with the algorithm of the *key*. An RSA key verifies RS and PS, an EC key the one ES of
//! its curve; no other algorithm can be written down, so neither `none` nor an HMAC under a public key has a meaning.

mod key;

use std::time::Duration;

use josekit::jws::JwsAlgorithm;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::jose::JwsError;
use super::json::{self, Object};
use super::time::Timestamp;

pub use key::{JwtKey, JwtKeyError, JwtKeys};

/// How far an issuer's clock may be ahead of ours. There is no such allowance at the end of a validity.
const SKEW: Duration = Duration::from_secs(60);

/// The signature algorithms of RFC 7518 §3.3 to §3.5, which are those of SPIFFE JWT-SVID §2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are those of RFC 7518")]
pub enum JwtAlg {
    Rs256,
    Rs384,
    Rs512,
    Es256,
    Es384,
    Es512,
    Ps256,
    Ps384,
    Ps512,
}

impl JwtAlg {
    /// Every algorithm.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
    ];

    /// The `alg` value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
        }
    }
}

impl JwsAlgorithm for JwtAlg {
    fn name(&self) -> &str {
        self.as_str()
    }

    fn box_clone(&self) -> Box<dyn JwsAlgorithm> {
        Box::new(*self)
    }
}

/// `aud` (RFC 7519 §4.1.3): one text or an array of texts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Audience(Vec<String>);

impl TryFrom<Value> for Audience {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let text = |value: Value| match value {
            Value::String(text) => Ok(text),
            _ => Err("an audience is a text"),
        };
        match value {
            Value::Array(values) => values.into_iter().map(text).collect::<Result<_, _>>().map(Self),
            value => Ok(Self(vec![text(value)?])),
        }
    }
}

impl Audience {
    /// Whether `name` is among them.
    pub fn contains(&self, name: &str) -> bool {
        self.names().iter().any(|audience| audience == name)
    }

    /// All of them.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

/// From when to when a token says that it holds, in seconds since the epoch (RFC 7519 §4.1.4 to §4.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When it was made.
    pub iat: u64,
    /// From when on, if that is later.
    pub nbf: Option<u64>,
    /// Until when; that second is not part of it.
    pub exp: u64,
}

/// The claims that mean something to us, of a payload in which every member was read strictly.
///
/// # Errors
/// When one is missing or of another type. What stands in them is not repeated.
pub(super) fn claims<C: DeserializeOwned>(payload: &Object) -> Result<C, JwsError> {
    json::read(payload.to_value()).map_err(|_| JwsError::Claims("one is missing or of another type".to_owned()))
}

/// Why a token does not hold now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimesError {
    /// It is over.
    #[error("the token has expired")]
    Expired,
    /// It has not begun, or was made in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It lives longer than we let one, or ends before it begins.
    #[error("the token's lifetime is longer than {} s", .0.as_secs())]
    Lifetime(Duration),
}

impl Times {
    /// Whether the token holds at `now` and does not live longer than `longest`.
    ///
    /// # Errors
    /// As the variants of [`TimesError`] say; what a token says of its life is looked at before the time.
    pub fn check(self, longest: Duration, now: Timestamp) -> Result<(), TimesError> {
        let lives = self.exp.checked_sub(self.iat).ok_or(TimesError::Lifetime(longest))?;
        if lives > longest.as_secs() {
            return Err(TimesError::Lifetime(longest));
        }
        if now >= Timestamp::from_secs(self.exp) {
            return Err(TimesError::Expired);
        }
        let begins = Timestamp::from_secs(self.iat.max(self.nbf.unwrap_or(0)));
        if now.plus(SKEW) < begins {
            return Err(TimesError::NotYetValid);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_is_read_by_its_own_name_and_no_other_is() {
        for alg in JwtAlg::ALL {
            assert_eq!(serde_json::from_value::<JwtAlg>(alg.as_str().into()).unwrap(), alg);
        }
        for name in ["none", "None", "HS256", "rs256", "EdDSA", "ES256K", ""] {
            assert!(serde_json::from_value::<JwtAlg>(name.into()).is_err(), "{name}");
        }
    }

    #[test]
    fn a_token_holds_from_its_beginning_to_the_second_before_its_end() {
        let times = Times { iat: 1000, nbf: Some(1010), exp: 1300 };
        let longest = Duration::from_secs(300);
        let at = |millis| times.check(longest, Timestamp::from_millis(millis));
        assert_eq!(at(949_999), Err(TimesError::NotYetValid));
        assert_eq!(at(950_000), Ok(()));
        assert_eq!(at(1_299_999), Ok(()));
        assert_eq!(at(1_300_000), Err(TimesError::Expired));
        let now = Timestamp::from_secs(1100);
        assert_eq!(times.check(Duration::from_secs(299), now), Err(TimesError::Lifetime(Duration::from_secs(299))));
        let backwards = Times { iat: 1200, nbf: None, exp: 1150 };
        assert_eq!(backwards.check(longest, now), Err(TimesError::Lifetime(longest)));
        let huge = Times { iat: 1000, nbf: Some(u64::MAX), exp: u64::MAX };
        assert_eq!(huge.check(Duration::MAX, now), Err(TimesError::NotYetValid));
    }
}
