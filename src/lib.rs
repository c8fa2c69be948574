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
