//! Layer 3: each module touches exactly one outside thing and implements the ports of `service`.

pub mod store;

pub mod bundle_archive;
pub mod bundle_dir;
pub mod bundle_keys;
pub mod bundle_probe;
pub mod bundle_push;
pub mod bundle_source;
pub mod pdp;
pub mod policy_job;

pub mod dev_identity;
pub mod identity;
pub mod pem;
pub mod platform;
pub mod tls;

pub mod connectors;

pub mod http;

pub mod guardrails;
pub mod notify;
pub mod object_store;
pub mod outgoing;
pub mod sinks;
pub mod tickets;
pub mod witness;

pub mod case_file;
pub mod checkpoint_file;
pub mod clock;
pub mod commitment;
pub mod metrics;
pub mod signer;
