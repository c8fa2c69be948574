//! Drafts of templates as lawyers write them, YAML or JSON: findings, whatever the text is.
#![no_main]

use atb::domain::leg::Day;
use atb::domain::leg::lint::{Input, Source, lint, value_of};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let today = Day::try_from("2026-12-01".to_owned()).expect("a day");
    let folder = Some("gdpr-art-6".to_owned());
    let source = Source { file: "fuzz.yaml".to_owned(), folder, text: text.to_owned() };
    let templates = [source.clone()];
    let _ = lint(&Input { templates: &templates, catalogue: None, earlier: &[], today, soon_days: 30 });
    let _ = lint(&Input { templates: &templates, catalogue: Some(&source), earlier: &templates, today, soon_days: 30 });
    let _ = value_of(&source);
});
