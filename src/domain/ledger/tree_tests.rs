//! The tree against RFC 6962's recursive definition and against an implementation by others.

use proptest::prelude::*;

use super::*;

fn leaves(n: u64) -> Vec<LeafHash> {
    (0..n).map(|i| LeafHash::of(format!("entry {i}").as_bytes())).collect()
}

/// RFC 6962 §2.1, word for word.
fn naive_root(leaves: &[LeafHash]) -> Sha256Digest {
    match leaves {
        [] => Sha256Digest::of(b""),
        [leaf] => leaf.digest(),
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(naive_root(left), naive_root(right))
        }
    }
}

fn source(leaves: &[LeafHash]) -> impl Fn(Subtree) -> Option<Sha256Digest> + '_ {
    move |s| {
        let start = usize::try_from(s.index << s.level).ok()?;
        leaves.get(start..start + (1 << s.level)).map(naive_root)
    }
}

fn frontier(leaves: &[LeafHash]) -> Frontier {
    leaves.iter().fold(Frontier::new(), |mut f, leaf| {
        f.append(*leaf);
        f
    })
}

struct Others(Vec<tlog_tiles::Hash>);

impl tlog_tiles::HashReader for Others {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|i| self.0[*i as usize]).collect())
    }
}

fn others(n: u64) -> Others {
    let mut hashes = Others(Vec::new());
    for i in 0..n {
        let new = tlog_tiles::stored_hashes(i, format!("entry {i}").as_bytes(), &hashes).unwrap();
        hashes.0.extend(new);
    }
    hashes
}

#[test]
fn an_empty_tree_has_the_hash_of_nothing() {
    assert_eq!(Frontier::new().root().to_hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[test]
fn every_small_tree_agrees_with_the_definition_and_with_another_implementation() {
    let all = leaves(130);
    let theirs = others(130);
    for n in 0..=all.len() {
        let root = frontier(&all[..n]).root();
        assert_eq!(root, naive_root(&all[..n]), "size {n}");
        if n > 0 {
            assert_eq!(root.as_bytes(), &tlog_tiles::tree_hash(n as u64, &theirs).unwrap().0, "size {n}");
        }
    }
}

#[test]
fn every_inclusion_proof_of_small_trees_is_the_one_that_others_make_and_verifies_for_its_leaf_alone() {
    let all = leaves(40);
    let theirs = others(40);
    for size in 1..=40_u64 {
        let root = naive_root(&all[..size as usize]);
        for index in 0..size {
            let proof = inclusion_proof(index, size, source(&all)).unwrap();
            let expected = tlog_tiles::prove_record(size, index, &theirs).unwrap();
            assert!(proof.iter().map(|h| *h.as_bytes()).eq(expected.iter().map(|h| h.0)), "{index} of {size}");
            for (other, leaf) in all.iter().enumerate().take(size as usize) {
                let right = other as u64 == index;
                assert_eq!(verify_inclusion(*leaf, index, size, root, &proof), right);
                assert_eq!(verify_inclusion(all[index as usize], other as u64, size, root, &proof), right);
            }
        }
        assert_eq!(inclusion_proof(size, size, source(&all)), Err(ProofError::OutOfRange(size)));
    }
}

#[test]
fn every_consistency_proof_of_small_trees_is_the_one_that_others_make_and_verifies_for_its_roots_alone() {
    let all = leaves(40);
    let theirs = others(40);
    let roots: Vec<_> = (0..=40).map(|n| naive_root(&all[..n])).collect();
    for new in 0..=40_u64 {
        for old in 0..=new {
            let proof = consistency_proof(old, new, source(&all)).unwrap();
            if old > 0 {
                let expected = tlog_tiles::prove_tree(new, old, &theirs).unwrap();
                assert!(proof.iter().map(|h| *h.as_bytes()).eq(expected.iter().map(|h| h.0)), "{old} to {new}");
            }
            for (other, root) in roots.iter().enumerate() {
                let (is_old, is_new) = (other as u64 == old, other as u64 == new);
                assert_eq!(verify_consistency(old, *root, new, roots[new as usize], &proof), is_old, "{old} {new}");
                if old > 0 {
                    assert_eq!(verify_consistency(old, roots[old as usize], new, *root, &proof), is_new);
                }
            }
        }
        assert!(consistency_proof(new + 1, new, source(&all)).is_err());
    }
}

#[test]
fn a_proof_with_a_hash_more_or_less_is_refused() {
    let all = leaves(37);
    let root = naive_root(&all);
    let proof = inclusion_proof(20, 37, source(&all)).unwrap();
    let mut longer = proof.clone();
    longer.push(root);
    assert!(!verify_inclusion(all[20], 20, 37, root, &longer));
    assert!(!verify_inclusion(all[20], 20, 37, root, &proof[1..]));
    let proof = consistency_proof(20, 37, source(&all)).unwrap();
    let mut longer = proof.clone();
    longer.push(root);
    let old = naive_root(&all[..20]);
    assert!(!verify_consistency(20, old, 37, root, &longer));
    assert!(!verify_consistency(20, old, 37, root, &proof[..proof.len() - 1]));
    assert!(!verify_consistency(20, old, 37, root, &[]));
}

#[test]
fn a_missing_subtree_is_named() {
    let found = inclusion_proof(0, 8, |s| (s.level != 2).then(|| Sha256Digest::of(b"x")));
    assert_eq!(found, Err(ProofError::Missing(Subtree { level: 2, index: 1 })));
}

#[test]
fn a_frontier_of_another_shape_is_not_read() {
    let bytes = frontier(&leaves(5)).to_bytes();
    assert!(Frontier::from_bytes(&bytes).is_some());
    assert!(Frontier::from_bytes(&bytes[..bytes.len() - 1]).is_none());
    assert!(Frontier::from_bytes(&bytes[..40]).is_none(), "a peak is missing");
    assert!(Frontier::from_bytes(&bytes[..7]).is_none());
}

proptest! {
    #[test]
    fn a_frontier_is_the_same_however_it_was_interrupted(n in 0_u64..700, cut in 0_u64..700) {
        let all = leaves(n);
        let cut = cut.min(n) as usize;
        let mut f = Frontier::from_bytes(&frontier(&all[..cut]).to_bytes()).unwrap();
        let nodes = Frontier::subtrees(cut as u64).map(|s| source(&all)(s).unwrap()).collect();
        prop_assert_eq!(Frontier::from_nodes(cut as u64, nodes), Some(f.clone()));
        let mut completed = Vec::new();
        all[cut..].iter().for_each(|leaf| f.append_with(*leaf, |s, hash| completed.push((s, hash))));
        prop_assert_eq!(f.root(), naive_root(&all));
        for (subtree, hash) in completed {
            prop_assert_eq!(source(&all)(subtree), Some(hash));
        }
        let rounded = f.rounded_down(8);
        prop_assert_eq!(rounded, frontier(&all[..all.len() / 256 * 256]));
    }
}
