//! `tests/vectors/connector/*.toml`: `# expect: [line:column] text`, one defect each, and the files we ship.

use std::error::Error as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use atb::adapters::connectors::{Connectors, load_file};

const GOOD: &str = r#"
name = "erp"
title = "ERP"
owner = "ops@example.com"
data_class = "internal"
upstream = "https://erp.example.com"
[[routes]]
method = "GET"
path = "/a"
act = "erp.a.read"
"#;

#[test]
fn a_defect_in_a_connector_file_is_refused_with_its_place() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/connector")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let expect = text.lines().next().unwrap().strip_prefix("# expect: ").unwrap();
        let message = load_file(&path, false).map_or_else(|error| error.to_string(), |_| "accepted".to_owned());
        let (place, text) = match expect.split_once(' ') {
            Some((place, text)) if place.contains(':') => (format!(":{place}: "), text),
            _ => (String::new(), expect),
        };
        if !message.contains(&place) || !message.contains(text) {
            wrong.push(format!("{message}, expected {expect}"));
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 40, "only {seen} vectors were found");
}

#[test]
fn the_connector_files_that_we_ship_are_valid_on_a_development_machine_only() {
    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/connectors"));
    let connectors = Connectors::load(dir, true).unwrap();
    assert_eq!(connectors.find("erp").unwrap().routes.len(), 8);
    assert!(Connectors::load(dir, false).is_err());
}

#[test]
fn two_connectors_of_one_name_are_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.toml"), GOOD).unwrap();
    assert!(Connectors::load(dir.path(), false).is_ok());
    fs::write(dir.path().join("b.toml"), GOOD).unwrap();
    let error = Connectors::load(dir.path(), false).unwrap_err().to_string();
    assert!(error.contains("b.toml:2:8: connector `erp` is already defined in"), "{error}");
}

#[test]
fn a_file_or_directory_above_its_limit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.toml"), format!("{GOOD}#{}", "x".repeat(300_000))).unwrap();
    assert!(Connectors::load(dir.path(), false).unwrap_err().to_string().contains("larger than"));
    for n in 0..300 {
        fs::write(dir.path().join(format!("{n}.toml")), "").unwrap();
    }
    assert!(Connectors::load(dir.path(), false).unwrap_err().to_string().contains("more than 256"));
    assert!(Connectors::load(&dir.path().join("none"), false).unwrap_err().source().is_some());
}

#[test]
fn credentials_are_read_from_a_private_file_and_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("erp.toml");
    fs::write(
        &file,
        GOOD.replace("[[routes]]", "[credentials]\nheader = \"Authorization\"\nvalue_file = \"token\"\n[[routes]]"),
    )
    .unwrap();
    let token = dir.path().join("token");
    fs::write(&token, "Bearer s3cret\n").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(load_file(&file, false).unwrap_err().to_string().contains("can be read by others"));
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let (connector, _) = load_file(&file, false).unwrap();
    assert!(connector.credentials.is_some());
    assert!(!format!("{connector:?}").contains("s3cret"));
    for bad in ["", "\n", "two\nlines", "é"] {
        fs::write(&token, bad).unwrap();
        let error = load_file(&file, false).unwrap_err().to_string();
        assert!(error.contains("one line"), "{error}");
    }
}
