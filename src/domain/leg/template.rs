//! Legal templates: files written by lawyers, bound to variables given by agents.
//!
//! Binding is text substitution of `{{name}}` inside the template's `claim`; a variable can never add a member, and a
//! member whose only placeholder is an optional variable that was not given is left out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::claim::{Basis, Jurisdiction, LegGround, TemplateRef};
use crate::domain::id::{Sha256Digest, TemplateId};
use crate::domain::json;
use crate::domain::text::PlainText;

/// Why a file is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The members are not those of a template.
    #[error("legal template `{id}`: {detail} at `{pointer}`")]
    Shape {
        /// The template's folder.
        id: TemplateId,
        /// Where.
        pointer: String,
        /// What.
        detail: String,
    },
    /// The `id` inside is not the folder's name.
    #[error("legal template `{folder}` calls itself `{inside}`: folder and id must be the same")]
    OtherId {
        /// The folder.
        folder: TemplateId,
        /// The id in the file.
        inside: TemplateId,
    },
    /// A placeholder without a variable.
    #[error("legal template `{id}`: `{{{{{name}}}}}` is used but not declared under `variables`")]
    UndeclaredVariable {
        /// The template.
        id: TemplateId,
        /// The placeholder.
        name: String,
    },
    /// A pattern that is not a regular expression.
    #[error("legal template `{id}`: the pattern of `{name}` is not a regular expression")]
    Pattern {
        /// The template.
        id: TemplateId,
        /// The variable.
        name: String,
    },
}

/// Why a request's variables do not fit a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// There is no such template in force.
    #[error("there is no legal template `{0}`")]
    UnknownTemplate(String),
    /// A variable that the template does not have.
    #[error("the template has no variable `{0}`")]
    UnknownVariable(String),
    /// A required variable is absent.
    #[error("the variable `{0}` is required")]
    MissingVariable(String),
    /// A value that does not fit the variable's type, pattern or length.
    #[error("the value of `{0}` does not fit its type, pattern or length")]
    BadValue(String),
    /// What came out is not a ground.
    #[error("the bound claim is not a legal ground: {0}")]
    Claim(String),
}

/// One variable of a template.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateVariable {
    /// `string` or `integer`.
    #[serde(rename = "type")]
    pub kind: VariableKind,
    /// What to put in, for people.
    pub description: String,
    /// Whether it must be given.
    pub required: bool,
    /// A regular expression that the whole value must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The most bytes that a string may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
}

/// The type of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VariableKind {
    /// One line of plain text.
    String,
    /// A whole number.
    Integer,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    id: TemplateId,
    version: PlainText,
    title: PlainText,
    basis: Basis,
    jurisdictions: Vec<Jurisdiction>,
    acts: Vec<String>,
    #[serde(default)]
    data_classes: Vec<String>,
    variables: BTreeMap<String, TemplateVariable>,
    claim: Map<String, Value>,
    owner: PlainText,
    valid_from: String,
    valid_until: String,
    summary: String,
}

/// One legal template in force.
#[derive(Debug, Clone)]
pub struct LegTemplate {
    document: Document,
    source: Value,
    digest: Sha256Digest,
    patterns: BTreeMap<String, regex_lite::Regex>,
}

impl LegTemplate {
    /// Reads a template from its data document.
    ///
    /// # Errors
    /// As the variants of [`TemplateError`] say.
    pub fn parse(folder: &TemplateId, source: &Value) -> Result<Self, TemplateError> {
        let document: Document = json::read(source.clone()).map_err(|error| TemplateError::Shape {
            id: folder.clone(),
            pointer: error.pointer,
            detail: error.detail,
        })?;
        if document.id != *folder {
            return Err(TemplateError::OtherId { folder: folder.clone(), inside: document.id });
        }
        let mut used = Vec::new();
        placeholders(&Value::Object(document.claim.clone()), &mut used);
        if let Some(name) = used.into_iter().find(|name| !document.variables.contains_key(name)) {
            return Err(TemplateError::UndeclaredVariable { id: folder.clone(), name });
        }
        let patterns = document
            .variables
            .iter()
            .filter_map(|(name, variable)| Some((name, variable.pattern.as_ref()?)))
            .map(|(name, pattern)| {
                let regex = regex_lite::Regex::new(&format!("^(?:{pattern})$"));
                regex
                    .map(|regex| (name.clone(), regex))
                    .map_err(|_| TemplateError::Pattern { id: folder.clone(), name: name.clone() })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { digest: json::digest(source), source: source.clone(), document, patterns })
    }

    /// What a mandate names.
    pub fn reference(&self) -> TemplateRef {
        TemplateRef { id: self.document.id.clone(), version: self.document.version.clone(), digest: self.digest }
    }

    /// The document as written, for `GET /templates`.
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// What kind of ground it gives.
    pub fn basis(&self) -> Basis {
        self.document.basis
    }

    /// What lists show: everything but the claim.
    pub fn summary(&self) -> Value {
        let mut summary = serde_json::to_value(&self.document).unwrap_or_default();
        if let Some(members) = summary.as_object_mut() {
            members.remove("claim");
            members.insert("digest".to_owned(), Value::String(self.digest.to_string()));
        }
        summary
    }

    /// Fills the template.
    ///
    /// # Errors
    /// As the variants of [`BindError`] say.
    pub fn bind(&self, vars: &Map<String, Value>) -> Result<LegGround, BindError> {
        if let Some(name) = vars.keys().find(|name| !self.document.variables.contains_key(*name)) {
            return Err(BindError::UnknownVariable(name.chars().take(64).collect()));
        }
        let mut texts = BTreeMap::new();
        for (name, variable) in &self.document.variables {
            match vars.get(name) {
                Some(value) => {
                    texts.insert(name.as_str(), self.text_of(name, variable, value)?);
                }
                None if variable.required => return Err(BindError::MissingVariable(name.clone())),
                None => {}
            }
        }
        let mut claim = fill_members(&self.document.claim, &texts);
        claim.insert("basis".to_owned(), serde_json::to_value(self.document.basis).unwrap_or_default());
        claim.insert("template".to_owned(), serde_json::to_value(self.reference()).unwrap_or_default());
        json::read(Value::Object(claim))
            .map_err(|error| BindError::Claim(format!("{} at `{}`", error.detail, error.pointer)))
    }

    fn text_of(&self, name: &str, variable: &TemplateVariable, value: &Value) -> Result<String, BindError> {
        let bad = || BindError::BadValue(name.to_owned());
        let text = match (variable.kind, value) {
            (VariableKind::String, Value::String(text)) => {
                text.parse::<PlainText>().map_err(|_| bad())?;
                text.clone()
            }
            (VariableKind::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => number.to_string(),
            _ => return Err(bad()),
        };
        let fits = self.patterns.get(name).is_none_or(|pattern| pattern.is_match(&text));
        if !fits || text.len() > variable.max_length.unwrap_or(256) || text.contains("{{") {
            return Err(bad());
        }
        Ok(text)
    }
}

/// The names between `{{` and `}}`, in order.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}").map(|(name, _)| name))
}

fn placeholders(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.extend(names(text).map(str::to_owned)),
        Value::Array(items) => items.iter().for_each(|item| placeholders(item, into)),
        Value::Object(members) => members.values().for_each(|member| placeholders(member, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn fill_members(members: &Map<String, Value>, texts: &BTreeMap<&str, String>) -> Map<String, Value> {
    members.iter().filter_map(|(name, value)| Some((name.clone(), fill(value, texts)?))).collect()
}

/// `None` where a placeholder has no value: the member is left out.
fn fill(value: &Value, texts: &BTreeMap<&str, String>) -> Option<Value> {
    match value {
        Value::String(text) => {
            let mut filled = text.clone();
            for name in names(text) {
                filled = filled.replace(&format!("{{{{{name}}}}}"), texts.get(name)?);
            }
            Some(Value::String(filled))
        }
        Value::Array(items) => Some(Value::Array(items.iter().filter_map(|item| fill(item, texts)).collect())),
        Value::Object(members) => {
            let filled = fill_members(members, texts);
            // An object that only optional variables would have filled (a ticket, say) goes as a whole.
            (filled.len() == members.len() || !filled.is_empty()).then_some(Value::Object(filled))
        }
        other => Some(other.clone()),
    }
}

/// The templates of one bundle.
#[derive(Debug, Clone, Default)]
pub struct Templates(BTreeMap<TemplateId, LegTemplate>);

impl Templates {
    /// Reads all templates of a bundle.
    ///
    /// # Errors
    /// On the first that is not one.
    pub fn parse(sources: &BTreeMap<TemplateId, Value>) -> Result<Self, TemplateError> {
        sources
            .iter()
            .map(|(id, source)| Ok((id.clone(), LegTemplate::parse(id, source)?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The template that `id@version` (or `id` alone: the one in force) names.
    ///
    /// # Errors
    /// [`BindError::UnknownTemplate`] when there is none.
    pub fn find(&self, name: &str) -> Result<&LegTemplate, BindError> {
        let unknown = || BindError::UnknownTemplate(name.chars().take(80).collect());
        let (id, version) = name.split_once('@').map_or((name, None), |(id, version)| (id, Some(version)));
        let id: TemplateId = id.parse().map_err(|_| unknown())?;
        let template = self.0.get(&id).ok_or_else(unknown)?;
        match version {
            Some(version) if version != template.document.version.as_str() => Err(unknown()),
            _ => Ok(template),
        }
    }

    /// Whether a mandate's reference names exactly a template in force: id, version and content.
    pub fn knows(&self, reference: &TemplateRef) -> bool {
        self.0.get(&reference.id).is_some_and(|template| template.reference() == *reference)
    }

    /// All templates by id.
    pub fn iter(&self) -> impl Iterator<Item = &LegTemplate> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn source() -> Value {
        json!({
            "id": "contract", "version": "1.0.0", "title": "Contract", "basis": "CONTRACT", "jurisdictions": ["DE", "EU"],
            "acts": ["erp.*"], "owner": "legal@example.com", "valid_from": "2026-01-01", "valid_until": "2030-12-31",
            "summary": "Needed to fulfil a contract.",
            "variables": {
                "contract": {"type": "string", "pattern": "MSA-[0-9]{1,8}", "required": true, "description": "number"},
                "who": {"type": "string", "required": true, "description": "accountable"},
                "ticket": {"type": "string", "required": false, "description": "ticket"},
                "days": {"type": "integer", "required": false, "description": "days"},
            },
            "claim": {
                "jurisdiction": "DE", "ref": "{{contract}}", "description": "Fulfil {{contract}} for {{days}} days",
                "accountable_party": {"type": "employee", "id": "{{who}}"}, "ticket": {"ref": "{{ticket}}"},
            },
        })
    }

    fn template() -> LegTemplate {
        LegTemplate::parse(&"contract".parse().unwrap(), &source()).unwrap()
    }

    fn vars(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_bound_template_is_a_ground_that_names_it() {
        let ground = template().bind(&vars(json!({"contract": "MSA-1", "who": "dave", "days": 3}))).unwrap();
        let leg = ground.as_leg();
        assert_eq!(leg.reference.as_str(), "MSA-1");
        assert_eq!(leg.description.as_str(), "Fulfil MSA-1 for 3 days");
        assert_eq!(leg.basis, Basis::Contract);
        assert_eq!(leg.template, template().reference());
        assert!(leg.ticket.is_none(), "nobody gave a ticket");
    }

    #[test]
    fn variables_that_do_not_fit_are_refused() {
        for (given, error) in [
            (json!({"contract": "MSA-1"}), BindError::MissingVariable("who".into())),
            (json!({"contract": "MSA-1", "who": "dave", "x": 1}), BindError::UnknownVariable("x".into())),
            (json!({"contract": "MSA-1\u{202e}", "who": "dave"}), BindError::BadValue("contract".into())),
            (json!({"contract": "xMSA-1x", "who": "dave"}), BindError::BadValue("contract".into())),
            (json!({"contract": 1, "who": "dave"}), BindError::BadValue("contract".into())),
            (json!({"contract": "MSA-1", "who": "{{contract}}"}), BindError::BadValue("who".into())),
        ] {
            let mut given = vars(given);
            given.insert("days".into(), json!(1));
            assert_eq!(template().bind(&given), Err(error));
        }
    }

    #[test]
    fn a_reference_must_name_id_version_and_content() {
        let templates = Templates::parse(&BTreeMap::from([("contract".parse().unwrap(), source())])).unwrap();
        let reference = template().reference();
        assert!(templates.knows(&reference));
        assert!(!templates.knows(&TemplateRef { digest: Sha256Digest::of(b"other"), ..reference.clone() }));
        assert!(templates.find("contract@1.0.0").is_ok());
        assert!(templates.find("contract@1.0.1").is_err());
        assert!(templates.find("../contract").is_err());
    }

    #[test]
    fn a_placeholder_without_a_variable_refuses_the_template() {
        let mut bad = source();
        bad["claim"]["purpose"] = json!("{{nobody}}");
        assert!(matches!(
            LegTemplate::parse(&"contract".parse().unwrap(), &bad),
            Err(TemplateError::UndeclaredVariable { name, .. }) if name == "nobody"
        ));
    }
}
