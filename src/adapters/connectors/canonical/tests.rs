use std::path::Path;

use axum::http::Request;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::adapters::connectors::Connectors;

fn erp() -> Arc<Connector> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/connectors");
    Arc::clone(Connectors::load(Path::new(dir), true).unwrap().find("erp").unwrap())
}

/// The connector of the vectors whose parameters stand in headers and inside the body.
fn pay() -> Arc<Connector> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/call/connectors");
    Arc::clone(Connectors::load(Path::new(dir), false).unwrap().find("pay").unwrap())
}

fn pay_bind(headers: &HeaderMap, body: &[u8]) -> Result<(CallRequest, Forward), CallRefused> {
    let mut request = Request::post("/payments").header("content-type", "application/json");
    if let Some(all) = request.headers_mut() {
        all.extend(headers.clone());
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let matched = pay().route(&parts.method, parts.uri.path())?;
    matched.bind(&parts, BoundedBody::Whole(bytes::Bytes::copy_from_slice(body)))
}

fn object(value: Value) -> Object {
    serde_json::from_value(value).unwrap()
}

fn bytes_of(body: Body) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(axum::body::to_bytes(body, usize::MAX)).unwrap().to_vec()
}

/// Sends what would be forwarded through the door again.
fn bind(method: &str, target: &str, body: &[u8]) -> Result<(CallRequest, Forward), CallRefused> {
    let request = Request::builder().method(method).uri(target);
    let request = if body.is_empty() { request } else { request.header("content-type", "application/json") };
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let matched = erp().route(&parts.method, parts.uri.path())?;
    matched.bind(&parts, BoundedBody::Whole(bytes::Bytes::copy_from_slice(body)))
}

#[test]
fn what_is_forwarded_is_the_canonical_form() {
    let body = br#" { "payment_limit": 5.0e3, "iban" : "DE\u0038" } "#;
    let (call, forward) = bind("POST", "/vendors/%56-1001/bank-account", body).unwrap();
    assert_eq!(call.act.as_str(), "sap.vendor.change");
    assert_eq!(call.params.to_value(), json!({"vendor_id": "V-1001", "iban": "DE8", "payment_limit": 5000}));
    assert_eq!(forward.target(), "/vendors/V-1001/bank-account");
    assert_eq!(bytes_of(forward.into_body()), br#"{"iban":"DE8","payment_limit":5000}"#);
}

#[test]
fn a_described_call_is_the_call_that_is_made() {
    let params = object(json!({"vendor_id": "V-1001", "iban": "DE8", "payment_limit": 5000.0}));
    let described = erp().describe(Method::Post, "/vendors/V-1001/bank-account", &params).unwrap();
    let (made, _) = bind("POST", "/vendors/V-1001/bank-account", br#"{"iban":"DE8","payment_limit":5e3}"#).unwrap();
    assert_eq!(described, made);
}

#[test]
fn a_description_that_disagrees_with_its_path_or_route_is_refused() {
    let describe = |path: &str, params| erp().describe(Method::Get, path, &object(params)).map_err(|e| e.code());
    assert_eq!(describe("/vendors/V-1001", json!({"vendor_id": "V-1002"})), Err("parameter_mismatch"));
    assert_eq!(describe("/vendors/V-1001", json!({})), Err("parameter_mismatch"));
    assert_eq!(describe("/vendors/V-1001", json!({"vendor_id": "V-1001", "x": 1})), Err("undeclared_parameter"));
    assert_eq!(describe("/vendors", json!({"limit": "5"})), Err("parameter_type"));
    assert_eq!(describe("/vendors", json!({"limit": 1.5})), Err("parameter_type"));
    assert_eq!(describe("/vendors", json!({"country": 5})), Err("parameter_type"));
    assert_eq!(describe("/vendors", json!({"country": ["DE"]})), Err("parameter_type"));
    assert_eq!(describe("/vendors", json!({"country": "%44E"})), Err("ambiguous_query"));
    assert_eq!(describe("/vendors/%56-1001", json!({"vendor_id": "V-1001"})), Err("ambiguous_path"));
    assert_eq!(describe("/other", json!({})), Err("unknown_route"));
    assert!(describe("/vendors", json!({"limit": 5, "country": "DE"})).is_ok());
}

#[test]
fn a_member_that_nobody_expects_reaches_the_policy_and_not_past_it() {
    // The catalogue's schema refuses unknown members; here they are parameters as any other and are digested.
    let (call, _) = bind("POST", "/orders", br#"{"amount":1,"approved":true}"#).unwrap();
    assert_eq!(call.params.as_map().get("approved"), Some(&Value::Bool(true)));
}

#[test]
fn parameters_of_headers_and_of_places_in_the_body_are_bound_and_forwarded() {
    let mut headers = HeaderMap::new();
    for (name, value) in [("x-tenant", "acme"), ("x-priority", "3"), ("x-other", "1")] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let body = br#"{"payment":{"to":{"iban":"DE8"},"amount":5.0}}"#;
    let (call, forward) = pay_bind(&headers, body).unwrap();
    let params = json!({
        "tenant": "acme", "priority": 3, "amount": 5, "iban": "DE8", "payment": {"amount": 5, "to": {"iban": "DE8"}}
    });
    assert_eq!(call.params.to_value(), params);
    assert_eq!(forward.headers["x-tenant"], "acme");
    assert_eq!(forward.headers["x-priority"], "3");
    assert!(!forward.headers.contains_key("x-other"));
    assert_eq!(bytes_of(forward.into_body()), br#"{"payment":{"amount":5,"to":{"iban":"DE8"}}}"#);
    assert_eq!(pay().describe(Method::Post, "/payments", &object(params)).unwrap(), call);
}

#[test]
fn a_description_whose_copy_and_body_differ_is_refused() {
    let payment = json!({"amount": 5, "to": {"iban": "DE8"}});
    let describe = |params: Value| pay().describe(Method::Post, "/payments", &object(params)).map_err(|e| e.code());
    let good = json!({"payment": payment, "amount": 5, "iban": "DE8"});
    assert!(describe(good.clone()).is_ok());
    for (member, value, code) in [
        ("amount", json!(6), "parameter_mismatch"),
        ("iban", json!("DE9"), "parameter_mismatch"),
        ("iban", Value::Null, "parameter_mismatch"),
        ("payment", json!({"amount": 6, "to": {"iban": "DE8"}}), "parameter_mismatch"),
        ("payment", json!("x"), "parameter_mismatch"),
        ("tenant", json!("a\r\nb"), "header_value"),
        ("tenant", json!(" a"), "header_value"),
        ("tenant", json!(5), "parameter_type"),
        ("priority", json!("3"), "parameter_type"),
        ("note", json!("longer than twenty characters"), "body_schema"),
        ("unheard_of", json!(1), "body_schema"),
    ] {
        let mut params = good.clone();
        params[member] = value.clone();
        assert_eq!(describe(params), Err(code), "{member} {value}");
    }
    for missing in ["amount", "iban", "payment"] {
        let mut params = good.clone();
        params.as_object_mut().unwrap().remove(missing);
        assert!(describe(params).is_err(), "{missing}");
    }
}

fn any_segment() -> impl Strategy<Value = String> {
    "[^\\x00/]{1,10}"
}

proptest! {
    #[test]
    fn what_is_forwarded_parses_back_to_the_same_call(
        vendor in any_segment(),
        country in proptest::option::of("[^\\x00]{0,8}"),
        limit in proptest::option::of(-9_007_199_254_740_991_i64..=9_007_199_254_740_991),
    ) {
        let read = erp().describe(Method::Get, &format!("/vendors/{vendor}"), &object(json!({ "vendor_id": vendor })));
        let mut params = Map::new();
        params.extend(country.map(|c| ("country".to_owned(), Value::from(c))));
        params.extend(limit.map(|l| ("limit".to_owned(), Value::from(l))));
        let list = erp().describe(Method::Get, "/vendors", &params.into());
        for call in [read, list].into_iter().flatten() {
            let matched = erp().matching(call.method, call.path.clone()).unwrap();
            let target = matched.forward(&call, HeaderMap::new(), None).target;
            let (again, forward) = bind("GET", &target, b"").unwrap();
            prop_assert_eq!(&again, &call);
            prop_assert_eq!(forward.target, target);
        }
    }

    #[test]
    fn canonicalisation_of_a_body_is_idempotent(iban in "[^\\x00]{0,8}", amount in -1e12..1e12_f64, nested in any::<bool>()) {
        let body = json!({"payment_limit": amount, "iban": iban, "extra": {"b": nested, "a": [iban.clone(), amount]}});
        let Ok((call, forward)) = bind("POST", "/vendors/V-1/bank-account", body.to_string().as_bytes()) else {
            return Ok(());
        };
        let sent = bytes_of(forward.into_body());
        let (again, forward) = bind("POST", "/vendors/V-1/bank-account", &sent).unwrap();
        prop_assert_eq!(again, call);
        prop_assert_eq!(bytes_of(forward.into_body()), sent);
    }

    #[test]
    fn what_is_forwarded_with_headers_and_places_parses_back_to_the_same_call(
        tenant in proptest::option::of("[^\\x00]{0,12}"),
        priority in proptest::option::of(-9_007_199_254_740_991_i64..=9_007_199_254_740_991),
        amount in -1e6..1e3_f64,
        iban in proptest::option::of("[^\\x00]{0,8}"),
        note in proptest::option::of("[^\\x00]{0,8}"),
    ) {
        let mut headers = HeaderMap::new();
        if let Some(tenant) = tenant.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert("x-tenant", tenant);
        }
        if let Some(priority) = priority {
            headers.insert("x-priority", priority.into());
        }
        let mut body = json!({"payment": {"amount": amount, "to": {}}});
        if let Some(iban) = iban {
            body["payment"]["to"]["iban"] = iban.into();
        }
        if let Some(note) = note {
            body["note"] = note.into();
        }
        let Ok((call, forward)) = pay_bind(&headers, body.to_string().as_bytes()) else { return Ok(()) };
        let described = pay().describe(Method::Post, "/payments", &call.params.to_value().as_object().unwrap().clone().into());
        prop_assert_eq!(described.as_ref().ok(), Some(&call));
        let sent_headers = forward.headers.clone();
        let sent = bytes_of(forward.into_body());
        let mut again = HeaderMap::new();
        for name in ["x-tenant", "x-priority"] {
            if let Some(value) = sent_headers.get(name) {
                again.insert(name, value.clone());
            }
        }
        let (same, forward) = pay_bind(&again, &sent).unwrap();
        prop_assert_eq!(same, call);
        prop_assert_eq!(bytes_of(forward.into_body()), sent);
    }

    #[test]
    fn any_target_is_refused_or_becomes_a_fixed_point(target in "/vendors(/[ -~]{0,16})?(\\?[ -~]{0,24})?") {
        if Request::builder().uri(target.as_str()).body(()).is_err() {
            return Ok(());
        }
        if let Ok((call, forward)) = bind("GET", &target, b"") {
            let (again, second) = bind("GET", forward.target(), b"").unwrap();
            prop_assert_eq!(again, call);
            prop_assert_eq!(second.target(), forward.target());
        }
    }
}
