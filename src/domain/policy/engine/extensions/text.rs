//! `strings.split_n`, `array.flatten`, `json.unmarshal` and others that regorus lacks or reads differently.

use regorus::Value;

use super::{Extension, Outcome, Stop, args, extension};
use crate::domain::policy::engine::value;

const MAX_PARTS: usize = 16_384;

pub(super) const TABLE: &[Extension] = &[
    extension("array.flatten", 1, |_, a| flatten(args::array(a, 0)?)),
    extension("json.unmarshal", 1, |_, a| value::input(args::text(a, 0)?).ok_or(Stop::Undefined)),
    extension("strings.split_n", 3, |_, a| split_n(args::text(a, 0)?, args::text(a, 1)?, args::integer(a, 2)?)),
    extension("strings.count", 2, |_, a| {
        let (text, part) = (args::text(a, 0)?, args::text(a, 1)?);
        // Go counts the empty text between all characters and at both ends.
        let count = if part.is_empty() { text.chars().count() + 1 } else { text.matches(part).count() };
        Ok(Value::from(count))
    }),
];

fn flatten(items: &[Value]) -> Outcome {
    let flat = items.iter().flat_map(|item| match item {
        Value::Array(inner) => inner.as_slice(),
        other => std::slice::from_ref(other),
    });
    Ok(Value::from(flat.cloned().collect::<Vec<_>>()))
}

/// The first `n` parts, or the last `-n`.
fn split_n(text: &str, delimiter: &str, n: i64) -> Outcome {
    let parts: Vec<&str> = if delimiter.is_empty() {
        text.split("").filter(|part| !part.is_empty()).collect()
    } else {
        text.split(delimiter).collect()
    };
    if parts.len() > MAX_PARTS {
        return Err(Stop::Bound("more than 16,384 parts"));
    }
    let count = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
    let chosen = if n >= 0 { parts.iter().take(count) } else { parts.iter().take(usize::MAX) };
    let skipped = if n >= 0 { 0 } else { parts.len().saturating_sub(count) };
    Ok(Value::from(chosen.skip(skipped).map(|part| Value::from(*part)).collect::<Vec<_>>()))
}
