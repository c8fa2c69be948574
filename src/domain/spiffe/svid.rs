//! X.509-SVIDs, before and after verification (SPIFFE X.509-SVID §2 to §5).
//!
//! [`UnverifiedSvid::parse`] checks everything that a chain says about itself; only [`super::TrustBundles::verify`]
//! says that somebody we trust issued it, and turns it into a [`VerifiedSvid`]. A JWT-SVID ([`super::UnverifiedJwtSvid`])
//! becomes the same type, so that identity has one form wherever it is asked for.
//!
//! INVARIANT: a `VerifiedSvid` was valid at the instant that `verify` was given. It does not stay valid: who keeps one
//! asks [`VerifiedSvid::expires_at`] again before relying on it.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;

use super::x509::{self, Leaf, Validity};
use super::{SpiffeId, SpiffeIdError, SvidKey, TrustDomain};
use crate::domain::id::Sha256Digest;
use crate::domain::platform::PlatformIdentity;
use crate::domain::time::Timestamp;

/// Leaf and at most three intermediates.
const MAX_CHAIN: usize = 4;
/// The largest certificate that we look at.
pub(super) const MAX_CERTIFICATE_BYTES: usize = 8 * 1024;

/// A chain whose form is that of an X.509-SVID. Nobody has vouched for it.
#[derive(Debug, Clone)]
pub struct UnverifiedSvid {
    chain: Vec<CertificateDer<'static>>,
    leaf: Leaf,
    /// When every certificate of the chain is valid.
    validity: Validity,
}

impl UnverifiedSvid {
    /// Reads a chain, leaf first, and checks the SPIFFE rules on each certificate.
    ///
    /// # Errors
    /// The first defect found, in the order leaf, intermediates.
    pub fn parse(chain_der: &[CertificateDer<'_>]) -> Result<Self, SvidError> {
        let (leaf_der, intermediates) = chain_der.split_first().ok_or(SvidError::Missing)?;
        if chain_der.len() > MAX_CHAIN {
            return Err(SvidError::ChainTooLong);
        }
        let leaf = x509::check_leaf(leaf_der)?;
        let mut validity = leaf.validity;
        let domain = leaf.id.trust_domain();
        for intermediate in intermediates {
            validity = validity.and(x509::check_authority(intermediate, &domain)?);
        }
        Ok(Self { chain: chain_der.iter().map(|der| der.clone().into_owned()).collect(), leaf, validity })
    }

    /// Whom the leaf claims to be. Believe it only after verification; until then it chooses the bundle.
    pub fn claimed_id(&self) -> &SpiffeId {
        &self.leaf.id
    }

    /// When the whole chain claims to be valid.
    pub fn claimed_validity(&self) -> (Timestamp, Timestamp) {
        (self.validity.not_before, self.validity.not_after)
    }

    /// The key in the leaf.
    pub fn claimed_key(&self) -> &SvidKey {
        &self.leaf.key
    }

    pub(super) fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    pub(super) fn validity(&self) -> Validity {
        self.validity
    }

    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The one way to a `VerifiedSvid`, for `TrustBundles::verify`.
    pub(super) fn into_verified(self, authority: Sha256Digest, authority_not_after: Timestamp) -> VerifiedSvid {
        VerifiedSvid {
            authority,
            not_before: self.validity.not_before,
            expires_at: self.validity.not_after.min(authority_not_after),
            own_validity: self.leaf.validity,
            id: self.leaf.id,
            key: self.leaf.key,
            chain: self.chain,
            presented_by: None,
            platform: None,
        }
    }
}

/// The proof of an identity: a chain that led to an authority of its own trust domain, or a token that one signed.
#[derive(Debug, Clone)]
pub struct VerifiedSvid {
    /// Empty for a JWT-SVID.
    chain: Vec<CertificateDer<'static>>,
    id: SpiffeId,
    key: SvidKey,
    own_validity: Validity,
    authority: Sha256Digest,
    not_before: Timestamp,
    expires_at: Timestamp,
    presented_by: Option<Arc<SpiffeId>>,
    platform: Option<Arc<PlatformIdentity>>,
}

impl VerifiedSvid {
    /// For `UnverifiedJwtSvid::verify`: an identity that a token proved and no certificate.
    pub(super) fn of_jwt(id: SpiffeId, authority: Sha256Digest, issued_at: Timestamp, expires_at: Timestamp) -> Self {
        Self {
            chain: Vec::new(),
            id,
            key: SvidKey::Other("none: the identity was proven by a JWT-SVID"),
            own_validity: Validity { not_before: issued_at, not_after: expires_at },
            authority,
            not_before: issued_at,
            expires_at,
            presented_by: None,
            platform: None,
        }
    }

    /// Who this is.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// The same identity, whose token came over the connection of `proxy`.
    #[must_use]
    pub fn presented_by(mut self, proxy: SpiffeId) -> Self {
        self.presented_by = Some(Arc::new(proxy));
        self
    }

    /// The proxy that handed a JWT-SVID in. It is believed that the token is genuine, not that the workload sent it.
    pub fn presenter(&self) -> Option<&SpiffeId> {
        self.presented_by.as_deref()
    }

    /// The same identity, for which its platform vouches too.
    #[must_use]
    pub fn vouched_for(mut self, platform: Arc<PlatformIdentity>) -> Self {
        self.platform = Some(platform);
        self
    }

    /// Whom the platform says that this is, where a token of it came along and was verified.
    pub fn platform(&self) -> Option<&Arc<PlatformIdentity>> {
        self.platform.as_ref()
    }

    /// The last instant at which leaf, intermediates and authority are all valid.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The first instant at which leaf and intermediates are all valid.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// The authority that the chain led to or that signed the token: SHA-256 over the DER of its SubjectPublicKeyInfo.
    pub fn authority(&self) -> Sha256Digest {
        self.authority
    }

    /// From when to when the leaf or the token alone is valid: the lifetime that the platform gave this identity.
    pub fn own_validity(&self) -> (Timestamp, Timestamp) {
        (self.own_validity.not_before, self.own_validity.not_after)
    }

    /// The key that the identity proves possession of; a JWT-SVID has none, which signs no statement.
    pub fn key(&self) -> &SvidKey {
        &self.key
    }

    /// The leaf certificate; empty for a JWT-SVID.
    pub fn leaf_der(&self) -> &CertificateDer<'static> {
        self.chain.first().unwrap_or(&EMPTY)
    }

    /// The chain as presented, leaf first; empty for a JWT-SVID.
    pub fn chain_der(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }
}

static EMPTY: CertificateDer<'static> = CertificateDer::from_slice(&[]);

/// What is wrong with an SVID; one fact a variant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SvidError {
    /// No certificate at all.
    #[error("no certificate was presented")]
    Missing,
    /// More than four certificates.
    #[error("the chain has more than {MAX_CHAIN} certificates")]
    ChainTooLong,
    /// More than 8 KiB.
    #[error("a certificate is larger than {MAX_CERTIFICATE_BYTES} bytes")]
    CertificateTooLarge,
    /// Not DER, not X.509, or an extension that cannot be read.
    #[error("a certificate is not well-formed X.509")]
    Malformed,
    /// Something follows the certificate.
    #[error("a certificate is followed by other bytes")]
    TrailingBytes,
    /// X.509 version 1 or 2.
    #[error("a certificate is not of X.509 version 3")]
    NotVersion3,
    /// A critical extension that we do not process.
    #[error("a certificate has an unknown critical extension")]
    UnknownCriticalExtension,
    /// The same extension twice.
    #[error("a certificate has the same extension twice")]
    DuplicateExtension,
    /// A key that is not P-256, P-384, Ed25519 or RSA of 2048 to 8192 bits.
    #[error("a key is of a type or size that is not allowed")]
    KeyNotAllowed,
    /// A signature by something weaker than SHA-256, or of an unknown kind.
    #[error("a certificate is signed with an algorithm that is not allowed")]
    SignatureNotAllowed,
    /// The leaf names no URI.
    #[error("the leaf has no URI name")]
    NoUriName,
    /// The leaf names more than one URI.
    #[error("the leaf has more than one URI name")]
    SeveralUriNames,
    /// The leaf's URI is not a workload's SPIFFE ID.
    #[error("the leaf's URI name is not a SPIFFE ID: {0}")]
    SpiffeId(#[source] SpiffeIdError),
    /// The leaf is a CA.
    #[error("the leaf is a CA certificate")]
    LeafIsCa,
    /// The leaf does not limit its key.
    #[error("the leaf has no key usage")]
    NoKeyUsage,
    /// The leaf's key may not make signatures.
    #[error("the leaf's key usage lacks digitalSignature")]
    NoDigitalSignature,
    /// The leaf's key may sign certificates or revocation lists.
    #[error("the leaf's key usage has keyCertSign or cRLSign")]
    LeafMaySignCertificates,
    /// Extended key usages are listed and the one needed is not among them.
    #[error("the leaf's extended key usage does not allow this use")]
    ExtendedKeyUsage,
    /// A certificate that should sign others is not a CA.
    #[error("an issuing certificate is not a CA")]
    AuthorityNotCa,
    /// A CA whose key may not sign certificates.
    #[error("an issuing certificate's key usage lacks keyCertSign")]
    AuthorityKeyUsage,
    /// A CA whose URI name is not that of its trust domain alone.
    #[error("an issuing certificate's URI name is not its trust domain's")]
    AuthoritySpiffeId,
    /// There is no bundle for the trust domain.
    #[error("the trust domain `{0}` is not trusted here")]
    UnknownTrustDomain(TrustDomain),
    /// The chain leads to no authority of its trust domain.
    #[error("no authority of the trust domain issued it")]
    UnknownIssuer,
    /// A signature in the chain is wrong.
    #[error("a signature in the chain does not verify")]
    BadSignature,
    /// A path length, a name constraint or another rule on paths is broken.
    #[error("the chain breaks a constraint of one of its issuers")]
    PathConstraint,
    /// Leaf or intermediate is not valid yet.
    #[error("it is not valid before {0}")]
    NotYetValid(Timestamp),
    /// Leaf or intermediate is not valid any more.
    #[error("it expired at {0}")]
    Expired(Timestamp),
    /// Every authority of the trust domain is outside its own validity.
    #[error("the trust domain's authorities are not valid at this time")]
    AuthorityNotValid,
}

impl SvidError {
    /// The stable name of this defect, for records, metrics and problem documents.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "svid_missing",
            Self::ChainTooLong => "svid_chain_too_long",
            Self::CertificateTooLarge => "svid_certificate_too_large",
            Self::Malformed => "svid_malformed",
            Self::TrailingBytes => "svid_trailing_bytes",
            Self::NotVersion3 => "svid_not_version_3",
            Self::UnknownCriticalExtension => "svid_unknown_critical_extension",
            Self::DuplicateExtension => "svid_duplicate_extension",
            Self::KeyNotAllowed => "svid_key_not_allowed",
            Self::SignatureNotAllowed => "svid_signature_not_allowed",
            Self::NoUriName => "svid_no_uri_name",
            Self::SeveralUriNames => "svid_several_uri_names",
            Self::SpiffeId(_) => "svid_spiffe_id_invalid",
            Self::LeafIsCa => "svid_leaf_is_ca",
            Self::NoKeyUsage => "svid_no_key_usage",
            Self::NoDigitalSignature => "svid_no_digital_signature",
            Self::LeafMaySignCertificates => "svid_leaf_may_sign_certificates",
            Self::ExtendedKeyUsage => "svid_extended_key_usage",
            Self::AuthorityNotCa => "svid_authority_not_ca",
            Self::AuthorityKeyUsage => "svid_authority_key_usage",
            Self::AuthoritySpiffeId => "svid_authority_spiffe_id",
            Self::UnknownTrustDomain(_) => "svid_unknown_trust_domain",
            Self::UnknownIssuer => "svid_unknown_issuer",
            Self::BadSignature => "svid_bad_signature",
            Self::PathConstraint => "svid_path_constraint",
            Self::NotYetValid(_) => "svid_not_yet_valid",
            Self::Expired(_) => "svid_expired",
            Self::AuthorityNotValid => "svid_authority_not_valid",
        }
    }
}

#[cfg(test)]
mod tests;
