//! What tightens the rules by environment, team and workspace, and the calendars, freezes and rates that it uses.
//!
//! The rules take the strictest of base, environment, team and workspace, member by member, without asking whether a
//! member is sound. So what stands here is relied on. INVARIANT: an overlay only tightens; a pattern of acts matches an
//! act of the catalogue; a name of a team, calendar, workspace or parameter is one that exists; every value is one that
//! the rules can use ([`values`]); an act that may go without a mandate is a read of tier low.
//!
//! The typed form is for checks and tools; the rules read the data as written.

pub mod risk;
mod tighten;
pub mod values;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::data::Data;
use super::directory::{ActPattern, Directories, Workspace};
use super::finding::{BundleError, Finding};
use super::{typed, typed_or_empty};
use crate::domain::action::ActionName;
use crate::domain::catalogue::{Catalogue, Tier};
use crate::domain::id::WorkspaceId;
use crate::domain::json::{self, Object};
use crate::domain::policy::{Environment, RiskScore};
use crate::domain::role::RoleClass;

use risk::RiskTable;
use values::{Calendar, Instant, Label, LinearPattern, PathPrefix, Reason, Window};

/// What one environment or workspace asks beyond the base.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Overlay {
    /// Acts that are not allowed here at all.
    pub denied: Vec<ActPattern>,
    /// Narrower bounds of parameters, in the operators of the catalogue's `limits`.
    pub limits: BTreeMap<ActionName, Object>,
    /// More approvals, by tier.
    pub approvals: BTreeMap<Tier, MoreApprovals>,
    /// Rates beside the base's.
    pub rates: Vec<Rate>,
    /// When acts may run.
    #[serde(deserialize_with = "crate::domain::jose::present", skip_serializing_if = "Option::is_none")]
    pub hours: Option<OpenHours>,
    /// Paths that no call may reach.
    pub sensitive_paths: Vec<PathPrefix>,
    /// Values that no parameter may have.
    pub restricted: Vec<Restricted>,
    /// Above which risk one more approval is asked.
    #[serde(deserialize_with = "crate::domain::jose::present", skip_serializing_if = "Option::is_none")]
    pub risk_threshold: Option<RiskScore>,
}

/// More approvals than a tier asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoreApprovals {
    /// Distinct people, not fewer than the tier's.
    #[serde(default, deserialize_with = "crate::domain::jose::present", skip_serializing_if = "Option::is_none")]
    pub approvals: Option<u32>,
    /// How many of them must have a role of each class, not fewer than the tier's.
    #[serde(default)]
    pub roles: BTreeMap<RoleClass, u32>,
}

/// At most so many allowed calls in a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Of which acts.
    pub acts: Vec<ActPattern>,
    /// Counted by what.
    pub per: Per,
    /// In how many seconds.
    pub window: Window,
    /// How many.
    pub max: u32,
}

/// What a rate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Every call of an agent.
    Agent,
    /// An agent's calls of one act.
    Act,
    /// A workspace's calls of one act.
    Workspace,
}

/// Acts that run in the hours of a calendar only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenHours {
    /// Which acts.
    pub acts: Vec<ActPattern>,
    /// Whose hours.
    pub calendar: Label,
}

/// Values that are not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restricted {
    /// Of which acts.
    pub acts: Vec<ActPattern>,
    /// Of which parameter; `*` for each.
    pub parameter: String,
    /// What a value may not match.
    pub pattern: LinearPattern,
}

/// What a team asks in all its workspaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Team {
    /// Above which risk one more approval is asked.
    pub risk_threshold: RiskScore,
}

/// A time in which acts do not run (a freeze), or the only one in which they do (maintenance).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// From this instant.
    pub from: Instant,
    /// Until before this one.
    pub until: Instant,
    /// Which acts.
    pub acts: Vec<ActPattern>,
    /// In which workspaces; `*` for each.
    pub workspaces: Vec<Where>,
    /// Why.
    pub reason: Reason,
}

/// A workspace, or all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Where {
    /// Every workspace.
    Everywhere,
    /// One.
    In(WorkspaceId),
}

impl TryFrom<String> for Where {
    type Error = crate::domain::id::IdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "*" { Ok(Self::Everywhere) } else { text.parse().map(Self::In) }
    }
}

impl From<Where> for String {
    fn from(place: Where) -> Self {
        match place {
            Where::Everywhere => "*".to_owned(),
            Where::In(workspace) => workspace.to_string(),
        }
    }
}

/// Reads that may go without a mandate where the configuration allows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LowRiskAllowlist {
    /// By act; `false` is as if it were not there.
    #[serde(default)]
    pub acts: BTreeMap<ActionName, bool>,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overlays {
    /// `data.environments`.
    pub environments: BTreeMap<Environment, Overlay>,
    /// The overlays in `data.workspaces`.
    pub workspaces: BTreeMap<WorkspaceId, Overlay>,
    /// `data.teams`.
    pub teams: BTreeMap<Label, Team>,
    /// `data.calendars`.
    pub calendars: BTreeMap<Label, Calendar>,
    /// `data.freezes`.
    pub freezes: BTreeMap<Label, Period>,
    /// `data.maintenance`.
    pub maintenance: BTreeMap<Label, Period>,
    /// `data.rates`.
    pub rates: Vec<Rate>,
    /// `data.low_risk_allowlist`.
    pub low_risk: LowRiskAllowlist,
    /// `data.risk`; without it nothing asks for more approvals by risk.
    pub risk: Option<RiskTable>,
}

impl Overlays {
    /// Whether a call of this act may go without a mandate, where the configuration allows any.
    pub(super) fn is_low_risk(&self, act: &ActionName, catalogue: &Catalogue) -> bool {
        let harmless = || catalogue.find(act).is_some_and(|entry| values::is_harmless(entry.tier, entry.reversibility));
        self.low_risk.acts.get(act) == Some(&true) && harmless()
    }

    /// Reads everything, and holds it against the catalogue, the tiers and the directories.
    pub(super) fn parse(data: &Data, catalogue: &Catalogue, directories: &Directories) -> Result<Self, BundleError> {
        let overlays = Self {
            environments: typed_or_empty(data, "environments")?,
            workspaces: overlays_of_workspaces(data)?,
            teams: typed_or_empty(data, "teams")?,
            calendars: typed_or_empty(data, "calendars")?,
            freezes: typed_or_empty(data, "freezes")?,
            maintenance: typed_or_empty(data, "maintenance")?,
            rates: typed_or_empty(data, "rates")?,
            low_risk: typed_or_empty(data, "low_risk_allowlist")?,
            risk: data.member("risk").map(|_| typed(data, "risk")).transpose()?,
        };
        let findings = tighten::findings(&overlays, data, catalogue, directories)?;
        if findings.is_empty() { Ok(overlays) } else { Err(BundleError::new(findings)) }
    }
}

/// `data.workspaces` without the overlays: what `directory` knows of them.
pub(super) fn workspaces(data: &Data) -> Result<BTreeMap<WorkspaceId, Workspace>, BundleError> {
    let own = |name: &str| MEMBERS_OF_WORKSPACES.contains(&name);
    of_workspaces(data, own)
}

fn overlays_of_workspaces(data: &Data) -> Result<BTreeMap<WorkspaceId, Overlay>, BundleError> {
    let others = |name: &str| !MEMBERS_OF_WORKSPACES.contains(&name);
    of_workspaces(data, others)
}

/// The members of a workspace that are not an overlay's.
const MEMBERS_OF_WORKSPACES: [&str; 2] = ["free_form_leg", "team"];

/// Each workspace's members of one kind.
fn of_workspaces<T: serde::de::DeserializeOwned>(
    data: &Data,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<BTreeMap<WorkspaceId, T>, BundleError> {
    const ROOT: &str = "workspaces";
    let mut all = data.member(ROOT).cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    for members in all.as_object_mut().into_iter().flat_map(|all| all.values_mut()).filter_map(Value::as_object_mut) {
        members.retain(|name, _| is_wanted(name));
    }
    json::read(all).map_err(|e| {
        let what = format!("`{}` at `{}` in data.{ROOT}", e.detail.replace('`', "'"), e.pointer);
        Finding::new(data.place(ROOT, &e.pointer), what, "correct the entry").into()
    })
}

#[cfg(test)]
mod tests;
