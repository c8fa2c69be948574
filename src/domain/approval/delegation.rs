//! The delegation: a compact JWS by which one approver lets another stand in for her, for a scope and a time.
//!
//! Header `{alg, typ: "delegation+jwt", x5c}`, claims `{iss, sub, aud, tiers, acts, workspaces, iat, nbf, exp, jti}`,
//! nothing else. It is carried inside the delegate's statement (`del`) and proven wherever the statement is: by AgentAuth
//! before it counts and by the broker from the mandate alone. A statement lies inside the delegation's time as a whole,
//! so that neither a statement dated back nor one kept for later outlives it.
//!
//! A delegation has no member for another one: it cannot be passed on. It grants nothing by itself: the delegate acts
//! with the delegator's entitlement, cut to the scope; the entitlement is the policy's to say.

#[cfg(test)]
mod tests;

use std::time::Duration;

use josekit::jws::JwsSigner;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::signed::{self, SignedError, UnverifiedSigned};
use crate::domain::action::ActionName;
use crate::domain::catalogue::Tier;
use crate::domain::id::{DelegationId, WorkspaceId};
use crate::domain::jose::JwsError;
use crate::domain::mandate::LEEWAY;
use crate::domain::policy::OnBehalfOf;
use crate::domain::policy::bundle::ActPattern;
use crate::domain::spiffe::{SpiffeId, SvidError, TrustBundles};
use crate::domain::time::Timestamp;

/// The `typ` of a delegation.
const TYP: &str = "delegation+jwt";
/// The longest delegation that is read.
pub const MAX_DELEGATION_BYTES: usize = 4 * 1024;
/// The longest that a delegation may be good for.
pub const MAX_DELEGATION_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// How many patterns of acts one delegation may name.
const MAX_ACTS: usize = 32;
/// How many workspaces one delegation may name.
const MAX_WORKSPACES: usize = 16;

/// Why a delegation is not believed. A variant is a fact about it.
#[derive(Debug, thiserror::Error)]
pub enum DelegationError {
    /// Not a JWS of this type, or its signature is not by the key of its leaf.
    #[error("the delegation is refused: {0}")]
    Jws(#[from] JwsError),
    /// The chain in `x5c` is not that of an identity that we trust.
    #[error("the delegation's certificate chain is refused: {0}")]
    Svid(#[from] SvidError),
    /// `alg` is not the algorithm of the key in the leaf.
    #[error("the delegation's algorithm is not that of the delegator's key")]
    Algorithm,
    /// `iss` is not the identity in the leaf.
    #[error("the delegation's issuer is not the identity that signed it")]
    Issuer,
    /// `iat`, `nbf` and `exp` are not in this order, or too far apart.
    #[error("the delegation's times are not `iat` <= `nbf` < `exp` <= `iat` + 30 days")]
    Lifetime,
    /// A list of the scope is empty, too long, or names something twice.
    #[error("the delegation's scope is not 1 to 4 tiers, 1 to 32 acts and 1 to 16 workspaces, each named once")]
    Scope,
    /// Delegator and delegate are one identity.
    #[error("nobody stands in for herself: delegator and delegate are one")]
    ToSelf,
    /// The agent that asks would stand behind its own approval.
    #[error("the delegation is by the agent that asks")]
    ByRequester,
    /// Given to somebody else than who signed the statement.
    #[error("the delegation is another approver's to use")]
    Delegate,
    /// For another AgentAuth.
    #[error("the delegation is for another audience")]
    Audience,
    /// Used before its time.
    #[error("the delegation is not valid yet")]
    NotYetValid,
    /// Ends before what rests on it does.
    #[error("the delegation has expired, or ends before the statement does")]
    Expired,
}

impl DelegationError {
    /// A stable code for records.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Jws(JwsError::Signature) => "delegation_signature",
            Self::Jws(_) => "delegation_malformed",
            Self::Svid(_) => "delegation_chain",
            Self::Algorithm => "delegation_algorithm",
            Self::Issuer => "delegation_issuer",
            Self::Lifetime => "delegation_lifetime",
            Self::Scope => "delegation_scope_malformed",
            Self::ToSelf => "delegation_to_self",
            Self::ByRequester => "delegation_by_requester",
            Self::Delegate => "delegation_delegate",
            Self::Audience => "delegation_audience",
            Self::NotYetValid => "delegation_not_yet_valid",
            Self::Expired => "delegation_expired",
        }
    }
}

impl From<SignedError> for DelegationError {
    fn from(error: SignedError) -> Self {
        match error {
            SignedError::Jws(error) => Self::Jws(error),
            SignedError::Svid(error) => Self::Svid(error),
            SignedError::Algorithm => Self::Algorithm,
        }
    }
}

/// What of a request lies outside a delegation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutOfScope {
    /// The act's tier is not among the delegated ones.
    #[error("delegation_tier")]
    Tier,
    /// No pattern of acts covers the act.
    #[error("delegation_act")]
    Act,
    /// The agent's workspace is not among the delegated ones.
    #[error("delegation_workspace")]
    Workspace,
}

impl OutOfScope {
    /// A stable code for records.
    pub fn code(self) -> &'static str {
        match self {
            Self::Tier => "delegation_tier",
            Self::Act => "delegation_act",
            Self::Workspace => "delegation_workspace",
        }
    }
}

/// The claims of a delegation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// The delegator: in whose name may be approved.
    pub iss: SpiffeId,
    /// The delegate: who may.
    pub sub: SpiffeId,
    /// AgentAuth.
    pub aud: SpiffeId,
    /// For which tiers.
    pub tiers: Vec<Tier>,
    /// For which acts.
    pub acts: Vec<ActPattern>,
    /// In which workspaces.
    pub workspaces: Vec<WorkspaceId>,
    /// Signed at, seconds.
    pub iat: u64,
    /// Good from, seconds.
    pub nbf: u64,
    /// Good until, seconds.
    pub exp: u64,
    /// The delegation's own id.
    pub jti: DelegationId,
}

impl Delegation {
    /// Signs the delegation with the delegator's key under the delegator's chain (leaf first).
    ///
    /// # Errors
    /// When no reader would believe it, or the signer fails.
    pub fn sign(&self, signer: &dyn JwsSigner, chain: &[CertificateDer<'_>]) -> Result<String, DelegationError> {
        self.check()?;
        let jws = signed::sign(self, TYP, signer, chain)?;
        if jws.len() > MAX_DELEGATION_BYTES {
            return Err(JwsError::TooLong(MAX_DELEGATION_BYTES).into());
        }
        Ok(jws)
    }

    /// What must be so whoever looks, and whenever.
    fn check(&self) -> Result<(), DelegationError> {
        let (iat, exp) = (Timestamp::from_secs(self.iat), Timestamp::from_secs(self.exp));
        if self.nbf < self.iat || self.exp <= self.nbf || exp.since(iat) > MAX_DELEGATION_LIFETIME {
            return Err(DelegationError::Lifetime);
        }
        let scoped = listed(&self.tiers, Tier::ALL.len())
            && listed(&self.acts, MAX_ACTS)
            && listed(&self.workspaces, MAX_WORKSPACES);
        if !scoped {
            return Err(DelegationError::Scope);
        }
        if self.iss == self.sub {
            return Err(DelegationError::ToSelf);
        }
        Ok(())
    }
}

/// One to `max` members, none of them twice.
fn listed<T: PartialEq>(members: &[T], max: usize) -> bool {
    let twice = || members.iter().enumerate().any(|(i, one)| members.iter().take(i).any(|earlier| earlier == one));
    (1..=max).contains(&members.len()) && !twice()
}

/// A delegation whose signature and chain were not checked.
#[derive(Debug, Clone)]
pub struct UnverifiedDelegation(UnverifiedSigned<Delegation>);

impl UnverifiedDelegation {
    /// Takes a delegation apart.
    ///
    /// # Errors
    /// When it is not a JWS of this type.
    pub fn parse(jws: &str) -> Result<Self, DelegationError> {
        Ok(Self(UnverifiedSigned::parse(jws, TYP, MAX_DELEGATION_BYTES)?))
    }

    /// All claims, for a reader who was told that they are not verified.
    pub fn unverified_claims(&self) -> &Delegation {
        self.0.unverified_claims()
    }

    /// Verifies chain, key and signature as of `at`, and the claims by themselves. Whether it is good for a use is
    /// [`VerifiedDelegation::lets`]'s to say.
    ///
    /// `lent` are the intermediates of the statement that carries it, for a delegation that brings its leaf alone.
    ///
    /// # Errors
    /// As the variants of [`DelegationError`] say.
    pub fn verify(
        self,
        trust: &TrustBundles,
        at: Timestamp,
        lent: &[CertificateDer<'static>],
    ) -> Result<VerifiedDelegation, DelegationError> {
        let signed = self.0.verify(trust, at, lent)?;
        if signed.claims.iss != signed.by {
            return Err(DelegationError::Issuer);
        }
        signed.claims.check()?;
        Ok(VerifiedDelegation { claims: signed.claims })
    }
}

/// A delegation by the delegator's own key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedDelegation {
    claims: Delegation,
}

impl VerifiedDelegation {
    /// The claims.
    pub fn claims(&self) -> &Delegation {
        &self.claims
    }

    /// In whose name.
    pub fn delegator(&self) -> &SpiffeId {
        &self.claims.iss
    }

    /// Checks that it lets `delegate` approve at `agentauth` for all of the time from `from` to `until` (not included).
    ///
    /// # Errors
    /// With the first thing that is not so.
    pub fn lets(
        &self,
        delegate: &SpiffeId,
        agentauth: &SpiffeId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<(), DelegationError> {
        if self.claims.sub != *delegate {
            return Err(DelegationError::Delegate);
        }
        if self.claims.aud != *agentauth {
            return Err(DelegationError::Audience);
        }
        if Timestamp::from_secs(self.claims.nbf) > from.plus(LEEWAY) {
            return Err(DelegationError::NotYetValid);
        }
        if until > Timestamp::from_secs(self.claims.exp) {
            return Err(DelegationError::Expired);
        }
        Ok(())
    }

    /// Checks that an act of this tier lies in the scope.
    ///
    /// # Errors
    /// With what lies outside.
    pub fn covers(&self, act: &ActionName, tier: Tier) -> Result<(), OutOfScope> {
        if !self.claims.tiers.contains(&tier) {
            return Err(OutOfScope::Tier);
        }
        if !self.claims.acts.iter().any(|pattern| pattern.covers(act)) {
            return Err(OutOfScope::Act);
        }
        Ok(())
    }

    /// Checks that a workspace lies in the scope.
    ///
    /// # Errors
    /// When it does not.
    pub fn covers_workspace(&self, workspace: &WorkspaceId) -> Result<(), OutOfScope> {
        if self.claims.workspaces.contains(workspace) { Ok(()) } else { Err(OutOfScope::Workspace) }
    }

    /// The delegator and the scope, as the policy is told of them.
    pub fn on_behalf_of(&self) -> OnBehalfOf {
        OnBehalfOf {
            id: self.claims.iss.clone(),
            tiers: self.claims.tiers.clone(),
            acts: self.claims.acts.clone(),
            workspaces: self.claims.workspaces.clone(),
        }
    }
}
