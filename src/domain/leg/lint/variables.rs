//! Variables and the places that use them.

use std::collections::BTreeSet;

use super::super::placeholder;
use super::draft::{ClaimText, Draft};
use super::finding::{Code, Finding};

/// Members that a claim cannot do without.
const NEEDED: [&str; 5] = ["jurisdiction", "accountable_party.type", "accountable_party.id", "ref", "description"];
/// The longest text of a claim, in bytes.
const MAX_LENGTH: u64 = 512;

pub(super) fn check(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    let texts = draft.texts_with_variables();
    for text in &texts {
        placeholders(draft, text, findings);
    }
    names(draft, findings);
    unused(draft, &texts, findings);
    optional(draft, findings);
}

fn placeholders(draft: &Draft<'_>, text: &ClaimText<'_>, findings: &mut Vec<Finding>) {
    if placeholder::parts(text.text).is_err() || single_braces(text.text) {
        let message = format!("`{}`: the braces enclose no variable", text.path);
        let suggestion = match inner_name(text.text) {
            Some(name) => format!("write `{{{{{name}}}}}`, two braces and no spaces"),
            None => "write `{{variable}}`: a-z, 0-9 and _, two braces on each side, no spaces".to_owned(),
        };
        findings.push(draft.finding(Code::Placeholder, text.pos, message, suggestion));
        return;
    }
    for name in text.variables().into_iter().filter(|name| draft.variable(name).is_none()) {
        let known = draft.variables();
        let suggestion = match super::shape::nearest(name, known.iter().map(|variable| variable.name)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("declare `{name}` under `variables`"),
        };
        let message = format!("`{}` uses the variable `{name}`, which is not declared", text.path);
        findings.push(draft.finding(Code::VariableUndeclared, text.pos, message, suggestion));
    }
}

/// `{name}` instead of `{{name}}`: it would be printed as it stands.
fn single_braces(text: &str) -> bool {
    text.replace("{{", "").replace("}}", "").contains(['{', '}'])
}

fn inner_name(text: &str) -> Option<String> {
    let (_, behind) = text.split_once('{')?;
    let inner = behind.split('}').next()?;
    let name = inner.trim_matches(|c: char| c == '{' || c.is_whitespace()).to_lowercase().replace([' ', '-'], "_");
    placeholder::is_name(&name).then_some(name)
}

fn names(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    for variable in draft.variables() {
        if !placeholder::is_name(variable.name) {
            let message = format!("`{}` cannot be a variable's name", variable.name);
            let suggestion = "use a-z, 0-9 and _, at most 64, a letter first: `contract_ref`";
            findings.push(draft.finding(Code::VariableName, variable.pos, message, suggestion));
        }
        let Some(length) = variable.node.find("max_length") else { continue };
        let fits = length.as_u64().is_none_or(|max| (1..=MAX_LENGTH).contains(&max)) && !variable.is_integer();
        if !fits {
            let message = format!("`max_length` of `{}` is 1 to {MAX_LENGTH} bytes of a string", variable.name);
            let suggestion = "shorten it; a whole number has no length";
            findings.push(draft.finding(Code::MaxLength, length.pos, message, suggestion));
        }
    }
}

fn unused(draft: &Draft<'_>, texts: &[ClaimText<'_>], findings: &mut Vec<Finding>) {
    let used: BTreeSet<&str> = texts.iter().flat_map(ClaimText::variables).collect();
    let named = draft.variables().into_iter().filter(|variable| placeholder::is_name(variable.name));
    for variable in named.filter(|variable| !used.contains(variable.name)) {
        let message = format!("the variable `{}` is used nowhere", variable.name);
        let suggestion = format!("use `{{{{{}}}}}` in the claim or in `references`, or remove it", variable.name);
        findings.push(draft.finding(Code::VariableUnused, variable.pos, message, suggestion));
    }
}

fn optional(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    for path in NEEDED {
        let Some(text) = draft.claim_text(path) else { continue };
        for name in text.variables() {
            let Some(variable) = draft.variable(name).filter(|variable| !variable.required()) else { continue };
            let message = format!("`claim.{path}` needs `{name}`, which may be left out");
            findings.push(draft.finding(Code::VariableOptional, variable.pos, message, "write `required: true`"));
        }
    }
}
