//! The canonical form of RFC 8785 (JCS). The library writes it; what is asked for on every decision goes a shorter way to
//! the same bytes.

use serde_json::Value;

use super::MAX_SAFE_INTEGER;

/// The RFC 8785 canonical form.
///
/// Infallible for every [`Value`]: its keys are strings and its numbers finite.
pub fn canonical(value: &Value) -> Vec<u8> {
    let mut text = Vec::with_capacity(256);
    match write_plain(value, &mut text) {
        Ok(true) => text,
        Ok(false) | Err(_) => serde_json_canonicalizer::to_vec(value).unwrap_or_default(),
    }
}

/// Writes the canonical form where `serde_json` writes the leaves as it asks, at a fraction of the library's cost; false
/// where it may not: a name that is not ASCII (of which bytes and UTF-16 units sort alike), and a number that the two write
/// in different ways. Texts are escaped alike.
fn write_plain(value: &Value, to: &mut Vec<u8>) -> serde_json::Result<bool> {
    match value {
        Value::Number(number) if !is_plain(number) => return Ok(false),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => serde_json::to_writer(to, value)?,
        Value::Array(items) => {
            to.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    to.push(b',');
                }
                if !write_plain(item, to)? {
                    return Ok(false);
                }
            }
            to.push(b']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            to.push(b'{');
            for (i, (name, value)) in members.into_iter().enumerate() {
                if i > 0 {
                    to.push(b',');
                }
                if !name.is_ascii() {
                    return Ok(false);
                }
                serde_json::to_writer(&mut *to, name)?;
                to.push(b':');
                if !write_plain(value, to)? {
                    return Ok(false);
                }
            }
            to.push(b'}');
        }
    }
    Ok(true)
}

/// Whole numbers that a double holds exactly, and fractions that neither writes with an exponent.
fn is_plain(number: &serde_json::Number) -> bool {
    match (number.as_i64(), number.as_f64()) {
        (Some(whole), _) => whole.unsigned_abs() <= MAX_SAFE_INTEGER,
        (None, Some(float)) => float.fract() != 0.0 && (1e-3..1e15).contains(&float.abs()),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::tests::any_json;
    use super::*;

    proptest! {
        #[test]
        fn the_short_way_to_the_canonical_form_writes_what_the_library_writes(
            value in any_json(),
            number in prop_oneof![any::<f64>(), any::<i64>().prop_map(|n| n as f64), -1e-2..1e-2_f64],
            name in "[ -~\u{e9}\u{fffd}\u{1f600}]{0,3}",
        ) {
            let value = json!({ name: value, "number": number, "text": "\u{1}\u{1f}\u{7f}\u{2028}\"\\/\n\u{8}" });
            prop_assert_eq!(canonical(&value), serde_json_canonicalizer::to_vec(&value).unwrap());
        }
    }

    /// Else the test above compares the library with itself.
    #[test]
    fn what_is_recorded_goes_the_short_way() {
        let short = |value: &Value| write_plain(value, &mut Vec::new()).unwrap();
        assert!(short(&json!({"b": [1, -2, 120.5, true, null, "\u{e9}"], "a": {"c": 9_007_199_254_740_991_u64}})));
        for other in [json!(1.0), json!(1e21), json!(1e-7), json!(u64::MAX), json!(i64::MIN), json!({"\u{e9}": 1})] {
            assert!(!short(&other), "{other}");
        }
    }
}
