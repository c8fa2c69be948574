//! The challenge: pending → approved → redeemed, or rejected, expired, or withdrawn.
//!
//! Transitions consume the state that they leave. Who counts is the policy's answer and handed in as an [`Assessment`];
//! that a statement is genuine is proven by its type. Two approvals of one person never count twice, whatever order they
//! arrive in, because the assessment is always taken over all statements together.

mod life;
mod state;
mod vote;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ask::Ask;
use super::statement::VerifiedStatement;
use super::view::View;
use crate::domain::action::{CallRequest, RequestBinding};
use crate::domain::catalogue::Tier;
use crate::domain::id::{ChallengeId, Jti, Revision, WorkspaceId};
use crate::domain::jose::present;
use crate::domain::json::Object;
use crate::domain::leg::Approvals;
use crate::domain::policy::{ApprovalFact, Assessment, CountedApproval, Requirement};
use crate::domain::spiffe::SpiffeId;
use crate::domain::text::PlainText;
use crate::domain::time::Timestamp;

pub use life::{EndedChallenge, MAX_REASKS, ReaskOf, ReaskRefused};
pub use state::{ChallengeClosed, ChallengeState};
pub use vote::{StoodInFor, Vote, VoteRefused};
use vote::{approvals, has_room, vote};

/// The call in clear, for the people who decide; its digest stands in the ask's `req`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallView {
    /// Where it goes.
    pub binding: RequestBinding,
    /// With which parameters.
    pub params: Object,
}

impl From<&CallRequest> for CallView {
    fn from(call: &CallRequest) -> Self {
        Self { binding: call.binding(), params: call.params.clone() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
enum State {
    Pending,
    Approved { at: Timestamp },
    Rejected { at: Timestamp, by: SpiffeId, reason: PlainText },
    Expired { at: Timestamp },
    Withdrawn { at: Timestamp, reason: PlainText },
    Redeemed { at: Timestamp, jti: Jti },
}

/// What a challenge is opened with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChallengeDraft {
    /// What is asked and signed.
    pub ask: Ask,
    /// The call in clear, where the ask is tied to one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub call: Option<CallView>,
    /// What approvers are shown and sign; kept as it was shown.
    pub view: View,
    /// The agent's workspace.
    pub workspace: WorkspaceId,
    /// The act's tier.
    pub tier: Tier,
    /// The brokers that the mandate will be for.
    pub aud: Vec<SpiffeId>,
    /// Who must agree.
    pub requirement: Requirement,
    /// Whether two people were asked for whatever the tier.
    pub requires_dual_control: bool,
    /// Who was named to be asked; empty means anyone entitled.
    pub asked: Vec<SpiffeId>,
    /// The bundle that let it be opened.
    pub pol: Revision,
    /// Whether the ground was given in full and not by template. Asked again, it must be allowed again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub free_form_leg: bool,
    /// Which challenge this one asks again for.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub reask_of: Option<ReaskOf>,
}

/// A request for a mandate that waits, waited, or is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    id: ChallengeId,
    draft: ChallengeDraft,
    created_at: Timestamp,
    expires_at: Timestamp,
    votes: Vec<Vote>,
    state: State,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    reasked_as: Option<ChallengeId>,
}

/// A challenge with one more approval.
#[derive(Debug)]
pub enum Voted {
    /// Others are still missing.
    Pending(Challenge),
    /// Nobody is missing.
    Approved(Challenge),
}

impl Voted {
    /// The challenge in its new state.
    pub fn into_challenge(self) -> Challenge {
        match self {
            Self::Pending(challenge) | Self::Approved(challenge) => challenge,
        }
    }
}

impl Challenge {
    /// Opens a challenge.
    pub fn open(id: ChallengeId, draft: ChallengeDraft, now: Timestamp) -> Self {
        let expires_at = now.truncate_to_secs().plus(Duration::from_secs(draft.requirement.challenge_seconds));
        Self { id, draft, created_at: now, expires_at, votes: Vec::new(), state: State::Pending, reasked_as: None }
    }

    /// Its id.
    pub fn id(&self) -> ChallengeId {
        self.id
    }

    /// What it was opened with.
    pub fn draft(&self) -> &ChallengeDraft {
        &self.draft
    }

    /// What is asked.
    pub fn ask(&self) -> &Ask {
        &self.draft.ask
    }

    /// The agent that asked.
    pub fn agent(&self) -> &SpiffeId {
        &self.draft.ask.sub
    }

    /// When it was opened.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// When it stops waiting.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The approvals that count.
    pub fn votes(&self) -> &[Vote] {
        &self.votes
    }

    /// Where it stands as stored; time may have run out since.
    pub fn state(&self) -> ChallengeState {
        match self.state {
            State::Pending => ChallengeState::Pending,
            State::Approved { .. } => ChallengeState::Approved,
            State::Rejected { .. } => ChallengeState::Rejected,
            State::Expired { .. } => ChallengeState::Expired,
            State::Withdrawn { .. } => ChallengeState::Withdrawn,
            State::Redeemed { .. } => ChallengeState::Redeemed,
        }
    }

    /// Whether its time has run out while it was still open.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Pending | State::Approved { .. }) && now >= self.expires_at
    }

    /// The challenge as one that can be voted on.
    ///
    /// # Errors
    /// When it waits for nobody any more.
    pub fn pending(self, now: Timestamp) -> Result<PendingChallenge, ChallengeClosed> {
        match self.closed(now) {
            None => Ok(PendingChallenge(self)),
            Some(reason) => Err(reason),
        }
    }

    /// The challenge as one that a mandate can be minted on.
    ///
    /// # Errors
    /// When it is not approved, or not any more.
    pub fn approved(self, now: Timestamp) -> Result<ApprovedChallenge, ChallengeClosed> {
        match self.closed(now) {
            Some(ChallengeClosed::AlreadyApproved) => Ok(ApprovedChallenge(self)),
            Some(reason) => Err(reason),
            None => Err(ChallengeClosed::StillPending),
        }
    }

    /// The challenge after its time; unchanged if it is not overdue.
    pub fn expire(self, now: Timestamp) -> Self {
        if self.is_overdue(now) { Self { state: State::Expired { at: now }, ..self } } else { self }
    }

    /// Why it is not pending, if it is not.
    fn closed(&self, now: Timestamp) -> Option<ChallengeClosed> {
        match &self.state {
            State::Pending | State::Approved { .. } if now >= self.expires_at => Some(ChallengeClosed::Expired),
            State::Pending => None,
            State::Approved { .. } => Some(ChallengeClosed::AlreadyApproved),
            State::Rejected { by, reason, .. } => {
                Some(ChallengeClosed::Rejected { by: by.clone(), reason: reason.clone() })
            }
            State::Expired { .. } => Some(ChallengeClosed::Expired),
            State::Withdrawn { reason, .. } => Some(ChallengeClosed::Withdrawn { reason: reason.clone() }),
            State::Redeemed { .. } => Some(ChallengeClosed::Redeemed),
        }
    }

    /// The approvals that count, as the policy is told of them.
    pub fn approval_facts(&self) -> Vec<ApprovalFact> {
        self.votes.iter().map(Vote::fact).collect()
    }
}

/// A challenge that waits and has time.
#[derive(Debug)]
pub struct PendingChallenge(Challenge);

impl PendingChallenge {
    /// The challenge.
    pub fn as_challenge(&self) -> &Challenge {
        &self.0
    }

    /// Counts `statement`, which was checked to answer this challenge, if `assessment` (taken over the votes so far and
    /// this statement) counts it.
    ///
    /// # Errors
    /// When it does not count; the challenge stays as it is stored.
    pub fn approve(
        self,
        statement: &VerifiedStatement,
        assessment: &Assessment,
        now: Timestamp,
    ) -> Result<Voted, VoteRefused> {
        let Self(mut challenge) = self;
        let draft = &challenge.draft;
        if !draft.asked.is_empty() && !draft.asked.contains(statement.principal()) {
            return Err(VoteRefused::NotAsked);
        }
        if let Some(delegation) = statement.delegation() {
            delegation.covers(&draft.ask.act, draft.tier)?;
            delegation.covers_workspace(&draft.workspace)?;
        }
        let [approver, principal] = [statement.approver(), statement.principal()];
        if challenge.votes.iter().flat_map(Vote::identities).any(|used| used == approver || used == principal) {
            return Err(VoteRefused::AlreadyCounted);
        }
        let counted = assessment
            .counted
            .iter()
            .find(|counted| counted.id == *approver)
            .ok_or_else(|| VoteRefused::NotCounted(assessment.refusal_of(approver).unwrap_or_default()))?;
        let vote = vote(statement, counted)?;
        // The policy keeps one identity per person; the first that came stays here. A delegate and her delegator are two.
        let mut used: Vec<_> = challenge.votes.iter().flat_map(Vote::people).collect();
        for person in vote.people() {
            if used.contains(&person) {
                return Err(VoteRefused::NotCounted("same_person".to_owned()));
            }
            used.push(person);
        }
        if !has_room(&challenge, &vote, &statement.claims().aud) {
            return Err(VoteRefused::TooLong);
        }
        challenge.votes.push(vote);
        if !assessment.met {
            return Ok(Voted::Pending(challenge));
        }
        challenge.state = State::Approved { at: now };
        Ok(Voted::Approved(challenge))
    }

    /// Ends the challenge with an approver's no.
    pub fn reject(self, by: SpiffeId, reason: PlainText, now: Timestamp) -> Challenge {
        Challenge { state: State::Rejected { at: now, by, reason }, ..self.0 }
    }
}

/// A challenge that has all its approvals and has time.
#[derive(Debug)]
pub struct ApprovedChallenge(Challenge);

impl ApprovedChallenge {
    /// The challenge.
    pub fn as_challenge(&self) -> &Challenge {
        &self.0
    }

    /// Ends the challenge with the one mandate that it yields; also the approvals for its `leg`: those that
    /// `assessment`, taken now over all votes, counts, in its order and as it counts them. A vote that counted when it
    /// was given and does not any more is not carried.
    ///
    /// # Errors
    /// When those do not suffice; the challenge stays as it is stored.
    pub fn redeem(
        self,
        assessment: &Assessment,
        jti: Jti,
        now: Timestamp,
    ) -> Result<(Challenge, Approvals), NotEnough> {
        if !assessment.met {
            return Err(NotEnough);
        }
        let counting = assessment.counted.iter().map(|counted| self.counting(counted).ok_or(NotEnough));
        let votes = counting.collect::<Result<Vec<_>, _>>()?;
        let approvals = approvals(&votes, assessment.required >= 2);
        Ok((Challenge { votes, state: State::Redeemed { at: now, jti }, ..self.0 }, approvals))
    }

    /// The vote that the policy counts, with the person and the roles behind it now.
    fn counting(&self, counted: &CountedApproval) -> Option<Vote> {
        let mut vote = self.0.votes.iter().find(|vote| vote.approver == counted.id)?.clone();
        match (&mut vote.stood_in_for, &counted.on_behalf_of) {
            (None, None) => {}
            (Some(other), Some(person)) => other.person.clone_from(person),
            _ => return None,
        }
        vote.person.clone_from(&counted.person);
        vote.roles.clone_from(&counted.roles);
        Some(vote)
    }
}

/// The approvals that count now do not suffice for a mandate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the approvals do not suffice any more")]
pub struct NotEnough;
