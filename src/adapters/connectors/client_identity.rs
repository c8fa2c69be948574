//! TLS towards an upstream: whom it must be, and who we are there.
//!
//! An upstream that is a workload of the trust domain is known by its SPIFFE ID alone; then we show our own SVID, and host
//! names mean nothing. Any other is known by its name and the roots of its connector. Our SVID is read at every
//! handshake, so that its rotation needs no reload.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::config::Connector;
use super::upstream::PoolError;
use crate::adapters::outgoing::{self, RootsError};
use crate::adapters::pem::{self, KeyPermissions};
use crate::adapters::tls::{SharedTrust, SvidSource, client_config, provider};
use crate::domain::spiffe::SpiffeId;
use crate::service::ports::Clock;

/// Whom an upstream must be, and who we are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The SPIFFE ID of its SVID; else a name that its roots vouch for.
    pub server: Option<SpiffeId>,
    /// What we show; nothing where absent.
    pub client: Option<ClientIdentity>,
}

/// What we show an upstream that asks who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientIdentity {
    /// The broker's own SVID.
    Svid,
    /// A certificate that the upstream's owner gave us.
    Files {
        /// The chain, PEM.
        cert: PathBuf,
        /// Its key, PEM, its owner's alone.
        key: PathBuf,
    },
}

impl UpstreamTls {
    /// Whether the broker's own SVID is shown there.
    pub fn shows_our_svid(&self) -> bool {
        self.server.is_some() || self.client == Some(ClientIdentity::Svid)
    }

    /// The files that it names.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let (cert, key) = match &self.client {
            Some(ClientIdentity::Files { cert, key }) => (Some(cert.as_path()), Some(key.as_path())),
            _ => (None, None),
        };
        [cert, key].into_iter().flatten()
    }
}

/// The broker's own identity, for upstreams that want to see it.
#[derive(Clone)]
pub struct OurIdentity {
    /// Our SVID, as it is at each handshake.
    pub svid: Arc<SvidSource>,
    /// Who vouches for workloads.
    pub trust: SharedTrust,
    /// Says whether an SVID is good now.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for OurIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OurIdentity")
    }
}

/// The TLS of one connector.
pub(super) fn config(
    connector: &Connector,
    plain: bool,
    ours: Option<&OurIdentity>,
) -> Result<ClientConfig, PoolError> {
    let needed = || ours.ok_or_else(|| PoolError::NoSvid(connector.name.clone()));
    if let Some(server) = &connector.tls.server {
        let OurIdentity { svid, trust, clock } = needed()?.clone();
        let mut config = client_config(svid, trust, clock, server.clone()).map_err(PoolError::Tls)?;
        // The client says itself what it speaks.
        config.alpn_protocols.clear();
        return Ok(config);
    }
    let mut config = outgoing::tls(connector.ca_file.as_deref(), plain).map_err(|error| match error {
        RootsError::File(_) => PoolError::Roots(connector.name.clone()),
        RootsError::System(source) => PoolError::SystemRoots(source),
        RootsError::Tls(source) => PoolError::Tls(source),
    })?;
    match &connector.tls.client {
        None => {}
        Some(ClientIdentity::Svid) => config.client_auth_cert_resolver = needed()?.svid.clone(),
        Some(ClientIdentity::Files { cert, key }) => {
            let unusable = || PoolError::ClientIdentity(connector.name.clone());
            let chain = pem::read_certificates(cert).map_err(|_| unusable())?;
            let key = pem::read_private_key(key, KeyPermissions::OwnerOnly).map_err(|_| unusable())?;
            let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(|_| unusable())?;
            config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
        }
    }
    Ok(config)
}
