//! The approval statement: a compact JWS by the approver's own key.
//!
//! Header `{alg, typ: "approval+jwt", x5c}` and nothing else; `alg` is `ES256` or `EdDSA` as the key in the SVID says.
//! Claims `{iss, sub, aud, cid, sum, view, decision, iat, exp, jti}` and nothing else. Verified by AgentAuth before it counts
//! and by the broker from the mandate alone.

use std::time::Duration;

use base64ct::{Base64, Encoding};
use josekit::jws::{JwsHeader, JwsSigner};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::domain::id::{ChallengeId, Sha256Digest, StatementId};
use crate::domain::jose::{self, Alg, JwsError, UnverifiedJws, Verifier};
use crate::domain::mandate::LEEWAY;
use crate::domain::spiffe::{Purpose, SpiffeId, SvidError, SvidKey, TrustBundles, UnverifiedSvid};
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
    /// For another agent.
    #[error("the statement is for another agent")]
    Subject,
    /// For another AgentAuth.
    #[error("the statement is for another audience")]
    Audience,
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
            Self::Subject => "statement_subject",
            Self::Audience => "statement_audience",
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
}

impl Statement {
    /// Signs the statement with the approver's key under the approver's chain (leaf first).
    ///
    /// # Errors
    /// When the signer fails.
    pub fn sign(&self, signer: &dyn JwsSigner, chain: &[CertificateDer<'_>]) -> Result<String, JwsError> {
        let mut header = JwsHeader::new();
        header.set_token_type(TYP);
        header.set_x509_certificate_chain(&chain.iter().map(|der| der.as_ref().to_vec()).collect());
        let payload = serde_json::to_vec(self).map_err(|error| JwsError::Claims(error.to_string()))?;
        jose::sign(&header, &payload, signer)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: Alg,
    typ: String,
    x5c: Vec<String>,
}

/// A statement whose signature and chain were not checked.
#[derive(Debug, Clone)]
pub struct UnverifiedStatement(UnverifiedJws<Header, Statement>);

impl UnverifiedStatement {
    /// Takes a statement apart.
    ///
    /// # Errors
    /// When it is not a JWS of this type.
    pub fn parse(jws: &str) -> Result<Self, StatementError> {
        let jws = UnverifiedJws::<Header, Statement>::parse(jws, MAX_STATEMENT_BYTES)?;
        if jws.header.typ != TYP || !(1..=4).contains(&jws.header.x5c.len()) {
            return Err(JwsError::Header.into());
        }
        Ok(Self(jws))
    }

    /// The challenge that the statement says it answers.
    pub fn unverified_challenge(&self) -> ChallengeId {
        self.0.unverified_payload.cid
    }

    /// The approver that the statement says it is from.
    pub fn unverified_approver(&self) -> &SpiffeId {
        &self.0.unverified_payload.iss
    }

    /// All claims, for a reader who was told that they are not verified.
    pub fn unverified_claims(&self) -> &Statement {
        &self.0.unverified_payload
    }

    /// When the statement says that it was signed.
    pub fn unverified_signed_at(&self) -> Timestamp {
        Timestamp::from_secs(self.0.unverified_payload.iat)
    }

    /// Verifies chain, key and signature, and that the statement was good at `at`.
    ///
    /// AgentAuth passes the instant at which the statement arrived, the broker the mandate's `iat`, at which the approval was used.
    ///
    /// # Errors
    /// As the variants of [`StatementError`] say.
    pub fn verify(self, trust: &TrustBundles, at: Timestamp) -> Result<VerifiedStatement, StatementError> {
        let chain = certificates(&self.0.header.x5c)?;
        let svid = trust.verify(UnverifiedSvid::parse(&chain)?, Purpose::Signer, at)?;
        let alg = self.0.header.alg;
        if !matches!((svid.key(), alg), (SvidKey::P256(_), Alg::Es256) | (SvidKey::Ed25519(_), Alg::EdDsa)) {
            return Err(StatementError::Algorithm);
        }
        let jws = self.0.as_str().to_owned();
        let key = svid.key().clone();
        let verifier = Verifier::new(alg, move |message: &[u8], signature: &[u8]| {
            key.verify_jws(alg.as_str(), message, signature).is_ok()
        });
        let (_, claims) = self.0.verify(&verifier)?;
        if claims.iss != *svid.id() {
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
        Ok(VerifiedStatement { claims, jws })
    }
}

fn certificates(x5c: &[String]) -> Result<Vec<CertificateDer<'static>>, StatementError> {
    x5c.iter()
        .map(|text| Base64::decode_vec(text).map(CertificateDer::from).map_err(|_| JwsError::Header.into()))
        .collect()
}

/// A statement by the approver's own key, good at the instant that was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedStatement {
    claims: Statement,
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

    /// Checks that the approver was shown exactly this.
    ///
    /// # Errors
    /// [`StatementError::View`] when she was shown something else.
    pub fn shows(&self, view: Sha256Digest) -> Result<(), StatementError> {
        if self.claims.view == view { Ok(()) } else { Err(StatementError::View) }
    }
}
