//! The proof that one entry is in the log, as a document that needs no store: JSON, or C2SP tlog-proof.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! index 73894                                            the entry's number
//! gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=           audit path (RFC 6962 §2.1.1), nearest sibling first
//! …
//!                                                        (empty line)
//! atb.example/broker-1 …                                 the checkpoint, with its signatures
//! ```
//!
//! INVARIANT: [`InclusionProof::verify`] believes nothing in the document: the checkpoint's signature is checked with the
//! caller's key, the leaf is computed from the caller's bytes.

use base64ct::{Base64, Encoding as _};
use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, CheckpointError, LogVerifier};
use super::tree::{LeafHash, verify_inclusion};
use crate::domain::id::Sha256Digest;

/// The first line of a tlog-proof.
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// The longest audit path of a tree whose size is 64 bits.
const MAX_PATH: usize = 64;

/// Why an entry is not proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InclusionError {
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint is of another size than the proof.
    #[error("the proof is for another size than its checkpoint")]
    Size,
    /// The path does not lead from the entry to the root.
    #[error("the entry is not at this place of the log that was signed")]
    NotIncluded,
    /// Not a proof.
    #[error("this is not an inclusion proof")]
    Malformed,
}

/// That an entry stands at its number in the log of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InclusionProof {
    /// The entry's number.
    pub leaf_index: u64,
    /// The size of the log that the path is for.
    pub tree_size: u64,
    /// `SHA-256(0x00 || entry bytes)`.
    pub leaf_hash: Sha256Digest,
    /// From the entry's sibling up to the root's child.
    pub audit_path: Vec<Sha256Digest>,
    /// The signed note whose root it leads to.
    pub checkpoint: String,
}

impl InclusionProof {
    /// The proof of the entry `leaf_index`.
    pub fn new(leaf_index: u64, leaf: LeafHash, audit_path: Vec<Sha256Digest>, checkpoint: &Checkpoint) -> Self {
        Self {
            leaf_index,
            tree_size: checkpoint.size(),
            leaf_hash: leaf.digest(),
            audit_path,
            checkpoint: checkpoint.note().to_owned(),
        }
    }

    /// Checks that `entry` is in the log whose key is `verifier`; the checkpoint that says so.
    ///
    /// # Errors
    /// As the variants of [`InclusionError`] say.
    pub fn verify(&self, entry: &[u8], verifier: &LogVerifier) -> Result<Checkpoint, InclusionError> {
        let checkpoint = verifier.verify(&self.checkpoint)?;
        if checkpoint.size() != self.tree_size {
            return Err(InclusionError::Size);
        }
        let leaf = LeafHash::of(entry);
        let included = self.audit_path.len() <= MAX_PATH
            && leaf.digest() == self.leaf_hash
            && verify_inclusion(leaf, self.leaf_index, self.tree_size, checkpoint.root(), &self.audit_path);
        if included { Ok(checkpoint) } else { Err(InclusionError::NotIncluded) }
    }

    /// As C2SP tlog-proof. The leaf is not in it: who checks it has the entry.
    pub fn to_tlog_proof(&self) -> String {
        let mut text = format!("{HEADER}\nindex {}\n", self.leaf_index);
        for hash in &self.audit_path {
            text.push_str(&Base64::encode_string(hash.as_bytes()));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.checkpoint);
        text
    }

    /// Reads a tlog-proof for `entry`. An `extra` line is passed over: ATB has no use for one.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn from_tlog_proof(text: &str, entry: &[u8]) -> Result<Self, InclusionError> {
        const ERROR: InclusionError = InclusionError::Malformed;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(ERROR)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(ERROR);
        }
        let _ = lines.next_if(|line| line.starts_with("extra "));
        let written = lines.next().and_then(|line| line.strip_prefix("index ")).ok_or(ERROR)?;
        let leaf_index: u64 = written.parse().map_err(|_| ERROR)?;
        let hash = |line: &str| Base64::decode_vec(line).ok()?.try_into().ok().map(Sha256Digest::from_bytes);
        let audit_path: Option<Vec<_>> = lines.take(MAX_PATH + 1).map(hash).collect();
        let tree_size = checkpoint.split('\n').nth(1).and_then(|size| size.parse().ok()).ok_or(ERROR)?;
        if leaf_index.to_string() != written {
            return Err(ERROR);
        }
        Ok(Self {
            leaf_index,
            tree_size,
            leaf_hash: LeafHash::of(entry).digest(),
            audit_path: audit_path.ok_or(ERROR)?,
            checkpoint: checkpoint.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::domain::ledger::{Frontier, LogKey, Origin, inclusion_proof};

    fn entry(index: u64) -> Vec<u8> {
        format!("entry {index}").into_bytes()
    }

    fn proof(index: u64, size: u64) -> (LogVerifier, InclusionProof) {
        let leaves: Vec<_> = (0..size).map(|index| LeafHash::of(&entry(index))).collect();
        let root = |leaves: &[LeafHash]| {
            let mut tree = Frontier::new();
            leaves.iter().for_each(|leaf| tree.append(*leaf));
            tree.root()
        };
        let path = inclusion_proof(index, size, |subtree| {
            let first = usize::try_from(subtree.index << subtree.level).unwrap();
            leaves.get(first..first + (1 << subtree.level)).map(root)
        });
        let key = LogKey::new(SigningKey::from_bytes(&[7; 32]));
        let origin: Origin = "atb.example/broker-1".parse().unwrap();
        let checkpoint = key.sign(&origin, size, root(&leaves));
        let leaf = leaves[usize::try_from(index).unwrap()];
        (key.verifier(&origin), InclusionProof::new(index, leaf, path.unwrap(), &checkpoint))
    }

    #[test]
    fn both_forms_of_a_proof_verify_for_their_entry_alone() {
        for (index, size) in [(0, 1), (6, 7), (3, 100), (99, 100)] {
            let (verifier, proof) = proof(index, size);
            let text = proof.to_tlog_proof();
            assert_eq!(InclusionProof::from_tlog_proof(&text, &entry(index)).as_ref(), Ok(&proof));
            let json = serde_json::to_string(&proof).unwrap();
            assert_eq!(serde_json::from_str::<InclusionProof>(&json).unwrap(), proof);
            assert_eq!(proof.verify(&entry(index), &verifier).unwrap().size(), size);
            assert_eq!(proof.verify(&entry(index + 1), &verifier), Err(InclusionError::NotIncluded));
            let read = InclusionProof::from_tlog_proof(&text, &entry(index + 1)).unwrap();
            assert_eq!(read.verify(&entry(index + 1), &verifier), Err(InclusionError::NotIncluded));
        }
    }

    #[test]
    fn a_proof_with_another_place_size_path_or_checkpoint_is_refused() {
        let (verifier, good) = proof(3, 100);
        let changed = |change: fn(&mut InclusionProof)| {
            let mut proof = good.clone();
            change(&mut proof);
            proof.verify(&entry(3), &verifier).unwrap_err()
        };
        assert_eq!(changed(|p| p.leaf_index = 4), InclusionError::NotIncluded);
        assert_eq!(changed(|p| p.tree_size = 101), InclusionError::Size);
        assert_eq!(changed(|p| p.audit_path.truncate(5)), InclusionError::NotIncluded);
        assert_eq!(changed(|p| p.audit_path.swap(0, 1)), InclusionError::NotIncluded);
        assert_eq!(changed(|p| p.leaf_hash = Sha256Digest::of(b"")), InclusionError::NotIncluded);
        let other = changed(|p| p.checkpoint = p.checkpoint.replace("\n100\n", "\n101\n"));
        assert_eq!(other, InclusionError::Checkpoint(CheckpointError::BadSignature));
    }

    #[test]
    fn another_text_is_not_a_proof() {
        let text = proof(3, 100).1.to_tlog_proof();
        let with_extra = text.replacen("\nindex", "\nextra YQ==\nindex", 1);
        assert!(InclusionProof::from_tlog_proof(&with_extra, &entry(3)).is_ok());
        for (from, to) in [("@v1", "@v2"), ("index 3", "index 03"), ("index 3\n", ""), ("\n\n", "\n"), ("=", "")] {
            let changed = text.replacen(from, to, if from == "\n\n" { 9 } else { 1 });
            assert!(InclusionProof::from_tlog_proof(&changed, &entry(3)).is_err(), "{from:?}");
        }
    }
}
