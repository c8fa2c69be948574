//! The TOML that operators and integrators copy out of the documents is read as what it is said to be.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use atb::adapters::connectors::load_file;
use atb::adapters::guardrails::read_patterns;
use atb::config::Config;
use toml::{Table, Value};

use super::named_tests::text_of;

/// What the examples are put into: AgentAuth and the broker of example.org, on files.
const BASE: &str = r#"
[trust]
domain = "example.org"
bundle = "trust/bundle.pem"

[store]
path = "data/ledger.db"

[keys]
mandate = "keys/mandate.pem"
ledger = "keys/ledger.pem"

[bundle]
dir = "opa"

[agentauth]
listen = "127.0.0.1:8443"
spiffe_id = "spiffe://example.org/agentauth"
svid = "svids/agentauth/svid.pem"
key = "svids/agentauth/key.pem"

[broker]
listen = "127.0.0.1:8444"
spiffe_id = "spiffe://example.org/broker"
svid = "svids/broker/svid.pem"
key = "svids/broker/key.pem"
connectors = "connectors"
"#;

const CONNECTOR: &str = r#"
name = "erp"
title = "ERP"
owner = "platform-ops@example.com"
data_class = "confidential"
upstream = "https://erp.example"

[[routes]]
method = "GET"
path = "/vendors/{vendor_id}"
act = "erp.vendor.read"
"#;

/// The TOML blocks of a document, each with the number of its first line.
fn examples(file: &str) -> Vec<(usize, String)> {
    let text = text_of(file);
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (number, line) in (1..).zip(text.lines()) {
        match line {
            "```toml" => {
                open = true;
                found.push((number + 1, String::new()));
            }
            "```" => open = false,
            line if open => {
                let (_, block) = found.last_mut().unwrap();
                block.push_str(line);
                block.push('\n');
            }
            _ => {}
        }
    }
    found
}

/// `over` replaces what stands in `table` under the same names; tables are merged.
fn merge(table: &mut Table, over: Table) {
    for (name, value) in over {
        match (table.get_mut(&name), value) {
            (Some(Value::Table(below)), Value::Table(value)) => merge(below, value),
            (_, value) => drop(table.insert(name, value)),
        }
    }
}

/// A configuration with the example in it, and without what the example says it stands for.
fn configured(example: &str) -> String {
    let mut whole: Table = BASE.parse().unwrap();
    let example: Table = example.parse().unwrap();
    let says = |section: &str, key: &str| example.get(section).and_then(|table| table.get(key)).cloned();
    if says("policy", "source").is_some() {
        whole.remove("bundle");
    }
    if says("trust", "source") == Some(Value::String("workload_api".to_owned())) {
        for door in ["agentauth", "broker"] {
            let door = whole.get_mut(door).and_then(Value::as_table_mut).unwrap();
            door.remove("svid");
            door.remove("key");
        }
        whole.get_mut("trust").and_then(Value::as_table_mut).unwrap().remove("bundle");
    }
    merge(&mut whole, example);
    toml::to_string(&whole).unwrap()
}

/// Another trust domain that an example may name.
fn federated(domain: &str) -> String {
    format!("[federation.\"{domain}\"]\nprofile = \"file\"\nbundle = \"trust/{domain}.json\"\n")
}

fn read(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("/etc/atb/atb.toml"), text, &[]).map_err(|error| error.to_string())
}

#[test]
fn the_configuration_that_operators_copy_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut configurations = 0;
    for (line, example) in examples("docs/operators.md") {
        if example.starts_with("# guardrails.toml") {
            let file = folder.path().join("guardrails.toml");
            fs::write(&file, example).unwrap();
            read_patterns(&file).unwrap_or_else(|error| panic!("docs/operators.md:{line}: {error}"));
            continue;
        }
        let example = match example.contains("[access]") {
            true => example + &federated("partner.example"),
            false => example,
        };
        read(&configured(&example)).unwrap_or_else(|error| panic!("docs/operators.md:{line}: {error}"));
        configurations += 1;
    }
    assert!(configurations >= 12, "{configurations}");
    read(&configured("[ledger]\nreader = []\n")).unwrap_err();
}

#[test]
fn the_federation_that_comes_with_the_spire_examples_is_read() {
    // The SPIRE examples are of another domain.
    let whole = configured(&text_of("spiffe/federation/atb.toml")).replace("example.org", "atb.dev");
    let found = read(&whole).unwrap_or_else(|error| panic!("spiffe/federation/atb.toml: {error}"));
    assert!(!found.trust.federation.is_empty());
}

#[test]
fn the_credentials_that_integrators_copy_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for secret in ["erp-token", "client-secret"] {
        let secret = folder.path().join(secret);
        fs::write(&secret, "a value of one line\n").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let examples = examples("docs/integrators.md");
    assert!(examples.len() >= 3);
    for (line, example) in examples {
        let mut whole: Table = CONNECTOR.parse().unwrap();
        merge(&mut whole, example.parse().unwrap());
        let file = folder.path().join("erp.toml");
        fs::write(&file, toml::to_string(&whole).unwrap()).unwrap();
        let (connector, _) = load_file(&file, false).unwrap_or_else(|e| panic!("docs/integrators.md:{line}: {e}"));
        assert!(connector.credentials.is_some(), "docs/integrators.md:{line}");
    }
}
