//! Identity beyond the connection's own SVID: JWT-SVIDs from a proxy, the platform's word, and what we show upstreams.

mod credentials;
pub mod https;
pub mod jwt_svid;
pub mod platform;
pub mod tokens;
mod workload_api;
mod wycheproof;
