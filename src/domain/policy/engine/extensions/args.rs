//! Arguments of builtins, read as OPA reads them: another type is a builtin error.

use regorus::Value;

use super::Stop;

pub(super) fn text(args: &[Value], at: usize) -> Result<&str, Stop> {
    match args.get(at) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(Stop::Undefined),
    }
}

pub(super) fn array(args: &[Value], at: usize) -> Result<&[Value], Stop> {
    args.get(at).and_then(|v| v.as_array().ok()).map(|a| a.as_slice()).ok_or(Stop::Undefined)
}

pub(super) fn integer(args: &[Value], at: usize) -> Result<i64, Stop> {
    match args.get(at) {
        Some(Value::Number(n)) if n.is_integer() => n.as_i64().ok_or(Stop::Undefined),
        _ => Err(Stop::Undefined),
    }
}

/// Refuses a text longer than `bound` bytes.
pub(super) fn short(text: &str, bound: usize) -> Result<&str, Stop> {
    if text.len() > bound { Err(Stop::Bound("a text longer than the bound")) } else { Ok(text) }
}
