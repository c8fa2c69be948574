//! Two approvals in others' names fit into one mandate, each with its own chain and its delegator's.

use atb::domain::approval::{Decision, Delegation, MAX_DELEGATION_BYTES, MAX_STATEMENT_BYTES, Statement};
use atb::domain::catalogue::Tier;
use atb::domain::mandate::MAX_MANDATE_BYTES;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType, SerialNumber, SignatureAlgorithm,
};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

/// An authority as a SPIRE server has it: an upstream root, its own intermediate, a subject that says little.
struct Authority {
    kind: &'static SignatureAlgorithm,
    intermediate: CertifiedIssuer<'static, KeyPair>,
}

fn params(id: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CountryName, "US");
    params.distinguished_name.push(DnType::OrganizationName, "SPIRE");
    params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(id).unwrap())];
    params.serial_number = Some(SerialNumber::from_slice(&[0x5a; 16]));
    params.use_authority_key_identifier_extension = true;
    params
}

impl Authority {
    fn new(kind: &'static SignatureAlgorithm) -> Self {
        let authority = || {
            let mut params = params("spiffe://atb.dev");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            params
        };
        let key = || KeyPair::generate_for(kind).unwrap();
        let root = CertifiedIssuer::self_signed(authority(), key()).unwrap();
        Self { kind, intermediate: CertifiedIssuer::signed_by(authority(), key(), &root).unwrap() }
    }

    /// Leaf and intermediate of an approver, and the signer of that leaf's key.
    fn approver(&self, name: &str) -> (Box<dyn josekit::jws::JwsSigner>, Vec<CertificateDer<'static>>) {
        let mut params = params(&format!("spiffe://atb.dev/approver/{name}"));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate_for(self.kind).unwrap();
        let leaf = params.signed_by(&key, &self.intermediate).unwrap().der().clone();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        atb::adapters::pem::write_private(&file, key.serialize_pem().as_bytes()).unwrap();
        (atb::adapters::signer::svid_signer(&file).unwrap(), vec![leaf, self.intermediate.der().clone()])
    }
}

fn golden(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The lengths of a delegation, of the statement that carries it, and of a mandate with two such statements.
fn lengths(authority: &Authority, leaf_only: bool) -> [usize; 3] {
    let (from, until) = (1_796_083_140, 1_796_086_740);
    let (delegator, chain) = authority.approver("alice");
    let delegation = Delegation {
        tiers: Tier::ALL.to_vec(),
        acts: ["erp.*", "sap.vendor.change"].map(|act| act.to_owned().try_into().unwrap()).into(),
        exp: until + 14 * 86_400,
        ..serde_json::from_str(&golden("delegation-claims.json")).unwrap()
    };
    let presented = if leaf_only { &chain[..1] } else { &chain[..] };
    let delegation = delegation.sign(delegator.as_ref(), presented).unwrap();

    let (delegate, chain) = authority.approver("bob");
    let statement = Statement {
        decision: Decision::Approve,
        iat: from,
        exp: until,
        del: Some(delegation.clone()),
        ..serde_json::from_str(&golden("statement-claims.json")).unwrap()
    };
    let statement = statement.sign(delegate.as_ref(), &chain).unwrap();

    // The golden mandate has every member that a ground can have.
    let mut claims: Value = serde_json::from_str(&golden("mandate-claims.json")).unwrap();
    for approver in claims["leg"]["dual_control"]["approvers"].as_array_mut().unwrap() {
        approver["statement"] = json!(statement);
    }
    let mut header = josekit::jws::JwsHeader::new();
    header.set_token_type("poa+jwt");
    header.set_key_id("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let (signer, _) = Authority::new(&PKCS_ED25519).approver("agentauth");
    let mandate = atb::domain::jose::sign(&header, claims.to_string().as_bytes(), signer.as_ref()).unwrap();
    [delegation.len(), statement.len(), mandate.len()]
}

#[test]
fn two_approvals_in_others_names_fit_into_one_mandate() {
    let cases = [
        ("Ed25519, delegations by leaf alone", &PKCS_ED25519, true),
        ("P-256, delegations by leaf alone", &PKCS_ECDSA_P256_SHA256, true),
    ];
    for (what, kind, leaf_only) in cases {
        let [delegation, statement, mandate] = lengths(&Authority::new(kind), leaf_only);
        println!("{what}: delegation {delegation}, statement {statement}, mandate {mandate} bytes");
        assert!(delegation <= MAX_DELEGATION_BYTES, "{what}: {delegation}");
        assert!(statement <= MAX_STATEMENT_BYTES, "{what}: {statement}");
        assert!(mandate <= MAX_MANDATE_BYTES, "{what}: {mandate}");
    }
    // The largest: what `--leaf-only` is for. Such a second statement is refused when it is given.
    for (what, kind) in [("Ed25519", &PKCS_ED25519), ("P-256", &PKCS_ECDSA_P256_SHA256)] {
        let [.., mandate] = lengths(&Authority::new(kind), false);
        println!("{what}, whole chains: mandate {mandate} bytes");
        assert!(mandate > MAX_MANDATE_BYTES, "{what}: {mandate} bytes would do; say so in docs/approvers.md");
    }
}
