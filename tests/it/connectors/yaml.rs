//! Connector files as YAML: the same connector as in TOML, linted, signed, called and changed like it.

use std::fs;
use std::path::Path;
use std::process::Command;

use atb::adapters::connectors::{Connector, Connectors};
use atb::domain::ledger::EventType;
use atb::domain::leg::lint::{Source, value_of};
use serde_json::Value;

use super::live::{activated, call, entry};
use crate::app::{Home, TestApp};
use crate::schemas::fits;

const SIGNERS: &str = "[broker]\nrequire_signed_connectors = true\nconnector_signers = [\n\
    { id = \"spiffe://atb.dev/approver/alice\", person = \"alice\", role = \"security\" },\n\
    { id = \"spiffe://atb.dev/approver/bob\", person = \"bob\", role = \"legal\" },\n]\n";

/// What a connector is, but for the file that says it.
fn meaning(connector: &Connector) -> String {
    let Connector { enabled, rate, breaker, tls, name, title, owner, data_class, .. } = connector;
    let Connector { upstream, workloads, limits, credentials, ca_file, allow_private, routes, .. } = connector;
    format!(
        "{enabled} {rate:?} {breaker:?} {tls:?} {name} {title} {owner} {data_class:?} {upstream:?} {workloads:?} {limits:?} \
         {credentials:?} {ca_file:?} {allow_private} {routes:#?}"
    )
}

/// The same members in YAML's block style.
fn as_yaml(toml: &str) -> String {
    let value: Value = toml::from_str(toml).unwrap();
    let mut text = String::new();
    write_members(&mut text, &value, 0);
    text
}

fn write_members(text: &mut String, value: &Value, depth: usize) {
    let pad = "  ".repeat(depth);
    for (name, member) in value.as_object().unwrap() {
        match member {
            Value::Object(_) => {
                text.push_str(&format!("{pad}{name}:\n"));
                write_members(text, member, depth + 1);
            }
            Value::Array(items) if items.iter().all(Value::is_object) && !items.is_empty() => {
                text.push_str(&format!("{pad}{name}:\n"));
                for item in items {
                    let mut members = String::new();
                    write_members(&mut members, item, depth + 2);
                    text.push_str(&format!("{pad}  - {}", members.trim_start()));
                }
            }
            other => text.push_str(&format!("{pad}{name}: {other}\n")),
        }
    }
}

/// Puts a YAML file in the place of the shipped TOML file.
fn rewrite(home: &Home, name: &str) {
    let toml = fs::read_to_string(home.path("connectors/erp.toml")).unwrap();
    fs::remove_file(home.path("connectors/erp.toml")).unwrap();
    fs::write(home.path("connectors").join(name), as_yaml(&toml)).unwrap();
}

fn atb(home: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_atb")).args(args).current_dir(home).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn a_connector_written_as_yaml_is_the_same_connector() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files =
        ["connectors/erp.toml", "tests/vectors/call/connectors/pay.toml", "tests/vectors/call/connectors/dms.toml"];
    for file in files {
        let toml = fs::read_to_string(root.join(file)).unwrap();
        let read = |ending: &str, text: &str| {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(format!("c.{ending}")), text).unwrap();
            let connectors = Connectors::load(dir.path(), true).unwrap();
            let connector = connectors.iter().next().unwrap();
            (meaning(connector), connector.digest)
        };
        let (expected, signed) = read("toml", &toml);
        let yaml = as_yaml(&toml);
        for ending in ["yaml", "yml"] {
            let (meant, digest) = read(ending, &yaml);
            assert_eq!(meant, expected, "{file} as {ending}\n{yaml}");
            assert_ne!(digest, signed, "other bytes are signed anew");
        }
    }
}

#[test]
fn two_files_of_one_name_or_of_one_connector_are_refused_whatever_their_form() {
    let toml = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/connectors/erp.toml")).unwrap();
    let yaml = as_yaml(&toml);
    let refused = |files: [(&str, &str); 2]| {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let (_, errors) = Connectors::check(dir.path(), true).unwrap();
        let [error] = &errors[..] else { panic!("{errors:?}") };
        assert_eq!(Connectors::load(dir.path(), true).unwrap_err().to_string(), error.to_string());
        error.to_string()
    };
    let error = refused([("a.toml", &toml), ("b.yaml", &yaml)]);
    assert!(error.contains("b.yaml:") && error.contains("connector `erp` is already defined in"), "{error}");
    let other = yaml.replace("name: \"erp\"", "name: \"crm\"");
    for name in ["erp.yaml", "erp.yml"] {
        let error = refused([("erp.toml", &toml), (name, &other)]);
        assert!(error.contains(name) && error.contains("would share their sign-offs"), "{error}");
    }
}

#[tokio::test]
async fn a_yaml_connector_is_linted_signed_called_and_changed_like_any_other() {
    let app = TestApp::start_with(|home| {
        rewrite(home, "erp.yaml");
        home.replace("atb.toml", "[broker]\n", SIGNERS);
        for (role, name) in [("security", "alice"), ("legal", "bob")] {
            let signed = ["connector", "sign", "connectors/erp.yaml", "--role", role, "--as", name, "--home", "."];
            let (code, said) = atb(&home.path(""), &signed);
            assert_eq!(code, Some(0), "{said}");
        }
    })
    .await;
    let home = app.home();
    assert!(home.path("connectors/erp.sigs.json").exists());
    let lint = ["connector", "lint", "connectors", "--config", "atb.toml"];
    let (code, said) = atb(&home.path(""), &lint);
    assert!(code == Some(0) && said.contains("1 connectors with 8 routes are valid"), "{said}");
    assert_eq!(call(&app, &app.low_mandate().await).await.status, 200);
    assert_eq!(app.erp_hits(), 1);

    // A key that does not exist: lint points at it, the reload keeps the last good one and says so once.
    let good = fs::read_to_string(home.path("connectors/erp.yaml")).unwrap();
    fs::write(home.path("connectors/erp.yaml"), format!("{good}rates:\n  per_minute: 1\n")).unwrap();
    let (code, said) = atb(&home.path(""), &lint);
    let line = good.lines().count() + 1;
    assert!(code == Some(1) && said.contains(&format!("erp.yaml:{line}:1: ")), "{said}");
    assert!(said.contains("did you mean `rate`?"), "{said}");
    app.reload();
    let refused = entry(&app, EventType::ConnectorsRefused, 1).await;
    assert_eq!(refused.subject.reason.as_deref(), Some("connectors_invalid"));
    // A change that nobody signed.
    fs::write(home.path("connectors/erp.yaml"), format!("{good}rate:\n  per_minute: 6000\n")).unwrap();
    app.reload();
    let refused = entry(&app, EventType::ConnectorsRefused, 2).await;
    assert_eq!(refused.subject.reason.as_deref(), Some("sign_off_digest"));
    assert_eq!(call(&app, &app.low_mandate().await).await.status, 200, "the last good one stays");
    for (role, name) in [("security", "alice"), ("legal", "bob")] {
        let signed = ["connector", "sign", "connectors/erp.yaml", "--role", role, "--as", name, "--home", "."];
        assert_eq!(atb(&home.path(""), &signed).0, Some(0));
    }
    activated(&app, 2).await;
    assert_eq!(call(&app, &app.low_mandate().await).await.status, 200);
    app.finish().await;
}

#[test]
fn the_example_of_the_documents_is_a_connector_and_fits_the_schema() {
    let document = include_str!("../../../docs/integrators.md");
    let example = document.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("erp.yaml"), example).unwrap();
    let connectors = Connectors::load(dir.path(), false).unwrap();
    assert_eq!(connectors.find("erp").unwrap().routes.len(), 1);
    // The parser of bundles, which is another way to the same values.
    let source = Source { file: "erp.yaml".to_owned(), folder: None, text: example.to_owned() };
    fits("connector", &value_of(&source).unwrap());
}
