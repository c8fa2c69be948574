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
    fn a_tree_goes_on_by_whole_subtrees_as_it_does_by_leaves(n in 0_u64..700, from in 0_u64..700) {
        let all = leaves(n);
        let from = from.min(n);
        let mut f = frontier(&all[..from as usize]);
        while f.size() < n {
            let level = (0..10_u8).rev().find(|level| f.size().trailing_zeros() >= u32::from(*level) && f.size() + (1 << level) <= n);
            let level = level.unwrap();
            let subtree = Subtree { level, index: f.size() >> level };
            prop_assert!(f.append_subtree(level, source(&all)(subtree).unwrap()));
        }
        prop_assert_eq!(&f, &frontier(&all));
        prop_assert!(f.size().is_multiple_of(2) || !f.append_subtree(1, f.root()), "a subtree does not start between two leaves");
    }

    #[test]
    fn a_proof_of_a_large_tree_verifies_for_its_leaf_place_size_and_order_alone(
        size in 1_u64..400, index in 0_u64..400, other in 0_u64..400, old in 1_u64..400, swap in 0_usize..9,
    ) {
        let all = leaves(400);
        let (index, old) = (index % size, 1 + old % size);
        let root = |n: u64| frontier(&all[..n as usize]).root();
        let proof = inclusion_proof(index, size, source(&all)).unwrap();
        let leaf = all[index as usize];
        prop_assert!(verify_inclusion(leaf, index, size, root(size), &proof));
        prop_assert_eq!(verify_inclusion(all[other as usize], index, size, root(size), &proof), other == index);
        prop_assert_eq!(verify_inclusion(leaf, other, size, root(size), &proof), other == index);
        if other > 0 && other != size {
            prop_assert!(!verify_inclusion(leaf, index, size, root(other), &proof), "the root of another size");
        }
        let mut exchanged = proof.clone();
        if swap + 1 < exchanged.len() {
            exchanged.swap(swap, swap + 1);
            prop_assert!(!verify_inclusion(leaf, index, size, root(size), &exchanged), "another order");
        }
        let proof = consistency_proof(old, size, source(&all)).unwrap();
        prop_assert!(verify_consistency(old, root(old), size, root(size), &proof));
        if other > 0 && other != old {
            prop_assert!(!verify_consistency(old, root(other), size, root(size), &proof), "another older root");
        }
        let mut exchanged = proof.clone();
        if swap + 1 < exchanged.len() {
            exchanged.swap(swap, swap + 1);
            prop_assert!(!verify_consistency(old, root(old), size, root(size), &exchanged), "another order");
        }
    }

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

/// The vectors of the certificate-transparency reference implementation (`cpp/merkletree/merkle_tree_test.cc`, and Go's
/// `transparency-dev/merkle`): eight entries, the root of each prefix, inclusion proofs and consistency proofs.
#[test]
fn the_published_vectors_of_the_reference_implementation_hold() {
    const ENTRIES: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
    };
    let digest = |hex: &str| Sha256Digest::from_bytes(bytes(hex).try_into().unwrap());
    let all: Vec<_> = ENTRIES.iter().map(|entry| LeafHash::of(&bytes(entry))).collect();
    for (n, root) in ROOTS.iter().enumerate() {
        assert_eq!(frontier(&all[..=n]).root().to_hex(), *root, "{} entries", n + 1);
    }
    let inclusion: [(u64, u64, &[&str]); 4] = [
        (0, 1, &[]),
        (
            0,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            5,
            8,
            &[
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    ];
    for (index, size, path) in inclusion {
        let path: Vec<_> = path.iter().map(|hash| digest(hash)).collect();
        assert_eq!(inclusion_proof(index, size, source(&all)).unwrap(), path, "{index} of {size}");
        let root = digest(ROOTS[size as usize - 1]);
        assert!(verify_inclusion(all[index as usize], index, size, root, &path), "{index} of {size}");
    }
    let consistency: [(u64, u64, &[&str]); 4] = [
        (1, 1, &[]),
        (
            1,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            6,
            8,
            &[
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            5,
            &[
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ];
    for (old, new, path) in consistency {
        let path: Vec<_> = path.iter().map(|hash| digest(hash)).collect();
        assert_eq!(consistency_proof(old, new, source(&all)).unwrap(), path, "{old} to {new}");
        let (old_root, new_root) = (digest(ROOTS[old as usize - 1]), digest(ROOTS[new as usize - 1]));
        assert!(verify_consistency(old, old_root, new, new_root, &path), "{old} to {new}");
    }
}
