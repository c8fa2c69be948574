//! Grounds that agents write themselves: only where the workspace allows it, and held against the template they name.

use serde_json::{Value, json};

use super::{claims, consent_for_the_erp};
use crate::app::{Home, TestApp};

fn allow(home: &Home) {
    consent_for_the_erp(home);
    home.edit_policy_data("opa/workspaces/data.json", |data| data["default"]["free_form_leg"] = json!(true));
}

/// A ground that the agent words by itself, on that template.
async fn own_words(app: &TestApp, id: &str, members: Value) -> Value {
    let templates = app.to_issuer("procurement").get("/templates").await.json;
    let template = templates["templates"].as_array().unwrap().iter().find(|t| t["id"] == id).unwrap().clone();
    let mut leg = json!({
        "jurisdiction": "DE", "accountable_party": {"type": "employee", "id": "erin"}, "basis": template["basis"],
        "retention_days": 30, "regulation_refs": template["references"], "description": "in my own words",
        "template": {"id": id, "version": template["version"], "digest": template["digest"]},
    });
    leg.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    leg
}

fn asking_on(leg: &Value) -> Value {
    json!({"act": "erp.vendor.read", "leg": leg})
}

fn changed(leg: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut leg = leg.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let members = leg.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => drop(members.insert(name.to_owned(), value)),
        None => drop(members.remove(name)),
    }
    leg
}

#[tokio::test]
async fn a_workspace_that_does_not_say_so_takes_templates_only() {
    let app = TestApp::start().await;
    let leg = own_words(&app, "contract", json!({"ref": "MSA-1001"})).await;
    assert_eq!(app.issue(&asking_on(&leg)).await.verdict(), "422 free_form_leg");
    app.finish().await;
}

#[tokio::test]
async fn a_sound_ground_in_own_words_gives_a_mandate_that_the_broker_takes() {
    let app = TestApp::start_with(allow).await;
    let leg = own_words(&app, "contract", json!({"ref": "MSA-1001"})).await;
    let answer = app.issue(&asking_on(&leg)).await;
    assert_eq!(answer.status, 201, "{answer}");
    assert_eq!(claims(&answer.text("/token"))["leg"], leg);
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &answer.text("/token"), None).await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn each_defect_of_a_ground_in_own_words_is_refused_by_its_name() {
    let app = TestApp::start_with(allow).await;
    let contract = own_words(&app, "contract", json!({"ref": "MSA-1001"})).await;
    let digest = format!("sha-256:{}", "0".repeat(64));
    let rows = [
        ("/template/id", Some(json!("gift")), "leg_template_unknown"),
        ("/template/version", Some(json!("1.0.1")), "leg_template_unknown"),
        ("/template/digest", Some(json!(digest)), "leg_template_unknown"),
        ("/basis", Some(json!("LI")), "leg_basis"),
        ("/basis", Some(json!("VITAL")), "leg_basis"),
        ("/jurisdiction", Some(json!("JP")), "leg_jurisdiction"),
        ("/accountable_party/type", Some(json!("robot")), "leg_accountable_party"),
        ("/accountable_party/id", Some(json!("erin and bob")), "leg_accountable_party"),
        ("/regulation_refs", None, "leg_references"),
        ("/regulation_refs", Some(json!(["GDPR Art. 6(1)(f)"])), "leg_references"),
        ("/regulation_refs", Some(json!([])), "leg_references"),
        ("/retention_days", None, "leg_retention"),
        ("/retention_days", Some(json!(3651)), "leg_retention"),
        ("/ref", Some(json!("msa 1001")), "leg_text"),
        ("/ref", Some(json!("\u{ff2d}SA-1001")), "schema_violation"),
        ("/ref", None, "schema_violation"),
        ("/description", Some(json!("a\u{202e}b")), "schema_violation"),
        ("/data_subject", Some(json!("zoe")), "schema_violation"),
        ("/approved", Some(json!(true)), "schema_violation"),
    ];
    for (pointer, value, reason) in rows {
        let answer = app.issue(&asking_on(&changed(&contract, pointer, value.clone()))).await;
        assert_eq!(answer.verdict(), format!("422 {reason}"), "{pointer} {value:?}: {answer}");
    }

    let commitment = format!("hmac-sha-256:0123456789abcdef:{}", "a".repeat(64));
    let members = json!({"ref": "C-17", "purpose": "newsletter", "data_subject": commitment});
    let consent = own_words(&app, "consent", members).await;
    assert_eq!(app.issue(&asking_on(&consent)).await.status, 201);
    for (pointer, value, reason) in [
        ("/purpose", None, "leg_evidence_missing"),
        ("/data_subject", None, "leg_incomplete"),
        ("/data_subject", Some(json!("zoe@example.com")), "schema_violation"),
        ("/ref", Some(json!("C 17")), "leg_text"),
    ] {
        let answer = app.issue(&asking_on(&changed(&consent, pointer, value.clone()))).await;
        assert_eq!(answer.verdict(), format!("422 {reason}"), "{pointer} {value:?}: {answer}");
        assert!(!answer.to_string().contains("zoe"), "{answer}");
    }
    app.finish().await;
}

#[tokio::test]
async fn templates_out_of_force_carry_no_ground_in_any_words() {
    for (from, to, reason) in [
        ("valid_until: \"2099-12-31\"", "valid_until: \"2026-01-02\"", "leg_template_expired"),
        ("valid_from: \"2026-01-01\"", "valid_from: \"2099-01-01\"", "leg_template_expired"),
        (
            "valid_until: \"2099-12-31\"",
            "valid_until: \"2099-12-31\"\nwithdrawn: \"2026-01-02\"\nwithdrawn_reason: wrong",
            "leg_template_withdrawn",
        ),
    ] {
        let app = TestApp::start_with(|home| {
            allow(home);
            home.replace("opa/leg_templates/contract/data.yaml", from, to);
        })
        .await;
        let leg = own_words(&app, "contract", json!({"ref": "MSA-1001"})).await;
        assert_eq!(app.issue(&asking_on(&leg)).await.verdict(), format!("422 {reason}"), "own words");
        let filled = app.issue(&crate::app::asking("low")).await;
        assert_eq!(filled.verdict(), format!("403 {reason}"), "by template: {filled}");
        app.finish().await;
    }
}
