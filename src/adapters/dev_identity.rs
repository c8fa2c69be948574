//! A certificate authority for development and tests: makes X.509-SVIDs that production's rules accept.
//!
//! Not for production, where SVIDs come from SPIRE or another issuer: nothing here attests a workload, renews or
//! revokes.

use std::time::Duration;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::domain::spiffe::{DEVELOPMENT_ORGANIZATION, SpiffeId, TrustDomain};
use crate::domain::time::Timestamp;

/// Everything is valid from a minute before it was made, for machines whose clocks differ a little.
const BACKDATED: Duration = Duration::from_secs(60);
/// How long the authority is valid.
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// The kinds of key that also sign statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256, `ES256`.
    P256,
    /// `EdDSA`.
    Ed25519,
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum DevIdentityError {
    /// The authority speaks for its own trust domain only.
    #[error("`{id}` is not in the trust domain `{domain}`")]
    ForeignDomain {
        /// Asked for.
        id: SpiffeId,
        /// The authority's.
        domain: TrustDomain,
    },
    /// The certificate could not be made.
    #[error("the certificate could not be made")]
    Certificate(#[from] rcgen::Error),
    /// The operating system gave no random bytes.
    #[error("no random bytes")]
    Entropy,
    /// The key could not be written as PKCS#8.
    #[error("the key could not be encoded")]
    Encoding,
}

/// The authority of one trust domain.
pub struct DevCa {
    domain: TrustDomain,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// An SVID with its key.
pub struct IssuedSvid {
    /// The chain, leaf first.
    pub svid_pem: String,
    /// The key, PKCS#8.
    pub key_pem: Zeroizing<String>,
}

impl DevCa {
    /// A new authority, valid for a year from `now`.
    ///
    /// # Errors
    /// When the key or the certificate cannot be made.
    pub fn create(domain: TrustDomain, now: Timestamp) -> Result<Self, DevIdentityError> {
        let mut params = params("development authority", now, AUTHORITY_LIFETIME);
        params.subject_alt_names = vec![uri(&format!("spiffe://{domain}"))?];
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)?;
        Ok(Self { domain, issuer })
    }

    /// The trust bundle: the authority's certificate.
    pub fn bundle_pem(&self) -> String {
        self.issuer.pem()
    }

    /// The authority's own key, PKCS#8.
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }

    /// An SVID for `id` with a new key, good for both ends of a connection, valid for `lifetime` from `now`.
    ///
    /// # Errors
    /// When `id` is of another trust domain, or the key or the certificate cannot be made.
    pub fn issue(
        &self,
        id: &SpiffeId,
        kind: KeyKind,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<IssuedSvid, DevIdentityError> {
        if id.trust_domain() != self.domain {
            return Err(DevIdentityError::ForeignDomain { id: id.clone(), domain: self.domain.clone() });
        }
        let key = KeyPair::generate_for(match kind {
            KeyKind::P256 => &PKCS_ECDSA_P256_SHA256,
            KeyKind::Ed25519 => &PKCS_ED25519,
        })?;
        let mut params = params("development SVID", now, lifetime);
        params.subject_alt_names = vec![uri(id.as_str())?];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let svid_pem = params.signed_by(&key, &self.issuer)?.pem();
        let key_pem = match kind {
            KeyKind::P256 => Zeroizing::new(key.serialize_pem()),
            KeyKind::Ed25519 => {
                ed25519_pem(&SigningKey::from_pkcs8_der(key.serialized_der()).map_err(|_| DevIdentityError::Encoding)?)?
            }
        };
        Ok(IssuedSvid { svid_pem, key_pem })
    }
}

fn uri(text: &str) -> Result<SanType, DevIdentityError> {
    Ok(SanType::URI(Ia5String::try_from(text)?))
}

fn params(name: &str, now: Timestamp, lifetime: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, DEVELOPMENT_ORGANIZATION);
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date(now.minus(BACKDATED));
    params.not_after = date(now.plus(lifetime));
    params
}

fn date(instant: Timestamp) -> OffsetDateTime {
    // `Timestamp` ends with the year 9999, which is what `OffsetDateTime` can hold
    i64::try_from(instant.as_secs())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A new Ed25519 key for mandates or for the ledger, PKCS#8 in PEM.
///
/// # Errors
/// When there are no random bytes.
pub fn new_signing_key_pem() -> Result<Zeroizing<String>, DevIdentityError> {
    let mut seed = Zeroizing::new([0_u8; 32]);
    aws_lc_rs::rand::fill(seed.as_mut_slice()).map_err(|_| DevIdentityError::Entropy)?;
    ed25519_pem(&SigningKey::from_bytes(&seed))
}

/// The key as PKCS#8 without its public half (RFC 8410 §7): OpenSSL 3.0, and so curl on many machines, reads no other.
fn ed25519_pem(key: &SigningKey) -> Result<Zeroizing<String>, DevIdentityError> {
    KeypairBytes { secret_key: key.to_bytes(), public_key: None }
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|_| DevIdentityError::Encoding)
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    use super::*;
    use crate::domain::spiffe::{Purpose, SvidKey, TrustBundle, TrustBundles, UnverifiedSvid};

    fn now() -> Timestamp {
        Timestamp::parse_rfc3339("2026-12-01T00:00:00Z").unwrap()
    }

    fn ca() -> DevCa {
        DevCa::create("atb.dev".parse().unwrap(), now()).unwrap()
    }

    #[test]
    fn what_it_issues_passes_productions_rules_for_every_purpose() {
        let ca = ca();
        let bundle = TrustBundle::parse_pem("atb.dev".parse().unwrap(), ca.bundle_pem().as_bytes()).unwrap();
        let bundles = TrustBundles::from(bundle);
        let id: SpiffeId = "spiffe://atb.dev/approver/alice".parse().unwrap();
        for kind in [KeyKind::P256, KeyKind::Ed25519] {
            let issued = ca.issue(&id, kind, now(), Duration::from_secs(3600)).unwrap();
            let leaf = CertificateDer::from_pem_slice(issued.svid_pem.as_bytes()).unwrap();
            for purpose in [Purpose::Client, Purpose::Server, Purpose::Signer] {
                let svid = UnverifiedSvid::parse(std::slice::from_ref(&leaf)).unwrap();
                let svid = bundles.verify(svid, purpose, now()).unwrap();
                assert_eq!(svid.id(), &id);
                assert_eq!(svid.expires_at(), now().plus(Duration::from_secs(3600)));
            }
        }
    }

    #[test]
    fn an_ed25519_key_is_written_in_the_form_that_openssl_3_0_reads() {
        let id = "spiffe://atb.dev/approver/carol".parse().unwrap();
        let issued = ca().issue(&id, KeyKind::Ed25519, now(), Duration::from_secs(60)).unwrap();
        for pem in [issued.key_pem, new_signing_key_pem().unwrap()] {
            let der = rustls::pki_types::PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
            let der = der.secret_pkcs8_der();
            // SEQUENCE of 46 bytes, version 0: no public key behind the private one.
            assert_eq!((der.len(), &der[..5]), (48, &[0x30, 0x2e, 0x02, 0x01, 0x00][..]));
        }
    }

    #[test]
    fn an_ed25519_svids_key_signs_statements_that_its_svid_verifies() {
        let id = "spiffe://atb.dev/approver/carol".parse().unwrap();
        let issued = ca().issue(&id, KeyKind::Ed25519, now(), Duration::from_secs(60)).unwrap();
        let key = SigningKey::from_pkcs8_pem(&issued.key_pem).unwrap();
        let leaf = CertificateDer::from_pem_slice(issued.svid_pem.as_bytes()).unwrap();
        let svid = UnverifiedSvid::parse(&[leaf]).unwrap();
        assert_eq!(svid.claimed_key(), &SvidKey::Ed25519(key.verifying_key()));
    }

    #[test]
    fn it_does_not_speak_for_another_trust_domain() {
        let id = "spiffe://partner.example/agent/x".parse().unwrap();
        let refused = ca().issue(&id, KeyKind::P256, now(), Duration::from_secs(60));
        assert!(matches!(refused, Err(DevIdentityError::ForeignDomain { .. })));
    }

    #[test]
    fn two_signing_keys_differ_and_can_be_read_back() {
        let (one, two) = (new_signing_key_pem().unwrap(), new_signing_key_pem().unwrap());
        assert_ne!(*one, *two);
        assert!(SigningKey::from_pkcs8_pem(&one).is_ok());
    }
}
