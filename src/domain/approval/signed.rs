//! A compact JWS by the key of an SVID whose chain it brings: what statements and delegations have in common.
//!
//! Header `{alg, typ, x5c}` and nothing else (RFC 7515 §4.1.1, §4.1.9, §4.1.6); `alg` is `ES256` or `EdDSA` as the key
//! in the leaf says. Not here: what the claims mean, and until when they are good.

use base64ct::{Base64, Encoding};
use josekit::jws::{JwsHeader, JwsSigner};
use rustls_pki_types::CertificateDer;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::jose::{self, Alg, JwsError, UnverifiedJws, Verifier};
use crate::domain::spiffe::{Purpose, SpiffeId, SvidError, SvidKey, TrustBundles, UnverifiedSvid};
use crate::domain::time::Timestamp;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: Alg,
    typ: String,
    x5c: Vec<String>,
}

/// Why nobody's key stands behind such a JWS.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignedError {
    #[error(transparent)]
    Jws(#[from] JwsError),
    #[error(transparent)]
    Svid(#[from] SvidError),
    /// `alg` is not the algorithm of the key in the leaf.
    #[error("the algorithm is not that of the key in the leaf")]
    Algorithm,
}

/// Claims whose signature and chain were not checked.
#[derive(Debug, Clone)]
pub(super) struct UnverifiedSigned<P>(UnverifiedJws<Header, P>);

/// Claims with the identity whose key signed them.
pub(super) struct Signed<P> {
    pub(super) claims: P,
    pub(super) by: SpiffeId,
    /// The certificates between the leaf and a trusted authority.
    pub(super) intermediates: Vec<CertificateDer<'static>>,
    pub(super) jws: String,
}

impl<P: DeserializeOwned> UnverifiedSigned<P> {
    /// Takes a JWS of type `typ` and of at most `max_len` bytes apart.
    pub(super) fn parse(jws: &str, typ: &str, max_len: usize) -> Result<Self, JwsError> {
        let jws = UnverifiedJws::<Header, P>::parse(jws, max_len)?;
        if jws.header.typ != typ || !(1..=4).contains(&jws.header.x5c.len()) {
            return Err(JwsError::Header);
        }
        Ok(Self(jws))
    }
}

impl<P> UnverifiedSigned<P> {
    pub(super) fn unverified_claims(&self) -> &P {
        &self.0.unverified_payload
    }

    /// Verifies chain, key and signature; the chain as of `at`. Where `x5c` is the leaf alone, `lent` certificates stand
    /// between it and the authority: which certificates lie around proves nothing, a path to a trusted authority does.
    pub(super) fn verify(
        self,
        trust: &TrustBundles,
        at: Timestamp,
        lent: &[CertificateDer<'static>],
    ) -> Result<Signed<P>, SignedError> {
        let chain = certificates(&self.0.header.x5c)?;
        let vouched = |chain: &[_]| trust.verify(UnverifiedSvid::parse(chain)?, Purpose::Signer, at);
        let svid = match vouched(&chain) {
            Err(_) if chain.len() == 1 && !lent.is_empty() => vouched(&[&chain, lent].concat())?,
            judged => judged?,
        };
        let alg = self.0.header.alg;
        if !matches!((svid.key(), alg), (SvidKey::P256(_), Alg::Es256) | (SvidKey::Ed25519(_), Alg::EdDsa)) {
            return Err(SignedError::Algorithm);
        }
        let jws = self.0.as_str().to_owned();
        let key = svid.key().clone();
        let verifier = Verifier::new(alg, move |message: &[u8], signature: &[u8]| {
            key.verify_jws(alg.as_str(), message, signature).is_ok()
        });
        let (_, claims) = self.0.verify(&verifier)?;
        let intermediates = chain.get(1..).unwrap_or_default().to_vec();
        Ok(Signed { claims, by: svid.id().clone(), intermediates, jws })
    }
}

fn certificates(x5c: &[String]) -> Result<Vec<CertificateDer<'static>>, JwsError> {
    x5c.iter().map(|text| Base64::decode_vec(text).map(CertificateDer::from).map_err(|_| JwsError::Header)).collect()
}

/// Signs `claims` with the key of the leaf of `chain`.
pub(super) fn sign<P: Serialize>(
    claims: &P,
    typ: &str,
    signer: &dyn JwsSigner,
    chain: &[CertificateDer<'_>],
) -> Result<String, JwsError> {
    let mut header = JwsHeader::new();
    header.set_token_type(typ);
    header.set_x509_certificate_chain(&chain.iter().map(|der| der.as_ref().to_vec()).collect());
    let payload = serde_json::to_vec(claims).map_err(|error| JwsError::Claims(error.to_string()))?;
    jose::sign(&header, &payload, signer)
}
