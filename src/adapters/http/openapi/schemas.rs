//! The schemas of `schemas/` as components of an OpenAPI document.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

/// Where components are.
const HOME: &str = "#/components/schemas/";

macro_rules! texts {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../../../schemas/", $name, ".schema.json")))),+]
    };
}

static TEXTS: LazyLock<BTreeMap<&'static str, Value>> = LazyLock::new(|| {
    let texts = texts!(
        "audit-page",
        "authzen-configuration",
        "authzen-evaluation-answer",
        "authzen-evaluation-request",
        "authzen-evaluations-answer",
        "authzen-evaluations-request",
        "challenge",
        "challenge-list",
        "common",
        "data-answer",
        "data-request",
        "decide-answer",
        "decide-request",
        "delegation",
        "governance-report",
        "issue-minted",
        "issue-pending",
        "issue-request",
        "issue-withdrawn",
        "leg-template",
        "leg-withdrawal",
        "leg-withdrawal-request",
        "problem",
        "view",
    );
    // INVARIANT: a test reads every one; a schema that is no JSON does not pass it.
    texts.into_iter().map(|(name, text)| (name, serde_json::from_str(text).unwrap_or_default())).collect()
});

/// Which schemas a document refers to.
#[derive(Debug, Default)]
pub(super) struct Used(BTreeSet<String>);

impl Used {
    /// Each with everything that it refers to.
    pub(super) fn embedded(self) -> Map<String, Value> {
        let mut wanted: Vec<String> = self.0.into_iter().collect();
        let mut embedded = BTreeMap::new();
        while let Some(name) = wanted.pop() {
            if embedded.contains_key(&name) {
                continue;
            }
            let mut schema = TEXTS.get(name.as_str()).cloned().unwrap_or_default();
            if let Some(members) = schema.as_object_mut() {
                members.remove("$schema");
                members.remove("$id");
            }
            rehome(&mut schema, &name, &mut wanted);
            embedded.insert(name, schema);
        }
        embedded.into_iter().collect()
    }
}

/// A schema by its name, by `common/<definition>`, or as JSON in place.
pub(super) fn reference(schema: &str, used: &mut Used) -> Value {
    if schema.starts_with('{') {
        // INVARIANT: as the texts; these stand in the table of operations.
        let schema = serde_json::from_str(schema).unwrap_or_default();
        note_references(&schema, used);
        return schema;
    }
    let (name, pointer) = match schema.split_once('/') {
        Some((name, definition)) => (name, format!("/$defs/{definition}")),
        None => (schema, String::new()),
    };
    used.0.insert(name.to_owned());
    json!({"$ref": format!("{HOME}{name}{pointer}")})
}

/// Notes which components a schema in place refers to.
fn note_references(schema: &Value, used: &mut Used) {
    match schema {
        Value::Object(members) => {
            let target = members.get("$ref").and_then(Value::as_str);
            let name = target.and_then(|target| target.strip_prefix(HOME)?.split('/').next());
            used.0.extend(name.map(str::to_owned));
            members.values().for_each(|member| note_references(member, used));
        }
        Value::Array(items) => items.iter().for_each(|item| note_references(item, used)),
        _ => {}
    }
}

/// Points every reference below `schema`, which is of the file `own`, to where the components are.
fn rehome(schema: &mut Value, own: &str, wanted: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(target)) = members.get_mut("$ref") {
                let (file, pointer) = target.split_once('#').unwrap_or((target, ""));
                let name = file.strip_suffix(".schema.json").filter(|name| !name.is_empty()).unwrap_or(own).to_owned();
                *target = format!("{HOME}{name}{pointer}");
                wanted.push(name);
            }
            members.values_mut().for_each(|member| rehome(member, own, wanted));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rehome(item, own, wanted)),
        _ => {}
    }
}
