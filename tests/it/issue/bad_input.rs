//! What `/issue` does not take. Each line is one defect: the right status, a problem document that points at the place,
//! exactly one event, and nothing minted.

use atb::domain::ledger::EventType;
use serde_json::{Value, json};

use crate::app::{AGENT, Answer, TestApp, asking, asking_critical, bank_account, ground};

/// A body that is refused: what is wrong with it, the body, status and reason, and where.
struct Bad(&'static str, String, &'static str, &'static str);

/// The low request with one member put in or replaced.
fn with(member: &str, value: Value) -> String {
    let mut ask = asking("low");
    ask[member] = value;
    ask.to_string()
}

/// The low request with a member's text put in as it is.
fn raw(member: &str, text: &str) -> String {
    let ask = asking("low").to_string();
    ask.replacen('{', &format!("{{\"{member}\":{text},"), 1)
}

/// The high request with one member of its call replaced.
fn with_call(member: &str, value: Value) -> String {
    let mut ask = asking("high");
    ask["request"][member] = value;
    ask.to_string()
}

fn with_leg(leg: Value) -> String {
    with("leg", leg)
}

fn with_var(name: &str, value: &str) -> String {
    with_leg(ground(&[(name, value)]))
}

async fn hold(bad: Vec<Bad>) {
    let app = TestApp::start().await;
    let caller = app.to_issuer(AGENT);
    for Bad(what, body, verdict, pointer) in bad {
        let mark = app.mark().await;
        let answer = caller.post_text("/issue", &body).await;
        assert_eq!(answer.verdict(), verdict, "{what}: {answer}");
        answer.assert_problem();
        if pointer != "-" {
            assert!(answer.pointers().iter().any(|found| found == pointer), "{what}: expected {pointer} in {answer}");
        }
        let event = TestApp::only(app.events_since(mark).await, what);
        assert_eq!(event.event_type, EventType::PoaDenied, "{what}");
        assert_eq!(event.subject.reason, Some(answer.reason()), "{what}");
        assert_eq!(event.subject.allow, Some(false), "{what}");
        assert_eq!(event.subject.detail["code"], answer.text("/code"), "{what}");
    }
    app.finish().await;
}

#[tokio::test]
async fn an_act_that_is_not_exactly_one_of_the_catalogue_is_refused() {
    hold(vec![
        Bad("unknown act", with("act", json!("erp.vendor.explode")), "403 unknown_act", "/act"),
        Bad("a known act's prefix", with("act", json!("erp.vendor")), "403 unknown_act", "/act"),
        Bad("other case", with("act", json!("ERP.vendor.read")), "422 schema_violation", "/act"),
        Bad("trailing space", with("act", json!("erp.vendor.read ")), "422 schema_violation", "/act"),
        Bad("leading space", with("act", json!(" erp.vendor.read")), "422 schema_violation", "/act"),
        Bad("cyrillic look-alike", with("act", json!("еrp.vendor.read")), "422 schema_violation", "/act"),
        Bad("full-width dot", with("act", json!("erp．vendor．read")), "422 schema_violation", "/act"),
        Bad("zero-width space", with("act", json!("erp.vendor.\u{200b}read")), "422 schema_violation", "/act"),
        Bad("wildcard", with("act", json!("erp.*")), "422 schema_violation", "/act"),
        Bad("star", with("act", json!("*")), "422 schema_violation", "/act"),
        Bad("NUL", with("act", json!("erp.vendor.read\0")), "422 schema_violation", "/act"),
        Bad("newline", with("act", json!("erp.vendor.read\n")), "422 schema_violation", "/act"),
        Bad("empty", with("act", json!("")), "422 schema_violation", "/act"),
        Bad("list", with("act", json!(["erp.vendor.read"])), "422 schema_violation", "/act"),
        Bad("null", with("act", Value::Null), "422 schema_violation", "/act"),
        Bad("very long", with("act", json!("a.".repeat(5000))), "422 schema_violation", "/act"),
    ])
    .await;
}

#[tokio::test]
async fn a_body_that_two_readers_could_read_differently_is_refused() {
    let ask = asking("low").to_string();
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    hold(vec![
        Bad("empty", String::new(), "422 schema_violation", "-"),
        Bad("not JSON", "act=erp.vendor.read".to_owned(), "422 schema_violation", "-"),
        Bad("cut short", ask[..ask.len() - 1].to_owned(), "422 schema_violation", "-"),
        Bad("trailing data", format!("{ask}{{}}"), "422 schema_violation", "-"),
        Bad("trailing NUL", format!("{ask}\0"), "422 schema_violation", "-"),
        Bad("byte order mark", format!("\u{feff}{ask}"), "422 schema_violation", "-"),
        Bad("an array", format!("[{ask}]"), "422 schema_violation", "-"),
        Bad("null", "null".to_owned(), "422 schema_violation", "-"),
        Bad("a comment", format!("/* */{ask}"), "422 schema_violation", "-"),
        Bad("duplicate act", raw("act", "\"erp.vendor.read\""), "422 schema_violation", "-"),
        Bad("duplicate by escape", raw("\\u0061ct", "\"erp.vendor.read\""), "422 schema_violation", "-"),
        Bad(
            "duplicate deep inside",
            raw("con", r#"{"vendor_id":"V-1001","vendor_id":"V-1002"}"#),
            "422 schema_violation",
            "-",
        ),
        Bad("too deep", raw("con", &format!("{{\"vendor_id\":{deep}}}")), "422 schema_violation", "-"),
        Bad("a lone surrogate", raw("con", r#"{"vendor_id":"\ud800"}"#), "422 schema_violation", "-"),
        Bad("NaN", raw("ttl_seconds", "NaN"), "422 schema_violation", "-"),
        Bad("leading zero", raw("ttl_seconds", "060"), "422 schema_violation", "-"),
        Bad("unknown member", raw("priority", "1"), "422 schema_violation", "/priority"),
        Bad("no act", json!({"leg": ground(&[])}).to_string(), "422 schema_violation", "-"),
        Bad("no leg", json!({"act": "erp.vendor.read"}).to_string(), "422 schema_violation", "-"),
    ])
    .await;
}

/// serde would take an array of a struct's members, in their order, for the struct.
#[tokio::test]
async fn members_without_their_names_are_refused_wherever_they_stand() {
    let low = asking("low");
    let body = json!([low["act"], {}, low["leg"]]);
    let by_template = json!([low["leg"]["template"], low["leg"]["vars"]]);
    let call = &asking("high")["request"];
    let call = json!([call["connector"], call["method"], call["path"], call["params"]]);
    let claim = json!({
        "jurisdiction": "DE", "accountable_party": ["employee", "erin"], "basis": "CONTRACT", "ref": "MSA-1",
        "description": "x",
        "template": {"id": "contract", "version": "1.0.0", "digest": format!("sha-256:{}", "0".repeat(64))},
    });
    hold(vec![
        Bad("the body", body.to_string(), "422 schema_violation", ""),
        Bad("the ground", with_leg(by_template), "422 schema_violation", "/leg"),
        Bad("the accountable party", with_leg(claim), "422 schema_violation", "/leg"),
        Bad("the call", with("request", call), "422 schema_violation", "/request"),
        Bad("a statement", with("approvers", json!([["e30.e30.e30"]])), "422 schema_violation", "/approvers/0"),
    ])
    .await;
}

#[tokio::test]
async fn numbers_that_are_not_small_whole_seconds_are_refused() {
    hold(vec![
        Bad("zero", raw("ttl_seconds", "0"), "422 ttl_too_long", "/ttl_seconds"),
        Bad("above the cap", raw("ttl_seconds", "301"), "422 ttl_too_long", "/ttl_seconds"),
        Bad("far above", raw("ttl_seconds", "9007199254740991"), "422 ttl_too_long", "/ttl_seconds"),
        Bad("beyond 2^53", raw("ttl_seconds", "9007199254740992"), "422 schema_violation", "/ttl_seconds"),
        Bad("float", raw("ttl_seconds", "60.5"), "422 schema_violation", "/ttl_seconds"),
        Bad("exponent above the cap", raw("ttl_seconds", "6e2"), "422 ttl_too_long", "/ttl_seconds"),
        Bad("negative", raw("ttl_seconds", "-1"), "422 schema_violation", "/ttl_seconds"),
        Bad("huge", raw("ttl_seconds", "1e400"), "422 schema_violation", "/ttl_seconds"),
        Bad("beyond 64 bits", raw("ttl_seconds", "99999999999999999999"), "422 schema_violation", "/ttl_seconds"),
        Bad("text", raw("ttl_seconds", "\"60\""), "422 schema_violation", "/ttl_seconds"),
        Bad("null", raw("ttl_seconds", "null"), "422 schema_violation", "/ttl_seconds"),
        Bad(
            "above the act's own cap",
            {
                let mut ask = asking_critical();
                ask["ttl_seconds"] = 121.into();
                ask.to_string()
            },
            "422 ttl_too_long",
            "/ttl_seconds",
        ),
    ])
    .await;
}

/// RFC 8785 knows one way to write a number: 60, 60.0 and 6e1 are one value here, too.
#[tokio::test]
async fn a_whole_number_in_another_notation_is_the_same_number() {
    let app = TestApp::start().await;
    for text in ["60", "60.0", "6e1"] {
        let answer = app.to_issuer(AGENT).post_text("/issue", &raw("ttl_seconds", text)).await;
        assert_eq!((answer.status, &answer.json["expires_in"]), (201, &json!(60)), "{text}: {answer}");
    }
    app.finish().await;
}

#[tokio::test]
async fn authority_that_the_requester_brings_along_is_refused_not_stripped() {
    let claim = json!({
        "jurisdiction": "DE", "accountable_party": {"type": "employee", "id": "erin"}, "basis": "CONTRACT",
        "ref": "MSA-1", "description": "x",
        "template": {"id": "contract", "version": "1.0.0", "digest": format!("sha-256:{}", "0".repeat(64))},
    });
    let grown = |name: &str, value: Value| {
        let mut leg = claim.clone();
        leg[name] = value;
        leg
    };
    let approval = json!({"approver_id": "spiffe://atb.dev/approver/alice", "approved_at": "2026-01-01T00:00:00Z", "statement": "e30.e30.e30"});
    let dual = json!({"required": true, "approvers": []});
    let mut by_template = ground(&[]);
    by_template["approval"] = approval.clone();
    hold(vec![
        Bad("tier", raw("tier", "\"low\""), "422 schema_violation", "/tier"),
        Bad("agent", raw("agent", "\"spiffe://atb.dev/agent/support\""), "422 schema_violation", "/agent"),
        Bad("sub", raw("sub", "\"spiffe://atb.dev/agent/support\""), "422 schema_violation", "/sub"),
        Bad("bypass", raw("bypass", "true"), "422 schema_violation", "/bypass"),
        Bad("approvals", raw("approvals", "[]"), "422 schema_violation", "/approvals"),
        Bad(
            "dual control as a text",
            raw("requires_dual_control", "\"false\""),
            "422 schema_violation",
            "/requires_dual_control",
        ),
        Bad("approval beside a template", with_leg(by_template), "422 schema_violation", "/leg"),
        Bad("approval in the claim", with_leg(grown("approval", approval)), "422 schema_violation", "/leg"),
        Bad("dual control in the claim", with_leg(grown("dual_control", dual)), "422 schema_violation", "/leg"),
        Bad("tier in the claim", with_leg(grown("tier", json!("low"))), "422 schema_violation", "/leg"),
        Bad("bypass in the claim", with_leg(grown("bypass", json!(true))), "422 schema_violation", "/leg"),
        Bad("the claim itself", with_leg(claim), "422 free_form_leg", "/leg"),
        Bad("tier in con", raw("con", r#"{"tier":"low"}"#), "403 unknown_constraint", "/con/tier"),
        Bad(
            "attestation in con",
            raw("con", r#"{"executive_control":true}"#),
            "403 unknown_constraint",
            "/con/executive_control",
        ),
        Bad("another audience", with("aud", json!(["spiffe://atb.dev/agentauth"])), "422 schema_violation", "/aud"),
        Bad("an empty audience", with("aud", json!([])), "422 schema_violation", "/aud"),
        Bad("no audience", with("aud", Value::Null), "422 schema_violation", "/aud"),
    ])
    .await;
}

#[tokio::test]
async fn constraints_can_only_narrow_what_the_catalogue_knows() {
    let con = |con: Value| {
        let mut ask = asking("medium");
        ask["con"] = con;
        ask.to_string()
    };
    hold(vec![
        Bad("unknown parameter", con(json!({"color": "red"})), "403 unknown_constraint", "/con/color"),
        Bad("unknown operator", con(json!({"amount": {"maximum": 5}})), "403 constraint_invalid", "/con/amount"),
        Bad(
            "wider than the limit",
            con(json!({"amount": {"max": 60_000}})),
            "403 constraint_exceeds_limit",
            "/con/amount",
        ),
        Bad("wrong type", con(json!({"amount": {"max": "5"}})), "403 constraint_invalid", "/con/amount"),
        Bad("null", con(json!({"amount": null})), "403 constraint_invalid", "/con/amount"),
        Bad("no operator", con(json!({"amount": {}})), "403 constraint_invalid", "/con/amount"),
        Bad("empty list", con(json!({"currency": {"in": []}})), "403 constraint_invalid", "/con/currency"),
        Bad("not an object", con(json!(["amount"])), "422 schema_violation", "/con"),
    ])
    .await;
}

#[tokio::test]
async fn a_ground_that_is_not_one_of_a_template_in_force_is_refused() {
    let mut without = ground(&[]);
    without["vars"].as_object_mut().unwrap().remove("accountable_id");
    let version = |name: &str| with_leg(json!({"template": name, "vars": ground(&[])["vars"]}));
    hold(vec![
        Bad("unknown template", version("contrakt"), "422 leg_refused", "/leg"),
        Bad("unknown version", version("contract@9.9.9"), "422 leg_refused", "/leg"),
        Bad("path as template", version("../contract"), "422 leg_refused", "/leg"),
        Bad("missing variable", with_leg(without), "422 leg_refused", "/leg"),
        Bad("unknown variable", with_var("approved_by", "alice"), "422 leg_refused", "/leg"),
        Bad("pattern", with_var("contract_ref", "msa 1001"), "422 leg_refused", "/leg"),
        Bad("pattern with a line behind", with_var("contract_ref", "MSA-1001\nX"), "422 leg_refused", "/leg"),
        Bad("a template in a variable", with_var("order", "{{contract_ref}}"), "422 leg_refused", "/leg"),
        Bad("no such country", with_var("jurisdiction", "XX"), "422 leg_refused", "/leg"),
        Bad("template for other acts", with("act", json!("knowledge.document.read")), "403 unknown_act", "-"),
    ])
    .await;
}

#[tokio::test]
async fn a_refused_value_is_named_by_its_defect_and_never_repeated_and_another_ground_is_what_is_missing() {
    let app = TestApp::start().await;
    for (value, what) in [
        ("msa 1001", "it does not match the variable's pattern"),
        ("MSA-10\u{202e}01", "U+202E at byte 6"),
        ("{{order}}", "it has `{{` or `}}`"),
    ] {
        let mut ask = asking("low");
        ask["leg"] = ground(&[("contract_ref", value)]);
        let answer = app.issue(&ask).await;
        assert_eq!(answer.verdict(), "422 leg_refused", "{answer}");
        let detail = answer.text("/detail");
        assert!(detail.contains("`contract_ref`") && detail.contains(what), "{answer}");
        assert!(!answer.to_string().contains(value), "{answer}");
        assert_eq!(answer.json["missing"], json!(["ground"]), "{answer}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_call_that_no_route_describes_is_refused() {
    let mut params = bank_account(25_000);
    params["vendor_id"] = json!("V-1002");
    let mut unasked = asking("high");
    unasked.as_object_mut().unwrap().remove("request");
    hold(vec![
        Bad("no call where the act asks for one", unasked.to_string(), "403 request_binding_required", "/request"),
        Bad("unknown connector", with_call("connector", json!("crm")), "400 unknown_route", "/request/connector"),
        Bad(
            "connector with a path",
            with_call("connector", json!("../erp")),
            "422 schema_violation",
            "/request/connector",
        ),
        Bad("unknown path", with_call("path", json!("/vendors/V-1001/bank")), "400 unknown_route", "-"),
        Bad(
            "dot segment",
            with_call("path", json!("/vendors/../vendors/V-1001/bank-account")),
            "422 schema_violation",
            "/request/path",
        ),
        Bad("other method", with_call("method", json!("PUT")), "400 unknown_route", "-"),
        Bad("lower-case method", with_call("method", json!("post")), "422 schema_violation", "/request/method"),
        Bad("TRACE", with_call("method", json!("TRACE")), "422 schema_violation", "/request/method"),
        Bad(
            "path and parameters disagree",
            with_call("params", params),
            "400 parameter_mismatch",
            "/request/params/vendor_id",
        ),
        Bad(
            "parameter that the schema lacks",
            with_call("params", {
                let mut params = bank_account(1);
                params["note"] = json!("x");
                params
            }),
            "422 parameters_invalid",
            "/request/params",
        ),
        Bad(
            "above the catalogue's limit",
            with_call("params", bank_account(300_000)),
            "403 limit_exceeded",
            "/request/params/payment_limit",
        ),
        Bad(
            "another act's call",
            {
                let mut ask = asking("high");
                ask["act"] = json!("erp.payment.process");
                ask.to_string()
            },
            "400 act_mismatch",
            "/request",
        ),
        Bad("unknown member", with_call("headers", json!({})), "422 schema_violation", "/request/headers"),
        Bad("no ticket", asking("critical").to_string(), "403 ticket_missing", "/leg/ticket"),
    ])
    .await;
}

#[tokio::test]
async fn what_is_no_request_for_a_mandate_is_refused_at_the_door_on_record() {
    const JSON: (&str, &str) = ("content-type", "application/json");
    let app = TestApp::start().await;
    let caller = app.to_issuer(AGENT);
    let ask = asking("low").to_string().into_bytes();
    let large = format!("{}{}", asking("low"), " ".repeat(100_000)).into_bytes();
    let other = ("x-spiffe-id", "spiffe://atb.dev/agent/support");
    let forwarded = ("x-forwarded-client-cert", "By=spiffe://x;URI=spiffe://atb.dev/agent/support");
    let cases = [
        (
            "form",
            "POST",
            "/issue",
            vec![("content-type", "application/x-www-form-urlencoded")],
            ask.clone(),
            "415 unsupported_media_type",
        ),
        ("no content type", "POST", "/issue", vec![], ask.clone(), "415 unsupported_media_type"),
        ("two content types", "POST", "/issue", vec![JSON, JSON], ask.clone(), "415 unsupported_media_type"),
        (
            "other charset",
            "POST",
            "/issue",
            vec![("content-type", "application/json; charset=utf-16")],
            ask.clone(),
            "415 unsupported_media_type",
        ),
        (
            "encoded",
            "POST",
            "/issue",
            vec![JSON, ("content-encoding", "gzip")],
            ask.clone(),
            "415 unsupported_media_type",
        ),
        ("too large", "POST", "/issue", vec![JSON], large, "413 request_too_large"),
        ("header of another agent", "POST", "/issue", vec![JSON, other], ask.clone(), "403 identity_conflict"),
        ("certificate of another agent", "POST", "/issue", vec![JSON, forwarded], ask.clone(), "403 identity_conflict"),
        ("header of another agent on a read", "GET", "/templates", vec![other], vec![], "403 identity_conflict"),
        ("unknown path", "GET", "/unknown", vec![], vec![], "404 not_found"),
        ("path with a slash behind", "POST", "/issue/", vec![JSON], ask.clone(), "404 not_found"),
        ("wrong method", "PUT", "/issue", vec![JSON], ask.clone(), "405 method_not_allowed"),
        ("GET of /issue", "GET", "/issue", vec![], vec![], "405 method_not_allowed"),
        ("OPTIONS", "OPTIONS", "/issue", vec![], vec![], "405 method_not_allowed"),
        ("no such challenge", "GET", "/issue/not-a-uuid", vec![], vec![], "404 challenge_not_found"),
        ("no text in the path", "GET", "/issue/%ff", vec![], vec![], "404 challenge_not_found"),
        ("no text in an approver's path", "GET", "/challenges/%ff", vec![], vec![], "404 challenge_not_found"),
        ("no text in a template's name", "GET", "/templates/%ff", vec![], vec![], "404 template_not_found"),
        (
            "waiting too long",
            "GET",
            "/issue/01890000-0000-7000-8000-000000000000?wait=61",
            vec![],
            vec![],
            "422 schema_violation",
        ),
        (
            "waiting twice",
            "GET",
            "/issue/01890000-0000-7000-8000-000000000000?wait=1&wait=2",
            vec![],
            vec![],
            "422 schema_violation",
        ),
        ("unknown query", "GET", "/challenges?state=pending", vec![], vec![], "400 query_unknown"),
        ("unknown template", "GET", "/templates/none", vec![], vec![], "404 template_not_found"),
    ];
    for (what, method, path, headers, body, verdict) in cases {
        let mark = app.mark().await;
        let answer: Answer = caller.send(method, path, &headers, body).await;
        assert_eq!(answer.verdict(), verdict, "{what}: {answer}");
        answer.assert_problem();
        let event = TestApp::only(app.events_since(mark).await, what);
        assert_eq!(event.subject.reason, Some(answer.reason()), "{what}");
    }
    assert!(app.events_of(EventType::PoaIssued).await.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn a_header_that_agrees_with_the_svid_changes_nothing() {
    let app = TestApp::start().await;
    let same = [("content-type", "application/json"), ("x-spiffe-id", "spiffe://atb.dev/agent/procurement")];
    let answer = app.to_issuer(AGENT).send("POST", "/issue", &same, asking("low").to_string().into_bytes()).await;
    assert_eq!(answer.status, 201, "{answer}");
    app.finish().await;
}
