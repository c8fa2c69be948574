//! Who vouches for the machine beneath a caller: tokens of the platform's OIDC provider (OpenID Connect Core §2, RFC 7519),
//! and their binding to SPIFFE IDs.
//!
//! A platform token is a second, independent word on where a workload runs (a Kubernetes service account, a cloud
//! instance). It never gives an identity: the SVID does, and the token must agree with it. So a stolen token is of no
//! use without the SVID that it is bound to.
//!
//! Not here: where the provider's keys come from and how old they may be (`adapters::platform`).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::jose::{JwsError, UnverifiedJws, present};
use super::json::Object;
use super::jwt::{self, Audience, JwtAlg, JwtKeys, Times, TimesError};
use super::spiffe::{SpiffeId, SpiffePattern};
use super::time::Timestamp;

/// The longest token that we look at; those of large directories list groups.
const MAX_BYTES: usize = 16 * 1024;
/// The most audiences of one token.
const MAX_AUDIENCES: usize = 16;
/// The longest claim that is bound to an identity.
const MAX_CLAIM_BYTES: usize = 512;

/// What a provider says in a token's header. Hints at certificates are passed over: keys come from its key set alone.
/// Keys inside of a token, and parameters that must be understood (RFC 7515 §4.1.11), are refused as any other member.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: JwtAlg,
    kid: String,
    #[serde(default, rename = "typ", deserialize_with = "present")]
    _typ: Option<Typ>,
    #[serde(default, rename = "x5t")]
    _x5t: Option<IgnoredAny>,
    #[serde(default, rename = "x5t#S256")]
    _x5t_s256: Option<IgnoredAny>,
}

/// RFC 7519 §5.1; absent is as good.
#[derive(Debug, Clone, Deserialize)]
enum Typ {
    #[serde(rename = "JWT", alias = "jwt")]
    Jwt,
}

#[derive(Debug, Clone, Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    iat: u64,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<u64>,
    exp: u64,
}

/// A text whose form is that of a platform's token. Nobody has vouched for it.
#[derive(Debug, Clone)]
pub struct UnverifiedPlatformToken(UnverifiedJws<Header, Object>);

/// What a platform's token must say.
#[derive(Debug, Clone)]
pub struct ExpectedPlatform {
    /// Whose tokens are taken, as `iss` says it.
    pub issuer: String,
    /// Whom a token must be for.
    pub audience: String,
    /// How it may be signed.
    pub algorithms: Vec<JwtAlg>,
    /// The claim that says which workload it is.
    pub claim: String,
    /// The longest that a token may live.
    pub max_lifetime: Duration,
}

/// Whom the platform says that a caller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformIdentity {
    /// The provider.
    pub issuer: String,
    /// The claim that the configuration names: a text of visible characters.
    pub subject: String,
    /// Until when the provider says so.
    pub expires_at: Timestamp,
}

impl UnverifiedPlatformToken {
    /// Reads a token.
    ///
    /// # Errors
    /// When it does not have the form of a provider's token.
    pub fn parse(unverified_jwt: &str) -> Result<Self, PlatformTokenError> {
        Ok(Self(UnverifiedJws::parse(unverified_jwt, MAX_BYTES)?))
    }

    /// The key that it wants to be verified with: what a cache of keys is asked for.
    pub fn claimed_kid(&self) -> &str {
        &self.0.header.kid
    }

    /// Whether its algorithm is one of those that are taken: asked before any key is looked for.
    ///
    /// # Errors
    /// When it is not.
    pub fn check_algorithm(&self, expected: &ExpectedPlatform) -> Result<(), PlatformTokenError> {
        if expected.algorithms.contains(&self.0.header.alg) { Ok(()) } else { Err(PlatformTokenError::Algorithm) }
    }

    /// Checks the signature, and then what the token says.
    ///
    /// # Errors
    /// The fact that stands against it.
    pub fn verify(
        self,
        keys: &JwtKeys,
        expected: &ExpectedPlatform,
        now: Timestamp,
    ) -> Result<PlatformIdentity, PlatformTokenError> {
        self.check_algorithm(expected)?;
        let Self(jws) = self;
        let alg = jws.header.alg;
        let key = keys.find(&jws.header.kid).ok_or(PlatformTokenError::UnknownKey)?;
        if !key.does(alg) {
            return Err(PlatformTokenError::Algorithm);
        }
        let (_, payload) = jws.verify(&key.verifier(alg))?;
        let claims: Claims = jwt::claims(&payload)?;
        if claims.iss != expected.issuer {
            return Err(PlatformTokenError::Issuer);
        }
        if !claims.aud.contains(&expected.audience) || claims.aud.names().len() > MAX_AUDIENCES {
            return Err(PlatformTokenError::Audience);
        }
        Times { iat: claims.iat, nbf: claims.nbf, exp: claims.exp }.check(expected.max_lifetime, now)?;
        let visible = |text: &str| !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b));
        match payload.as_map().get(&expected.claim).and_then(Value::as_str) {
            Some(subject) if visible(subject) && subject.len() <= MAX_CLAIM_BYTES => {
                let expires_at = Timestamp::from_secs(claims.exp);
                Ok(PlatformIdentity { issuer: claims.iss, subject: subject.to_owned(), expires_at })
            }
            _ => Err(PlatformTokenError::Claim),
        }
    }
}

/// What is wrong with a platform's token; one fact a variant.
#[derive(Debug, thiserror::Error)]
pub enum PlatformTokenError {
    /// Not a JWS with the header and the claims of such a token, or not signed by the key that it names.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// Not an algorithm that is taken, or not one of the key's.
    #[error("the platform token's `alg` is not one that is taken for its key")]
    Algorithm,
    /// The provider has no key of that name.
    #[error("the platform's provider has no key of the token's `kid`")]
    UnknownKey,
    /// Of another provider.
    #[error("the platform token is of another issuer")]
    Issuer,
    /// For somebody else.
    #[error("the platform token is not for this service")]
    Audience,
    /// It does not hold now, or for too long.
    #[error(transparent)]
    Times(#[from] TimesError),
    /// It does not say which workload it is.
    #[error("the platform token lacks the claim that names the workload")]
    Claim,
}

impl PlatformTokenError {
    /// The stable name of this defect, for records and problem documents.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Jws(JwsError::TooLong(_)) => "platform_token_too_long",
            Self::Jws(JwsError::Envelope) => "platform_token_malformed",
            Self::Jws(JwsError::Header) => "platform_token_header",
            Self::Jws(JwsError::Claims(_)) => "platform_token_claims",
            Self::Jws(JwsError::Signature) => "platform_token_bad_signature",
            Self::Algorithm => "platform_token_algorithm",
            Self::UnknownKey => "platform_token_unknown_key",
            Self::Issuer => "platform_token_issuer",
            Self::Audience => "platform_token_audience",
            Self::Times(TimesError::Expired) => "platform_token_expired",
            Self::Times(TimesError::NotYetValid) => "platform_token_not_yet_valid",
            Self::Times(TimesError::Lifetime(_)) => "platform_token_lifetime",
            Self::Claim => "platform_token_claim_missing",
        }
    }
}

/// Which SPIFFE IDs a platform identity may belong to.
#[derive(Debug, Clone, Default)]
pub enum Binding {
    /// None: a token is not asked for; one that comes along is verified.
    #[default]
    Off,
    /// The claim is the SPIFFE ID.
    Exact,
    /// The claim is the SPIFFE ID or the beginning of it, by whole segments.
    Prefix,
    /// A table: claim to the IDs that it stands for. What it does not have stands for nobody.
    Mapping(BTreeMap<String, Vec<SpiffePattern>>),
}

impl Binding {
    /// Whether every agent must bring a token.
    pub fn requires_a_token(&self) -> bool {
        !matches!(self, Self::Off)
    }

    /// Whether the platform's word on `subject` is a word on `id`.
    pub fn binds(&self, subject: &str, id: &SpiffeId) -> bool {
        match self {
            Self::Off => true,
            Self::Exact => subject == id.as_str(),
            Self::Prefix => {
                let rest = id.as_str().strip_prefix(subject);
                // A trust domain alone would bind everybody in it.
                subject.parse::<SpiffeId>().is_ok() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Self::Mapping(table) => table.get(subject).is_some_and(|ids| ids.iter().any(|pattern| pattern.matches(id))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_goes_by_whole_segments_and_never_by_a_trust_domain_alone() {
        let id: SpiffeId = "spiffe://atb.dev/agent/procurement".parse().unwrap();
        for (binding, subject, binds) in [
            (Binding::Exact, "spiffe://atb.dev/agent/procurement", true),
            (Binding::Exact, "spiffe://atb.dev/agent", false),
            (Binding::Exact, "spiffe://atb.dev/agent/procurement/", false),
            (Binding::Prefix, "spiffe://atb.dev/agent/procurement", true),
            (Binding::Prefix, "spiffe://atb.dev/agent", true),
            (Binding::Prefix, "spiffe://atb.dev/agent/", false),
            (Binding::Prefix, "spiffe://atb.dev/agent/procure", false),
            (Binding::Prefix, "spiffe://atb.dev", false),
            (Binding::Prefix, "spiffe://atb.dev/", false),
            (Binding::Prefix, "spiffe://", false),
            (Binding::Prefix, "", false),
            (Binding::Prefix, "spiffe://atb.dev/agent/procurement/more", false),
            (Binding::Off, "anybody", true),
        ] {
            assert_eq!(binding.binds(subject, &id), binds, "{binding:?} {subject}");
        }
        let table = |ids: &[&str]| {
            let ids = ids.iter().map(|id| id.parse().unwrap()).collect();
            Binding::Mapping(BTreeMap::from([("system:serviceaccount:fin:sap-bot".to_owned(), ids)]))
        };
        let subject = "system:serviceaccount:fin:sap-bot";
        assert!(table(&["spiffe://atb.dev/agent/*"]).binds(subject, &id));
        assert!(!table(&["spiffe://atb.dev/approver/*"]).binds(subject, &id));
        assert!(!table(&["spiffe://atb.dev/agent/*"]).binds("system:serviceaccount:fin:sap-bot2", &id));
        assert!(!table(&[]).binds(subject, &id));
    }
}
