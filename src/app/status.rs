//! What `/ready` and `/metrics` say.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Core, identity};
use crate::adapters::http::ops::{Check, Status};
use crate::service::ports::Ledger as _;

/// The status of one process.
pub(super) struct OpsStatus {
    core: Arc<Core>,
}

impl OpsStatus {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    fn policy_problem(&self) -> Option<String> {
        if !self.core.policy.is_alive() {
            return Some("the policy's threads are gone".to_owned());
        }
        let expired = self.core.policy.expires_at().filter(|_| self.core.policy.is_expired());
        expired.map(|end| format!("the policy expired at {end}: everything is denied"))
    }
}

#[async_trait]
impl Status for OpsStatus {
    async fn checks(&self) -> Vec<Check> {
        let store = self.core.store.writable().await.err().map(|error| error.to_string());
        vec![
            Check { name: "policy", problem: self.policy_problem() },
            Check { name: "trust_bundle", problem: identity::problem(&self.core.identities, false) },
            Check { name: "svid", problem: identity::problem(&self.core.identities, true) },
            Check { name: "ledger", problem: store },
            Check { name: "sinks", problem: self.core.gate.problem() },
        ]
    }

    fn policy(&self) -> serde_json::Value {
        self.core.policy_state.to_value()
    }

    fn metrics(&self) -> String {
        self.core.metrics.encode()
    }
}
