//! Who agrees: statements in, votes counted, rejections, and the clock that runs out.

use super::{Admitted, Issued, Issuer, facts, subject_of};
use crate::domain::approval::{
    Challenge, ChallengeClosed, ChallengeState, StatementError, UnverifiedStatement, VerifiedStatement, Voted,
};
use crate::domain::id::ChallengeId;
use crate::domain::ledger::{EventType, KeptDocument, PolicyRule, Subject};
use crate::domain::policy::{Assessment, Bundle};
use crate::domain::spiffe::{SpiffeId, VerifiedSvid};
use crate::domain::text::PlainText;
use crate::domain::time::Timestamp;
use crate::service::facts::Asked;
use crate::service::ports::{AdvanceError, Stored};
use crate::service::recording::{self, Recorded};
use crate::service::refusal::{Code, Refusal};

/// How often a vote starts over because another one came in between.
const RETRIES: usize = 256;
/// What an approver is told after a decision.
#[derive(Debug)]
pub struct Approval {
    /// The challenge after it.
    pub challenge: Challenge,
}

impl Issuer {
    /// `GET /challenges/{id}`: exactly what is asked.
    ///
    /// # Errors
    /// A refusal when there is no such challenge for this approver (on record).
    pub async fn challenge(&self, caller: &VerifiedSvid, id: ChallengeId) -> Result<Challenge, Refusal> {
        let bundle = self.approver_of(caller, Some(id)).await?;
        Ok(self.visible(caller, &bundle, id).await?.value.expire(self.now()))
    }

    /// `POST /challenges/{id}/approve`: counts a statement by the caller's own key.
    ///
    /// # Errors
    /// A refusal, on record; nothing was counted.
    pub async fn approve(&self, caller: &VerifiedSvid, id: ChallengeId, statement: &str) -> Result<Approval, Refusal> {
        let bundle = self.approver_of(caller, Some(id)).await?;
        let stored = self.answered(caller, &bundle, id, statement).await?;
        let mut subject = Subject { caller: Some(caller.id().clone()), ..subject_of(&stored.value) };
        let verified = match self.verify_statement(statement, &stored.value) {
            Ok(verified) if verified.approver() == caller.id() => verified,
            Ok(_) => {
                let refusal = Refusal::because(
                    Code::ApprovalRefused,
                    "statement_not_callers",
                    "the statement is another identity's; each approver hands in her own",
                );
                return Err(self.refuse(EventType::PoaApprovalRefused, subject, refusal).await);
            }
            Err(error) => {
                let refusal = statement_refused(&error);
                return Err(self.refuse(EventType::PoaApprovalRefused, subject, refusal).await);
            }
        };
        // A vote for what cannot be redeemed any more would look like one that counts.
        let counted = match self.not_withdrawn(stored.value.ask().leg.as_leg()) {
            Ok(()) => self.count(stored, &verified, &mut subject).await,
            Err(refusal) => Err(refusal),
        };
        match counted {
            Ok(challenge) => Ok(Approval { challenge }),
            Err(refusal) => Err(self.refuse(EventType::PoaApprovalRefused, subject, refusal).await),
        }
    }

    /// `POST /challenges/{id}/reject`.
    ///
    /// # Errors
    /// A refusal, on record; the challenge stays as it was.
    pub async fn reject(&self, caller: &VerifiedSvid, id: ChallengeId, reason: PlainText) -> Result<Approval, Refusal> {
        let bundle = self.approver_of(caller, Some(id)).await?;
        for _ in 0..RETRIES {
            let stored = self.visible(caller, &bundle, id).await?;
            let mut subject = Subject { caller: Some(caller.id().clone()), ..subject_of(&stored.value) };
            // Of a rejection the caller is the only proof.
            subject.detail.extend(recording::proof_of(caller));
            let pending = match stored.value.clone().pending(self.now()) {
                Ok(pending) => pending,
                Err(closed) => {
                    return Err(self.refuse(EventType::PoaApprovalRefused, subject, closed_to_votes(&closed)).await);
                }
            };
            let rejected = pending.reject(caller.id().clone(), reason.clone(), self.now());
            let mut subject = Subject { reason: Some("challenge_rejected".to_owned()), ..subject };
            subject.detail.insert("rejection".to_owned(), reason.to_string());
            let entry = self.entry(EventType::PoaChallengeRejected, rejected.draft().workspace.clone(), subject);
            match self.ports.challenges.advance(stored.version, &rejected, entry).await {
                Ok(_) => return Ok(Approval { challenge: rejected }),
                Err(AdvanceError::Conflict) => {}
                Err(AdvanceError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Refusal::new(Code::Busy, "the challenge changes too fast; try again"))
    }

    /// `POST /issue` with statements: they all answer one challenge, either one that waits already or a fresh id that
    /// the approvers agreed on beforehand.
    pub(super) async fn issue_on_carried(
        &self,
        admitted: Admitted,
        carried: &[String],
        subject: &mut Subject,
    ) -> Result<Issued, Refusal> {
        if admitted.draft.requirement.required == 0 {
            return Err(Refusal::because(Code::ApprovalRefused, "approval_not_needed", "nobody needs to approve this"));
        }
        let id = one_challenge(carried)?;
        subject.challenge_id = Some(id);
        let mut stored = match self.ports.challenges.find(id).await? {
            Some(stored) if same_request(&stored.value, &admitted) => stored,
            Some(_) => {
                let detail = "the statements answer a challenge for something else";
                return Err(Refusal::because(Code::ApprovalRefused, "statement_challenge", detail));
            }
            None => self.adopt(id, &admitted, carried).await?,
        };
        for statement in carried {
            let verified = self.verify_statement(statement, &stored.value).map_err(|e| statement_refused(&e))?;
            let known = stored.value.votes().iter().any(|vote| vote.approver == *verified.approver());
            if known || stored.value.state() == ChallengeState::Approved {
                continue;
            }
            self.count(stored, &verified, subject).await?;
            let again = self.ports.challenges.find(id).await?;
            stored = again.ok_or_else(|| Refusal::new(Code::Internal, "the challenge is gone"))?;
        }
        match stored.value.state() {
            ChallengeState::Pending => Ok(Issued::Waiting(Box::new(stored.value))),
            _ => self.redeem(stored, admitted.platform, subject).await.map(Box::new).map(Issued::Minted),
        }
    }

    /// Opens the challenge that statements signed beforehand name. All of them are verified first, so that a forged
    /// one opens nothing.
    async fn adopt(
        &self,
        id: ChallengeId,
        admitted: &Admitted,
        carried: &[String],
    ) -> Result<Stored<Challenge>, Refusal> {
        let now = self.now();
        let fresh = Challenge::open(id, admitted.draft.clone(), id.created_at());
        if id.created_at() > now.plus(crate::domain::mandate::LEEWAY) || fresh.is_overdue(now) {
            let detail = "the statements' challenge id is not of this time";
            return Err(Refusal::because(Code::ApprovalRefused, "statement_challenge", detail));
        }
        for statement in carried {
            self.verify_statement(statement, &fresh).map_err(|e| statement_refused(&e))?;
        }
        self.open_challenge(&fresh, admitted).await?;
        let stored = self.ports.challenges.find(id).await?;
        stored.ok_or_else(|| Refusal::new(Code::Internal, "the challenge is gone"))
    }

    /// Proves the votes of a challenge again, so that what was written into the store by another hand yields nothing.
    pub(super) fn prove_votes(&self, challenge: &Challenge) -> Result<(), Refusal> {
        for vote in challenge.votes() {
            let verified = self.verify_statement(&vote.statement, challenge).map_err(|e| statement_refused(&e))?;
            if verified.fact() != vote.fact() {
                let detail = "a counted approval is not the one that its statement gives";
                return Err(Refusal::because(Code::ApprovalRefused, "approval_mislabelled", detail));
            }
        }
        Ok(())
    }

    fn verify_statement(&self, statement: &str, challenge: &Challenge) -> Result<VerifiedStatement, StatementError> {
        let now = self.now();
        let verified = UnverifiedStatement::parse(statement)?.verify(&(self.ports.trust)(), now)?;
        verified.answers(challenge.id(), challenge.ask().sum(), challenge.agent(), &self.settings.id)?;
        verified.shows(challenge.draft().view.digest())?;
        verified.attests_only(&challenge.draft().view)?;
        // It must stay good as long as the challenge may be redeemed: the broker asks at the mandate's `iat`.
        if Timestamp::from_secs(verified.claims().exp) < challenge.expires_at() {
            return Err(StatementError::Lifetime);
        }
        Ok(verified)
    }

    /// Counts a statement that was verified against this challenge; starts over when another vote came in between.
    /// `asked` is told what the policy was asked, for a refusal.
    async fn count(
        &self,
        mut stored: Stored<Challenge>,
        statement: &VerifiedStatement,
        asked: &mut Subject,
    ) -> Result<Challenge, Refusal> {
        for _ in 0..RETRIES {
            let id = stored.value.id();
            let pending = stored.value.pending(self.now()).map_err(|closed| closed_to_votes(&closed))?;
            let (assessment, record) = self.assess(pending.as_challenge(), statement, asked).await;
            let voted = pending.approve(statement, &assessment, self.now()).map_err(|refused| {
                let reason = refused.to_string();
                Refusal::because(
                    Code::ApprovalRefused,
                    reason.clone(),
                    format!("the approval does not count: {reason}"),
                )
            })?;
            let approved = matches!(voted, Voted::Approved(_));
            let challenge = voted.into_challenge();
            let mut subject = Subject {
                caller: Some(statement.approver().clone()),
                bundle: asked.bundle.clone(),
                bundle_digest: asked.bundle_digest,
                ..subject_of(&challenge)
            };
            record.onto(&mut subject);
            recording::keep(&mut subject, KeptDocument::Statement, statement.as_jws(), self.ports.entropy.as_ref());
            subject.detail.insert("state".to_owned(), challenge.state().as_str().to_owned());
            subject.detail.insert("statement".to_owned(), statement.claims().jti.to_string());
            if let Some(delegation) = statement.delegation() {
                subject.detail.insert("on_behalf_of".to_owned(), delegation.delegator().to_string());
                subject.detail.insert("delegation".to_owned(), delegation.claims().jti.to_string());
            }
            // The verdict falls with the last approval; until then there is none, and above all no denial.
            subject.allow = approved.then_some(true);
            let entry = self.entry(EventType::PoaApprovalRecorded, challenge.draft().workspace.clone(), subject);
            match self.ports.challenges.advance(stored.version, &challenge, entry).await {
                Ok(_) => return Ok(challenge),
                Err(AdvanceError::Conflict) => {}
                Err(AdvanceError::Store(error)) => return Err(error.into()),
            }
            let again = self.ports.challenges.find(id).await?;
            stored = again.ok_or_else(|| Refusal::new(Code::Internal, "the challenge is gone"))?;
        }
        Err(Refusal::new(Code::Busy, "the challenge changes too fast; try again"))
    }

    async fn assess(
        &self,
        challenge: &Challenge,
        statement: &VerifiedStatement,
        asked: &mut Subject,
    ) -> (Assessment, Recorded) {
        let draft = challenge.draft();
        let mut approvals = challenge.approval_facts();
        if !approvals.iter().any(|fact| fact.id == *statement.approver()) {
            approvals.push(statement.fact());
        }
        let asking = Asked {
            ask: &draft.ask,
            issuer: &self.settings.id,
            aud: &draft.aud,
            tier: Some(draft.tier),
            call: None,
            requires_dual_control: draft.requires_dual_control,
            workspace: &draft.workspace,
            environment: self.settings.environment,
            platform: None,
        };
        let input = facts::of_request(asking, &approvals, self.now());
        let judged = self.ports.policy.assess(input.clone()).await;
        let (act, entropy) = (&draft.ask.act, self.ports.entropy.as_ref());
        let record = recording::of(PolicyRule::ApprovalAssessment, &input, &judged, act, entropy);
        record.clone().onto(asked);
        asked.bundle = Some(judged.bundle.revision().clone());
        asked.bundle_digest = Some(judged.bundle.digest());
        (judged.verdict, record)
    }

    /// The directory, if it knows the caller as an approver.
    pub(super) async fn approver_of(
        &self,
        caller: &VerifiedSvid,
        challenge_id: Option<ChallengeId>,
    ) -> Result<std::sync::Arc<Bundle>, Refusal> {
        let bundle = self.ports.policy.bundle();
        if bundle.approver(caller.id()).is_some() {
            return Ok(bundle);
        }
        let subject = Subject { caller: Some(caller.id().clone()), challenge_id, ..Subject::default() };
        let refusal =
            Refusal::because(Code::CallerNotAllowed, "approver_unknown", "you are not in the approvers' directory");
        Err(self.refuse(EventType::PoaApprovalRefused, subject, refusal).await)
    }

    pub(super) async fn visible(
        &self,
        caller: &VerifiedSvid,
        bundle: &Bundle,
        id: ChallengeId,
    ) -> Result<Stored<Challenge>, Refusal> {
        match self.ports.challenges.find(id).await? {
            Some(stored) if may_see(bundle, caller.id(), &stored.value) => Ok(stored),
            _ => {
                let subject =
                    Subject { caller: Some(caller.id().clone()), challenge_id: Some(id), ..Subject::default() };
                let refusal =
                    Refusal::because(Code::NotFound, "challenge_not_found", "there is no challenge of this id for you");
                Err(self.refuse(EventType::PoaApprovalRefused, subject, refusal).await)
            }
        }
    }
}

/// An approver sees what she might be asked: same workspace, and named if names were given. Whether her approval counts
/// is the policy's answer, given with its reason when she tries.
pub(super) fn may_see(bundle: &Bundle, approver: &SpiffeId, challenge: &Challenge) -> bool {
    let draft = challenge.draft();
    let named = draft.asked.is_empty() || draft.asked.contains(approver);
    named && bundle.approver(approver).is_some_and(|entry| entry.workspaces.contains(&draft.workspace))
}

fn one_challenge(carried: &[String]) -> Result<ChallengeId, Refusal> {
    let mut ids = carried.iter().map(|statement| {
        UnverifiedStatement::parse(statement).map(|s| s.unverified_challenge()).map_err(|e| statement_refused(&e))
    });
    let first = ids.next().unwrap_or_else(|| Err(Refusal::new(Code::SchemaViolation, "no statement")))?;
    for id in ids {
        if id? != first {
            let detail = "the statements answer different challenges";
            return Err(Refusal::because(Code::ApprovalRefused, "approval_challenges_mixed", detail));
        }
    }
    Ok(first)
}

fn same_request(challenge: &Challenge, admitted: &Admitted) -> bool {
    let (known, asked) = (challenge.draft(), &admitted.draft);
    known.ask == asked.ask && known.aud == asked.aud && known.requires_dual_control == asked.requires_dual_control
}

fn statement_refused(error: &StatementError) -> Refusal {
    Refusal::because(Code::ApprovalRefused, error.code(), error.to_string())
}

fn closed_to_votes(closed: &ChallengeClosed) -> Refusal {
    match closed {
        ChallengeClosed::Expired => Refusal::new(Code::ChallengeExpired, closed.to_string()),
        ChallengeClosed::Rejected { .. } => {
            Refusal::because(Code::ChallengeConflict, "challenge_rejected", closed.to_string())
        }
        ChallengeClosed::Withdrawn { .. } => Refusal::new(Code::ChallengeWithdrawn, closed.to_string()),
        ChallengeClosed::Redeemed => Refusal::new(Code::ChallengeRedeemed, closed.to_string()),
        ChallengeClosed::AlreadyApproved | ChallengeClosed::StillPending => {
            Refusal::because(Code::ChallengeConflict, "challenge_approved", closed.to_string())
        }
    }
}
