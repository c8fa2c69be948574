//! Who calls: SPIFFE IDs, X.509-SVIDs and the bundles that they are verified against.
//!
//! A [`VerifiedSvid`] is the only proof of identity in ATB; it comes from [`TrustBundles::verify`] and nowhere else.

mod admitted;
mod bundle;
mod document;
mod id;
mod jwk;
mod jwt_bundle;
mod key;
mod pattern;
mod svid;
mod x509;

pub use admitted::Admitted;
pub use bundle::{BundleError, DEVELOPMENT_ORGANIZATION, Purpose, TrustBundle, TrustBundles};
pub use document::{BundleDocument, DocumentError, MAX_DOCUMENT_BYTES};
pub use id::{SpiffeId, SpiffeIdError, TrustDomain};
pub use jwt_bundle::{JwtBundle, JwtBundles, JwtKey};
pub use key::{SignatureError, SvidKey};
pub use pattern::SpiffePattern;
pub use svid::{SvidError, UnverifiedSvid, VerifiedSvid};
