//! Refusals and waits tell an agent what is missing, and what to ask for so that it would not be.

use serde_json::{Value, json};

use super::withdraw::withdraw;
use crate::app::{AGENT, Answer, OTHER, TestApp, asking, asking_critical, bank_account, ground, the_call};
use crate::schemas::fits;

/// The one element of `authorization_details`.
#[track_caller]
fn details(answer: &Answer) -> Value {
    let details = answer.json["authorization_details"].as_array().unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(details.len(), 1, "{answer}");
    assert_eq!(details[0]["type"], "urn:atb:poa");
    details[0].clone()
}

/// The request for a mandate that the details describe; the agent adds the ground and the values that only it has.
fn request_of(details: &Value, leg: Value, params: Value) -> Value {
    let names: Vec<_> = params.as_object().unwrap().keys().map(|name| json!(name)).collect();
    for named in details["request"]["parameters"].as_array().unwrap() {
        assert!(names.contains(named), "{named} is not one of the call's parameters");
    }
    let mut request = details["request"].clone();
    for told in ["parameters", "digest"] {
        request.as_object_mut().unwrap().remove(told);
    }
    request["params"] = params;
    json!({"act": details["actions"][0], "aud": details["locations"], "leg": leg, "request": request})
}

#[tokio::test]
async fn a_wait_says_who_is_missing_until_when() {
    let app = TestApp::start().await;
    let mut ask = asking_critical();
    ask["approvers"] = json!([app.id_of("alice"), app.id_of("carol")]);
    let first = app.issue(&ask).await;
    fits("issue-pending", &first.json);
    let expected = json!({
        "approvals": 2, "roles": {"executive": 1}, "approvers": [app.id_of("alice"), app.id_of("carol")],
        "until": first.json["expires_at"],
    });
    assert_eq!(first.json["missing"], expected);
    let wanted = details(&first);
    assert_eq!(
        (&wanted["actions"], &wanted["locations"]),
        (&json!(["erp.vendor.delete"]), &json!(["spiffe://atb.dev/broker"]))
    );
    assert_eq!(wanted["requires"], json!({"approvals": 2, "roles": {"executive": 1}, "ticket": true}));
    assert_eq!(wanted["request"]["parameters"], json!(["reason", "vendor_id"]));

    let challenge = first.text("/challenge_id");
    assert_eq!(app.approve("alice", &challenge).await.status, 200);
    let second = app.collect(&challenge).await;
    fits("issue-pending", &second.json);
    let missing = &second.json["missing"];
    assert_eq!((&missing["approvals"], &missing["roles"]), (&json!(1), &json!({"executive": 1})));
    assert_eq!(missing["approvers"], json!([app.id_of("carol")]));
    app.finish().await;
}

#[tokio::test]
async fn an_agent_that_is_refused_without_a_mandate_can_ask_for_exactly_what_it_is_told() {
    let app = TestApp::start().await;
    let (method, path, body) = the_call("low");
    let headers: &[(&str, &str)] = &[];
    let refused = app.to_broker(AGENT).send(method, path, headers, Vec::new()).await;
    assert_eq!(refused.verdict(), "401 credential_missing");
    // RFC 6750 §3.1: no error code where no credential came along.
    assert_eq!(refused.header("www-authenticate"), r#"Bearer realm="atb""#);
    assert_eq!(refused.json["missing"], json!(["mandate"]));
    fits("problem", &refused.json);
    let wanted = details(&refused);
    assert_eq!(wanted["actions"], json!(["erp.vendor.read"]));
    assert_eq!(wanted["request"]["parameters"], json!(["vendor_id"]));
    let asked = app.issue(&request_of(&wanted, ground(&[]), json!({"vendor_id": "V-1001"}))).await;
    assert_eq!(asked.status, 201, "{asked}");
    assert_eq!(app.call(method, path, &asked.text("/token"), body.as_ref()).await.status, 200);

    // Where no route says what it is, nothing is said.
    let unknown = app.to_broker(AGENT).send("GET", "/c/erp/none", headers, Vec::new()).await;
    assert_eq!((unknown.status, unknown.json.get("authorization_details")), (401, None), "{unknown}");
    app.finish().await;
}

#[tokio::test]
async fn a_mandate_that_is_refused_is_answered_with_the_one_to_ask_for() {
    let app = TestApp::start().await;
    let (method, path, body) = the_call("high");
    let low = app.low_mandate().await;
    let broken = app.call(method, path, "not-a-mandate", body.as_ref()).await;
    assert_eq!(broken.verdict(), "401 mandate_malformed");
    let challenge = r#"Bearer realm="atb", error="invalid_token", error_description="mandate_malformed""#;
    assert_eq!(broken.header("www-authenticate"), challenge);
    let stolen = app.to_broker(OTHER).call(method, path, &low, body.as_ref()).await;
    assert_eq!(stolen.verdict(), "403 mandate_holder");
    for answer in [&broken, &stolen] {
        assert_eq!(answer.json["missing"], json!(["mandate"]), "{answer}");
        assert_eq!(details(answer)["actions"], json!(["sap.vendor.change"]));
        assert_eq!(details(answer)["request"].get("digest"), None, "the body was not read");
        fits("problem", &answer.json);
    }

    let other_act = app.call(method, path, &low, body.as_ref()).await;
    assert_eq!(other_act.verdict(), "403 act_mismatch");
    assert_eq!(other_act.json["missing"], json!(["mandate"]));
    fits("problem", &other_act.json);
    let wanted = details(&other_act);
    assert_eq!(wanted["request"]["parameters"], json!(["iban", "payment_limit", "vendor_id"]));
    assert!(!other_act.to_string().contains("DE02120300000000202051"), "a value is told: {other_act}");
    let asked = app.issue(&request_of(&wanted, ground(&[]), bank_account(25_000))).await;
    assert_eq!(asked.status, 202, "{asked}");
    assert_eq!(details(&asked)["request"], wanted["request"], "the digest is of exactly this call");
    assert!(!asked.to_string().contains("DE02120300000000202051"), "a value is told: {asked}");
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &low, None).await.status, 200, "a refusal spends nothing");
    app.finish().await;
}

#[tokio::test]
async fn a_denial_of_a_mandate_says_what_the_policy_misses() {
    let app = TestApp::start().await;
    let ticket = app.issue(&asking("critical")).await;
    assert_eq!(ticket.verdict(), "403 ticket_missing");
    assert_eq!(ticket.json["missing"], json!(["ticket"]));
    assert_eq!(details(&ticket)["requires"], json!({"approvals": 2, "roles": {"executive": 1}, "ticket": true}));
    fits("problem", &ticket.json);
    let mut unbound = asking("high");
    unbound.as_object_mut().unwrap().remove("request");
    let unbound = app.issue(&unbound).await;
    assert_eq!(unbound.verdict(), "403 request_binding_required");
    assert_eq!(unbound.json["missing"], json!(["request"]));
    assert_eq!(details(&unbound).get("request"), None);

    // No mandate would help: nothing is said.
    let unknown = json!({"act": "erp.vendor.explode", "leg": ground(&[])});
    let unknown = app.issue(&unknown).await;
    assert_eq!(unknown.verdict(), "403 unknown_act");
    assert_eq!((unknown.json.get("missing"), unknown.json.get("authorization_details")), (None, None));
    let challenge = app.challenge(&asking("high")).await;
    assert_eq!(withdraw(&app, AGENT, &challenge).await.status, 200);
    assert_eq!(app.collect(&challenge).await.json.get("missing"), None);
    app.finish().await;
}
