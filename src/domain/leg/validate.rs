//! What must hold between the members of a template.
//!
//! Every defect names its place by an RFC 6901 pointer into the document. A template with a defect is no template.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::bind::{compile, fill_members};
use super::claim::{Basis, LegGround};
use super::document::{EvidenceKind, EvidenceRule, TemplateDocument, TemplateVariable, VariableKind};
use super::placeholder::{Part, is_name, parts, texts, whole};
use crate::domain::id::{Sha256Digest, TemplateId};
use crate::domain::json;

/// The longest value that a variable may allow: the longest text of a claim.
const MAX_LENGTH: u16 = 512;
/// Members of the claim that are not the claim's text to give.
const ADDED: [&str; 6] = ["basis", "template", "regulation_refs", "retention_days", "approval", "dual_control"];

/// Why a document is not a template: what, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("legal template `{template}`: {defect} at `{pointer}`")]
pub struct TemplateError {
    /// The template's folder.
    pub template: TemplateId,
    /// RFC 6901 pointer into the document.
    pub pointer: String,
    /// What is wrong there.
    pub defect: TemplateDefect,
}

/// What can be wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateDefect {
    /// A member is missing, unknown or of another type.
    #[error("{0}")]
    Shape(String),
    /// The `id` inside is not the folder's name.
    #[error("the template calls itself `{0}`; folder and id must be the same")]
    OtherId(TemplateId),
    /// A list without members.
    #[error("the list is empty; name at least one")]
    Empty,
    /// A list with one member twice.
    #[error("given twice; say it once")]
    Twice,
    /// It ends before it begins.
    #[error("the last day is before the first")]
    EndsBeforeItBegins,
    /// `withdrawn` and `withdrawn_reason` go together.
    #[error("`withdrawn` and `withdrawn_reason` come together or not at all")]
    WithdrawnWithoutReason,
    /// A name that no placeholder can have.
    #[error("the name of a variable is 1 to 64 of a-z 0-9 _ and starts with a letter")]
    VariableName,
    /// A length that no text of a claim can have, or one of something that is no text.
    #[error("`max_length` is 1 to 512 bytes, of a string")]
    MaxLength,
    /// A pattern that is not a regular expression.
    #[error("not a regular expression")]
    Pattern,
    /// Braces around something else than a variable's name.
    #[error("`{{{{` and `}}}}` must enclose the name of a variable")]
    Placeholder,
    /// A placeholder without a variable.
    #[error("`{{{{{0}}}}}` is used but not declared under `variables`")]
    UndeclaredVariable(String),
    /// A member of the claim that other members of the document give.
    #[error("`{0}` is not written into the claim; it is added from the rest of the template")]
    AddedMember(String),
    /// The claim could come out as no ground.
    #[error("the claim would not be a legal ground: {0}")]
    Claim(String),
    /// A jurisdiction that the template does not list.
    #[error("`{0}` is not one of the template's jurisdictions")]
    Jurisdiction(String),
    /// A kind of accountable party that the template does not list.
    #[error("`{0}` is not one of the types under `accountable_party`")]
    AccountableType(String),
    /// The data subject would stand in clear.
    #[error("`data_subject` must be exactly `{{{{variable}}}}` of a variable with `commit: true`")]
    DataSubjectInClear,
    /// Consent names no data subject.
    #[error("consent is somebody's: `data_subject` must name a required variable with `commit: true`")]
    NoDataSubject,
    /// A commitment inside other text.
    #[error("`{{{{{0}}}}}` is a commitment and must be the whole text")]
    CommitmentInText(String),
    /// Personal data would stand in clear.
    #[error(
        "`{{{{{0}}}}}` is personal data: give the variable `commit: true`, or use it for the accountable party only"
    )]
    PersonalInClear(String),
    /// The basis asks for a proof that is not there.
    #[error("{basis} needs evidence of kind `{kind}`", basis = .0.as_str(), kind = .1.as_str())]
    EvidenceMissing(Basis, EvidenceKind),
    /// A proof in a variable that is not there.
    #[error("there is no variable `{0}`")]
    EvidenceUnknown(String),
    /// A proof that may be left out.
    #[error("`{0}` names evidence and must be `required: true`")]
    EvidenceOptional(String),
    /// A proof that is not in the claim.
    #[error("`{0}` names evidence and must be used in the claim or in `references`")]
    EvidenceUnused(String),
    /// A proof that stands where nobody looks for it.
    #[error("`{0}` must be {1}")]
    EvidenceMisplaced(String, &'static str),
}

/// A placeholder at its place.
struct Use {
    pointer: String,
    variable: String,
    whole: bool,
}

impl TemplateDocument {
    /// Everything that is wrong with the document, each with its pointer. A document without defects can be filled.
    pub fn defects(&self) -> Vec<(String, TemplateDefect)> {
        let mut found = Defects(Vec::new());
        self.lists(&mut found);
        self.days(&mut found);
        for (name, variable) in &self.variables {
            variable_defects(name, variable, &mut found);
        }
        if self.accountable_party.id_pattern.as_deref().is_some_and(|pattern| compile(pattern).is_none()) {
            found.at("/accountable_party/id_pattern", TemplateDefect::Pattern);
        }
        for name in ADDED.into_iter().filter(|name| self.claim.contains_key(*name)) {
            found.at(format!("/claim/{name}"), TemplateDefect::AddedMember(name.to_owned()));
        }
        let uses = self.uses(&mut found);
        self.privacy(&uses, &mut found);
        self.evidence(&uses, &mut found);
        if found.0.is_empty() {
            self.claim_defects(&mut found);
        }
        found.0
    }

    fn lists(&self, found: &mut Defects) {
        found.distinct("/jurisdictions", &self.jurisdictions.iter().map(ToString::to_string).collect::<Vec<_>>());
        found.distinct("/acts", &self.acts.iter().map(|act| String::from(act.clone())).collect::<Vec<_>>());
        found.distinct("/data_classes", &self.data_classes);
        found.distinct("/accountable_party/types", &self.accountable_party.types);
        found.distinct("/references", &self.references);
        found.distinct("/evidence", &self.evidence.iter().map(|rule| rule.kind).collect::<Vec<_>>());
    }

    fn days(&self, found: &mut Defects) {
        if self.valid_until < self.valid_from {
            found.at("/valid_until", TemplateDefect::EndsBeforeItBegins);
        }
        match (&self.withdrawn, &self.withdrawn_reason) {
            (Some(_), None) => found.at("/withdrawn", TemplateDefect::WithdrawnWithoutReason),
            (None, Some(_)) => found.at("/withdrawn_reason", TemplateDefect::WithdrawnWithoutReason),
            _ => {}
        }
        for (pointer, text) in [("/summary", &self.summary)] {
            if text.trim().is_empty() {
                found.at(pointer, TemplateDefect::Shape("say it in a sentence".to_owned()));
            }
        }
    }

    fn uses(&self, found: &mut Defects) -> Vec<Use> {
        let mut uses = Vec::new();
        let mut read = |pointer: String, text: &str| match parts(text) {
            Err(_) => found.at(pointer, TemplateDefect::Placeholder),
            Ok(parts) => {
                for part in &parts {
                    let Part::Variable(name) = part else { continue };
                    if !self.variables.contains_key(*name) {
                        found.at(pointer.clone(), TemplateDefect::UndeclaredVariable((*name).to_owned()));
                    }
                    let whole = parts.len() == 1;
                    uses.push(Use { pointer: pointer.clone(), variable: (*name).to_owned(), whole });
                }
            }
        };
        for (name, member) in &self.claim {
            texts(member, &format!("/claim/{name}"), &mut read);
        }
        for (i, text) in self.references.iter().enumerate() {
            read(format!("/references/{i}"), text.as_str());
        }
        uses
    }

    fn privacy(&self, uses: &[Use], found: &mut Defects) {
        for Use { pointer, variable: name, whole } in uses {
            let Some(variable) = self.variables.get(name) else { continue };
            if variable.commit && !whole {
                found.at(pointer, TemplateDefect::CommitmentInText(name.clone()));
            }
            if variable.personal && !variable.commit && !pointer.starts_with("/claim/accountable_party/") {
                found.at(pointer, TemplateDefect::PersonalInClear(name.clone()));
            }
        }
        let subject = self.claim.get("data_subject");
        let variable = subject.and_then(Value::as_str).and_then(whole).and_then(|name| self.variables.get(name));
        match (subject, variable) {
            (Some(_), Some(variable)) if variable.commit && (variable.required || self.basis != Basis::Consent) => {}
            (Some(_), Some(variable)) if variable.commit => {
                found.at("/claim/data_subject", TemplateDefect::NoDataSubject);
            }
            (Some(_), _) => found.at("/claim/data_subject", TemplateDefect::DataSubjectInClear),
            (None, _) if self.basis == Basis::Consent => found.at("/claim", TemplateDefect::NoDataSubject),
            (None, _) => {}
        }
    }

    fn evidence(&self, uses: &[Use], found: &mut Defects) {
        for kind in EvidenceKind::required_by(self.basis) {
            if !self.evidence.iter().any(|rule| rule.kind == *kind) {
                found.at("/evidence", TemplateDefect::EvidenceMissing(self.basis, *kind));
            }
        }
        for (i, EvidenceRule { kind, variable: name }) in self.evidence.iter().enumerate() {
            let pointer = format!("/evidence/{i}/variable");
            let at =
                |member: &str| uses.iter().any(|used| used.variable == *name && used.pointer == member && used.whole);
            match self.variables.get(name) {
                None => found.at(pointer, TemplateDefect::EvidenceUnknown(name.clone())),
                Some(variable) if !variable.required => {
                    found.at(pointer, TemplateDefect::EvidenceOptional(name.clone()));
                }
                Some(_) if !uses.iter().any(|used| used.variable == *name) => {
                    found.at(pointer, TemplateDefect::EvidenceUnused(name.clone()));
                }
                Some(_) if *kind == EvidenceKind::ConsentRecord && !at("/claim/ref") => {
                    let place = "the whole of the claim's `ref`, by which a consent is withdrawn";
                    found.at(pointer, TemplateDefect::EvidenceMisplaced(name.clone(), place));
                }
                Some(_) if *kind == EvidenceKind::Purpose && !at("/claim/purpose") => {
                    let place = "the whole of the claim's `purpose`";
                    found.at(pointer, TemplateDefect::EvidenceMisplaced(name.clone(), place));
                }
                Some(_) => {}
            }
        }
    }

    /// Fills the claim with every variable and with the required ones alone: both must be grounds.
    fn claim_defects(&self, found: &mut Defects) {
        for only_required in [false, true] {
            let given = self.variables.iter().filter(|(_, variable)| variable.required || !only_required);
            let samples: BTreeMap<_, _> =
                given.map(|(name, variable)| (name.as_str(), self.sample(name, variable))).collect();
            if let Err(error) = json::read::<LegGround>(Value::Object(self.sample_claim(&samples))) {
                found.at(format!("/claim{}", error.pointer), TemplateDefect::Claim(error.detail));
                return;
            }
        }
        let literal = |pointer: &str| {
            let text = Value::Object(self.claim.clone()).pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            text.filter(|text| !text.contains("{{"))
        };
        if let Some(place) = literal("/jurisdiction")
            && !self.jurisdictions.iter().any(|known| known.to_string() == place)
        {
            found.at("/claim/jurisdiction", TemplateDefect::Jurisdiction(place));
        }
        if let Some(kind) = literal("/accountable_party/type")
            && !self.accountable_party.types.iter().any(|known| known.as_str() == kind)
        {
            found.at("/claim/accountable_party/type", TemplateDefect::AccountableType(kind));
        }
    }

    fn sample(&self, name: &str, variable: &TemplateVariable) -> String {
        let is_place = self.claim.get("jurisdiction").and_then(Value::as_str).and_then(whole) == Some(name);
        if variable.commit {
            format!("hmac-sha-256:{}:{}", "0".repeat(16), "0".repeat(64))
        } else if is_place {
            self.jurisdictions.first().map(ToString::to_string).unwrap_or_default()
        } else {
            "1".to_owned()
        }
    }

    fn sample_claim(&self, samples: &BTreeMap<&str, String>) -> Map<String, Value> {
        let mut claim = fill_members(&self.claim, samples);
        claim.insert("basis".to_owned(), json!(self.basis));
        let template = json!({"id": self.id, "version": self.version, "digest": Sha256Digest::of(b"")});
        claim.insert("template".to_owned(), template);
        claim
    }
}

struct Defects(Vec<(String, TemplateDefect)>);

impl Defects {
    fn at(&mut self, pointer: impl Into<String>, defect: TemplateDefect) {
        self.0.push((pointer.into(), defect));
    }

    fn distinct<T: Ord>(&mut self, pointer: &str, items: &[T]) {
        if items.is_empty() {
            self.at(pointer, TemplateDefect::Empty);
        }
        let mut seen = BTreeSet::new();
        for (i, item) in items.iter().enumerate() {
            if !seen.insert(item) {
                self.at(format!("{pointer}/{i}"), TemplateDefect::Twice);
            }
        }
    }
}

fn variable_defects(name: &str, variable: &TemplateVariable, found: &mut Defects) {
    let at = format!("/variables/{}", name.replace('~', "~0").replace('/', "~1"));
    if !is_name(name) {
        found.at(at.clone(), TemplateDefect::VariableName);
    }
    if variable.description.trim().is_empty() {
        found.at(format!("{at}/description"), TemplateDefect::Shape("say what to put in".to_owned()));
    }
    if variable.pattern.as_deref().is_some_and(|pattern| compile(pattern).is_none()) {
        found.at(format!("{at}/pattern"), TemplateDefect::Pattern);
    }
    let sized =
        variable.max_length.is_none_or(|max| (1..=MAX_LENGTH).contains(&max) && variable.kind == VariableKind::String);
    if !sized {
        found.at(format!("{at}/max_length"), TemplateDefect::MaxLength);
    }
}
