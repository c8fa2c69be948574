//! Legal grounds at the real doors: withdrawal, consent, and grounds that agents write themselves.

mod documents;
mod free_form;
mod terminal;
mod withdrawal;

use serde_json::{Value, json};

use crate::app::{Home, TestApp};

/// The shipped consent template, made to cover the ERP's vendors, which are the one upstream there is.
fn consent_for_the_erp(home: &Home) {
    let file = "opa/leg_templates/consent/data.yaml";
    home.replace(file, "acts: [\"crm.*\"", "acts: [\"erp.*\", \"crm.*\"");
}

/// Asks to read a vendor on that person's consent.
fn asking_on_consent(reference: &str, person: &str) -> Value {
    let vars = json!({
        "jurisdiction": "DE", "accountable_id": "erin", "consent_ref": reference, "data_subject": person,
        "purpose": "newsletter",
    });
    json!({"act": "erp.vendor.read", "leg": {"template": "consent@1.0.0", "vars": vars}})
}

/// The claims of a mandate, as anybody can read them.
fn claims(mandate: &str) -> Value {
    use base64ct::Encoding as _;
    let payload = mandate.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64ct::Base64UrlUnpadded::decode_vec(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn a_data_subject_is_in_no_mandate_no_answer_and_no_record() {
    let app = TestApp::start_with(consent_for_the_erp).await;
    let first = app.issue(&asking_on_consent("C-17", "zoe@example.com")).await;
    assert_eq!(first.status, 201, "{first}");
    let subject = claims(&first.text("/token"))["leg"]["data_subject"].as_str().unwrap().to_owned();
    assert!(subject.starts_with("hmac-sha-256:") && !subject.contains("zoe"), "{subject}");
    let same = app.issue(&asking_on_consent("C-18", "zoe@example.com")).await;
    assert_eq!(claims(&same.text("/token"))["leg"]["data_subject"], subject, "the same person");
    let other = app.issue(&asking_on_consent("C-18", "zoe@example.org")).await;
    assert_ne!(claims(&other.text("/token"))["leg"]["data_subject"], subject, "another person");

    let refused = app.issue(&asking_on_consent("C-17", "zoe@example.com\u{202e}")).await;
    assert_eq!(refused.verdict(), "422 leg_refused", "{refused}");
    assert!(!refused.to_string().contains("zoe"), "{refused}");
    let call = app.call("GET", "/c/erp/vendors/V-1001", &first.text("/token"), None).await;
    assert_eq!(call.status, 200, "{call}");
    for event in app.events().await {
        let text = String::from_utf8(event.to_bytes()).unwrap();
        assert!(!text.contains("zoe") && !text.contains("example.com"), "{text}");
    }
    app.finish().await;
}
