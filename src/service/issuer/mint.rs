//! From a yes to a mandate: claims, signature, record, release.

use super::{Admitted, Issuer, Minted, facts, subject_of, template_name};
use crate::domain::approval::{Ask, Challenge, ChallengeClosed, ChallengeDraft, NotEnough};
use crate::domain::id::{ChallengeId, DecisionId};
use crate::domain::ledger::{EventType, KeptDocument, PolicyRule, Subject};
use crate::domain::leg::{Approvals, Leg};
use crate::domain::mandate::{Claims, SealedMandate, UnsignedMandate};
use crate::domain::policy::{Assessment, Bundle, IssueDecision, PlatformFacts, PolicyInput};
use crate::domain::spiffe::VerifiedSvid;
use crate::domain::time::Timestamp;
use crate::service::facts::Asked;
use crate::service::ports::{AdvanceError, Judged, Stored};
use crate::service::recording::{self, Recorded};
use crate::service::refusal::{Code, Refusal};
use crate::service::view;
use crate::service::wanted::Wanted;

/// How often a redemption starts over because the challenge changed under it.
const RETRIES: usize = 16;

impl Issuer {
    /// A mandate for which nobody had to agree.
    pub(super) async fn mint_at_once(&self, admitted: Admitted) -> Result<Minted, Refusal> {
        let Admitted { bundle, draft, decision_id, platform: _, recorded } = admitted;
        let now = self.now();
        let leg = draft.ask.leg.clone().with(Approvals::None);
        let sealed = self.seal(&draft, &bundle, leg, now)?;
        let mut subject =
            Subject { template: Some(template_name(&draft.ask)), ..self.issuance(&sealed, &bundle, decision_id) };
        recorded.onto(&mut subject);
        let entry = self.entry(EventType::PoaIssued, draft.workspace, subject);
        let receipt = self.ports.ledger.record(entry).await?;
        release(sealed, &receipt, decision_id)
    }

    /// `GET /issue/{id}`: the mandate of an approved challenge, once; or where it stands.
    ///
    /// Waits up to `wait_millis` for a pending challenge to change.
    ///
    /// # Errors
    /// A refusal, on record.
    pub async fn collect(
        &self,
        caller: &VerifiedSvid,
        id: ChallengeId,
        wait_millis: u64,
    ) -> Result<super::Issued, Refusal> {
        let mut subject = Subject { agent: Some(caller.id().clone()), challenge_id: Some(id), ..Subject::default() };
        match self.try_collect(caller, id, wait_millis, &mut subject).await {
            Ok(issued) => Ok(issued),
            Err(refusal) => Err(self.refuse(EventType::PoaDenied, subject, refusal).await),
        }
    }

    async fn try_collect(
        &self,
        caller: &VerifiedSvid,
        id: ChallengeId,
        wait_millis: u64,
        subject: &mut Subject,
    ) -> Result<super::Issued, Refusal> {
        let until = self.ports.clock.monotonic_micros().saturating_add(wait_millis.saturating_mul(1000));
        loop {
            let stored = self.own_challenge(caller, id).await?;
            *subject = subject_of(&stored.value);
            subject.detail.extend(recording::proof_of(caller));
            self.not_withdrawn(stored.value.ask().leg.as_leg())?;
            match stored.value.clone().approved(self.now()) {
                Ok(_) => {
                    let minted = self.redeem(stored, PlatformFacts::from(caller), subject).await?;
                    return Ok(super::Issued::Minted(Box::new(minted)));
                }
                Err(ChallengeClosed::StillPending) => {}
                Err(closed) => return Err(self.closed(stored, closed).await),
            }
            let left = until.saturating_sub(self.ports.clock.monotonic_micros()) / 1000;
            if left == 0 {
                return Ok(super::Issued::Waiting(Box::new(stored.value)));
            }
            let overdue = stored.value.expires_at().since(self.now()).as_millis();
            let left = left.min(u64::try_from(overdue).unwrap_or(left).max(1));
            self.ports.challenges.changed(id, stored.version, left).await;
        }
    }

    pub(super) async fn own_challenge(
        &self,
        caller: &VerifiedSvid,
        id: ChallengeId,
    ) -> Result<Stored<Challenge>, Refusal> {
        match self.ports.challenges.find(id).await? {
            Some(stored) if stored.value.agent() == caller.id() => Ok(stored),
            // Somebody else's challenge and no challenge are the same answer.
            _ => Err(Refusal::because(Code::NotFound, "challenge_not_found", "you have no challenge of this id")),
        }
    }

    /// What an agent is told of a challenge that yields nothing, for its caller to record; an overdue one is expired on
    /// the way.
    pub(super) async fn closed(&self, stored: Stored<Challenge>, closed: ChallengeClosed) -> Refusal {
        if stored.value.is_overdue(self.now())
            && let Err(AdvanceError::Store(error)) = self.expire(stored).await
        {
            return error.into();
        }
        match closed {
            ChallengeClosed::Rejected { reason, .. } => Refusal::because(
                Code::ChallengeRejected,
                "challenge_rejected",
                format!("an approver said no: {reason}"),
            ),
            ChallengeClosed::Expired => Refusal::new(Code::ChallengeExpired, "nobody agreed in time; ask anew"),
            ChallengeClosed::Withdrawn { reason } => {
                Refusal::new(Code::ChallengeWithdrawn, format!("you withdrew it: {reason}"))
            }
            ChallengeClosed::Redeemed => Refusal::new(Code::ChallengeRedeemed, "the mandate was handed out before"),
            ChallengeClosed::StillPending | ChallengeClosed::AlreadyApproved => {
                Refusal::new(Code::ChallengeConflict, "the challenge changed; ask again")
            }
        }
    }

    /// Expires an overdue challenge, with its event.
    pub(super) async fn expire(&self, stored: Stored<Challenge>) -> Result<(), AdvanceError> {
        let challenge = stored.value.expire(self.now());
        let subject = Subject { reason: Some("challenge_expired".to_owned()), ..subject_of(&challenge) };
        let entry = self.entry(EventType::PoaChallengeExpired, challenge.draft().workspace.clone(), subject);
        self.ports.challenges.advance(stored.version, &challenge, entry).await.map(|_| ())
    }

    /// Mints on an approved challenge: state, record and mandate in one transaction, at most once. A refusal is for its
    /// caller to record.
    pub(super) async fn redeem(
        &self,
        mut stored: Stored<Challenge>,
        platform: PlatformFacts,
        subject: &mut Subject,
    ) -> Result<Minted, Refusal> {
        for _ in 0..RETRIES {
            let id = stored.value.id();
            match self.try_redeem(stored, platform, subject).await {
                Err(Retry::Conflict) => {}
                Err(Retry::Refused(refusal)) => return Err(refusal),
                Ok(minted) => return Ok(minted),
            }
            let again = self.ports.challenges.find(id).await?;
            stored = again.ok_or_else(|| Refusal::new(Code::Internal, "the challenge is gone"))?;
        }
        Err(Refusal::new(Code::Busy, "the challenge changes too fast; ask again"))
    }

    async fn try_redeem(
        &self,
        stored: Stored<Challenge>,
        platform: PlatformFacts,
        asked: &mut Subject,
    ) -> Result<Minted, Retry> {
        let now = self.now();
        let decision_id = self.decision_id();
        let approved = match stored.value.clone().approved(now) {
            Ok(approved) => approved,
            Err(closed) => return Err(Retry::Refused(self.closed(stored, closed).await)),
        };
        self.not_withdrawn(stored.value.ask().leg.as_leg()).map_err(|r| Retry::Refused(r.decided(decision_id)))?;
        self.prove_votes(&stored.value).map_err(|refusal| Retry::Refused(refusal.decided(decision_id)))?;
        let allowed = self.still_allowed(&stored.value, platform, now, asked).await;
        let StillAllowed { bundle, assessment, recorded } = allowed.map_err(|refusal| {
            let refusal = refusal.wanting(|| Wanted::for_draft(stored.value.draft()));
            Retry::Refused(refusal.decided(decision_id))
        })?;
        let draft = approved.as_challenge().draft().clone();
        let jti = self.jti(now);
        let redeemed = approved.redeem(&assessment, jti, now);
        let (redeemed, approvals) = redeemed.map_err(|error| Retry::Refused(not_enough(&assessment, error)))?;
        let dual = matches!(approvals, Approvals::Dual(_));
        let leg = draft.ask.leg.clone().with(approvals);
        let claims = self.claims(&draft, &bundle, leg, jti, now);
        let sealed = self.sign(claims).map_err(Retry::Refused)?;
        let event = if dual { EventType::PoaIssuedDualControl } else { EventType::PoaIssued };
        let mut subject = Subject {
            challenge_id: Some(redeemed.id()),
            template: Some(template_name(&draft.ask)),
            approvers: subject_of(&redeemed).approvers,
            ..self.issuance(&sealed, &bundle, decision_id)
        };
        recorded.onto(&mut subject);
        recording::copy_proof(asked, &mut subject);
        let entry = self.entry(event, draft.workspace, subject);
        match self.ports.challenges.advance(stored.version, &redeemed, entry).await {
            Ok(receipt) => release(sealed, &receipt, decision_id).map_err(Retry::Refused),
            Err(AdvanceError::Conflict) => Err(Retry::Conflict),
            Err(AdvanceError::Store(error)) => Err(Retry::Refused(error.into())),
        }
    }

    /// Policy and directories may have changed since the approvals: they are asked again at the moment of minting. The
    /// assessment says which approvals count now; that they suffice is for who carries them to ask.
    async fn still_allowed(
        &self,
        challenge: &Challenge,
        platform: PlatformFacts,
        now: Timestamp,
        subject: &mut Subject,
    ) -> Result<StillAllowed, Refusal> {
        let draft = challenge.draft();
        let call = draft.call.as_ref().map(|view| {
            let b = view.binding.clone();
            crate::domain::action::CallRequest::new(
                b.connector,
                b.method,
                b.path,
                draft.ask.act.clone(),
                view.params.clone(),
            )
        });
        let asking = Asked {
            ask: &draft.ask,
            issuer: &self.settings.id,
            aud: &draft.aud,
            tier: Some(draft.tier),
            call: call.as_ref(),
            requires_dual_control: draft.requires_dual_control,
            workspace: &draft.workspace,
            environment: self.settings.environment,
            platform: Some(platform),
        };
        let facts = challenge.approval_facts();
        let input = facts::of_request(asking, &facts, now);
        let (judged, assessed) = self.by_one_bundle(&input).await;
        let (act, entropy) = (&draft.ask.act, self.ports.entropy.as_ref());
        let recorded = recording::of(PolicyRule::IssueDecision, &input, &judged, act, entropy);
        recorded.clone().onto(subject);
        let requirement = self.allowed(&judged, subject)?;
        // Until it is met, the assessment is the verdict that counts.
        recording::of(PolicyRule::ApprovalAssessment, &input, &assessed, act, entropy).onto(subject);
        if let Some(fault) = assessed.verdict.fault {
            let reason = fault.to_string();
            return Err(Refusal::because(
                Code::Denied,
                reason.clone(),
                format!("the policy gives no answer: {reason}"),
            ));
        }
        if !assessed.verdict.met || assessed.bundle.digest() != judged.bundle.digest() {
            return Err(not_enough(&assessed.verdict, NotEnough));
        }
        let shown = view::of(&judged.bundle, &draft.ask, draft.call.as_ref())?;
        if shown.digest() != draft.view.digest() {
            let detail = "the policy now describes this act otherwise than the approvers were shown; ask anew";
            return Err(Refusal::because(Code::Denied, "view_changed", detail));
        }
        self.confirm_ticket(&requirement, &draft.ask, &draft.workspace).await?;
        Ok(StillAllowed { bundle: judged.bundle, assessment: assessed.verdict, recorded })
    }

    /// Both answers by the same bundle, also while another one is put in force.
    async fn by_one_bundle(&self, input: &PolicyInput) -> (Judged<IssueDecision>, Judged<Assessment>) {
        let mut judged = self.ports.policy.issue(input.clone()).await;
        let mut assessed = self.ports.policy.assess(input.clone()).await;
        if judged.bundle.digest() != assessed.bundle.digest() {
            judged = self.ports.policy.issue(input.clone()).await;
            assessed = self.ports.policy.assess(input.clone()).await;
        }
        (judged, assessed)
    }

    fn seal(
        &self,
        draft: &ChallengeDraft,
        bundle: &Bundle,
        leg: Leg,
        now: Timestamp,
    ) -> Result<SealedMandate, Refusal> {
        self.sign(self.claims(draft, bundle, leg, self.jti(now), now))
    }

    fn claims(
        &self,
        draft: &ChallengeDraft,
        bundle: &Bundle,
        leg: Leg,
        jti: crate::domain::id::Jti,
        now: Timestamp,
    ) -> Claims {
        let Ask { sub, act, con, req, ttl, .. } = draft.ask.clone();
        let iat = now.as_secs();
        Claims {
            iss: self.settings.id.clone(),
            sub,
            aud: draft.aud.clone(),
            act,
            con,
            leg,
            iat,
            nbf: iat,
            exp: iat.saturating_add(ttl.as_secs()),
            jti,
            tier: draft.tier,
            pol: bundle.revision().clone(),
            req,
        }
    }

    fn sign(&self, claims: Claims) -> Result<SealedMandate, Refusal> {
        UnsignedMandate::new(claims)
            .attach(&self.signer.kid, self.signer.signer.as_ref())
            .map_err(|error| Refusal::new(Code::Internal, format!("the mandate cannot be signed: {error}")))
    }

    fn issuance(&self, sealed: &SealedMandate, bundle: &Bundle, decision_id: DecisionId) -> Subject {
        let claims = sealed.claims();
        let mut subject = Subject {
            agent: Some(claims.sub.clone()),
            act: Some(claims.act.clone()),
            tier: Some(claims.tier),
            allow: Some(true),
            reason: Some("ok".to_owned()),
            decision_id: Some(decision_id),
            jti: Some(claims.jti),
            connector: claims.req.as_ref().map(|req| req.connector.clone()),
            method: claims.req.as_ref().map(|req| req.method),
            path: claims.req.as_ref().map(|req| req.path.clone()),
            request_digest: claims.req.as_ref().map(|req| req.digest),
            bundle: Some(claims.pol.clone()),
            bundle_digest: Some(bundle.digest()),
            key_id: Some(self.signer.kid.clone()),
            ..Subject::default()
        };
        subject.detail.insert(KeptDocument::Mandate.digest_member().to_owned(), sealed.digest().to_string());
        subject
    }
}

/// What the policy says at the moment of minting.
struct StillAllowed {
    bundle: std::sync::Arc<Bundle>,
    assessment: Assessment,
    recorded: Recorded,
}

enum Retry {
    Conflict,
    Refused(Refusal),
}

/// Approvals that sufficed do not any more: which are missing, by the policy's names.
fn not_enough(assessment: &Assessment, error: NotEnough) -> Refusal {
    let roles = assessment.roles_missing.keys().map(ToString::to_string);
    let too_few = assessment.approved < assessment.required || assessment.roles_missing.is_empty();
    let missing = too_few.then(|| "approval".to_owned()).into_iter().chain(roles).collect();
    let reason = if too_few { "approval_missing" } else { "role_missing" };
    Refusal::because(Code::Denied, reason, error.to_string()).missing(missing, None)
}

fn release(
    sealed: SealedMandate,
    receipt: &crate::domain::ledger::Receipt,
    decision_id: DecisionId,
) -> Result<Minted, Refusal> {
    let mandate = sealed.release(receipt).map_err(|error| Refusal::new(Code::Internal, error.to_string()))?;
    Ok(Minted { mandate, decision_id })
}
