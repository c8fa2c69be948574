//! Calls that are not what the mandate is for, or that two readers could read differently. The mandate stays good for the
//! call that it is for.

use serde_json::{Value, json};

use super::refused;
use crate::app::{AGENT, TestApp, asking, the_call};

/// One call: what is wrong, method, path, further headers, body, verdict.
type Call = (&'static str, &'static str, &'static str, Vec<(&'static str, &'static str)>, Vec<u8>, &'static str);

const JSON: (&str, &str) = ("content-type", "application/json");

async fn hold(app: &TestApp, mandate: &str, calls: Vec<Call>) {
    let (caller, bearer) = (app.to_broker(AGENT), format!("Bearer {mandate}"));
    for (what, method, path, mut headers, body, verdict) in calls {
        headers.push(("authorization", "…"));
        let headers: Vec<_> = headers
            .into_iter()
            .map(|(name, value)| (name, if value == "…" { bearer.as_str() } else { value }))
            .collect();
        let (mark, hits) = (app.mark().await, app.erp_hits());
        let answer = caller.send(method, path, &headers, body).await;
        refused(app, what, &answer, verdict, mark, hits).await;
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[tokio::test]
async fn a_mandate_for_one_exact_call_is_for_no_other() {
    const PATH: &str = "/c/erp/vendors/V-1001/bank-account";
    let app = TestApp::start().await;
    let mandate = app.approved_mandate(&asking("high"), &["alice", "bob"]).await;
    let (method, path, body) = the_call("high");
    let body = body.unwrap();
    let changed = |name: &str, value: Value| {
        let mut body = body.clone();
        body[name] = value;
        bytes(&body)
    };
    let other = "/c/erp/vendors/V-1002/bank-account";
    hold(
        &app,
        &mandate,
        vec![
            (
                "another amount",
                method,
                PATH,
                vec![JSON],
                changed("payment_limit", json!(25_001)),
                "403 request_mismatch",
            ),
            (
                "another account",
                method,
                PATH,
                vec![JSON],
                changed("iban", json!("FR1420041010050500013M02606")),
                "403 request_mismatch",
            ),
            ("one more parameter", method, PATH, vec![JSON], changed("reason", json!("x")), "403 request_mismatch"),
            ("another vendor", method, other, vec![JSON], bytes(&body), "403 request_mismatch"),
            ("another act", "GET", "/c/erp/vendors/V-1001", vec![], vec![], "403 act_mismatch"),
            ("a dearer act", "DELETE", "/c/erp/vendors/V-1001?reason=x", vec![], vec![], "403 act_mismatch"),
        ],
    )
    .await;
    assert_eq!(app.call(method, path, &mandate, Some(&body)).await.status, 200, "the mandate was spent");
    app.finish().await;
}

#[tokio::test]
async fn constraints_of_the_mandate_hold_for_the_call() {
    let app = TestApp::start().await;
    let mut ask = asking("medium");
    ask["con"] = json!({"vendor_id": "V-1001", "amount": {"max": 100}, "currency": {"in": ["EUR", "CHF"]}});
    let mandate = app.approved_mandate(&ask, &["alice"]).await;
    let (method, path, body) = the_call("medium");
    let body = body.unwrap();
    let with = |name: &str, value: Value| {
        let mut body = body.clone();
        body[name] = value;
        bytes(&body)
    };
    hold(
        &app,
        &mandate,
        vec![
            ("above the bound", method, path, vec![JSON], with("amount", json!(100.01)), "403 constraint_violated"),
            ("another vendor", method, path, vec![JSON], with("vendor_id", json!("V-1002")), "403 constraint_violated"),
            ("another currency", method, path, vec![JSON], with("currency", json!("USD")), "403 constraint_violated"),
            (
                "above the catalogue's limit",
                method,
                path,
                vec![JSON],
                with("quantity", json!(10_001)),
                "403 limit_exceeded",
            ),
            ("text for a number", method, path, vec![JSON], with("amount", json!("10")), "403 parameter_type"),
            ("unknown parameter", method, path, vec![JSON], with("discount", json!(1)), "403 unknown_parameter"),
            ("against the schema", method, path, vec![JSON], with("item", json!("")), "422 parameters_invalid"),
        ],
    )
    .await;
    assert_eq!(app.call(method, path, &mandate, Some(&body)).await.status, 201, "the mandate was spent");
    app.finish().await;
}

#[tokio::test]
async fn what_no_route_describes_is_not_there() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    hold(
        &app,
        &mandate,
        vec![
            ("unknown connector", "GET", "/c/crm/vendors/V-1001", vec![], vec![], "404 unknown_route"),
            ("unknown path", "GET", "/c/erp/customers/C-1", vec![], vec![], "404 unknown_route"),
            ("unknown method", "PATCH", "/c/erp/vendors/V-1001", vec![], vec![], "404 unknown_route"),
            ("OPTIONS", "OPTIONS", "/c/erp/vendors/V-1001", vec![], vec![], "404 unknown_route"),
            ("no path", "GET", "/c/erp", vec![], vec![], "404 not_found"),
            ("no path behind the slash", "GET", "/c/erp/", vec![], vec![], "404 not_found"),
            ("not a call", "GET", "/vendors/V-1001", vec![], vec![], "404 not_found"),
            ("decide by GET", "GET", "/v1/decide", vec![], vec![], "405 method_not_allowed"),
        ],
    )
    .await;
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn a_call_that_two_readers_could_read_differently_is_refused() {
    let app = TestApp::start().await;
    let mandate = app.approved_mandate(&asking("medium"), &["alice"]).await;
    let (method, path, body) = the_call("medium");
    let body = body.unwrap();
    let text = bytes(&body);
    let twice = String::from_utf8(text.clone()).unwrap().replacen('{', "{\"amount\":1,", 1).into_bytes();
    let long = format!("{}{}", body, " ".repeat(70_000)).into_bytes();
    let gzip = ("content-encoding", "gzip");
    let form = ("content-type", "application/x-www-form-urlencoded");
    hold(
        &app,
        &mandate,
        vec![
            ("dot segments", method, "/c/erp/vendors/../orders", vec![JSON], text.clone(), "400 ambiguous_path"),
            (
                "escaped dot segments",
                method,
                "/c/erp/vendors/%2e%2e/orders",
                vec![JSON],
                text.clone(),
                "400 ambiguous_path",
            ),
            ("an escaped slash", method, "/c/erp/x%2forders", vec![JSON], text.clone(), "400 ambiguous_path"),
            ("double encoding", method, "/c/erp/%256frders", vec![JSON], text.clone(), "400 ambiguous_path"),
            ("a double slash", method, "/c/erp//orders", vec![JSON], text.clone(), "400 ambiguous_path"),
            ("a semicolon", method, "/c/erp/orders;v=1", vec![JSON], text.clone(), "400 ambiguous_path"),
            ("not UTF-8", method, "/c/erp/orders%ff", vec![JSON], text.clone(), "400 ambiguous_path"),
            (
                "a query that the route lacks",
                method,
                "/c/erp/orders?amount=1",
                vec![JSON],
                text.clone(),
                "422 undeclared_parameter",
            ),
            (
                "another method behind",
                method,
                path,
                vec![JSON, ("x-http-method-override", "DELETE")],
                text.clone(),
                "400 override_header",
            ),
            (
                "another act",
                method,
                path,
                vec![JSON, ("x-atb-action", "erp.vendor.read")],
                text.clone(),
                "422 act_mismatch",
            ),
            ("encoded", method, path, vec![JSON, gzip], text.clone(), "415 content_encoding"),
            ("a form", method, path, vec![form], text.clone(), "415 unsupported_media_type"),
            ("no content type", method, path, vec![], text.clone(), "415 unsupported_media_type"),
            ("too large", method, path, vec![JSON], long, "413 body_too_large"),
            ("an array", method, path, vec![JSON], format!("[{body}]").into_bytes(), "422 body_not_object"),
            ("a key twice", method, path, vec![JSON], twice, "400 malformed_json"),
            ("cut short", method, path, vec![JSON], text[..text.len() - 1].to_vec(), "400 malformed_json"),
            ("no body", method, path, vec![JSON], vec![], "400 missing_body"),
        ],
    )
    .await;
    assert_eq!(app.call(method, path, &mandate, Some(&body)).await.status, 201, "the mandate was spent");
    app.finish().await;
}
