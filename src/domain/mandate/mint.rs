//! The way out: claims, signature, and release against the receipt of the durable record.

use std::fmt;

use josekit::jws::{JwsHeader, JwsSigner};

use super::claims::{Claims, MAX_MANDATE_BYTES};
use crate::domain::id::{Jti, KeyId, Sha256Digest};
use crate::domain::jose::{self, JwsError};
use crate::domain::ledger::Receipt;

/// The `typ` of a mandate.
pub(super) const TYP: &str = "poa+jwt";

/// Claims that were decided on and not signed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedMandate(Claims);

impl UnsignedMandate {
    /// Claims that AgentAuth decided on.
    pub fn new(claims: Claims) -> Self {
        Self(claims)
    }

    /// The claims.
    pub fn claims(&self) -> &Claims {
        &self.0
    }

    /// Attaches the signature of the key `kid`.
    ///
    /// # Errors
    /// When the signer fails, or the mandate would be longer than 16 KiB.
    pub fn attach(self, kid: &KeyId, signer: &dyn JwsSigner) -> Result<SealedMandate, JwsError> {
        let mut header = JwsHeader::new();
        header.set_token_type(TYP);
        header.set_key_id(kid.as_str());
        let payload = serde_json::to_vec(&self.0).map_err(|error| JwsError::Claims(error.to_string()))?;
        let jws = jose::sign(&header, &payload, signer)?;
        if jws.len() > MAX_MANDATE_BYTES {
            return Err(JwsError::TooLong(MAX_MANDATE_BYTES));
        }
        Ok(SealedMandate { jws, claims: self.0 })
    }
}

/// A signed mandate that nobody may see yet.
pub struct SealedMandate {
    jws: String,
    claims: Claims,
}

/// The receipt is for something else than this mandate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the receipt does not prove the issuance of this mandate")]
pub struct ReleaseError;

impl SealedMandate {
    /// The claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// SHA-256 over the compact form, for the record. It says nothing of the content to who does not have it: nobody can
    /// guess the signature.
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(self.jws.as_bytes())
    }

    /// Hands the mandate out, now that its issuance is on record.
    ///
    /// # Errors
    /// When the receipt is not for this mandate.
    pub fn release(self, receipt: &Receipt) -> Result<Mandate, ReleaseError> {
        if !receipt.proves_issuance_of(self.claims.jti) {
            return Err(ReleaseError);
        }
        Ok(Mandate { jws: self.jws, claims: self.claims })
    }
}

impl fmt::Debug for SealedMandate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedMandate({})", self.claims.jti)
    }
}

/// A mandate that was issued: signed, recorded, for the agent alone.
pub struct Mandate {
    jws: String,
    claims: Claims,
}

impl Mandate {
    /// The token to send.
    pub fn as_jws(&self) -> &str {
        &self.jws
    }

    /// The claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Its id.
    pub fn jti(&self) -> Jti {
        self.claims.jti
    }
}

impl fmt::Debug for Mandate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mandate({})", self.claims.jti)
    }
}
