//! Statements: the good ones and one defect each.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

use super::people::{self, AUTHORITY, BOB, CAROL, FOREIGN_AUTHORITY};
use super::{
    NOW, Vector, base64url, changed, delegation, in_order, jws, jws_with_small_order_r, signing_input, without,
};

/// What the fixtures' challenge is about; the domain tests ask with the same values.
const CID: &str = "019ad741-0000-7000-8000-00000000c1d0";
const SUM: &str = "sha-256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// What the approvers were shown, by its digest.
pub const VIEW: &str = "sha-256:cb8379ac2098aa165029e3938a51da0bcecfc008fd6795f401178647f96c5b34";

pub fn header(alg: &str, x5c: &str) -> String {
    format!(r#"{{"alg":"{alg}","typ":"approval+jwt","x5c":["{x5c}"]}}"#)
}

pub fn claims(approver: &str, cid: &str, sum: &str, jti: char) -> String {
    format!(
        r#"{{"iss":"spiffe://atb.dev/approver/{approver}","sub":"spiffe://atb.dev/agent/procurement","aud":"spiffe://atb.dev/agentauth","cid":"{cid}","sum":"{sum}","view":"{VIEW}","decision":"approve","iat":{},"exp":{},"jti":"019ad741-0000-7000-8000-00000000005{jti}"}}"#,
        NOW - 60,
        NOW + 3540,
    )
}

/// A statement by Bob or Carol that is good in every respect.
pub fn good(seed: u8, cid: &str, sum: &str) -> String {
    let (name, x5c, jti) =
        if seed == BOB { ("bob", people::bob_x5c(), 'b') } else { ("carol", people::carol_x5c(), 'c') };
    jws(&header("EdDSA", &x5c), &claims(name, cid, sum, jti), seed)
}

pub fn golden() -> Vec<(String, String, bool)> {
    let claims = claims("bob", CID, SUM, 'b');
    // The order in which josekit writes a header is part of what other parties' parsers see.
    let header = format!(r#"{{"typ":"approval+jwt","x5c":["{}"],"alg":"EdDSA"}}"#, people::bob_x5c());
    vec![
        ("golden/statement.jws".into(), jws(&header, &claims, BOB), false),
        ("golden/statement-claims.json".into(), claims, false),
    ]
}

fn es256(header: &str, payload: &str, der: bool) -> String {
    let signed = signing_input(header, payload);
    let algorithm = if der { &ECDSA_P256_SHA256_ASN1_SIGNING } else { &ECDSA_P256_SHA256_FIXED_SIGNING };
    let key = EcdsaKeyPair::from_pkcs8(algorithm, &people::alice().serialize_der()).unwrap();
    format!("{signed}.{}", base64url(key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap().as_ref()))
}

pub fn vectors() -> Vec<Vector> {
    let mut vectors = chains();
    vectors.extend(headers());
    vectors.extend(payloads());
    vectors.extend(delegated());
    vectors.extend(attested());
    vectors
}

/// What is attested has one spelling: names in order, each once, at least one.
fn attested() -> Vec<Vector> {
    let good = claims("bob", CID, SUM, 'b');
    let head = header("EdDSA", &people::bob_x5c());
    let with = |att: &str| jws(&head, &changed(&good, "{", &format!(r#"{{"att":{att},"#)), BOB);
    let bad = |name: &str, what, att: &str| Vector::new(name, "statement_malformed", what, with(att));
    let nine: Vec<String> = (1..=9).map(|i| format!("\"fact_{i}\"")).collect();
    let long = format!("[\"{}\"]", "a".repeat(65));
    vec![
        Vector::new("valid-attested", "ok", "two facts", with(r#"["callback_done","identity_checked"]"#)),
        bad("att-null", "a member without a value", "null"),
        bad("att-empty", "nothing, spelt out", "[]"),
        bad("att-unsorted", "out of order", r#"["identity_checked","callback_done"]"#),
        bad("att-duplicate", "one name twice", r#"["callback_done","callback_done"]"#),
        bad("att-bad-name", "not a name", r#"["Callback done"]"#),
        bad("att-name-too-long", "65 characters", &long),
        bad("att-too-many", "nine names", &format!("[{}]", nine.join(","))),
        bad("att-text", "a text", r#""callback_done""#),
        bad("att-object", "a name and whether it is so", r#"{"callback_done":true}"#),
        Vector::new(
            "att-claim-duplicate",
            "statement_malformed",
            "two lists",
            with(r#"["callback_done"],"att":["identity_checked"]"#),
        ),
    ]
}

/// Bob's statements in somebody else's name.
fn delegated() -> Vec<Vector> {
    let good = claims("bob", CID, SUM, 'b');
    let head = header("EdDSA", &people::bob_x5c());
    let with = |del: &str| jws(&head, &changed(&good, "}", &format!(r#","del":{del}}}"#)), BOB);
    let vector = |name: &str, expected, what, delegation: String| {
        Vector::new(name, expected, what, with(&format!(r#""{delegation}""#)))
    };
    let carols = delegation::claims();
    let by_carol = |claims: &str| jws(&delegation::header("EdDSA", &people::carol_x5c()), claims, CAROL);
    let claim = |from: &str, to: &str| by_carol(&changed(&carols, from, to));
    let agent = "spiffe://atb.dev/agent/procurement";
    let agents = people::x5c(&people::leaf(agent), &people::ed25519(CAROL), &people::authority(AUTHORITY));
    vec![
        vector("valid-delegated", "ok", "Bob for Carol", by_carol(&carols)),
        Vector::new("del-null", "statement_malformed", "a member without a value", with("null")),
        Vector::new("del-object", "statement_malformed", "claims that nobody signed", with(&carols)),
        Vector::new("del-array", "statement_malformed", "a list", with(&format!(r#"["{}"]"#, by_carol(&carols)))),
        Vector::new(
            "del-duplicate",
            "statement_malformed",
            "two delegations",
            with(&format!(r#""{0}","del":"{0}""#, by_carol(&carols))),
        ),
        vector("del-empty", "delegation_malformed", "no JWS", String::new()),
        vector(
            "del-is-a-statement",
            "delegation_malformed",
            "Carol's statement in its place",
            self::good(CAROL, CID, SUM),
        ),
        vector(
            "del-for-another-delegate",
            "delegation_delegate",
            "given to Alice",
            claim("approver/bob", "approver/alice"),
        ),
        vector(
            "del-for-another-audience",
            "delegation_audience",
            "for the broker",
            claim("atb.dev/agentauth", "atb.dev/broker"),
        ),
        vector(
            "del-ends-before-the-statement",
            "delegation_expired",
            "one second too early",
            claim(&(NOW + 86_400).to_string(), &(NOW + 3539).to_string()),
        ),
        vector(
            "del-begins-after-the-statement",
            "delegation_not_yet_valid",
            "six seconds too late",
            claim(&format!(r#""nbf":{}"#, NOW - 86_400), &format!(r#""nbf":{}"#, NOW - 54)),
        ),
        vector(
            "del-by-the-agent-that-asks",
            "delegation_by_requester",
            "its own approval through Bob",
            jws(
                &delegation::header("EdDSA", &agents),
                &changed(&carols, "spiffe://atb.dev/approver/carol", agent),
                CAROL,
            ),
        ),
    ]
}

fn chains() -> Vec<Vector> {
    let bob = "spiffe://atb.dev/approver/bob";
    let (key, authority) = (people::ed25519(BOB), people::authority(AUTHORITY));
    let by = |x5c: &str| jws(&header("EdDSA", x5c), &claims("bob", CID, SUM, 'b'), BOB);
    let alice = claims("alice", CID, SUM, 'a');
    let mut expired = people::leaf(bob);
    expired.not_after = rcgen::date_time_ymd(2026, 11, 30);
    let mut early = people::leaf(bob);
    early.not_before = rcgen::date_time_ymd(2027, 1, 1);
    let mut ca = people::leaf(bob);
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let mut server = people::leaf(bob);
    server.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let foreign = people::leaf("spiffe://partner.example/approver/bob");
    let five = [people::bob_x5c().as_str(); 5].join("\",\"");
    vec![
        Vector::new("valid-eddsa", "ok", "by an Ed25519 key", good(BOB, CID, SUM)),
        Vector::random(
            "valid-es256",
            "ok",
            "by a P-256 key",
            es256(&header("ES256", &people::alice_x5c()), &alice, false),
        ),
        Vector::new(
            "signed-by-another-key",
            "statement_signature",
            "Bob's chain, Carol's signature",
            jws(&header("EdDSA", &people::bob_x5c()), &claims("bob", CID, SUM, 'b'), CAROL),
        ),
        Vector::new(
            "signature-small-order-r",
            "statement_signature",
            "R is the identity, S fits",
            jws_with_small_order_r(&header("EdDSA", &people::bob_x5c()), &claims("bob", CID, SUM, 'b'), BOB),
        ),
        Vector::new(
            "x5c-missing",
            "statement_malformed",
            "no chain",
            jws(r#"{"alg":"EdDSA","typ":"approval+jwt"}"#, &claims("bob", CID, SUM, 'b'), BOB),
        ),
        Vector::new(
            "x5c-empty",
            "statement_malformed",
            "an empty chain",
            jws(r#"{"alg":"EdDSA","typ":"approval+jwt","x5c":[]}"#, &claims("bob", CID, SUM, 'b'), BOB),
        ),
        Vector::new("x5c-five", "statement_malformed", "five certificates", by(&five)),
        Vector::new("x5c-not-base64", "statement_malformed", "not standard base64", by("_-_-")),
        Vector::new("x5c-not-der", "statement_chain", "not a certificate", by("bm90IERFUg==")),
        Vector::new(
            "x5c-foreign-authority",
            "statement_chain",
            "another authority that says it is of this domain",
            by(&people::x5c(&people::leaf(bob), &key, &people::authority(FOREIGN_AUTHORITY))),
        ),
        Vector::new(
            "x5c-foreign-domain",
            "statement_chain",
            "a trust domain without a bundle",
            by(&people::x5c(&foreign, &key, &authority)),
        ),
        Vector::new(
            "x5c-leaf-expired",
            "statement_chain",
            "the leaf has expired",
            by(&people::x5c(&expired, &key, &authority)),
        ),
        Vector::new(
            "x5c-leaf-not-yet-valid",
            "statement_chain",
            "the leaf is not valid yet",
            by(&people::x5c(&early, &key, &authority)),
        ),
        Vector::new(
            "x5c-leaf-is-authority",
            "statement_chain",
            "the leaf is a CA",
            by(&people::x5c(&ca, &key, &authority)),
        ),
        Vector::new(
            "x5c-leaf-for-servers-only",
            "statement_chain",
            "extended key usage serverAuth alone",
            by(&people::x5c(&server, &key, &authority)),
        ),
        Vector::new(
            "alg-not-the-keys-es256",
            "statement_algorithm",
            "ES256 with an Ed25519 key",
            jws(&header("ES256", &people::bob_x5c()), &claims("bob", CID, SUM, 'b'), BOB),
        ),
        Vector::random(
            "alg-not-the-keys-eddsa",
            "statement_algorithm",
            "EdDSA with a P-256 key",
            es256(&header("EdDSA", &people::alice_x5c()), &alice, false),
        ),
        Vector::random(
            "signature-der",
            "statement_signature",
            "an ASN.1 signature, not a JWS one",
            es256(&header("ES256", &people::alice_x5c()), &alice, true),
        ),
    ]
}

fn headers() -> Vec<Vector> {
    let (good, bob) = (header("EdDSA", &people::bob_x5c()), claims("bob", CID, SUM, 'b'));
    let member = |member: &str| changed(&good, "}", &format!(",{member}}}"));
    let jwk = r#""jwk":{"kty":"OKP","crv":"Ed25519","x":"7Ui8JYzAPcqxQi7BhKbDMVtEaQl5nTyJ3DCcaDUAjGs"}"#;
    let vector =
        |name: &str, what, header: String| Vector::new(name, "statement_malformed", what, jws(&header, &bob, BOB));
    let alg = |alg: &str| changed(&good, r#""EdDSA""#, alg);
    vec![
        Vector::new(
            "alg-none",
            "statement_malformed",
            "not signed",
            format!("{}.", signing_input(&alg(r#""none""#), &bob)),
        ),
        vector("alg-hs256", "a shared secret", alg(r#""HS256""#)),
        vector("alg-ed25519", "the name of RFC 9864", alg(r#""Ed25519""#)),
        vector("typ-mandate", "the type of a mandate", changed(&good, "approval+jwt", "poa+jwt")),
        vector("typ-jwt", "no type of ours", changed(&good, "approval+jwt", "JWT")),
        vector("typ-missing", "no type", changed(&good, r#""typ":"approval+jwt","#, "")),
        vector(
            "header-kid",
            "a key named beside the chain",
            member(r#""kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k""#),
        ),
        vector("header-jwk", "a key that the statement brings along", member(jwk)),
        vector("header-x5u", "a chain to fetch", member(r#""x5u":"https://evil.example/chain.pem""#)),
        vector("header-crit", "an extension that must be understood", member(r#""crit":["exp"]"#)),
        vector("header-in-order", "the members without their names", in_order(&good, &["alg", "typ", "x5c"])),
        vector("header-duplicate-x5c", "two chains", member(&format!(r#""x5c":["{}"]"#, people::carol_x5c()))),
    ]
}

fn payloads() -> Vec<Vector> {
    let good = claims("bob", CID, SUM, 'b');
    let head = header("EdDSA", &people::bob_x5c());
    let vector =
        |name: &str, expected, what, claims: String| Vector::new(name, expected, what, jws(&head, &claims, BOB));
    let claim = |from: &str, to: &str| changed(&good, from, to);
    let times = |iat: u64, exp: u64| {
        let claims = good.replace(&format!(r#""iat":{}"#, NOW - 60), &format!(r#""iat":{iat}"#));
        claims.replace(&format!(r#""exp":{}"#, NOW + 3540), &format!(r#""exp":{exp}"#))
    };
    let malformed = "statement_malformed";
    let mut vectors = vec![
        vector("valid-for-a-day", "ok", "as long as one may be good for", times(NOW - 60, NOW - 60 + 86_400)),
        vector("valid-five-seconds-ahead", "ok", "the approver's clock is a little ahead", times(NOW + 5, NOW + 3600)),
        vector("decision-reject", malformed, "a no is not a statement", claim(r#""approve""#, r#""reject""#)),
        vector("decision-upper-case", malformed, "another spelling", claim(r#""approve""#, r#""APPROVE""#)),
        vector(
            "claim-unknown",
            malformed,
            "a claim that nobody reads",
            claim(r#""decision""#, r#""tier":"low","decision""#),
        ),
        vector(
            "claim-duplicate",
            malformed,
            "two digests",
            claim(r#""decision""#, &format!(r#""sum":"{SUM}","decision""#)),
        ),
        vector(
            "claim-duplicate-escaped",
            malformed,
            "two digests, one spelt otherwise",
            claim(r#""decision""#, &format!(r#""\u0073um":"{SUM}","decision""#)),
        ),
        vector(
            "aud-array",
            malformed,
            "one audience, not a list",
            claim(r#""spiffe://atb.dev/agentauth""#, r#"["spiffe://atb.dev/agentauth"]"#),
        ),
        vector(
            "claims-in-order",
            malformed,
            "the claims without their names",
            in_order(&good, &["iss", "sub", "aud", "cid", "sum", "view", "decision", "iat", "exp", "jti"]),
        ),
        vector("sum-upper-case", malformed, "another spelling of the digest", claim("sha-256:ba78", "sha-256:BA78")),
        vector("view-upper-case", malformed, "another spelling of the view", claim("sha-256:cb83", "sha-256:CB83")),
        vector("view-null", malformed, "nothing was shown", claim(&format!("\"{VIEW}\""), "null")),
        vector(
            "view-document",
            malformed,
            "the view instead of its digest",
            claim(&format!("\"{VIEW}\""), r#"{"v":1}"#),
        ),
        vector("cid-version-4", malformed, "not a UUIDv7", claim("-7000-8000-00000000c1d0", "-4000-8000-00000000c1d0")),
        vector("iat-float", malformed, "not whole seconds", claim(&(NOW - 60).to_string(), &format!("{}.0", NOW - 60))),
        vector("iss-is-another", "statement_issuer", "Carol's name over Bob's key", claim("/bob", "/carol")),
        vector("lifetime-zero", "statement_lifetime", "exp is iat", times(NOW - 60, NOW - 60)),
        vector("lifetime-negative", "statement_lifetime", "exp before iat", times(NOW - 60, NOW - 120)),
        vector("lifetime-above-a-day", "statement_lifetime", "one second too long", times(NOW - 60, NOW - 60 + 86_401)),
        vector("lifetime-endless", "statement_lifetime", "exp is the largest integer", times(NOW - 60, u64::MAX)),
        vector("expired", "statement_expired", "good until now", times(NOW - 3600, NOW)),
        vector("not-yet-valid", "statement_not_yet_valid", "signed six seconds from now", times(NOW + 6, NOW + 3600)),
        vector("cid-another", "statement_challenge", "answers another challenge", claim("c1d0", "c1d1")),
        vector("sum-another", "statement_digest", "over another content", claim("sha-256:ba", "sha-256:bb")),
        vector("view-another", "statement_view", "over another view", claim("sha-256:cb", "sha-256:cc")),
        vector("sub-another", "statement_subject", "for another agent", claim("agent/procurement", "agent/support")),
        vector(
            "aud-another",
            "statement_audience",
            "for another AgentAuth",
            claim("atb.dev/agentauth", "atb.dev/broker"),
        ),
        vector("oversized", malformed, "more than 8 KiB", claim("{", &format!("{{{}", " ".repeat(8192)))),
    ];
    for member in ["iss", "sub", "aud", "cid", "sum", "view", "decision", "iat", "exp", "jti"] {
        vectors.push(vector(&format!("missing-{member}"), malformed, "a claim is missing", without(&good, member)));
    }
    vectors
}
