//! The list of each place before its handlers, and the doors that are closed while our identity is out of date.
//!
//! A caller whom the list of a place does not name is refused before anything is read; like a failed handshake this is
//! counted exactly and written down once a second by reason and trust domain, so that a flood cannot fill the record.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::problem::Problem;
use super::server::Peer;
use crate::adapters::identity::Identities;
use crate::domain::spiffe::SpiffeId;
use crate::service::access::{Access, Place};
use crate::service::callers::Callers;
use crate::service::refusal::{Code, Refusal};

/// Told about every caller that was refused here, and why.
pub type RefusedHook = Arc<dyn Fn(&SpiffeId, &'static str) + Send + Sync>;

/// What stands before the handlers of a door.
#[derive(Clone)]
pub struct Doorkeeper {
    /// The lists.
    pub access: Arc<Access>,
    /// Who may speak for others.
    pub callers: Arc<Callers>,
    /// Whether our identity is good.
    pub identities: Arc<Identities>,
    /// Counts and records.
    pub on_refused: RefusedHook,
}

/// Judges the connection, before anything that came on it is looked at: what is refused here costs no verification and
/// no entry. A named proxy is nobody itself; for whom it speaks is judged by [`admit`].
pub async fn admit_connection(State(keeper): State<Doorkeeper>, request: Request, next: Next) -> Response {
    match keeper.judge(&request, |peer| keeper.callers.is_proxy(peer)) {
        Ok(()) => next.run(request).await,
        Err(refusal) => Problem(refusal).into_response(),
    }
}

/// Judges the caller, whatever proved who it is.
pub async fn admit(State(keeper): State<Doorkeeper>, request: Request, next: Next) -> Response {
    match keeper.judge(&request, |_| false) {
        Ok(()) => next.run(request).await,
        Err(refusal) => Problem(refusal).into_response(),
    }
}

impl Doorkeeper {
    /// Whether the request may come; whoever `is_passed_on` is on no list.
    fn judge(&self, request: &Request, is_passed_on: impl Fn(&SpiffeId) -> bool) -> Result<(), Refusal> {
        // No layer of ours lets a request come here without an identity.
        let internal = || Refusal::new(Code::Internal, "no identity");
        let Peer(peer) = request.extensions().get::<Peer>().ok_or_else(internal)?;
        if let Some(stale) = self.identities.problem() {
            (self.on_refused)(peer.id(), stale.code());
            let detail = "our own identity or trust bundle is out of date; nothing is taken until it is renewed";
            return Err(Refusal::because(Code::IdentityStale, stale.code(), detail));
        }
        if is_passed_on(peer.id()) {
            return Ok(());
        }
        let (reason, admitted) = match place(request.uri().path()) {
            Some(place) => (place.refused(), self.access.admit(place, peer.id())),
            None => ("not_admitted", self.access.admit_anywhere(peer.id())),
        };
        admitted.inspect_err(|_| (self.on_refused)(peer.id(), reason))
    }
}

/// What a path is for; none for what every caller who is on a list may read. Whatever is not known here is for those who
/// administer: a route that is new is closed to others until it is listed.
fn place(path: &str) -> Option<Place> {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    match first {
        "issue" => Some(Place::Issue),
        "c" => Some(Place::Call),
        "challenges" => Some(Place::Approve),
        // Decisions for those who enforce themselves: ours, OPA's, AuthZEN's, and gRPC services by their packages.
        "v1" | "access" => Some(Place::Decide),
        _ if first.starts_with("envoy.service.auth.") => Some(Place::Decide),
        "audit" | "log" | "reports" => Some(Place::Audit),
        ".well-known" | "templates" | "openapi.json" => None,
        _ => Some(Place::Administer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_the_list_of_its_place_in_whatever_spelling() {
        for (path, expected) in [
            ("/issue", Some(Place::Issue)),
            ("/issue/0199/withdraw", Some(Place::Issue)),
            ("//issue", Some(Place::Issue)),
            ("/c/erp/vendors", Some(Place::Call)),
            ("/challenges/events", Some(Place::Approve)),
            ("/v1/decide", Some(Place::Decide)),
            ("/v1/data/atb/poa", Some(Place::Decide)),
            ("/access/v1/evaluation", Some(Place::Decide)),
            ("/envoy.service.auth.v3.Authorization/Check", Some(Place::Decide)),
            ("/leg/withdrawals", Some(Place::Administer)),
            ("/audit", Some(Place::Audit)),
            ("/log/tile/0/000", Some(Place::Audit)),
            ("/reports/governance", Some(Place::Audit)),
            ("/.well-known/jwks.json", None),
            ("/templates/contract", None),
            ("/openapi.json", None),
            ("/a/route/of/tomorrow", Some(Place::Administer)),
            ("/", Some(Place::Administer)),
        ] {
            assert_eq!(place(path), expected, "{path}");
        }
    }
}
