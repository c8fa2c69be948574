//! METADATA: is it there where it must be, and can it be read.
//!
//! A package and an entry point have a title and a description, a package also an owner (`owner` or `custom.owner`, or
//! `authors`, `organizations`). Every other rule should have a title. Files of tests need none.

use std::collections::{BTreeMap, BTreeSet};

use super::super::annotations::{self, Annotation, Target};
use super::{Finding, Options, RuleId};
use crate::domain::policy::bundle::Place;
use crate::domain::policy::profile::ENTRY_POINTS;
use crate::domain::policy::profile::program::head;
use crate::domain::policy::profile::syntax::ParsedFile;

const SCOPES: [&str; 4] = ["rule", "document", "package", "subpackages"];
const MEMBERS: [&str; 9] = [
    "scope",
    "title",
    "description",
    "related_resources",
    "authors",
    "organizations",
    "schemas",
    "custom",
    "entrypoint",
];

/// Every finding about METADATA.
pub(super) fn check(files: &[ParsedFile<'_>], options: Options) -> Vec<Finding> {
    let blocks: Vec<Vec<Annotation>> = files.iter().map(annotations::of_file).collect();
    let mut findings = Vec::new();
    let mut packages: BTreeMap<String, (Place<'_>, Vec<&Annotation>)> = BTreeMap::new();
    let mut titled: BTreeSet<(String, String)> = BTreeSet::new();
    for (file, blocks) in files.iter().zip(&blocks) {
        findings.extend(blocks.iter().filter_map(|block| unreadable(file, block)));
        if file.is_test() {
            continue;
        }
        let package = file.package_name();
        let at = file.place(&file.module.package.span);
        let own = blocks.iter().filter(|block| block.target == Target::Package);
        packages.entry(package.clone()).or_insert((at, Vec::new())).1.extend(own);
        for block in blocks.iter().filter(|block| block.text("title").is_some()) {
            if let Target::Rule(rule) = &block.target {
                titled.insert((package.clone(), rule.clone()));
            }
        }
    }
    findings.extend(packages.iter().filter_map(|(name, (place, blocks))| of_package(name, *place, blocks)));
    let mut seen = BTreeSet::new();
    for (file, blocks) in files.iter().zip(&blocks).filter(|(file, _)| !file.is_test()) {
        for head in file.module.policy.iter().filter_map(|rule| head(rule)) {
            let name = (file.package_name(), head.path.clone());
            if seen.insert(name.clone()) {
                let place = file.place(head.root);
                findings.extend(of_rule(&head.path, &name, place, blocks, titled.contains(&name), options));
            }
        }
    }
    findings
}

fn unreadable(file: &ParsedFile<'_>, block: &Annotation) -> Option<Finding> {
    let find = |line, what: String, fix: &str| {
        Some(Finding::new(RuleId::InvalidMetadata, Place { file: file.path, line, column: 1 }, what, fix))
    };
    let members = match &block.members {
        Err((line, what)) => return find(*line, what.clone(), "write YAML, two blanks for each level"),
        Ok(members) => members,
    };
    if block.target == Target::Nothing {
        return find(block.line, "nothing follows this METADATA".to_owned(), "put it before a package or a rule");
    }
    if let Some(name) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        return find(block.line, format!("METADATA has no member `{name}`"), "put what is your own below `custom`");
    }
    let scope = members.get("scope");
    if scope.is_some_and(|scope| !scope.as_str().is_some_and(|scope| SCOPES.contains(&scope))) {
        return find(block.line, "an unknown scope".to_owned(), "write rule, document, package or subpackages");
    }
    None
}

fn of_package(name: &str, place: Place<'_>, blocks: &[&Annotation]) -> Option<Finding> {
    let has = |member: &str| blocks.iter().any(|block| block.member(member).is_some());
    let owned = has("authors") || has("organizations") || blocks.iter().any(|block| block.custom("owner").is_some());
    let missing: Vec<&str> = [("title", has("title")), ("description", has("description")), ("owner", owned)]
        .into_iter()
        .filter(|(_, there)| !there)
        .map(|(member, _)| member)
        .collect();
    (!missing.is_empty()).then(|| {
        let what = format!("package `{name}` has no {} in its METADATA", missing.join(", no "));
        Finding::new(RuleId::MissingMetadata, place, what, "say it in a METADATA block before `package`")
    })
}

fn of_rule(
    rule: &str,
    name: &(String, String),
    place: Place<'_>,
    blocks: &[Annotation],
    titled: bool,
    options: Options,
) -> Option<Finding> {
    let own = || blocks.iter().filter(|block| block.target == Target::Rule(rule.to_owned()));
    let marked = own().any(Annotation::is_entrypoint);
    let asked = ENTRY_POINTS.contains(&format!("{}.{}", name.0, name.1).as_str());
    if (marked || asked) && !(titled && own().any(|block| block.text("description").is_some())) {
        let what = format!("the entry point `{rule}` has no title and description");
        return Some(Finding::new(RuleId::MissingMetadata, place, what, "say both in a METADATA block before it"));
    }
    if asked && !marked {
        let what = format!("ATB asks for `{rule}`, and its METADATA does not say so");
        return Some(Finding::new(RuleId::UnmarkedEntrypoint, place, what, "add `entrypoint: true`"));
    }
    if titled {
        return None;
    }
    let id = if options.title_every_rule { RuleId::MissingMetadata } else { RuleId::UntitledRule };
    Some(Finding::new(id, place, format!("`{rule}` has no title"), "add a METADATA block with a title before it"))
}
