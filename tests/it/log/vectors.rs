//! Notes, cosignatures and proofs that Go's `golang.org/x/mod/sumdb` and `transparency-dev/formats` made, recorded once by
//! `tests/vectors/tlog/main.go` (`go run . > vectors.json`): ours are the same bytes, and theirs verify.

use atb::domain::id::Sha256Digest;
use atb::domain::ledger::{
    Frontier, LeafHash, LogKey, LogVerifier, Origin, Subtree, WitnessKey, consistency_proof, inclusion_proof,
    verify_consistency, verify_inclusion,
};
use base64ct::{Base64, Encoding as _};
use ed25519_dalek::SigningKey;
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../vectors/tlog/vectors.json")).unwrap()
}

fn text<'v>(vectors: &'v Value, name: &str) -> &'v str {
    vectors[name].as_str().unwrap()
}

fn leaves() -> Vec<LeafHash> {
    (0..300).map(|index| LeafHash::of(format!("entry {index}").as_bytes())).collect()
}

fn root(leaves: &[LeafHash]) -> Sha256Digest {
    let mut tree = Frontier::new();
    leaves.iter().for_each(|leaf| tree.append(*leaf));
    tree.root()
}

fn subtrees(leaves: &[LeafHash]) -> impl Fn(Subtree) -> Option<Sha256Digest> + '_ {
    |subtree| {
        let first = usize::try_from(subtree.index << subtree.level).unwrap();
        leaves.get(first..first + (1 << subtree.level)).map(root)
    }
}

#[test]
fn a_checkpoint_and_its_key_are_the_bytes_that_go_writes() {
    let vectors = vectors();
    let origin: Origin = "atb.example/broker-1".parse().unwrap();
    let key = LogKey::new(SigningKey::from_bytes(&[7; 32]));
    let verifier = key.verifier(&origin);
    assert_eq!(verifier.to_string(), text(&vectors, "verifier_key"));
    let checkpoint = key.sign(&origin, 300, root(&leaves()));
    assert_eq!(checkpoint.note(), text(&vectors, "checkpoint"));
}

#[test]
fn a_cosignature_that_go_made_verifies_and_counts() {
    let vectors = vectors();
    let verifier: LogVerifier = text(&vectors, "verifier_key").parse().unwrap();
    let witness: WitnessKey = text(&vectors, "witness_key").parse().unwrap();
    assert_eq!(witness.to_string(), text(&vectors, "witness_key"));
    let cosigned = verifier.verify(text(&vectors, "cosigned_checkpoint")).unwrap();
    let cosignature = witness.cosignature(&cosigned).unwrap().expect("the witness's line");
    assert_eq!(cosignature.witness.as_str(), "witness.example/w1");
    let plain = verifier.verify(text(&vectors, "checkpoint")).unwrap();
    assert_eq!(plain.with_lines([cosignature.line.as_str()]), cosigned);
    assert_eq!(witness.cosignature(&plain), Ok(None));
}

#[test]
fn proofs_are_those_that_go_makes() {
    let (vectors, leaves) = (vectors(), leaves());
    let path = |hashes: &Value| -> Vec<Sha256Digest> {
        let hash = |text: &Value| Base64::decode_vec(text.as_str().unwrap()).unwrap().try_into().unwrap();
        hashes.as_array().unwrap().iter().map(|text| Sha256Digest::from_bytes(hash(text))).collect()
    };
    let mut proofs = 0;
    for (index, theirs) in vectors["inclusion"].as_object().unwrap() {
        let (index, theirs): (u64, _) = (index.parse().unwrap(), path(theirs));
        assert_eq!(inclusion_proof(index, 300, subtrees(&leaves)).unwrap(), theirs, "{index}");
        assert!(verify_inclusion(leaves[usize::try_from(index).unwrap()], index, 300, root(&leaves), &theirs));
        proofs += 1;
    }
    for (old, theirs) in vectors["consistency"].as_object().unwrap() {
        let (old, theirs): (u64, _) = (old.parse().unwrap(), path(theirs));
        assert_eq!(consistency_proof(old, 300, subtrees(&leaves)).unwrap(), theirs, "{old}");
        let earlier = root(&leaves[..usize::try_from(old).unwrap()]);
        assert!(verify_consistency(old, earlier, 300, root(&leaves), &theirs));
        proofs += 1;
    }
    assert_eq!(proofs, 12);
}
