//! JWT-SVIDs of our own identity from the SPIFFE Workload API (§6 of that standard, `FetchJWTSVID`).
//!
//! What the API gives is believed to be genuine: it is the one that attested us. That it is for the audience that was
//! asked for, ours, and not over yet is checked all the same, because an upstream would tell us only by refusing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use spiffe::{WorkloadApiClient, WorkloadApiError};
use zeroize::Zeroizing;

use super::{CredentialError, Fetched, JwtSvids};
use crate::domain::spiffe::SpiffeId;
use crate::service::ports::Clock;

/// The Workload API, asked as one identity.
pub struct WorkloadJwtSvids {
    endpoint: String,
    id: SpiffeId,
    clock: Arc<dyn Clock>,
}

impl WorkloadJwtSvids {
    /// Nothing is connected yet: an agent that is away for a while is asked again when a token is needed.
    pub fn new(endpoint: String, id: SpiffeId, clock: Arc<dyn Clock>) -> Self {
        Self { endpoint, id, clock }
    }
}

#[async_trait]
impl JwtSvids for WorkloadJwtSvids {
    async fn fetch(&self, audience: &str) -> Result<Fetched, CredentialError> {
        let id = spiffe::SpiffeId::new(self.id.as_str()).map_err(|_| CredentialError::Unusable)?;
        let client = WorkloadApiClient::connect_to(&self.endpoint).await.map_err(|error| failure(&error))?;
        let svid = client.fetch_jwt_svid([audience], Some(&id)).await.map_err(|error| failure(&error))?;
        let expires_at = u64::try_from(svid.expiry().unix_timestamp()).map_err(|_| CredentialError::Unusable)?;
        if svid.spiffe_id().to_string() != self.id.as_str() || svid.audience() != [audience] {
            return Err(CredentialError::Unusable);
        }
        let lives = Duration::from_secs(expires_at.saturating_sub(self.clock.now().as_secs()));
        Ok(Fetched { token: Zeroizing::new(svid.token().to_owned()), lives })
    }
}

fn failure(error: &WorkloadApiError) -> CredentialError {
    match error {
        WorkloadApiError::NoIdentityIssued | WorkloadApiError::PermissionDenied(_) => CredentialError::Refused,
        WorkloadApiError::JwtSvid(_) | WorkloadApiError::EmptyResponse => CredentialError::Unusable,
        _ => CredentialError::Unavailable,
    }
}
