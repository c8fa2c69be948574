//! `object.subset`, which panics in regorus on an empty array and has an answer to everything.

use std::collections::BTreeSet;

use regorus::Value;

use super::{Outcome, Stop};

const MAX_COMPARISONS: usize = 65_536;

pub(super) fn object_subset(a: &[Value]) -> Outcome {
    let [whole, part] = a else { return Err(Stop::Undefined) };
    collections(whole, part)?.map(Value::from).ok_or(Stop::Undefined)
}

/// None for kinds that have no subsets.
fn collections(whole: &Value, part: &Value) -> Result<Option<bool>, Stop> {
    Ok(match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (key, part) in part.iter() {
                let held = match whole.get(key) {
                    None => false,
                    Some(whole) => collections(whole, part)?.unwrap_or_else(|| whole == part),
                };
                if !held {
                    return Ok(Some(false));
                }
            }
            Some(true)
        }
        (Value::Set(whole), Value::Set(part)) => Some(part.iter().all(|item| whole.contains(item))),
        (Value::Array(whole), Value::Set(part)) => {
            let whole: BTreeSet<&Value> = whole.iter().collect();
            Some(part.iter().all(|item| whole.contains(item)))
        }
        (Value::Array(whole), Value::Array(part)) if part.is_empty() => Some(whole.len() < usize::MAX),
        (Value::Array(whole), Value::Array(part)) => {
            if whole.len().saturating_mul(part.len()) > MAX_COMPARISONS {
                return Err(Stop::Bound("more than 65,536 comparisons"));
            }
            Some(whole.as_slice().windows(part.len()).any(|window| window == part.as_slice()))
        }
        _ => None,
    })
}
