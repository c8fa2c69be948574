use proptest::prelude::*;
use serde_json::json;

use super::super::openings::KeptDocument;
use super::*;

fn salt() -> Salt {
    Salt::from_bytes([7; 16])
}

fn asked() -> Value {
    json!({
        "phase": "call", "time": 1_790_000_000, "workspace": "default",
        "poa": {"con": {"amount": {"max": 100}}, "leg": {"description": "for Zoe", "ref": "MSA-1",
            "accountable_party": {"id": "dave", "display_name": "Dave D."}}},
        "request": {"connector": "erp", "params": {"amount": 99.5, "vendor_id": "V-1", "a/b": [1, {"x": null}]}},
    })
}

fn loggable() -> BTreeSet<String> {
    ["vendor_id".to_owned()].into()
}

fn opened(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_is_not_loggable_is_committed_to_and_opens_to_what_was_asked() {
    let (recorded, openings) = RecordedInput::commit(&asked().to_string(), &loggable(), salt()).unwrap();
    for secret in ["99.5", "Zoe", "Dave D.", "\"max\""] {
        assert!(!recorded.as_json().contains(secret), "{secret}: {recorded:?}");
    }
    assert!(recorded.as_json().contains("\"vendor_id\":\"V-1\""), "{recorded:?}");
    let pointers: Vec<_> = openings.values().keys().map(String::as_str).collect();
    assert_eq!(
        pointers,
        [
            "/poa/con/amount",
            "/poa/leg/accountable_party/display_name",
            "/poa/leg/description",
            "/request/params/amount",
            "/request/params/a~1b",
        ]
        .into_iter()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
    );
    assert_eq!(opened(&recorded.open(Some(&openings)).unwrap()), asked());
    let stored = Openings::from_stored(openings.salt(), &openings.to_stored()).unwrap();
    assert_eq!(stored, openings);
}

#[test]
fn a_commitment_is_the_hash_that_the_documents_say() {
    let (recorded, _) = RecordedInput::commit(&asked().to_string(), &loggable(), salt()).unwrap();
    let mut bytes = vec![7; 16];
    bytes.extend_from_slice(b"\0/request/params/amount\x0099.5");
    let expected = Sha256Digest::of(&bytes).to_string();
    assert_eq!(opened(recorded.as_json())["request"]["params"]["amount"], json!({"commitment": expected}));
}

#[test]
fn an_erased_opening_and_a_changed_one_are_told_apart() {
    let (recorded, openings) = RecordedInput::commit(&asked().to_string(), &loggable(), salt()).unwrap();
    assert!(matches!(recorded.open(None), Err(OpenError::Erased(_))));
    let mut changed = openings.clone();
    changed.values.insert("/request/params/amount".to_owned(), json!(1));
    assert_eq!(recorded.open(Some(&changed)), Err(OpenError::Tampered("/request/params/amount".to_owned())));
    let other_salt = Openings { salt: Salt::from_bytes([8; 16]), ..openings };
    assert!(matches!(recorded.open(Some(&other_salt)), Err(OpenError::Tampered(_))));
}

#[test]
fn a_document_is_kept_beside_the_values_and_is_none_of_them() {
    let (recorded, openings) = RecordedInput::commit(&asked().to_string(), &loggable(), salt()).unwrap();
    let kept = openings.clone().with(KeptDocument::Mandate, "a.b.c");
    let stored = Openings::from_stored(salt(), &kept.to_stored()).unwrap();
    assert_eq!(stored, kept);
    assert_eq!(stored.document(KeptDocument::Mandate), Some("a.b.c"));
    assert_eq!(stored.document(KeptDocument::Statement), None);
    assert_eq!((stored.values(), recorded.open(Some(&stored))), (openings.values(), recorded.open(Some(&openings))));
    assert!(Openings::from_stored(salt(), br##"{"#mandate": 1}"##).is_none());
}

#[test]
fn a_clear_value_that_looks_like_a_commitment_is_committed_to() {
    let posing = json!({"request": {"params": {"vendor_id": {"commitment": "sha-256:00"}}}});
    let (recorded, openings) = RecordedInput::commit(&posing.to_string(), &loggable(), salt()).unwrap();
    assert_eq!(openings.values().len(), 1);
    assert_eq!(opened(&recorded.open(Some(&openings)).unwrap()), posing);
}

#[test]
fn an_input_beyond_the_bound_is_recorded_as_a_digest_alone() {
    let large = json!({"request": {"params": {"text": "x".repeat(MAX_RECORDED_BYTES)}}}).to_string();
    let record = PolicyRecord::of(PolicyRule::PoaDecision, &large, &json!({}), &BTreeSet::new(), salt());
    assert!(record.input.is_none() && record.input_digest.is_some() && record.openings.is_none());
    let mut subject = Subject::default();
    record.onto(&mut subject);
    assert!(subject.input_digest.is_some());
}

#[test]
fn a_member_that_is_added_to_verdicts_and_says_nothing_changes_no_digest() {
    let before = verdict_digest(&json!({"allow": true, "violations": []}));
    assert_eq!(before, verdict_digest(&json!({"allow": true, "violations": [], "risk": null, "matched": []})));
    assert_ne!(before, verdict_digest(&json!({"allow": false})));
}

proptest! {
    #[test]
    fn whatever_the_parameters_are_the_opened_input_is_the_canonical_form_of_the_asked_one(
        params in prop::collection::btree_map("[a-z/~]{1,6}", prop_oneof![
            any::<i32>().prop_map(Value::from), any::<bool>().prop_map(Value::from),
            "[^\0]{0,12}".prop_map(Value::from), Just(Value::Null), Just(json!({"commitment": "x"})),
        ], 0..6),
        loggable in prop::collection::btree_set("[a-z/~]{1,6}", 0..3),
    ) {
        let asked = json!({"request": {"params": params}});
        let (recorded, openings) = RecordedInput::commit(&asked.to_string(), &loggable, salt()).unwrap();
        let opened = recorded.open(Some(&openings)).unwrap();
        prop_assert_eq!(opened.into_bytes(), json::canonical(&asked));
    }
}
