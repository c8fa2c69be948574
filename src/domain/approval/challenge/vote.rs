//! One approval of a challenge: how it is kept, whether a mandate can carry it, and how it stands in one.

use serde::{Deserialize, Serialize};

use super::{Challenge, ChallengeDraft};
use crate::domain::approval::delegation::OutOfScope;
use crate::domain::approval::statement::VerifiedStatement;
use crate::domain::attestation::Attested;
use crate::domain::id::{DelegationId, PersonId};
use crate::domain::jose::present;
use crate::domain::leg::{ApprovalClaim, Approvals, ApproverKind, DualControlApprover};
use crate::domain::mandate::MAX_MANDATE_BYTES;
use crate::domain::policy::{ApprovalFact, CountedApproval, OnBehalfOf};
use crate::domain::role::RoleClass;
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Timestamp;

/// One approval that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// The identity that signed.
    pub approver: SpiffeId,
    /// The person behind it when it was counted.
    pub person: PersonId,
    /// The classes of roles that it brought when it was counted.
    pub roles: Vec<RoleClass>,
    /// The statement's `iat`.
    pub approved_at: Timestamp,
    /// The statement.
    pub statement: String,
    /// Whom the approver stood in for.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub stood_in_for: Option<StoodInFor>,
    /// What the approver attested.
    #[serde(default, skip_serializing_if = "Attested::is_empty")]
    pub attested: Attested,
}

/// Whom an approver stood in for when her approval was counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoodInFor {
    /// The delegator and the scope.
    pub on_behalf_of: OnBehalfOf,
    /// The person behind the delegator.
    pub person: PersonId,
    /// The delegation's `jti`.
    pub delegation: DelegationId,
}

impl Vote {
    /// In whose name it was given: the delegator's, or the approver's own.
    pub fn principal(&self) -> &SpiffeId {
        self.stood_in_for.as_ref().map_or(&self.approver, |other| &other.on_behalf_of.id)
    }

    /// The identities that this approval used up: who signed, and in whose name.
    pub(super) fn identities(&self) -> impl Iterator<Item = &SpiffeId> {
        std::iter::once(&self.approver).chain(self.stood_in_for.iter().map(|other| &other.on_behalf_of.id))
    }

    /// The people that this approval used up.
    pub fn people(&self) -> impl Iterator<Item = &PersonId> {
        std::iter::once(&self.person).chain(self.stood_in_for.iter().map(|other| &other.person))
    }

    /// The approval as the policy is told of it.
    pub fn fact(&self) -> ApprovalFact {
        ApprovalFact {
            id: self.approver.clone(),
            approved_at: self.approved_at.as_secs(),
            on_behalf_of: self.stood_in_for.as_ref().map(|other| other.on_behalf_of.clone()),
            attestations: self.attested.clone(),
        }
    }
}

/// Why a genuine statement does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VoteRefused {
    /// The policy does not count it; the text is the policy's reason.
    #[error("{0}")]
    NotCounted(String),
    /// Others were named to be asked.
    #[error("approver_not_asked")]
    NotAsked,
    /// This identity is used up already: by a statement of its own, or by somebody who stood in for it.
    #[error("approver_already_counted")]
    AlreadyCounted,
    /// What is asked lies outside the delegation.
    #[error(transparent)]
    OutOfScope(#[from] OutOfScope),
    /// The policy counts the delegate without a word on whom she stands in for: it does not know delegations.
    #[error("delegation_not_assessed")]
    NotAssessed,
    /// The mandate could not carry this statement beside the others that it needs; a delegation by its leaf alone, or
    /// of fewer acts, is shorter.
    #[error("statement_too_long")]
    TooLong,
}

/// The vote that a statement is, as the policy counted it.
pub(super) fn vote(statement: &VerifiedStatement, counted: &CountedApproval) -> Result<Vote, VoteRefused> {
    let stood_in_for = match (statement.delegation(), &counted.on_behalf_of) {
        (None, None) => None,
        (Some(delegation), Some(person)) => Some(StoodInFor {
            on_behalf_of: delegation.on_behalf_of(),
            person: person.clone(),
            delegation: delegation.claims().jti,
        }),
        _ => return Err(VoteRefused::NotAssessed),
    };
    Ok(Vote {
        approver: statement.approver().clone(),
        person: counted.person.clone(),
        roles: counted.roles.clone(),
        approved_at: statement.approved_at(),
        statement: statement.as_jws().to_owned(),
        stood_in_for,
        attested: statement.claims().att.clone(),
    })
}

/// Whether a mandate by `issuer` of at most [`MAX_MANDATE_BYTES`] can carry this vote beside those before it and those
/// still missing: an approval that could not be carried is refused when it is given, not when the mandate is to be minted.
pub(super) fn has_room(challenge: &Challenge, vote: &Vote, issuer: &SpiffeId) -> bool {
    let (draft, room) = (&challenge.draft, room(&challenge.draft, issuer));
    let votes: usize = challenge.votes.iter().chain([vote]).map(carried).fold(0, usize::saturating_add);
    let required = usize::try_from(draft.requirement.required.max(1)).unwrap_or(usize::MAX);
    let missing = required.saturating_sub(challenge.votes.len()).saturating_sub(1);
    votes.saturating_add(missing.saturating_mul(kept(room, required))) <= room
}

/// The bytes that the votes of a mandate may have together.
fn room(draft: &ChallengeDraft, issuer: &SpiffeId) -> usize {
    // Header, signature and dots, times, `jti`, `tier`, and the names of members; base64url makes four of three bytes.
    const ENVELOPE: usize = 384;
    let names = draft.aud.iter().chain([issuer]).map(|id| id.as_str().len().saturating_add(3)).sum::<usize>();
    let asked = draft.ask.to_value().to_string().len().saturating_add(draft.pol.as_str().len());
    (MAX_MANDATE_BYTES / 4 * 3).saturating_sub(names).saturating_sub(asked).saturating_sub(ENVELOPE)
}

/// The bytes that are kept for a vote still missing: those of a statement in one's own name with leaf and intermediate,
/// or its share where there is not so much.
fn kept(room: usize, required: usize) -> usize {
    const OWN: usize = 3 * 1024;
    OWN.min(room.checked_div(required).unwrap_or_default())
}

/// The bytes of a vote in `leg.dual_control.approvers`.
fn carried(vote: &Vote) -> usize {
    const MEMBERS: usize = 96;
    vote.statement.len().saturating_add(vote.approver.as_str().len()).saturating_add(MEMBERS)
}

/// The approvals of a `leg`: one alone, or two and more under dual control.
pub(super) fn approvals(votes: &[Vote], dual: bool) -> Approvals {
    match votes {
        [] => Approvals::None,
        [vote] if !dual => Approvals::Single(ApprovalClaim {
            approver_id: vote.approver.clone(),
            approved_at: vote.approved_at,
            statement: vote.statement.clone(),
        }),
        votes => Approvals::Dual(votes.iter().map(dual_control_approver).collect()),
    }
}

fn dual_control_approver(vote: &Vote) -> DualControlApprover {
    DualControlApprover {
        id: vote.approver.clone(),
        kind: if vote.roles.iter().any(RoleClass::is_executive) {
            ApproverKind::Executive
        } else {
            ApproverKind::Approver
        },
        approved_at: vote.approved_at,
        statement: vote.statement.clone(),
    }
}

#[cfg(test)]
#[path = "vote_tests.rs"]
mod tests;
