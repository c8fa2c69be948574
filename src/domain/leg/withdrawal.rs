//! Withdrawal: a template's version or a consent that no act may rest on any more.
//!
//! Final. What was withdrawn stays so; a new version of the template, or a consent under a new reference, is the way
//! back. Who may withdraw and where it is kept is not said here.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::claim::{Basis, Leg};
use super::ground::GroundDefect;
use crate::domain::id::TemplateId;
use crate::domain::spiffe::SpiffeId;
use crate::domain::text::PlainText;
use crate::domain::time::Timestamp;

/// One version of one template, `id@version`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TemplateVersion {
    /// The template.
    pub id: TemplateId,
    /// Its version.
    pub version: PlainText,
}

/// A text that names no version of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `id@version`, for example `consent@1.0.0`")]
pub struct TemplateVersionError;

impl FromStr for TemplateVersion {
    type Err = TemplateVersionError;

    fn from_str(text: &str) -> Result<Self, TemplateVersionError> {
        let (id, version) = text.split_once('@').ok_or(TemplateVersionError)?;
        let id = id.parse().map_err(|_| TemplateVersionError)?;
        Ok(Self { id, version: version.parse().map_err(|_| TemplateVersionError)? })
    }
}

impl TryFrom<String> for TemplateVersion {
    type Error = TemplateVersionError;

    fn try_from(text: String) -> Result<Self, TemplateVersionError> {
        text.parse()
    }
}

impl From<TemplateVersion> for String {
    fn from(version: TemplateVersion) -> Self {
        version.to_string()
    }
}

impl fmt::Display for TemplateVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.version)
    }
}

/// What is withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withdrawn {
    /// One version of one template.
    Template(TemplateVersion),
    /// The consent of that reference: the `ref` of grounds with the basis CONSENT, as it stands in the claim.
    ConsentRef(PlainText),
}

impl Withdrawn {
    /// Why a ground that rests on it is refused.
    pub fn defect(&self) -> GroundDefect {
        match self {
            Self::Template(_) => GroundDefect::TemplateWithdrawn,
            Self::ConsentRef(_) => GroundDefect::ConsentWithdrawn,
        }
    }
}

/// One withdrawal, as it is answered, listed and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// What.
    #[serde(flatten)]
    pub what: Withdrawn,
    /// Why, in the officer's words.
    pub reason: PlainText,
    /// Who.
    pub withdrawn_by: SpiffeId,
    /// When.
    pub withdrawn_at: Timestamp,
}

/// All withdrawals, to be asked on every call.
#[derive(Debug, Clone, Default)]
pub struct Withdrawals {
    templates: BTreeMap<(String, String), Withdrawal>,
    consents: BTreeMap<String, Withdrawal>,
}

impl Withdrawals {
    /// Adds one. The first of a template's version or consent stands.
    pub fn add(&mut self, withdrawal: Withdrawal) {
        match &withdrawal.what {
            Withdrawn::Template(TemplateVersion { id, version }) => {
                self.templates.entry((id.to_string(), version.to_string())).or_insert(withdrawal);
            }
            Withdrawn::ConsentRef(reference) => {
                self.consents.entry(reference.to_string()).or_insert(withdrawal);
            }
        }
    }

    /// The withdrawal of `what`.
    pub fn find(&self, what: &Withdrawn) -> Option<&Withdrawal> {
        match what {
            Withdrawn::Template(TemplateVersion { id, version }) => {
                self.templates.get(&(id.to_string(), version.to_string()))
            }
            Withdrawn::ConsentRef(reference) => self.consents.get(reference.as_str()),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.templates.len() + self.consents.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty() && self.consents.is_empty()
    }

    /// Templates by name, then consents by reference.
    pub fn iter(&self) -> impl Iterator<Item = &Withdrawal> {
        self.templates.values().chain(self.consents.values())
    }

    /// What the ground rests on and is withdrawn.
    pub fn of(&self, leg: &Leg) -> Option<&Withdrawal> {
        let template = || {
            let key = (leg.template.id.to_string(), leg.template.version.to_string());
            self.templates.get(&key)
        };
        // Nothing is built for a look-up where nothing is withdrawn, the usual case.
        let template = if self.templates.is_empty() { None } else { template() };
        template.or_else(|| match leg.basis {
            Basis::Consent => self.consents.get(leg.reference.as_str()),
            _ => None,
        })
    }
}
