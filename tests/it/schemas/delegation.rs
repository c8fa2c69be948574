//! The delegation that others write and read, and the statement that carries one.

use serde_json::{Value, json};

use super::{fits, refuses, root, with};

fn golden(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(root().join("tests/golden").join(name)).unwrap()).unwrap()
}

#[test]
fn a_delegation_fits_and_one_with_a_defect_does_not() {
    let delegation = golden("delegation-claims.json");
    let many = |count: usize, name: &str| json!((0..count).map(|i| format!("{name}{i}")).collect::<Vec<_>>());
    let defects = vec![
        ("/iss", json!("alice")),
        ("/sub", Value::Null),
        ("/aud", json!(["spiffe://atb.dev/agentauth"])),
        ("/tiers", json!([])),
        ("/tiers", json!(["ultra"])),
        ("/tiers", json!(["high", "high"])),
        ("/acts", json!([])),
        ("/acts", json!(["erp*"])),
        ("/acts", many(33, "a.b")),
        ("/workspaces", json!([])),
        ("/workspaces", many(17, "w")),
        ("/iat", json!(1.5)),
        ("/exp", json!("tomorrow")),
        ("/jti", json!("d1")),
        ("/del", json!("eyJ.eyJ.AA")),
    ];
    refuses("delegation", &delegation, defects);
    for claim in ["iss", "sub", "aud", "tiers", "acts", "workspaces", "iat", "nbf", "exp", "jti"] {
        let mut without = delegation.clone();
        without.as_object_mut().unwrap().remove(claim);
        assert!(!super::validator("delegation").is_valid(&without), "{claim}");
    }
}

#[test]
fn a_statement_carries_a_delegation_or_no_member_for_one() {
    let statement = golden("statement-claims.json");
    let jws = std::fs::read_to_string(root().join("tests/golden/delegation.jws")).unwrap();
    fits("approval-statement", &with(&statement, "/del", json!(jws)));
    let defects = vec![("/del", Value::Null), ("/del", json!("")), ("/del", golden("delegation-claims.json"))];
    refuses("approval-statement", &statement, defects);
}
