//! Who is still missing, in the words in which an agent is told.

use std::collections::BTreeMap;

use serde::Serialize;

use super::challenge::Challenge;
use crate::domain::attestation::AttestationName;
use crate::domain::role::RoleClass;
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Timestamp;

/// What a challenge still waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// At least so many more people must approve.
    pub approvals: u32,
    /// How many of them must hold which role.
    pub roles: BTreeMap<RoleClass, u32>,
    /// Who was named to be asked and has not answered; absent where anyone entitled may.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<SpiffeId>,
    /// What nobody who approved has attested.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attestations: Vec<AttestationName>,
    /// Until when.
    pub until: Timestamp,
}

impl Missing {
    /// What `challenge` waits for, going by the votes that counted.
    pub fn of(challenge: &Challenge) -> Self {
        let (draft, votes) = (challenge.draft(), challenge.votes());
        let mut roles = draft.requirement.roles.clone();
        for (class, open) in &mut roles {
            let holders = votes.iter().filter(|vote| vote.roles.contains(class)).count();
            *open = open.saturating_sub(u32::try_from(holders).unwrap_or(u32::MAX));
        }
        roles.retain(|_, open| *open > 0);
        let people = draft.requirement.required.saturating_sub(u32::try_from(votes.len()).unwrap_or(u32::MAX));
        let answered = |id: &SpiffeId| votes.iter().any(|vote| vote.principal() == id);
        let given = |name: &AttestationName| votes.iter().any(|vote| vote.attested.iter().any(|one| one == name));
        let attestations: Vec<_> = draft.view.attestations().keys().filter(|name| !given(name)).cloned().collect();
        let witness = u32::from(!attestations.is_empty());
        Self {
            // One person may hold several roles and attest everything: so many people at the least.
            approvals: roles.values().copied().fold(people, u32::max).max(witness),
            roles,
            approvers: draft.asked.iter().filter(|id| !answered(id)).cloned().collect(),
            attestations,
            until: challenge.expires_at(),
        }
    }
}
