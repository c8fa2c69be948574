//! Builtins that OPA 1 has withdrawn, for modules of Rego v0.
//!
//! As OPA 1.22 answers them with `--v0-compatible`: a cast checks, it does not convert, but for arrays and sets.

use std::collections::BTreeSet;

use regorus::Value;

use super::{Extension, Outcome, Session, Stop, extension, tables};

pub(super) const TABLE: &[Extension] = &[
    extension("all", 1, |_, a| match a {
        [Value::Array(items)] => Ok(Value::from(items.iter().all(is_true))),
        [Value::Set(items)] => Ok(Value::from(items.iter().all(is_true))),
        _ => Err(Stop::Undefined),
    }),
    extension("any", 1, |_, a| match a {
        [Value::Array(items)] => Ok(Value::from(items.iter().any(is_true))),
        [Value::Set(items)] => Ok(Value::from(items.iter().any(is_true))),
        _ => Err(Stop::Undefined),
    }),
    extension("cast_array", 1, |_, a| match a {
        [array @ Value::Array(_)] => Ok(array.clone()),
        [Value::Set(items)] => Ok(Value::from(items.iter().cloned().collect::<Vec<_>>())),
        _ => Err(Stop::Undefined),
    }),
    extension("cast_boolean", 1, |_, a| same(a, |v| matches!(v, Value::Bool(_)))),
    extension("cast_null", 1, |_, a| same(a, |v| matches!(v, Value::Null))),
    extension("cast_object", 1, |_, a| same(a, |v| matches!(v, Value::Object(_)))),
    extension("cast_set", 1, |_, a| match a {
        [set @ Value::Set(_)] => Ok(set.clone()),
        [Value::Array(items)] => Ok(Value::from(items.iter().cloned().collect::<BTreeSet<_>>())),
        _ => Err(Stop::Undefined),
    }),
    extension("cast_string", 1, |_, a| same(a, |v| matches!(v, Value::String(_)))),
    extension("net.cidr_overlap", 2, |session, a| called("net.cidr_contains", session, a)),
    extension("re_match", 2, |session, a| called("regex.match", session, a)),
    extension("set_diff", 2, |_, a| match a {
        [Value::Set(left), Value::Set(right)] => {
            Ok(Value::from(left.iter().filter(|item| !right.contains(item)).cloned().collect::<BTreeSet<_>>()))
        }
        _ => Err(Stop::Undefined),
    }),
];

fn is_true(value: &Value) -> bool {
    *value == Value::Bool(true)
}

fn same(a: &[Value], fits: fn(&Value) -> bool) -> Outcome {
    a.first().filter(|value| fits(value)).cloned().ok_or(Stop::Undefined)
}

/// What has another name today.
fn called(name: &str, session: &Session, a: &[Value]) -> Outcome {
    tables().find(|extension| extension.name == name).map_or(Err(Stop::Undefined), |today| (today.call)(session, a))
}
