//! The sign-off: a compact JWS by which a person of the security or of the legal team lets one connector file be used.
//!
//! Header `{alg, typ: "connector-sign-off+jwt", x5c}`, claims `{iss, connector, digest, role, iat}`, nothing else. `digest`
//! is that of the file's exact bytes, so that any change of the file needs new sign-offs. It is signed by the person's own
//! SVID key and verified as of `iat`, as statements are: a sign-off outlives the SVID that made it, and ends when the
//! authority above that SVID leaves the trust bundle, or when the person leaves the list of signers.
//!
//! INVARIANT: a connector is signed off by two distinct people, one for each role. Who is which person is the
//! configuration's to say, never the sign-off's.

use std::collections::BTreeSet;

use josekit::jws::JwsSigner;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::signed::{self, SignedError, UnverifiedSigned};
use crate::domain::id::{ConnectorId, PersonId, Sha256Digest};
use crate::domain::jose::JwsError;
use crate::domain::mandate::LEEWAY;
use crate::domain::spiffe::{SpiffeId, SvidError, TrustBundles};
use crate::domain::time::Timestamp;

/// The `typ` of a sign-off.
const TYP: &str = "connector-sign-off+jwt";
/// The longest sign-off that is read.
pub const MAX_SIGN_OFF_BYTES: usize = 8 * 1024;

/// For whom a person signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignOffRole {
    /// What the connector may reach and what it lets through.
    Security,
    /// Whose data it touches, and that this may be.
    Legal,
}

impl SignOffRole {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Security, Self::Legal];

    /// The name as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Legal => "legal",
        }
    }
}

/// Who may sign connectors off, by the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectorSigner {
    /// The identity whose key signs.
    pub id: SpiffeId,
    /// The person, however many identities she has.
    pub person: PersonId,
    /// For whom.
    pub role: SignOffRole,
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignOff {
    /// Who signs.
    pub iss: SpiffeId,
    /// The connector's name.
    pub connector: ConnectorId,
    /// Of the file's exact bytes.
    pub digest: Sha256Digest,
    /// For whom.
    pub role: SignOffRole,
    /// When, in seconds.
    pub iat: u64,
}

/// Why a connector is not signed off. A variant is a fact.
#[derive(Debug, thiserror::Error)]
pub enum SignOffError {
    /// Not a JWS of this type, or its signature is not by the key of its leaf.
    #[error("a sign-off is refused: {0}")]
    Jws(#[from] JwsError),
    /// The chain in `x5c` is not that of an identity that we trust.
    #[error("a sign-off's certificate chain is refused: {0}")]
    Svid(#[from] SvidError),
    /// `alg` is not the algorithm of the key in the leaf.
    #[error("a sign-off's algorithm is not that of the signer's key")]
    Algorithm,
    /// `iss` is not the identity in the leaf.
    #[error("a sign-off's issuer is not the identity that signed it")]
    Issuer,
    /// Signed later than now.
    #[error("a sign-off is dated in the future")]
    Future,
    /// For another connector.
    #[error("a sign-off is for the connector `{0}`")]
    Connector(ConnectorId),
    /// For other bytes.
    #[error("{role} signed another version of the file: sign this one", role = .0.as_str())]
    Digest(SignOffRole),
    /// Nobody of whom the configuration says that she may.
    #[error("`{id}` may not sign connectors off for {role}", role = .role.as_str())]
    Signer {
        /// Who signed.
        id: SpiffeId,
        /// For whom.
        role: SignOffRole,
    },
    /// A role has not signed.
    #[error("{role} has not signed it off", role = .0.as_str())]
    Missing(SignOffRole),
    /// Both roles were signed for by one person.
    #[error("security and legal were signed for by one person: two are needed")]
    OnePerson,
}

impl SignOffError {
    /// A stable code for records.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Jws(JwsError::Signature) => "sign_off_signature",
            Self::Jws(_) => "sign_off_malformed",
            Self::Svid(_) => "sign_off_chain",
            Self::Algorithm => "sign_off_algorithm",
            Self::Issuer => "sign_off_issuer",
            Self::Future => "sign_off_future",
            Self::Connector(_) => "sign_off_connector",
            Self::Digest(_) => "sign_off_digest",
            Self::Signer { .. } => "sign_off_signer",
            Self::Missing(_) => "sign_off_missing",
            Self::OnePerson => "sign_off_one_person",
        }
    }
}

impl From<SignedError> for SignOffError {
    fn from(error: SignedError) -> Self {
        match error {
            SignedError::Jws(error) => Self::Jws(error),
            SignedError::Svid(error) => Self::Svid(error),
            SignedError::Algorithm => Self::Algorithm,
        }
    }
}

impl SignOff {
    /// Signs with the key of the leaf of `chain`.
    ///
    /// # Errors
    /// When the signer cannot.
    pub fn sign(&self, signer: &dyn JwsSigner, chain: &[CertificateDer<'_>]) -> Result<String, JwsError> {
        signed::sign(self, TYP, signer, chain)
    }
}

/// A sign-off whose signature and chain were not checked.
#[derive(Debug, Clone)]
pub struct UnverifiedSignOff(UnverifiedSigned<SignOff>);

impl UnverifiedSignOff {
    /// Takes it apart.
    ///
    /// # Errors
    /// When it is not a JWS of this type.
    pub fn parse(jws: &str) -> Result<Self, SignOffError> {
        Ok(Self(UnverifiedSigned::parse(jws, TYP, MAX_SIGN_OFF_BYTES)?))
    }

    /// What it says, believed by nobody yet.
    pub fn unverified_claims(&self) -> &SignOff {
        self.0.unverified_claims()
    }

    /// Verifies chain, key and signature as of the time that it names.
    ///
    /// # Errors
    /// When its signer's own key does not stand behind it.
    pub fn verify(self, trust: &TrustBundles, now: Timestamp) -> Result<VerifiedSignOff, SignOffError> {
        let at = Timestamp::from_secs(self.0.unverified_claims().iat);
        if at > now.plus(LEEWAY) {
            return Err(SignOffError::Future);
        }
        let signed = self.0.verify(trust, at, &[])?;
        if signed.by != signed.claims.iss {
            return Err(SignOffError::Issuer);
        }
        Ok(VerifiedSignOff(signed.claims))
    }
}

/// A sign-off that its signer's own key stands behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedSignOff(SignOff);

impl VerifiedSignOff {
    /// What it says.
    pub fn claims(&self) -> &SignOff {
        &self.0
    }

    /// Whether it is for these bytes of this connector, by somebody who may sign for its role; her person.
    ///
    /// # Errors
    /// When it is not.
    pub fn person<'s>(
        &self,
        connector: &ConnectorId,
        digest: Sha256Digest,
        signers: &'s [ConnectorSigner],
    ) -> Result<&'s PersonId, SignOffError> {
        let SignOff { iss, connector: named, digest: signed, role, .. } = &self.0;
        if named != connector {
            return Err(SignOffError::Connector(named.clone()));
        }
        if *signed != digest {
            return Err(SignOffError::Digest(*role));
        }
        let signer = signers.iter().find(|signer| signer.id == *iss && signer.role == *role);
        signer.map(|signer| &signer.person).ok_or_else(|| SignOffError::Signer { id: iss.clone(), role: *role })
    }
}

/// Whether `sign_offs` are what a connector needs: each for these bytes by somebody who may, both roles, two people.
///
/// # Errors
/// The first thing that is missing or wrong.
pub fn signed_off(
    connector: &ConnectorId,
    digest: Sha256Digest,
    sign_offs: &[VerifiedSignOff],
    signers: &[ConnectorSigner],
) -> Result<(), SignOffError> {
    let people = |role| -> Result<BTreeSet<&PersonId>, SignOffError> {
        let of_role = sign_offs.iter().filter(|sign_off| sign_off.claims().role == role);
        of_role.map(|sign_off| sign_off.person(connector, digest, signers)).collect()
    };
    let (security, legal) = (people(SignOffRole::Security)?, people(SignOffRole::Legal)?);
    for (role, people) in [(SignOffRole::Security, &security), (SignOffRole::Legal, &legal)] {
        if people.is_empty() {
            return Err(SignOffError::Missing(role));
        }
    }
    let two = security.iter().any(|person| legal.iter().any(|other| other != person));
    if two { Ok(()) } else { Err(SignOffError::OnePerson) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(byte: u8) -> Sha256Digest {
        Sha256Digest::of(&[byte])
    }

    fn signer(name: &str, person: &str, role: SignOffRole) -> ConnectorSigner {
        ConnectorSigner { id: id(name), person: person.parse().unwrap(), role }
    }

    fn id(name: &str) -> SpiffeId {
        format!("spiffe://atb.dev/approver/{name}").parse().unwrap()
    }

    fn by(name: &str, role: SignOffRole) -> VerifiedSignOff {
        let connector = "erp".parse().unwrap();
        VerifiedSignOff(SignOff { iss: id(name), connector, digest: digest(1), role, iat: 1 })
    }

    fn signers() -> Vec<ConnectorSigner> {
        use SignOffRole::{Legal, Security};
        vec![signer("alice", "alice", Security), signer("erin", "erin", Legal), signer("erin-mobile", "erin", Security)]
    }

    fn judged(sign_offs: &[VerifiedSignOff]) -> Result<(), &'static str> {
        signed_off(&"erp".parse().unwrap(), digest(1), sign_offs, &signers()).map_err(|error| error.code())
    }

    #[test]
    fn security_and_legal_by_two_people_sign_a_connector_off() {
        use SignOffRole::{Legal, Security};
        assert_eq!(judged(&[by("alice", Security), by("erin", Legal)]), Ok(()));
        assert_eq!(judged(&[by("erin-mobile", Security), by("erin", Legal), by("alice", Security)]), Ok(()));
    }

    #[test]
    fn one_person_with_two_identities_is_one_person() {
        use SignOffRole::{Legal, Security};
        assert_eq!(judged(&[by("erin-mobile", Security), by("erin", Legal)]), Err("sign_off_one_person"));
    }

    #[test]
    fn a_missing_role_a_stranger_and_somebody_for_another_role_do_not_count() {
        use SignOffRole::{Legal, Security};
        assert_eq!(judged(&[]), Err("sign_off_missing"));
        assert_eq!(judged(&[by("alice", Security)]), Err("sign_off_missing"));
        assert_eq!(judged(&[by("alice", Security), by("mallory", Legal)]), Err("sign_off_signer"));
        assert_eq!(judged(&[by("alice", Security), by("alice", Legal)]), Err("sign_off_signer"));
    }

    #[test]
    fn a_sign_off_is_for_one_connector_and_its_exact_bytes() {
        let both = [by("alice", SignOffRole::Security), by("erin", SignOffRole::Legal)];
        let of = |name: &str, byte| {
            signed_off(&name.parse().unwrap(), digest(byte), &both, &signers()).map_err(|error| error.code())
        };
        assert_eq!(of("erp", 1), Ok(()));
        assert_eq!(of("erp", 2), Err("sign_off_digest"));
        assert_eq!(of("crm", 1), Err("sign_off_connector"));
    }
}
