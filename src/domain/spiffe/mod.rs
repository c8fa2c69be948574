//! Who calls: SPIFFE IDs, SVIDs and the bundles that they are verified against.
//!
//! A [`VerifiedSvid`] is the only proof of identity in ATB. It comes from [`TrustBundles::verify`] (X.509) and, where a door
//! takes tokens from a proxy, from [`UnverifiedJwtSvid::verify`]; from nowhere else.

mod bundle;
mod id;
mod jwt_bundle;
mod jwt_svid;
mod key;
mod pattern;
mod svid;
mod x509;

pub use bundle::{BundleError, DEVELOPMENT_ORGANIZATION, Purpose, TrustBundle, TrustBundles};
pub use id::{SpiffeId, SpiffeIdError, TrustDomain};
pub use jwt_bundle::{JwtBundle, JwtBundleError, JwtBundles};
pub use jwt_svid::{ExpectedJwtSvid, JwtSvidError, TokenUse, UnverifiedJwtSvid};
pub use key::{SignatureError, SvidKey};
pub use pattern::SpiffePattern;
pub use svid::{SvidError, UnverifiedSvid, VerifiedSvid};
