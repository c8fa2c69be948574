//! Who calls: SPIFFE IDs, X.509-SVIDs and the bundles that they are verified against.
//!
//! A [`VerifiedSvid`] is the only proof of identity in ATB; it comes from [`TrustBundles::verify`] and nowhere else.

mod bundle;
mod id;
mod key;
mod pattern;
mod svid;
mod x509;

pub use bundle::{BundleError, DEVELOPMENT_ORGANIZATION, Purpose, TrustBundle, TrustBundles};
pub use id::{SpiffeId, SpiffeIdError, TrustDomain};
pub use key::{SignatureError, SvidKey};
pub use pattern::SpiffePattern;
pub use svid::{SvidError, UnverifiedSvid, VerifiedSvid};
