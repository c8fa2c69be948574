//! `schemas/` against what the program writes and reads: real documents fit, and what the program refuses does not.

mod bundle;
mod delegation;
mod documents;
mod policy_input;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use atb::adapters::http::problem;
use atb::domain::approval::{ChallengeState, Turn};
use atb::domain::catalogue::Tier;
use atb::domain::ledger::{EventType, Outcome};
use atb::domain::text::TextDefect;
use atb::service::refusal::{Code, Refusal};
use jsonschema::{Draft, Registry, Validator};
use serde_json::{Value, json};

const BASE: &str = "https://atb.example/schemas/";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

static TEXTS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let files = std::fs::read_dir(root().join("schemas")).unwrap().map(|entry| entry.unwrap().path());
    let name =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().strip_suffix(".schema.json").unwrap().to_owned();
    files.map(|path| (name(&path), serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap())).collect()
});

static REGISTRY: LazyLock<Registry<'static>> = LazyLock::new(|| {
    let start = Registry::new();
    let all =
        TEXTS.iter().fold(start, |r, (name, text)| r.add(format!("{BASE}{name}.schema.json"), text.clone()).unwrap());
    all.prepare().unwrap()
});

fn schema(name: &str) -> &'static Value {
    TEXTS.get(name).unwrap_or_else(|| panic!("there is no schemas/{name}.schema.json"))
}

pub(crate) fn validator(name: &str) -> Validator {
    let options = jsonschema::options().with_draft(Draft::Draft202012).with_registry(&REGISTRY);
    options.build(schema(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[track_caller]
pub fn fits(name: &str, document: &Value) {
    let faults: Vec<_> =
        validator(name).iter_errors(document).map(|e| format!("{} at `{}`", e, e.instance_path())).collect();
    assert!(faults.is_empty(), "{name}: {faults:#?}\n{document:#}");
}

/// `document` with `value` at `pointer`; a new member where there is none.
fn with(document: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = document.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match changed.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.insert(name.to_owned(), value)),
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        _ => panic!("{pointer}"),
    }
    changed
}

/// A valid document with one defect each: none may fit.
#[track_caller]
pub fn refuses(name: &str, document: &Value, defects: Vec<(&str, Value)>) {
    fits(name, document);
    let validator = validator(name);
    for (pointer, value) in defects {
        assert!(!validator.is_valid(&with(document, pointer, value.clone())), "{name} takes {value} at {pointer}");
    }
}

/// The names of a closed list in a schema.
fn listed(name: &str, pointer: &str) -> Vec<String> {
    let names = schema(name).pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("{name}{pointer}"));
    names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_schema_names_itself_says_what_it_is_and_takes_no_unknown_member() {
    for (name, text) in TEXTS.iter() {
        assert_eq!(text["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
        assert_eq!(text["$id"], format!("{BASE}{name}.schema.json"));
        for member in ["title", "description"] {
            assert!(text[member].as_str().is_some_and(|text| !text.is_empty()), "{name} has no {member}");
        }
        validator(name);
        // A workspace, a calendar or a table may be called `x`; the tests of policy data try unknown members inside one.
        // AuthZEN has its receivers ignore what they do not know.
        let open = ["authzen-evaluation-request", "authzen-evaluations-request"];
        if ["common", "workspaces", "teams", "calendars", "freezes", "policy-cases"].contains(&name.as_str())
            || open.contains(&name.as_str())
        {
            continue;
        }
        let unknown = json!({"x": 1});
        let faults: Vec<_> = validator(name).iter_errors(&unknown).map(|e| e.to_string()).collect();
        assert!(faults.iter().any(|fault| fault.contains("'x'") || fault.contains("\"x\"")), "{name}: {faults:?}");
    }
}

#[test]
fn closed_lists_are_the_programs_own() {
    let events: Vec<_> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(listed("ledger-entry", "/properties/event_type/enum"), events);
    let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(listed("problem", "/properties/code/enum"), codes);
    let tiers: Vec<_> = Tier::ALL.iter().map(|tier| tier.as_str()).collect();
    assert_eq!(listed("common", "/$defs/tier/enum"), tiers);
    let states: Vec<_> = ChallengeState::ALL.iter().map(|state| state.as_str()).collect();
    assert_eq!(listed("challenge", "/properties/state/enum"), states);
    let defects: Vec<_> = TextDefect::ALL.iter().map(|defect| defect.as_str()).collect();
    assert_eq!(listed("view", "/properties/facts/items/properties/flags/items/enum"), defects);
    let turns: Vec<_> = Turn::ALL.iter().map(|turn| turn.as_str()).collect();
    assert_eq!(listed("challenge-event", "/properties/event/enum"), turns);
    let outcomes = [Outcome::Ok, Outcome::Failed, Outcome::Unknown].map(|o| serde_json::to_value(o).unwrap());
    assert_eq!(json!(listed("ledger-entry", "/properties/outcome/enum")), json!(outcomes));
}

#[test]
fn every_problem_document_fits() {
    for code in Code::ALL {
        let refusal = Refusal::because(code, "some_reason", "what and what to do").at("/act", "wrong");
        let document = problem::document(&refusal);
        fits("problem", &document);
        fits("problem", &problem::document(&Refusal::new(code, "without a place")));
    }
    let document = problem::document(&Refusal::new(Code::Denied, "no").at("/act", "wrong"));
    refuses(
        "problem",
        &document,
        vec![
            ("/code", json!("unheard_of")),
            ("/status", json!(200)),
            ("/type", json!("about:blank")),
            ("/errors", json!([])),
            ("/stack", json!("at main.rs")),
        ],
    );
}

#[test]
fn the_shipped_policy_data_fits() {
    let data = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(root().join(format!("opa/{name}/data.json"))).unwrap()).unwrap()
    };
    refuses(
        "catalogue",
        &data("catalogue"),
        vec![
            ("/ERP.vendor.read", data("catalogue")["erp.vendor.read"].clone()),
            ("/erp.vendor.read/tier", json!("none")),
            ("/erp.vendor.read/approvals", json!(0)),
            ("/erp.vendor.read/parameters/additionalProperties", json!(true)),
            ("/erp.vendor.read/max_ttl_seconds", json!(901)),
            ("/sap.vendor.change/bind_request", json!(false)),
            ("/sap.payment.execute/approval/roles", json!({"finance": 0})),
            ("/sap.payment.execute/approval/ticket", json!(false)),
        ],
    );
    let alice = "/spiffe:~1~1atb.dev~1approver~1alice";
    let approvers = data("approvers");
    fits("approvers", &approvers);
    let mut wrong = approvers.clone();
    wrong.pointer_mut(alice).unwrap()["executive"] = json!(true);
    assert!(!validator("approvers").is_valid(&wrong));
    let mut dated = approvers.clone();
    dated.pointer_mut(alice).unwrap()["valid_until"] = json!("2026-12-31");
    fits("approvers", &dated);
    dated.pointer_mut(alice).unwrap()["valid_until"] = json!("2026-12-31T00:00:00Z");
    assert!(!validator("approvers").is_valid(&dated));
    refuses(
        "workspaces",
        &data("workspaces"),
        vec![("/default/free_form_leg", json!("yes")), ("/default/bypass", json!(true)), ("/Sales", json!({}))],
    );
    fits("agents", &data("agents"));
    assert!(!validator("agents").is_valid(&json!({"spiffe://atb.dev/agent/a": {"workspace": "default"}})));
    refuses(
        "tiers",
        &data("tiers"),
        vec![
            ("/severe", json!({})),
            ("/low/approvals", json!(-1)),
            ("/high/ticket", json!("no")),
            ("/high/executives", json!(1)),
            ("/high/roles", json!({"ticket": 1})),
        ],
    );
}

#[test]
fn overlays_and_what_they_use_fit() {
    let acts = json!(["erp.*"]);
    let overlay = json!({
        "denied": ["crm.*"], "limits": {"erp.order.create": {"amount": {"max": 100}, "currency": "EUR"}},
        "approvals": {"medium": {"approvals": 2, "roles": {"finance": 1}}},
        "rates": [{"acts": acts, "per": "agent", "window": 60, "max": 10}], "hours": {"acts": acts, "calendar": "office"},
        "sensitive_paths": ["/payroll", "/board/"], "restricted": [{"acts": ["*"], "parameter": "*", "pattern": "^X"}],
        "risk_threshold": 60
    });
    let mut workspace = overlay.clone();
    workspace["free_form_leg"] = json!(false);
    workspace["team"] = json!("field");
    fits("workspaces", &json!({"sales": workspace}));
    fits("environments", &json!({"production": overlay, "staging": {}}));
    refuses(
        "overlay",
        &overlay,
        vec![
            ("/allowed", acts.clone()),
            ("/denied", json!(["*.read"])),
            ("/limits/erp.order.create/amount", json!({"maximum": 1})),
            ("/limits/erp.order.create/amount", json!({})),
            ("/approvals/severe", json!({})),
            ("/approvals/medium/approvals", json!(9)),
            ("/rates/0/window", json!(61)),
            ("/rates/0/max", json!(0)),
            ("/rates/0/acts", json!([])),
            ("/hours/calendar", json!("")),
            ("/sensitive_paths", json!(["/"])),
            ("/sensitive_paths", json!(["/a%2fb"])),
            ("/restricted/0/pattern", json!("a".repeat(257))),
            ("/risk_threshold", json!(101)),
        ],
    );
    assert!(!validator("environments").is_valid(&json!({"prod": {}})));
    refuses(
        "teams",
        &json!({"field": {"risk_threshold": 70}}),
        vec![("/field/owner", json!("x")), ("/field", json!({}))],
    );
    let calendar = json!({"office": {"timezone": "Europe/Berlin", "hours": {"mon": [["09:00", "24:00"]]}, "holidays": ["2026-12-25"]}});
    refuses(
        "calendars",
        &calendar,
        vec![
            ("/office/hours/monday", json!([])),
            ("/office/hours/mon", json!([["9:00", "17:00"]])),
            ("/office/hours/mon", json!([["09:00"]])),
            ("/office/holidays", json!(["25.12.2026"])),
            ("/office/zone", json!("UTC")),
        ],
    );
    let period = json!({"year-end": {"from": "2026-12-18T18:00:00+01:00", "until": "2027-01-04T06:00:00Z", "acts": acts,
        "workspaces": ["*"], "reason": "Closing of the books"}});
    refuses(
        "freezes",
        &period,
        vec![
            ("/year-end/from", json!("2026-12-18")),
            ("/year-end/acts", json!([])),
            ("/year-end/workspaces", json!([])),
            ("/year-end/reason", json!("")),
            ("/year-end/allow", json!(true)),
        ],
    );
    let rates = json!([{"acts": acts, "per": "workspace", "window": 86_400, "max": 1}]);
    refuses("rates", &rates, vec![("/0/per", json!("team")), ("/0/seconds", json!(60))]);
    refuses(
        "low-risk-allowlist",
        &json!({"acts": {"erp.vendor.read": true}}),
        vec![("/acts/ERP", json!(true)), ("/acts/a.b", json!(1))],
    );
    let risk: Value = serde_json::from_slice(&std::fs::read(root().join("opa/risk/data.json")).unwrap()).unwrap();
    refuses(
        "risk",
        &risk,
        vec![
            ("/threshold", json!(101)),
            ("/near_limit_percent", json!(0)),
            ("/base/tier/severe", json!({"factor": "tier:severe", "points": 1})),
            ("/base/tier/low/points", json!(-1)),
            ("/points/near_limit", json!("10")),
            ("/calendar", json!("")),
        ],
    );
    let bound = json!({"spiffe://atb.dev/agent/a": {"operator": "dave", "workspace": "default", "platform": {
        "authorities": [format!("sha-256:{}", "ab".repeat(32))], "connectors": ["erp"], "max_svid_seconds": 3600}}});
    fits("agents", &bound);
    for platform in [json!({}), json!({"authorities": []}), json!({"authority": "x"}), json!({"max_svid_seconds": 0})] {
        let mut wrong = bound.clone();
        wrong["spiffe://atb.dev/agent/a"]["platform"] = platform;
        assert!(!validator("agents").is_valid(&wrong), "{wrong}");
    }
}

#[test]
fn every_shipped_template_fits() {
    let mut seen = 0;
    for folder in std::fs::read_dir(root().join("opa/leg_templates")).unwrap() {
        let text = std::fs::read_to_string(folder.unwrap().path().join("data.yaml")).unwrap();
        let template: Value = serde_saphyr::from_str(&text).unwrap();
        refuses(
            "leg-template",
            &template,
            vec![
                ("/basis", json!("BECAUSE")),
                ("/basis", json!("VITAL")),
                ("/jurisdictions", json!(["Germany"])),
                ("/claim/approval", json!({})),
                ("/variables/jurisdiction/type", json!("date")),
                ("/valid_until", json!("soon")),
            ],
        );
        seen += 1;
    }
    assert!(seen >= 4, "{seen}");
}

#[test]
fn the_shipped_connector_fits_and_hostile_ones_with_another_shape_do_not() {
    let read = |path: &Path| -> Value { toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap() };
    let erp = read(&root().join("connectors/erp.toml"));
    refuses(
        "connector",
        &erp,
        vec![
            ("/act", json!("erp.vendor.read")),
            ("/upstream", json!("ftp://erp.example")),
            ("/limits/max_concurrent", json!(0)),
            ("/routes/0/method", json!("TRACE")),
            ("/routes/0/act", json!("*")),
            ("/routes", json!([])),
        ],
    );
    let vectors = root().join("tests/vectors/connector");
    for defect in [
        "unknown-key",
        "unknown-limit",
        "limit-zero",
        "limit-huge",
        "method-trace",
        "missing-owner",
        "name-upper-case",
        "no-routes",
        "unknown-body",
        "unknown-data-class",
        "upstream-user",
        "workload-not-spiffe",
        "unknown-query-type",
        "rate-zero",
        "rate-burst-alone",
        "rate-unknown-key",
        "breaker-zero",
        "limit-answer-zero",
        "enabled-not-boolean",
        "tls-empty",
        "tls-svid-and-files",
        "tls-cert-without-key",
        "tls-unknown-client",
        "body-param-not-a-pointer",
    ] {
        let document = read(&vectors.join(format!("{defect}.toml")));
        assert!(!validator("connector").is_valid(&document), "{defect}");
    }
}
