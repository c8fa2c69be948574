//! `{{name}}` in the texts of a template.

use serde_json::Value;

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'t> {
    /// As it stands.
    Text(&'t str),
    /// The value of a variable.
    Variable(&'t str),
}

/// Braces that enclose no name of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unpaired;

/// The pieces of `text`, in order.
pub(super) fn parts(text: &str) -> Result<Vec<Part<'_>>, Unpaired> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, behind) = after.split_once("}}").ok_or(Unpaired)?;
        if before.contains("}}") || !is_name(name) {
            return Err(Unpaired);
        }
        parts.extend([Part::Text(before), Part::Variable(name)]);
        rest = behind;
    }
    if rest.contains("}}") {
        return Err(Unpaired);
    }
    parts.push(Part::Text(rest));
    parts.retain(|part| *part != Part::Text(""));
    Ok(parts)
}

/// Whether a variable may be called so.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// The variable that is the whole of `text`.
pub(super) fn whole(text: &str) -> Option<&str> {
    match parts(text).ok()?.as_slice() {
        [Part::Variable(name)] => Some(name),
        _ => None,
    }
}

/// Every text in `value` with its RFC 6901 pointer under `at`.
pub(super) fn texts<'v>(value: &'v Value, at: &str, visit: &mut impl FnMut(String, &'v str)) {
    match value {
        Value::String(text) => visit(at.to_owned(), text),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| texts(item, &format!("{at}/{i}"), visit));
        }
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            texts(member, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), visit);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_apart_once_and_wrong_braces_are_refused() {
        use Part::{Text, Variable};
        assert_eq!(parts("a {{b}} c{{d}}").unwrap(), [Text("a "), Variable("b"), Text(" c"), Variable("d")]);
        assert_eq!(parts("plain").unwrap(), [Text("plain")]);
        for bad in ["{{", "}}", "{{a", "a}}", "{{}}", "{{A}}", "{{a b}}", "{{{a}}}", "{{a}}}}", "}}{{a}}"] {
            assert_eq!(parts(bad), Err(Unpaired), "{bad}");
        }
        assert_eq!((whole("{{a}}"), whole(" {{a}}"), whole("a")), (Some("a"), None, None));
    }
}
