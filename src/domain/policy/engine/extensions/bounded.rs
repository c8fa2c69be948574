//! Builtins of regorus behind a bound: what they make must not outgrow what a decision may take, because neither the
//! execution timer nor a memory limit reaches into a builtin.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regorus::unstable::{BUILTINS, Expr, Ref, Span};
use regorus::{Source, Value};

use super::{Extension, Outcome, Stop, args, extension};

const MAX_RANGE: u64 = 16_384;
const MAX_TEXT: usize = 256 * 1024;
const MAX_NUMBER_TEXT: usize = 64;
const MAX_EXPONENT: u32 = 308;
const MAX_SHIFT: i64 = 1024;

pub(super) const TABLE: &[Extension] = &[
    extension("bits.lsh", 2, |_, a| {
        if args::integer(a, 1)? > MAX_SHIFT {
            return Err(Stop::Bound("a shift by more than 1,024"));
        }
        delegate("bits.lsh", a)
    }),
    extension("numbers.range", 2, |_, a| {
        range(args::integer(a, 0)?, args::integer(a, 1)?, 1)?;
        delegate("numbers.range", a)
    }),
    extension("numbers.range_step", 3, |_, a| {
        let step = args::integer(a, 2)?;
        if step <= 0 {
            return Err(Stop::Undefined);
        }
        range(args::integer(a, 0)?, args::integer(a, 1)?, step.unsigned_abs())?;
        delegate("numbers.range_step", a)
    }),
    extension("replace", 3, |_, a| replace(args::text(a, 0)?, args::text(a, 1)?, args::text(a, 2)?)),
    extension("to_number", 1, |_, a| {
        if let Some(Value::String(text)) = a.first() {
            json_number(text)?;
        }
        delegate("to_number", a)
    }),
    extension("trim", 2, |_, a| {
        let set = set(a)?;
        Ok(Value::from(args::text(a, 0)?.trim_matches(|c| set.contains(&c))))
    }),
    extension("trim_left", 2, |_, a| {
        let set = set(a)?;
        Ok(Value::from(args::text(a, 0)?.trim_start_matches(|c| set.contains(&c))))
    }),
    extension("trim_right", 2, |_, a| {
        let set = set(a)?;
        Ok(Value::from(args::text(a, 0)?.trim_end_matches(|c| set.contains(&c))))
    }),
    extension("units.parse", 1, |_, a| {
        numeric(args::text(a, 0)?)?;
        delegate("units.parse", a)
    }),
    extension("units.parse_bytes", 1, |_, a| {
        numeric(args::text(a, 0)?)?;
        delegate("units.parse_bytes", a)
    }),
];

/// regorus's own builtin; its errors are undefined. The place that it wants for its messages is made up.
pub(super) fn delegate(name: &str, a: &[Value]) -> Outcome {
    static PLACE: LazyLock<Option<(Span, Vec<Ref<Expr>>)>> = LazyLock::new(|| {
        let source = Source::from_contents("builtin".to_owned(), "null".to_owned()).ok()?;
        let span = Span { source, line: 1, col: 1, start: 0, end: 4 };
        let argument = || Ref::new(Expr::Null { span: span.clone(), value: Value::Null, eidx: 0 });
        Some((span.clone(), std::iter::repeat_with(argument).take(4).collect()))
    });
    let (span, arguments) = PLACE.as_ref().ok_or(Stop::Undefined)?;
    let (builtin, _) = BUILTINS.get(name).ok_or(Stop::Undefined)?;
    let arguments = arguments.get(..a.len()).ok_or(Stop::Undefined)?;
    builtin(span, arguments, a, false).map_err(|_| Stop::Undefined)
}

fn range(from: i64, to: i64, step: u64) -> Result<(), Stop> {
    if from.abs_diff(to) / step > MAX_RANGE { Err(Stop::Bound("more than 16,384 numbers")) } else { Ok(()) }
}

fn replace(text: &str, old: &str, new: &str) -> Outcome {
    args::short(text, MAX_TEXT)?;
    if old.is_empty() && !text.is_ascii() {
        return Err(Stop::Bound("an empty text to replace, between which OPA cuts characters"));
    }
    let times = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() };
    if text.len().saturating_add(times.saturating_mul(new.len())) > MAX_TEXT {
        return Err(Stop::Bound("a result of more than 256 KiB"));
    }
    Ok(Value::from(text.replace(old, new)))
}

fn set(a: &[Value]) -> Result<BTreeSet<char>, Stop> {
    args::text(a, 0)?;
    Ok(args::text(a, 1)?.chars().collect())
}

/// A text that is read as a number in bounded time.
fn numeric(text: &str) -> Result<(), Stop> {
    args::short(text, MAX_NUMBER_TEXT)?;
    let exponent = text.split_once(['e', 'E']).map_or("", |(_, rest)| rest.trim_start_matches(['+', '-']));
    let digits: String = exponent.chars().take_while(char::is_ascii_digit).collect();
    let large = !digits.is_empty() && digits.parse().unwrap_or(u32::MAX) > MAX_EXPONENT;
    if large { Err(Stop::Bound("an exponent over 308")) } else { Ok(()) }
}

/// A number of JSON. Some other texts are numbers to OPA that no reader of JSON takes (`00`, `NaN`, `1_000`).
fn json_number(text: &str) -> Result<(), Stop> {
    numeric(text)?;
    if serde_json::from_str::<serde_json::Number>(text).is_ok() && !text.contains(char::is_whitespace) {
        return Ok(());
    }
    let like_a_number =
        text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'i' | 'I' | 'n' | 'N'));
    let spaced = text.contains(char::is_whitespace);
    Err(if like_a_number && !spaced { Stop::Bound("a text that is a number to OPA alone") } else { Stop::Undefined })
}
