//! The claims of a mandate: exactly the contract's, all required but `req`.

use serde::{Deserialize, Serialize};

use crate::domain::action::{ActionName, RequestBinding};
use crate::domain::approval::Ask;
use crate::domain::catalogue::Tier;
use crate::domain::id::{Jti, Revision};
use crate::domain::jose::present;
use crate::domain::json::Object;
use crate::domain::leg::Leg;
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::{Timestamp, Ttl, TtlError};

/// The longest mandate that is read or written.
pub const MAX_MANDATE_BYTES: usize = 16 * 1024;

/// The payload of a mandate. Times are NumericDates in whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// AgentAuth.
    pub iss: SpiffeId,
    /// The agent.
    pub sub: SpiffeId,
    /// The brokers that may take it.
    pub aud: Vec<SpiffeId>,
    /// The one act.
    pub act: ActionName,
    /// Constraints on the call's parameters.
    pub con: Object,
    /// The legal ground and the approvals.
    pub leg: Leg,
    /// Issued at.
    pub iat: u64,
    /// Not before.
    pub nbf: u64,
    /// Not at or after.
    pub exp: u64,
    /// The mandate's id, burned with its use.
    pub jti: Jti,
    /// The act's tier when it was issued.
    pub tier: Tier,
    /// The bundle that let it be issued.
    pub pol: Revision,
    /// The one exact call that it is for.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub req: Option<RequestBinding>,
}

impl Claims {
    /// The lifetime, `exp - iat`.
    ///
    /// # Errors
    /// When it is not between 1 and 900 seconds.
    pub fn ttl(&self) -> Result<Ttl, TtlError> {
        Ttl::from_secs(self.exp.saturating_sub(self.iat))
    }

    /// What the approvers of this mandate must have signed.
    ///
    /// # Errors
    /// When the lifetime is not between 1 and 900 seconds.
    pub fn ask(&self) -> Result<Ask, TtlError> {
        Ok(Ask {
            sub: self.sub.clone(),
            act: self.act.clone(),
            con: self.con.clone(),
            leg: self.leg.ground(),
            req: self.req.clone(),
            ttl: self.ttl()?,
        })
    }

    /// When it ends.
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_secs(self.exp)
    }
}
