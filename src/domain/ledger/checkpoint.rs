//! Checkpoints: what the log's owner signs, so that others can hold it to its history.
//!
//! ```text
//! atb.example/broker-1                                  origin: the log's name (C2SP tlog-checkpoint)
//! 20852163                                              size
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=          root of the RFC 6962 tree, base64
//!                                                       (empty line; C2SP signed-note)
//! — atb.example/broker-1 Az3grlgt…                      base64(4 bytes of key hash || Ed25519 signature)
//! ```
//!
//! The key's name is the origin. Lines by other keys (witnesses) are passed over, extension lines are refused: this
//! log writes none, so one that it signed cannot have them.

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64, Encoding as _};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::domain::id::Sha256Digest;

/// The longest note that is read: a checkpoint with a dozen of witnesses' lines is below 2 KiB.
const MAX_NOTE_BYTES: usize = 16 * 1024;
/// The signature type of Ed25519 in signed notes.
const ED25519: u8 = 1;

/// The name of a log: one for each writer, never used again for another history.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin(String);

impl Origin {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let allowed = |b: u8| b.is_ascii_graphic() && b != b'+';
        if text.is_empty() || text.len() > 255 || !text.bytes().all(allowed) {
            return Err(CheckpointError::Origin);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a checkpoint of the log that was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// A log's name with a space, a `+`, a control character or too many of them.
    #[error("a log's origin is 1 to 255 printable ASCII characters without space and `+`")]
    Origin,
    /// Not origin, size, root, empty line, signatures.
    #[error("this is not a signed checkpoint")]
    Malformed,
    /// A checkpoint, but of another log.
    #[error("the checkpoint is of another log")]
    OtherLog,
    /// No line by the log's key.
    #[error("the checkpoint is not signed by the log's key")]
    NotSigned,
    /// A line that claims to be by the log's key and is not.
    #[error("the signature of the checkpoint is wrong")]
    BadSignature,
    /// Not `name+hash+base64`, or a hash of another key.
    #[error("a verification key is `origin+8 hexadecimal digits+base64`, as the service wrote it to ledger.vkey")]
    VerifierKey,
}

/// A signed statement of the log's size and root, with the text that proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: Origin,
    size: u64,
    root: Sha256Digest,
    note: String,
}

impl Checkpoint {
    /// The log.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// How many entries it covers.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root over them.
    pub fn root(&self) -> Sha256Digest {
        self.root
    }

    /// The signed note, as published.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// What is signed: origin, size and root, each with its newline.
    pub fn text(&self) -> &str {
        let end = self.note.find("\n\n").map_or(self.note.len(), |end| end + 1);
        self.note.get(..end).unwrap_or_default()
    }

    /// The same checkpoint with further signature lines behind the log's own. A line that is there already is not
    /// repeated.
    #[must_use]
    pub fn with_lines<'l>(&self, lines: impl IntoIterator<Item = &'l str>) -> Self {
        let mut note = self.note.clone();
        for line in lines {
            if !note.lines().any(|present| present == line) {
                note.push_str(line);
                note.push('\n');
            }
        }
        Self { note, ..self.clone() }
    }
}

/// One line under a note: `— name base64(4 bytes of key hash || signature)` (C2SP signed-note).
pub(super) struct SignatureLine<'n> {
    pub(super) line: &'n str,
    pub(super) name: &'n str,
    pub(super) key: [u8; 4],
    pub(super) signature: Vec<u8>,
}

/// The lines of a signature block, each with its newline. `None` when one has another shape.
pub(super) fn signature_lines(block: &str) -> Option<Vec<SignatureLine<'_>>> {
    let read = |line: &'_ str| -> Option<([u8; 4], Vec<u8>)> {
        let (_, value) = line.strip_prefix("— ")?.split_once(' ')?;
        let value = Base64::decode_vec(value).ok()?;
        let (key, signature) = value.split_first_chunk::<4>()?;
        Some((*key, signature.to_vec()))
    };
    let lines = block.strip_suffix('\n')?.split('\n');
    lines
        .map(|line| {
            let (key, signature) = read(line)?;
            let (name, _) = line.strip_prefix("— ")?.split_once(' ')?;
            Some(SignatureLine { line, name, key, signature })
        })
        .collect()
}

/// The log's signing key. The key's bytes are erased when it is dropped.
pub struct LogKey(SigningKey);

impl LogKey {
    /// A log that signs with `key`.
    pub fn new(key: SigningKey) -> Self {
        Self(key)
    }

    /// Signs that the log `origin` has `size` entries under `root`.
    pub fn sign(&self, origin: &Origin, size: u64, root: Sha256Digest) -> Checkpoint {
        let text = format!("{origin}\n{size}\n{}\n", Base64::encode_string(root.as_bytes()));
        let mut line = key_hash(origin, ED25519, &self.0.verifying_key()).to_vec();
        line.extend_from_slice(&self.0.sign(text.as_bytes()).to_bytes());
        let note = format!("{text}\n— {origin} {}\n", Base64::encode_string(&line));
        Checkpoint { origin: origin.clone(), size, root, note }
    }

    /// What others verify the checkpoints of `origin` with.
    pub fn verifier(&self, origin: &Origin) -> LogVerifier {
        LogVerifier { origin: origin.clone(), key: self.0.verifying_key() }
    }
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogKey(…)")
    }
}

/// The log's public key under its name, written `origin+hash+base64` (C2SP signed-note "vkey").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogVerifier {
    origin: Origin,
    key: VerifyingKey,
}

impl LogVerifier {
    /// The log whose checkpoints this verifies.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Reads `note` and checks that the log signed it.
    ///
    /// # Errors
    /// When it is not a checkpoint, is of another log, or the log's signature is missing or wrong.
    pub fn verify(&self, note: &str) -> Result<Checkpoint, CheckpointError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(CheckpointError::Malformed);
        }
        let (text, signatures) = note.split_once("\n\n").ok_or(CheckpointError::Malformed)?;
        let (origin, size, root) = parse_text(text).ok_or(CheckpointError::Malformed)?;
        if origin != self.origin {
            return Err(CheckpointError::OtherLog);
        }
        let signed = note.get(..=text.len()).ok_or(CheckpointError::Malformed)?;
        let signature = self.own_signature(signatures)?;
        self.key.verify_strict(signed.as_bytes(), &signature).map_err(|_| CheckpointError::BadSignature)?;
        Ok(Checkpoint { origin, size, root, note: note.to_owned() })
    }

    /// The signature on the line of this key; every line must have the shape of one.
    fn own_signature(&self, block: &str) -> Result<Signature, CheckpointError> {
        let hash = key_hash(&self.origin, ED25519, &self.key);
        let lines = signature_lines(block).ok_or(CheckpointError::Malformed)?;
        let own = lines.iter().find(|line| line.name == self.origin.as_str() && line.key == hash);
        let own = own.ok_or(CheckpointError::NotSigned)?;
        Signature::from_slice(&own.signature).map_err(|_| CheckpointError::BadSignature)
    }
}

/// Origin, size and root of the three lines of `text`, each in its only spelling.
fn parse_text(text: &str) -> Option<(Origin, u64, Sha256Digest)> {
    let mut lines = text.split('\n');
    let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
    if lines.next().is_some() {
        return None;
    }
    let number: u64 = size.parse().ok()?;
    if number.to_string() != size {
        return None;
    }
    let root: [u8; 32] = Base64::decode_vec(root).ok()?.try_into().ok()?;
    Some((origin.parse().ok()?, number, Sha256Digest::from_bytes(root)))
}

/// The first four bytes of `SHA-256(name || "\n" || type || key)`.
pub(super) fn key_hash(name: &Origin, kind: u8, key: &VerifyingKey) -> [u8; 4] {
    let hash = Sha256::new().chain_update(name.as_str()).chain_update([b'\n', kind]).chain_update(key.as_bytes());
    hash.finalize().first_chunk().copied().unwrap_or_default()
}

impl fmt::Display for LogVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&write_key(&self.origin, ED25519, &self.key))
    }
}

impl FromStr for LogVerifier {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let (origin, key) = read_key(text, ED25519).ok_or(CheckpointError::VerifierKey)?;
        Ok(Self { origin, key })
    }
}

/// `name+hash+base64(type || key)` (C2SP signed-note, "verifier keys").
pub(super) fn write_key(name: &Origin, kind: u8, key: &VerifyingKey) -> String {
    let hash = u32::from_be_bytes(key_hash(name, kind, key));
    let mut typed = vec![kind];
    typed.extend_from_slice(key.as_bytes());
    format!("{name}+{hash:08x}+{}", Base64::encode_string(&typed))
}

/// Reads a key of the type `kind`. `None` for any other text, for a weak key, and for a second spelling of a key.
pub(super) fn read_key(text: &str, kind: u8) -> Option<(Origin, VerifyingKey)> {
    let mut parts = text.splitn(3, '+');
    let (name, _, key) = (parts.next()?, parts.next()?, parts.next()?);
    let typed: [u8; 33] = Base64::decode_vec(key).ok()?.try_into().ok()?;
    let [found, key @ ..] = typed;
    let key = VerifyingKey::from_bytes(&key).ok().filter(|key| found == kind && !key.is_weak())?;
    let name: Origin = name.parse().ok()?;
    // The hash in the text is checked by writing the key again: there is one spelling.
    (write_key(&name, kind, &key) == text).then_some((name, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = include_str!("../../../tests/golden/checkpoint.txt");

    fn key() -> LogKey {
        LogKey::new(SigningKey::from_bytes(&[7; 32]))
    }

    fn origin() -> Origin {
        "atb.example/broker-1".parse().unwrap()
    }

    fn golden() -> (LogVerifier, Checkpoint) {
        (key().verifier(&origin()), key().sign(&origin(), 20_852_163, Sha256Digest::of(b"a root")))
    }

    #[test]
    fn the_text_and_the_key_are_those_that_others_have_read_before() {
        let (verifier, checkpoint) = golden();
        assert_eq!(format!("{verifier}\n\n{}", checkpoint.note()), GOLDEN);
    }

    #[test]
    fn what_was_signed_is_read_back() {
        let (verifier, checkpoint) = golden();
        assert_eq!(verifier.verify(checkpoint.note()).unwrap(), checkpoint);
        assert_eq!(verifier.to_string().parse::<LogVerifier>().unwrap(), verifier);
    }

    #[test]
    fn another_implementation_verifies_our_note_with_our_key() {
        use signed_note::{Note, StandardVerifier, VerifierList};
        let (verifier, checkpoint) = golden();
        let note = Note::from_bytes(checkpoint.note().as_bytes()).unwrap();
        let theirs = StandardVerifier::new(&verifier.to_string()).unwrap();
        let (verified, _) = note.verify(&VerifierList::new(vec![Box::new(theirs)])).unwrap();
        assert_eq!(verified.len(), 1);
        let text = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
        assert_eq!((text.origin(), text.size()), (origin().as_str(), 20_852_163));
        assert_eq!(&text.hash().0, checkpoint.root().as_bytes());
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let (verifier, checkpoint) = golden();
        for i in 0..checkpoint.note().len() {
            let mut bytes = checkpoint.note().as_bytes().to_vec();
            bytes[i] ^= 1;
            if let Ok(note) = String::from_utf8(bytes) {
                assert!(verifier.verify(&note).is_err(), "byte {i}");
            }
        }
    }

    #[test]
    fn a_witness_line_is_passed_over_and_does_not_replace_the_logs_own() {
        let (verifier, checkpoint) = golden();
        let witness = LogKey::new(SigningKey::from_bytes(&[9; 32])).sign(&origin(), 1, checkpoint.root());
        let line = witness.note().split("\n\n").nth(1).unwrap();
        assert!(verifier.verify(&format!("{}{line}", checkpoint.note())).is_ok());
        let text = checkpoint.note().split("\n\n").next().unwrap();
        assert_eq!(verifier.verify(&format!("{text}\n\n{line}")), Err(CheckpointError::NotSigned));
    }

    #[test]
    fn another_spelling_of_the_same_facts_is_not_a_checkpoint() {
        let (verifier, checkpoint) = golden();
        let note = checkpoint.note();
        for (from, to) in
            [("20852163", "020852163"), ("20852163", "+20852163"), ("=\n\n", "=\nmore\n\n"), ("\n\n", "\n")]
        {
            assert_eq!(verifier.verify(&note.replacen(from, to, 1)), Err(CheckpointError::Malformed), "{to:?}");
        }
        let other: Origin = "atb.example/broker-2".parse().unwrap();
        assert_eq!(verifier.verify(key().sign(&other, 1, checkpoint.root()).note()), Err(CheckpointError::OtherLog));
    }

    #[test]
    fn a_key_with_another_hash_type_or_length_is_not_read() {
        let text = golden().0.to_string();
        for bad in [text.replacen('+', "", 1), text.replace("+01", "+02"), text.to_uppercase(), format!("{text}AA")] {
            let same = bad == text;
            assert!(same || bad.parse::<LogVerifier>().is_err(), "{bad}");
        }
        assert!("a b".parse::<Origin>().is_err());
        assert!("a+b".parse::<Origin>().is_err());
        assert!("".parse::<Origin>().is_err());
    }
}
