//! The query: declared names, each at most once, each value with one text.

use serde_json::{Map, Value};

use super::percent;
use super::refusal::{CallRefused, QueryFault};
use super::route::{ParamKind, QueryParam};
use crate::domain::json;

/// The longest query that any route takes.
const MAX_QUERY_BYTES: usize = 8 * 1024;

/// Reads a raw query into `params`.
pub(super) fn read(
    declared: &[QueryParam],
    raw: Option<&str>,
    params: &mut Map<String, Value>,
) -> Result<(), CallRefused> {
    let Some(raw) = raw else { return Ok(()) };
    if raw.len() > MAX_QUERY_BYTES {
        return Err(CallRefused::Query(QueryFault::TooLong));
    }
    for pair in raw.split('&') {
        let (name, text) = pair.split_once('=').ok_or(CallRefused::Query(QueryFault::NotAPair))?;
        let param = declared
            .iter()
            .find(|param| param.name.as_str() == name)
            .ok_or_else(|| CallRefused::UndeclaredParameter(name.chars().take(64).collect()))?;
        let text = percent::decode_query_value(text).map_err(CallRefused::Query)?;
        let value = value(param, text)?;
        if params.insert(name.to_owned(), value).is_some() {
            return Err(CallRefused::RepeatedParameter(name.to_owned()));
        }
    }
    Ok(())
}

/// Checks a value that was given as JSON by the rule that its text would have to pass.
pub(super) fn check(param: &QueryParam, given: &Value) -> Result<(), CallRefused> {
    let text = text(given);
    percent::check_query_value(&text).map_err(CallRefused::Query)?;
    is_value(param, text, given)
}

/// Whether `text` is the one spelling of `given`.
pub(super) fn is_value(param: &QueryParam, text: String, given: &Value) -> Result<(), CallRefused> {
    if value(param, text)? == *given { Ok(()) } else { Err(wrong_type(param)) }
}

/// The query of the given parameters in declared order; empty if there is none.
pub(super) fn render(declared: &[QueryParam], params: &Map<String, Value>) -> String {
    let mut query = String::new();
    for param in declared {
        if let Some(value) = params.get(param.name.as_str()) {
            query.push(if query.is_empty() { '?' } else { '&' });
            query.push_str(param.name.as_str());
            query.push('=');
            percent::encode_into(&mut query, &text(value));
        }
    }
    query
}

/// The value of a text by its parameter's kind.
pub(super) fn value(param: &QueryParam, text: String) -> Result<Value, CallRefused> {
    let value = match param.kind {
        ParamKind::String => Some(Value::String(text)),
        ParamKind::Boolean => matches!(text.as_str(), "true" | "false").then(|| Value::Bool(text == "true")),
        ParamKind::Number | ParamKind::Integer => number(param.kind, &text),
    };
    value.ok_or_else(|| wrong_type(param))
}

/// A number whose RFC 8785 form is the text itself.
fn number(kind: ParamKind, text: &str) -> Option<Value> {
    let value = json::parse(text.as_bytes()).ok()?;
    let right = if kind == ParamKind::Integer { value.is_i64() || value.is_u64() } else { value.is_number() };
    (right && json::canonical(&value) == text.as_bytes()).then_some(value)
}

/// The one spelling of a value.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => String::from_utf8(json::canonical(other)).unwrap_or_default(),
    }
}

fn wrong_type(param: &QueryParam) -> CallRefused {
    CallRefused::ParameterType { name: param.name.to_string(), kind: param.kind.as_str() }
}
