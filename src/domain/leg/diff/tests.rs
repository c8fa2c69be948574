use serde_json::json;

use super::*;

fn template() -> Value {
    json!({
        "id": "contract", "version": "1.0.0", "title": "Contract", "summary": "Needed for a contract.", "owner": "legal",
        "basis": "CONTRACT", "valid_from": "2026-01-01", "valid_until": "2030-12-31",
        "jurisdictions": ["DE", "EU"], "acts": ["erp.order.read", "sap.*"], "data_classes": ["public", "internal"],
        "accountable_party": {"types": ["employee"], "id_pattern": "[a-z]{1,8}"},
        "references": ["GDPR Art. 6(1)(b)"], "retention_days": 100,
        "evidence": [{"kind": "contract", "variable": "contract_ref"}],
        "variables": {
            "contract_ref": {"type": "string", "description": "The number.", "required": true, "pattern": "MSA-[0-9]{1,8}"},
            "kind": {"type": "string", "description": "Which.", "required": false, "pattern": "^(sale|lease)$"},
            "who": {"type": "string", "description": "Whose.", "required": true, "commit": true, "personal": true},
        },
        "claim": {"ref": "{{contract_ref}}", "description": "Fulfil {{contract_ref}}", "data_subject": "{{who}}"},
    })
}

/// What changes when `edit` is made: effect, field, words.
fn change(edit: impl FnOnce(&mut Value)) -> Vec<(Effect, String, String)> {
    let mut new = template();
    edit(&mut new);
    compare(&template(), &new, None).into_iter().map(|c| (c.effect, c.field, c.text)).collect()
}

#[track_caller]
fn one(effect: Effect, words: &str, edit: impl FnOnce(&mut Value)) {
    let changes = change(edit);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].0, effect, "{changes:?}");
    assert!(changes[0].2.contains(words), "`{words}`: {changes:?}");
}

/// The change and its opposite.
#[track_caller]
fn both(wider: &str, narrower: &str, pointer: &str, value: &Value) {
    let mut new = template();
    *new.pointer_mut(pointer).unwrap() = value.clone();
    for (old, new, effect, words) in
        [(&template(), &new, Effect::Wider, wider), (&new, &template(), Effect::Narrower, narrower)]
    {
        let changes = compare(old, new, None);
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!(changes[0].effect, effect, "{changes:?}");
        assert!(changes[0].text.contains(words), "`{words}`: {changes:?}");
    }
}

#[test]
fn what_did_not_change_is_not_said() {
    assert!(compare(&template(), &template(), None).is_empty());
    one(Effect::Same, "another order", |t| t["jurisdictions"] = json!(["EU", "DE"]));
}

#[test]
fn scope_goes_both_ways() {
    both("now also holds in `FR`", "no longer holds in `FR`", "/jurisdictions", &json!(["DE", "EU", "FR"]));
    both("class `personal`", "class `personal`", "/data_classes", &json!(["public", "internal", "personal"]));
    both("opened to `crm.*`", "closed to `crm.*`", "/acts", &json!(["erp.order.read", "sap.*", "crm.*"]));
    both("opened to `erp.*`", "closed to `erp.*`", "/acts", &json!(["erp.*", "sap.*"]));
    both("may now also be `team`", "can no longer be `team`", "/accountable_party/types", &json!(["employee", "team"]));
    both("longer: 200 days", "shorter: 100 days", "/retention_days", &json!(200));
    both("the last day was 2030-12-31", "the last day was 2031-12-31", "/valid_until", &json!("2031-12-31"));
    both("the first day was 2026-01-01", "the first day was 2025-01-01", "/valid_from", &json!("2025-01-01"));
}

#[test]
fn an_entry_inside_a_family_that_is_there_changes_nothing() {
    one(Effect::Same, "covers the same", |t| t["acts"] = json!(["erp.order.read", "sap.*", "sap.vendor.change"]));
}

#[test]
fn with_a_catalogue_the_acts_are_named_and_a_family_counts_for_what_comes_later() {
    let entry = json!({
        "title": "x", "view": "x", "tier": "low", "data_class": "internal", "reversibility": "read_only", "bind_request": false,
        "parameters": {"type": "object", "additionalProperties": false, "properties": {}}, "limits": {},
    });
    let catalogue: Catalogue =
        serde_json::from_value(json!({"erp.order.read": entry, "erp.order.create": entry, "crm.lead.create": entry}))
            .unwrap();
    let with = |acts: Value| {
        let mut new = template();
        new["acts"] = acts;
        compare(&template(), &new, Some(&catalogue))
    };
    let more = with(json!(["erp.*", "sap.*"]));
    assert_eq!((more.len(), more[0].effect), (1, Effect::Wider), "{more:?}");
    assert!(more[0].text.contains("now also covers `erp.order.create`"), "{more:?}");
    let later = with(json!(["erp.order.read", "sap.*", "hr.*"]));
    assert_eq!(later[0].effect, Effect::Wider, "no act of today, but of tomorrow: {later:?}");
}

#[test]
fn variables_say_what_must_be_given_and_what_is_let_through() {
    let variable = |name: &str, member: &str| format!("/variables/{name}/{member}");
    both(
        "`contract_ref` may now be left out",
        "must now be given",
        &variable("contract_ref", "required"),
        &json!(false),
    );
    both("in clear, no longer as a commitment", "as a commitment", &variable("who", "commit"), &json!(false));
    both("no longer treated", "now treated", &variable("who", "personal"), &json!(false));
    both("{1,9}", "{1,8}", &variable("contract_ref", "pattern"), &json!("MSA-[0-9]{1,9}"));
    both("may now also be rent", "can no longer be rent", &variable("kind", "pattern"), &json!("^(sale|lease|rent)$"));
    one(Effect::Other, "had to match", |t| t["variables"]["contract_ref"]["pattern"] = json!("[0-9]+-MSA"));
    one(Effect::Other, "and no longer sale", |t| t["variables"]["kind"]["pattern"] = json!("^(rent|lease)$"));
    one(Effect::Same, "written in another way", |t| t["variables"]["kind"]["pattern"] = json!("lease|sale"));
    one(Effect::Same, "written in another way", |t| {
        t["variables"]["contract_ref"]["pattern"] = json!("^(MSA-[0-9]{1,8})$");
    });
    one(Effect::Wider, "no longer has to match", |t| {
        t["variables"]["kind"].as_object_mut().unwrap().remove("pattern");
    });
    one(Effect::Narrower, "must now match", |t| t["variables"]["who"]["pattern"] = json!("[a-z]+"));
    one(Effect::Narrower, "shorter: 10 bytes instead of 256", |t| t["variables"]["kind"]["max_length"] = json!(10));
    one(Effect::Wider, "longer: 500 bytes instead of 256", |t| t["variables"]["kind"]["max_length"] = json!(500));
    one(Effect::Other, "type of `kind`", |t| t["variables"]["kind"]["type"] = json!("integer"));
    one(Effect::Same, "description of `kind`", |t| t["variables"]["kind"]["description"] = json!("What kind."));
    one(Effect::Narrower, "`order` must now be given", |t| t["variables"]["order"] = json!({"required": true}));
    one(Effect::Other, "`order` may now be given", |t| t["variables"]["order"] = json!({"required": false}));
    one(Effect::Wider, "`who` is no longer asked for", |t| {
        t["variables"].as_object_mut().unwrap().remove("who");
    });
    one(Effect::Other, "`kind` can no longer be given", |t| {
        t["variables"].as_object_mut().unwrap().remove("kind");
    });
}

#[test]
fn the_accountable_partys_pattern_is_compared_like_any_other() {
    both("{1,9}", "{1,8}", "/accountable_party/id_pattern", &json!("[a-z]{1,9}"));
    one(Effect::Narrower, "{2,8}", |t| t["accountable_party"]["id_pattern"] = json!("[a-z]{2,8}"));
    one(Effect::Other, "{2,9}", |t| t["accountable_party"]["id_pattern"] = json!("[a-z]{2,9}"));
}

#[test]
fn less_evidence_is_wider() {
    one(Effect::Wider, "no longer asked for: `contract`", |t| t["evidence"] = json!([]));
    one(Effect::Other, "taken from `kind`", |t| t["evidence"][0]["variable"] = json!("kind"));
    let mut old = template();
    old["evidence"] = json!([]);
    let changes = compare(&old, &template(), None);
    assert_eq!(changes[0].effect, Effect::Narrower, "{changes:?}");
}

#[test]
fn what_no_rule_can_judge_is_for_a_person() {
    one(Effect::Other, "was a contract, GDPR Art. 6(1)(b) and is legitimate interest", |t| t["basis"] = json!("LI"));
    one(Effect::Other, "`claim.description` was \"Fulfil", |t| {
        t["claim"]["description"] = json!("Do {{contract_ref}}")
    });
    one(Effect::Other, "`claim.purpose` is new", |t| t["claim"]["purpose"] = json!("x"));
    one(Effect::Other, "`claim.data_subject` is gone", |t| {
        t["claim"].as_object_mut().unwrap().remove("data_subject");
    });
    one(Effect::Other, "`id` was", |t| t["id"] = json!("other"));
    one(Effect::Other, "`future.x` is new", |t| t["future"] = json!({"x": 1}));
    one(Effect::Other, "now also names `BDSG § 26`", |t| t["references"] = json!(["GDPR Art. 6(1)(b)", "BDSG § 26"]));
}

#[test]
fn words_alone_change_nothing() {
    for field in ["version", "title", "summary", "owner"] {
        one(Effect::Same, field, |t| t[field] = json!("2.0.0"));
    }
}

#[test]
fn withdrawing_is_narrower_and_taking_it_back_is_wider() {
    let mut gone = template();
    gone["withdrawn"] = json!("2026-11-21");
    assert_eq!(compare(&template(), &gone, None)[0].effect, Effect::Narrower);
    assert_eq!(compare(&gone, &template(), None)[0].effect, Effect::Wider);
    let mut later = gone.clone();
    later["withdrawn"] = json!("2026-12-01");
    assert_eq!(compare(&gone, &later, None)[0].effect, Effect::Wider);
    assert_eq!(compare(&later, &gone, None)[0].effect, Effect::Narrower);
}

#[test]
fn sets_are_compared_by_id_and_wider_under_one_version_is_told() {
    let set = |templates: &[Value]| -> BTreeMap<String, Value> {
        templates.iter().map(|t| (t["id"].as_str().unwrap().to_owned(), t.clone())).collect()
    };
    let (mut other, mut wide) = (template(), template());
    other["id"] = json!("other");
    wide["retention_days"] = json!(200);
    let diffs = compare_sets(&set(&[template()]), &set(&[wide.clone(), other.clone()]), None);
    assert_eq!(diffs.len(), 2);
    assert!(diffs[0].wider_under_one_version(), "{diffs:?}");
    assert!(!diffs[1].wider_under_one_version(), "a new template has a version of its own: {diffs:?}");
    assert_eq!(diffs[1].old_version, None);
    wide["version"] = json!("1.1.0");
    let raised = compare_sets(&set(&[template()]), &set(&[wide]), None);
    assert!(!raised[0].wider_under_one_version(), "{raised:?}");
    let gone = compare_sets(&set(&[template(), other]), &set(&[template()]), None);
    assert_eq!((gone[0].changes[0].effect, gone[0].new_version.clone()), (Effect::Narrower, None));
}
