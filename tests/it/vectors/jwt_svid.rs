//! JWT-SVIDs: the good ones and one defect each. The keys are those of tests/vectors/jwt_svid/keys; whoever reads them can
//! make any JWT-SVID of these trust domains, which nobody trusts.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding,
};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::{NOW, Vector, base64url, changed, root, signing_input, without};

const EC: &str = "atb-ec";
const RSA: &str = "atb-rsa";
const PARTNER: &str = "partner-ec";

fn der(name: &str) -> Vec<u8> {
    let path = root().join(format!("vectors/jwt_svid/keys/{name}.pem"));
    PrivatePkcs8KeyDer::from_pem_file(path).unwrap().secret_pkcs8_der().to_vec()
}

fn ec(name: &str) -> EcdsaKeyPair {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der(name)).unwrap()
}

fn rsa() -> RsaKeyPair {
    RsaKeyPair::from_pkcs8(&der(RSA)).unwrap()
}

fn ec_jwk(name: &str) -> Value {
    let pair = ec(name);
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    json!({"kty": "EC", "crv": "P-256", "kid": name, "use": "jwt-svid", "x": base64url(x), "y": base64url(y)})
}

fn rsa_jwk() -> Value {
    let pair = rsa();
    let der = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
    let (_, info) = SubjectPublicKeyInfo::from_der(der.as_ref()).unwrap();
    let Ok(PublicKey::RSA(public)) = info.parsed() else { panic!("not an RSA key") };
    let strip = |bytes: &[u8]| base64url(bytes.strip_prefix(&[0]).unwrap_or(bytes));
    json!({"kty": "RSA", "kid": RSA, "use": "jwt-svid", "n": strip(public.modulus), "e": strip(public.exponent)})
}

/// The bundles, as a SPIFFE bundle endpoint serves them.
pub fn files() -> Vec<(String, String, bool)> {
    let bundle =
        |keys: Value| format!("{:#}\n", json!({"spiffe_sequence": 1, "spiffe_refresh_hint": 300, "keys": keys}));
    let mut x509 = ec_jwk(EC);
    (x509["kid"], x509["use"]) = ("x509".into(), "x509-svid".into());
    vec![
        ("vectors/jwt_svid/keys/atb.dev.json".into(), bundle(json!([ec_jwk(EC), rsa_jwk(), x509])), false),
        ("vectors/jwt_svid/keys/partner.example.json".into(), bundle(json!([ec_jwk(PARTNER)])), false),
    ]
}

fn header() -> String {
    format!(r#"{{"alg":"ES256","kid":"{EC}","typ":"JWT"}}"#)
}

fn claims() -> String {
    format!(
        r#"{{"sub":"spiffe://atb.dev/agent/procurement","aud":["spiffe://atb.dev/broker"],"iat":{NOW},"exp":{},"jti":"j-1"}}"#,
        NOW + 300
    )
}

fn signed(header: &str, claims: &str, key: &str) -> String {
    let input = signing_input(header, claims);
    let signature = ec(key).sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    format!("{input}.{}", base64url(signature.as_ref()))
}

fn signed_rsa(header: &str, padding: &'static dyn RsaEncoding) -> String {
    let (pair, input) = (rsa(), signing_input(header, &claims()));
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(padding, &SystemRandom::new(), input.as_bytes(), &mut signature).unwrap();
    format!("{input}.{}", base64url(&signature))
}

/// The twin of an ECDSA signature: (r, n − s) verifies too.
fn twin(jws: &str) -> String {
    const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let (input, signature) = jws.rsplit_once('.').unwrap();
    let mut signature = Base64UrlUnpadded::decode_vec(signature).unwrap();
    let mut borrow = 0_i16;
    for i in (0..32).rev() {
        let difference = i16::from(N[i]) - i16::from(signature[32 + i]) - borrow;
        borrow = i16::from(difference < 0);
        signature[32 + i] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    format!("{input}.{}", base64url(&signature))
}

pub fn vectors() -> Vec<Vector> {
    let mut vectors = headers();
    vectors.extend(claims_of_every_kind());
    vectors.extend(envelopes());
    vectors
}

fn headers() -> Vec<Vector> {
    let good = header();
    let vector = |name: &str, expected, what, header: String| {
        Vector::random(name, expected, what, signed(&header, &claims(), EC))
    };
    let alg = |value: &str| changed(&good, r#""ES256""#, value);
    let typ = |value: &str| changed(&good, r#""JWT""#, value);
    let member = |member: &str| changed(&good, "}", &format!(",{member}}}"));
    let rsa_header = |alg: &str| format!(r#"{{"alg":"{alg}","kid":"{RSA}"}}"#);
    let hs256 = {
        let input = signing_input(&alg(r#""HS256""#), &claims());
        let pair = ec(EC);
        let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap().as_ref().to_vec();
        let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &public);
        format!("{input}.{}", base64url(aws_lc_rs::hmac::sign(&secret, input.as_bytes()).as_ref()))
    };
    let no = "jwt_svid_header";
    let wrong_key = "jwt_svid_algorithm";
    vec![
        vector("valid", "ok", "as SPIRE makes one, with a jti", good.clone()),
        vector("valid-without-typ", "ok", "the type may be left out", changed(&good, r#","typ":"JWT""#, "")),
        vector("valid-typ-jose", "ok", "the other type", typ(r#""JOSE""#)),
        Vector::random("valid-rs256", "ok", "an RSA key", signed_rsa(&rsa_header("RS256"), &RSA_PKCS1_SHA256)),
        Vector::random("valid-ps256", "ok", "the same key with PSS", signed_rsa(&rsa_header("PS256"), &RSA_PSS_SHA256)),
        Vector::new("alg-none", no, "not signed", format!("{}.", signing_input(&alg(r#""none""#), &claims()))),
        vector("alg-none-signed", no, "says that it is not signed", alg(r#""none""#)),
        Vector::new("alg-hs256", no, "the public key as a shared secret", hs256),
        vector("alg-eddsa", no, "not an algorithm of JWT-SVIDs", alg(r#""EdDSA""#)),
        vector("alg-lower-case", no, "another spelling", alg(r#""es256""#)),
        vector("alg-missing", no, "no algorithm", changed(&good, r#""alg":"ES256","#, "")),
        vector("alg-of-another-curve", wrong_key, "ES384 with a P-256 key", alg(r#""ES384""#)),
        vector("alg-of-another-kind", wrong_key, "RS256 with an EC key", alg(r#""RS256""#)),
        Vector::random(
            "alg-rs256-but-pss",
            "jwt_svid_bad_signature",
            "another padding than it says",
            signed_rsa(&rsa_header("RS256"), &RSA_PSS_SHA256),
        ),
        Vector::random(
            "alg-es256-with-rsa-key",
            wrong_key,
            "ES256 with an RSA key",
            signed_rsa(&rsa_header("ES256"), &RSA_PKCS1_SHA256),
        ),
        vector("kid-missing", no, "no key named", changed(&good, &format!(r#""kid":"{EC}","#), "")),
        vector("kid-unknown", "jwt_svid_unknown_key", "not in the bundle", changed(&good, EC, "another")),
        vector("kid-of-x509", "jwt_svid_unknown_key", "the bundle has it for certificates", changed(&good, EC, "x509")),
        vector("kid-path", "jwt_svid_unknown_key", "a path", changed(&good, EC, "../../key")),
        vector("kid-null", no, "null", changed(&good, &format!(r#""{EC}""#), "null")),
        vector("typ-null", no, "null", typ("null")),
        vector("typ-of-a-mandate", no, "a mandate's type", typ(r#""poa+jwt""#)),
        vector("typ-lower-case", no, "another spelling", typ(r#""jwt""#)),
        vector("header-jwk", no, "a key that the token brings along", member(r#""jwk":{"kty":"EC"}"#)),
        vector("header-jku", no, "keys to fetch", member(r#""jku":"https://evil.example/jwks.json""#)),
        vector("header-x5c", no, "a chain", member(r#""x5c":["AAAA"]"#)),
        vector("header-x5u", no, "a chain to fetch", member(r#""x5u":"https://evil.example/chain.pem""#)),
        vector("header-crit", no, "an extension that must be understood", member(r#""crit":["exp"]"#)),
        vector("header-b64", no, "an unencoded payload", member(r#""b64":false"#)),
        vector("header-cty", no, "a nested token", member(r#""cty":"JWT""#)),
        vector("header-duplicate-alg", no, "two algorithms", member(r#""alg":"ES256""#)),
        vector("header-array", no, "members without names", format!(r#"["ES256","{EC}","JWT"]"#)),
    ]
}

fn claims_of_every_kind() -> Vec<Vector> {
    let good = claims();
    let vector = |name: &str, expected, what, claims: String| {
        Vector::random(name, expected, what, signed(&header(), &claims, EC))
    };
    let sub = |value: &str| changed(&good, r#""spiffe://atb.dev/agent/procurement""#, value);
    let aud = |value: &str| changed(&good, r#"["spiffe://atb.dev/broker"]"#, value);
    let exp = |value: &str| changed(&good, &(NOW + 300).to_string(), value);
    let iat = |value: &str| changed(&good, &format!(r#""iat":{NOW}"#), &format!(r#""iat":{value}"#));
    let member = |member: &str| changed(&good, "}", &format!(",{member}}}"));
    let jti = |value: &str| changed(&good, r#""j-1""#, value);
    let (no, subject, audience) = ("jwt_svid_claims", "jwt_svid_subject", "jwt_svid_audience");
    let partner = sub(r#""spiffe://partner.example/agent/one""#);
    vec![
        vector("valid-aud-text", "ok", "one audience without an array", aud(r#""spiffe://atb.dev/broker""#)),
        vector("valid-without-jti", "ok", "no name for the token", without(&good, "jti")),
        vector("valid-with-iss", "ok", "an issuer means nothing", member(r#""iss":"https://spire.example""#)),
        vector("valid-with-more", "ok", "claims of others mean nothing", member(r#""groups":[{"a":1.5}]"#)),
        vector("valid-nbf", "ok", "from now on", member(&format!(r#""nbf":{NOW}"#))),
        Vector::random(
            "valid-of-partner",
            "ok",
            "a federated trust domain, with its own key",
            signed(&changed(&header(), EC, PARTNER), &partner, PARTNER),
        ),
        vector("sub-missing", no, "nobody", without(&good, "sub")),
        vector("sub-array", no, "two subjects", sub(r#"["spiffe://atb.dev/a","spiffe://atb.dev/b"]"#)),
        vector("sub-no-path", subject, "a trust domain", sub(r#""spiffe://atb.dev""#)),
        vector("sub-upper-case-domain", subject, "another spelling", sub(r#""spiffe://ATB.dev/agent/procurement""#)),
        vector("sub-encoded", subject, "percent-encoding", sub(r#""spiffe://atb.dev/agent%2Fprocurement""#)),
        vector("sub-dot-dot", subject, "a way up", sub(r#""spiffe://atb.dev/agent/../approver/bob""#)),
        vector("sub-name", subject, "not a SPIFFE ID", sub(r#""procurement""#)),
        vector(
            "sub-unknown-trust-domain",
            "jwt_svid_unknown_trust_domain",
            "a trust domain without a bundle",
            sub(r#""spiffe://evil.example/agent/procurement""#),
        ),
        vector("sub-of-foreign-domain", "jwt_svid_unknown_key", "signed by another domain's key", partner.clone()),
        Vector::random(
            "sub-of-foreign-domain-by-its-kid",
            "jwt_svid_bad_signature",
            "that domain's kid over another domain's signature",
            signed(&changed(&header(), EC, PARTNER), &partner, EC),
        ),
        Vector::random(
            "signed-by-foreign-domain",
            "jwt_svid_bad_signature",
            "a federated domain's key for our workload",
            signed(&header(), &good, PARTNER),
        ),
        vector("aud-missing", no, "for nobody", without(&good, "aud")),
        vector("aud-none", audience, "an empty list", aud("[]")),
        vector("aud-other", audience, "for another service", aud(r#"["spiffe://atb.dev/agentauth"]"#)),
        vector("aud-several", audience, "for others too", aud(r#"["spiffe://atb.dev/broker","https://crm.example"]"#)),
        vector(
            "aud-twice",
            audience,
            "the same twice",
            aud(r#"["spiffe://atb.dev/broker","spiffe://atb.dev/broker"]"#),
        ),
        vector("aud-prefix", audience, "the beginning of ours", aud(r#"["spiffe://atb.dev/"]"#)),
        vector("aud-number", no, "not a text", aud("[1]")),
        vector("exp-missing", no, "without an end", without(&good, "exp")),
        vector("exp-text", no, "a text", exp(&format!(r#""{}""#, NOW + 300))),
        vector("exp-fraction", no, "a fraction", exp(&format!("{}.5", NOW + 299))),
        vector("exp-negative", no, "negative", exp("-1")),
        vector("exp-huge", no, "beyond every clock", exp("1e300")),
        vector(
            "exp-now",
            "jwt_svid_expired",
            "over at this second",
            iat(&(NOW - 300).to_string()).replace(&(NOW + 300).to_string(), &NOW.to_string()),
        ),
        vector("exp-far", "jwt_svid_lifetime", "lives a second too long", exp(&(NOW + 301).to_string())),
        vector("exp-before-iat", "jwt_svid_lifetime", "ends before it begins", exp(&(NOW - 1).to_string())),
        vector("iat-missing", no, "without a beginning its life has no length", without(&good, "iat")),
        vector(
            "iat-future",
            "jwt_svid_not_yet_valid",
            "made more than a minute from now",
            iat(&(NOW + 61).to_string()),
        ),
        vector("nbf-future", "jwt_svid_not_yet_valid", "not yet", member(&format!(r#""nbf":{}"#, NOW + 61))),
        vector("nbf-null", no, "null", member(r#""nbf":null"#)),
        vector("jti-empty", "jwt_svid_jti", "a name of no length", jti(r#""""#)),
        vector("jti-number", no, "not a text", jti("7")),
        vector("jti-long", "jwt_svid_jti", "a very long name", jti(&format!(r#""{}""#, "j".repeat(257)))),
        vector("claim-duplicate-sub", no, "two subjects", member(r#""sub":"spiffe://atb.dev/agent/support""#)),
        vector("claim-duplicate-escaped", no, "two, one spelt otherwise", member(r#""s\u0075b":"spiffe://atb.dev/x""#)),
        vector("claim-duplicate-unknown", no, "a claim of no meaning twice", member(r#""x":1,"x":2"#)),
        vector("claims-array", no, "not an object", "[]".to_owned()),
    ]
}

fn envelopes() -> Vec<Vector> {
    let good = signed(&header(), &claims(), EC);
    let (input, signature) = good.rsplit_once('.').unwrap();
    let no = "jwt_svid_malformed";
    let bad = "jwt_svid_bad_signature";
    let random = Vector::random;
    let zeros = base64url(&[0; 64]);
    vec![
        random("signature-twin", "ok", "the other signature over the same: the same token", twin(&good)),
        random("signature-empty", bad, "none", format!("{input}.")),
        random("signature-zeros", bad, "r and s are zero", format!("{input}.{zeros}")),
        random("signature-short", bad, "cut short", {
            let bytes = Base64UrlUnpadded::decode_vec(signature).unwrap();
            format!("{input}.{}", base64url(&bytes[..60]))
        }),
        random("signature-of-another", bad, "over other claims", {
            let other = signed(&header(), &changed(&claims(), "j-1", "j-2"), EC);
            format!("{input}.{}", other.rsplit_once('.').unwrap().1)
        }),
        random("segments-two", no, "no signature at all", input.to_owned()),
        random("segments-four", no, "one too many", format!("{good}.AAAA")),
        random("padding", no, "base64 with padding", format!("{good}==")),
        random("white-space", no, "a space behind it", format!("{good} ")),
        random("too-long", "jwt_svid_too_long", "more than 8 KiB", {
            signed(&header(), &changed(&claims(), "}", &format!(r#","x":"{}"}}"#, "x".repeat(8192))), EC)
        }),
    ]
}
