//! rustls, told to believe SVIDs and nothing else (SPIFFE X.509-SVID §5, TLS 1.3 and 1.2).
//!
//! Both verifiers hand the chain to [`TrustBundles`]; host names mean nothing. Trust bundles and our own SVID are read
//! at every handshake, so that a rotation needs no restart; [`super::identity`] keeps both fresh.
//!
//! INVARIANT: no session is ever resumed. A resumed session never asks for the client's certificate, so an expired or
//! removed identity would live on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, OtherError, ServerConfig, SignatureScheme,
};

use super::pem::{self, KeyPermissions, PemFileError};
use crate::domain::spiffe::{Purpose, SpiffeId, SvidError, TrustBundles, UnverifiedSvid, VerifiedSvid};
use crate::domain::time::Timestamp;
use crate::service::ports::Clock;

/// The trust bundles in force; replaced as a whole.
pub type SharedTrust = Arc<ArcSwap<TrustBundles>>;

/// The one cryptographic provider.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Why we have no identity of our own.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file could not be used.
    #[error(transparent)]
    File(#[from] PemFileError),
    /// The SVID is not one, or our own trust bundle does not vouch for it.
    #[error("the SVID `{}` is refused", path.display())]
    Svid {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: SvidError,
    },
    /// The key is not that of the SVID, or of a kind that TLS cannot use.
    #[error("the key `{}` does not belong to the SVID `{}`", key.display(), svid.display())]
    Key {
        /// The key file.
        key: PathBuf,
        /// The SVID file.
        svid: PathBuf,
    },
}

/// Our own SVID with its key.
#[derive(Debug)]
pub struct Identity {
    svid: VerifiedSvid,
    certified: Arc<CertifiedKey>,
}

/// Why a chain and a key are no identity of ours.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotAnIdentity {
    /// Our own trust bundle does not vouch for the chain.
    #[error(transparent)]
    Svid(#[from] SvidError),
    /// The key is not that of the leaf, or of a kind that TLS cannot use.
    #[error("the key does not belong to the SVID")]
    Key,
}

impl Identity {
    /// Checks that peers who trust the same bundles will accept `chain` for `purpose`, and that `key` is the leaf's.
    ///
    /// # Errors
    /// When they would not, or it is not.
    pub fn verified(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        purpose: Purpose,
        trust: &TrustBundles,
        now: Timestamp,
    ) -> Result<Self, NotAnIdentity> {
        let svid = trust.verify(UnverifiedSvid::parse(&chain)?, purpose, now)?;
        // `from_der` checks that the key belongs to the first certificate.
        let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(|_| NotAnIdentity::Key)?;
        Ok(Self { svid, certified: Arc::new(certified) })
    }

    /// Who we are, and until when.
    pub fn svid(&self) -> &VerifiedSvid {
        &self.svid
    }
}

/// Our own SVID in two PEM files that something else keeps fresh.
#[derive(Debug, Clone)]
pub struct SvidFiles {
    /// The chain, leaf first.
    pub svid: PathBuf,
    /// Its key, PKCS#8.
    pub key: PathBuf,
    /// Who else may read the key.
    pub permissions: KeyPermissions,
    /// What the SVID is for.
    pub purpose: Purpose,
}

impl SvidFiles {
    /// Reads both files. A pair that is being replaced does not fit together and is refused, never used by half.
    ///
    /// # Errors
    /// When they are not an identity that peers would accept.
    pub fn read(&self, trust: &TrustBundles, now: Timestamp) -> Result<Identity, IdentityError> {
        let chain = pem::read_certificates(&self.svid)?;
        let key = pem::read_private_key(&self.key, self.permissions)?;
        Identity::verified(chain, key, self.purpose, trust, now).map_err(|error| match error {
            NotAnIdentity::Svid(source) => IdentityError::Svid { path: self.svid.clone(), source },
            NotAnIdentity::Key => IdentityError::Key { key: self.key.clone(), svid: self.svid.clone() },
        })
    }
}

/// The identity that handshakes use; replaced as a whole, so that each handshake has one chain and its key.
#[derive(Debug)]
pub struct SvidSource {
    current: ArcSwap<Identity>,
}

impl SvidSource {
    /// Handshakes use `identity` until it is replaced.
    pub fn holding(identity: Identity) -> Self {
        Self { current: ArcSwap::from_pointee(identity) }
    }

    /// Reads two files once and checks that peers who trust the same bundles will accept them for `purpose`.
    ///
    /// # Errors
    /// When they would not.
    pub fn load(
        svid: &Path,
        key: &Path,
        permissions: KeyPermissions,
        purpose: Purpose,
        trust: &TrustBundles,
        now: Timestamp,
    ) -> Result<Self, IdentityError> {
        let files = SvidFiles { svid: svid.to_owned(), key: key.to_owned(), permissions, purpose };
        files.read(trust, now).map(Self::holding)
    }

    /// Handshakes from now on use `identity`.
    pub fn replace(&self, identity: Identity) {
        self.current.store(Arc::new(identity));
    }

    /// The identity in use.
    pub fn current(&self) -> Arc<Identity> {
        self.current.load_full()
    }
}

impl ResolvesServerCert for SvidSource {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load().certified.clone())
    }
}

impl ResolvesClientCert for SvidSource {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load().certified.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// For our doors: the client must present an SVID of a trust domain in `trust`. Which identities may do what behind
/// the door is not decided here.
///
/// # Errors
/// When the provider cannot do TLS 1.2 and 1.3.
pub fn server_config(
    identity: Arc<SvidSource>,
    trust: SharedTrust,
    clock: Arc<dyn Clock>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let verifier = Arc::new(SvidVerifier::new(trust, clock, None));
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(identity);
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.require_ems = true;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// For calls of ours: the server must present the SVID of `expected`. Offers `http/1.1`; set `alpn_protocols` for more.
///
/// # Errors
/// When the provider cannot do TLS 1.2 and 1.3.
pub fn client_config(
    identity: Arc<SvidSource>,
    trust: SharedTrust,
    clock: Arc<dyn Clock>,
    expected: SpiffeId,
) -> Result<ClientConfig, rustls::Error> {
    let mut config = towards(expected, trust, clock, Some(identity))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// For SPIFFE bundle endpoints (SPIFFE Federation §5.2.2, `https_spiffe`): the server must present the SVID of
/// `expected`; we present none. ALPN is left to the client.
///
/// # Errors
/// When the provider cannot do TLS 1.2 and 1.3.
pub fn bundle_endpoint_config(
    trust: SharedTrust,
    clock: Arc<dyn Clock>,
    expected: SpiffeId,
) -> Result<ClientConfig, rustls::Error> {
    towards(expected, trust, clock, None)
}

fn towards(
    expected: SpiffeId,
    trust: SharedTrust,
    clock: Arc<dyn Clock>,
    identity: Option<Arc<SvidSource>>,
) -> Result<ClientConfig, rustls::Error> {
    let verifier = Arc::new(SvidVerifier::new(trust, clock, Some(expected)));
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(identity),
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    config.require_ems = true;
    Ok(config)
}

/// Both directions of rustls' question "is this certificate good?".
struct SvidVerifier {
    trust: SharedTrust,
    clock: Arc<dyn Clock>,
    /// The only server that will do; not used for clients.
    expected_server: Option<SpiffeId>,
    provider: Arc<CryptoProvider>,
}

impl SvidVerifier {
    fn new(trust: SharedTrust, clock: Arc<dyn Clock>, expected_server: Option<SpiffeId>) -> Self {
        Self { trust, clock, expected_server, provider: provider() }
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        purpose: Purpose,
    ) -> Result<VerifiedSvid, SvidError> {
        let chain: Vec<_> = std::iter::once(leaf).chain(intermediates).cloned().collect();
        verify_chain(&chain, &self.trust, purpose, self.clock.now())
    }
}

/// Verifies a chain against the bundles in force.
///
/// # Errors
/// As [`TrustBundles::verify`].
pub fn verify_chain(
    chain: &[CertificateDer<'_>],
    trust: &SharedTrust,
    purpose: Purpose,
    now: Timestamp,
) -> Result<VerifiedSvid, SvidError> {
    trust.load().verify(UnverifiedSvid::parse(chain)?, purpose, now)
}

impl std::fmt::Debug for SvidVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SvidVerifier").field("expected_server", &self.expected_server).finish_non_exhaustive()
    }
}

impl ClientCertVerifier for SvidVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[] // no hint: workloads have one SVID, and the names of our authorities are nobody's business
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.verify(leaf, intermediates, Purpose::Client).map_err(as_tls_error)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for SvidVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let svid = self.verify(leaf, intermediates, Purpose::Server).map_err(as_tls_error)?;
        if self.expected_server.as_ref() != Some(svid.id()) {
            return Err(other(WrongServer { found: svid.id().clone() }));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ClientCertVerifier::verify_tls12_signature(self, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ClientCertVerifier::verify_tls13_signature(self, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ClientCertVerifier::supported_verify_schemes(self)
    }
}

/// The server proved an identity, but not the one we called.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the server is `{found}`")]
pub struct WrongServer {
    /// Who answered.
    pub found: SpiffeId,
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
}

/// Keeps the fact for our own record; times go as rustls' own variants, so that the peer gets the alert for them.
fn as_tls_error(error: SvidError) -> rustls::Error {
    match error {
        SvidError::Expired(_) => rustls::Error::InvalidCertificate(CertificateError::Expired),
        SvidError::NotYetValid(_) => rustls::Error::InvalidCertificate(CertificateError::NotValidYet),
        error => other(error),
    }
}

/// Why a handshake failed, from a closed list: codes of [`SvidError`] and those below.
pub fn handshake_failure(error: &std::io::Error) -> &'static str {
    use rustls::Error as E;
    match error.get_ref().and_then(|inner| inner.downcast_ref::<E>()) {
        None => "tls_connection_lost",
        Some(E::NoCertificatesPresented) => SvidError::Missing.code(),
        Some(E::InvalidCertificate(CertificateError::Expired)) => "svid_expired",
        Some(E::InvalidCertificate(CertificateError::NotValidYet)) => "svid_not_yet_valid",
        Some(E::InvalidCertificate(CertificateError::Other(OtherError(inner)))) => {
            inner.downcast_ref::<SvidError>().map_or("tls_bad_certificate", SvidError::code)
        }
        Some(E::InvalidCertificate(_)) => "tls_bad_certificate",
        Some(E::AlertReceived(_)) => "tls_refused_by_peer",
        Some(E::PeerIncompatible(_)) => "tls_incompatible_peer",
        Some(_) => "tls_protocol_error",
    }
}
