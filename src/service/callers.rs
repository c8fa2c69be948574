//! Who calls, where the connection alone does not say it: JWT-SVIDs that a proxy hands in, and the platform's word.
//!
//! ```text
//! the connection's SVID ▶ is it a named proxy? ▶ the JWT-SVID that it hands in: verified, new ─┐
//!                       └ no: it is the caller, and may bring no JWT-SVID ─────────────────────┴▶ platform token ▶ bound?
//! ```
//!
//! Invariants:
//!
//! - Identity comes from a verified SVID only. A JWT-SVID counts only on a connection whose own X.509-SVID is that of a
//!   proxy which the configuration names; a named proxy without a JWT-SVID is nobody. Off unless configured.
//! - A token is remembered after it is verified and before it is believed. One with a `jti` is taken once. For those
//!   without, the configuration says: refused, once, or again by the same proxy until they expire.
//! - A platform's token gives no identity. It must agree with the one that is proven.
//!
//! Not here: which identities may do what (the policy and each use case), and the approvers' own keys: a statement is
//! signed by the key of an X.509-SVID, whoever hands it in.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::ports::{Clock, PlatformKeys, PlatformKeysError, Seen, SeenToken, SeenTokens};
use super::refusal::{Code, Refusal};
use crate::domain::platform::{Binding, ExpectedPlatform, PlatformTokenError, UnverifiedPlatformToken};
use crate::domain::spiffe::{ExpectedJwtSvid, JwtBundles, SpiffeId, TokenUse, UnverifiedJwtSvid, VerifiedSvid};

/// How much longer than a token lives it is remembered, for a clock that was set back a little.
const REMEMBER: Duration = Duration::from_secs(300);

/// What becomes of JWT-SVIDs without a `jti`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WithoutJti {
    /// Refused.
    Refuse,
    /// Taken once, by what was signed.
    #[default]
    Once,
    /// Taken until they expire, from the proxy that handed them in first and from no other.
    SameProxy,
}

/// How a door takes JWT-SVIDs.
#[derive(Debug, Clone)]
pub struct JwtSvidSettings {
    /// What a token must say.
    pub expected: ExpectedJwtSvid,
    /// Who may hand one in.
    pub proxies: BTreeSet<SpiffeId>,
    /// What becomes of those without a `jti`.
    pub without_jti: WithoutJti,
}

/// How a door takes the platform's tokens.
#[derive(Debug, Clone)]
pub struct PlatformSettings {
    /// What a token must say.
    pub expected: ExpectedPlatform,
    /// To which identities it belongs.
    pub binding: Binding,
}

/// What it stands on.
pub struct CallerPorts {
    /// The JWT authorities in force.
    pub jwt_trust: Arc<dyn Fn() -> Arc<JwtBundles> + Send + Sync>,
    /// The memory of tokens.
    pub seen: Arc<dyn SeenTokens>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What came with a request besides its connection.
#[derive(Clone, Copy, Default)]
pub struct Shown<'h> {
    /// A text that should be a JWT-SVID.
    pub unverified_jwt_svid: Option<&'h str>,
    /// A text that should be a token of the platform.
    pub unverified_platform_token: Option<&'h str>,
}

/// Who calls at one door.
pub struct Callers {
    jwt_svid: Option<JwtSvidSettings>,
    platform: Option<(PlatformSettings, Arc<dyn PlatformKeys>)>,
    ports: CallerPorts,
}

impl Callers {
    /// A door that takes what is configured.
    pub fn new(
        jwt_svid: Option<JwtSvidSettings>,
        platform: Option<(PlatformSettings, Arc<dyn PlatformKeys>)>,
        ports: CallerPorts,
    ) -> Self {
        Self { jwt_svid, platform, ports }
    }

    /// Whether this is a proxy that hands in what others say of themselves.
    pub fn is_proxy(&self, connected: &SpiffeId) -> bool {
        self.jwt_svid.as_ref().is_some_and(|settings| settings.proxies.contains(connected))
    }

    /// Who calls on the connection of `connected`. `as_agent`: the request is one of those that agents make, for which
    /// the platform's word is asked.
    ///
    /// # Errors
    /// A refusal that is not on record yet; nothing was believed.
    pub async fn identify(
        &self,
        connected: Arc<VerifiedSvid>,
        shown: Shown<'_>,
        as_agent: bool,
    ) -> Result<Arc<VerifiedSvid>, Refusal> {
        let caller = self.forwarded(connected, shown.unverified_jwt_svid).await?;
        match &self.platform {
            Some((settings, keys)) if as_agent => {
                self.vouched(settings, keys.as_ref(), caller, shown.unverified_platform_token).await
            }
            _ => Ok(caller),
        }
    }

    async fn forwarded(
        &self,
        connected: Arc<VerifiedSvid>,
        unverified_jwt: Option<&str>,
    ) -> Result<Arc<VerifiedSvid>, Refusal> {
        let by_proxy = self.jwt_svid.as_ref().filter(|settings| settings.proxies.contains(connected.id()));
        match (by_proxy, unverified_jwt) {
            (None, None) => Ok(connected),
            (None, Some(_)) => {
                let detail = "a JWT-SVID is taken only from the proxies of `jwt_svid.proxies`; call with your own SVID";
                Err(Refusal::because(Code::IdentityConflict, "jwt_svid_not_accepted", detail))
            }
            (Some(_), None) => {
                let detail = "a proxy hands in the JWT-SVID of the workload that it speaks for, as `X-JWT-SVID`";
                Err(Refusal::because(Code::IdentityRefused, "jwt_svid_missing", detail))
            }
            (Some(settings), Some(unverified_jwt)) => self.presented(settings, connected.id(), unverified_jwt).await,
        }
    }

    async fn presented(
        &self,
        settings: &JwtSvidSettings,
        proxy: &SpiffeId,
        unverified_jwt: &str,
    ) -> Result<Arc<VerifiedSvid>, Refusal> {
        let verified = UnverifiedJwtSvid::parse(unverified_jwt)
            .and_then(|token| token.verify(&(self.ports.jwt_trust)(), &settings.expected, self.ports.clock.now()));
        let (svid, token) =
            verified.map_err(|error| Refusal::because(Code::IdentityRefused, error.code(), error.to_string()))?;
        if settings.proxies.contains(svid.id()) {
            let detail = "a proxy speaks for workloads and for no proxy";
            return Err(Refusal::because(Code::IdentityConflict, "jwt_svid_of_a_proxy", detail));
        }
        self.remember(settings.without_jti, proxy, token).await?;
        Ok(Arc::new(svid.presented_by(proxy.clone())))
    }

    async fn remember(&self, without_jti: WithoutJti, proxy: &SpiffeId, token: TokenUse) -> Result<(), Refusal> {
        if !token.has_jti && without_jti == WithoutJti::Refuse {
            let detail = "only JWT-SVIDs with a `jti` are taken";
            return Err(Refusal::because(Code::IdentityRefused, "jwt_svid_without_jti", detail));
        }
        let again = !token.has_jti && without_jti == WithoutJti::SameProxy;
        let keep_until = token.expires_at.plus(REMEMBER);
        let seen = SeenToken { key: token.key, presenter: proxy.clone(), keep_until };
        match self.ports.seen.see(seen).await? {
            Seen::First => Ok(()),
            Seen::Before(presenter) if again && presenter == *proxy => Ok(()),
            Seen::Before(_) => {
                let detail = "the JWT-SVID was used before; fetch a new one";
                Err(Refusal::because(Code::IdentityRefused, "jwt_svid_replayed", detail))
            }
        }
    }

    async fn vouched(
        &self,
        settings: &PlatformSettings,
        keys: &dyn PlatformKeys,
        caller: Arc<VerifiedSvid>,
        unverified_jwt: Option<&str>,
    ) -> Result<Arc<VerifiedSvid>, Refusal> {
        let Some(unverified_jwt) = unverified_jwt else {
            if !settings.binding.requires_a_token() {
                return Ok(caller);
            }
            let detail = "agents show the token of their platform, as `X-Platform-Token`";
            return Err(Refusal::because(Code::IdentityRefused, "platform_token_missing", detail));
        };
        let refused =
            |error: PlatformTokenError| Refusal::because(Code::IdentityRefused, error.code(), error.to_string());
        let token = UnverifiedPlatformToken::parse(unverified_jwt).map_err(refused)?;
        token.check_algorithm(&settings.expected).map_err(refused)?;
        let keys = keys.with(token.claimed_kid()).await.map_err(|error| match error {
            PlatformKeysError::Unknown => refused(PlatformTokenError::UnknownKey),
            PlatformKeysError::Unavailable => {
                let detail = "the keys of the platform's provider are not to be had; ask again";
                Refusal::because(Code::IdentityUnavailable, "platform_keys_unavailable", detail)
            }
        })?;
        let identity = token.verify(&keys, &settings.expected, self.ports.clock.now()).map_err(refused)?;
        if !settings.binding.binds(&identity.subject, caller.id()) {
            let detail = "the platform's token is that of another workload than your SVID";
            return Err(Refusal::because(Code::IdentityConflict, "platform_binding_mismatch", detail));
        }
        Ok(Arc::new(VerifiedSvid::clone(&caller).vouched_for(Arc::new(identity))))
    }
}
