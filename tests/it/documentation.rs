//! The documents against the program: what people look up is there, and every link leads somewhere.

use std::path::{Path, PathBuf};

use atb::adapters::http::problem;
use atb::config::KEYS;
use atb::domain::ledger::EventType;
use atb::service::auditor::Tampering;
use atb::service::refusal::Code;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_configuration_key_is_explained_to_operators() {
    let table = text("docs/operators.md");
    for key in KEYS {
        let row = table.lines().any(|line| line.starts_with('|') && line.contains(&format!("`{key}`")));
        assert!(row, "docs/operators.md has no row for `{key}`");
    }
}

#[test]
fn every_event_and_every_finding_is_explained_to_auditors() {
    let table = text("docs/auditors.md");
    for event in EventType::ALL {
        assert!(table.contains(&format!("`{}`", event.as_str())), "{}", event.as_str());
    }
    for kind in [
        Tampering::Edited,
        Tampering::Dropped,
        Tampering::Reordered,
        Tampering::Truncated,
        Tampering::Appended,
        Tampering::Forked,
        Tampering::CheckpointSignature,
    ] {
        assert!(table.contains(&format!("| `{kind}` |")), "{kind}");
    }
}

#[test]
fn every_problem_code_is_explained_to_integrators_with_its_status() {
    let table = text("docs/integrators.md");
    for code in Code::ALL {
        let row = format!("| `{}` | {} |", code.as_str(), problem::status(code).as_u16());
        assert!(table.contains(&row), "docs/integrators.md has no row `{row}`");
    }
}

#[test]
fn every_link_between_documents_leads_to_a_file() {
    let mut pages: Vec<PathBuf> =
        ["README.md", "CHANGELOG.md", "opa/README.md", "deploy/README.md", "spiffe/README.md"]
            .map(|page| root().join(page))
            .into();
    pages.extend(std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    for page in pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        let text = std::fs::read_to_string(page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            let file = target.split('#').next().unwrap();
            if target.starts_with("http") || file.is_empty() {
                continue;
            }
            assert!(page.parent().unwrap().join(file).exists(), "{} links to {target}", page.display());
        }
    }
}
