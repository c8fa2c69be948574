//! The table of tests/vectors/jwt_svid/index.txt, and what a token is remembered by.

use std::path::Path;

use super::*;
use crate::domain::spiffe::{JwtBundle, SvidKey};

fn now() -> Timestamp {
    Timestamp::from_secs(1_796_083_200)
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/jwt_svid").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn bundles() -> JwtBundles {
    let bundle = |domain: &str| {
        JwtBundle::parse(domain.parse().unwrap(), read(&format!("keys/{domain}.json")).as_bytes()).unwrap()
    };
    JwtBundles::new([bundle("atb.dev"), bundle("partner.example")])
}

fn verified(token: &str) -> Result<(VerifiedSvid, TokenUse), JwtSvidError> {
    let expected =
        ExpectedJwtSvid { audience: "spiffe://atb.dev/broker".to_owned(), max_lifetime: Duration::from_secs(300) };
    UnverifiedJwtSvid::parse(token)?.verify(&bundles(), &expected, now())
}

#[test]
fn every_fixture_has_its_one_outcome() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for line in read("index.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let (name, expected) = (words.next().unwrap(), words.next().unwrap());
        let outcome = verified(&read(&format!("{name}.jws"))).map_or_else(|error| error.code(), |_| "ok");
        if outcome != expected {
            wrong.push(format!("{name}: {outcome}, expected {expected}"));
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 80, "only {seen} fixtures were found");
}

#[test]
fn a_token_proves_who_it_says_and_no_key() {
    let (svid, token) = verified(&read("valid.jws")).unwrap();
    assert_eq!(svid.id().as_str(), "spiffe://atb.dev/agent/procurement");
    assert_eq!(svid.own_validity(), (now(), now().plus(Duration::from_secs(300))));
    assert_eq!((svid.expires_at(), token.expires_at), (svid.own_validity().1, svid.own_validity().1));
    assert_eq!(svid.authority(), bundles().key(&"atb.dev".parse().unwrap(), "atb-ec").unwrap().digest());
    assert!(matches!(svid.key(), SvidKey::Other(_)) && svid.chain_der().is_empty() && svid.leaf_der().is_empty());
}

#[test]
fn a_token_is_remembered_by_what_its_issuer_said_and_never_by_its_signature() {
    let of = |name: &str| verified(&read(name)).unwrap().1;
    assert_eq!(of("valid.jws").key, of("signature-twin.jws").key);
    assert_eq!(of("valid.jws").key, of("valid-rs256.jws").key, "one jti of one trust domain is one token");
    assert_ne!(of("valid.jws").key, of("valid-of-partner.jws").key, "another domain's jti is another token");
    let without = read("valid-without-jti.jws");
    let token = of("valid-without-jti.jws");
    assert!(!token.has_jti && of("valid.jws").has_jti);
    assert_eq!(token.key, Sha256Digest::of(without.rsplit_once('.').unwrap().0.as_bytes()));
}

#[test]
fn a_trust_domain_without_a_bundle_verifies_nothing() {
    let token = UnverifiedJwtSvid::parse(&read("valid.jws")).unwrap();
    assert_eq!(token.claimed_id().as_str(), "spiffe://atb.dev/agent/procurement");
    let expected = ExpectedJwtSvid { audience: "spiffe://atb.dev/broker".to_owned(), max_lifetime: Duration::MAX };
    let error = token.verify(&JwtBundles::default(), &expected, now()).unwrap_err();
    assert_eq!(error.code(), "jwt_svid_unknown_trust_domain");
}
