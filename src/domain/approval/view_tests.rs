//! That a view shows everything, shows it to everybody alike, and never shows two requests alike.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::domain::action::CallRequest;
use crate::domain::catalogue::CatalogueEntry;
use crate::domain::id::Sha256Digest;
use crate::domain::json::{self, Object};
use crate::domain::text::TextDefect;
use crate::domain::text::tests::attacks;

fn entry() -> CatalogueEntry {
    serde_json::from_value(json!({
        "title": "Change a vendor", "view": "Change vendor {{vendor_id}} to {{iban}} ({{reason}})", "tier": "high",
        "data_class": "confidential", "reversibility": "reversible", "bind_request": true, "limits": {},
        "parameters": {"type": "object", "additionalProperties": false, "properties": {
            "vendor_id": {"type": "string"}, "iban": {"type": "string"}, "reason": {"type": "string"},
        }},
    }))
    .unwrap()
}

fn object(value: &Value) -> Object {
    Object::from(value.as_object().unwrap().clone())
}

fn call(params: &Value) -> CallView {
    CallView::from(&CallRequest::new(
        "erp".parse().unwrap(),
        "POST".parse().unwrap(),
        "/vendors/V-1001/bank-account".parse().unwrap(),
        "sap.vendor.change".parse().unwrap(),
        object(params),
    ))
}

fn ask_value(call: &CallView) -> Value {
    json!({
        "sub": "spiffe://atb.dev/agent/procurement", "act": "sap.vendor.change", "con": {"payment_limit": {"max": 25000}},
        "leg": {
            "jurisdiction": "EU", "accountable_party": {"type": "employee", "id": "dave", "display_name": "Dave Dorn"},
            "basis": "LEGAL", "ref": "MSA-1001", "description": "change the bank account of vendor V-1001",
            "template": {"id": "legal-obligation", "version": "1.2.0", "digest": Sha256Digest::of(b"abc")},
            "ticket": {"system": "jira", "ref": "FIN-7"}, "regulation_refs": ["GDPR Art. 6(1)(c)"],
            "retention_days": 3650, "data_subject": format!("hmac-sha-256:0123456789abcdef:{}", "ab".repeat(32)), "purpose": "payment", "approval_ref": "CAB-12",
        },
        "req": call.binding, "ttl": 300,
    })
}

fn ask(call: &CallView) -> Ask {
    serde_json::from_value(ask_value(call)).unwrap()
}

fn view(params: &Value) -> View {
    let call = call(params);
    View::of(&ask(&call), Some(&call), &entry()).unwrap()
}

fn usual() -> Value {
    json!({"vendor_id": "V-1001", "iban": "DE02120300000000202051", "limits": {"day": 1, "list": [1, "1", null]}})
}

#[test]
fn a_view_shows_everything_that_is_asked_in_a_fixed_order() {
    let lines = view(&usual()).lines();
    let expected = [
        "Change vendor V-1001 to DE02120300000000202051 (—)",
        "what                    Change a vendor (high tier)",
        "agent                   spiffe://atb.dev/agent/procurement",
        "act                     sap.vendor.change",
        "connector               erp",
        "method                  POST",
        "path                    /vendors/V-1001/bank-account",
        "parameter /iban         \"DE02120300000000202051\"",
        "parameter /limits/day   1",
        "parameter /limits/list  list of 3",
        "parameter /limits/list/0  1",
        "parameter /limits/list/1  \"1\"",
        "parameter /limits/list/2  null",
        "parameter /vendor_id    \"V-1001\"",
    ];
    assert_eq!(lines[..expected.len()], expected);
    let all = lines.join("\n");
    for shown in [
        "parameters digest       sha-256:",
        "constraint /payment_limit/max  25000",
        "jurisdiction            EU",
        "basis                   LEGAL",
        "accountable type        employee",
        "accountable id          dave",
        "accountable name        Dave Dorn",
        "reference               MSA-1001",
        "description             change the",
        "template                legal-obligation",
        "template version        1.2.0",
        "template digest         sha-256:",
        "ticket system           jira",
        "ticket                  FIN-7",
        "regulation              GDPR Art. 6(1)(c)",
        "retention               3650 days",
        concat!(
            "data subject            ",
            "hmac-sha-256:0123456789abcdef:",
            "abababababababababababababababababababababababababababababababab"
        ),
        "purpose                 payment",
        "approval reference      CAB-12",
        "lifetime                300 seconds, one use",
    ] {
        assert!(all.contains(&format!("\n{shown}")), "{shown} is not in\n{all}");
    }
}

/// Every leaf of what is asked, changed one at a time.
#[test]
fn whatever_changes_in_what_is_asked_changes_the_view_and_its_lines() {
    let call = call(&usual());
    let before = view(&usual());
    for (pointer, other) in [
        ("/sub", json!("spiffe://atb.dev/agent/support")),
        ("/act", json!("erp.vendor.delete")),
        ("/con/payment_limit/max", json!(250_000)),
        ("/con", json!({})),
        ("/ttl", json!(299)),
        ("/leg/jurisdiction", json!("DE")),
        ("/leg/basis", json!("LI")),
        ("/leg/ref", json!("MSA-1002")),
        ("/leg/description", json!("read")),
        ("/leg/accountable_party/id", json!("erin")),
        ("/leg/accountable_party/type", json!("contractor")),
        ("/leg/accountable_party/display_name", json!("Eve")),
        ("/leg/template/id", json!("contract")),
        ("/leg/template/version", json!("1.2.1")),
        ("/leg/template/digest", json!(Sha256Digest::of(b"x"))),
        ("/leg/ticket/system", json!("snow")),
        ("/leg/ticket/ref", json!("FIN-8")),
        ("/leg/regulation_refs", json!([])),
        ("/leg/retention_days", json!(1)),
        ("/leg/data_subject", json!(format!("hmac-sha-256:0123456789abcdef:{}", "cd".repeat(32)))),
        ("/leg/purpose", json!("other")),
        ("/leg/approval_ref", json!("-")),
    ] {
        let mut value = ask_value(&call);
        *value.pointer_mut(pointer).unwrap() = other;
        let after = View::of(&serde_json::from_value(value).unwrap(), Some(&call), &entry()).unwrap();
        assert_ne!(after.digest(), before.digest(), "{pointer}");
        assert_ne!(after.lines(), before.lines(), "{pointer}");
    }
    for (pointer, other) in [("connector", json!("crm")), ("method", json!("PUT")), ("path", json!("/vendors/V-1002"))]
    {
        let mut binding = serde_json::to_value(&call.binding).unwrap();
        binding[pointer] = other;
        let call = CallView { binding: serde_json::from_value(binding).unwrap(), params: call.params.clone() };
        let after = View::of(&ask(&call), Some(&call), &entry()).unwrap();
        assert_ne!((after.digest(), after.lines()), (before.digest(), before.lines()), "{pointer}");
    }
    let mut other = entry();
    other.view = "Read vendor {{vendor_id}}".parse().unwrap();
    assert_ne!(View::of(&ask(&call), Some(&call), &other).unwrap().digest(), before.digest(), "the sentence");
    other = entry();
    other.tier = crate::domain::catalogue::Tier::Low;
    assert_ne!(View::of(&ask(&call), Some(&call), &other).unwrap().digest(), before.digest(), "the tier");
}

#[test]
fn a_view_needs_the_call_that_is_asked_for_and_no_other() {
    let (call, other) = (call(&usual()), call(&json!({"vendor_id": "V-1002"})));
    let (tied, entry) = (ask(&call), entry());
    let untied = Ask { req: None, ..tied.clone() };
    assert_eq!(View::of(&tied, None, &entry), Err(ViewError::CallMissing));
    assert_eq!(View::of(&tied, Some(&other), &entry), Err(ViewError::CallMismatch));
    let lying = CallView { binding: call.binding.clone(), params: other.params };
    assert_eq!(View::of(&tied, Some(&lying), &entry), Err(ViewError::CallMismatch));
    assert_eq!(View::of(&untied, Some(&call), &entry), Err(ViewError::CallNotAsked));
    let any = View::of(&untied, None, &entry).unwrap();
    assert_eq!(any.sentence(), "Change vendor (any vendor_id) to (any iban) ((any reason))");
}

#[test]
fn every_attack_in_a_parameter_or_its_name_is_flagged_and_shown_by_number() {
    for attack in attacks() {
        for params in [json!({ "reason": attack.text }), json!({ attack.text.clone(): {"x": 1} })] {
            // JSON escapes some control characters before they are looked at.
            let view = view(&params);
            let text = serde_json::to_string(&attack.text).unwrap();
            let escaped = params.get("reason").is_some() && text.contains('\\');
            assert!(view.flags().contains(&attack.kind) || escaped, "{}: {:?}", attack.name, view.flags());
            for line in view.lines() {
                let findings = crate::domain::text::scrutinise(&line);
                assert!(findings.is_empty(), "{}: {line} {findings:?}", attack.name);
            }
        }
    }
}

#[test]
fn a_flag_is_a_warning_in_the_lines() {
    let view = view(&json!({"reason": "see \u{202e}"}));
    assert_eq!(view.flags(), [TextDefect::Bidi].into());
    let lines = view.lines();
    let at = lines.iter().position(|line| line.starts_with("parameter /reason")).unwrap();
    assert_eq!(lines[at], "parameter /reason       \"see ⟦U+202E⟧\"");
    assert!(lines[at + 1].starts_with("  ⚠ bidi: "), "{}", lines[at + 1]);
}

#[test]
fn a_view_is_read_back_as_it_was_written_and_no_other_version_is_read() {
    let view = view(&usual());
    let read: View = serde_json::from_value(view.to_value()).unwrap();
    assert_eq!((read.digest(), &read), (view.digest(), &view));
    for (member, value) in [("v", json!(2)), ("extra", json!(1)), ("facts", json!({}))] {
        let mut other = view.to_value();
        other[member] = value;
        assert!(serde_json::from_value::<View>(other).is_err(), "{member}");
    }
}

/// Texts that try to look like something else: like JSON, like pointers, like another fact.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("1".to_owned()),
        Just("null".to_owned()),
        Just("list of 1".to_owned()),
        Just("none".to_owned()),
        Just("\"".to_owned()),
        Just("a/b".to_owned()),
        Just("a~1b".to_owned()),
        Just("0".to_owned()),
        Just("⟦U+202E⟧".to_owned()),
        Just("\u{202e}".to_owned()),
        Just("a\n  ⚠ ok".to_owned()),
        Just("\\u202e".to_owned()),
        Just("e\u{301}".to_owned()),
        Just("é".to_owned()),
        Just("p\u{430}y".to_owned()),
        Just("pay".to_owned()),
        "[^\0]{0,6}",
        "[ab/~ ]{0,4}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        (-1e6..1e6_f64).prop_map(|f| json::parse(json!(f).to_string().as_bytes()).unwrap()),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map(text(), inner, 0..3).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

fn params() -> impl Strategy<Value = Value> {
    prop::collection::hash_map(text(), value(), 0..4).prop_map(|m| Value::Object(m.into_iter().collect()))
}

/// The same object with its members put in from the other end.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut out = Map::new();
            members.iter().rev().for_each(|(name, member)| drop(out.insert(name.clone(), reversed(member))));
            Value::Object(out)
        }
        Value::Array(items) => items.iter().map(reversed).collect(),
        other => other.clone(),
    }
}

/// One value somewhere inside replaced by something that may look like it.
fn nudged(value: &Value) -> Value {
    match value {
        Value::Object(members) if members.len() == 1 => Value::Array(members.values().map(nudged).collect()),
        Value::Array(items) => {
            Value::Object(items.iter().enumerate().map(|(at, item)| (at.to_string(), item.clone())).collect())
        }
        Value::Object(members) => Value::Object(members.iter().map(|(n, m)| (n.clone(), nudged(m))).collect()),
        Value::String(text) => json::parse(text.as_bytes()).unwrap_or_else(|_| Value::String(format!("{text} "))),
        other => Value::String(other.to_string()),
    }
}

/// The facts alone, without the digest of the parameters among them: the text itself must tell two requests apart.
fn told(view: &View) -> Vec<String> {
    view.lines().into_iter().filter(|line| !line.starts_with("parameters digest")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_requests_never_look_alike(one in params(), other in params()) {
        for other in [other, Value::Object(one.as_object().unwrap().iter().map(|(n, v)| (n.clone(), nudged(v))).collect())] {
            let same = json::canonical(&one) == json::canonical(&other);
            let (a, b) = (view(&one), view(&other));
            prop_assert_eq!(a.digest() == b.digest(), same);
            prop_assert_eq!(told(&a) == told(&b), same, "{} {}", one, other);
        }
    }

    #[test]
    fn two_constraints_never_look_alike(one in params(), other in params()) {
        let call = call(&usual());
        let view = |con: &Value| {
            let mut value = ask_value(&call);
            value["con"] = con.clone();
            View::of(&serde_json::from_value(value).unwrap(), Some(&call), &entry()).unwrap()
        };
        let same = json::canonical(&one) == json::canonical(&other);
        prop_assert_eq!(view(&one).digest() == view(&other).digest(), same);
        prop_assert_eq!(told(&view(&one)) == told(&view(&other)), same);
    }

    #[test]
    fn the_order_of_members_and_the_hour_change_nothing(params in params()) {
        let one = view(&params);
        prop_assert_eq!(&one, &view(&params));
        prop_assert_eq!(one.digest(), view(&reversed(&params)).digest());
        prop_assert_eq!(one.lines(), view(&reversed(&params)).lines());
    }
}
