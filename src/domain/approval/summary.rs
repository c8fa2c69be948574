//! What a queue shows of a challenge: enough to choose one, not enough to sign it.
//!
//! It is made once for each version of a challenge and stored beside it, so that a list costs no digest and no look
//! into what was asked. What is signed is read from the challenge itself.

use serde::{Deserialize, Serialize};

use super::challenge::{Challenge, ChallengeState};
use crate::domain::action::{ActionName, CallPath, Method};
use crate::domain::catalogue::Tier;
use crate::domain::id::{ChallengeId, ConnectorId, Sha256Digest, WorkspaceId};
use crate::domain::jose::present;
use crate::domain::ledger::Entry;
use crate::domain::spiffe::SpiffeId;
use crate::domain::text::PlainText;
use crate::domain::time::Timestamp;

/// One challenge in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Its id.
    pub challenge_id: ChallengeId,
    /// Where it stands.
    pub state: ChallengeState,
    /// The act's tier.
    pub tier: Tier,
    /// The agent's workspace.
    pub workspace: WorkspaceId,
    /// The act.
    pub act: ActionName,
    /// What it is called.
    pub title: String,
    /// The agent that asked.
    pub agent: SpiffeId,
    /// The call's place, where the request is tied to one. Its parameters are not for a list.
    pub call: Option<CallPlace>,
    /// On what ground.
    pub ground: GroundLine,
    /// The digest that an approval signs.
    pub sum: Sha256Digest,
    /// How many people must agree.
    pub required: u32,
    /// How many have.
    pub approved: usize,
    /// Who has approved, and who else was named to be asked.
    pub approvers: Vec<ApproverLine>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it stops waiting.
    pub expires_at: Timestamp,
}

/// Where a call goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "as in the call's binding")]
pub struct CallPlace {
    pub connector: ConnectorId,
    pub method: Method,
    pub path: CallPath,
}

/// The ground in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroundLine {
    /// The template, `id@version`.
    pub template: String,
    /// The document that the basis rests on.
    #[serde(rename = "ref")]
    pub reference: PlainText,
    /// What is done and why, in a sentence.
    pub description: PlainText,
}

/// Somebody who approved, or was named to be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproverLine {
    /// The identity.
    pub id: SpiffeId,
    /// Which of the two.
    pub state: ApproverState,
    /// When, if it has approved.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<Timestamp>,
}

/// What an approver did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApproverState {
    /// Approved.
    Approved,
    /// Was named and has not.
    Asked,
}

impl Summary {
    /// What a list shows of `challenge`.
    pub fn of(challenge: &Challenge) -> Self {
        let (draft, ask) = (challenge.draft(), challenge.ask());
        let leg = ask.leg.as_leg();
        let place = |req: &crate::domain::action::RequestBinding| CallPlace {
            connector: req.connector.clone(),
            method: req.method,
            path: req.path.clone(),
        };
        Self {
            challenge_id: challenge.id(),
            state: challenge.state(),
            tier: draft.tier,
            workspace: draft.workspace.clone(),
            act: ask.act.clone(),
            title: draft.view.title().to_owned(),
            agent: ask.sub.clone(),
            call: ask.req.as_ref().map(place),
            ground: GroundLine {
                template: format!("{}@{}", leg.template.id, leg.template.version),
                reference: leg.reference.clone(),
                description: leg.description.clone(),
            },
            sum: ask.sum(),
            required: draft.requirement.required,
            approved: challenge.votes().len(),
            approvers: approvers(challenge),
            created_at: challenge.created_at(),
            expires_at: challenge.expires_at(),
        }
    }

    /// As it is at `now`: a challenge whose time has run out is shown as expired even before that is on record.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        if self.is_overdue(now) {
            self.state = ChallengeState::Expired;
        }
        self
    }

    /// Whether its time has run out while it was still open.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        matches!(self.state, ChallengeState::Pending | ChallengeState::Approved) && now >= self.expires_at
    }
}

fn approvers(challenge: &Challenge) -> Vec<ApproverLine> {
    let votes = challenge.votes();
    let approved = votes.iter().map(|vote| ApproverLine {
        id: vote.approver.clone(),
        state: ApproverState::Approved,
        approved_at: Some(vote.approved_at),
    });
    let waits = |id: &&SpiffeId| !votes.iter().any(|vote| vote.approver == **id);
    let asked = challenge.draft().asked.iter().filter(waits).map(|id| ApproverLine {
        id: id.clone(),
        state: ApproverState::Asked,
        approved_at: None,
    });
    approved.chain(asked).collect()
}

/// What happened to a challenge, as a live queue says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// It waits.
    Created,
    /// One more person agreed; others are missing.
    Vote,
    /// The last one agreed.
    Approved,
    /// Somebody said no.
    Rejected,
    /// Its time ran out.
    Expired,
    /// The mandate was minted.
    Redeemed,
    /// The agent took it back.
    Withdrawn,
}

impl Turn {
    /// Every turn.
    pub const ALL: [Self; 7] =
        [Self::Created, Self::Vote, Self::Approved, Self::Rejected, Self::Expired, Self::Redeemed, Self::Withdrawn];

    /// The kinds of entries that record one.
    pub const ENTRIES: [&str; 7] = [
        "poa_challenge_created",
        "poa_approval_recorded",
        "poa_challenge_rejected",
        "poa_challenge_expired",
        "poa_issued",
        "poa_issued_dual_control",
        "poa_challenge_withdrawn",
    ];

    /// The name as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Vote => "vote",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Redeemed => "redeemed",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The turn that `entry` records, if it records one.
    pub fn of(entry: &Entry) -> Option<Self> {
        Some(match entry.event_type.as_str() {
            "poa_challenge_created" => Self::Created,
            // The verdict falls with the last approval; until then the entry has none.
            "poa_approval_recorded" if entry.subject.allow == Some(true) => Self::Approved,
            "poa_approval_recorded" => Self::Vote,
            "poa_challenge_rejected" => Self::Rejected,
            "poa_challenge_expired" => Self::Expired,
            "poa_issued" | "poa_issued_dual_control" => Self::Redeemed,
            "poa_challenge_withdrawn" => Self::Withdrawn,
            _ => return None,
        })
    }
}
