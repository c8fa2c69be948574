//! The rules on one certificate (SPIFFE X.509-SVID §4, RFC 5280 §4).
//!
//! x509-parser reads, this file judges: the parser accepts two URI names and hands back trailing bytes, and webpki
//! looks neither at key usages nor at the strength of a leaf's key. Signatures, path lengths and name constraints are
//! not checked here but by webpki in [`super::bundle`].

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, KeyUsage, ParsedExtension};
use x509_parser::oid_registry::{
    OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA,
    OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ED25519,
};
use x509_parser::parse_x509_certificate;
use x509_parser::x509::X509Version;

use super::svid::MAX_CERTIFICATE_BYTES;
use super::{SpiffeId, SvidError, SvidKey, TrustDomain};
use crate::domain::id::Sha256Digest;
use crate::domain::time::Timestamp;

/// What a leaf says, after its rules were checked.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub(super) id: SpiffeId,
    pub(super) key: SvidKey,
    pub(super) validity: Validity,
    pub(super) server_auth: bool,
    pub(super) client_auth: bool,
}

/// From the first to the last valid instant, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

impl Validity {
    /// When both hold.
    pub(super) fn and(self, other: Self) -> Self {
        Self { not_before: self.not_before.max(other.not_before), not_after: self.not_after.min(other.not_after) }
    }

    pub(super) fn contains(self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

/// SPIFFE X.509-SVID §4.1 (leaf), §4.3, §4.4.
pub(super) fn check_leaf(der: &CertificateDer<'_>) -> Result<Leaf, SvidError> {
    let certificate = parse(der)?;
    let extensions = Extensions::of(&certificate)?;
    if extensions.is_ca {
        return Err(SvidError::LeafIsCa);
    }
    let usage = extensions.key_usage.ok_or(SvidError::NoKeyUsage)?;
    if usage.key_cert_sign() || usage.crl_sign() {
        return Err(SvidError::LeafMaySignCertificates);
    }
    if !usage.digital_signature() {
        return Err(SvidError::NoDigitalSignature);
    }
    let id = match extensions.uris.as_slice() {
        [] => return Err(SvidError::NoUriName),
        [uri] => uri.parse().map_err(SvidError::SpiffeId)?,
        _ => return Err(SvidError::SeveralUriNames),
    };
    let (server_auth, client_auth) = extensions.server_and_client_auth;
    Ok(Leaf { id, key: key_of(&certificate)?, validity: validity_of(&certificate), server_auth, client_auth })
}

/// SHA-256 over the DER of the SubjectPublicKeyInfo (RFC 5280 §4.1): names the key, not one certificate of it.
pub(super) fn key_digest(der: &CertificateDer<'_>) -> Result<Sha256Digest, SvidError> {
    Ok(Sha256Digest::of(parse(der)?.public_key().raw))
}

/// SPIFFE X.509-SVID §4.1 (signing certificates), §4.3: intermediates, and the authorities of a bundle.
pub(super) fn check_authority(der: &CertificateDer<'_>, domain: &TrustDomain) -> Result<Validity, SvidError> {
    let certificate = parse(der)?;
    let extensions = Extensions::of(&certificate)?;
    if !extensions.is_ca {
        return Err(SvidError::AuthorityNotCa);
    }
    if !extensions.key_usage.is_some_and(KeyUsage::key_cert_sign) {
        return Err(SvidError::AuthorityKeyUsage);
    }
    let own_domain = |uri: &&str| uri.strip_prefix("spiffe://") == Some(domain.as_str());
    if !(extensions.uris.len() <= 1 && extensions.uris.iter().all(own_domain)) {
        return Err(SvidError::AuthoritySpiffeId);
    }
    key_of(&certificate)?;
    Ok(validity_of(&certificate))
}

/// One certificate, whole, of version 3, signed with something that we accept.
fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, SvidError> {
    if der.len() > MAX_CERTIFICATE_BYTES {
        return Err(SvidError::CertificateTooLarge);
    }
    let (rest, certificate) = parse_x509_certificate(der).map_err(|_| SvidError::Malformed)?;
    if !rest.is_empty() {
        return Err(SvidError::TrailingBytes);
    }
    if certificate.version() != X509Version::V3 {
        return Err(SvidError::NotVersion3);
    }
    let algorithm = &certificate.signature_algorithm.algorithm;
    let allowed = [
        OID_SIG_ECDSA_WITH_SHA256,
        OID_SIG_ECDSA_WITH_SHA384,
        OID_SIG_ED25519,
        OID_PKCS1_SHA256WITHRSA,
        OID_PKCS1_SHA384WITHRSA,
        OID_PKCS1_SHA512WITHRSA,
        OID_PKCS1_RSASSAPSS, // its hash is a parameter: webpki accepts SHA-256 and better only
    ];
    if !allowed.contains(algorithm) {
        return Err(SvidError::SignatureNotAllowed);
    }
    Ok(certificate)
}

fn key_of(certificate: &X509Certificate<'_>) -> Result<SvidKey, SvidError> {
    SvidKey::of(certificate.public_key()).ok_or(SvidError::KeyNotAllowed)
}

fn validity_of(certificate: &X509Certificate<'_>) -> Validity {
    let instant = |seconds: i64| Timestamp::from_secs(u64::try_from(seconds).unwrap_or(0));
    let validity = certificate.validity();
    Validity {
        not_before: instant(validity.not_before.timestamp()),
        not_after: instant(validity.not_after.timestamp()),
    }
}

/// The extensions that the rules look at.
struct Extensions<'c> {
    is_ca: bool,
    key_usage: Option<&'c KeyUsage>,
    /// What the extended key usage allows; both when there is none.
    server_and_client_auth: (bool, bool),
    uris: Vec<&'c str>,
}

impl<'c> Extensions<'c> {
    /// Reads them; refuses doubles, unreadable ones and critical ones that neither we nor webpki process.
    fn of(certificate: &'c X509Certificate<'_>) -> Result<Self, SvidError> {
        certificate.extensions_map().map_err(|_| SvidError::DuplicateExtension)?;
        let mut read = Self { is_ca: false, key_usage: None, server_and_client_auth: (true, true), uris: Vec::new() };
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::ParseError { .. } => return Err(SvidError::Malformed),
                ParsedExtension::BasicConstraints(constraints) => read.is_ca = constraints.ca,
                ParsedExtension::KeyUsage(usage) => read.key_usage = Some(usage),
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    read.server_and_client_auth = (usage.server_auth, usage.client_auth);
                }
                ParsedExtension::SubjectAlternativeName(names) => {
                    for name in &names.general_names {
                        match name {
                            GeneralName::URI(uri) => read.uris.push(uri),
                            GeneralName::Invalid(..) => return Err(SvidError::Malformed),
                            _ => {}
                        }
                    }
                }
                ParsedExtension::NameConstraints(_) => {}
                _ if extension.critical => return Err(SvidError::UnknownCriticalExtension),
                _ => {}
            }
        }
        Ok(read)
    }
}
