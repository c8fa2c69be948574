//! Delegations: the good ones and one defect each. Carol lets Bob stand in for her.

use super::people::{self, AUTHORITY, BOB, CAROL, FOREIGN_AUTHORITY};
use super::{NOW, Vector, changed, in_order, jws, jws_with_small_order_r, signing_input, statement, without};

const MALFORMED: &str = "delegation_malformed";
const DAY: u64 = 86_400;

pub fn header(alg: &str, x5c: &str) -> String {
    format!(r#"{{"alg":"{alg}","typ":"delegation+jwt","x5c":["{x5c}"]}}"#)
}

/// From yesterday until tomorrow.
pub fn claims() -> String {
    format!(
        r#"{{"iss":"spiffe://atb.dev/approver/carol","sub":"spiffe://atb.dev/approver/bob","aud":"spiffe://atb.dev/agentauth","tiers":["high","critical"],"acts":["erp.*","sap.vendor.change"],"workspaces":["default"],"iat":{0},"nbf":{0},"exp":{1},"jti":"019ad741-0000-7000-8000-0000000000d1"}}"#,
        NOW - DAY,
        NOW + DAY,
    )
}

pub fn golden() -> Vec<(String, String, bool)> {
    // The order in which josekit writes a header is part of what other parties' parsers see.
    let header = format!(r#"{{"typ":"delegation+jwt","x5c":["{}"],"alg":"EdDSA"}}"#, people::carol_x5c());
    vec![
        ("golden/delegation.jws".into(), jws(&header, &claims(), CAROL), false),
        ("golden/delegation-claims.json".into(), claims(), false),
    ]
}

pub fn vectors() -> Vec<Vector> {
    let mut vectors = chains();
    vectors.extend(headers());
    vectors.extend(forms());
    vectors.extend(times());
    vectors.extend(scopes());
    vectors.extend(parties());
    vectors
}

fn by_carol(claims: &str) -> String {
    jws(&header("EdDSA", &people::carol_x5c()), claims, CAROL)
}

fn chains() -> Vec<Vector> {
    let carol = "spiffe://atb.dev/approver/carol";
    let (key, authority) = (people::ed25519(CAROL), people::authority(AUTHORITY));
    let under = |x5c: &str| jws(&header("EdDSA", x5c), &claims(), CAROL);
    let leaf = |spoil: fn(&mut rcgen::CertificateParams)| {
        let mut params = people::leaf(carol);
        spoil(&mut params);
        under(&people::x5c(&params, &key, &authority))
    };
    let below = people::x5c(&people::leaf(carol), &key, &people::intermediate());
    let foreign = people::leaf("spiffe://partner.example/approver/carol");
    let five = [people::carol_x5c().as_str(); 5].join("\",\"");
    vec![
        Vector::new("valid", "ok", "by an Ed25519 key", by_carol(&claims())),
        Vector::new(
            "valid-with-intermediate",
            "ok",
            "leaf and intermediate",
            under(&format!(r#"{below}","{}"#, people::base64_of(&people::intermediate()))),
        ),
        Vector::new("intermediate-left-out", "delegation_chain", "nobody lends the intermediate", under(&below)),
        Vector::new(
            "signed-by-another-key",
            "delegation_signature",
            "Carol's chain, Bob's signature",
            jws(&header("EdDSA", &people::carol_x5c()), &claims(), BOB),
        ),
        Vector::new(
            "signed-by-the-delegate",
            "delegation_issuer",
            "Bob's chain and key, Carol's name",
            jws(&header("EdDSA", &people::bob_x5c()), &claims(), BOB),
        ),
        Vector::new(
            "signature-small-order-r",
            "delegation_signature",
            "R is the identity, S fits",
            jws_with_small_order_r(&header("EdDSA", &people::carol_x5c()), &claims(), CAROL),
        ),
        Vector::new(
            "signature-empty",
            "delegation_signature",
            "not signed",
            format!("{}.", signing_input(&header("EdDSA", &people::carol_x5c()), &claims())),
        ),
        Vector::new("x5c-five", MALFORMED, "five certificates", under(&five)),
        Vector::new("x5c-not-base64", MALFORMED, "not standard base64", under("_-_-")),
        Vector::new("x5c-not-der", "delegation_chain", "not a certificate", under("bm90IERFUg==")),
        Vector::new(
            "x5c-foreign-authority",
            "delegation_chain",
            "another authority that says it is of this domain",
            under(&people::x5c(&people::leaf(carol), &key, &people::authority(FOREIGN_AUTHORITY))),
        ),
        Vector::new(
            "x5c-foreign-domain",
            "delegation_chain",
            "a trust domain without a bundle",
            under(&people::x5c(&foreign, &key, &authority)),
        ),
        Vector::new(
            "x5c-leaf-expired",
            "delegation_chain",
            "the leaf has expired since",
            leaf(|leaf| leaf.not_after = rcgen::date_time_ymd(2026, 11, 30)),
        ),
        Vector::new(
            "x5c-leaf-not-yet-valid",
            "delegation_chain",
            "the leaf is not valid yet",
            leaf(|leaf| leaf.not_before = rcgen::date_time_ymd(2027, 1, 1)),
        ),
        Vector::new(
            "x5c-leaf-is-authority",
            "delegation_chain",
            "the leaf is a CA",
            leaf(|leaf| leaf.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained)),
        ),
        Vector::new(
            "alg-not-the-keys",
            "delegation_algorithm",
            "ES256 with an Ed25519 key",
            jws(&header("ES256", &people::carol_x5c()), &claims(), CAROL),
        ),
    ]
}

fn headers() -> Vec<Vector> {
    let good = header("EdDSA", &people::carol_x5c());
    let vector = |name: &str, what, header: String| Vector::new(name, MALFORMED, what, jws(&header, &claims(), CAROL));
    let member = |member: &str| changed(&good, "}", &format!(",{member}}}"));
    let alg = |alg: &str| changed(&good, r#""EdDSA""#, alg);
    vec![
        vector("alg-none", "not signed", alg(r#""none""#)),
        vector("alg-hs256", "a shared secret", alg(r#""HS256""#)),
        vector("typ-statement", "the type of a statement", changed(&good, "delegation+jwt", "approval+jwt")),
        vector("typ-mandate", "the type of a mandate", changed(&good, "delegation+jwt", "poa+jwt")),
        vector("typ-upper-case", "another spelling", changed(&good, "delegation+jwt", "DELEGATION+JWT")),
        vector("typ-missing", "no type", changed(&good, r#""typ":"delegation+jwt","#, "")),
        vector("x5c-missing", "no chain", r#"{"alg":"EdDSA","typ":"delegation+jwt"}"#.to_owned()),
        vector("x5c-empty", "an empty chain", r#"{"alg":"EdDSA","typ":"delegation+jwt","x5c":[]}"#.to_owned()),
        vector("header-kid", "a key named beside the chain", member(r#""kid":"carol""#)),
        vector("header-x5u", "a chain to fetch", member(r#""x5u":"https://evil.example/chain.pem""#)),
        vector("header-crit", "an extension that must be understood", member(r#""crit":["exp"]"#)),
        vector("header-in-order", "the members without their names", in_order(&good, &["alg", "typ", "x5c"])),
        vector("header-duplicate-typ", "two types", member(r#""typ":"delegation+jwt""#)),
    ]
}

fn forms() -> Vec<Vector> {
    let good = claims();
    let claim = |from: &str, to: &str| by_carol(&changed(&good, from, to));
    let vector = |name: &str, what, jws: String| Vector::new(name, MALFORMED, what, jws);
    let mut vectors = vec![
        vector("empty", "no JWS", String::new()),
        vector(
            "statement-in-its-place",
            "Carol's statement",
            statement::good(CAROL, "019ad741-0000-7000-8000-00000000c1d0", &format!("sha-256:{}", "0".repeat(64))),
        ),
        vector("claim-unknown", "a claim that nobody reads", claim(r#""jti""#, r#""persons":2,"jti""#)),
        vector("claim-duplicate", "two scopes", claim(r#""jti""#, r#""acts":["*"],"jti""#)),
        vector(
            "claim-duplicate-escaped",
            "two scopes, one spelt otherwise",
            claim(r#""jti""#, r#""\u0061cts":["*"],"jti""#),
        ),
        vector(
            "nested",
            "a delegation cannot be passed on",
            claim(r#""jti""#, &format!(r#""del":"{}","jti""#, by_carol(&good))),
        ),
        vector("nested-null", "no member for another delegation", claim(r#""jti""#, r#""del":null,"jti""#)),
        vector("acts-null", "null is no list", claim(r#"["erp.*","sap.vendor.change"]"#, "null")),
        vector("acts-string", "one pattern, not a list", claim(r#"["erp.*","sap.vendor.change"]"#, r#""*""#)),
        vector("acts-not-a-pattern", "neither act nor family", claim("erp.*", "erp*")),
        vector("tiers-unknown", "no such tier", claim(r#""critical""#, r#""ultra""#)),
        vector("workspaces-upper-case", "not the name of one", claim(r#""default""#, r#""Default""#)),
        vector(
            "aud-array",
            "one audience, not a list",
            claim(r#""spiffe://atb.dev/agentauth""#, r#"["spiffe://atb.dev/agentauth"]"#),
        ),
        vector(
            "claims-in-order",
            "the claims without their names",
            by_carol(&in_order(
                &good,
                &["iss", "sub", "aud", "tiers", "acts", "workspaces", "iat", "nbf", "exp", "jti"],
            )),
        ),
        vector("jti-version-4", "not a UUIDv7", claim("-7000-8000-0000000000d1", "-4000-8000-0000000000d1")),
        vector("exp-float", "not whole seconds", claim(&(NOW + DAY).to_string(), &format!("{}.0", NOW + DAY))),
        vector("exp-negative", "before 1970", claim(&(NOW + DAY).to_string(), "-1")),
        vector("oversized", "more than 4 KiB", claim("{", &format!("{{{}", " ".repeat(3072)))),
    ];
    for member in ["iss", "sub", "aud", "iat", "nbf", "exp", "jti"] {
        vectors.push(vector(&format!("missing-{member}"), "a claim is missing", by_carol(&without(&good, member))));
    }
    for (member, value) in [
        ("tiers", r#"["high","critical"]"#),
        ("acts", r#"["erp.*","sap.vendor.change"]"#),
        ("workspaces", r#"["default"]"#),
    ] {
        let without = claim(&format!(r#""{member}":{value},"#), "");
        vectors.push(vector(&format!("missing-{member}"), "a part of the scope is missing", without));
    }
    vectors
}

fn times() -> Vec<Vector> {
    let times = |iat: u64, nbf: u64, exp: u64| {
        let claims = claims();
        let (scope, _) = claims.split_once(r#""iat""#).unwrap();
        by_carol(&format!(
            r#"{scope}"iat":{iat},"nbf":{nbf},"exp":{exp},"jti":"019ad741-0000-7000-8000-0000000000d1"}}"#
        ))
    };
    let vector = |name: &str, expected, what, jws: String| Vector::new(name, expected, what, jws);
    // The statement that carries it is good from a minute ago until in 59 minutes.
    vec![
        vector(
            "valid-for-thirty-days",
            "ok",
            "as long as one may be good for",
            times(NOW - DAY, NOW - DAY, NOW + 29 * DAY),
        ),
        vector("valid-for-exactly-the-statement", "ok", "not a second longer", times(NOW - DAY, NOW - 60, NOW + 3540)),
        vector(
            "valid-signed-ahead",
            "ok",
            "signed for a time to come, which is now",
            times(NOW - 10 * DAY, NOW - 60, NOW + DAY),
        ),
        vector(
            "lifetime-above-thirty-days",
            "delegation_lifetime",
            "one second too long",
            times(NOW - DAY, NOW - 60, NOW + 29 * DAY + 1),
        ),
        vector(
            "lifetime-endless",
            "delegation_lifetime",
            "exp is the largest integer",
            times(NOW - DAY, NOW - DAY, u64::MAX),
        ),
        vector("lifetime-zero", "delegation_lifetime", "exp is nbf", times(NOW - DAY, NOW - 60, NOW - 60)),
        vector("exp-before-nbf", "delegation_lifetime", "ends before it begins", times(NOW - DAY, NOW + DAY, NOW - 60)),
        vector(
            "nbf-before-iat",
            "delegation_lifetime",
            "good before it was signed",
            times(NOW - DAY, NOW - 2 * DAY, NOW + DAY),
        ),
        vector("expired", "delegation_expired", "ended a minute before now", times(NOW - DAY, NOW - DAY, NOW - 60)),
        vector(
            "expired-since-the-statement",
            "delegation_expired",
            "good when the statement was signed, not any more",
            times(NOW - DAY, NOW - DAY, NOW),
        ),
        vector(
            "ends-before-the-statement",
            "delegation_expired",
            "a second before it",
            times(NOW - DAY, NOW - DAY, NOW + 3539),
        ),
        vector(
            "not-yet-valid",
            "delegation_not_yet_valid",
            "begins tomorrow",
            times(NOW - DAY, NOW + DAY, NOW + 2 * DAY),
        ),
        vector(
            "not-yet-valid-by-six-seconds",
            "delegation_not_yet_valid",
            "six seconds after the statement",
            times(NOW - DAY, NOW - 54, NOW + DAY),
        ),
        vector(
            "iat-in-the-future",
            "delegation_not_yet_valid",
            "signed after the statement",
            times(NOW + 60, NOW + 60, NOW + DAY),
        ),
    ]
}

fn scopes() -> Vec<Vector> {
    let claim = |from: &str, to: &str| by_carol(&changed(&claims(), from, to));
    let acts = |count: usize| {
        let names: Vec<_> = (0..count).map(|i| format!(r#""a.b{i}""#)).collect();
        claim(r#"["erp.*","sap.vendor.change"]"#, &format!("[{}]", names.join(",")))
    };
    let spaces = |count: usize| {
        let names: Vec<_> = (0..count).map(|i| format!(r#""team-{i}""#)).collect();
        claim(r#"["default"]"#, &format!("[{}]", names.join(",")))
    };
    let vector = |name: &str, expected, what, jws: String| Vector::new(name, expected, what, jws);
    let scope = "delegation_scope_malformed";
    vec![
        vector("valid-32-acts", "ok", "as many as may be named", acts(32)),
        vector("acts-33", scope, "one too many", acts(33)),
        vector("acts-empty", scope, "for no act", claim(r#"["erp.*","sap.vendor.change"]"#, "[]")),
        vector("acts-twice", scope, "one act named twice", claim(r#""sap.vendor.change""#, r#""erp.*""#)),
        vector("tiers-empty", scope, "for no tier", claim(r#"["high","critical"]"#, "[]")),
        vector("tiers-twice", scope, "one tier named twice", claim(r#""critical""#, r#""high""#)),
        vector("valid-16-workspaces", "ok", "as many as may be named", spaces(16)),
        vector("workspaces-17", scope, "one too many", spaces(17)),
        vector("workspaces-empty", scope, "in no workspace", claim(r#"["default"]"#, "[]")),
    ]
}

fn parties() -> Vec<Vector> {
    let claim = |from: &str, to: &str| by_carol(&changed(&claims(), from, to));
    let vector = |name: &str, expected, what, jws: String| Vector::new(name, expected, what, jws);
    vec![
        vector(
            "iss-is-another",
            "delegation_issuer",
            "Alice's name over Carol's key",
            claim("approver/carol", "approver/alice"),
        ),
        vector("to-self", "delegation_to_self", "Carol stands in for Carol", claim("approver/bob", "approver/carol")),
        vector("sub-another", "delegation_delegate", "given to Alice", claim("approver/bob", "approver/alice")),
        vector("aud-another", "delegation_audience", "for the broker", claim("atb.dev/agentauth", "atb.dev/broker")),
        vector(
            "aud-of-another-domain",
            "delegation_audience",
            "for a partner's AgentAuth",
            claim("spiffe://atb.dev/agentauth", "spiffe://partner.example/agentauth"),
        ),
    ]
}
