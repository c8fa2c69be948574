//! The shipped templates, and one document with one defect each, against the types and the JSON Schema.

use serde_json::{Map, Value, json};

use super::testing::Digest;
use super::*;

/// The shipped templates by folder.
pub(super) fn shipped() -> Vec<Value> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/opa/leg_templates");
    let folders = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path().join("data.yaml"));
    folders.map(|path| serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()).collect()
}

pub(super) fn shipped_as(id: &str) -> Value {
    shipped().into_iter().find(|template| template["id"] == id).unwrap()
}

pub(super) fn parse(source: &Value) -> Result<LegTemplate, TemplateError> {
    LegTemplate::parse(&source["id"].as_str().unwrap_or("x").parse().unwrap(), source)
}

fn vars(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

pub(super) fn consent_vars() -> Map<String, Value> {
    vars(json!({
        "jurisdiction": "DE", "accountable_id": "dave", "consent_ref": "C-17", "data_subject": "zoe@example.com",
        "purpose": "newsletter",
    }))
}

#[test]
fn every_shipped_template_is_sound_and_names_jurisdiction_accountable_party_and_evidence() {
    let templates = shipped();
    assert_eq!(templates.len(), 4);
    for source in &templates {
        let template = parse(source).unwrap();
        let document = template.document();
        assert!(document.defects().is_empty());
        for kind in EvidenceKind::required_by(document.basis) {
            assert!(document.evidence.iter().any(|rule| rule.kind == *kind), "{}", document.id);
        }
    }
}

#[test]
fn a_committed_variable_enters_the_claim_as_its_commitment_alone() {
    let template = parse(&shipped_as("consent")).unwrap();
    let ground = template.bind(&consent_vars(), Some(&Digest)).unwrap();
    let text = ground.to_value().to_string();
    assert!(!text.contains("zoe") && !text.contains("example.com"), "{text}");
    let expected = template.commitment("data_subject", "zoe@example.com", &Digest).unwrap();
    assert_eq!(ground.as_leg().data_subject.as_ref(), Some(&expected));
    assert_eq!(template.bind(&consent_vars(), None), Err(BindError::NoCommitmentKey("data_subject".into())));
    let mut other = consent_vars();
    other["data_subject"] = json!("zoe\u{202e}");
    let error = template.bind(&other, Some(&Digest)).unwrap_err().to_string();
    assert!(!error.contains("zoe"), "{error}");
}
