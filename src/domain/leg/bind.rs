//! Filling a template: texts with `{{name}}`, once, from left to right.
//!
//! A variable can never add a member. A member whose placeholder is an optional variable that was not given is left out.
//! A committed variable enters as its commitment; its value does not leave this module. An error names what does not
//! fit, at most one character that no text may have, and never the value.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::claim::{AccountableParty, LegGround};
use super::commitment::{Commit, Commitment};
use super::document::{TemplateVariable, VariableKind};
use super::placeholder::{Part, parts};
use super::template::LegTemplate;
use crate::domain::json;
use crate::domain::text::{PlainText, PlainTextError};

/// The most bytes of a value where the variable does not say.
const DEFAULT_LENGTH: u16 = 256;

/// Why a request's variables do not fit a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// There is no such template in force.
    #[error("there is no legal template `{0}`")]
    UnknownTemplate(String),
    /// A variable that the template does not have.
    #[error("the template has no variable `{0}`")]
    UnknownVariable(String),
    /// A variable that is not committed to.
    #[error("the template does not commit to `{0}`: mandates hold its value as it is")]
    NotCommitted(String),
    /// A required variable is absent.
    #[error("the variable `{0}` is required")]
    MissingVariable(String),
    /// A value that does not fit the variable.
    #[error("the value of `{0}` does not fit: {1}")]
    BadValue(String, ValueDefect),
    /// A value must be committed to and there is no key.
    #[error("the variable `{0}` is committed to, and there is no key for it: set `keys.commitment`")]
    NoCommitmentKey(String),
    /// The accountable party is not one that the template takes.
    #[error("the accountable party's {0} is not one that the template takes")]
    AccountableParty(&'static str),
    /// What came out is not a ground.
    #[error("the bound claim is not a legal ground: {0}")]
    Claim(String),
}

/// What about a value does not fit its variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueDefect {
    /// Another type.
    #[error("expected {}", match .0 {
        VariableKind::String => "a text",
        VariableKind::Integer => "a whole number",
    })]
    Type(VariableKind),
    /// No text that a person could read for what it is: which character, and where.
    #[error(transparent)]
    Text(PlainTextError),
    /// More bytes than the variable may have.
    #[error("expected at most {0} bytes")]
    Length(u16),
    /// Not as the variable's pattern says.
    #[error("it does not match the variable's pattern")]
    Pattern,
    /// What stands for a variable in a template.
    #[error("it has `{{{{` or `}}}}`")]
    Placeholder,
}

impl LegTemplate {
    /// Fills the template. `key` is for the variables that are committed to.
    ///
    /// # Errors
    /// As the variants of [`BindError`] say.
    pub fn bind(&self, vars: &Map<String, Value>, key: Option<&dyn Commit>) -> Result<LegGround, BindError> {
        let document = self.document();
        if let Some(name) = vars.keys().find(|name| !document.variables.contains_key(*name)) {
            return Err(BindError::UnknownVariable(name.chars().take(64).collect()));
        }
        let mut values = BTreeMap::new();
        for (name, variable) in &document.variables {
            match vars.get(name) {
                Some(value) => {
                    let text = self.text_of(name, variable, value)?;
                    values.insert(name.as_str(), self.committed(name, variable, text, key)?);
                }
                None if variable.required => return Err(BindError::MissingVariable(name.clone())),
                None => {}
            }
        }
        let mut claim = fill_members(&document.claim, &values);
        let references = document.references.iter().map(|text| json!(text));
        let references: Vec<Value> = references.filter_map(|text| fill(&text, &values)).collect();
        if !references.is_empty() {
            claim.insert("regulation_refs".to_owned(), Value::Array(references));
        }
        claim.insert("retention_days".to_owned(), json!(document.retention_days));
        claim.insert("basis".to_owned(), json!(document.basis));
        claim.insert("template".to_owned(), json!(self.reference()));
        let ground: LegGround = json::read(Value::Object(claim))
            .map_err(|error| BindError::Claim(format!("{} at `{}`", error.detail, error.pointer)))?;
        self.accountable(&ground.as_leg().accountable_party).map_err(BindError::AccountableParty)?;
        Ok(ground)
    }

    /// The commitment that [`LegTemplate::bind`] would put in for `value`, for who must check one.
    ///
    /// # Errors
    /// When there is no such variable, it is not committed to, or the value does not fit it.
    pub fn commitment(&self, name: &str, value: &str, key: &dyn Commit) -> Result<Commitment, BindError> {
        let unknown = || BindError::UnknownVariable(name.chars().take(64).collect());
        let variable = self.document().variables.get(name).ok_or_else(unknown)?;
        if !variable.commit {
            return Err(BindError::NotCommitted(name.to_owned()));
        }
        let text = self.text_of(name, variable, &Value::String(value.to_owned()))?;
        Ok(Commitment::to(key, &self.document().id, name, &text))
    }

    /// Whether the accountable party is one that the template takes; the member that is not.
    pub(super) fn accountable(&self, party: &AccountableParty) -> Result<(), &'static str> {
        if !self.document().accountable_party.types.contains(&party.kind) {
            return Err("type");
        }
        match self.accountable_id() {
            Some(pattern) if !pattern.is_match(party.id.as_str()) => Err("id"),
            _ => Ok(()),
        }
    }

    /// Whether a text fits the variable `name`: its length and pattern.
    pub(super) fn fits(&self, name: &str, variable: &TemplateVariable, text: &str) -> bool {
        self.misfit(name, variable, text).is_none()
    }

    fn misfit(&self, name: &str, variable: &TemplateVariable, text: &str) -> Option<ValueDefect> {
        let length = variable.max_length.unwrap_or(DEFAULT_LENGTH);
        if text.len() > usize::from(length) {
            return Some(ValueDefect::Length(length));
        }
        self.pattern(name).is_some_and(|pattern| !pattern.is_match(text)).then_some(ValueDefect::Pattern)
    }

    fn text_of(&self, name: &str, variable: &TemplateVariable, value: &Value) -> Result<String, BindError> {
        let bad = |defect| BindError::BadValue(name.to_owned(), defect);
        let text = match (variable.kind, value) {
            (VariableKind::String, Value::String(text)) => {
                text.parse::<PlainText>().map_err(|error| bad(ValueDefect::Text(error)))?;
                text.clone()
            }
            (VariableKind::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => number.to_string(),
            (kind, _) => return Err(bad(ValueDefect::Type(kind))),
        };
        if text.contains("{{") || text.contains("}}") {
            return Err(bad(ValueDefect::Placeholder));
        }
        self.misfit(name, variable, &text).map_or(Ok(text), |defect| Err(bad(defect)))
    }

    fn committed(
        &self,
        name: &str,
        variable: &TemplateVariable,
        text: String,
        key: Option<&dyn Commit>,
    ) -> Result<String, BindError> {
        if !variable.commit {
            return Ok(text);
        }
        let text = zeroize::Zeroizing::new(text);
        let key = key.ok_or_else(|| BindError::NoCommitmentKey(name.to_owned()))?;
        Ok(Commitment::to(key, &self.document().id, name, &text).into())
    }
}

/// A pattern over the whole of a text.
pub(super) fn compile(pattern: &str) -> Option<regex_lite::Regex> {
    // The pattern alone first: `a)|(b` would become one by what is put around it.
    regex_lite::Regex::new(pattern).ok()?;
    regex_lite::Regex::new(&format!("^(?:{pattern})$")).ok()
}

pub(super) fn fill_members(members: &Map<String, Value>, values: &BTreeMap<&str, String>) -> Map<String, Value> {
    members.iter().filter_map(|(name, value)| Some((name.clone(), fill(value, values)?))).collect()
}

/// `None` where a placeholder has no value: the member is left out.
fn fill(value: &Value, values: &BTreeMap<&str, String>) -> Option<Value> {
    match value {
        Value::String(text) => {
            let mut filled = String::new();
            for part in parts(text).ok()? {
                match part {
                    Part::Text(text) => filled.push_str(text),
                    Part::Variable(name) => filled.push_str(values.get(name)?),
                }
            }
            Some(Value::String(filled))
        }
        Value::Array(items) => Some(Value::Array(items.iter().filter_map(|item| fill(item, values)).collect())),
        Value::Object(members) => {
            let filled = fill_members(members, values);
            // An object that only optional variables would have filled (a ticket, say) goes as a whole.
            (filled.len() == members.len() || !filled.is_empty()).then_some(Value::Object(filled))
        }
        other => Some(other.clone()),
    }
}
