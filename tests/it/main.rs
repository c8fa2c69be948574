//! The service as its users meet it: real TLS, real SQLite, real files, real processes. One binary, one module a user.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what the tests share is test code too: a test that cannot go on fails"
)]

mod alerts;
mod app;
mod approve;
mod audit_query;
mod authzen;
mod backup;
mod bundle_probe;
mod cli;
mod cli_delegation;
mod clock_moved;
mod compromise_matrix;
mod connectors;
mod crash_soak;
mod decide;
mod demo;
mod documentation;
mod documented_examples;
mod doors;
mod enforce;
mod erase;
mod events;
mod events_made;
mod ext_authz;
mod faults;
mod faults_store;
mod federation;
mod governance;
mod guardrails;
mod identity;
mod identity_files;
mod issue;
mod kept_checkpoint;
mod leg;
mod leg_tool;
mod life;
mod log;
mod named_tests;
mod notify;
mod openapi;
mod operator;
mod ops;
mod outbox_contract;
mod page;
mod policy_bundle;
mod policy_check;
mod policy_docs;
mod policy_guide;
mod policy_mutate;
mod policy_pull_requests;
mod policy_replay;
mod policy_tool;
mod process;
mod reload;
mod sample_erp;
mod schemas;
mod shipping;
mod store_contract;
mod svid;
mod threats;
mod tickets;
mod vectors;
mod view;
mod workload_api;
