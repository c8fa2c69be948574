//! Who signs in the fixtures: authorities and identities with fixed keys and dates, so that their bytes never change.

use base64ct::{Base64, Encoding};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ED25519, SanType, date_time_ymd,
};

/// The seeds of the Ed25519 keys: every byte of the seed is this number.
pub const AUTHORITY: u8 = 1;
pub const FOREIGN_AUTHORITY: u8 = 2;
pub const BOB: u8 = 3;
pub const CAROL: u8 = 4;
pub const ROOT: u8 = 5;
pub const INTERMEDIATE: u8 = 6;
pub const AGENTAUTH: u8 = 7;
pub const THIEF: u8 = 9;

pub fn ed25519(seed: u8) -> KeyPair {
    let der = SigningKey::from_bytes(&[seed; 32]).to_pkcs8_der().unwrap();
    KeyPair::from_pkcs8_der_and_sign_algo(&der.as_bytes().into(), &PKCS_ED25519).unwrap()
}

/// Alice's key is on P-256. It lies beside the fixtures because no seed makes it.
pub fn alice() -> KeyPair {
    KeyPair::from_pem(include_str!("../../vectors/statement/alice-key.pem")).unwrap()
}

pub fn authority(seed: u8) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = params("spiffe://atb.dev", 2046);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, ed25519(seed)).unwrap()
}

/// The authority of a second root, which may have others below it, and one that is.
pub fn intermediate() -> CertifiedIssuer<'static, KeyPair> {
    CertifiedIssuer::signed_by(above(1, 2046), ed25519(INTERMEDIATE), &root()).unwrap()
}

pub fn root() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = above(2, 2046);
    params.distinguished_name.push(DnType::OrganizationName, "root");
    CertifiedIssuer::self_signed(params, ed25519(ROOT)).unwrap()
}

fn above(path_length: u8, until: i32) -> CertificateParams {
    let mut params = params("spiffe://atb.dev", until);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A leaf as the rules want it, for a fixture to spoil.
pub fn leaf(id: &str) -> CertificateParams {
    let mut params = params(id, 2046);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn params(id: &str, until: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "fixture");
    params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(id).unwrap())];
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    params
}

/// One member of `x5c`: the DER in standard base64.
pub fn x5c(params: &CertificateParams, key: &KeyPair, authority: &CertifiedIssuer<'static, KeyPair>) -> String {
    Base64::encode_string(params.signed_by(key, authority).unwrap().der())
}

pub fn bob_x5c() -> String {
    x5c(&leaf("spiffe://atb.dev/approver/bob"), &ed25519(BOB), &authority(AUTHORITY))
}

pub fn carol_x5c() -> String {
    x5c(&leaf("spiffe://atb.dev/approver/carol"), &ed25519(CAROL), &authority(AUTHORITY))
}

pub fn alice_x5c() -> String {
    x5c(&leaf("spiffe://atb.dev/approver/alice"), &alice(), &authority(AUTHORITY))
}

fn pem(base64: &str) -> String {
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// What the domain tests need beside the delegations: both roots, and Bob and Carol below the intermediate.
pub fn files_of_delegations() -> Vec<(String, String, bool)> {
    let below = intermediate();
    let leaf = |name: &str, seed| x5c(&leaf(&format!("spiffe://atb.dev/approver/{name}")), &ed25519(seed), &below);
    let chain = |leaf: String| pem(&leaf) + &pem(&Base64::encode_string(below.der()));
    [
        ("trust", pem(&Base64::encode_string(authority(AUTHORITY).der())) + &pem(&Base64::encode_string(root().der()))),
        ("bob-chain", chain(leaf("bob", BOB))),
        ("carol-chain", chain(leaf("carol", CAROL))),
    ]
    .map(|(name, text)| (format!("vectors/delegation/{name}.pem"), text, false))
    .into()
}

/// What the domain tests need beside the statements.
pub fn files() -> Vec<(String, String, bool)> {
    let authority = Base64::encode_string(authority(AUTHORITY).der());
    [("trust", authority), ("bob", bob_x5c()), ("carol", carol_x5c()), ("alice", alice_x5c())]
        .map(|(name, der)| (format!("vectors/statement/{name}.pem"), pem(&der), false))
        .into()
}

/// The DER of an authority in standard base64.
pub fn base64_of(authority: &CertifiedIssuer<'static, KeyPair>) -> String {
    Base64::encode_string(authority.der())
}
