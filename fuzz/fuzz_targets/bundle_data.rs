//! The data of a bundle: JSON and YAML documents, tables of cases, and directories in a whole bundle. The first byte says
//! which file the rest is.
#![no_main]

use atb::domain::policy::Bundle;
use atb::domain::policy::bundle::{BundleFiles, data_document};
use libfuzzer_sys::fuzz_target;

const AGENTS: &[u8] = include_bytes!("../../tests/vectors/bundle/base/agents/data.json");
const APPROVERS: &[u8] = include_bytes!("../../tests/vectors/bundle/base/approvers/data.json");
const CATALOGUE: &[u8] = include_bytes!("../../tests/vectors/bundle/base/catalogue/data.json");
const NAMES: [&str; 15] = [
    "data.json",
    "data.yaml",
    "policy/x_cases.yaml",
    "agents/data.json",
    "approvers/data.json",
    "catalogue/data.json",
    "workspaces/data.json",
    "calendars/data.json",
    "environments/data.json",
    "freezes/data.json",
    "rates/data.json",
    "teams/data.json",
    "low_risk_allowlist/data.json",
    "maintenance/data.json",
    "leg_templates/t/data.yaml",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, content)) = bytes.split_first() else { return };
    let Some(name) = NAMES.get(usize::from(*choice) % NAMES.len()) else { return };
    if let Ok(alone) = BundleFiles::new([((*name).to_owned(), content.to_vec())]) {
        let _ = data_document(&alone);
    }
    let base = [("agents/data.json", AGENTS), ("approvers/data.json", APPROVERS), ("catalogue/data.json", CATALOGUE)];
    let others = base.into_iter().filter(|(other, _)| other != name);
    let all = others.chain([(*name, content)]).map(|(name, content)| (name.to_owned(), content.to_vec()));
    if let Ok(files) = BundleFiles::new(all) {
        let _ = Bundle::parse(&files);
    }
});
