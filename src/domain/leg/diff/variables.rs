//! The variables of a template: what must be given, and what is let through.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::pattern::compare_patterns;
use super::{Change, Effect};

/// The most bytes of a value where the variable does not say.
const DEFAULT_LENGTH: u64 = 256;

pub(super) fn compare(old: &Value, new: &Value, changes: &mut Vec<Change>) {
    let none = Map::new();
    let members = |template: &Value| template.get("variables").and_then(Value::as_object).cloned();
    let (before, after) = (members(old).unwrap_or_else(|| none.clone()), members(new).unwrap_or(none));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) if old != new => changed(name, old, new, changes),
            (None, Some(new)) => changes.push(added(name, new)),
            (Some(old), None) => changes.push(removed(name, old)),
            _ => {}
        }
    }
}

fn flag(variable: &Value, name: &str) -> bool {
    variable.get(name).and_then(Value::as_bool) == Some(true)
}

fn added(name: &str, variable: &Value) -> Change {
    let field = format!("variables.{name}");
    if flag(variable, "required") {
        return Change::new(Effect::Narrower, field, format!("`{name}` must now be given"));
    }
    Change::new(Effect::Other, field, format!("`{name}` may now be given"))
}

fn removed(name: &str, variable: &Value) -> Change {
    let field = format!("variables.{name}");
    if flag(variable, "required") {
        return Change::new(Effect::Wider, field, format!("`{name}` is no longer asked for"));
    }
    Change::new(Effect::Other, field, format!("`{name}` can no longer be given"))
}

fn changed(name: &str, old: &Value, new: &Value, changes: &mut Vec<Change>) {
    let field = |member: &str| format!("variables.{name}.{member}");
    for (member, if_set, if_gone) in [
        ("required", (Effect::Narrower, "must now be given"), (Effect::Wider, "may now be left out")),
        (
            "commit",
            (Effect::Narrower, "now stands in the record as a commitment, no longer in clear"),
            (Effect::Wider, "now stands in the record in clear, no longer as a commitment"),
        ),
        (
            "personal",
            (Effect::Narrower, "is now treated as data of a person"),
            (Effect::Wider, "is no longer treated as data of a person"),
        ),
    ] {
        let (before, after) = (flag(old, member), flag(new, member));
        if before != after {
            let (effect, words) = if after { if_set } else { if_gone };
            changes.push(Change::new(effect, field(member), format!("`{name}` {words}")));
        }
    }
    lengths(name, old, new, changes);
    let pattern = |variable: &Value| Some(variable.get("pattern")?.as_str()?.to_owned());
    let (before, after) = (pattern(old), pattern(new));
    changes.extend(compare_patterns(&field("pattern"), &format!("`{name}`"), before.as_deref(), after.as_deref()));
    for (member, effect) in [("type", Effect::Other), ("description", Effect::Same)] {
        if old.get(member) != new.get(member) {
            let text = |variable: &Value| variable.get(member).map(super::shown).unwrap_or_default();
            let words = format!("the {member} of `{name}` was {} and is {}", text(old), text(new));
            changes.push(Change::new(effect, field(member), words));
        }
    }
}

fn lengths(name: &str, old: &Value, new: &Value, changes: &mut Vec<Change>) {
    let length = |variable: &Value| variable.get("max_length").and_then(Value::as_u64).unwrap_or(DEFAULT_LENGTH);
    let (before, after) = (length(old), length(new));
    if before != after {
        let (effect, how) = if after > before { (Effect::Wider, "longer") } else { (Effect::Narrower, "shorter") };
        let words = format!("`{name}` may be {how}: {after} bytes instead of {before}");
        changes.push(Change::new(effect, format!("variables.{name}.max_length"), words));
    }
}
