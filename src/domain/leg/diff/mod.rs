//! What changed in law between two versions of a legal template, in words.
//!
//! Each change says whether more becomes possible than before. *Wider* means that some request or some record is now
//! accepted that was not; *narrower* the opposite; *same* that only the wording changed; *other* that neither can be
//! shown, so that a person must judge. Nothing is left out: a difference that no rule knows is *other*.

mod fields;
mod pattern;
mod variables;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::domain::catalogue::Catalogue;

/// In which direction a change goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// More is possible than before.
    Wider,
    /// Less is possible than before.
    Narrower,
    /// The words changed, not what they allow.
    Same,
    /// A person must judge.
    Other,
}

impl Effect {
    /// The word as printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wider => "wider",
            Self::Narrower => "narrower",
            Self::Same => "same",
            Self::Other => "other",
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// In which direction.
    pub effect: Effect,
    /// Which field, dotted.
    pub field: String,
    /// In words.
    pub text: String,
}

impl Change {
    fn new(effect: Effect, field: impl Into<String>, text: impl Into<String>) -> Self {
        Self { effect, field: field.into(), text: text.into() }
    }
}

/// Everything that changed in one template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TemplateDiff {
    /// The template.
    pub id: String,
    /// Its version before; `None` when it is new.
    pub old_version: Option<String>,
    /// Its version now; `None` when it is gone.
    pub new_version: Option<String>,
    /// What changed.
    pub changes: Vec<Change>,
}

impl TemplateDiff {
    /// More is possible under a version that said less: the record could not tell the two apart.
    pub fn wider_under_one_version(&self) -> bool {
        self.old_version == self.new_version && self.changes.iter().any(|change| change.effect == Effect::Wider)
    }
}

/// Compares two sets of templates by id; what did not change is left out.
pub fn compare_sets(
    old: &BTreeMap<String, Value>,
    new: &BTreeMap<String, Value>,
    catalogue: Option<&Catalogue>,
) -> Vec<TemplateDiff> {
    let ids: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let version = |template: Option<&Value>| Some(template?.get("version")?.as_str()?.to_owned());
    let diffs = ids.into_iter().map(|id| {
        let (before, after) = (old.get(id), new.get(id));
        let changes = match (before, after) {
            (Some(before), Some(after)) => compare(before, after, catalogue),
            (None, Some(_)) => vec![Change::new(Effect::Wider, "", "the template is new")],
            (Some(_), None) => {
                vec![Change::new(Effect::Narrower, "", "the template is gone: mandates that rest on it end")]
            }
            (None, None) => Vec::new(),
        };
        TemplateDiff { id: id.clone(), old_version: version(before), new_version: version(after), changes }
    });
    diffs.filter(|diff| !diff.changes.is_empty()).collect()
}

/// Compares two versions of one template.
pub fn compare(old: &Value, new: &Value, catalogue: Option<&Catalogue>) -> Vec<Change> {
    if old == new {
        return Vec::new();
    }
    let mut changes = Vec::new();
    fields::compare(old, new, catalogue, &mut changes);
    variables::compare(old, new, &mut changes);
    if changes.is_empty() {
        changes.push(Change::new(Effect::Same, "", "the entries stand in another order"));
    }
    changes
}

/// The texts of a list.
fn texts(template: &Value, pointer: &str) -> BTreeSet<String> {
    let items = template.pointer(pointer).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn quoted<'t>(texts: impl IntoIterator<Item = &'t String>) -> String {
    texts.into_iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", ")
}

/// A value on one line.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| format!("\"{text}\""))
}

#[cfg(test)]
mod tests;
