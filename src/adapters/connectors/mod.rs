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
//! Not here: who may call (policy), burning and recording (service), how many requests one agent may have at the door
//! ([`crate::adapters::http::fairness`]).

pub(crate) mod address;
mod answer;
mod body_schema;
mod breaker;
mod canonical;
mod client_identity;
mod config;
mod credentials;
mod headers;
mod load_error;
mod percent;
mod places;
mod query;
mod rate;
mod receive;
mod refusal;
mod route;
mod route_table;
mod settings;
mod sign_off;
mod table;
mod upstream;
mod yaml;

pub use answer::{AnswerBody, AnswerError, CallEnd, CallFault};
pub use body_schema::BodySchema;
pub use breaker::{BreakerSettings, CircuitOpen, CircuitState};
pub use canonical::{Forward, MatchedRoute, Target};
pub use client_identity::{OurIdentity, UpstreamTls};
pub use config::{Connector, Connectors, Limits, UpstreamBase, load_file, parse_file};
pub use credentials::{CredentialError, Credentials, Fetched, JwtSvids, WorkloadJwtSvids};
pub use headers::trace_id;
pub use load_error::{LoadError, Place, Problem};
pub use places::{HeaderParam, PointerParam};
pub use rate::{Budget, Rate, TooEarly};
pub use receive::BoundedBody;
pub use refusal::{CallRefused, PathFault, QueryFault};
pub use route::{ParamKind, ParamName, PathTemplate, QueryParam, Route, RouteBody};
pub use sign_off::{SignOffError, SignOffs, SignatureFile, signatures_file};
pub use upstream::{NoPlace, PoolError, Slot, UpstreamError, UpstreamPool, UpstreamResponse};
