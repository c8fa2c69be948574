//! One page for each family of acts.

use std::collections::BTreeMap;

use serde_json::Value;

use super::markdown::{cell, code, table};
use super::{plain, roles};
use crate::domain::action::ActionName;
use crate::domain::catalogue::CatalogueEntry;
use crate::domain::policy::Bundle;

type Acts<'b> = Vec<(&'b ActionName, &'b CatalogueEntry)>;

/// The acts by family, both in order.
pub(super) fn families(bundle: &Bundle) -> BTreeMap<&str, Acts<'_>> {
    let mut families: BTreeMap<&str, Acts<'_>> = BTreeMap::new();
    for (act, entry) in bundle.catalogue().iter() {
        families.entry(act.family()).or_default().push((act, entry));
    }
    families.values_mut().for_each(|acts| acts.sort_by_key(|(act, _)| act.as_str()));
    families
}

/// A page for each family.
pub(super) fn pages(bundle: &Bundle) -> BTreeMap<String, String> {
    families(bundle).into_iter().map(|(family, acts)| (format!("acts/{family}.md"), page(family, &acts))).collect()
}

fn page(family: &str, acts: &Acts<'_>) -> String {
    let rows = acts.iter().map(|(act, entry)| {
        let anchor: String = act.as_str().chars().filter(|c| *c != '.').collect();
        vec![format!("[`{act}`](#{anchor})"), entry.tier.to_string(), cell(&entry.title)]
    });
    let sections: String = acts.iter().map(|(act, entry)| section(act, entry)).collect();
    format!("# {family}\n\n{}\n{sections}", table(&["act", "tier", "title"], rows))
}

fn section(act: &ActionName, entry: &CatalogueEntry) -> String {
    let document = serde_json::to_value(entry).unwrap_or_default();
    let text = |name: &str| document.get(name).map(plain).unwrap_or_default();
    let mut out = format!("## {act}\n\n{}.\n\n", entry.title.trim_end_matches('.'));
    let mut facts = vec![
        ("tier", format!("[{}](../tiers.md)", entry.tier)),
        ("data", text("data_class")),
        ("can be undone", text("reversibility").replace('_', " ")),
        ("tied to one exact call", text("bind_request")),
        ("approvers read", cell(&text("view"))),
    ];
    facts.extend(entry.max_ttl_seconds.map(|seconds| ("a mandate lives at most", format!("{seconds} s"))));
    facts.extend(entry.ground.as_ref().map(|ground| ("usual ground", code(ground))));
    facts.extend(document.get("approval").map(|asked| ("asks beyond its tier", approval(asked))));
    facts.extend(list(&document, "loggable").map(|names| ("on record in clear", names)));
    let rows = facts.into_iter().map(|(name, value)| vec![name.to_owned(), value]);
    out.push_str(&table(&["", ""], rows));
    out.push_str(&parameters(entry));
    if !entry.attestations.is_empty() {
        let rows = entry.attestations.iter().map(|(name, sentence)| vec![code(name.as_str()), cell(sentence)]);
        out.push_str(&format!("\nAn approver attests:\n\n{}", table(&["attestation", "sentence"], rows)));
    }
    if !entry.privileged.is_empty() {
        let values = |values: &Vec<Value>| values.iter().map(|v| code(&v.to_string())).collect::<Vec<_>>().join(", ");
        let rows = entry.privileged.iter().map(|(name, all)| vec![code(name), values(all)]);
        out.push_str(&format!("\nAsks as the critical tier does:\n\n{}", table(&["parameter", "values"], rows)));
    }
    if let Some(example) = &entry.example {
        let json = serde_json::to_string_pretty(&sorted(&example.to_value())).unwrap_or_default();
        out.push_str(&format!("\n```json\n{json}\n```\n"));
    }
    out.push('\n');
    out
}

fn list(document: &Value, name: &str) -> Option<String> {
    let names = document.get(name)?.as_array()?;
    Some(names.iter().filter_map(Value::as_str).map(code).collect::<Vec<_>>().join(", "))
}

fn approval(asked: &Value) -> String {
    let people = asked.get("approvals").map(|n| format!("{n} people"));
    let classes = asked.get("roles").map(roles).filter(|text| !text.is_empty());
    let wait = asked.get("challenge_seconds").map(|n| format!("a challenge waits {n} s"));
    people.into_iter().chain(classes).chain(wait).collect::<Vec<_>>().join(", ")
}

fn parameters(entry: &CatalogueEntry) -> String {
    let schema = &entry.parameters;
    let Some(properties) = schema.get("properties").and_then(Value::as_object).filter(|all| !all.is_empty()) else {
        return "\nNo parameters.\n".to_owned();
    };
    let required = |name: &str| {
        schema.get("required").and_then(Value::as_array).is_some_and(|all| all.iter().any(|n| n.as_str() == Some(name)))
    };
    let limits = entry.limits.to_value();
    let mut names: Vec<&String> = properties.keys().collect();
    names.sort();
    let rows = names.into_iter().filter_map(|name| {
        let property = properties.get(name)?;
        let kind = property.get("type").map(plain).unwrap_or_default();
        let limit = limits.get(name).map(shown).unwrap_or_default();
        let asked = if required(name) { "yes" } else { "" };
        Some(vec![code(name), cell(&kind), asked.to_owned(), fits(property), limit])
    });
    format!("\n{}", table(&["parameter", "type", "required", "schema", "limit"], rows))
}

/// What the schema says beyond the type.
fn fits(property: &Value) -> String {
    let known =
        property.as_object().into_iter().flatten().filter(|(name, _)| *name != "type" && *name != "description");
    let mut parts: Vec<String> = known.map(|(name, value)| format!("{name} {}", shown(value))).collect();
    parts.sort();
    parts.join(", ")
}

fn shown(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut parts: Vec<String> =
                members.iter().map(|(name, value)| format!("{name} {}", shown(value))).collect();
            parts.sort();
            parts.join(", ")
        }
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(" "),
        Value::String(text) => code(text),
        other => code(&other.to_string()),
    }
}

/// Members in order, whatever the order of the file.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let ordered: BTreeMap<&String, Value> = members.iter().map(|(name, value)| (name, sorted(value))).collect();
            Value::Object(ordered.into_iter().map(|(name, value)| (name.clone(), value)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}
