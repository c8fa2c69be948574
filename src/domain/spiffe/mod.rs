//! Who calls: SPIFFE IDs, SVIDs and the bundles that they are verified against.
//!
//! A [`VerifiedSvid`] is the only proof of identity in ATB. It comes from [`TrustBundles::verify`] (X.509) and, where a door
//! takes tokens from a proxy, from [`UnverifiedJwtSvid::verify`]; from nowhere else.

mod admitted;
mod bundle;
mod document;
mod id;
mod jwk;
mod jwt_bundle;
mod jwt_svid;
mod key;
mod pattern;
mod svid;
mod x509;

pub use admitted::Admitted;
pub use bundle::{BundleError, DEVELOPMENT_ORGANIZATION, Purpose, TrustBundle, TrustBundles};
pub use document::{BundleDocument, DocumentError, MAX_DOCUMENT_BYTES};
pub use id::{SpiffeId, SpiffeIdError, TrustDomain};
pub use jwt_bundle::{JwtBundle, JwtBundleError, JwtBundles};
pub use jwt_svid::{ExpectedJwtSvid, JwtSvidError, TokenUse, UnverifiedJwtSvid};
pub use key::{SignatureError, SvidKey};
pub use pattern::SpiffePattern;
pub use svid::{SvidError, UnverifiedSvid, VerifiedSvid};
