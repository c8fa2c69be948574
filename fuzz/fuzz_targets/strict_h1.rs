//! The gate in front of HTTP/1.1: how bytes are cut into pieces changes nothing, what went on goes on again, and after a
//! refusal nothing does. The first byte says how the rest is cut.
#![no_main]

use atb::adapters::http::strict_h1::Gate;
use libfuzzer_sys::fuzz_target;

const MAX_HEAD: usize = 2048;

fn through(input: &[u8], size: usize) -> (bool, Vec<u8>) {
    let (mut gate, mut out) = (Gate::new(MAX_HEAD), Vec::new());
    for piece in input.chunks(size) {
        gate.feed(piece, &mut out);
    }
    let before = out.len();
    let shut = gate.is_shut();
    if shut {
        gate.feed(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", &mut out);
        assert_eq!(out.len(), before, "a shut gate lets nothing through");
    }
    (shut, out)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, input)) = bytes.split_first() else { return };
    let (shut, whole) = through(input, usize::MAX);
    let (shut_too, pieces) = through(input, usize::from(*cut).max(1));
    assert_eq!(shut, shut_too);
    if shut {
        return;
    }
    assert_eq!(whole, pieces);
    assert!(input.starts_with(&whole), "nothing is changed");
    assert_eq!(through(&whole, usize::MAX), (false, whole.clone()));
});
