//! What `/ready` and `/metrics` say.

use std::sync::Arc;

use async_trait::async_trait;

use super::Core;
use crate::adapters::http::ops::{Check, Status};
use crate::adapters::tls::SvidSource;
use crate::service::ports::{Clock as _, Ledger as _};

/// The status of one process.
pub(super) struct OpsStatus {
    core: Arc<Core>,
    svids: Vec<Arc<SvidSource>>,
}

impl OpsStatus {
    pub(super) fn new(core: Arc<Core>, svids: Vec<Arc<SvidSource>>) -> Self {
        Self { core, svids }
    }

    fn trust(&self) -> Option<String> {
        let now = self.core.clock.now();
        let bundles = self.core.trust.load();
        let fresh = bundles.bundle(&self.core.config.trust_domain).is_some_and(|b| b.valid_until(now).is_some());
        (!fresh).then(|| "every authority of the trust bundle has expired".to_owned())
    }

    fn policy_problem(&self) -> Option<String> {
        if !self.core.policy.is_alive() {
            return Some("the policy's threads are gone".to_owned());
        }
        let expired = self.core.policy.expires_at().filter(|_| self.core.policy.is_expired());
        expired.map(|end| format!("the policy expired at {end}: everything is denied"))
    }

    fn svid(&self) -> Option<String> {
        let now = self.core.clock.now();
        let expired = self.svids.iter().map(|source| source.current()).find(|svid| svid.svid().expires_at() <= now);
        expired.map(|svid| format!("the SVID of {} expired at {}", svid.svid().id(), svid.svid().expires_at()))
    }
}

#[async_trait]
impl Status for OpsStatus {
    async fn checks(&self) -> Vec<Check> {
        let store = self.core.store.writable().await.err().map(|error| error.to_string());
        vec![
            Check { name: "policy", problem: self.policy_problem() },
            Check { name: "trust_bundle", problem: self.trust() },
            Check { name: "svid", problem: self.svid() },
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
