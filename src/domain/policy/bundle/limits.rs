//! The operators of limits: `eq`, `in`, `min`, `max`, `max_length`, `min_length`, `pattern`, or a scalar, short for `eq`.
//!
//! The rules hold a call against a limit and say no to what they do not understand, so that a limit that is not
//! well formed denies every call of its act, and one that is wider than the act's own schema says nothing. Both are
//! found here before they decide anything.

use std::collections::BTreeMap;

use serde_json::Value;

use super::data::Data;
use super::finding::Finding;
use super::overlay::values::LinearPattern;
use crate::domain::catalogue::{Catalogue, CatalogueEntry};

const FIX: &str = "use the operators eq, in, min, max, max_length, min_length and pattern, each where the type has it";

/// Every limit of the catalogue that can never be kept, or never matters.
pub(super) fn findings(data: &Data, catalogue: &Catalogue) -> Vec<Finding> {
    let of_act = |(act, entry): (&crate::domain::action::ActionName, &CatalogueEntry)| {
        let found = entry.limits.as_map().iter().filter_map(|(name, limit)| Some((name, defect(entry, name, limit)?)));
        found
            .map(|(name, what)| {
                let place = data.place("catalogue", &format!("/{act}/limits/{name}"));
                Finding::new(place, format!("act `{act}`: the limit of `{name}` {what}"), FIX)
            })
            .collect::<Vec<_>>()
    };
    catalogue.iter().flat_map(of_act).collect()
}

/// The schema of a parameter of an act.
pub(super) fn property<'e>(entry: &'e CatalogueEntry, name: &str) -> Option<&'e Value> {
    entry.parameters.get("properties")?.get(name)
}

/// Why a limit on a parameter can never be kept, or never matters.
pub(super) fn defect(entry: &CatalogueEntry, name: &str, limit: &Value) -> Option<String> {
    let Some(schema) = property(entry, name) else { return Some("is on no parameter of the act".to_owned()) };
    let Some(operators) = Operators::of(limit) else { return Some("is neither a value nor operators".to_owned()) };
    let kind = Kind::of(schema);
    operators.ill_formed(kind).or_else(|| operators.contradiction()).or_else(|| operators.beyond(schema))
}

/// A limit, by operator.
#[derive(Debug, Clone)]
pub(super) struct Operators(BTreeMap<String, Value>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Boolean,
    List,
    Other,
}

impl Kind {
    /// By `type`; a parameter of several types is of none that an operator knows.
    fn of(schema: &Value) -> Self {
        match schema.get("type").and_then(Value::as_str) {
            Some("string") => Self::Text,
            Some("number" | "integer") => Self::Number,
            Some("boolean") => Self::Boolean,
            Some("array") => Self::List,
            _ => Self::Other,
        }
    }

    fn holds(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::List | Self::Other => false,
        }
    }
}

impl Operators {
    /// `None` for what is neither a scalar nor an object with a member.
    pub(super) fn of(limit: &Value) -> Option<Self> {
        match limit {
            Value::Object(members) if members.is_empty() => None,
            Value::Object(members) => Some(Self(members.iter().map(|(op, v)| (op.clone(), v.clone())).collect())),
            Value::Null | Value::Array(_) => None,
            scalar => Some(Self(BTreeMap::from([("eq".to_owned(), scalar.clone())]))),
        }
    }

    fn ill_formed(&self, kind: Kind) -> Option<String> {
        self.0.iter().find_map(|(op, bound)| {
            let formed = match op.as_str() {
                "eq" => kind.holds(bound),
                "in" => bound.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(|v| kind.holds(v))),
                "min" | "max" => kind == Kind::Number && bound.is_number(),
                "max_length" | "min_length" => matches!(kind, Kind::Text | Kind::List) && bound.as_u64().is_some(),
                "pattern" if kind == Kind::Text => return pattern_defect(bound),
                "pattern" => false,
                other => {
                    return Some(format!("has the unknown operator `{}`", other.chars().take(40).collect::<String>()));
                }
            };
            (!formed).then(|| format!("has an `{op}` that does not fit the parameter's type"))
        })
    }

    /// Bounds that no value is within.
    fn contradiction(&self) -> Option<String> {
        for (low, high) in [("min", "max"), ("min_length", "max_length")] {
            if let (Some(from), Some(to)) = (self.number(low), self.number(high))
                && from > to
            {
                return Some(format!("has a `{low}` above its `{high}`: nothing can keep it"));
            }
        }
        let values = self.values()?;
        let kept = values.iter().any(|value| self.holds(value));
        (!kept).then(|| "names no value that its other operators allow: nothing can keep it".to_owned())
    }

    /// Bounds that the parameter's own schema never lets a call reach.
    fn beyond(&self, schema: &Value) -> Option<String> {
        let own = |name: &str| schema.get(name).and_then(Value::as_f64);
        let list = schema.get("type").and_then(Value::as_str) == Some("array");
        let (longest, shortest) = if list { ("maxItems", "minItems") } else { ("maxLength", "minLength") };
        let above = |op: &str, name: &str| self.number(op).zip(own(name)).filter(|(bound, own)| bound > own);
        let below = |op: &str, name: &str| self.number(op).zip(own(name)).filter(|(bound, own)| bound < own);
        let idle = [
            ("max", above("max", "maximum")),
            ("min", below("min", "minimum")),
            ("max_length", above("max_length", longest)),
            ("min_length", below("min_length", shortest)),
        ];
        let none_left = [
            ("max", below("max", "minimum")),
            ("min", above("min", "maximum")),
            ("max_length", below("max_length", shortest)),
            ("min_length", above("min_length", longest)),
        ];
        let named = |list: [(&'static str, Option<(f64, f64)>); 4]| list.into_iter().find(|(_, found)| found.is_some());
        named(none_left)
            .map(|(op, _)| format!("has a `{op}` that no value of the schema keeps"))
            .or_else(|| named(idle).map(|(op, _)| format!("has a `{op}` that the schema never lets a call reach")))
    }

    /// In what this lets through more than `base`, or cannot be compared with it.
    pub(super) fn wider_than(&self, base: &Self) -> Option<String> {
        self.0.iter().find_map(|(op, bound)| {
            let of_base = base.number(op);
            match op.as_str() {
                "eq" | "in" => {
                    let outside = self.values()?.into_iter().find(|value| !base.holds(value))?;
                    Some(format!("allows {outside}, which the catalogue does not"))
                }
                "max" | "max_length" => {
                    let base = of_base.filter(|base| bound.as_f64().is_none_or(|bound| bound > *base))?;
                    Some(format!("has {op} {bound}, and the catalogue {base}"))
                }
                "min" | "min_length" => {
                    let base = of_base.filter(|base| bound.as_f64().is_none_or(|bound| bound < *base))?;
                    Some(format!("has {op} {bound}, and the catalogue {base}"))
                }
                // Whether one expression matches less than another cannot be told.
                _ => {
                    base.0.get(op).filter(|base| *base != bound)?;
                    Some("has another pattern than the catalogue".to_owned())
                }
            }
        })
    }

    fn number(&self, op: &str) -> Option<f64> {
        self.0.get(op)?.as_f64()
    }

    /// The values that `eq` and `in` name.
    fn values(&self) -> Option<Vec<&Value>> {
        match (self.0.get("eq"), self.0.get("in").and_then(Value::as_array)) {
            (Some(one), _) => Some(vec![one]),
            (None, Some(list)) => Some(list.iter().collect()),
            (None, None) => None,
        }
    }

    fn holds(&self, value: &Value) -> bool {
        let length = || match value {
            Value::String(text) => u64::try_from(text.chars().count()).ok(),
            _ => None,
        };
        self.0.iter().all(|(op, bound)| match op.as_str() {
            "eq" => same(value, bound),
            "in" => bound.as_array().is_some_and(|list| list.iter().any(|one| same(one, value))),
            "min" => value.as_f64().zip(bound.as_f64()).is_some_and(|(value, bound)| value >= bound),
            "max" => value.as_f64().zip(bound.as_f64()).is_some_and(|(value, bound)| value <= bound),
            "min_length" => length().zip(bound.as_u64()).is_some_and(|(length, bound)| length >= bound),
            "max_length" => length().zip(bound.as_u64()).is_some_and(|(length, bound)| length <= bound),
            "pattern" => value
                .as_str()
                .zip(bound.as_str())
                .is_some_and(|(text, pattern)| regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))),
            _ => false,
        })
    }
}

/// Rego's equality: 1 and 1.0 are one number.
fn same(one: &Value, other: &Value) -> bool {
    one == other || one.as_f64().zip(other.as_f64()).is_some_and(|(one, other)| one.total_cmp(&other).is_eq())
}

fn pattern_defect(bound: &Value) -> Option<String> {
    let Some(text) = bound.as_str() else { return Some("has a `pattern` that is not a text".to_owned()) };
    LinearPattern::try_from(text.to_owned()).err().map(|why| format!("has a `pattern` that cannot be used: {why}"))
}

#[cfg(test)]
mod tests;
