//! Cosignatures: what a witness says of a checkpoint (C2SP tlog-cosignature, `cosignature/v1`, Ed25519).
//!
//! ```text
//! cosignature/v1                         signed by the witness:
//! time 1679315147                        two lines, then the checkpoint's text
//! atb.example/broker-1
//! 20852163
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//!
//! — witness.example/w1 base64(4 bytes of key hash || 8 bytes of time || Ed25519 signature)
//! ```
//!
//! A witness signs a checkpoint only if it continues the one that it signed before. A log that shows two histories to two
//! readers therefore gets the cosignatures of one history only: who asks for a quorum of witnesses cannot be shown the
//! other. Lines by unknown keys say nothing and are passed over; a line by a known key that does not verify is an error.
//!
//! Not here: how a witness is asked (its adapter) and which witnesses count (configuration, or the command line).

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, VerifyingKey};

use super::checkpoint::{Checkpoint, Origin, key_hash, read_key, signature_lines, write_key};
use crate::domain::time::Timestamp;

/// The signature type of Ed25519 cosignatures in signed notes.
const COSIGNATURE_V1: u8 = 4;
/// The most witnesses of a policy.
pub const MAX_WITNESSES: usize = 16;

/// Why a cosignature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CosignatureError {
    /// Not `name+hash+base64`, or of another kind of key.
    #[error("a witness's key is `name+8 hexadecimal digits+base64` of the type cosignature/v1 (0x04)")]
    WitnessKey,
    /// The lines are no signature lines.
    #[error("these are no signature lines of a note")]
    Malformed,
    /// A line that claims to be by the witness and is not.
    #[error("the cosignature of `{0}` is wrong")]
    BadSignature(Origin),
    /// Too few of the witnesses that were named signed it.
    #[error("{found} of the {required} cosignatures that are required are there; missing: {}", .missing.join(", "))]
    Quorum {
        /// How many there are.
        found: usize,
        /// How many are required.
        required: usize,
        /// Who did not sign.
        missing: Vec<String>,
    },
    /// A quorum that can never or will always be met.
    #[error("a quorum is 1 to the number of different witnesses, of which there are at most {MAX_WITNESSES}")]
    Policy,
}

/// The public key of a witness under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessKey {
    name: Origin,
    key: VerifyingKey,
}

/// A cosignature that verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    /// Who signed.
    pub witness: Origin,
    /// When, by the witness's clock.
    pub at: Timestamp,
    /// The line as it stands in a note.
    pub line: String,
}

impl WitnessKey {
    /// The witness's name.
    pub fn name(&self) -> &Origin {
        &self.name
    }

    /// This witness's cosignature of `checkpoint` among the lines that its note carries.
    ///
    /// # Errors
    /// When a line says that it is this witness's and does not verify.
    pub fn cosignature(&self, checkpoint: &Checkpoint) -> Result<Option<Cosignature>, CosignatureError> {
        let block = checkpoint.note().get(checkpoint.text().len() + 1..).unwrap_or_default();
        self.cosignature_in(checkpoint, block)
    }

    /// As [`WitnessKey::cosignature`], among `lines` that a witness answered. Of several the latest.
    ///
    /// # Errors
    /// When these are no signature lines, or one says that it is this witness's and does not verify.
    pub fn cosignature_in(
        &self,
        checkpoint: &Checkpoint,
        lines: &str,
    ) -> Result<Option<Cosignature>, CosignatureError> {
        let hash = key_hash(&self.name, COSIGNATURE_V1, &self.key);
        let mut latest: Option<Cosignature> = None;
        for line in signature_lines(lines).ok_or(CosignatureError::Malformed)? {
            if line.name != self.name.as_str() || line.key != hash {
                continue;
            }
            let at = self.signed_at(checkpoint, &line.signature)?;
            if latest.as_ref().is_none_or(|known| known.at < at) {
                latest = Some(Cosignature { witness: self.name.clone(), at, line: line.line.to_owned() });
            }
        }
        Ok(latest)
    }

    fn signed_at(&self, checkpoint: &Checkpoint, timestamped: &[u8]) -> Result<Timestamp, CosignatureError> {
        let bad = || CosignatureError::BadSignature(self.name.clone());
        let (time, signature) = timestamped.split_first_chunk::<8>().ok_or_else(bad)?;
        let time = u64::from_be_bytes(*time);
        let signature = Signature::from_slice(signature).map_err(|_| bad())?;
        let message = format!("cosignature/v1\ntime {time}\n{}", checkpoint.text());
        self.key.verify_strict(message.as_bytes(), &signature).map_err(|_| bad())?;
        // What no clock says is no time; the bound keeps milliseconds within 64 bits too.
        if time > u64::from(u32::MAX) * 64 { Err(bad()) } else { Ok(Timestamp::from_secs(time)) }
    }
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&write_key(&self.name, COSIGNATURE_V1, &self.key))
    }
}

impl FromStr for WitnessKey {
    type Err = CosignatureError;

    fn from_str(text: &str) -> Result<Self, CosignatureError> {
        let (name, key) = read_key(text, COSIGNATURE_V1).ok_or(CosignatureError::WitnessKey)?;
        Ok(Self { name, key })
    }
}

/// Whose cosignatures a checkpoint must carry to be believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WitnessPolicy {
    witnesses: Vec<WitnessKey>,
    quorum: usize,
}

impl WitnessPolicy {
    /// At least `quorum` of `witnesses`. No witnesses and a quorum of 0 ask for nothing.
    ///
    /// # Errors
    /// When the quorum can never be met or asks for nothing although witnesses are named, or a key is there twice.
    pub fn new(witnesses: Vec<WitnessKey>, quorum: usize) -> Result<Self, CosignatureError> {
        let twice = witnesses.iter().enumerate().any(|(n, one)| {
            // One key under two names would count for two.
            witnesses.iter().skip(n + 1).any(|other| one.key == other.key || one.name == other.name)
        });
        let sensible = if witnesses.is_empty() { quorum == 0 } else { (1..=witnesses.len()).contains(&quorum) };
        if twice || !sensible || witnesses.len() > MAX_WITNESSES {
            return Err(CosignatureError::Policy);
        }
        Ok(Self { witnesses, quorum })
    }

    /// Whether it asks for anything.
    pub fn is_empty(&self) -> bool {
        self.witnesses.is_empty()
    }

    /// The cosignatures by which `checkpoint` meets the policy.
    ///
    /// # Errors
    /// When too few of the witnesses signed it, or a line that names one of them does not verify.
    pub fn check(&self, checkpoint: &Checkpoint) -> Result<Vec<Cosignature>, CosignatureError> {
        let mut found = Vec::new();
        let mut missing = Vec::new();
        for witness in &self.witnesses {
            match witness.cosignature(checkpoint)? {
                Some(cosignature) => found.push(cosignature),
                None => missing.push(witness.name.to_string()),
            }
        }
        if found.len() >= self.quorum {
            return Ok(found);
        }
        Err(CosignatureError::Quorum { found: found.len(), required: self.quorum, missing })
    }
}

#[cfg(test)]
#[path = "cosignature_tests.rs"]
mod tests;
