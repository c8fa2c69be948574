//! Legal templates in force: documents that were found to be sound, by id.

use std::collections::BTreeMap;

use serde_json::Value;

use super::bind::{BindError, compile};
use super::claim::{Basis, TemplateRef};
use super::document::TemplateDocument;
use super::validate::{TemplateDefect, TemplateError};
use crate::domain::id::{Sha256Digest, TemplateId};
use crate::domain::json;
use crate::domain::time::Timestamp;

/// One legal template.
#[derive(Debug, Clone)]
pub struct LegTemplate {
    document: TemplateDocument,
    source: Value,
    digest: Sha256Digest,
    patterns: BTreeMap<String, regex_lite::Regex>,
    accountable_id: Option<regex_lite::Regex>,
}

/// Where a template stands at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateState {
    /// Its first day is to come.
    NotYet,
    /// It can be used.
    InForce,
    /// Its last day is over.
    Expired,
    /// It was retired before its time.
    Withdrawn,
}

impl TemplateState {
    /// The name as written in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotYet => "not_yet",
            Self::InForce => "in_force",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl LegTemplate {
    /// Reads a template from its data document.
    ///
    /// # Errors
    /// The first defect, with its pointer.
    pub fn parse(folder: &TemplateId, source: &Value) -> Result<Self, TemplateError> {
        let refused = |pointer: String, defect| TemplateError { template: folder.clone(), pointer, defect };
        let document: TemplateDocument =
            json::read(source.clone()).map_err(|error| refused(error.pointer, TemplateDefect::Shape(error.detail)))?;
        if document.id != *folder {
            return Err(refused("/id".to_owned(), TemplateDefect::OtherId(document.id)));
        }
        if let Some((pointer, defect)) = document.defects().into_iter().next() {
            return Err(refused(pointer, defect));
        }
        let with_pattern = document.variables.iter().filter_map(|(name, v)| Some((name, v.pattern.as_deref()?)));
        let patterns = with_pattern.filter_map(|(name, pattern)| Some((name.clone(), compile(pattern)?))).collect();
        let accountable_id = document.accountable_party.id_pattern.as_deref().and_then(compile);
        Ok(Self { digest: json::digest(source), source: source.clone(), document, patterns, accountable_id })
    }

    /// What it says.
    pub fn document(&self) -> &TemplateDocument {
        &self.document
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

    /// Whether it commits to a variable, so that binding it takes a key.
    pub fn commits(&self) -> bool {
        self.document.variables.values().any(|variable| variable.commit)
    }

    /// Where it stands at `now`. Withdrawn goes before expired: it says more.
    pub fn state_at(&self, now: Timestamp) -> TemplateState {
        let TemplateDocument { valid_from, valid_until, withdrawn, .. } = &self.document;
        match withdrawn {
            Some(day) if day.start() <= now => TemplateState::Withdrawn,
            _ if now < valid_from.start() => TemplateState::NotYet,
            _ if valid_until.end() <= now => TemplateState::Expired,
            _ => TemplateState::InForce,
        }
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

    pub(super) fn pattern(&self, variable: &str) -> Option<&regex_lite::Regex> {
        self.patterns.get(variable)
    }

    pub(super) fn accountable_id(&self) -> Option<&regex_lite::Regex> {
        self.accountable_id.as_ref()
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

    /// The template of that id.
    pub fn get(&self, id: &TemplateId) -> Option<&LegTemplate> {
        self.0.get(id)
    }

    /// All templates by id.
    pub fn iter(&self) -> impl Iterator<Item = &LegTemplate> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::super::bind::ValueDefect;
    use super::*;
    use crate::domain::leg::VariableKind;
    use crate::domain::text::{PlainText, PlainTextError};

    fn source() -> Value {
        json!({
            "id": "contract", "version": "1.0.0", "title": "Contract", "basis": "CONTRACT", "jurisdictions": ["DE", "EU"],
            "acts": ["erp.*"], "owner": "legal@example.com", "valid_from": "2026-01-01", "valid_until": "2030-12-31",
            "summary": "Needed to fulfil a contract.",
            "variables": {
                "contract": {"type": "string", "pattern": "MSA-[0-9]{1,8}", "required": true, "description": "number"},
                "who": {"type": "string", "required": true, "description": "accountable"},
                "ticket": {"type": "string", "required": false, "description": "ticket"},
                "days": {"type": "integer", "required": true, "description": "days"},
            },
            "data_classes": ["internal"], "accountable_party": {"types": ["employee"], "id_pattern": "[a-z]+"},
            "references": ["GDPR Art. 6(1)(b)"], "retention_days": 30,
            "evidence": [{"kind": "contract", "variable": "contract"}],
            "claim": {
                "jurisdiction": "DE", "ref": "{{contract}}", "description": "Fulfil {{contract}} for {{days}} days",
                "accountable_party": {"type": "employee", "id": "{{who}}"}, "ticket": {"system": "{{ticket}}", "ref": "{{ticket}}"},
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
        let ground = template().bind(&vars(json!({"contract": "MSA-1", "who": "dave", "days": 3})), None).unwrap();
        let leg = ground.as_leg();
        assert_eq!(leg.reference.as_str(), "MSA-1");
        assert_eq!(leg.description.as_str(), "Fulfil MSA-1 for 3 days");
        assert_eq!(leg.basis, Basis::Contract);
        assert_eq!(leg.template, template().reference());
        assert!(leg.ticket.is_none(), "nobody gave a ticket");
    }

    #[test]
    fn variables_that_do_not_fit_are_refused_by_their_defect_and_without_their_value() {
        let bad = |name: &str, defect| BindError::BadValue(name.into(), defect);
        let override_at_5 = "MSA-1\u{202e}".parse::<PlainText>().unwrap_err();
        for (given, error) in [
            (json!({"contract": "MSA-1"}), BindError::MissingVariable("who".into())),
            (json!({"contract": "MSA-1", "who": "dave", "x": 1}), BindError::UnknownVariable("x".into())),
            (json!({"contract": "MSA-1\u{202e}", "who": "dave"}), bad("contract", ValueDefect::Text(override_at_5))),
            (json!({"contract": "xMSA-1x", "who": "dave"}), bad("contract", ValueDefect::Pattern)),
            (json!({"contract": 1, "who": "dave"}), bad("contract", ValueDefect::Type(VariableKind::String))),
            (json!({"contract": "MSA-1", "who": "{{contract}}"}), bad("who", ValueDefect::Placeholder)),
            (json!({"contract": "MSA-1", "who": "d".repeat(257)}), bad("who", ValueDefect::Length(256))),
            (json!({"contract": "MSA-1", "who": ""}), bad("who", ValueDefect::Text(PlainTextError::Length))),
            (json!({"contract": "MSA-1", "who": "dave7"}), BindError::AccountableParty("id")),
        ] {
            let mut given = vars(given);
            given.insert("days".into(), json!(1));
            let refused = template().bind(&given, None).unwrap_err();
            assert_eq!(refused, error);
            let text = refused.to_string();
            assert!(!text.contains("MSA-1") && !text.contains("dave") && !text.contains("ddd"), "{text}");
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
            Err(TemplateError { pointer, defect: TemplateDefect::UndeclaredVariable(name), .. })
                if name == "nobody" && pointer == "/claim/purpose"
        ));
    }
}
