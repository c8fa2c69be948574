//! A legal template as lawyers write it: `opa/leg_templates/<id>/data.yaml`.
//!
//! The shape only; what must hold between the members is [`super::validate`]'s, filling it [`super::bind`]'s. The same
//! document in JSON Schema is `schemas/leg-template.schema.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::claim::{Basis, Jurisdiction};
use super::day::Day;
use crate::domain::catalogue::DataClass;
use crate::domain::id::TemplateId;
use crate::domain::jose::present;
use crate::domain::policy::bundle::ActPattern;
use crate::domain::text::PlainText;

/// The document.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateDocument {
    /// The name of its folder.
    pub id: TemplateId,
    /// Which edition; a new meaning is a new version.
    pub version: PlainText,
    /// For lists.
    pub title: PlainText,
    /// What it is for, in plain language.
    pub summary: String,
    /// Who answers for the text.
    pub owner: PlainText,
    /// The legal basis that it gives.
    pub basis: Basis,
    /// The first day on which it can be used.
    pub valid_from: Day,
    /// The last.
    pub valid_until: Day,
    /// From this day on it is retired for good; it stays in the bundle so that the record can name it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Day>,
    /// Why.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub withdrawn_reason: Option<PlainText>,
    /// Where the ground may hold.
    pub jurisdictions: Vec<Jurisdiction>,
    /// The acts that it covers.
    pub acts: Vec<ActPattern>,
    /// The classes of data that it covers.
    pub data_classes: Vec<DataClass>,
    /// Who may answer for the act.
    pub accountable_party: AccountablePartyRule,
    /// The articles that apply, with `{{variable}}`; they become the claim's `regulation_refs`.
    pub references: Vec<PlainText>,
    /// How long the data that the act makes may be kept; it becomes the claim's `retention_days`.
    pub retention_days: u32,
    /// What proves the basis, and in which variable it is named.
    pub evidence: Vec<EvidenceRule>,
    /// What the agent fills in.
    pub variables: BTreeMap<String, TemplateVariable>,
    /// The members of the claim, with `{{variable}}` in texts.
    pub claim: Map<String, Value>,
}

/// Who may answer for the act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountablePartyRule {
    /// The kinds of party, for example `employee`.
    pub types: Vec<PlainText>,
    /// A regular expression that the whole id must match.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub id_pattern: Option<String>,
}

/// One proof that the template asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceRule {
    /// What kind.
    pub kind: EvidenceKind,
    /// The variable that names it.
    pub variable: String,
}

/// What can prove a basis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// The interest weighed against the people concerned (GDPR Art. 6(1)(f)).
    BalancingTest,
    /// The record that shows the consent (Art. 7(1)); it is the claim's `ref`, so that it can be withdrawn.
    ConsentRecord,
    /// What was consented to (Art. 6(1)(a)).
    Purpose,
    /// The contract (Art. 6(1)(b)).
    Contract,
    /// The law or order that obliges or empowers (Art. 6(3)).
    LegalReference,
    /// The record of the emergency (Art. 6(1)(d)).
    EmergencyRecord,
}

impl EvidenceKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::BalancingTest,
        Self::ConsentRecord,
        Self::Purpose,
        Self::Contract,
        Self::LegalReference,
        Self::EmergencyRecord,
    ];

    /// The name as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BalancingTest => "balancing_test",
            Self::ConsentRecord => "consent_record",
            Self::Purpose => "purpose",
            Self::Contract => "contract",
            Self::LegalReference => "legal_reference",
            Self::EmergencyRecord => "emergency_record",
        }
    }

    /// What a basis cannot do without.
    pub fn required_by(basis: Basis) -> &'static [Self] {
        match basis {
            Basis::Li => &[Self::BalancingTest],
            Basis::Contract => &[Self::Contract],
            Basis::Consent => &[Self::ConsentRecord, Self::Purpose],
            Basis::Legal | Basis::PublicTask => &[Self::LegalReference],
            Basis::Vital => &[Self::EmergencyRecord],
        }
    }
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
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The most bytes that a string may have; 256 where nothing is said.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u16>,
    /// The claim holds a keyed commitment instead of the value ([`super::Commitment`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub commit: bool,
    /// The value is personal data (GDPR Art. 4(1)) and may stand in clear for the accountable party only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub personal: bool,
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
