//! What a value can be: kinds of JSON and Rego, and where that is known the schema or the data behind it.
//!
//! Schemas are read as far as types need it (draft 2020-12: `type`, `const`, `enum`, `properties`,
//! `additionalProperties`, `items`, `anyOf`, `oneOf`, `allOf`, `$ref`). What is not known is anything.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

/// A set of kinds.
pub(super) type Kinds = u8;
pub(super) const NULL: Kinds = 1;
pub(super) const BOOLEAN: Kinds = 2;
pub(super) const NUMBER: Kinds = 4;
pub(super) const STRING: Kinds = 8;
pub(super) const ARRAY: Kinds = 16;
pub(super) const SET: Kinds = 32;
pub(super) const OBJECT: Kinds = 64;
pub(super) const ANY: Kinds = 127;

/// The names of kinds, for people.
pub(super) fn names(kinds: Kinds) -> String {
    let all = [
        (NULL, "null"),
        (BOOLEAN, "boolean"),
        (NUMBER, "number"),
        (STRING, "string"),
        (ARRAY, "array"),
        (SET, "set"),
        (OBJECT, "object"),
    ];
    if kinds == ANY {
        return "anything".to_owned();
    }
    all.iter().filter(|(kind, _)| kinds & kind != 0).map(|(_, name)| *name).collect::<Vec<_>>().join(" or ")
}

macro_rules! schemas {
    ($($name:literal),+) => {
        [$(($name, include_str!(concat!("../../../../schemas/", $name, ".schema.json")))),+]
    };
}

static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let texts = schemas!(
        "policy-input",
        "common",
        "mandate-claims",
        "catalogue",
        "tiers",
        "approvers",
        "agents",
        "workspaces",
        "overlay",
        "environments",
        "teams",
        "calendars",
        "freezes",
        "rates",
        "low-risk-allowlist",
        "risk",
        "leg-template"
    );
    let read = |(name, text): (&str, &str)| Some((format!("{name}.schema.json"), serde_json::from_str(text).ok()?));
    texts.into_iter().filter_map(read).collect()
});

/// Documents of the data and their schemas; of `leg_templates` each entry has one.
const DATA: [(&str, &str); 13] = [
    ("catalogue", "catalogue"),
    ("tiers", "tiers"),
    ("approvers", "approvers"),
    ("agents", "agents"),
    ("workspaces", "workspaces"),
    ("environments", "environments"),
    ("teams", "teams"),
    ("calendars", "calendars"),
    ("freezes", "freezes"),
    ("maintenance", "freezes"),
    ("rates", "rates"),
    ("low_risk_allowlist", "low-risk-allowlist"),
    ("risk", "risk"),
];

/// What a value can be.
#[derive(Debug, Clone)]
pub(super) struct Shape<'a> {
    pub(super) kinds: Kinds,
    /// Whether it comes from `input`.
    pub(super) of_input: bool,
    sources: Vec<Origin<'a>>,
}

#[derive(Debug, Clone)]
enum Origin<'a> {
    Schema(&'static str, &'static Value),
    /// Any member of an object of such values.
    MapOf(&'static str, &'static Value),
    Data(&'a Value),
}

/// What selecting from a value gives.
pub(super) enum Member<'a> {
    Found(Shape<'a>),
    /// There is no such member in any of the forms that the value can have.
    Missing,
}

impl<'a> Shape<'a> {
    pub(super) fn of(kinds: Kinds) -> Self {
        Self { kinds, of_input: false, sources: Vec::new() }
    }

    pub(super) fn any() -> Self {
        Self::of(ANY)
    }

    /// The policy's input.
    pub(super) fn input() -> Self {
        let found = SCHEMAS.get_key_value("policy-input.schema.json");
        let shape = found.map_or_else(Self::any, |(doc, node)| Self::schema(doc, node));
        Self { of_input: true, ..shape }
    }

    /// A document of the data.
    pub(super) fn document(name: &str, data: Option<&'a Value>) -> Self {
        if let Some((_, schema)) = DATA.iter().find(|(document, _)| *document == name) {
            let found = SCHEMAS.get_key_value(&format!("{schema}.schema.json"));
            return found.map_or_else(Self::any, |(doc, node)| Self::schema(doc, node));
        }
        if name == "leg_templates" {
            let found = SCHEMAS.get_key_value("leg-template.schema.json");
            let map = |(doc, node): (&'static String, &'static Value)| Self {
                kinds: OBJECT,
                of_input: false,
                sources: vec![Origin::MapOf(doc, node)],
            };
            return found.map_or_else(Self::any, map);
        }
        data.map_or_else(Self::any, Self::value)
    }

    fn value(value: &'a Value) -> Self {
        Self { kinds: kind(value), of_input: false, sources: vec![Origin::Data(value)] }
    }

    fn schema(doc: &'static str, node: &'static Value) -> Self {
        let (doc, node) = resolved(doc, node);
        let kinds = schema_kinds(doc, node, 0);
        let composed = [node.get("anyOf"), node.get("oneOf")].into_iter().flatten().filter_map(Value::as_array);
        let branches: Vec<Origin<'a>> =
            composed.flatten().flat_map(|branch| Self::schema(doc, branch).sources).collect();
        let own = Origin::Schema(doc, node);
        let sources = if branches.is_empty() || node.get("properties").is_some() { vec![own] } else { branches };
        Self { kinds, of_input: false, sources }
    }

    /// Either of two.
    pub(super) fn or(mut self, other: Self) -> Self {
        // What is not known on one side is not known at all.
        if (self.sources.is_empty() && self.kinds & OBJECT != 0)
            || (other.sources.is_empty() && other.kinds & OBJECT != 0)
        {
            return Self::of(self.kinds | other.kinds);
        }
        self.kinds |= other.kinds;
        self.of_input |= other.of_input;
        self.sources.extend(other.sources);
        self.sources.truncate(64);
        self
    }

    /// What stands at a name, or at any place where the name is computed.
    pub(super) fn member(&self, name: Option<&str>) -> Member<'a> {
        if self.kinds & (ARRAY | SET | OBJECT) == 0 {
            return Member::Missing;
        }
        if self.sources.is_empty() {
            return Member::Found(Self::any());
        }
        let mut found: Option<Self> = None;
        for source in &self.sources {
            let Some(shape) = source.member(name) else { continue };
            found = Some(match found {
                None => shape,
                Some(before) => before.or(shape),
            });
        }
        found.map_or(Member::Missing, |shape| Member::Found(Self { of_input: self.of_input, ..shape }))
    }

    /// The texts that it can be, where they are known.
    pub(super) fn texts(&self) -> Option<Vec<&'a str>>
    where
        'static: 'a,
    {
        let mut texts = Vec::new();
        if self.kinds != STRING || self.sources.is_empty() {
            return None;
        }
        for source in &self.sources {
            let Origin::Schema(_, node) = source else { return None };
            match (node.get("const"), node.get("enum").and_then(Value::as_array)) {
                (Some(one), _) => texts.extend(one.as_str()),
                (None, Some(many)) => texts.extend(many.iter().filter_map(Value::as_str)),
                (None, None) => return None,
            }
        }
        Some(texts)
    }
}

impl<'a> Origin<'a> {
    fn member(&self, name: Option<&str>) -> Option<Shape<'a>> {
        match self {
            Self::MapOf(doc, node) => Some(Shape::schema(doc, node)),
            Self::Data(value) => data_member(value, name),
            Self::Schema(doc, node) => schema_member(doc, node, name),
        }
    }
}

fn data_member<'a>(value: &'a Value, name: Option<&str>) -> Option<Shape<'a>> {
    let all: Vec<&Value> = match (value, name) {
        (Value::Object(members), Some(name)) => return members.get(name).map(Shape::value),
        (Value::Object(members), None) => members.values().collect(),
        (Value::Array(items), _) => items.iter().collect(),
        _ => Vec::new(),
    };
    if all.is_empty() || all.len() > 64 {
        return Some(Shape::any());
    }
    all.into_iter().map(Shape::value).reduce(Shape::or)
}

fn schema_member<'a>(doc: &'static str, node: &'static Value, name: Option<&str>) -> Option<Shape<'a>> {
    let kinds = schema_kinds(doc, node, 0);
    if kinds & (ARRAY | OBJECT) == 0 {
        return None;
    }
    if kinds & ARRAY != 0 {
        return Some(node.get("items").map_or_else(Shape::any, |items| Shape::schema(doc, items)));
    }
    let properties = node.get("properties").and_then(Value::as_object);
    if let Some(found) = name.and_then(|name| properties?.get(name)) {
        return Some(Shape::schema(doc, found));
    }
    match node.get("additionalProperties") {
        Some(Value::Bool(false)) => {
            if name.is_some() {
                return None;
            }
            properties?.values().map(|node| Shape::schema(doc, node)).reduce(Shape::or)
        }
        Some(more @ Value::Object(_)) if properties.is_none() || name.is_some() => Some(Shape::schema(doc, more)),
        _ => Some(Shape::any()),
    }
}

/// Follows `$ref` within the shipped schemas.
fn resolved(mut doc: &'static str, mut node: &'static Value) -> (&'static str, &'static Value) {
    for _ in 0..16 {
        let Some(target) = node.get("$ref").and_then(Value::as_str) else { return (doc, node) };
        let (file, pointer) = target.split_once('#').unwrap_or((target, ""));
        let name = if file.is_empty() { doc } else { file };
        let Some((name, root)) = SCHEMAS.get_key_value(name) else { return (doc, &Value::Null) };
        let Some(found) = root.pointer(pointer) else { return (doc, &Value::Null) };
        (doc, node) = (name.as_str(), found);
    }
    (doc, &Value::Null)
}

fn schema_kinds(doc: &'static str, node: &'static Value, depth: usize) -> Kinds {
    let (doc, node) = resolved(doc, node);
    let named = |name: &str| match name {
        "null" => NULL,
        "boolean" => BOOLEAN,
        "number" | "integer" => NUMBER,
        "string" => STRING,
        "array" => ARRAY,
        "object" => OBJECT,
        _ => ANY,
    };
    let union =
        |values: &'static [Value], of: &dyn Fn(&'static Value) -> Kinds| values.iter().fold(0, |k, v| k | of(v));
    match node.get("type") {
        Some(Value::String(name)) => return named(name),
        Some(Value::Array(all)) => return union(all, &|name| named(name.as_str().unwrap_or_default())),
        _ => {}
    }
    if let Some(value) = node.get("const") {
        return kind(value);
    }
    if let Some(Value::Array(values)) = node.get("enum") {
        return union(values, &kind);
    }
    for composed in ["anyOf", "oneOf"] {
        if let Some(Value::Array(branches)) = node.get(composed).filter(|_| depth < 8) {
            return union(branches, &|branch| schema_kinds(doc, branch, depth + 1));
        }
    }
    if node.get("properties").is_some() { OBJECT } else { ANY }
}

fn kind(value: &Value) -> Kinds {
    match value {
        Value::Null => NULL,
        Value::Bool(_) => BOOLEAN,
        Value::Number(_) => NUMBER,
        Value::String(_) => STRING,
        Value::Array(_) => ARRAY,
        Value::Object(_) => OBJECT,
    }
}
