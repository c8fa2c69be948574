//! `docs/security/threats-tests.md`: every test that it names exists, and no family of the table is without one.

use super::named_tests::{has_test, text_of};

const DOCUMENT: &str = include_str!("../../docs/security/threats-tests.md");

/// The file and the function of a test by its name: `a::b::name` is in tests/it/a/b.rs, `src/a/b.rs::name` where it says.
fn place(name: &str) -> (String, &str) {
    let (module, function) = name.rsplit_once("::").unwrap();
    let file = match module.starts_with("src/") {
        true => module.to_owned(),
        false => format!("tests/it/{}.rs", module.replace("::", "/")),
    };
    (file, function)
}

fn rows() -> Vec<&'static str> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| "));
    rows.filter(|line| !line.contains(" test |") && !line.starts_with("| ---")).collect()
}

#[test]
fn every_test_that_the_document_names_exists() {
    let mut named = 0;
    for name in rows().iter().flat_map(|row| row.rsplit('|').nth(1).unwrap().split('`')) {
        if !name.contains("::") {
            continue;
        }
        let (file, function) = place(name);
        assert!(has_test(&text_of(&file), function), "{file} has no test `{function}`");
        named += 1;
    }
    assert!(named > 50, "{named}");
}

#[test]
fn every_row_names_a_test_and_every_family_has_rows() {
    for family in ["## Identity", "## The call", "## Towards the upstream", "## From the upstream", "## Load"] {
        let section = DOCUMENT.split(family).nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
        assert!(section.lines().filter(|line| line.starts_with("| ")).count() > 5, "{family}");
    }
    for row in rows() {
        assert!(row.rsplit('|').nth(1).unwrap().contains("::"), "no test: {row}");
    }
}
