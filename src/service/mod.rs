//! Layer 2: the use cases, told over ports. Async, but without a runtime, HTTP or SQL.

pub mod ports;
pub mod refusal;
pub mod shipping;
pub mod view;

pub mod wanted;

pub mod access;

pub mod facts;
pub mod guardrails;

pub mod recording;

pub mod callers;

pub mod issuer;

pub mod notifier;

pub mod broker;

pub mod archive;
pub mod audit;

pub mod auditor;

pub mod case;
pub mod governance;

pub mod publisher;

pub mod transparency;

pub mod withdrawals;

pub mod toolchain;
