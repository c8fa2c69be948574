//! What outsiders hand in of the log: notes, keys, cosignatures, proofs, paths of tiles.
#![no_main]

use atb::domain::ledger::{InclusionProof, LogVerifier, TilePath, WitnessKey, notes};
use libfuzzer_sys::fuzz_target;

/// That of the golden checkpoint.
const KEY: &str = "atb.example/broker-1+011a47c8+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";

fuzz_target!(|text: &str| {
    let ours: LogVerifier = KEY.parse().expect("a key");
    let _ = ours.verify(text);
    let _ = text.parse::<LogVerifier>();
    let _ = text.parse::<WitnessKey>();
    let _ = InclusionProof::from_tlog_proof(text, b"entry");
    if let Ok(path) = text.parse::<TilePath>() {
        assert_eq!(path.to_string(), text);
    }
    let (whole, incomplete) = notes::split(text);
    // A newline may be missing behind the last one.
    assert!(incomplete <= text.len() && whole.iter().map(String::len).sum::<usize>() <= text.len() + 1);
    let _ = notes::mend(text);
});
