//! The directories of a bundle: who may approve, and who operates which agent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::action::ActionName;
use crate::domain::catalogue::Tier;
use crate::domain::id::{PersonId, WorkspaceId};
use crate::domain::spiffe::SpiffeId;

/// One identity that may approve. Several identities may be one person; that person counts once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approver {
    /// The person behind the identity.
    pub person: PersonId,
    /// The name for people who read.
    pub name: String,
    /// The roles of that person.
    pub roles: Vec<String>,
    /// The tiers that it may approve.
    pub tiers: Vec<Tier>,
    /// The acts that it may approve.
    pub acts: Vec<ActPattern>,
    /// The workspaces that it may approve in.
    pub workspaces: Vec<WorkspaceId>,
}

/// One agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// The person who operates it and therefore cannot approve for it.
    pub operator: PersonId,
    /// Where it belongs.
    pub workspace: WorkspaceId,
    /// The name for people who read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Which acts: one by its name, a family that ends in `.*`, or all by `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ActPattern(String);

impl ActPattern {
    /// Whether the act is one of them.
    pub fn covers(&self, act: &ActionName) -> bool {
        match self.0.strip_suffix('*') {
            Some(family) => act.as_str().starts_with(family),
            None => self.0 == act.as_str(),
        }
    }
}

impl TryFrom<String> for ActPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let family = text.strip_suffix(".*").is_some_and(|f| format!("{f}.x").parse::<ActionName>().is_ok());
        if text == "*" || family || text.parse::<ActionName>().is_ok() {
            return Ok(Self(text));
        }
        Err(format!("`{}` is not an act, a family such as `erp.*`, or `*`", text.chars().take(80).collect::<String>()))
    }
}

impl From<ActPattern> for String {
    fn from(pattern: ActPattern) -> Self {
        pattern.0
    }
}

/// What the agents of a workspace may do beyond the usual.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workspace {
    /// Whether `leg` may be the claim itself; it is held against the template that it names.
    pub free_form_leg: bool,
}

/// Approvers and agents by identity.
#[derive(Debug, Clone, Default)]
pub(super) struct Directories {
    pub(super) approvers: BTreeMap<SpiffeId, Approver>,
    pub(super) agents: BTreeMap<SpiffeId, Agent>,
    pub(super) workspaces: BTreeMap<WorkspaceId, Workspace>,
}

impl Directories {
    /// An agent's workspace; an approver's if there is exactly one; `default` otherwise.
    pub(super) fn workspace_of(&self, id: &SpiffeId) -> WorkspaceId {
        let of_approver = || match self.approvers.get(id)?.workspaces.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        };
        self.agents.get(id).map(|agent| agent.workspace.clone()).or_else(of_approver).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_an_act_a_family_or_all() {
        let covers =
            |pattern: &str, act: &str| ActPattern::try_from(pattern.to_owned()).unwrap().covers(&act.parse().unwrap());
        assert!(
            covers("*", "erp.order.read")
                && covers("erp.*", "erp.order.read")
                && covers("erp.order.read", "erp.order.read")
        );
        assert!(!covers("erp.*", "erpx.order.read") && !covers("erp.order", "erp.order.read"));
        for bad in ["", "erp*", "*.read", "ERP.*", "erp.", "erp.*.read", "**"] {
            assert!(ActPattern::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
