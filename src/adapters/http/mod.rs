//! The doors: accept and identify, route, limit, translate. Handlers translate and never decide.

pub mod access;
pub mod agentauth;
pub mod audit;
mod authzen;
mod body;
pub mod broker;
pub mod callers;
pub mod client;
pub mod event_stream;
pub mod ext_authz;
pub mod fairness;
pub mod gate;
pub mod leg;
pub mod log;
pub mod openapi;
pub mod ops;
pub mod problem;
mod queue;
pub mod queue_events;
mod report;
pub mod server;
pub mod strict_h1;
mod wire;
