//! What outsiders hand in of the log: notes, keys, cosignatures, proofs, paths of tiles.
#![no_main]

use atb::domain::ledger::{InclusionProof, LogVerifier, TilePath, WitnessKey, notes};
use libfuzzer_sys::fuzz_target;

/// The example of C2SP signed-note.
const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4iizy10TW";

fuzz_target!(|text: &str| {
    let ours: LogVerifier = KEY.parse().expect("a key");
    let _ = ours.verify(text);
    let _ = text.parse::<LogVerifier>();
    let _ = text.parse::<WitnessKey>();
    let _ = InclusionProof::from_tlog_proof(text, b"entry");
    if let Ok(path) = text.parse::<TilePath>() {
        assert_eq!(path.to_string(), text);
    }
    let (whole, kept) = notes::split(text);
    assert!(kept <= text.len() && whole.iter().map(String::len).sum::<usize>() <= text.len());
    let _ = notes::mend(text);
});
