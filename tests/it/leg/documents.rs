//! One defect each in a template: the program names its place, and the JSON Schema has the same verdict wherever a schema
//! can have one.

use atb::domain::leg::LegTemplate;
use serde_json::{Value, json};

use crate::schemas::validator;

/// Pointer to change, the new value (none removes it), where the program points, whether a schema can know.
type Row = (&'static str, Option<Value>, &'static str, bool);

fn shipped(id: &str) -> Value {
    let path = format!("{}/opa/leg_templates/{id}/data.yaml", env!("CARGO_MANIFEST_DIR"));
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn changed(source: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut source = source.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match (source.pointer_mut(parent).unwrap(), value) {
        (Value::Object(members), Some(value)) => drop(members.insert(name.to_owned(), value)),
        (Value::Object(members), None) => drop(members.remove(name)),
        (Value::Array(items), Some(value)) => items[name.parse::<usize>().unwrap()] = value,
        other => panic!("{pointer}: {other:?}"),
    }
    source
}

#[track_caller]
fn hold(id: &str, rows: Vec<Row>) {
    let source = shipped(id);
    let schema = validator("leg-template");
    assert!(schema.is_valid(&source) && LegTemplate::parse(&id.parse().unwrap(), &source).is_ok());
    for (pointer, value, place, known_to_schemas) in rows {
        let what = format!("{id}: {value:?} at {pointer}");
        let document = changed(&source, pointer, value);
        let error = LegTemplate::parse(&id.parse().unwrap(), &document).expect_err(&what);
        assert_eq!(error.pointer, place, "{what}: {error}");
        assert_eq!(schema.is_valid(&document), !known_to_schemas, "{what}: the schema's verdict");
    }
}

#[test]
fn each_defect_of_a_template_is_refused_at_its_place() {
    hold(
        "contract",
        vec![
            ("/id", Some(json!("other")), "/id", false),
            ("/basis", Some(json!("BECAUSE")), "/basis", true),
            ("/basis", Some(json!("LI")), "/evidence", true),
            ("/basis", Some(json!("VITAL")), "/evidence", true),
            ("/basis", Some(json!("PUBLIC_TASK")), "/evidence", true),
            ("/jurisdictions", Some(json!([])), "/jurisdictions", true),
            ("/jurisdictions", Some(json!(["XX"])), "/jurisdictions/0", true),
            ("/jurisdictions", Some(json!(["DE", "DE"])), "/jurisdictions/1", true),
            ("/acts", Some(json!([])), "/acts", true),
            ("/acts", Some(json!(["*.read"])), "/acts/0", true),
            ("/data_classes", Some(json!([])), "/data_classes", true),
            ("/data_classes", Some(json!(["secret"])), "/data_classes/0", true),
            ("/accountable_party/types", Some(json!([])), "/accountable_party/types", true),
            ("/accountable_party/types", Some(json!(["robot"])), "/claim/accountable_party/type", false),
            ("/accountable_party/id_pattern", Some(json!("(")), "/accountable_party/id_pattern", false),
            ("/references", Some(json!([])), "/references", true),
            ("/references", Some(json!(["{{nobody}}"])), "/references/0", false),
            ("/retention_days", Some(json!(-1)), "/retention_days", true),
            ("/evidence", Some(json!([])), "/evidence", true),
            ("/evidence/0/kind", Some(json!("purpose")), "/evidence", true),
            ("/evidence/0/variable", Some(json!("nobody")), "/evidence/0/variable", false),
            ("/evidence/0/variable", Some(json!("accountable_name")), "/evidence/0/variable", false),
            ("/variables/order/pattern", Some(json!("a)|(b")), "/variables/order/pattern", false),
            ("/variables/order/max_length", Some(json!(513)), "/variables/order/max_length", true),
            ("/variables/order/personal", Some(json!(true)), "/claim/description", false),
            ("/variables/order/commit", Some(json!(true)), "/claim/description", false),
            ("/variables/order/required", Some(json!(false)), "/claim", false),
            (
                "/variables/Order",
                Some(json!({"type": "string", "description": "x", "required": false})),
                "/variables/Order",
                true,
            ),
            ("/claim/basis", Some(json!("CONTRACT")), "/claim/basis", true),
            ("/claim/regulation_refs", Some(json!(["x"])), "/claim/regulation_refs", true),
            ("/claim/retention_days", Some(json!(1)), "/claim/retention_days", true),
            ("/claim/approval", Some(json!({})), "/claim/approval", true),
            ("/claim/ref", None, "/claim", true),
            ("/claim/ref", Some(json!("{{contract_ref")), "/claim/ref", true),
            ("/claim/ref", Some(json!("a}}")), "/claim/ref", true),
            ("/claim/bypass", Some(json!("x")), "/claim/bypass", true),
            ("/claim/jurisdiction", Some(json!("JP")), "/claim/jurisdiction", false),
            ("/claim/data_subject", Some(json!("zoe")), "/claim/data_subject", true),
            ("/claim/data_subject", Some(json!("{{order}}")), "/claim/data_subject", false),
            ("/valid_until", Some(json!("2026-02-30")), "/valid_until", false),
            ("/valid_until", Some(json!("soon")), "/valid_until", true),
            ("/valid_until", Some(json!("2025-12-31")), "/valid_until", false),
            ("/withdrawn", Some(json!("2026-11-21")), "/withdrawn", true),
            ("/withdrawn_reason", Some(json!("wrong")), "/withdrawn_reason", true),
            ("/summary", Some(json!(" ")), "/summary", true),
        ],
    );
}

#[test]
fn a_consent_names_record_purpose_and_a_committed_person() {
    hold(
        "consent",
        vec![
            ("/variables/data_subject/commit", Some(json!(false)), "/claim/data_subject", false),
            ("/variables/data_subject/required", Some(json!(false)), "/claim/data_subject", false),
            ("/claim/data_subject", None, "/claim", true),
            ("/claim/data_subject", Some(json!("person {{data_subject}}")), "/claim/data_subject", true),
            ("/claim/purpose", Some(json!("about {{purpose}}")), "/evidence/1/variable", true),
            ("/claim/ref", Some(json!("consent {{consent_ref}}")), "/evidence/0/variable", true),
            ("/evidence", Some(json!([{"kind": "purpose", "variable": "purpose"}])), "/evidence", true),
        ],
    );
}
