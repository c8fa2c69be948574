//! The way in: from a header's text to a mandate that is ours, in time, for us, and held by who calls.

use serde::Deserialize;

use super::LEEWAY;
use super::claims::{Claims, MAX_MANDATE_BYTES};
use super::mint::TYP;
use crate::domain::action::{ActionName, CallRequest};
use crate::domain::id::KeyId;
use crate::domain::jose::{Alg, JwsError, MandateKeys, UnverifiedJws};
use crate::domain::spiffe::{SpiffeId, VerifiedSvid};
use crate::domain::time::{Timestamp, Ttl};

/// Why a mandate is not taken.
#[derive(Debug, thiserror::Error)]
pub enum MandateError {
    /// Not a JWS of this type, or its signature does not verify.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// Signed with a key that AgentAuth does not publish.
    #[error("the mandate names a key that AgentAuth does not have")]
    UnknownKey,
    /// From another issuer.
    #[error("the mandate is from another issuer")]
    Issuer,
    /// For other brokers.
    #[error("the mandate is for another audience")]
    Audience,
    /// `iat` or `nbf` lies in the future.
    #[error("the mandate is not valid yet")]
    NotYetValid,
    /// `exp` has passed.
    #[error("the mandate has expired")]
    Expired,
    /// `exp - iat` is above what this broker takes, or the times are out of order.
    #[error("the mandate's lifetime is not between 1 and {0} seconds")]
    Lifetime(u64),
    /// Held by another agent.
    #[error("the mandate belongs to another agent")]
    Holder,
    /// For another act than the call's.
    #[error("the mandate is for `{mandate}` and the call is `{call}`")]
    Act {
        /// What the mandate names.
        mandate: ActionName,
        /// What the route gives.
        call: ActionName,
    },
    /// Tied to another exact call.
    #[error("the mandate is tied to another call: connector, method, path or parameters differ")]
    Request,
}

impl MandateError {
    /// A stable code for problem documents and records.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Jws(JwsError::Signature) => "mandate_signature",
            Self::Jws(_) => "mandate_malformed",
            Self::UnknownKey => "mandate_key_unknown",
            Self::Issuer => "mandate_issuer",
            Self::Audience => "mandate_audience",
            Self::NotYetValid => "mandate_not_yet_valid",
            Self::Expired => "mandate_expired",
            Self::Lifetime(_) => "mandate_lifetime",
            Self::Holder => "mandate_holder",
            Self::Act { .. } => "act_mismatch",
            Self::Request => "request_mismatch",
        }
    }
}

/// What a mandate must say to be for us.
#[derive(Debug, Clone)]
pub struct Expected {
    /// AgentAuth.
    pub issuer: SpiffeId,
    /// This broker.
    pub audience: SpiffeId,
    /// The longest lifetime that this broker takes.
    pub max_ttl: Ttl,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: Alg,
    typ: String,
    kid: KeyId,
}

/// A mandate of the right shape. Nothing in it is to be believed.
#[derive(Debug, Clone)]
pub struct UnverifiedMandate(UnverifiedJws<Header, Claims>);

impl UnverifiedMandate {
    /// Takes a mandate apart.
    ///
    /// # Errors
    /// When it is not a JWS with exactly the header and claims of a mandate.
    pub fn parse(unverified_jwt: &str) -> Result<Self, MandateError> {
        let jws = UnverifiedJws::<Header, Claims>::parse(unverified_jwt, MAX_MANDATE_BYTES)?;
        if jws.header.alg != Alg::EdDsa || jws.header.typ != TYP {
            return Err(JwsError::Header.into());
        }
        Ok(Self(jws))
    }

    /// The claims, for a reader who was told that they are not verified.
    pub fn unverified_claims(&self) -> &Claims {
        &self.0.unverified_payload
    }

    /// The key that the mandate says it was signed with.
    pub fn unverified_kid(&self) -> &KeyId {
        &self.0.header.kid
    }

    /// Checks signature, issuer, audience and times.
    ///
    /// # Errors
    /// With the first check that fails, the signature before all that it protects.
    pub fn verify(
        self,
        keys: &MandateKeys,
        expected: &Expected,
        now: Timestamp,
    ) -> Result<VerifiedMandate, MandateError> {
        let key = keys.find(&self.0.header.kid).ok_or(MandateError::UnknownKey)?;
        let (_, claims) = self.0.verify(&key.verifier())?;
        if claims.iss != expected.issuer {
            return Err(MandateError::Issuer);
        }
        if claims.aud.len() > 16 || !claims.aud.contains(&expected.audience) {
            return Err(MandateError::Audience);
        }
        let in_order = claims.iat <= claims.nbf && claims.nbf < claims.exp;
        if !in_order || claims.ttl().map_or(true, |ttl| ttl > expected.max_ttl) {
            return Err(MandateError::Lifetime(expected.max_ttl.as_secs()));
        }
        if Timestamp::from_secs(claims.nbf) > now.plus(LEEWAY) {
            return Err(MandateError::NotYetValid);
        }
        if now >= claims.expires_at() {
            return Err(MandateError::Expired);
        }
        Ok(VerifiedMandate(claims))
    }
}

/// A mandate that AgentAuth signed for us and that is in time. Who presents it is not checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedMandate(Claims);

impl VerifiedMandate {
    /// The claims.
    pub fn claims(&self) -> &Claims {
        &self.0
    }

    /// Binds the mandate to the caller who proved its identity on this connection.
    ///
    /// # Errors
    /// When the caller is not the mandate's `sub`.
    pub fn held_by(self, caller: &VerifiedSvid) -> Result<BoundMandate, MandateError> {
        self.held_as_reported(caller.id())
    }

    /// Binds the mandate to the agent whose SVID a connector of ours verified and reports (`POST /v1/decide`).
    ///
    /// # Errors
    /// When that agent is not the mandate's `sub`.
    pub fn held_as_reported(self, agent: &SpiffeId) -> Result<BoundMandate, MandateError> {
        if self.0.sub != *agent {
            return Err(MandateError::Holder);
        }
        Ok(BoundMandate(self.0))
    }
}

/// A verified mandate in the hands of its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundMandate(Claims);

impl BoundMandate {
    /// The claims.
    pub fn claims(&self) -> &Claims {
        &self.0
    }

    /// Checks that the mandate is for this call: the act that the route gives and, if it is tied to one call, exactly
    /// these bytes (invariant 4).
    ///
    /// # Errors
    /// [`MandateError::Act`] or [`MandateError::Request`].
    pub fn covers(&self, call: &CallRequest) -> Result<(), MandateError> {
        if self.0.act != call.act {
            return Err(MandateError::Act { mandate: self.0.act.clone(), call: call.act.clone() });
        }
        if self.0.req.as_ref().is_some_and(|req| *req != call.binding()) {
            return Err(MandateError::Request);
        }
        Ok(())
    }

    /// Until when the use of this mandate must be remembered.
    pub fn keep_until(&self) -> Timestamp {
        self.0.expires_at().plus(LEEWAY)
    }
}
