//! The approvals inside a mandate, proven again without asking the issuer (invariant 5).

use super::LEEWAY;
use super::claims::Claims;
use crate::domain::approval::{OutOfScope, StatementError, UnverifiedStatement, VerifiedStatement};
use crate::domain::id::{ChallengeId, Sha256Digest};
use crate::domain::leg::LegError;
use crate::domain::policy::ApprovalFact;
use crate::domain::spiffe::{SpiffeId, TrustBundles};
use crate::domain::time::Timestamp;

/// A mandate carries at most this many statements (16 KiB hold fewer).
const MAX_APPROVALS: usize = 8;

/// Why the approvals of a mandate are not believed.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalsError {
    /// Both forms of approval at once.
    #[error(transparent)]
    Leg(#[from] LegError),
    /// More than a mandate can need.
    #[error("the mandate carries more than {MAX_APPROVALS} approvals")]
    TooMany,
    /// A statement that does not verify, or is about something else.
    #[error("the approval of `{approver}` is refused: {source}")]
    Statement {
        /// Whose approval it is said to be.
        approver: SpiffeId,
        /// What is wrong with it.
        source: StatementError,
    },
    /// `leg` names another approver or time than the statement.
    #[error("the approval of `{0}` is not the one that its statement gives")]
    Mislabelled(SpiffeId),
    /// Statements of different challenges side by side.
    #[error("the approvals answer different challenges")]
    MixedChallenges,
    /// What the mandate is for lies outside a delegation that an approval rests on.
    #[error("the approval of `{approver}` rests on a delegation that does not cover it: {source}")]
    OutOfScope {
        /// Whose approval it is.
        approver: SpiffeId,
        /// What lies outside.
        source: OutOfScope,
    },
    /// One identity behind two approvals, be it through a delegation.
    #[error("the approval of `{0}` uses an identity that another approval has used up")]
    UsedTwice(SpiffeId),
    /// The lifetime is not one that can be signed.
    #[error("the mandate's lifetime is not between 1 and 900 seconds")]
    Lifetime,
}

impl ApprovalsError {
    /// A stable code for problem documents and records.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Leg(_) => "approval_form",
            Self::TooMany => "approval_count",
            Self::Statement { source, .. } => source.code(),
            Self::Mislabelled(_) => "approval_mislabelled",
            Self::MixedChallenges => "approval_challenges_mixed",
            Self::OutOfScope { source, .. } => source.code(),
            Self::UsedTwice(_) => "approver_already_counted",
            Self::Lifetime => "mandate_lifetime",
        }
    }
}

/// The approvals of a mandate, each by the approver's own key, over exactly this mandate's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenApprovals {
    facts: Vec<ApprovalFact>,
    challenge: Option<(ChallengeId, Timestamp)>,
    views: Vec<(SpiffeId, Sha256Digest)>,
}

impl ProvenApprovals {
    /// Proves every approval that `claims.leg` carries.
    ///
    /// Each statement must have been good when the mandate was issued. How many are needed, who may give them and that
    /// they are distinct people is the policy's to say.
    ///
    /// # Errors
    /// When one of them is not proven: an approval that does not count must not be there.
    pub fn of(claims: &Claims, trust: &TrustBundles) -> Result<Self, ApprovalsError> {
        let listed = claims.leg.approvals()?;
        if listed.is_empty() {
            return Ok(Self { facts: Vec::new(), challenge: None, views: Vec::new() });
        }
        if listed.len() > MAX_APPROVALS {
            return Err(ApprovalsError::TooMany);
        }
        let sum = claims.ask().map_err(|_| ApprovalsError::Lifetime)?.sum();
        let mut facts = Vec::with_capacity(listed.len());
        let mut views = Vec::with_capacity(listed.len());
        let mut challenge: Option<(ChallengeId, Timestamp)> = None;
        for (approver, approved_at, statement) in listed {
            let refused = |source| ApprovalsError::Statement { approver: approver.clone(), source };
            let statement = prove(claims, trust, statement).map_err(refused)?;
            let cid = statement.claims().cid;
            statement.answers(cid, sum, &claims.sub, &claims.iss).map_err(refused)?;
            if statement.approver() != approver || statement.approved_at() != approved_at {
                return Err(ApprovalsError::Mislabelled(approver.clone()));
            }
            let until = Timestamp::from_secs(statement.claims().exp);
            challenge = match challenge {
                Some((first, _)) if first != cid => return Err(ApprovalsError::MixedChallenges),
                Some((first, longest)) => Some((first, longest.max(until))),
                None => Some((cid, until)),
            };
            stands(claims, &statement, &facts)?;
            views.push((approver.clone(), statement.view()));
            facts.push(statement.fact());
        }
        Ok(Self { facts, challenge, views })
    }

    /// The approvals as the policy is told of them.
    pub fn facts(&self) -> &[ApprovalFact] {
        &self.facts
    }

    /// Whether there is none, so that nobody was shown anything.
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// Checks that every approver was shown exactly this view.
    ///
    /// # Errors
    /// With the first who was shown something else.
    pub fn shown(&self, view: Sha256Digest) -> Result<(), ApprovalsError> {
        match self.views.iter().find(|(_, shown)| *shown != view) {
            Some((approver, _)) => {
                Err(ApprovalsError::Statement { approver: approver.clone(), source: StatementError::View })
            }
            None => Ok(()),
        }
    }

    /// The challenge that they answer, and until when a copy of them could be used in another mandate: statements must
    /// be good at a mandate's `iat`, and a mandate lives no longer than 900 seconds.
    pub fn challenge(&self) -> Option<(ChallengeId, Timestamp)> {
        self.challenge.map(|(cid, until)| (cid, until.plus(crate::domain::time::Ttl::MAX.as_duration()).plus(LEEWAY)))
    }
}

/// Who stands in for another does so within the delegation's acts and tiers, and neither of the two approves twice. The
/// workspace is not in a mandate; the policy, which knows it, looks at it.
fn stands(claims: &Claims, statement: &VerifiedStatement, before: &[ApprovalFact]) -> Result<(), ApprovalsError> {
    let approver = || statement.approver().clone();
    if let Some(delegation) = statement.delegation() {
        let covered = delegation.covers(&claims.act, claims.tier);
        covered.map_err(|source| ApprovalsError::OutOfScope { approver: approver(), source })?;
    }
    let used = |id: &SpiffeId| id == statement.approver() || id == statement.principal();
    let of_fact =
        |fact: &ApprovalFact| used(&fact.id) || fact.on_behalf_of.as_ref().is_some_and(|other| used(&other.id));
    if before.iter().any(of_fact) { Err(ApprovalsError::UsedTwice(approver())) } else { Ok(()) }
}

fn prove(claims: &Claims, trust: &TrustBundles, statement: &str) -> Result<VerifiedStatement, StatementError> {
    UnverifiedStatement::parse(statement)?.verify(trust, Timestamp::from_secs(claims.iat))
}
