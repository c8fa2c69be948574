//! The table of tests/vectors/mandate/index.txt, the golden mandate, and what nobody can change about a mandate.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::approval::tests::{Key, now, read, rows, signed, statement, trust};
use crate::domain::jose::MandateKeys;
use crate::domain::time::{Timestamp, Ttl};

/// The seed of AgentAuth's key in the fixtures.
const AGENTAUTH: u8 = 7;

fn keys() -> MandateKeys {
    jwks("ok").unwrap()
}

fn jwks(name: &str) -> Result<MandateKeys, String> {
    let set = serde_json::from_str(&read("vectors/mandate/jwks", &format!("{name}.json"))).unwrap();
    MandateKeys::from_jwks(&set).map_err(|error| format!("{error:?}").to_lowercase())
}

fn expected() -> Expected {
    Expected {
        issuer: "spiffe://atb.dev/agentauth".parse().unwrap(),
        audience: "spiffe://atb.dev/broker".parse().unwrap(),
        max_ttl: Ttl::DEFAULT,
    }
}

fn verify(jws: &str) -> Result<VerifiedMandate, MandateError> {
    UnverifiedMandate::parse(jws)?.verify(&keys(), &expected(), now())
}

fn outcome(jws: &str) -> &'static str {
    match verify(jws) {
        Err(error) => error.code(),
        Ok(mandate) => ProvenApprovals::of(mandate.claims(), &trust()).map_or_else(|error| error.code(), |_| "ok"),
    }
}

fn golden() -> Claims {
    serde_json::from_str(&read("golden", "mandate-claims.json")).unwrap()
}

#[test]
fn every_mandate_has_the_outcome_that_the_index_says() {
    let wrong: Vec<_> = rows("vectors/mandate")
        .into_iter()
        .map(|(file, expected)| (outcome(&read("vectors/mandate", &format!("{file}.jws"))), file, expected))
        .filter(|(outcome, _, expected)| outcome != expected)
        .collect();
    assert!(wrong.is_empty(), "outcome, file, expected: {wrong:#?}");
}

/// The name of each set begins with the error that it must have.
#[test]
fn a_key_set_with_one_defect_is_refused_whole() {
    let folder = crate::domain::approval::tests::folder("vectors/mandate/jwks");
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let name = file.strip_suffix(".json").unwrap();
        let outcome = jwks(name).map_or_else(|error| error, |_| "ok".to_owned());
        assert_eq!(outcome, name.split('-').next().unwrap(), "{name}");
    }
}

#[test]
fn a_mandate_is_written_as_others_parse_it() {
    let (claims, text) = (golden(), read("golden", "mandate-claims.json"));
    assert_eq!(serde_json::to_string(&claims).unwrap(), text);
    let kid = keys().to_jwks()["keys"][0]["kid"].as_str().unwrap().parse().unwrap();
    let sealed = UnsignedMandate::new(claims).attach(&kid, &Key::of(AGENTAUTH)).unwrap();
    // The token stays sealed without a receipt; the pipe of the test is the parser of its golden twin.
    let golden = read("golden", "mandate.jws");
    assert_eq!(sealed.claims(), verify(&golden).unwrap().claims());
    assert_eq!(sign(sealed.claims()), golden);
}

#[test]
fn a_mandate_has_the_contracts_claims_and_no_more() {
    let claims: serde_json::Map<String, Value> = serde_json::from_str(&read("golden", "mandate-claims.json")).unwrap();
    let members: std::collections::BTreeSet<_> = claims.keys().map(String::as_str).collect();
    let contract = ["iss", "sub", "aud", "act", "con", "leg", "iat", "nbf", "exp", "jti", "tier", "pol", "req"];
    assert_eq!(members, contract.into());
}

/// A mandate as a thief of AgentAuth's key would write it.
fn sign(claims: &Claims) -> String {
    let mut header = josekit::jws::JwsHeader::new();
    header.set_token_type("poa+jwt");
    header.set_key_id(keys().to_jwks()["keys"][0]["kid"].as_str().unwrap());
    crate::domain::jose::sign(&header, &serde_json::to_vec(claims).unwrap(), &Key::of(AGENTAUTH)).unwrap()
}

fn proof(claims: &Claims) -> &'static str {
    // The issuer's signature is good: only the approvers' can help.
    let verified = verify(&sign(claims)).unwrap();
    ProvenApprovals::of(verified.claims(), &trust()).map_or_else(|error| error.code(), |_| "ok")
}

/// The golden claims with the value at `pointer` replaced or added.
fn with(pointer: &str, value: Value) -> Claims {
    let mut claims = serde_json::to_value(golden()).unwrap();
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    match claims.pointer_mut(parent).unwrap() {
        Value::Array(elements) => elements[member.parse::<usize>().unwrap()] = value,
        parent => parent[member] = value,
    }
    serde_json::from_value(claims).unwrap()
}

fn another(pointer: &str) -> Claims {
    let value = match pointer {
        "/sub" => json!("spiffe://atb.dev/agent/support"),
        "/act" => json!("erp.vendor.delete"),
        "/con/payment_limit/max" => json!(250_000),
        "/con/anything" => json!(1),
        "/exp" => json!(now().as_secs() + 299),
        "/req/method" => json!("PUT"),
        "/req/connector" => json!("crm"),
        "/req/digest" | "/leg/template/digest" => json!(format!("sha-256:{}", "0".repeat(64))),
        "/leg/jurisdiction" => json!("DE"),
        "/leg/basis" => json!("LI"),
        "/leg/retention_days" => json!(1),
        "/leg/regulation_refs" => json!([]),
        "/leg/ticket/ref" | "/leg/template/version" | "/leg/template/id" => json!("other-1"),
        "/req/path" => json!("/vendors/V-1002/bank-account"),
        _ => json!("other"),
    };
    with(pointer, value)
}

/// Everything that an approver reads and signs, one member at a time.
const SIGNED: [&str; 22] = [
    "/sub",
    "/act",
    "/con/payment_limit/max",
    "/con/anything",
    "/exp",
    "/req/connector",
    "/req/method",
    "/req/path",
    "/req/digest",
    "/leg/jurisdiction",
    "/leg/accountable_party/id",
    "/leg/accountable_party/type",
    "/leg/basis",
    "/leg/ref",
    "/leg/description",
    "/leg/template/id",
    "/leg/template/version",
    "/leg/template/digest",
    "/leg/ticket/ref",
    "/leg/retention_days",
    "/leg/purpose",
    "/leg/regulation_refs",
];

#[test]
fn the_issuers_key_cannot_change_what_was_approved() {
    assert_eq!(proof(&golden()), "ok");
    for pointer in SIGNED {
        assert_eq!(proof(&another(pointer)), "statement_digest", "{pointer}");
    }
    let mut untied = golden();
    untied.req = None;
    assert_eq!(proof(&untied), "statement_digest");
}

#[test]
fn the_issuers_key_cannot_relabel_approvals() {
    let approver = |member: &str| format!("/leg/dual_control/approvers/0/{member}");
    assert_eq!(proof(&with(&approver("id"), json!("spiffe://atb.dev/approver/alice"))), "approval_mislabelled");
    assert_eq!(proof(&with(&approver("approved_at"), json!("2026-11-30T23:59:01Z"))), "approval_mislabelled");
}

#[test]
fn every_approver_was_shown_the_same_view() {
    use crate::domain::approval::tests::view;
    let proven = ProvenApprovals::of(&golden(), &trust()).unwrap();
    assert!(proven.shown(view()).is_ok());
    assert_eq!(proven.shown(crate::domain::id::Sha256Digest::of(b"other")).unwrap_err().code(), "statement_view");
    let claims = golden();
    let mut other = statement("carol", proven.challenge().unwrap().0, claims.ask().unwrap().sum());
    other.view = crate::domain::id::Sha256Digest::of(b"other");
    let mixed = with("/leg/dual_control/approvers/1/statement", json!(signed("carol", &other)));
    let proven = ProvenApprovals::of(&mixed, &trust()).unwrap();
    assert_eq!(proven.shown(view()).unwrap_err().code(), "statement_view");
    assert_eq!(proven.shown(other.view).unwrap_err().code(), "statement_view");
}

#[test]
fn approvals_answer_one_challenge() {
    let claims = golden();
    let sum = claims.ask().unwrap().sum();
    let jws = signed("bob", &statement("bob", crate::domain::id::ChallengeId::new(now(), [5; 10]), sum));
    let mixed = with("/leg/dual_control/approvers/0/statement", json!(jws));
    assert_eq!(proof(&mixed), "approval_challenges_mixed");
}

#[test]
fn an_approval_that_was_not_good_when_the_mandate_was_issued_does_not_count() {
    let claims = golden();
    let (sum, cid) =
        (claims.ask().unwrap().sum(), ProvenApprovals::of(&claims, &trust()).unwrap().challenge().unwrap().0);
    let mut late = statement("bob", cid, sum);
    (late.iat, late.exp) = (now().as_secs() - 60, now().as_secs());
    let late = with("/leg/dual_control/approvers/0/statement", json!(signed("bob", &late)));
    assert_eq!(proof(&late), "statement_expired");
}

#[test]
fn a_mandate_has_one_form_of_approval_and_at_most_eight() {
    let approvers = serde_json::to_value(golden().leg.dual_control.unwrap().approvers).unwrap();
    let nine: Vec<_> = approvers.as_array().unwrap().iter().cycle().take(9).cloned().collect();
    let crowded = with("/leg/dual_control/approvers", json!(nine));
    let code = ProvenApprovals::of(&crowded, &trust()).unwrap_err().code();
    assert_eq!(code, "approval_count");
    let single = json!({"approver_id": approvers[0]["id"], "approved_at": approvers[0]["approved_at"], "statement": approvers[0]["statement"]});
    assert_eq!(proof(&with("/leg/approval", single)), "approval_form");
}

#[test]
fn proven_approvals_say_who_when_and_how_long_a_copy_could_be_used() {
    let proven = ProvenApprovals::of(&golden(), &trust()).unwrap();
    let names: Vec<_> = proven.facts().iter().map(|fact| fact.id.as_str()).collect();
    assert_eq!(names, ["spiffe://atb.dev/approver/bob", "spiffe://atb.dev/approver/carol"]);
    let (_, until) = proven.challenge().unwrap();
    assert_eq!(until, Timestamp::from_secs(now().as_secs() + 3540 + 900 + 5));
}

#[test]
fn a_mandate_belongs_to_its_agent_alone() {
    let verified = verify(&read("golden", "mandate.jws")).unwrap();
    let error = verified.clone().held_as_reported(&"spiffe://atb.dev/agent/support".parse().unwrap()).unwrap_err();
    assert_eq!(error.code(), "mandate_holder");
    assert!(verified.held_as_reported(&"spiffe://atb.dev/agent/procurement".parse().unwrap()).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_byte_of_a_mandate_can_be_changed(at in 0_usize..100_000, to in any::<u8>()) {
        let mut bytes = read("golden", "mandate.jws").into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        let changed = String::from_utf8(bytes).unwrap_or_default();
        prop_assert!(verify(&changed).is_err());
    }
}

/// The golden mandate with Bob's approval in Carol's name, or Carol's in Bob's, beside nobody else's.
fn delegated(change: impl FnOnce(&mut crate::domain::approval::Delegation)) -> Claims {
    let mut delegation: crate::domain::approval::Delegation =
        serde_json::from_str(&read("golden", "delegation-claims.json")).unwrap();
    change(&mut delegation);
    let del = delegation.sign(&Key::of(4), &crate::domain::approval::tests::chain("carol")).unwrap();
    let claims = golden();
    let (sum, cid) =
        (claims.ask().unwrap().sum(), ProvenApprovals::of(&claims, &trust()).unwrap().challenge().unwrap().0);
    let plain = statement("bob", cid, sum);
    let jws = signed("bob", &crate::domain::approval::Statement { del: Some(del), ..plain });
    let mut value = serde_json::to_value(with("/leg/dual_control/approvers/0/statement", json!(jws))).unwrap();
    value["leg"]["dual_control"]["approvers"].as_array_mut().unwrap().truncate(1);
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_delegated_approval_is_proven_from_the_mandate_alone() {
    let claims = delegated(|_| ());
    let proven = ProvenApprovals::of(&claims, &trust()).unwrap();
    let other = proven.facts()[0].on_behalf_of.as_ref().unwrap();
    assert_eq!(other.id.as_str(), "spiffe://atb.dev/approver/carol");
    assert_eq!(serde_json::to_value(&proven.facts()[0]).unwrap()["on_behalf_of"]["acts"][0], "erp.*");
    assert_eq!(proof(&delegated(|d| d.tiers = vec![crate::domain::catalogue::Tier::Critical])), "delegation_tier");
    assert_eq!(proof(&delegated(|d| d.acts = vec!["erp.*".to_owned().try_into().unwrap()])), "delegation_act");
    assert_eq!(proof(&delegated(|delegation| delegation.exp = now().as_secs() + 60)), "delegation_expired");
}

#[test]
fn the_issuers_key_cannot_count_a_delegator_beside_her_delegate() {
    let carols = serde_json::to_value(golden().leg.dual_control.unwrap().approvers).unwrap()[1].clone();
    let beside = |first: bool| {
        let mut value = serde_json::to_value(delegated(|_| ())).unwrap();
        let approvers = value["leg"]["dual_control"]["approvers"].as_array_mut().unwrap();
        approvers.insert(usize::from(!first), carols.clone());
        serde_json::from_value::<Claims>(value).unwrap()
    };
    assert_eq!(proof(&beside(true)), "approver_already_counted");
    assert_eq!(proof(&beside(false)), "approver_already_counted");
}
