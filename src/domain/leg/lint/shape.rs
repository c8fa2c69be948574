//! The shape: which members there are, of which type, and which words they take.

use super::draft::Draft;
use super::finding::{Code, Finding};
use super::node::{Kind, Node, Pos};

/// What a member is.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Text,
    Bool,
    /// A whole number.
    Count,
    Word(&'static [&'static str]),
    List(&'static Shape),
    Object(&'static [Field]),
    /// Members of any name.
    Map(&'static Shape),
}

#[derive(Debug, Clone, Copy)]
struct Field {
    name: &'static str,
    shape: Shape,
    required: bool,
}

const fn must(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true }
}

const fn may(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false }
}

/// The legal bases.
pub(super) const BASES: &[&str] = &["LI", "CONTRACT", "CONSENT", "LEGAL", "VITAL", "PUBLIC_TASK"];
const CLASSES: &[&str] = &["public", "internal", "confidential", "personal", "sensitive"];
const EVIDENCE: &[&str] =
    &["balancing_test", "consent_record", "purpose", "contract", "legal_reference", "emergency_record"];

const TEMPLATE: &[Field] = &[
    must("id", Shape::Text),
    must("version", Shape::Text),
    must("title", Shape::Text),
    must("summary", Shape::Text),
    must("owner", Shape::Text),
    must("basis", Shape::Word(BASES)),
    must("valid_from", Shape::Text),
    must("valid_until", Shape::Text),
    may("withdrawn", Shape::Text),
    may("withdrawn_reason", Shape::Text),
    must("jurisdictions", Shape::List(&Shape::Text)),
    must("acts", Shape::List(&Shape::Text)),
    must("data_classes", Shape::List(&Shape::Word(CLASSES))),
    must("accountable_party", Shape::Object(PARTY_RULE)),
    must("references", Shape::List(&Shape::Text)),
    must("retention_days", Shape::Count),
    must("evidence", Shape::List(&Shape::Object(EVIDENCE_RULE))),
    must("variables", Shape::Map(&Shape::Object(VARIABLE))),
    must("claim", Shape::Object(CLAIM)),
];

const PARTY_RULE: &[Field] = &[must("types", Shape::List(&Shape::Text)), may("id_pattern", Shape::Text)];
const EVIDENCE_RULE: &[Field] = &[must("kind", Shape::Word(EVIDENCE)), must("variable", Shape::Text)];

const VARIABLE: &[Field] = &[
    must("type", Shape::Word(&["string", "integer"])),
    must("description", Shape::Text),
    must("required", Shape::Bool),
    may("pattern", Shape::Text),
    may("max_length", Shape::Count),
    may("commit", Shape::Bool),
    may("personal", Shape::Bool),
];

const CLAIM: &[Field] = &[
    must("jurisdiction", Shape::Text),
    must("accountable_party", Shape::Object(PARTY)),
    must("ref", Shape::Text),
    must("description", Shape::Text),
    may("ticket", Shape::Object(TICKET)),
    may("data_subject", Shape::Text),
    may("purpose", Shape::Text),
    may("approval_ref", Shape::Text),
];

const PARTY: &[Field] = &[must("type", Shape::Text), must("id", Shape::Text), may("display_name", Shape::Text)];
const TICKET: &[Field] = &[must("system", Shape::Text), must("ref", Shape::Text)];

/// Members of the claim that other fields of the template, or the services, give.
const GIVEN: [(&str, &str); 6] = [
    ("basis", "it is copied from the template's `basis`"),
    ("template", "the services add it"),
    ("regulation_refs", "write the articles under the template's `references`"),
    ("retention_days", "write it as the template's `retention_days`"),
    ("approval", "approvals are proven by the approvers' statements"),
    ("dual_control", "approvals are proven by the approvers' statements"),
];

pub(super) fn check(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    Checker { draft, findings }.value(&draft.root, Shape::Object(TEMPLATE), "");
}

struct Checker<'c, 'a> {
    draft: &'c Draft<'a>,
    findings: &'c mut Vec<Finding>,
}

impl Checker<'_, '_> {
    fn value(&mut self, node: &Node, shape: Shape, path: &str) {
        match (shape, &node.kind) {
            (Shape::Text, Kind::Text(text)) => self.text(text, node.pos, path),
            (Shape::Word(words), Kind::Text(text)) => self.word(text, words, node.pos, path),
            (Shape::Bool, Kind::Bool(_)) => {}
            (Shape::Count, Kind::Number(number)) if number.is_u64() => {}
            (Shape::List(item), Kind::List(items)) => self.list(items, *item, node.pos, path),
            (Shape::Object(fields), Kind::Members(_)) => self.object(node, fields, path),
            (Shape::Map(member), Kind::Members(members)) => {
                for each in members {
                    self.value(&each.value, *member, &join(path, &each.name));
                }
            }
            _ => self.wrong_type(node, shape, path),
        }
    }

    fn wrong_type(&mut self, node: &Node, shape: Shape, path: &str) {
        let expected = match shape {
            Shape::Text | Shape::Word(_) => "a text",
            Shape::Bool => "true or false",
            Shape::Count => "a whole number",
            Shape::List(_) => "a list",
            Shape::Object(_) | Shape::Map(_) => "an object",
        };
        let suggestion = match (shape, &node.kind) {
            (Shape::Text, Kind::Number(number)) => format!("put it in quotes: \"{number}\""),
            (Shape::Text | Shape::Word(_), Kind::Bool(value)) => format!("put it in quotes: \"{value}\""),
            (Shape::List(_), Kind::Text(text)) => format!("write a list: [\"{text}\"]"),
            (Shape::Count, Kind::Text(_)) => "write the number without quotes".to_owned(),
            (Shape::Bool, Kind::Text(_)) => "write true or false without quotes".to_owned(),
            _ if path.is_empty() => {
                "start with the fields `id:`, `version:`, `title:`, each on a line of its own".to_owned()
            }
            _ => format!("write {expected}"),
        };
        let path = if path.is_empty() { "the document".to_owned() } else { format!("`{path}`") };
        let message = format!("{path} is {}, not {expected}", node.kind_name());
        self.add(Code::WrongType, node.pos, message, suggestion);
    }

    fn text(&mut self, text: &str, pos: Pos, path: &str) {
        if text.trim().is_empty() {
            self.add(Code::Empty, pos, format!("`{path}` says nothing"), "write it, or remove the line".to_owned());
        }
    }

    fn word(&mut self, text: &str, words: &[&str], pos: Pos, path: &str) {
        if words.contains(&text) {
            return;
        }
        let known = words.join(", ");
        let suggestion = match nearest(text, words.iter().copied()) {
            Some(word) => format!("did you mean `{word}`? There are {known}"),
            None => format!("write one of {known}"),
        };
        self.add(Code::UnknownValue, pos, format!("`{path}` cannot be `{text}`"), suggestion);
    }

    fn list(&mut self, items: &[Node], shape: Shape, pos: Pos, path: &str) {
        if items.is_empty() {
            let suggestion = "name at least one".to_owned();
            self.add(Code::Empty, pos, format!("the list `{path}` is empty"), suggestion);
        }
        for (index, item) in items.iter().enumerate() {
            self.value(item, shape, &format!("{path}.{index}"));
            if items.iter().take(index).any(|before| before.to_value() == item.to_value()) {
                let message = format!("`{path}` says {} twice", item.to_value());
                self.add(Code::Repeated, item.pos, message, "say it once".to_owned());
            }
        }
    }

    fn object(&mut self, node: &Node, fields: &[Field], path: &str) {
        for member in node.members() {
            match fields.iter().find(|field| field.name == member.name) {
                Some(field) => self.value(&member.value, field.shape, &join(path, field.name)),
                None => self.unknown(&member.name, member.pos, fields, node, path),
            }
        }
        for field in fields.iter().filter(|field| field.required && node.member(field.name).is_none()) {
            let message = format!("`{}` is missing", join(path, field.name));
            let pos = if path.is_empty() { Pos::START } else { node.pos };
            self.add(Code::MissingField, pos, message, format!("add {}", example(field)));
        }
    }

    fn unknown(&mut self, name: &str, pos: Pos, fields: &[Field], node: &Node, path: &str) {
        if let (true, Some((_, why))) = (path == "claim", GIVEN.iter().find(|(given, _)| *given == name)) {
            let message = format!("`claim.{name}` is not the claim's to say");
            self.add(Code::ClaimMember, pos, message, format!("remove it: {why}"));
            return;
        }
        let suggestion = match nearest(name, fields.iter().map(|field| field.name)) {
            Some(known) if node.member(known).is_some() => format!("remove it: `{known}` is there too"),
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("there are {}", fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", ")),
        };
        self.add(Code::UnknownField, pos, format!("there is no field `{}`", join(path, name)), suggestion);
    }

    fn add(&mut self, code: Code, pos: Pos, message: String, suggestion: String) {
        self.findings.push(self.draft.finding(code, pos, message, suggestion));
    }
}

fn example(field: &Field) -> String {
    let name = field.name;
    match (name, field.shape) {
        ("id", _) => "`id: <the folder's name>`".to_owned(),
        ("version", _) => "`version: \"1.0.0\"`".to_owned(),
        ("valid_from" | "valid_until", _) => format!("`{name}: \"2026-11-21\"`"),
        (_, Shape::Word(words)) => format!("`{name}:` with one of {}", words.join(", ")),
        (_, Shape::Text) => format!("`{name}:` with a text"),
        (_, Shape::Bool) => format!("`{name}: true` or `{name}: false`"),
        (_, Shape::Count) => format!("`{name}:` with a whole number"),
        (_, Shape::List(_)) => format!("`{name}:` with a list"),
        (_, Shape::Object(_) | Shape::Map(_)) => format!("`{name}:` with its members below it"),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The known name that somebody who wrote `unknown` may have meant.
pub(super) fn nearest<'n>(unknown: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let unknown = unknown.to_lowercase();
    let scored = known.map(|name| (strsim::jaro_winkler(&unknown, &name.to_lowercase()), name));
    scored.filter(|(score, _)| *score > 0.85).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}
