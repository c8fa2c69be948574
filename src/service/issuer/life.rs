//! How a challenge ends without a mandate: the clock, its agent's withdrawal; and how its agent asks again.

use futures_util::future::join_all;

use super::{Admitted, CallSpec, IssueRequest, Issuer, LegRequest, subject_of};
use crate::domain::approval::{Challenge, ChallengeDraft, EndedChallenge, ReaskRefused};
use crate::domain::id::ChallengeId;
use crate::domain::ledger::{EventType, Subject};
use crate::domain::spiffe::VerifiedSvid;
use crate::domain::text::PlainText;
use crate::service::ports::{AdvanceError, Stored};
use crate::service::refusal::{Code, Refusal};

/// How often a change starts over because another one came in between.
const RETRIES: usize = 256;
/// How many challenges are expired at once; the sweep goes on until none is overdue.
const SWEEP: u32 = 256;

impl Issuer {
    /// `POST /issue/{id}/withdraw`: the agent takes its request back, whoever has agreed by now.
    ///
    /// # Errors
    /// A refusal, on record; the challenge stays as it was.
    pub async fn withdraw(
        &self,
        caller: &VerifiedSvid,
        id: ChallengeId,
        reason: PlainText,
    ) -> Result<Challenge, Refusal> {
        let mut subject = Subject { agent: Some(caller.id().clone()), challenge_id: Some(id), ..Subject::default() };
        match self.try_withdraw(caller, id, &reason, &mut subject).await {
            Ok(challenge) => Ok(challenge),
            Err(refusal) => Err(self.refuse(EventType::PoaDenied, subject, refusal).await),
        }
    }

    async fn try_withdraw(
        &self,
        caller: &VerifiedSvid,
        id: ChallengeId,
        reason: &PlainText,
        subject: &mut Subject,
    ) -> Result<Challenge, Refusal> {
        for _ in 0..RETRIES {
            let stored = self.own_challenge(caller, id).await?;
            *subject = subject_of(&stored.value);
            let withdrawn = match stored.value.clone().withdraw(reason.clone(), self.now()) {
                Ok(withdrawn) => withdrawn,
                Err(closed) => return Err(self.closed(stored, closed).await),
            };
            let mut subject = Subject { reason: Some("challenge_withdrawn".to_owned()), ..subject_of(&withdrawn) };
            subject.detail.insert("withdrawal".to_owned(), reason.to_string());
            let entry = self.entry(EventType::PoaChallengeWithdrawn, withdrawn.draft().workspace.clone(), subject);
            match self.ports.challenges.advance(stored.version, &withdrawn, entry).await {
                Ok(_) => return Ok(withdrawn),
                Err(AdvanceError::Conflict) => {}
                Err(AdvanceError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Refusal::new(Code::Busy, "the challenge changes too fast; try again"))
    }

    /// `POST /issue/{id}/reask`: admits the same request anew, under today's policy, templates and directories, and opens
    /// another challenge for it.
    ///
    /// # Errors
    /// A refusal, on record; nothing was opened.
    pub async fn reask(&self, caller: &VerifiedSvid, id: ChallengeId) -> Result<Challenge, Refusal> {
        let mut subject = Subject { agent: Some(caller.id().clone()), challenge_id: Some(id), ..Subject::default() };
        match self.try_reask(caller, id, &mut subject).await {
            Ok(challenge) => Ok(challenge),
            Err(refusal) => Err(self.refuse(EventType::PoaDenied, subject, refusal).await),
        }
    }

    async fn try_reask(
        &self,
        caller: &VerifiedSvid,
        id: ChallengeId,
        subject: &mut Subject,
    ) -> Result<Challenge, Refusal> {
        for _ in 0..RETRIES {
            let stored = self.own_challenge(caller, id).await?;
            *subject = subject_of(&stored.value);
            if stored.value.is_overdue(self.now()) {
                match self.expire(stored).await {
                    Ok(()) | Err(AdvanceError::Conflict) => continue,
                    Err(AdvanceError::Store(error)) => return Err(error.into()),
                }
            }
            let Stored { version, value } = stored;
            let ended = value.ended().map_err(reask_refused)?;
            let admitted = self.admit_again(caller, &ended, subject).await?;
            match self.succeed(version, ended, &admitted).await {
                Ok(next) => return Ok(next),
                Err(AdvanceError::Conflict) => {}
                Err(AdvanceError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Refusal::new(Code::Busy, "the challenge changes too fast; try again"))
    }

    async fn admit_again(
        &self,
        caller: &VerifiedSvid,
        ended: &EndedChallenge,
        subject: &mut Subject,
    ) -> Result<Admitted, Refusal> {
        let draft = ended.as_challenge().draft();
        let mut admitted = self.admit(caller, as_asked(draft), draft.asked.clone(), subject).await?;
        if admitted.draft.requirement.required == 0 {
            let detail = "nobody needs to approve this any more; ask with POST /issue";
            return Err(Refusal::because(Code::ChallengeConflict, "approval_not_needed", detail));
        }
        admitted.draft.reask_of = Some(ended.reask_of());
        Ok(admitted)
    }

    async fn succeed(
        &self,
        version: u64,
        ended: EndedChallenge,
        admitted: &Admitted,
    ) -> Result<Challenge, AdvanceError> {
        let now = self.now();
        let id = ChallengeId::new(now, self.ports.entropy.bytes());
        let next = Challenge::open(id, admitted.draft.clone(), now);
        let entry = self.created(&next, admitted);
        self.ports.challenges.succeed(version, &ended.reasked_as(id), &next, entry).await?;
        Ok(next)
    }

    /// Expires every challenge whose time has run out, however many; returns how many. Runs in the background and
    /// survives restarts, because what is overdue is read from the store.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn expire_overdue(&self) -> Result<usize, Refusal> {
        let mut expired = 0;
        loop {
            let now = self.now();
            let found = self.ports.challenges.overdue(now, SWEEP).await?;
            let last = found.len() < SWEEP as usize;
            let before = expired;
            // The store finds them by its column; the challenge itself has the last word.
            let overdue = found.into_iter().filter(|stored| stored.value.is_overdue(now));
            // All at once, so that the store writes them as one group.
            for result in join_all(overdue.map(|stored| self.expire(stored))).await {
                match result {
                    Ok(()) => expired += 1,
                    // Somebody else ended it.
                    Err(AdvanceError::Conflict) => {}
                    Err(AdvanceError::Store(error)) => return Err(error.into()),
                }
            }
            if last || expired == before {
                return Ok(expired);
            }
        }
    }
}

/// The request that opened a challenge, from what the challenge keeps of it: the ground that was shown, not the
/// variables that it was made of, which may be personal.
fn as_asked(draft: &ChallengeDraft) -> IssueRequest {
    let ground = Box::new(draft.ask.leg.clone());
    IssueRequest {
        act: draft.ask.act.clone(),
        con: draft.ask.con.clone(),
        leg: if draft.free_form_leg { LegRequest::Claim(ground) } else { LegRequest::Bound(ground) },
        ttl_seconds: Some(draft.ask.ttl.as_secs()),
        aud: Some(draft.aud.clone()),
        request: draft.call.as_ref().map(|call| CallSpec {
            connector: call.binding.connector.clone(),
            method: call.binding.method,
            path: call.binding.path.clone(),
            params: call.params.clone(),
        }),
        requires_dual_control: draft.requires_dual_control,
        approvers: Vec::new(),
    }
}

fn reask_refused(refused: ReaskRefused) -> Refusal {
    let code = match refused {
        ReaskRefused::Redeemed => Code::ChallengeRedeemed,
        _ => Code::ChallengeConflict,
    };
    Refusal::because(code, refused.code(), refused.to_string())
}
