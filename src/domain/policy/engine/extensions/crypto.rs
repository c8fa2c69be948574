//! `crypto.*`: hashes and message authentication codes, in lower-case hexadecimal.

use aws_lc_rs::{constant_time, digest, hmac};
use md5::{Digest as _, Md5};
use regorus::Value;

use super::{Extension, Outcome, args, extension};

pub(super) const TABLE: &[Extension] = &[
    extension("crypto.md5", 1, |_, a| Ok(hex(&Md5::digest(args::text(a, 0)?)))),
    extension("crypto.sha1", 1, |_, a| hash(&digest::SHA1_FOR_LEGACY_USE_ONLY, a)),
    extension("crypto.sha256", 1, |_, a| hash(&digest::SHA256, a)),
    extension("crypto.hmac.md5", 2, |_, a| Ok(hex(&hmac_md5(args::text(a, 1)?.as_bytes(), args::text(a, 0)?)))),
    extension("crypto.hmac.sha1", 2, |_, a| mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, a)),
    extension("crypto.hmac.sha256", 2, |_, a| mac(hmac::HMAC_SHA256, a)),
    extension("crypto.hmac.sha512", 2, |_, a| mac(hmac::HMAC_SHA512, a)),
    extension("crypto.hmac.equal", 2, |_, a| {
        let (left, right) = (args::text(a, 0)?, args::text(a, 1)?);
        Ok(Value::from(constant_time::verify_slices_are_equal(left.as_bytes(), right.as_bytes()).is_ok()))
    }),
];

fn hash(algorithm: &'static digest::Algorithm, a: &[Value]) -> Outcome {
    Ok(hex(digest::digest(algorithm, args::text(a, 0)?.as_bytes()).as_ref()))
}

fn mac(algorithm: hmac::Algorithm, a: &[Value]) -> Outcome {
    let (message, key) = (args::text(a, 0)?, args::text(a, 1)?);
    Ok(hex(hmac::sign(&hmac::Key::new(algorithm, key.as_bytes()), message.as_bytes()).as_ref()))
}

/// RFC 2104 over MD5, which aws-lc does not offer.
fn hmac_md5(key: &[u8], message: &str) -> [u8; 16] {
    const BLOCK: usize = 64;
    let mut block = [0_u8; BLOCK];
    let hashed;
    let key = if key.len() > BLOCK {
        hashed = Md5::digest(key);
        hashed.as_slice()
    } else {
        key
    };
    block.iter_mut().zip(key).for_each(|(slot, byte)| *slot = *byte);
    let inner = Md5::new().chain_update(block.map(|b| b ^ 0x36)).chain_update(message).finalize();
    Md5::new().chain_update(block.map(|b| b ^ 0x5c)).chain_update(inner).finalize().into()
}

fn hex(bytes: &[u8]) -> Value {
    Value::from(lower_hex(bytes))
}

pub(super) fn lower_hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).filter_map(|d| char::from_digit(u32::from(d), 16)).collect()
}
