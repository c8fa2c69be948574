//! Everything of a template but its variables.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::pattern::compare_patterns;
use super::{Change, Effect, quoted, shown, texts};
use crate::domain::catalogue::Catalogue;
use crate::domain::policy::bundle::ActPattern;

/// Members that have a rule of their own; another one that differs is `other`.
const RULED: [&str; 18] = [
    "id",
    "version",
    "title",
    "summary",
    "owner",
    "basis",
    "valid_from",
    "valid_until",
    "withdrawn",
    "withdrawn_reason",
    "jurisdictions",
    "acts",
    "data_classes",
    "accountable_party",
    "references",
    "retention_days",
    "evidence",
    "variables",
];

pub(super) fn compare(old: &Value, new: &Value, catalogue: Option<&Catalogue>, changes: &mut Vec<Change>) {
    basis(old, new, changes);
    lists(old, new, changes);
    acts(old, new, catalogue, changes);
    validity(old, new, changes);
    party(old, new, changes);
    retention(old, new, changes);
    evidence(old, new, changes);
    words(old, new, changes);
    others(old, new, changes);
}

fn text<'v>(template: &'v Value, name: &str) -> Option<&'v str> {
    template.get(name)?.as_str()
}

/// What a basis is called.
fn basis_words(basis: &str) -> &str {
    match basis {
        "LI" => "legitimate interest, GDPR Art. 6(1)(f)",
        "CONTRACT" => "a contract, GDPR Art. 6(1)(b)",
        "CONSENT" => "consent, GDPR Art. 6(1)(a)",
        "LEGAL" => "a legal obligation, GDPR Art. 6(1)(c)",
        "VITAL" => "vital interests, GDPR Art. 6(1)(d)",
        "PUBLIC_TASK" => "a public task, GDPR Art. 6(1)(e)",
        other => other,
    }
}

fn basis(old: &Value, new: &Value, changes: &mut Vec<Change>) {
    let (old, new) = (text(old, "basis").unwrap_or_default(), text(new, "basis").unwrap_or_default());
    if old != new {
        let words = format!("the legal basis was {} and is {}", basis_words(old), basis_words(new));
        changes.push(Change::new(Effect::Other, "basis", words));
    }
}

/// Lists of what is allowed: more entries allow more.
fn lists(old: &Value, new: &Value, changes: &mut Vec<Change>) {
    for (field, added, removed) in [
        ("jurisdictions", "the ground now also holds in", "the ground no longer holds in"),
        (
            "data_classes",
            "the ground now also carries data of the class",
            "the ground no longer carries data of the class",
        ),
    ] {
        let pointer = format!("/{field}");
        let (before, after) = (texts(old, &pointer), texts(new, &pointer));
        both_ways(field, &before, &after, [added, removed], [Effect::Wider, Effect::Narrower], changes);
    }
    let (before, after) = (texts(old, "/references"), texts(new, "/references"));
    let words = ["the record now also names", "the record no longer names"];
    both_ways("references", &before, &after, words, [Effect::Other; 2], changes);
}

fn both_ways(
    field: &str,
    before: &BTreeSet<String>,
    after: &BTreeSet<String>,
    [added, removed]: [&str; 2],
    [wider, narrower]: [Effect; 2],
    changes: &mut Vec<Change>,
) {
    let (more, less): (Vec<_>, Vec<_>) = (after.difference(before).collect(), before.difference(after).collect());
    if !more.is_empty() {
        changes.push(Change::new(wider, field, format!("{added} {}", quoted(more))));
    }
    if !less.is_empty() {
        changes.push(Change::new(narrower, field, format!("{removed} {}", quoted(less))));
    }
}

fn acts(old: &Value, new: &Value, catalogue: Option<&Catalogue>, changes: &mut Vec<Change>) {
    let (before, after) = (texts(old, "/acts"), texts(new, "/acts"));
    if before == after {
        return;
    }
    if let Some(catalogue) = catalogue {
        let covered = |patterns: &BTreeSet<String>| -> BTreeSet<String> {
            let patterns: Vec<ActPattern> =
                patterns.iter().filter_map(|p| ActPattern::try_from(p.clone()).ok()).collect();
            let acts = catalogue.iter().map(|(act, _)| act);
            acts.filter(|act| patterns.iter().any(|p| p.covers(act))).map(|act| act.as_str().to_owned()).collect()
        };
        let words = ["the ground now also covers", "the ground no longer covers"];
        both_ways("acts", &covered(&before), &covered(&after), words, [Effect::Wider, Effect::Narrower], changes);
    }
    // Entries say more than the acts of today: a family also covers what comes later.
    let open = |entries: &BTreeSet<String>, others: &BTreeSet<String>| -> BTreeSet<String> {
        entries.iter().filter(|entry| !others.iter().any(|other| contains(other, entry))).cloned().collect()
    };
    let (more, less) = (open(&after, &before), open(&before, &after));
    let said = |direction| changes.iter().any(|change| change.field == "acts" && change.effect == direction);
    let (wider, narrower) = (said(Effect::Wider), said(Effect::Narrower));
    if !more.is_empty() && !wider {
        let words = format!("the list of acts is opened to {}", quoted(&more));
        changes.push(Change::new(Effect::Wider, "acts", words));
    }
    if !less.is_empty() && !narrower {
        let words = format!("the list of acts is closed to {}", quoted(&less));
        changes.push(Change::new(Effect::Narrower, "acts", words));
    }
    if more.is_empty() && less.is_empty() {
        changes.push(Change::new(
            Effect::Same,
            "acts",
            "the list of acts is written in another way and covers the same",
        ));
    }
}

/// Whether everything that `entry` covers is covered by `other`.
fn contains(other: &str, entry: &str) -> bool {
    other == entry || other.strip_suffix('*').is_some_and(|family| entry.starts_with(family))
}

fn validity(old: &Value, new: &Value, changes: &mut Vec<Change>) {
    for (field, words, earlier) in [
        ("valid_from", "the first day", [Effect::Wider, Effect::Narrower]),
        ("valid_until", "the last day", [Effect::Narrower, Effect::Wider]),
    ] {
        let (Some(before), Some(after)) = (text(old, field), text(new, field)) else { continue };
        if before != after {
            let [if_earlier, if_later] = earlier;
            let effect = if after < before { if_earlier } else { if_later };
            changes.push(Change::new(effect, field, format!("{words} was {before} and is {after}")));
        }
    }
    match (text(old, "withdrawn"), text(new, "withdrawn")) {
        (None, Some(day)) => {
            changes.push(Change::new(Effect::Narrower, "withdrawn", format!("withdrawn from {day} on")))
        }
        (Some(day), None) => {
            changes.push(Change::new(
                Effect::Wider,
                "withdrawn",
                format!("it was withdrawn from {day} on and is not any more"),
            ));
        }
        (Some(before), Some(after)) if before != after => {
            let effect = if after < before { Effect::Narrower } else { Effect::Wider };
            changes.push(Change::new(effect, "withdrawn", format!("withdrawn from {after} on instead of {before}")));
        }
        _ => {}
    }
}

fn party(old: &Value, new: &Value, changes: &mut Vec<Change>) {
    let types = "/accountable_party/types";
    let words = ["who answers for the act may now also be", "who answers for the act can no longer be"];
    let effects = [Effect::Wider, Effect::Narrower];
    both_ways("accountable_party.types", &texts(old, types), &texts(new, types), words, effects, changes);
    let pattern = |template: &Value| Some(template.pointer("/accountable_party/id_pattern")?.as_str()?.to_owned());
    let (before, after) = (pattern(old), pattern(new));
    let what = "the id of who answers for the act";
    changes.extend(compare_patterns("accountable_party.id_pattern", what, before.as_deref(), after.as_deref()));
}

fn retention(old: &Value, new: &Value, changes: &mut Vec<Change>) {
    let days = |template: &Value| template.get("retention_days").and_then(Value::as_u64);
    let (Some(before), Some(after)) = (days(old), days(new)) else { return };
    if before != after {
        let (effect, how) = if after > before { (Effect::Wider, "longer") } else { (Effect::Narrower, "shorter") };
        let words = format!("data is kept {how}: {after} days instead of {before}");
        changes.push(Change::new(effect, "retention_days", words));
    }
}

fn evidence(old: &Value, new: &Value, changes: &mut Vec<Change>) {
    let rules = |template: &Value| -> BTreeMap<String, String> {
        let rules = template.get("evidence").and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |rule: &Value, name: &str| Some(rule.get(name)?.as_str()?.to_owned());
        rules.iter().filter_map(|rule| Some((text(rule, "kind")?, text(rule, "variable")?))).collect()
    };
    let (before, after) = (rules(old), rules(new));
    let kinds = |rules: &BTreeMap<String, String>| rules.keys().cloned().collect::<BTreeSet<_>>();
    let words = ["evidence is now also asked for:", "evidence is no longer asked for:"];
    let effects = [Effect::Narrower, Effect::Wider];
    both_ways("evidence", &kinds(&before), &kinds(&after), words, effects, changes);
    for (kind, variable) in &after {
        if let Some(other) = before.get(kind).filter(|other| *other != variable) {
            let words = format!("the evidence `{kind}` is taken from `{variable}` instead of `{other}`");
            changes.push(Change::new(Effect::Other, format!("evidence.{kind}"), words));
        }
    }
}

/// Words that allow nothing.
fn words(old: &Value, new: &Value, changes: &mut Vec<Change>) {
    for field in ["version", "title", "summary", "owner", "withdrawn_reason"] {
        let (before, after) = (old.get(field), new.get(field));
        if before != after {
            let show = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), shown);
            let words = format!("`{field}` was {} and is {}", show(before), show(after));
            changes.push(Change::new(Effect::Same, field, words));
        }
    }
}

/// The claim's texts, and every member that no rule knows.
fn others(old: &Value, new: &Value, changes: &mut Vec<Change>) {
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    for (template, leaves) in [(old, &mut before), (new, &mut after)] {
        for (name, value) in template.as_object().into_iter().flatten().filter(|(n, _)| !RULED.contains(&n.as_str())) {
            flatten(value, name.clone(), leaves);
        }
        if let Some(id) = template.get("id") {
            leaves.insert("id".to_owned(), id.clone());
        }
    }
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let words = match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) if old != new => format!("`{name}` was {} and is {}", shown(old), shown(new)),
            (None, Some(new)) => format!("`{name}` is new: {}", shown(new)),
            (Some(old), None) => format!("`{name}` is gone; it was {}", shown(old)),
            _ => continue,
        };
        changes.push(Change::new(Effect::Other, name, words));
    }
}

fn flatten(value: &Value, path: String, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, v)| flatten(v, format!("{path}.{name}"), into)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| flatten(v, format!("{path}.{i}"), into)),
        other => drop(into.insert(path, other.clone())),
    }
}
