//! `atb policy docs`: pages from the bundle alone, the same bytes every time.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn docs(args: &[&str]) -> Output {
    let all = ["policy", "docs"].iter().chain(args);
    Command::new(env!("CARGO_BIN_EXE_atb")).current_dir(root()).args(all).output().unwrap()
}

#[test]
fn the_pages_in_docs_are_those_of_the_shipped_bundle() {
    let output = docs(&["opa", "--check"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "run `atb policy docs opa`: {text}");
}

/// Every page below a folder, one after the other.
fn book(folder: &Path) -> String {
    let mut paths = vec![folder.to_owned()];
    let mut pages = Vec::new();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            pages.push(format!("=== {name}\n{}", fs::read_to_string(&path).unwrap()));
        }
    }
    pages.sort();
    pages.concat()
}

#[test]
fn the_pages_of_a_small_bundle_are_these() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    assert!(docs(&["tests/vectors/policy/mutate", "--out", out]).status.success());
    let text = book(folder.path());
    let golden = root().join("tests/golden/policy_docs.txt");
    if std::env::var_os("ATB_BLESS").is_some() {
        fs::write(&golden, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&golden).unwrap_or_default());
}

#[test]
fn a_page_that_was_changed_is_missing_or_is_left_over_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let bundle = "tests/vectors/policy/mutate";
    assert_eq!(docs(&[bundle, "--out", out, "--check"]).status.code(), Some(1), "nothing is there");
    assert!(docs(&[bundle, "--out", out]).status.success());
    assert_eq!(docs(&[bundle, "--out", out, "--check"]).status.code(), Some(0));
    let tiers = folder.path().join("tiers.md");
    let page = fs::read_to_string(&tiers).unwrap();
    fs::write(&tiers, page.replace("# Tiers", "# Tears")).unwrap();
    fs::write(folder.path().join("acts/old.md"), &page).unwrap();
    fs::write(folder.path().join("by-hand.md"), "# By hand\n").unwrap();
    let output = docs(&[bundle, "--out", out, "--check"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("tiers.md:3 differs") && text.contains("acts/old.md is not generated"), "{text}");
    assert!(!text.contains("by-hand"), "{text}");
    assert!(docs(&[bundle, "--out", out]).status.success());
    assert_eq!(docs(&[bundle, "--out", out, "--check"]).status.code(), Some(0));
    assert!(folder.path().join("by-hand.md").exists() && !folder.path().join("acts/old.md").exists());
}

#[test]
fn a_bundle_that_does_not_load_has_no_pages() {
    assert_eq!(docs(&["/nonexistent"]).status.code(), Some(2));
}
