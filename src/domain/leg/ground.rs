//! A ground against the template that it names: what the broker asks of every mandate, and what a ground that an agent
//! wrote itself ("free form") must show in addition.
//!
//! A free-form ground may choose its own words where the template chooses words. It may not choose another basis, place,
//! party or retention, leave out what proves the basis, or name in clear what the template commits to.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::claim::{Leg, LegGround};
use super::commitment::Commitment;
use super::placeholder::{Part, parts, texts, whole};
use super::template::{LegTemplate, TemplateState, Templates};
use crate::domain::time::Timestamp;

/// Why a ground does not hold. The names are the policy's where the policy has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroundDefect {
    /// No such template, version or content.
    #[error("the ground names no legal template of the bundle in force")]
    TemplateUnknown,
    /// Before its first day or after its last.
    #[error("the legal template is not in force today")]
    TemplateExpired,
    /// Retired.
    #[error("the legal template was withdrawn; use its new version")]
    TemplateWithdrawn,
    /// The consent was withdrawn.
    #[error("the consent was withdrawn")]
    ConsentWithdrawn,
    /// Another basis than the template's.
    #[error("the basis is not the template's")]
    Basis,
    /// A place that the template does not list.
    #[error("the template does not hold in this jurisdiction")]
    Jurisdiction,
    /// A party that the template does not take.
    #[error("the accountable party's {0} is not one that the template takes")]
    AccountableParty(&'static str),
    /// An article of the template is not named.
    #[error("the ground must name the template's references")]
    References,
    /// Longer than the template allows, or not said.
    #[error("the ground must say how long data is kept, and no longer than the template")]
    Retention,
    /// What proves the basis is not there.
    #[error("the template asks for evidence here")]
    Evidence(String),
    /// A member that the template always has is not there.
    #[error("the template asks for this member")]
    Incomplete(String),
    /// A member that the template commits to stands in clear.
    #[error("the template asks for a keyed commitment here, never the value in clear")]
    InClear(String),
    /// A text that does not fit the template's variable.
    #[error("the text does not fit the template's pattern or length")]
    Text(String),
}

impl GroundDefect {
    /// The reason's name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TemplateUnknown => "leg_template_unknown",
            Self::TemplateExpired => "leg_template_expired",
            Self::TemplateWithdrawn => "leg_template_withdrawn",
            Self::ConsentWithdrawn => "consent_withdrawn",
            Self::Basis => "leg_basis",
            Self::Jurisdiction => "leg_jurisdiction",
            Self::AccountableParty(_) => "leg_accountable_party",
            Self::References => "leg_references",
            Self::Retention => "leg_retention",
            Self::Evidence(_) => "leg_evidence_missing",
            Self::Incomplete(_) => "leg_incomplete",
            Self::InClear(_) => "leg_value_in_clear",
            Self::Text(_) => "leg_text",
        }
    }

    /// RFC 6901 pointer into the claim.
    pub fn pointer(&self) -> &str {
        match self {
            Self::TemplateUnknown | Self::TemplateExpired | Self::TemplateWithdrawn => "/template",
            Self::ConsentWithdrawn => "/ref",
            Self::Basis => "/basis",
            Self::Jurisdiction => "/jurisdiction",
            Self::AccountableParty(_) => "/accountable_party",
            Self::References => "/regulation_refs",
            Self::Retention => "/retention_days",
            Self::Evidence(at) | Self::Incomplete(at) | Self::InClear(at) | Self::Text(at) => at,
        }
    }
}

impl Templates {
    /// The template that a ground names, if it is exactly one of these, in force at `now`, and takes this basis, place and
    /// accountable party.
    ///
    /// # Errors
    /// The first of these that is not so.
    pub fn holds(&self, leg: &Leg, now: Timestamp) -> Result<&LegTemplate, GroundDefect> {
        let found = self.get(&leg.template.id).filter(|template| template.reference() == leg.template);
        let template = found.ok_or(GroundDefect::TemplateUnknown)?;
        match template.state_at(now) {
            TemplateState::InForce => {}
            TemplateState::Withdrawn => return Err(GroundDefect::TemplateWithdrawn),
            TemplateState::NotYet | TemplateState::Expired => return Err(GroundDefect::TemplateExpired),
        }
        if template.basis() != leg.basis {
            return Err(GroundDefect::Basis);
        }
        if !template.document().jurisdictions.contains(&leg.jurisdiction) {
            return Err(GroundDefect::Jurisdiction);
        }
        template.accountable(&leg.accountable_party).map_err(GroundDefect::AccountableParty)?;
        Ok(template)
    }

    /// Whether a free-form ground may stand: [`Templates::holds`], and everything that the template would have put in.
    ///
    /// # Errors
    /// The first defect, with its place in the claim.
    pub fn admit(&self, ground: &LegGround, now: Timestamp) -> Result<(), GroundDefect> {
        self.holds(ground.as_leg(), now)?.admits(ground)
    }
}

impl LegTemplate {
    fn admits(&self, ground: &LegGround) -> Result<(), GroundDefect> {
        let (document, leg, claim) = (self.document(), ground.as_leg(), ground.to_value());
        let mut given = BTreeMap::new();
        let mut defect = None;
        for (name, member) in &document.claim {
            texts(member, &format!("/{name}"), &mut |pointer, text| {
                if let Err(found) = self.member(&claim, &pointer, text, &mut given) {
                    defect.get_or_insert(found);
                }
            });
        }
        if let Some(defect) = defect {
            return Err(defect);
        }
        if leg.retention_days.is_none_or(|days| days > document.retention_days) {
            return Err(GroundDefect::Retention);
        }
        let named: BTreeSet<&str> = leg.regulation_refs.iter().flatten().map(|text| text.as_str()).collect();
        let asked = document.references.iter().filter_map(|text| match whole(text.as_str()) {
            Some(variable) => given.get(variable).copied(),
            None => (!text.as_str().contains("{{")).then_some(text.as_str()),
        });
        if asked.into_iter().all(|text| named.contains(text)) && !named.is_empty() {
            return Ok(());
        }
        Err(GroundDefect::References)
    }

    /// One text of the template's claim against the ground's at the same place.
    fn member<'c>(
        &self,
        claim: &'c Value,
        pointer: &str,
        text: &str,
        given: &mut BTreeMap<String, &'c str>,
    ) -> Result<(), GroundDefect> {
        let found = claim.pointer(pointer).and_then(Value::as_str);
        let used = parts(text).unwrap_or_default();
        let names = used.iter().filter_map(|part| if let Part::Variable(name) = part { Some(*name) } else { None });
        let variables: Vec<_> = names.filter_map(|name| Some((name, self.document().variables.get(name)?))).collect();
        let Some(found) = found else {
            let proves = |name: &str| self.document().evidence.iter().any(|rule| rule.variable == name);
            if variables.iter().any(|(name, _)| proves(name)) {
                return Err(GroundDefect::Evidence(pointer.to_owned()));
            }
            // A member that an optional variable fills may be absent from a bound ground too.
            let always = variables.iter().all(|(_, variable)| variable.required);
            return if always { Err(GroundDefect::Incomplete(pointer.to_owned())) } else { Ok(()) };
        };
        let (Some(name), Some((_, variable))) = (whole(text), variables.first()) else { return Ok(()) };
        given.insert(name.to_owned(), found);
        if variable.commit {
            return match found.parse::<Commitment>() {
                Ok(_) => Ok(()),
                Err(_) => Err(GroundDefect::InClear(pointer.to_owned())),
            };
        }
        if self.fits(name, variable, found) { Ok(()) } else { Err(GroundDefect::Text(pointer.to_owned())) }
    }
}
