//! The directories of a bundle: who may approve, and who operates which agent.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::overlay::values::Label;
use crate::domain::action::ActionName;
use crate::domain::catalogue::Tier;
use crate::domain::day::Day;
use crate::domain::id::{ConnectorId, PersonId, Sha256Digest, WorkspaceId};
use crate::domain::jose::present;
use crate::domain::spiffe::SpiffeId;

/// One identity that may approve. Several identities may be one person; that person counts once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approver {
    /// The person behind the identity.
    pub person: PersonId,
    /// The name for people who read.
    pub name: String,
    /// The roles of that person; every identity of a person has the same.
    pub roles: Vec<String>,
    /// The tiers that it may approve.
    pub tiers: Vec<Tier>,
    /// The acts that it may approve.
    pub acts: Vec<ActPattern>,
    /// The workspaces that it may approve in.
    pub workspaces: Vec<WorkspaceId>,
    /// The first day that it counts on, in UTC.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Day>,
    /// The last day that it counts on, in UTC.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Day>,
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
    /// What must vouch for it, and what it may reach.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// The platform that an agent is bound to. What is absent is not asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// The trust anchors that its SVID may chain to, each by the SHA-256 of its SubjectPublicKeyInfo.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub authorities: Option<BTreeSet<Sha256Digest>>,
    /// The connectors that it may call.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub connectors: Option<BTreeSet<ConnectorId>>,
    /// The longest lifetime of its SVID, in seconds.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub max_svid_seconds: Option<u64>,
}

impl Platform {
    /// What makes it a binding that nobody can keep, or that binds to nothing.
    pub(super) fn defect(&self) -> Option<&'static str> {
        match self {
            Self { authorities: None, connectors: None, max_svid_seconds: None } => Some("asks nothing"),
            Self { authorities: Some(list), .. } if list.is_empty() => Some("may have no authority"),
            Self { connectors: Some(list), .. } if list.is_empty() => Some("may reach no connector"),
            Self { max_svid_seconds: Some(0), .. } => Some("may have no SVID that lives"),
            _ => None,
        }
    }
}

/// Which acts: one by its name, a family that ends in `.*`, or all by `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ActPattern(String);

impl ActPattern {
    /// Whether the act is one of them.
    pub fn covers(&self, act: &ActionName) -> bool {
        match self.family() {
            Some(family) => act.as_str().starts_with(family),
            None => self.0 == act.as_str(),
        }
    }

    /// How the names of the acts begin, where it is more than one act.
    pub fn family(&self) -> Option<&str> {
        self.0.strip_suffix('*')
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
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

/// What the agents of a workspace may do beyond the usual. Its overlay is apart, in [`super::overlay`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workspace {
    /// Whether `leg` may be the claim itself; it is held against the template that it names.
    pub free_form_leg: bool,
    /// The team that it belongs to, one of `data.teams`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub team: Option<Label>,
}

/// Approvers and agents by identity.
#[derive(Debug, Clone, Default)]
pub(super) struct Directories {
    pub(super) approvers: BTreeMap<SpiffeId, Approver>,
    pub(super) agents: BTreeMap<SpiffeId, Agent>,
    pub(super) workspaces: BTreeMap<WorkspaceId, Workspace>,
}

impl Directories {
    /// The first approver whose entry contradicts itself or another one of the same person: who, in which member, how.
    pub(super) fn defect(&self) -> Option<(&SpiffeId, &'static str, String)> {
        let mut people: BTreeMap<&PersonId, (&SpiffeId, BTreeSet<&String>)> = BTreeMap::new();
        for (id, entry) in &self.approvers {
            if let (Some(from), Some(until)) = (&entry.valid_from, &entry.valid_until)
                && from > until
            {
                return Some((id, "valid_until", "its last day is before its first".to_owned()));
            }
            let roles: BTreeSet<_> = entry.roles.iter().collect();
            let (first, known) = people.entry(&entry.person).or_insert_with(|| (id, roles.clone()));
            if *known != roles {
                // Else it would matter through which of them a person approves, and adding one could take a role away.
                let what = format!("`{}` has other roles as `{first}`; roles are the person's", entry.person);
                return Some((id, "roles", what));
            }
        }
        None
    }

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
    use serde_json::json;

    use super::*;

    fn defect_of(changes: &[(&str, serde_json::Value)]) -> Option<(&'static str, String)> {
        let mut other = json!({"person": "alice", "name": "A", "roles": ["cfo", "finance"], "tiers": [], "acts": [],
            "workspaces": []});
        for (member, value) in changes {
            other[*member] = value.clone();
        }
        let approvers = json!({
            "spiffe://atb.dev/approver/alice": {"person": "alice", "name": "A", "roles": ["finance", "cfo"], "tiers": [],
                "acts": [], "workspaces": []},
            "spiffe://atb.dev/approver/alice-mobile": other,
        });
        let directories = Directories {
            approvers: serde_json::from_value(approvers).unwrap(),
            agents: BTreeMap::new(),
            workspaces: BTreeMap::new(),
        };
        directories.defect().map(|(_, member, what)| (member, what))
    }

    #[test]
    fn an_approvers_days_are_in_order_and_her_roles_are_hers_through_every_identity() {
        assert_eq!(defect_of(&[]), None);
        assert_eq!(defect_of(&[("valid_from", json!("2026-11-30")), ("valid_until", json!("2026-11-30"))]), None);
        let reversed = defect_of(&[("valid_from", json!("2026-12-01")), ("valid_until", json!("2026-11-30"))]);
        assert_eq!(reversed.unwrap().0, "valid_until");
        assert_eq!(defect_of(&[("roles", json!(["finance"]))]).unwrap().0, "roles");
        assert_eq!(defect_of(&[("roles", json!(["finance"])), ("person", json!("bob"))]), None);
    }

    #[test]
    fn a_day_is_one_of_the_calendar() {
        assert!(Day::try_from("2028-02-29".to_owned()).is_ok());
        for bad in
            ["", "2026-02-29", "2026-13-01", "2026-1-01", "20261-1-1", "2026-11-30T00:00:00Z", "1969-12-31", "soon"]
        {
            assert!(Day::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

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
