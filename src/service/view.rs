//! The view of a request by the bundle that judged it: at opening, at redemption, and again at the broker.

use crate::domain::action::CallRequest;
use crate::domain::approval::{Ask, CallView, View};
use crate::domain::mandate::{BoundMandate, ProvenApprovals};
use crate::domain::policy::Bundle;
use crate::service::refusal::{Code, Refusal};

/// What an approver of `ask` is shown under `bundle`.
///
/// # Errors
/// A refusal when the bundle does not have the act, or the call is not the one that is asked for.
pub fn of(bundle: &Bundle, ask: &Ask, call: Option<&CallView>) -> Result<View, Refusal> {
    let entry = bundle
        .catalogue()
        .find(&ask.act)
        .ok_or_else(|| Refusal::because(Code::Denied, "unknown_act", "the catalogue does not have this act"))?;
    View::of(ask, call, entry).map_err(|error| Refusal::because(Code::CallRefused, error.code(), error.to_string()))
}

/// Checks that everybody who approved was shown what this call, this mandate and this bundle give.
///
/// # Errors
/// A refusal when somebody was shown something else. Without approvals there is nothing to check.
pub fn was_shown(
    bundle: &Bundle,
    mandate: &BoundMandate,
    approvals: &ProvenApprovals,
    call: &CallRequest,
) -> Result<(), Refusal> {
    if approvals.is_empty() {
        return Ok(());
    }
    let ask = mandate
        .claims()
        .ask()
        .map_err(|error| Refusal::because(Code::MandateRefused, "mandate_lifetime", error.to_string()))?;
    let tied = ask.req.is_some().then(|| CallView::from(call));
    let view = of(bundle, &ask, tied.as_ref())?;
    approvals
        .shown(view.digest())
        .map_err(|error| Refusal::because(Code::ApprovalRefused, error.code(), error.to_string()))
}
