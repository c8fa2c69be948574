//! Key sets: the good one and one defect each, named by the error.

use serde_json::json;

use super::base64url;
use super::mandate::{thumbprint, x};
use super::people::AGENTAUTH;

pub fn files() -> Vec<(String, String, bool)> {
    let key =
        |x: &str| json!({"kty": "OKP", "crv": "Ed25519", "x": x, "use": "sig", "alg": "EdDSA", "kid": thumbprint(x)});
    let with = |member: &str, value: serde_json::Value| {
        let mut key = key(&x());
        key[member] = value;
        json!([key])
    };
    let mut identity = [0; 32];
    identity[0] = 1;
    // y = p + 3: a point that is on the curve and not of small order, in its second spelling (RFC 8032 §5.1.3).
    let mut non_canonical = [0xff; 32];
    (non_canonical[0], non_canonical[31]) = (0xed + 3, 0x7f);
    let sets = [
        ("ok", json!([key(&x())])),
        ("weak-small-order", json!([key(&base64url(&identity))])),
        ("shape-non-canonical-point", json!([key(&base64url(&non_canonical))])),
        ("shape-short", json!([key("AQID")])),
        ("shape-padded", with("x", format!("{}=", x()).into())),
        ("shape-private", with("d", base64url(&[AGENTAUTH; 32]).into())),
        ("shape-rsa", with("kty", "RSA".into())),
        ("shape-x25519", with("crv", "X25519".into())),
        ("kid-another", with("kid", thumbprint("another").into())),
        ("kid-path", with("kid", "../../keys/mandate.pem".into())),
        ("count-none", json!([])),
        ("count-33", json!(vec![key(&x()); 33])),
    ];
    let file =
        |(name, keys)| (format!("vectors/mandate/jwks/{name}.json"), format!("{:#}\n", json!({ "keys": keys })), false);
    sets.map(file).into()
}
