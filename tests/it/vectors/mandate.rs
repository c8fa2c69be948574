//! Mandates: the good ones and one defect each.

use ed25519_dalek::{Signer as _, SigningKey};
use sha2::Digest as _;

use super::people::{AGENTAUTH, BOB, CAROL, THIEF};
use super::{
    NOW, Vector, base64url, changed, in_order, jws, jws_with_small_order_r, signing_input, statement, without,
};

const CID: &str = "019ad741-0000-7000-8000-00000000c1d0";
/// The order of the group of edwards25519, little-endian (RFC 8032 §5.1).
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn key() -> SigningKey {
    SigningKey::from_bytes(&[AGENTAUTH; 32])
}

pub fn x() -> String {
    base64url(key().verifying_key().as_bytes())
}

/// RFC 7638 §3.
pub fn thumbprint(x: &str) -> String {
    base64url(&sha2::Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)))
}

fn header() -> String {
    format!(r#"{{"alg":"EdDSA","typ":"poa+jwt","kid":"{}"}}"#, thumbprint(&x()))
}

const GROUND: &str = r#""jurisdiction":"DE","accountable_party":{"type":"employee","id":"dave"},"basis":"CONTRACT","ref":"MSA-1001","description":"look up order O-2001","template":{"id":"contract","version":"1.0.0","digest":"sha-256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}"#;

fn claims() -> String {
    format!(
        r#"{{"iss":"spiffe://atb.dev/agentauth","sub":"spiffe://atb.dev/agent/procurement","aud":["spiffe://atb.dev/broker"],"act":"erp.order.read","con":{{}},"leg":{{{GROUND}}},"iat":{NOW},"nbf":{NOW},"exp":{},"jti":"019ad741-0000-7000-8000-0000000000a1","tier":"low","pol":"2026.12.01"}}"#,
        NOW + 300
    )
}

const CALL: &str = r#"{"connector":"erp","method":"POST","path":"/vendors/V-1001/bank-account","digest":"sha-256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}"#;

/// A mandate that has every member: two approvals, a ticket, constraints, one exact call.
fn dual_control() -> String {
    let ground = r#""jurisdiction":"EU","accountable_party":{"type":"employee","id":"dave","display_name":"Dave Dorn"},"basis":"LEGAL","ref":"MSA-1001","description":"change the bank account of vendor V-1001","template":{"id":"legal-obligation","version":"1.2.0","digest":"sha-256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},"ticket":{"system":"jira","ref":"FIN-7"},"regulation_refs":["GDPR Art. 6(1)(c)"],"retention_days":3650,"data_subject":"hmac-sha-256:0123456789abcdef:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","purpose":"payment","approval_ref":"CAB-12""#;
    let con = r#"{"payment_limit":{"max":25000}}"#;
    let ask = format!(
        r#"{{"sub":"spiffe://atb.dev/agent/procurement","act":"sap.vendor.change","con":{con},"leg":{{{ground}}},"req":{CALL},"ttl":300}}"#
    );
    let ask: serde_json::Value = serde_json::from_str(&ask).unwrap();
    let canonical = serde_json_canonicalizer::to_vec(&ask).unwrap();
    let sum = sha2::Sha256::digest(canonical).iter().map(|b| format!("{b:02x}")).collect::<String>();
    let approval = |seed: u8, name: &str, kind: &str| {
        let jws = statement::good(seed, CID, &format!("sha-256:{sum}"));
        format!(
            r#"{{"id":"spiffe://atb.dev/approver/{name}","type":"{kind}","approved_at":"2026-11-30T23:59:00.000Z","statement":"{jws}"}}"#
        )
    };
    let (bob, carol) = (approval(BOB, "bob", "approver"), approval(CAROL, "carol", "executive"));
    format!(
        r#"{{"iss":"spiffe://atb.dev/agentauth","sub":"spiffe://atb.dev/agent/procurement","aud":["spiffe://atb.dev/broker"],"act":"sap.vendor.change","con":{con},"leg":{{{ground},"dual_control":{{"required":true,"approvers":[{bob},{carol}]}}}},"iat":{NOW},"nbf":{NOW},"exp":{},"jti":"019ad741-0000-7000-8000-0000000000a2","tier":"high","pol":"2026.12.01","req":{CALL}}}"#,
        NOW + 300
    )
}

pub fn golden() -> Vec<(String, String, bool)> {
    // The order in which josekit writes a header is part of what other parties' parsers see.
    let header = format!(r#"{{"typ":"poa+jwt","kid":"{}","alg":"EdDSA"}}"#, thumbprint(&x()));
    vec![
        ("golden/mandate.jws".into(), jws(&header, &dual_control(), AGENTAUTH), false),
        ("golden/mandate-claims.json".into(), dual_control(), false),
    ]
}

pub fn vectors() -> Vec<Vector> {
    let mut vectors = headers();
    vectors.extend(claims_of_wrong_form());
    vectors.extend(claims_of_wrong_content());
    vectors.extend(envelopes());
    vectors
}

fn headers() -> Vec<Vector> {
    let good = header();
    let alg = |value: &str| changed(&good, r#""EdDSA""#, value);
    let member = |member: &str| changed(&good, "}", &format!(",{member}}}"));
    let kid = |value: &str| changed(&good, &format!(r#""{}""#, thumbprint(&x())), value);
    let vector = |name: &str, expected, what, header: String| {
        Vector::new(name, expected, what, jws(&header, &claims(), AGENTAUTH))
    };
    let hs256 = {
        let signed = signing_input(&alg(r#""HS256""#), &claims());
        let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key().verifying_key().as_bytes());
        format!("{signed}.{}", base64url(aws_lc_rs::hmac::sign(&secret, signed.as_bytes()).as_ref()))
    };
    let no = "mandate_malformed";
    let x = x();
    vec![
        vector("valid", "ok", "a low act", good.clone()),
        vector(
            "valid-header-in-other-order",
            "ok",
            "the order of members means nothing",
            format!(r#"{{"kid":"{}","typ":"poa+jwt","alg":"EdDSA"}}"#, thumbprint(&x)),
        ),
        Vector::new("alg-none", no, "not signed", format!("{}.", signing_input(&alg(r#""none""#), &claims()))),
        vector("alg-none-signed", no, "says that it is not signed", alg(r#""none""#)),
        Vector::new("alg-hs256", no, "the public key as a shared secret", hs256),
        vector("alg-rs256", no, "RSA", alg(r#""RS256""#)),
        vector("alg-es256", no, "good for statements only", alg(r#""ES256""#)),
        vector("alg-ed25519", no, "the name of RFC 9864", alg(r#""Ed25519""#)),
        vector("alg-lower-case", no, "another spelling", alg(r#""eddsa""#)),
        vector("alg-missing", no, "no algorithm", changed(&good, r#""alg":"EdDSA","#, "")),
        vector("kid-missing", no, "no key named", r#"{"alg":"EdDSA","typ":"poa+jwt"}"#.to_owned()),
        vector(
            "kid-unknown",
            "mandate_key_unknown",
            "a key that is not published",
            kid(&format!(r#""{}""#, thumbprint("other"))),
        ),
        vector("kid-path", no, "a path", kid(r#""../../keys/mandate.pem""#)),
        vector("kid-sql", no, "SQL", kid(r#""x' UNION SELECT key FROM keys --""#)),
        vector("kid-null", no, "null", kid("null")),
        vector(
            "header-jwk",
            no,
            "a key that the mandate brings along",
            member(&format!(r#""jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#)),
        ),
        vector("header-jku", no, "keys to fetch", member(r#""jku":"https://evil.example/jwks.json""#)),
        vector("header-x5u", no, "a chain to fetch", member(r#""x5u":"https://evil.example/chain.pem""#)),
        vector("header-x5c", no, "a chain", member(r#""x5c":["AAAA"]"#)),
        vector("header-crit", no, "an extension that must be understood", member(r#""crit":["exp"]"#)),
        vector("header-b64", no, "an unencoded payload (RFC 7797)", member(r#""b64":false,"crit":["b64"]"#)),
        vector("header-zip", no, "a compressed payload", member(r#""zip":"DEF""#)),
        vector("header-duplicate-alg", no, "two algorithms", member(r#""alg":"EdDSA""#)),
        vector("header-duplicate-escaped", no, "two algorithms, one spelt otherwise", member(r#""\u0061lg":"EdDSA""#)),
        vector("header-array", no, "not an object", format!("[{good}]")),
        vector("header-in-order", no, "the members without their names", in_order(&good, &["alg", "typ", "kid"])),
        vector("header-trailing-data", no, "something behind the object", format!("{good}{{}}")),
        vector("typ-jwt", no, "no type of ours", changed(&good, "poa+jwt", "JWT")),
        vector("typ-statement", no, "the type of a statement", changed(&good, "poa+jwt", "approval+jwt")),
        vector("typ-upper-case", no, "another spelling", changed(&good, "poa+jwt", "PoA+JWT")),
        vector("typ-missing", no, "no type", changed(&good, r#""typ":"poa+jwt","#, "")),
    ]
}

fn claims_of_wrong_form() -> Vec<Vector> {
    let good = claims();
    let vector = |name: &str, what, claims: String| {
        Vector::new(name, "mandate_malformed", what, jws(&header(), &claims, AGENTAUTH))
    };
    let claim = |name: &str, what, from: &str, to: &str| vector(name, what, changed(&good, from, to));
    let exp = format!(r#""exp":{}"#, NOW + 300);
    let time = |name: &str, what, to: &str| claim(name, what, &exp, &format!(r#""exp":{to}"#));
    let deep = format!(r#""con":{{"a":{}1{}}}"#, "[".repeat(40), "]".repeat(40));
    let approval = r#","approval":{"approver_id":"spiffe://atb.dev/approver/bob","approved_at":"2026-11-30T23:59:00Z","statement":"x"}"#;
    let mut vectors = vec![
        claim("claim-unknown", "a claim that nobody reads", r#""tier""#, r#""scope":"*","tier""#),
        claim("claim-duplicate", "two acts", r#""tier""#, r#""act":"erp.payment.process","tier""#),
        claim(
            "claim-duplicate-escaped",
            "two acts, one spelt otherwise",
            r#""tier""#,
            r#""\u0061ct":"erp.payment.process","tier""#,
        ),
        claim("req-null", "neither absent nor a call", r#""tier""#, r#""req":null,"tier""#),
        claim(
            "req-without-digest",
            "a call without its content",
            r#""tier""#,
            r#""req":{"connector":"erp","method":"GET","path":"/x"},"tier""#,
        ),
        claim("aud-string", "one broker, not a list", r#"["spiffe://atb.dev/broker"]"#, r#""spiffe://atb.dev/broker""#),
        claim("iss-trailing-slash", "not a SPIFFE ID", "atb.dev/agentauth", "atb.dev/agentauth/"),
        claim("sub-upper-case-domain", "not a SPIFFE ID", "atb.dev/agent/", "ATB.dev/agent/"),
        claim("act-look-alike", "a Cyrillic letter", r#""act":"erp"#, "\"act\":\"\u{435}rp"),
        claim("act-upper-case", "another spelling", r#""act":"erp"#, r#""act":"ERP"#),
        claim("act-wildcard", "more than one act", "erp.order.read", "erp.*"),
        claim("act-trailing-space", "another spelling", "erp.order.read", "erp.order.read "),
        claim("jti-version-4", "not a UUIDv7", "-7000-8000-0000000000a1", "-4000-8000-0000000000a1"),
        claim("jti-upper-case", "another spelling of a spent id", "0000000000a1", "0000000000A1"),
        claim("tier-unknown", "no tier of ours", r#""low""#, r#""none""#),
        time("exp-string", "a string", &format!("\"{}\"", NOW + 300)),
        time("exp-float", "not an integer", &format!("{}.0", NOW + 300)),
        time("exp-1e300", "a number that no integer holds", "1e300"),
        time("exp-negative", "before 1970", "-1"),
        time("exp-above-64-bits", "2^64", "18446744073709551616"),
        time("exp-null", "null", "null"),
        claim("con-array", "not an object", r#""con":{}"#, r#""con":[]"#),
        claim("con-duplicate-member", "two limits", r#""con":{}"#, r#""con":{"max":1,"max":1000}"#),
        claim("con-too-deep", "nested 40 deep", r#""con":{}"#, &deep),
        claim("con-nul", "a NUL character", r#""con":{}"#, r#""con":{"a":"\u0000"}"#),
        claim("leg-unknown-member", "a bypass flag", r#""leg":{"#, r#""leg":{"bypass":true,"#),
        claim("leg-approval-null", "neither absent nor an approval", r#""leg":{"#, r#""leg":{"approval":null,"#),
        claim(
            "leg-dual-control-not-required",
            "dual control that is none",
            r#""leg":{"#,
            r#""leg":{"dual_control":{"required":false,"approvers":[]},"#,
        ),
        claim("leg-jurisdiction-unknown", "no country", r#""DE""#, r#""XX""#),
        vector("claims-trailing-data", "something behind the object", format!("{good} {{}}")),
        vector("claims-array", "not an object", format!("[{good}]")),
        vector(
            "claims-in-order",
            "the claims without their names",
            in_order(&good, &["iss", "sub", "aud", "act", "con", "leg", "iat", "nbf", "exp", "jti", "tier", "pol"]),
        ),
        claim(
            "leg-party-in-order",
            "a person without the names of her members",
            r#"{"type":"employee","id":"dave"}"#,
            r#"["employee","dave"]"#,
        ),
        vector("claims-byte-order-mark", "a byte order mark", format!("\u{feff}{good}")),
        vector("oversized", "more than 16 KiB", claims().replace("look up", &"look up ".repeat(1600))),
        Vector::new(
            "leg-both-forms",
            "approval_form",
            "one approval beside dual control",
            jws(
                &header(),
                &changed(&dual_control(), r#","dual_control""#, &format!(r#"{approval},"dual_control""#)),
                AGENTAUTH,
            ),
        ),
    ];
    for member in ["iss", "sub", "aud", "act", "con", "leg", "iat", "nbf", "exp", "jti", "tier", "pol"] {
        vectors.push(vector(&format!("missing-{member}"), "a claim is missing", without(&good, member)));
    }
    vectors
}

fn claims_of_wrong_content() -> Vec<Vector> {
    let good = claims();
    let vector = |name: &str, expected, what, claims: String| {
        Vector::new(name, expected, what, jws(&header(), &claims, AGENTAUTH))
    };
    let times = |iat: u64, nbf: u64, exp: u64| {
        let claims = good.replace(&format!(r#""iat":{NOW}"#), &format!(r#""iat":{iat}"#));
        let claims = claims.replace(&format!(r#""nbf":{NOW}"#), &format!(r#""nbf":{nbf}"#));
        claims.replace(&format!(r#""exp":{}"#, NOW + 300), &format!(r#""exp":{exp}"#))
    };
    let aud = |aud: &str| changed(&good, r#"["spiffe://atb.dev/broker"]"#, aud);
    let many = format!("[{}]", vec![r#""spiffe://atb.dev/broker""#; 17].join(","));
    vec![
        vector(
            "valid-tied-to-a-call",
            "ok",
            "good for one exact call",
            changed(&good, r#","tier""#, &format!(r#","req":{CALL},"tier""#)),
        ),
        vector("valid-dual-control", "ok", "two approvals inside", dual_control()),
        vector(
            "valid-five-seconds-ahead",
            "ok",
            "the issuer's clock is a little ahead",
            times(NOW + 5, NOW + 5, NOW + 300),
        ),
        vector("valid-last-second", "ok", "the last second counts", times(NOW - 299, NOW - 299, NOW + 1)),
        vector(
            "iss-another",
            "mandate_issuer",
            "another issuer under our key",
            changed(&good, "atb.dev/agentauth", "atb.dev/broker"),
        ),
        vector("aud-another", "mandate_audience", "for another broker", aud(r#"["spiffe://atb.dev/broker/two"]"#)),
        vector("aud-empty", "mandate_audience", "for nobody", aud("[]")),
        vector("aud-17", "mandate_audience", "more brokers than a mandate may name", aud(&many)),
        vector("exp-largest-integer", "mandate_lifetime", "2^64 - 1", times(NOW, NOW, u64::MAX)),
        vector("lifetime-above-the-cap", "mandate_lifetime", "one second too long", times(NOW, NOW, NOW + 301)),
        vector("lifetime-zero", "mandate_lifetime", "exp is iat", times(NOW, NOW, NOW)),
        vector("exp-before-iat", "mandate_lifetime", "exp before iat", times(NOW, NOW, NOW - 1)),
        vector("nbf-after-exp", "mandate_lifetime", "never valid", times(NOW, NOW + 301, NOW + 300)),
        vector("nbf-before-iat", "mandate_lifetime", "valid before it was issued", times(NOW, NOW - 1, NOW + 300)),
        vector(
            "iat-in-the-future",
            "mandate_not_yet_valid",
            "issued a minute from now",
            times(NOW + 60, NOW + 60, NOW + 300),
        ),
        vector(
            "nbf-six-seconds-ahead",
            "mandate_not_yet_valid",
            "more than the leeway",
            times(NOW, NOW + 6, NOW + 300),
        ),
        vector("expired", "mandate_expired", "an hour ago", times(NOW - 3900, NOW - 3900, NOW - 3600)),
        vector(
            "expired-this-second",
            "mandate_expired",
            "good until now, and now is not before",
            times(NOW - 300, NOW - 300, NOW),
        ),
    ]
}

fn envelopes() -> Vec<Vector> {
    let good = jws(&header(), &claims(), AGENTAUTH);
    let parts: Vec<&str> = good.split('.').collect();
    let (head, payload, signature) = (parts[0], parts[1], parts[2]);
    let signed = format!("{head}.{payload}");
    let raw = key().sign(signed.as_bytes()).to_bytes();
    let with = |signature: &[u8]| format!("{signed}.{}", base64url(signature));
    let mut malleable = raw;
    let mut carry = 0_u16;
    for (byte, l) in malleable[32..].iter_mut().zip(L) {
        carry += u16::from(*byte) + u16::from(l);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    let mut small_order = [0; 64];
    small_order[0] = 1;
    let other = jws(&header(), &changed(&claims(), "0000a1", "0000a9"), AGENTAUTH);
    let other: Vec<&str> = other.split('.').collect();
    // The last of 86 characters carries two bits of the signature and four that must be zero.
    let last = signature.chars().last().unwrap();
    let spare = char::from(last as u8 + 1);
    let (no, forged) = ("mandate_malformed", "mandate_signature");
    vec![
        Vector::new(
            "base64-trailing-bits",
            no,
            "spare bits set in the signature",
            format!("{}{spare}", &good[..good.len() - 1]),
        ),
        Vector::new("base64-padding", no, "padding", format!("{good}==")),
        Vector::new("base64-standard-alphabet", no, "+ where - belongs", format!("{signed}.+{}", &signature[1..])),
        Vector::new(
            "base64-header-whitespace",
            no,
            "a line break in the header",
            format!("{}\n{}", &head[..8], &good[8..]),
        ),
        Vector::new("leading-space", no, "a space before it", format!(" {good}")),
        Vector::new("trailing-newline", no, "a line break behind it", format!("{good}\n")),
        Vector::new("segments-two", no, "no signature segment", signed.clone()),
        Vector::new("segments-four", no, "one segment too many", format!("{good}.{signature}")),
        Vector::new("segments-five", no, "the form of an encrypted token", format!("{good}..")),
        Vector::new("empty", no, "nothing", String::new()),
        Vector::new("payload-empty", no, "no claims (detached, RFC 7515 appendix F)", format!("{head}..{signature}")),
        Vector::new(
            "json-serialisation",
            no,
            "not the compact form",
            format!(r#"{{"payload":"{payload}","protected":"{head}","signature":"{signature}"}}"#),
        ),
        Vector::new("signature-empty", forged, "not signed", format!("{signed}.")),
        Vector::new("signature-truncated", forged, "63 bytes", with(&raw[..63])),
        Vector::new("signature-too-long", forged, "65 bytes", with(&[&raw[..], &[0]].concat())),
        Vector::new("signature-zero", forged, "64 zero bytes", with(&[0; 64])),
        Vector::new("signature-small-order", forged, "R is the identity, S is zero", with(&small_order)),
        Vector::new(
            "signature-small-order-r",
            forged,
            "R is the identity, S fits",
            jws_with_small_order_r(&header(), &claims(), AGENTAUTH),
        ),
        Vector::new("signature-malleable", forged, "S + L", with(&malleable)),
        Vector::new(
            "signature-of-another-mandate",
            forged,
            "the signature of another mandate",
            format!("{signed}.{}", other[2]),
        ),
        Vector::new(
            "payload-changed",
            forged,
            "the claims of another mandate",
            format!("{head}.{}.{signature}", other[1]),
        ),
        Vector::new(
            "signed-by-another-key",
            forged,
            "our key's name, another's signature",
            jws(&header(), &claims(), THIEF),
        ),
    ]
}
