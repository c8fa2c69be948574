//! What is asked, in the form that is shown, signed and digested.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::action::{ActionName, RequestBinding};
use crate::domain::id::Sha256Digest;
use crate::domain::jose::present;
use crate::domain::json::{self, Object};
use crate::domain::leg::LegGround;
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Ttl;

/// `{sub, act, con, leg without approvals, req, ttl}`: everything that an approval binds. `req` is absent where the
/// mandate is not tied to one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The agent that will hold the mandate.
    pub sub: SpiffeId,
    /// What it wants to do.
    pub act: ActionName,
    /// Under which constraints.
    pub con: Object,
    /// On what ground.
    pub leg: LegGround,
    /// In which exact call.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub req: Option<RequestBinding>,
    /// For how many seconds.
    pub ttl: Ttl,
}

impl Ask {
    /// The document as JSON.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// `sum`: `sha-256:` of the RFC 8785 canonical JSON.
    pub fn sum(&self) -> Sha256Digest {
        json::digest(&self.to_value())
    }
}
