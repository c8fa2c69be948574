//! JWT-SVIDs, before and after verification (SPIFFE JWT-SVID §2 to §6), stricter than the standard in four points.
//!
//! - The header has `alg`, `kid` and perhaps `typ`, nothing else (§2 says so too; RFC 7515 would allow more).
//! - There is exactly one audience, and it is us: a token for several could be replayed here by any of the others.
//! - `iat` is required, because a lifetime cannot be capped without it.
//! - The trust domain is that of `sub`; `iss` is not looked at (§3 gives it no meaning).
//!
//! A JWT-SVID proves nothing about who sends it: whoever has the text is its bearer. Who may hand one in is decided
//! where it arrives; that it was not handed in before, by [`TokenUse`].

use std::time::Duration;

use serde::Deserialize;

use super::{JwtBundles, SpiffeId, TrustDomain, VerifiedSvid};
use crate::domain::id::Sha256Digest;
use crate::domain::jose::{JwsError, UnverifiedJws, present};
use crate::domain::json::Object;
use crate::domain::jwt::{self, Audience, JwtAlg, Times, TimesError};
use crate::domain::time::Timestamp;

/// The longest JWT-SVID that we look at.
const MAX_BYTES: usize = 8 * 1024;
/// The longest `jti`.
const MAX_JTI_BYTES: usize = 256;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: JwtAlg,
    kid: String,
    #[serde(default, rename = "typ", deserialize_with = "present")]
    _typ: Option<Typ>,
}

/// §2.2: absent, or one of these.
#[derive(Debug, Clone, Deserialize)]
enum Typ {
    #[serde(rename = "JWT")]
    Jwt,
    #[serde(rename = "JOSE")]
    Jose,
}

/// The registered claims; others may be there and have no meaning here (§3).
#[derive(Debug, Clone, Deserialize)]
struct Claims {
    sub: String,
    aud: Audience,
    iat: u64,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<u64>,
    exp: u64,
    #[serde(default, deserialize_with = "present")]
    jti: Option<String>,
}

/// A text whose form is that of a JWT-SVID. Nobody has vouched for it.
#[derive(Debug, Clone)]
pub struct UnverifiedJwtSvid {
    jws: UnverifiedJws<Header, Object>,
    unverified_claims: Claims,
    sub: SpiffeId,
}

/// What a JWT-SVID must say to be for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedJwtSvid {
    /// Its one audience.
    pub audience: String,
    /// The longest that one may live.
    pub max_lifetime: Duration,
}

/// What is remembered of a token so that it is not taken twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenUse {
    /// Names the token: by its issuer's `jti`, or by what was signed.
    ///
    /// Never by the whole text: an ECDSA signature has a twin that verifies too, and would be another text.
    pub key: Sha256Digest,
    /// Whether the issuer gave it a `jti` (RFC 7519 §4.1.7), and with it a promise to give it once.
    pub has_jti: bool,
    /// After this it cannot verify any more.
    pub expires_at: Timestamp,
}

impl UnverifiedJwtSvid {
    /// Reads a token.
    ///
    /// # Errors
    /// When it does not have the form of a JWT-SVID.
    pub fn parse(unverified_jwt: &str) -> Result<Self, JwtSvidError> {
        let jws = UnverifiedJws::<Header, Object>::parse(unverified_jwt, MAX_BYTES)?;
        let unverified_claims: Claims = jwt::claims(&jws.unverified_payload)?;
        let sub = unverified_claims.sub.parse().map_err(|_| JwtSvidError::Subject)?;
        Ok(Self { jws, unverified_claims, sub })
    }

    /// Whom it claims to be about. Until it is verified that chooses the keys and nothing else.
    pub fn claimed_id(&self) -> &SpiffeId {
        &self.sub
    }

    /// Checks the signature with the keys of the subject's own trust domain, and then what the token says.
    ///
    /// # Errors
    /// The fact that stands against it.
    pub fn verify(
        self,
        bundles: &JwtBundles,
        expected: &ExpectedJwtSvid,
        now: Timestamp,
    ) -> Result<(VerifiedSvid, TokenUse), JwtSvidError> {
        let Self { jws, unverified_claims, sub } = self;
        let domain = sub.trust_domain();
        let bundle = bundles.bundle(&domain).ok_or_else(|| JwtSvidError::UnknownTrustDomain(domain.clone()))?;
        let key = bundle.key(&jws.header.kid).ok_or(JwtSvidError::UnknownKey)?;
        let alg = jws.header.alg;
        if !key.does(alg) {
            return Err(JwtSvidError::Algorithm);
        }
        let signed = Sha256Digest::of(signed_part(jws.as_str()));
        jws.verify(&key.verifier(alg))?;
        let claims = unverified_claims;
        if claims.aud.names() != [expected.audience.as_str()] {
            return Err(JwtSvidError::Audience);
        }
        Times { iat: claims.iat, nbf: claims.nbf, exp: claims.exp }.check(expected.max_lifetime, now)?;
        let expires_at = Timestamp::from_secs(claims.exp);
        let named = claims.jti.as_deref().map(|jti| name(&domain, jti)).transpose()?;
        let token = TokenUse { key: named.unwrap_or(signed), has_jti: named.is_some(), expires_at };
        Ok((VerifiedSvid::of_jwt(sub, key.digest(), Timestamp::from_secs(claims.iat), expires_at), token))
    }
}

/// Header and payload: what the signature is over (RFC 7515 §5.2).
fn signed_part(jws: &str) -> &[u8] {
    jws.rsplit_once('.').map_or(jws, |(signed, _)| signed).as_bytes()
}

/// A `jti` is unique within its issuer; the trust domain cannot hold a NUL, so that no two pairs are written alike.
fn name(domain: &TrustDomain, jti: &str) -> Result<Sha256Digest, JwtSvidError> {
    if jti.is_empty() || jti.len() > MAX_JTI_BYTES {
        return Err(JwtSvidError::Jti);
    }
    Ok(Sha256Digest::of(format!("jti\0{domain}\0{jti}").as_bytes()))
}

/// What is wrong with a JWT-SVID; one fact a variant.
#[derive(Debug, thiserror::Error)]
pub enum JwtSvidError {
    /// Not a JWS with the header and the claims of a JWT-SVID, or not signed by the key that it names.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// `sub` is not a workload's SPIFFE ID.
    #[error("the token's `sub` is not a SPIFFE ID")]
    Subject,
    /// There are no JWT authorities for the trust domain of `sub`.
    #[error("there are no JWT authorities for the trust domain `{0}`")]
    UnknownTrustDomain(TrustDomain),
    /// The trust domain has no key of that name.
    #[error("the trust domain has no JWT authority of the token's `kid`")]
    UnknownKey,
    /// The algorithm is not one of the key's.
    #[error("the token's `alg` does not belong to its key")]
    Algorithm,
    /// For somebody else, or for others too.
    #[error("the token's audience is not this service and nothing else")]
    Audience,
    /// It does not hold now, or for too long.
    #[error(transparent)]
    Times(#[from] TimesError),
    /// A `jti` of no or of unreasonable length.
    #[error("the token's `jti` is not 1 to {MAX_JTI_BYTES} bytes long")]
    Jti,
}

impl JwtSvidError {
    /// The stable name of this defect, for records, metrics and problem documents.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Jws(JwsError::TooLong(_)) => "jwt_svid_too_long",
            Self::Jws(JwsError::Envelope) => "jwt_svid_malformed",
            Self::Jws(JwsError::Header) => "jwt_svid_header",
            Self::Jws(JwsError::Claims(_)) => "jwt_svid_claims",
            Self::Jws(JwsError::Signature) => "jwt_svid_bad_signature",
            Self::Subject => "jwt_svid_subject",
            Self::UnknownTrustDomain(_) => "jwt_svid_unknown_trust_domain",
            Self::UnknownKey => "jwt_svid_unknown_key",
            Self::Algorithm => "jwt_svid_algorithm",
            Self::Audience => "jwt_svid_audience",
            Self::Times(TimesError::Expired) => "jwt_svid_expired",
            Self::Times(TimesError::NotYetValid) => "jwt_svid_not_yet_valid",
            Self::Times(TimesError::Lifetime(_)) => "jwt_svid_lifetime",
            Self::Jti => "jwt_svid_jti",
        }
    }
}

#[cfg(test)]
mod tests;
