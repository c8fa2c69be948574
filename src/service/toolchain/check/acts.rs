//! The acts of the catalogue: what loading leaves to the first call, and what is sound but lets through more than it says.
//!
//! A schema of parameters that does not compile, an example that does not fit it, a privileged value that no call can
//! have; then parameters without a bound, and patterns that match more than a reader sees. Patterns run in linear time
//! here, but the catalogue is read by others, whose engines go back.

use regex_syntax::hir::{Hir, HirKind, Look};
use serde_json::{Map, Value};

use super::{Finding, RuleId};
use crate::domain::catalogue::Catalogue;
use crate::domain::policy::bundle::{BundleFiles, DataPlaces};

const ROOT: &str = "catalogue";

/// Every finding about acts; none where the catalogue is not one, which loading says.
pub(super) fn check(files: &BundleFiles, data: &Map<String, Value>) -> Vec<Finding> {
    let Some(acts) = data.get(ROOT) else { return Vec::new() };
    let (Ok(places), Ok(catalogue)) = (DataPlaces::read(files), serde_json::from_value::<Catalogue>(acts.clone()))
    else {
        return Vec::new();
    };
    let mut acts = Acts { places, findings: Vec::new() };
    if let Err((act, what)) = catalogue.check_schemas() {
        let what = format!("act `{act}`: {what}");
        acts.find(RuleId::BundleData, &format!("/{act}/parameters"), what, "correct the schema or the example");
    }
    for (act, entry) in catalogue.iter() {
        let none = Map::new();
        let properties = entry.parameters.get("properties").and_then(Value::as_object).unwrap_or(&none);
        for (name, schema) in properties {
            let at = format!("/{act}/parameters/properties/{name}");
            acts.parameter(&at, name, schema, entry.limits.as_map().get(name));
        }
        for (name, values) in &entry.privileged {
            let schema = properties.get(name).unwrap_or(&Value::Null);
            for value in values.iter().filter(|value| is_impossible(value, schema)) {
                let what = format!("no call has the privileged value {value} of `{name}`");
                let fix = "write a value that the parameter's schema allows";
                acts.find(RuleId::ImpossibleValue, &format!("/{act}/privileged/{name}"), what, fix);
            }
        }
    }
    acts.findings
}

struct Acts {
    places: DataPlaces,
    findings: Vec<Finding>,
}

impl Acts {
    fn find(&mut self, rule: RuleId, pointer: &str, what: String, fix: &str) {
        self.findings.push(Finding::new(rule, self.places.of(ROOT, pointer), what, fix));
    }

    fn parameter(&mut self, at: &str, name: &str, schema: &Value, limit: Option<&Value>) {
        if let Some(bound) = missing_bound(schema, limit) {
            let what = format!("`{name}` has no bound: neither `{bound}` in its schema nor a limit");
            self.find(RuleId::UnboundedParameter, at, what, "bound it in the schema or in `limits`");
        }
        let patterns = [schema.get("pattern"), limit.and_then(|limit| limit.get("pattern"))];
        for pattern in patterns.into_iter().flatten().filter_map(Value::as_str) {
            if let Some(what) = looseness(pattern) {
                self.find(
                    RuleId::LoosePattern,
                    at,
                    format!("the pattern of `{name}` {what}"),
                    "write `^…$`, each repetition once",
                );
            }
        }
        if let Some(items) = schema.get("items") {
            self.parameter(at, name, items, None);
        }
    }
}

/// The keyword that would bound a value of this schema, where neither it nor a limit does.
fn missing_bound(schema: &Value, limit: Option<&Value>) -> Option<&'static str> {
    let names = |keyword: &str| schema.get(keyword).is_some();
    let limits = |op: &str| limit.is_some_and(|limit| limit.get(op).is_some());
    let named = names("enum") || names("const") || limits("in") || limits("eq");
    if named || limit.is_some_and(|limit| !limit.is_object()) {
        return None;
    }
    let (keywords, op): (&[&'static str], _) = match schema.get("type").and_then(Value::as_str)? {
        "number" | "integer" => (&["maximum", "exclusiveMaximum"], "max"),
        "string" => (&["maxLength"], "max_length"),
        "array" => (&["maxItems"], "max_length"),
        _ => return None,
    };
    let bounded = limits(op) || keywords.iter().any(|keyword| names(keyword));
    if bounded { None } else { keywords.first().copied() }
}

/// Whether a parameter, or an item of it, can never be this value.
fn is_impossible(value: &Value, schema: &Value) -> bool {
    let fits = |schema: &Value| jsonschema::is_valid(schema, value);
    !fits(schema) && !schema.get("items").is_some_and(fits)
}

/// In what a pattern matches more than it seems to. One that does not parse is found with its schema.
fn looseness(pattern: &str) -> Option<&'static str> {
    let hir = regex_syntax::parse(pattern).ok()?;
    let properties = hir.properties();
    if !properties.look_set_prefix().contains(Look::Start) || !properties.look_set_suffix().contains(Look::End) {
        return Some("is not anchored at both ends: it matches a part of the value");
    }
    repeats_repetition(&hir, false).then_some("repeats a repetition without bound")
}

fn repeats_repetition(hir: &Hir, repeated: bool) -> bool {
    match hir.kind() {
        HirKind::Repetition(repetition) => {
            let endless = repetition.max.is_none();
            (endless && repeated) || repeats_repetition(&repetition.sub, repeated || endless)
        }
        HirKind::Capture(capture) => repeats_repetition(&capture.sub, repeated),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().any(|part| repeats_repetition(part, repeated))
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pattern_is_whole_and_repeats_no_repetition() {
        for sound in ["^a+$", "^[A-Z]{2}[0-9]+$", "^(a|b)*$", "^(ab{2}){3}$", "^x(-[a-z]{1,9})*$", "^(a|b)$", "^$"] {
            assert_eq!(looseness(sound), None, "{sound}");
        }
        for loose in ["a", "^a", "a$", "^a|b$", "^(a+)+$", "^(a*b?)*$", "^((x+y)*z)+$", "^(a|b+)*$"] {
            assert!(looseness(loose).is_some(), "{loose}");
        }
    }

    #[test]
    fn a_bound_stands_in_the_schema_or_in_the_limit() {
        for (schema, limit, missing) in [
            (json!({"type": "number"}), None, Some("maximum")),
            (json!({"type": "integer", "minimum": 1}), Some(json!({"min": 1})), Some("maximum")),
            (json!({"type": "integer"}), Some(json!({"max": 1})), None),
            (json!({"type": "integer"}), Some(json!(7)), None),
            (json!({"type": "number", "exclusiveMaximum": 1}), None, None),
            (json!({"type": "string", "pattern": "^a+$"}), None, Some("maxLength")),
            (json!({"type": "string", "enum": ["a"]}), None, None),
            (json!({"type": "array", "items": {}}), Some(json!({"max_length": 1})), None),
            (json!({"type": "array"}), None, Some("maxItems")),
            (json!({"type": "boolean"}), None, None),
        ] {
            assert_eq!(missing_bound(&schema, limit.as_ref()), missing, "{schema} {limit:?}");
        }
    }
}
