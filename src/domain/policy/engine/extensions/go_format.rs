//! Values, texts and numbers as Go (`strconv`) and OPA (`ast.Value.String`) write them.

use std::fmt::Write as _;

use regorus::Value;

use super::Stop;

/// The longest text that a composite value may become.
const MAX_TEXT: usize = 64 * 1024;

/// A value inside of another, and a composite at the top: texts are quoted.
pub(super) fn display(value: &Value) -> Result<String, Stop> {
    let mut out = String::new();
    write(value, &mut out)?;
    Ok(out)
}

fn write(value: &Value, out: &mut String) -> Result<(), Stop> {
    if out.len() > MAX_TEXT {
        return Err(Stop::Bound("a value of more than 64 KiB as text"));
    }
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(_) => out.push_str(&number(value)),
        Value::String(text) => out.push_str(&quote(text)),
        Value::Array(items) => list('[', items.iter(), ']', out)?,
        Value::Set(items) if items.is_empty() => out.push_str("set()"),
        Value::Set(items) => list('{', items.iter(), '}', out)?,
        Value::Object(members) => {
            out.push('{');
            for (i, (key, member)) in members.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                write(key, out)?;
                out.push_str(": ");
                write(member, out)?;
            }
            out.push('}');
        }
        Value::Undefined => return Err(Stop::Undefined),
    }
    Ok(())
}

fn list<'v>(open: char, items: impl Iterator<Item = &'v Value>, close: char, out: &mut String) -> Result<(), Stop> {
    out.push(open);
    for (i, item) in items.enumerate() {
        out.push_str(if i == 0 { "" } else { ", " });
        write(item, out)?;
    }
    out.push(close);
    Ok(())
}

/// A number as JSON has it.
fn number(value: &Value) -> String {
    match value {
        Value::Number(n) if n.is_integer() => n.format_decimal(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

/// `strconv.Quote`.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if is_printable(c) => out.push(c),
            // Writing to a text cannot fail.
            c if u32::from(c) < 0x80 => drop(write!(out, "\\x{:02x}", u32::from(c))),
            c if u32::from(c) < 0x1_0000 => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => drop(write!(out, "\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// Go's `IsPrint` by Rust's table of the same categories; a mark is printed behind a letter.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~') || (u32::from(c) > 0x7f && format!("{:?}", format!("a{c}")) == format!("\"a{c}\""))
}

/// `strconv.FormatFloat` for the verbs `e`, `f` and `g`, with the shortest text that reads back where no precision is
/// asked for.
pub(super) fn float(number: f64, verb: char, precision: Option<usize>) -> String {
    let text = match (verb.to_ascii_lowercase(), precision) {
        ('f', Some(digits)) => format!("{number:.digits$}"),
        ('f', None) => format!("{number}"),
        ('e', Some(digits)) => scientific(&format!("{number:.digits$e}")),
        ('e', None) => scientific(&format!("{number:e}")),
        (_, precision) => general(number, precision),
    };
    if verb.is_ascii_uppercase() { text.to_uppercase() } else { text }
}

/// Rust writes `1.5e7`, Go `1.5e+07`.
fn scientific(text: &str) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else { return text.to_owned() };
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn general(number: f64, precision: Option<usize>) -> String {
    let digits = precision.map(|p| p.max(1));
    let exact = digits.map_or_else(|| format!("{number:e}"), |d| format!("{number:.*e}", d - 1));
    let Some((mantissa, exponent)) = exact.split_once('e') else { return exact };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let significant = mantissa.trim_start_matches('-').replace('.', "");
    let significant = significant.trim_end_matches('0').len().max(1);
    let limit = match digits {
        // Go takes the shortest form for one of six digits.
        None => 6,
        Some(digits) => {
            let whole = usize::try_from(exponent + 1).unwrap_or(0);
            i32::try_from(if digits > significant && significant >= whole { significant } else { digits })
                .unwrap_or(i32::MAX)
        }
    };
    if exponent < -4 || exponent >= limit {
        let shown =
            if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
        return scientific(&format!("{shown}e{exponent}"));
    }
    let after = usize::try_from(i64::try_from(significant).unwrap_or(0) - 1 - i64::from(exponent)).unwrap_or(0);
    format!("{number:.after$}")
}
