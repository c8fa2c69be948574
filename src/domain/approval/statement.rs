//! The approval statement: a compact JWS by the approver's own key.
//!
//! Header `{alg, typ: "approval+jwt", x5c}` and nothing else; `alg` is `ES256` or `EdDSA` as the key in the SVID says.
//! Claims `{iss, sub, aud, cid, sum, view, decision, iat, exp, jti}`, `del` where the approver stands in for another,
//! `att` where she attests something that the catalogue asks for, and nothing else. Verified by AgentAuth before it counts and by the broker from the mandate alone.

use std::time::Duration;

use josekit::jws::JwsSigner;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::delegation::{DelegationError, UnverifiedDelegation, VerifiedDelegation};
use super::signed::{self, SignedError, UnverifiedSigned};
use super::view::View;
use crate::domain::attestation::Attested;
use crate::domain::id::{ChallengeId, Sha256Digest, StatementId};
use crate::domain::jose::{JwsError, present};
use crate::domain::mandate::LEEWAY;
use crate::domain::policy::ApprovalFact;
use crate::domain::spiffe::{SpiffeId, SvidError, TrustBundles};
use crate::domain::time::Timestamp;

/// The `typ` of a statement.
const TYP: &str = "approval+jwt";
/// A statement with a chain of four certificates is far below this.
pub const MAX_STATEMENT_BYTES: usize = 8 * 1024;
/// The longest that a statement may be good for.
pub const MAX_STATEMENT_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Why a statement does not count. A variant is a fact about the statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// Not a JWS of this type, or its signature is not by the key of its leaf.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// The chain in `x5c` is not that of an identity that we trust.
    #[error("the statement's certificate chain is refused: {0}")]
    Svid(#[from] SvidError),
    /// `alg` is not the algorithm of the key in the leaf.
    #[error("the statement's algorithm is not that of the approver's key")]
    Algorithm,
    /// `iss` is not the identity in the leaf.
    #[error("the statement's issuer is not the identity that signed it")]
    Issuer,
    /// Signed in the future.
    #[error("the statement is not valid yet")]
    NotYetValid,
    /// Too old.
    #[error("the statement has expired")]
    Expired,
    /// `exp` is not after `iat`, or too far after it.
    #[error("the statement's lifetime is not between 1 second and 24 hours")]
    Lifetime,
    /// For another challenge.
    #[error("the statement answers another challenge")]
    Challenge,
    /// Over another content.
    #[error("the statement's digest is not that of what is asked")]
    Sum,
    /// Over another view.
    #[error("the statement's view is not the one that what is asked gives here")]
    View,
    /// Attests what nobody asks to be attested.
    #[error("the statement attests something that the approver was not asked to attest")]
    Attestation,
    /// For another agent.
    #[error("the statement is for another agent")]
    Subject,
    /// For another AgentAuth.
    #[error("the statement is for another audience")]
    Audience,
    /// The delegation in it does not let this approver stand in for another.
    #[error(transparent)]
    Delegation(#[from] DelegationError),
}

impl From<SignedError> for StatementError {
    fn from(error: SignedError) -> Self {
        match error {
            SignedError::Jws(error) => Self::Jws(error),
            SignedError::Svid(error) => Self::Svid(error),
            SignedError::Algorithm => Self::Algorithm,
        }
    }
}

impl StatementError {
    /// A stable code for records.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Jws(JwsError::Signature) => "statement_signature",
            Self::Jws(_) => "statement_malformed",
            Self::Svid(_) => "statement_chain",
            Self::Algorithm => "statement_algorithm",
            Self::Issuer => "statement_issuer",
            Self::NotYetValid => "statement_not_yet_valid",
            Self::Expired => "statement_expired",
            Self::Lifetime => "statement_lifetime",
            Self::Challenge => "statement_challenge",
            Self::Sum => "statement_digest",
            Self::View => "statement_view",
            Self::Attestation => "statement_attestation",
            Self::Subject => "statement_subject",
            Self::Audience => "statement_audience",
            Self::Delegation(error) => error.code(),
        }
    }
}

/// What a statement decides. There is one thing that a statement can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The approver agrees.
    Approve,
}

/// The claims of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The approver.
    pub iss: SpiffeId,
    /// The agent.
    pub sub: SpiffeId,
    /// AgentAuth.
    pub aud: SpiffeId,
    /// The challenge.
    pub cid: ChallengeId,
    /// Digest of what is asked.
    pub sum: Sha256Digest,
    /// Digest of what the approver was shown.
    pub view: Sha256Digest,
    /// `approve`.
    pub decision: Decision,
    /// Signed at, seconds.
    pub iat: u64,
    /// Good until, seconds.
    pub exp: u64,
    /// The statement's own id.
    pub jti: StatementId,
    /// The delegation, a compact JWS, where the approver stands in for another.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub del: Option<String>,
    /// What the approver attests beside agreeing.
    #[serde(default, skip_serializing_if = "Attested::is_empty")]
    pub att: Attested,
}

impl Statement {
    /// Signs the statement with the approver's key under the approver's chain (leaf first).
    ///
    /// # Errors
    /// When the signer fails.
    pub fn sign(&self, signer: &dyn JwsSigner, chain: &[CertificateDer<'_>]) -> Result<String, JwsError> {
        signed::sign(self, TYP, signer, chain)
    }
}

/// A statement whose signature and chain were not checked.
#[derive(Debug, Clone)]
pub struct UnverifiedStatement(UnverifiedSigned<Statement>);

impl UnverifiedStatement {
    /// Takes a statement apart.
    ///
    /// # Errors
    /// When it is not a JWS of this type.
    pub fn parse(jws: &str) -> Result<Self, StatementError> {
        Ok(Self(UnverifiedSigned::parse(jws, TYP, MAX_STATEMENT_BYTES)?))
    }

    /// The challenge that the statement says it answers.
    pub fn unverified_challenge(&self) -> ChallengeId {
        self.0.unverified_claims().cid
    }

    /// All claims, for a reader who was told that they are not verified.
    pub fn unverified_claims(&self) -> &Statement {
        self.0.unverified_claims()
    }

    /// Verifies chain, key and signature, and that the statement was good at `at`.
    ///
    /// AgentAuth passes the instant at which the statement arrived, the broker the mandate's `iat`, at which the approval was used.
    ///
    /// # Errors
    /// As the variants of [`StatementError`] say.
    pub fn verify(self, trust: &TrustBundles, at: Timestamp) -> Result<VerifiedStatement, StatementError> {
        let signed = self.0.verify(trust, at, &[])?;
        let claims = signed.claims;
        if claims.iss != signed.by {
            return Err(StatementError::Issuer);
        }
        let (iat, exp) = (Timestamp::from_secs(claims.iat), Timestamp::from_secs(claims.exp));
        if exp <= iat || exp.since(iat) > MAX_STATEMENT_LIFETIME {
            return Err(StatementError::Lifetime);
        }
        if iat > at.plus(LEEWAY) {
            return Err(StatementError::NotYetValid);
        }
        if at >= exp {
            return Err(StatementError::Expired);
        }
        let delegation = delegation(&claims, trust, at, &signed.intermediates)?;
        Ok(VerifiedStatement { claims, delegation, jws: signed.jws })
    }
}

/// The delegation that the statement brings along: it must let exactly this approver do what the statement does, for as
/// long as the statement is good.
fn delegation(
    claims: &Statement,
    trust: &TrustBundles,
    at: Timestamp,
    lent: &[CertificateDer<'static>],
) -> Result<Option<VerifiedDelegation>, DelegationError> {
    let Some(jws) = &claims.del else { return Ok(None) };
    let verified = UnverifiedDelegation::parse(jws)?.verify(trust, at, lent)?;
    verified.lets(&claims.iss, &claims.aud, Timestamp::from_secs(claims.iat), Timestamp::from_secs(claims.exp))?;
    if *verified.delegator() == claims.sub {
        return Err(DelegationError::ByRequester);
    }
    Ok(Some(verified))
}

/// A statement by the approver's own key, good at the instant that was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedStatement {
    claims: Statement,
    delegation: Option<VerifiedDelegation>,
    jws: String,
}

impl VerifiedStatement {
    /// The claims.
    pub fn claims(&self) -> &Statement {
        &self.claims
    }

    /// Who approved.
    pub fn approver(&self) -> &SpiffeId {
        &self.claims.iss
    }

    /// When.
    pub fn approved_at(&self) -> Timestamp {
        Timestamp::from_secs(self.claims.iat)
    }

    /// The delegation that it rests on, where the approver stands in for another.
    pub fn delegation(&self) -> Option<&VerifiedDelegation> {
        self.delegation.as_ref()
    }

    /// In whose name it was given: the delegator's, or the approver's own.
    pub fn principal(&self) -> &SpiffeId {
        self.delegation.as_ref().map_or(&self.claims.iss, VerifiedDelegation::delegator)
    }

    /// The approval as the policy is told of it.
    pub fn fact(&self) -> ApprovalFact {
        ApprovalFact {
            id: self.claims.iss.clone(),
            approved_at: self.claims.iat,
            on_behalf_of: self.delegation.as_ref().map(VerifiedDelegation::on_behalf_of),
            attestations: self.claims.att.clone(),
        }
    }

    /// The statement as it came.
    pub fn as_jws(&self) -> &str {
        &self.jws
    }

    /// Checks that the statement is about exactly this.
    ///
    /// # Errors
    /// With the first thing that differs.
    pub fn answers(
        &self,
        challenge: ChallengeId,
        sum: Sha256Digest,
        agent: &SpiffeId,
        agentauth: &SpiffeId,
    ) -> Result<(), StatementError> {
        if self.claims.cid != challenge {
            return Err(StatementError::Challenge);
        }
        if self.claims.sum != sum {
            return Err(StatementError::Sum);
        }
        if self.claims.sub != *agent {
            return Err(StatementError::Subject);
        }
        if self.claims.aud != *agentauth {
            return Err(StatementError::Audience);
        }
        Ok(())
    }

    /// Digest of what the approver was shown.
    pub fn view(&self) -> Sha256Digest {
        self.claims.view
    }

    /// Checks that nothing is attested but what was asked in the view.
    ///
    /// # Errors
    /// [`StatementError::Attestation`] when there is more.
    pub fn attests_only(&self, asked: &View) -> Result<(), StatementError> {
        let known = self.claims.att.iter().all(|name| asked.attestations().contains_key(name));
        if known { Ok(()) } else { Err(StatementError::Attestation) }
    }

    /// Checks that the approver was shown exactly this.
    ///
    /// # Errors
    /// [`StatementError::View`] when she was shown something else.
    pub fn shows(&self, view: Sha256Digest) -> Result<(), StatementError> {
        if self.claims.view == view { Ok(()) } else { Err(StatementError::View) }
    }
}
