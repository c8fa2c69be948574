//! The page of rules: what METADATA says about packages, modules and rules.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::annotations::{self, Annotation, Target};
use super::markdown::{cell, code};
use crate::domain::policy::bundle::{self, BundleError, BundleFiles};
use crate::domain::policy::profile::RegoText;
use crate::domain::policy::profile::syntax::ParsedFile;

/// The page.
pub(super) fn page(files: &BundleFiles) -> Result<String, BundleError> {
    let texts = bundle::rego_texts(files)?;
    let rego = texts.iter().filter(|text| !text.path.ends_with("_test.rego"));
    let parsed: Vec<ParsedFile<'_>> = rego.map(RegoText::parse).collect::<Result<_, _>>()?;
    let mut packages: BTreeMap<String, Vec<&ParsedFile<'_>>> = BTreeMap::new();
    parsed.iter().for_each(|file| packages.entry(file.package_name()).or_default().push(file));
    let sections: String = packages.iter().map(|(name, files)| package(name, files)).collect();
    Ok(format!("# Rules\n\nFrom the METADATA of the Rego. Rules without a title are parts of others.\n\n{sections}"))
}

fn package(name: &str, files: &[&ParsedFile<'_>]) -> String {
    let blocks: Vec<(&str, Vec<Annotation>)> =
        files.iter().map(|file| (file.path, annotations::of_file(file))).collect();
    let mut out = format!("## package {name}\n\n");
    for block in blocks.iter().flat_map(|(_, all)| all).filter(|block| block.target == Target::Package) {
        out.push_str(&said(block));
    }
    for (path, all) in &blocks {
        let mut seen = BTreeSet::new();
        let titled = all.iter().filter(|block| block.text("title").is_some());
        let sections: String = titled
            .filter_map(|block| match &block.target {
                Target::Rule(rule) if seen.insert(rule.clone()) => Some(rule_section(rule, block)),
                _ => None,
            })
            .collect();
        if !sections.is_empty() {
            out.push_str(&format!("### {path}\n\n{sections}"));
        }
    }
    out
}

fn rule_section(rule: &str, block: &Annotation) -> String {
    let entry = if block.is_entrypoint() { " (entry point)" } else { "" };
    format!("#### {rule}{entry}\n\n{}", said(block))
}

fn said(block: &Annotation) -> String {
    let mut out = String::new();
    if let Some(title) = block.text("title") {
        out.push_str(&format!("**{}**\n\n", cell(title)));
    }
    if let Some(description) = block.text("description") {
        out.push_str(&description.lines().map(str::trim_end).collect::<Vec<_>>().join("\n"));
        out.push_str("\n\n");
    }
    let mut facts: Vec<String> = Vec::new();
    for name in ["authors", "organizations", "related_resources"] {
        facts.extend(block.member(name).map(|value| format!("- {}: {}", name.replace('_', " "), people(value))));
    }
    let custom = block.member("custom").and_then(Value::as_object);
    let mut own: Vec<String> =
        custom.into_iter().flatten().map(|(name, value)| format!("- {name}: {}", people(value))).collect();
    own.sort();
    facts.extend(own);
    if !facts.is_empty() {
        out.push_str(&format!("{}\n\n", facts.join("\n")));
    }
    out
}

fn people(value: &Value) -> String {
    match value {
        Value::String(text) => cell(text),
        Value::Array(items) => items.iter().map(people).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let part = |name: &str| members.get(name).and_then(Value::as_str).map(cell);
            match (part("name"), part("email"), part("ref")) {
                (Some(name), Some(email), _) => format!("{name} ({email})"),
                (one, two, three) => one.or(two).or(three).unwrap_or_else(|| code(&value.to_string())),
            }
        }
        other => code(&other.to_string()),
    }
}
