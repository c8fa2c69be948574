//! ATB, the Agent Trust Broker: one boundary between AI agents and the systems they act in.
//!
//! ```text
//! agent ──mTLS──▶ AgentAuth: who calls ▶ what is asked ▶ on what ground ▶ how risky ▶ who must agree ▶ record ▶ mint
//!                                                                                  ▲
//! approver ─own key─ signs exactly what was asked ─────────────────────────────────┘
//! agent ──mTLS + mandate──▶ broker: verify ▶ holder ▶ approvals again ▶ route→act ▶ policy ▶ burn + record ▶ connector ▶ outcome
//! ```
//!
//! Three layers, one direction: a layer knows only the layers above it in this file. The rule is enforced by
//! features: `domain` compiles with `--no-default-features`, `service` with `--features service`, all of it with
//! `server` (the default). `docs/ARCHITECTURE.md` walks through "mint" and "enforce".

/// Layer 1, pure: no async, clock, files, network, environment or logging.
pub mod domain;

/// Layer 2: use cases over ports; async, but no runtime, no HTTP, no SQL.
#[cfg(feature = "service")]
pub mod service;

/// Layer 3: each module touches exactly one outside thing.
#[cfg(feature = "server")]
pub mod adapters;
/// The composition root: the only place that names a port beside its adapter.
#[cfg(feature = "server")]
pub mod app;
/// The command line: one file a command.
#[cfg(feature = "server")]
pub mod cli;
/// Configuration: TOML and environment, parsed once into a meaningful form.
#[cfg(feature = "server")]
pub mod config;
/// Logs and metrics.
#[cfg(feature = "server")]
pub mod telemetry;
