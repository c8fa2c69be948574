//! Trust bundles, and the verification of SVIDs against them (SPIFFE Trust Domain and Bundle §4, X.509-SVID §5).
//!
//! An SVID is verified against the authorities of *its own* trust domain only, so that one domain cannot speak for
//! another. webpki builds and checks the path; the validity of the authorities, which webpki ignores, is checked here.
//! Nothing is remembered between two calls: an SVID that expired is refused however often it was accepted before.
//!
//! Revocation lists are not read: SVIDs are short-lived, and an identity is stopped by the policy's directories.

use std::collections::BTreeMap;
use std::time::Duration;

use rustls_pki_types::pem::{PemObject as _, SectionKind};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::aws_lc_rs as algorithms;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::x509::{self, Validity};
use super::{SvidError, TrustDomain, UnverifiedSvid, VerifiedSvid};
use crate::domain::id::Sha256Digest;
use crate::domain::time::Timestamp;

/// The largest bundle file.
const MAX_PEM_BYTES: usize = 512 * 1024;
/// The most authorities in one bundle; a rotation needs two, a large deployment a few more.
const MAX_AUTHORITIES: usize = 64;
/// How far the issuer's clock may be ahead of ours. There is no such allowance at the end of a validity.
const NOT_BEFORE_SKEW: Duration = Duration::from_secs(60);

/// SHA-256 or better on the curves and sizes that [`super::SvidKey`] allows.
static SIGNATURE_ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// What an SVID is about to be used for; its extended key usage, when there is one, must allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It opened a TLS connection to us.
    Client,
    /// It answers a TLS connection of ours.
    Server,
    /// Its key signed a statement; asks for the same usage as a client.
    Signer,
}

/// Every trust domain that we know, with its authorities.
#[derive(Debug, Clone, Default)]
pub struct TrustBundles {
    by_domain: BTreeMap<TrustDomain, TrustBundle>,
}

impl TrustBundles {
    /// These bundles; a later one of the same domain replaces an earlier one.
    pub fn new(bundles: impl IntoIterator<Item = TrustBundle>) -> Self {
        Self { by_domain: bundles.into_iter().map(|bundle| (bundle.domain.clone(), bundle)).collect() }
    }

    /// The bundle of one domain.
    pub fn bundle(&self, domain: &TrustDomain) -> Option<&TrustBundle> {
        self.by_domain.get(domain)
    }

    /// All bundles.
    pub fn iter(&self) -> impl Iterator<Item = &TrustBundle> {
        self.by_domain.values()
    }

    /// Whether who vouched for `svid` when it was verified is still trusted to. Not a verification: times and the rest
    /// of the chain are not looked at again.
    pub fn still_vouch_for(&self, svid: &VerifiedSvid) -> bool {
        let vouches = |bundle: &TrustBundle| bundle.has_authority(svid.authority());
        self.by_domain.get(svid.id().trust_domain_name()).is_some_and(vouches)
    }

    /// Says whether an authority of the SVID's own trust domain vouches for it at `now`.
    ///
    /// # Errors
    /// The fact that stands against it; validity is looked at before the path.
    pub fn verify(&self, svid: UnverifiedSvid, purpose: Purpose, now: Timestamp) -> Result<VerifiedSvid, SvidError> {
        let domain = svid.claimed_id().trust_domain();
        let bundle = self.by_domain.get(&domain).ok_or(SvidError::UnknownTrustDomain(domain))?;
        let allowed = match purpose {
            Purpose::Server => svid.leaf().server_auth,
            Purpose::Client | Purpose::Signer => svid.leaf().client_auth,
        };
        if !allowed {
            return Err(SvidError::ExtendedKeyUsage);
        }
        let Validity { not_before, not_after } = svid.validity();
        if now > not_after {
            return Err(SvidError::Expired(not_after));
        }
        if now.plus(NOT_BEFORE_SKEW) < not_before {
            return Err(SvidError::NotYetValid(not_before));
        }
        let (authority, not_after) = bundle.authority_of(&svid, purpose, now)?;
        Ok(svid.into_verified(authority, not_after))
    }
}

impl From<TrustBundle> for TrustBundles {
    fn from(bundle: TrustBundle) -> Self {
        Self::new([bundle])
    }
}

/// The organization in the subject of every certificate that `atb init` makes, so that production can tell.
pub const DEVELOPMENT_ORGANIZATION: &str = "ATB development, not for production";

/// The authorities that may issue X.509-SVIDs in one trust domain.
#[derive(Debug, Clone)]
pub struct TrustBundle {
    domain: TrustDomain,
    authorities: Vec<Authority>,
}

#[derive(Debug, Clone)]
struct Authority {
    der: CertificateDer<'static>,
    anchor: TrustAnchor<'static>,
    key: Sha256Digest,
    validity: Validity,
}

/// Why a bundle was refused, whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// More than 512 KiB.
    #[error("the bundle is larger than {MAX_PEM_BYTES} bytes")]
    TooLarge,
    /// Not PEM (RFC 7468).
    #[error("the bundle is not well-formed PEM")]
    Pem,
    /// A key, a request, or anything else that does not belong into a bundle.
    #[error("PEM block {0} of the bundle is not a certificate")]
    NotACertificate(usize),
    /// No authority.
    #[error("the bundle has no certificate")]
    Empty,
    /// More than 64 authorities.
    #[error("the bundle has more than {MAX_AUTHORITIES} certificates")]
    TooMany,
    /// One authority breaks a rule.
    #[error("certificate {position} of the bundle: {defect}")]
    Authority {
        /// Counted from 1.
        position: usize,
        /// What is wrong with it.
        #[source]
        defect: SvidError,
    },
}

impl BundleError {
    /// The stable name of this defect.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "bundle_too_large",
            Self::Pem => "bundle_pem",
            Self::NotACertificate(_) => "bundle_not_a_certificate",
            Self::Empty => "bundle_empty",
            Self::TooMany => "bundle_too_many",
            Self::Authority { defect, .. } => defect.code(),
        }
    }
}

impl TrustBundle {
    /// Reads a file of CERTIFICATE blocks; text between the blocks is ignored (RFC 7468 §2).
    ///
    /// # Errors
    /// When any block is not an authority of this trust domain. Validity is not looked at: it depends on the time.
    pub fn parse_pem(domain: TrustDomain, pem: &[u8]) -> Result<Self, BundleError> {
        if pem.len() > MAX_PEM_BYTES {
            return Err(BundleError::TooLarge);
        }
        let mut certificates = Vec::new();
        for (block, index) in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem).zip(1..) {
            match block.map_err(|_| BundleError::Pem)? {
                (SectionKind::Certificate, der) => certificates.push(CertificateDer::from(der)),
                _ => return Err(BundleError::NotACertificate(index)),
            }
        }
        Self::from_der(domain, &certificates)
    }

    /// The same from certificates, as the Workload API hands them out.
    ///
    /// # Errors
    /// As [`Self::parse_pem`].
    pub fn from_der(domain: TrustDomain, certificates: &[CertificateDer<'_>]) -> Result<Self, BundleError> {
        if certificates.is_empty() {
            return Err(BundleError::Empty);
        }
        if certificates.len() > MAX_AUTHORITIES {
            return Err(BundleError::TooMany);
        }
        let authority = |(position, der): (usize, &CertificateDer<'_>)| {
            Authority::read(der, &domain).map_err(|defect| BundleError::Authority { position, defect })
        };
        let authorities = (1..).zip(certificates).map(authority).collect::<Result<_, _>>()?;
        Ok(Self { domain, authorities })
    }

    /// The trust domain.
    pub fn domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// Whether an authority was made by `atb init`, whose key lies in a file beside it.
    pub fn is_for_development(&self) -> bool {
        let marker = DEVELOPMENT_ORGANIZATION.as_bytes();
        let marked = |authority: &Authority| authority.anchor.subject.windows(marker.len()).any(|part| part == marker);
        self.authorities.iter().any(marked)
    }

    /// Until when at least one authority is valid, or `None` when none is at `now`.
    pub fn valid_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.valid_at(now).map(|authority| authority.validity.not_after).max()
    }

    /// The authorities' certificates.
    pub fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.authorities.iter().map(|authority| &authority.der)
    }

    /// How many authorities there are.
    pub fn len(&self) -> usize {
        self.authorities.len()
    }

    /// Never: a bundle has an authority by construction.
    pub fn is_empty(&self) -> bool {
        self.authorities.is_empty()
    }

    /// Whether the authority with this key ([`VerifiedSvid::authority`]) is one of them.
    pub fn has_authority(&self, key: Sha256Digest) -> bool {
        self.authorities.iter().any(|authority| authority.key == key)
    }

    /// The same for the same authorities, in whatever order they come.
    pub fn fingerprint(&self) -> Sha256Digest {
        let line = |authority: &Authority| {
            let Validity { not_before, not_after } = authority.validity;
            format!("{} {} {}\n", authority.key, not_before.as_secs(), not_after.as_secs())
        };
        let mut lines: Vec<_> = self.authorities.iter().map(line).collect();
        lines.sort();
        lines.dedup();
        Sha256Digest::of(lines.concat().as_bytes())
    }

    fn valid_at(&self, now: Timestamp) -> impl Iterator<Item = &Authority> {
        self.authorities.iter().filter(move |authority| authority.validity.contains(now))
    }

    /// The key of the authority that the chain leads to, and the end of its validity.
    fn authority_of(
        &self,
        svid: &UnverifiedSvid,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<(Sha256Digest, Timestamp), SvidError> {
        let (leaf, intermediates) = svid.chain().split_first().ok_or(SvidError::Missing)?;
        let authorities: Vec<_> = self.valid_at(now).collect();
        if authorities.is_empty() {
            return Err(SvidError::AuthorityNotValid);
        }
        let anchors: Vec<_> = authorities.iter().map(|authority| authority.anchor.clone()).collect();
        let usage = match purpose {
            Purpose::Server => KeyUsage::server_auth(),
            Purpose::Client | Purpose::Signer => KeyUsage::client_auth(),
        };
        // webpki has one time for the whole path: within the skew it is told the instant at which the path begins.
        let at = UnixTime::since_unix_epoch(Duration::from_secs(now.max(svid.validity().not_before).as_secs()));
        let certificate = EndEntityCert::try_from(leaf).map_err(|error| fact(&error, svid))?;
        let path = certificate
            .verify_for_usage(SIGNATURE_ALGORITHMS, &anchors, intermediates, at, usage, None, None)
            .map_err(|error| fact(&error, svid))?;
        authorities
            .iter()
            .find(|authority| authority.anchor == *path.anchor())
            .map(|authority| (authority.key, authority.validity.not_after))
            .ok_or(SvidError::UnknownIssuer)
    }
}

impl Authority {
    fn read(der: &CertificateDer<'_>, domain: &TrustDomain) -> Result<Self, SvidError> {
        let validity = x509::check_authority(der, domain)?;
        let anchor = anchor_from_trusted_cert(der).map_err(|_| SvidError::Malformed)?.to_owned();
        Ok(Self { der: der.clone().into_owned(), anchor, key: x509::key_digest(der)?, validity })
    }
}

/// webpki's error as a fact about the SVID.
fn fact(error: &webpki::Error, svid: &UnverifiedSvid) -> SvidError {
    use webpki::Error as E;
    match error {
        E::UnknownIssuer => SvidError::UnknownIssuer,
        E::InvalidSignatureForPublicKey => SvidError::BadSignature,
        E::CertExpired { .. } => SvidError::Expired(svid.validity().not_after),
        E::CertNotValidYet { .. } => SvidError::NotYetValid(svid.validity().not_before),
        E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => SvidError::ExtendedKeyUsage,
        E::UnsupportedCriticalExtension => SvidError::UnknownCriticalExtension,
        E::UnsupportedSignatureAlgorithmContext(_)
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | E::SignatureAlgorithmMismatch => SvidError::SignatureNotAllowed,
        E::NameConstraintViolation
        | E::PathLenConstraintViolated
        | E::MaximumPathDepthExceeded
        | E::MaximumPathBuildCallsExceeded
        | E::MaximumSignatureChecksExceeded
        | E::MaximumNameConstraintComparisonsExceeded => SvidError::PathConstraint,
        _ => SvidError::Malformed,
    }
}
