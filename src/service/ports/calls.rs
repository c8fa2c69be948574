//! The route tables of the connectors.

use crate::domain::action::{CallPath, CallRequest, Method};
use crate::domain::id::ConnectorId;
use crate::domain::json::Object;
use crate::domain::spiffe::SpiffeId;

/// Why a described call is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotACall {
    /// The defect's own name.
    pub code: &'static str,
    /// RFC 6901 pointer into the description.
    pub pointer: String,
    /// What is wrong, in a sentence.
    pub detail: String,
}

/// The route tables of the connectors. Pure look-ups over a snapshot; no network.
pub trait CallDirectory: Send + Sync {
    /// The canonical call that a description names: the route gives the act.
    ///
    /// # Errors
    /// When no route matches, or a parameter is not where the route says.
    fn describe(
        &self,
        connector: &ConnectorId,
        method: Method,
        path: &CallPath,
        params: &Object,
    ) -> Result<CallRequest, NotACall>;

    /// The one method by which `act` is done at `path`, for those who name acts and not methods.
    ///
    /// # Errors
    /// When no route says so, or more than one.
    fn method_of(&self, connector: &ConnectorId, path: &CallPath, act: &str) -> Result<Method, NotACall>;

    /// Whether `workload` may ask for decisions on calls to `connector`.
    fn may_ask(&self, connector: &ConnectorId, workload: &SpiffeId) -> bool;
}
