//! The Merkle tree over the log: RFC 6962 §2.1 (the same tree as RFC 9162 §2.1), SHA-256.
//!
//! ```text
//! leaf  = SHA-256(0x00 || entry bytes)          node = SHA-256(0x01 || left || right)
//! D[n]  = D[0:k] + D[k:n], k the largest power of two below n
//! ```
//!
//! A tree that only grows at its right edge is held by its [`Frontier`]: the roots of the perfect subtrees that its
//! size is the sum of. Proofs are made from any source of perfect subtrees' roots ([`Subtree`]) and are checked by
//! third parties with [`verify_inclusion`] and [`verify_consistency`], which need no store.
//!
//! Not here: where nodes are kept (the store) and who vouches for a root (the checkpoint).

use sha2::{Digest as _, Sha256};

use crate::domain::id::Sha256Digest;

/// The hash of one entry's bytes as a leaf of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeafHash(Sha256Digest);

impl LeafHash {
    /// `SHA-256(0x00 || bytes)`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256Digest::from_bytes(Sha256::new().chain_update([0]).chain_update(bytes).finalize().into()))
    }

    /// A leaf hash that was computed earlier and stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Sha256Digest::from_bytes(bytes))
    }

    /// The raw 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The leaf as the root of a tree of one.
    pub fn digest(self) -> Sha256Digest {
        self.0
    }
}

/// `SHA-256(0x01 || left || right)`.
fn node_hash(left: Sha256Digest, right: Sha256Digest) -> Sha256Digest {
    let hash = Sha256::new().chain_update([1]).chain_update(left.as_bytes()).chain_update(right.as_bytes());
    Sha256Digest::from_bytes(hash.finalize().into())
}

/// The perfect subtree of the `2^level` leaves that start at `index * 2^level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subtree {
    /// Height above the leaves, below 64.
    pub level: u8,
    /// Position among the subtrees of that height.
    pub index: u64,
}

/// The right edge of a tree: all that appending and computing the root need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// The roots of the perfect subtrees, largest (leftmost) first: one for each bit set in `size`.
    peaks: Vec<Sha256Digest>,
}

impl Frontier {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The perfect subtrees whose roots a frontier of `size` consists of, left to right.
    pub fn subtrees(size: u64) -> impl Iterator<Item = Subtree> {
        (0..64_u8)
            .rev()
            .filter(move |level| size >> level & 1 == 1)
            .map(move |level| Subtree { level, index: (size >> level) - 1 })
    }

    /// The frontier of a tree of `size`, from the roots of [`Frontier::subtrees`]; `None` if their number is wrong.
    pub fn from_nodes(size: u64, nodes: Vec<Sha256Digest>) -> Option<Self> {
        (nodes.len() == size.count_ones() as usize).then_some(Self { size, peaks: nodes })
    }

    /// This frontier's subtrees with their roots, left to right.
    pub fn nodes(&self) -> impl Iterator<Item = (Subtree, Sha256Digest)> + '_ {
        Self::subtrees(self.size).zip(self.peaks.iter().copied())
    }

    /// The frontier of the same tree when its size was last a multiple of `2^level`.
    pub fn rounded_down(&self, level: u8) -> Self {
        let size = self.size.checked_shr(u32::from(level)).unwrap_or(0).checked_shl(u32::from(level)).unwrap_or(0);
        let kept = size.count_ones() as usize;
        Self { size, peaks: self.peaks.iter().copied().take(kept).collect() }
    }

    /// Adds a leaf on the right.
    pub fn append(&mut self, leaf: LeafHash) {
        self.append_with(leaf, |_, _| {});
    }

    /// Adds a leaf on the right and names every perfect subtree of two or more leaves that it completes.
    pub fn append_with(&mut self, leaf: LeafHash, mut completed: impl FnMut(Subtree, Sha256Digest)) {
        let mut hash = leaf.digest();
        let mut level = 0_u8;
        while self.size.checked_shr(u32::from(level)).unwrap_or(0) & 1 == 1
            && let Some(left) = self.peaks.pop()
        {
            hash = node_hash(left, hash);
            level += 1;
            completed(Subtree { level, index: self.size >> level }, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// Adds the perfect subtree of the next `2^level` leaves by its root; false, and nothing added, where the size is no
    /// multiple of that.
    pub fn append_subtree(&mut self, level: u8, root: Sha256Digest) -> bool {
        let aligned = level < 63 && self.size.trailing_zeros() >= u32::from(level);
        if !aligned {
            return false;
        }
        let (mut hash, mut height) = (root, level);
        while self.size >> height & 1 == 1
            && let Some(left) = self.peaks.pop()
        {
            hash = node_hash(left, hash);
            height += 1;
        }
        self.peaks.push(hash);
        self.size += 1 << level;
        true
    }

    /// The tree's root; SHA-256 of nothing for the empty tree.
    pub fn root(&self) -> Sha256Digest {
        let mut peaks = self.peaks.iter().rev().copied();
        let Some(last) = peaks.next() else { return Sha256Digest::of(b"") };
        peaks.fold(last, |right, left| node_hash(left, right))
    }

    /// Size (8 bytes, big endian), then the subtrees' roots.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        self.peaks.iter().for_each(|peak| bytes.extend_from_slice(peak.as_bytes()));
        bytes
    }

    /// Reads what [`Frontier::to_bytes`] wrote; `None` if it is anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (size, peaks) = bytes.split_first_chunk::<8>()?;
        let (peaks, rest) = peaks.as_chunks::<32>();
        let peaks = peaks.iter().map(|p| Sha256Digest::from_bytes(*p)).collect();
        if rest.is_empty() { Self::from_nodes(u64::from_be_bytes(*size), peaks) } else { None }
    }
}

/// Why a proof could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The entry is not in a tree of that size, or the older tree is not the smaller one.
    #[error("there is no such proof in a tree of {0} entries")]
    OutOfRange(u64),
    /// The source does not have a subtree that the proof needs.
    #[error("the log does not have the subtree at level {} index {}", .0.level, .0.index)]
    Missing(Subtree),
}

/// The audit path of the leaf `index` in the tree of `size` leaves (RFC 6962 §2.1.1), nearest sibling first.
///
/// `node` gives the root of a perfect subtree. Which ones are asked for depends on `index` and `size` alone, so that an
/// asynchronous source can collect them in a first pass with a made-up answer.
///
/// # Errors
/// When the leaf is not in the tree or `node` does not know a subtree.
pub fn inclusion_proof(
    index: u64,
    size: u64,
    mut node: impl FnMut(Subtree) -> Option<Sha256Digest>,
) -> Result<Vec<Sha256Digest>, ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange(size));
    }
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(range_root(middle, end, &mut node)?);
            end = middle;
        } else {
            path.push(range_root(start, middle, &mut node)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of `old` leaves is a prefix of the tree of `new` leaves (RFC 6962 §2.1.2). Empty when they
/// are the same tree or the older one is empty. `node` as in [`inclusion_proof`].
///
/// # Errors
/// When `old > new` or `node` does not know a subtree.
pub fn consistency_proof(
    old: u64,
    new: u64,
    mut node: impl FnMut(Subtree) -> Option<Sha256Digest>,
) -> Result<Vec<Sha256Digest>, ProofError> {
    if old > new {
        return Err(ProofError::OutOfRange(new));
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let mut path = Vec::new();
    let (mut start, mut end) = (0, new);
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            path.push(range_root(middle, end, &mut node)?);
            end = middle;
        } else {
            path.push(range_root(start, middle, &mut node)?);
            start = middle;
        }
    }
    // The subtree that both trees share is left out when it is the whole older tree: the verifier has its root.
    if start != 0 {
        path.push(range_root(start, end, &mut node)?);
    }
    path.reverse();
    Ok(path)
}

/// Whether `proof` shows that `leaf` is at `index` in the tree of `size` leaves with that `root` (RFC 9162 §2.1.3.2).
pub fn verify_inclusion(leaf: LeafHash, index: u64, size: u64, root: Sha256Digest, proof: &[Sha256Digest]) -> bool {
    if index >= size {
        return false;
    }
    let (mut position, mut last) = (index, size - 1);
    let mut hash = leaf.digest();
    for &sibling in proof {
        if last == 0 {
            return false;
        }
        if position & 1 == 1 || position == last {
            hash = node_hash(sibling, hash);
            skip_lone_levels(&mut position, &mut last);
        } else {
            hash = node_hash(hash, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    last == 0 && hash == root
}

/// Whether `proof` shows that the tree of `old` leaves with `old_root` is a prefix of the tree of `new` leaves with
/// `new_root` (RFC 9162 §2.1.4.2).
pub fn verify_consistency(
    old: u64,
    old_root: Sha256Digest,
    new: u64,
    new_root: Sha256Digest,
    proof: &[Sha256Digest],
) -> bool {
    match old {
        _ if old > new => return false,
        0 => return proof.is_empty() && old_root == Frontier::new().root(),
        _ if old == new => return proof.is_empty() && old_root == new_root,
        _ => {}
    }
    let mut hashes = proof.iter().copied();
    let seed = if old.is_power_of_two() { Some(old_root) } else { hashes.next() };
    let Some(seed) = seed else { return false };
    let (mut old_hash, mut new_hash) = (seed, seed);
    let (mut position, mut last) = (old - 1, new - 1);
    while position & 1 == 1 {
        position >>= 1;
        last >>= 1;
    }
    for sibling in hashes {
        if last == 0 {
            return false;
        }
        if position & 1 == 1 || position == last {
            old_hash = node_hash(sibling, old_hash);
            new_hash = node_hash(sibling, new_hash);
            skip_lone_levels(&mut position, &mut last);
        } else {
            new_hash = node_hash(new_hash, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == old_root && new_hash == new_root
}

/// Climbs over the levels where a right edge without a sibling is carried up unchanged.
fn skip_lone_levels(position: &mut u64, last: &mut u64) {
    while *position & 1 == 0 && *position != 0 {
        *position >>= 1;
        *last >>= 1;
    }
}

/// The largest power of two below `n`, for `n` of two or more.
fn split(n: u64) -> u64 {
    1 << (63 - (n - 1).leading_zeros())
}

/// The root over the leaves `start..end`, where `start` is a multiple of a power of two of at least `end - start`.
fn range_root(
    start: u64,
    end: u64,
    node: &mut impl FnMut(Subtree) -> Option<Sha256Digest>,
) -> Result<Sha256Digest, ProofError> {
    let mut peaks = Vec::new();
    let mut from = start;
    for Subtree { level, .. } in Frontier::subtrees(end - start) {
        let subtree = Subtree { level, index: from >> level };
        peaks.push(node(subtree).ok_or(ProofError::Missing(subtree))?);
        from += 1 << level;
    }
    Ok(Frontier { size: end - start, peaks }.root())
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
