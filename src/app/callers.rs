//! Who calls at each door: what of JWT-SVIDs and of the platform's tokens the configuration lets count there.

use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::Core;
use crate::adapters::connectors::{Connector, Connectors, Credentials, JwtSvids, WorkloadJwtSvids};
use crate::adapters::platform::{OidcKeys, ProviderConfig};
use crate::config::{Config, Door, DoorName, JwtSvidConfig, PlatformConfig, WithoutJtiConfig};
use crate::domain::platform::ExpectedPlatform;
use crate::domain::spiffe::ExpectedJwtSvid;
use crate::service::callers::{CallerPorts, Callers, JwtSvidSettings, PlatformSettings, WithoutJti};
use crate::service::ports::PlatformKeys;

/// The provider's keys, shared by the doors.
pub(super) fn platform_keys(config: &Config) -> anyhow::Result<Option<Arc<dyn PlatformKeys>>> {
    let Some(platform) = &config.platform else { return Ok(None) };
    let provider = ProviderConfig {
        issuer: platform.issuer.clone(),
        jwks_url: platform.jwks_url.clone(),
        ca: platform.ca.clone(),
        timeout: platform.timeout,
        refresh: platform.refresh,
        max_stale: platform.max_stale,
    };
    let keys = OidcKeys::new(provider, config.dev).context("[platform]")?;
    Ok(Some(Arc::new(keys)))
}

impl Core {
    /// Who calls at one door.
    pub(super) fn callers(&self, name: DoorName, door: &Door) -> Arc<Callers> {
        let taken = self.config.jwt_svid.as_ref().filter(|config| config.doors.contains(&name));
        let jwt_svid = taken.map(|config| jwt_svid(config, door));
        let platform = self.config.platform.as_ref().zip(self.platform_keys.clone());
        let platform = platform.map(|(config, keys)| (platform_settings(config), keys));
        let identities = Arc::clone(&self.identities);
        let jwt_trust = Arc::new(move || identities.jwt_bundles());
        let (seen, clock) = (self.sqlite.clone(), self.clock.clone());
        Arc::new(Callers::new(jwt_svid, platform, CallerPorts { jwt_trust, seen, clock }))
    }

    /// Who gives JWT-SVIDs of a door's own identity.
    pub(super) fn jwt_svids(&self, door: &Door) -> Option<Arc<dyn JwtSvids>> {
        let endpoint = self.config.trust.endpoint_socket.clone()?;
        Some(Arc::new(WorkloadJwtSvids::new(endpoint, door.spiffe_id.clone(), self.clock.clone())))
    }
}

/// A connector that wants JWT-SVIDs needs somebody who gives them.
pub(super) fn check_jwt_svids(config: &Config, connectors: &Connectors) -> anyhow::Result<()> {
    let wants = |connector: &&Arc<Connector>| connector.credentials.as_ref().is_some_and(Credentials::wants_jwt_svids);
    let Some(connector) = connectors.iter().find(wants) else { return Ok(()) };
    let Some(socket) = &config.trust.endpoint_socket else {
        bail!(
            "connector `{}` shows its upstream a JWT-SVID: set `trust.endpoint_socket` or SPIFFE_ENDPOINT_SOCKET",
            connector.name
        )
    };
    spiffe::transport::Endpoint::parse(socket).with_context(|| format!("`trust.endpoint_socket`: `{socket}`"))?;
    Ok(())
}

fn jwt_svid(config: &JwtSvidConfig, door: &Door) -> JwtSvidSettings {
    JwtSvidSettings {
        expected: ExpectedJwtSvid {
            audience: config.audience.clone().unwrap_or_else(|| door.spiffe_id.to_string()),
            max_lifetime: config.max_lifetime,
        },
        proxies: config.proxies.clone(),
        without_jti: match config.without_jti {
            WithoutJtiConfig::Refuse => WithoutJti::Refuse,
            WithoutJtiConfig::Once => WithoutJti::Once,
            WithoutJtiConfig::SameProxy => WithoutJti::SameProxy,
        },
    }
}

fn platform_settings(config: &PlatformConfig) -> PlatformSettings {
    PlatformSettings {
        expected: ExpectedPlatform {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            algorithms: config.algorithms.clone(),
            claim: config.claim.clone(),
            max_lifetime: config.max_lifetime,
        },
        binding: config.binding.clone(),
    }
}
