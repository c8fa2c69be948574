//! The doors: accept and identify, route, limit, translate. Handlers translate and never decide.

pub mod agentauth;
mod body;
pub mod broker;
pub mod client;
pub mod leg;
pub mod ops;
pub mod problem;
pub mod server;
