//! `data.risk`: the points that a decision's risk is made of, and above which sum one more approval is asked.
//!
//! The policy's short way adds the points of tier, class of data, reversibility and environment without a look at the
//! bound of 100 and finds them by the names that the catalogue uses; so every name must be there, and the highest of
//! them must not pass 100 together. What the sum is compared with and who is asked then is the policy's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::values::{Calendar, Label};
use crate::domain::policy::RiskScore;

/// The members of `base`, each with the names that it must have.
const BASE: [(&str, &[&str]); 4] = [
    ("tier", &["low", "medium", "high", "critical"]),
    ("data_class", &["public", "internal", "confidential", "personal", "sensitive"]),
    ("reversibility", &["read_only", "reversible", "externally_reversible", "irreversible"]),
    ("environment", &["production", "staging", "development"]),
];

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskTable {
    /// Above which score one more approval is asked; 100 asks for none.
    pub threshold: RiskScore,
    /// From which share of a limit on an amount is close to it.
    pub near_limit_percent: RiskScore,
    /// What act and environment bring, whatever the call: by kind and name.
    pub base: BTreeMap<String, BTreeMap<String, Part>>,
    /// What a call may add.
    pub points: Points,
    /// Outside of whose hours a call adds `points.outside_hours`.
    #[serde(default, deserialize_with = "crate::domain::jose::present", skip_serializing_if = "Option::is_none")]
    pub calendar: Option<Label>,
}

/// One part of the score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// As the decision shows it: `kind:name`.
    pub factor: String,
    /// How much; never below zero, so that nothing makes up for another.
    pub points: RiskScore,
}

/// What a call may add to the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Points {
    /// For each amount close to its limit.
    pub near_limit: RiskScore,
    /// Outside of the calendar's hours.
    pub outside_hours: RiskScore,
    /// For each privileged value.
    pub privileged_target: RiskScore,
}

impl RiskTable {
    /// What the policy could not add up, each with its pointer into the document.
    pub(super) fn defects(&self, calendars: &BTreeMap<Label, Calendar>) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> =
            BASE.iter().flat_map(|(kind, names)| self.of_kind(kind, names)).collect();
        found.extend(
            self.base
                .keys()
                .filter(|kind| !BASE.iter().any(|(known, _)| known == kind))
                .map(|kind| (format!("/base/{kind}"), "nothing reads points of this kind".to_owned())),
        );
        let highest = |rows: &BTreeMap<String, Part>| rows.values().map(|part| u64::from(part.points)).max();
        let most: u64 = self.base.values().filter_map(highest).sum();
        if most > u64::from(RiskScore::MAX) {
            found.push((
                "/base".to_owned(),
                format!("the highest points add up to {most}, more than {}", RiskScore::MAX),
            ));
        }
        if self.near_limit_percent.as_u8() == 0 {
            found.push(("/near_limit_percent".to_owned(), "0 percent of a limit is no share of it".to_owned()));
        }
        if let Some(name) = self.calendar.as_ref().filter(|name| !calendars.contains_key(*name)) {
            found.push(("/calendar".to_owned(), format!("there is no calendar `{}`", name.as_str())));
        }
        found
    }

    fn of_kind(&self, kind: &str, names: &[&str]) -> Vec<(String, String)> {
        let empty = BTreeMap::new();
        let rows = self.base.get(kind).unwrap_or(&empty);
        let at = |name: &str| format!("/base/{kind}/{name}");
        let absent = names.iter().filter(|name| !rows.contains_key(**name));
        let mut found: Vec<_> = absent.map(|name| (at(name), "these points are missing".to_owned())).collect();
        for (name, part) in rows {
            if !names.contains(&name.as_str()) {
                found.push((at(name), "nothing has this name".to_owned()));
            } else if part.factor != format!("{kind}:{name}") {
                found.push((format!("{}/factor", at(name)), format!("the factor of these points is `{kind}:{name}`")));
            }
        }
        found
    }
}
