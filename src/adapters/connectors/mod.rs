//! Connectors: the upstreams that the broker may call, what of them may be called, and the call itself.
//!
//! ```text
//! raw request ─▶ Connector::route ─▶ MatchedRoute::receive ─▶ MatchedRoute::bind ─▶ CallRequest + Forward
//!                (method + path)     (head checked,            (query + body)        policy      Slot::send ─▶ AnswerBody
//!                                     body read within limits)
//! ```
//!
//! Invariants:
//!
//! - The act of a call comes from the route table, never from the caller (invariant 4).
//! - A [`Forward`] is rendered from the [`CallRequest`](crate::domain::action::CallRequest) and its route alone, so that
//!   the bytes that leave are the form that was checked; a request with two readings is refused, not repaired.
//! - Request headers reach an upstream by an allow-list, ours are set last (invariant 11).
//! - Everything that waits or grows has a limit in the connector's file.
//!
//! Not here: who may call (policy), burning and recording (service), circuit breaking and rate limits.

pub(crate) mod address;
mod answer;
mod canonical;
mod config;
mod credentials;
mod headers;
mod load_error;
mod percent;
mod query;
mod receive;
mod refusal;
mod route;
mod table;
mod upstream;

pub use answer::{AnswerBody, AnswerError, CallEnd, CallFault};
pub use canonical::{Forward, MatchedRoute, Target};
pub use config::{Connector, Connectors, Limits, UpstreamBase, load_file};
pub use credentials::{CredentialError, Credentials, Fetched, JwtSvids, WorkloadJwtSvids};
pub use load_error::{LoadError, Place, Problem};
pub use receive::BoundedBody;
pub use refusal::{CallRefused, PathFault, QueryFault};
pub use route::{ParamKind, ParamName, PathTemplate, QueryParam, Route, RouteBody};
pub use upstream::{PoolError, Slot, UpstreamError, UpstreamPool, UpstreamResponse};
