//! The description of the API against the program: the routers, the doors, and a golden file.

use std::collections::BTreeSet;
use std::path::Path;

use atb::adapters::http::openapi::{Door, OPERATIONS, document};
use serde_json::Value;

use crate::app::{AGENT, At, TestApp};

/// What OpenAPI cannot say.
const NOT_DESCRIBED: [&str; 1] = ["/envoy.service.auth.v3.Authorization/Check"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Method and path of every `.route("path", get(…).post(…))` in the routers.
fn routed() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for file in ["agentauth", "broker", "authzen", "ext_authz", "audit", "leg", "log", "openapi", "report"] {
        let text = std::fs::read_to_string(root().join(format!("src/adapters/http/{file}.rs"))).unwrap();
        for rest in text.split(".route(\"").skip(1) {
            let path = rest.split('"').next().unwrap();
            let end = rest.find('\n').unwrap();
            let line = &rest[..end];
            let methods: &[&str] = match line {
                line if line.contains("any(") => &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"],
                line if line.contains("get(") && line.contains("post(") => &["GET", "POST"],
                line if line.contains("get(") => &["GET"],
                line if line.contains("post(") || line.contains("post_service(") => &["POST"],
                line => panic!("{file}: {line}"),
            };
            found.extend(methods.iter().map(|method| ((*method).to_owned(), path.to_owned())));
        }
    }
    found
}

#[test]
fn every_route_is_described_and_every_description_is_a_route() {
    let files = std::fs::read_dir(root().join("src/adapters/http")).unwrap().map(|entry| entry.unwrap().path());
    let with_routes: BTreeSet<_> = files
        .filter(|path| path.is_file() && std::fs::read_to_string(path).unwrap().contains(".route(\"/"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "ops")
        .collect();
    let looked_at = ["agentauth", "audit", "authzen", "broker", "ext_authz", "leg", "log", "openapi", "report"];
    assert_eq!(
        with_routes.into_iter().collect::<Vec<_>>(),
        looked_at,
        "a file of routes that this test does not look at"
    );
    let mut routed = routed();
    routed.retain(|(_, path)| !NOT_DESCRIBED.contains(&path.as_str()));
    let described: BTreeSet<_> =
        OPERATIONS.iter().map(|operation| (operation.method.to_owned(), operation.path.to_owned())).collect();
    assert_eq!(routed.difference(&described).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "not described");
    assert_eq!(described.difference(&routed).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "no route");
}

/// `ATB_BLESS=1` writes the files.
#[test]
fn the_documents_are_golden() {
    for (door, name) in [(Door::AgentAuth, "agentauth"), (Door::Broker, "broker")] {
        let golden = root().join(format!("tests/golden/openapi-{name}.json"));
        let mut shown = document(door).clone();
        shown["info"]["version"] = "0.0.0".into();
        let shown = format!("{shown:#}\n");
        if std::env::var_os("ATB_BLESS").is_some() {
            std::fs::write(&golden, &shown).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert!(shown == expected, "{} is not what the program serves; ATB_BLESS=1 writes it", golden.display());
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_has_one_name() {
    for door in [Door::AgentAuth, Door::Broker] {
        let document = document(door);
        let mut names = BTreeSet::new();
        for operation in
            document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values())
        {
            assert!(names.insert(operation["operationId"].as_str().unwrap()), "{operation}");
            assert!(!operation["summary"].as_str().unwrap().is_empty());
        }
        references(document, &mut |target| {
            let found = target.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
            assert!(found.is_some_and(|schema| !schema.is_null()), "{target} is nowhere");
        });
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            assert!(schema.is_object(), "{name}");
            jsonschema::draft202012::meta::validate(schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

fn references(value: &Value, see: &mut impl FnMut(&str)) {
    match value {
        Value::Object(members) => {
            if let Some(target) = members.get("$ref").and_then(Value::as_str) {
                see(target);
            }
            members.values().for_each(|member| references(member, see));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, see)),
        _ => {}
    }
}

#[tokio::test]
async fn every_described_operation_is_behind_its_door_and_the_document_is_for_its_readers() {
    let readers = "[api]\nreaders = [\"spiffe://atb.dev/connector/erp\"]";
    let app = TestApp::start_with(|home| home.configure(readers)).await;
    for (at, door) in [(At::AgentAuth, Door::AgentAuth), (At::Broker, Door::Broker)] {
        let reader = app.caller("erp", at);
        let answer = reader.get("/openapi.json").await;
        assert_eq!((answer.status, &answer.json), (200, document(door)));
        let refused = app.caller(AGENT, at).get("/openapi.json").await;
        assert_eq!(refused.verdict(), "403 not_an_api_reader", "{refused}");
        refused.assert_problem();
        for operation in OPERATIONS.iter().filter(|operation| operation.doors.contains(&door)) {
            // The live queue answers until its client goes.
            if operation.path == "/challenges/events" {
                continue;
            }
            let path = operation.template().replace("{id}", "x").replace("{connector}", "erp");
            let path = path.replace("{path}", "x").replace("{name}", "x");
            let answer = reader.send(operation.method, &path, &[], Vec::new()).await;
            let fallback = answer.text("/detail").starts_with("nothing is here");
            assert!(answer.status != 405 && !fallback, "{} {path}: {answer}", operation.method);
        }
        let wrong = reader.send("PUT", "/openapi.json", &[], Vec::new()).await;
        assert_eq!(wrong.verdict(), "405 method_not_allowed", "{wrong}");
        assert!(wrong.header("allow").contains("GET"), "RFC 9110 §15.5.6: {wrong:?}");
        let foreign = reader.send("TRACE", "/openapi.json", &[], Vec::new()).await;
        assert_eq!((foreign.status, foreign.header("allow").is_empty()), (405, false), "{foreign:?}");
    }
    app.finish().await;
}
