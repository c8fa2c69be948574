//! The tree's frontier as it is stored, and proofs over it: what reads writes the same, no proof of anybody panics.
#![no_main]

use atb::domain::id::Sha256Digest;
use atb::domain::ledger::{Frontier, LeafHash, verify_consistency, verify_inclusion};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(frontier) = Frontier::from_bytes(bytes) {
        assert_eq!(frontier.to_bytes(), bytes);
        let mut next = frontier.clone();
        if frontier.size() < u64::MAX {
            next.append(LeafHash::of(b"x"));
            assert_eq!(next.size(), frontier.size() + 1);
        }
    }
    let Some((numbers, rest)) = bytes.split_first_chunk::<16>() else { return };
    let (index, size) = numbers.split_at(8);
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
    let (index, size) = (number(index), number(size));
    let nodes: Vec<_> = rest.as_chunks::<32>().0.iter().map(|node| Sha256Digest::from_bytes(*node)).collect();
    let Some((root, proof)) = nodes.split_first() else { return };
    let _ = verify_inclusion(LeafHash::of(b"x"), index, size, *root, proof);
    let Some((other, proof)) = proof.split_first() else { return };
    let _ = verify_consistency(index, *root, size, *other, proof);
});
