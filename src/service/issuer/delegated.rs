//! Standing in: what a delegate may look at because her delegator may.
//!
//! Not here: whether an approval in another's name counts. That is proven with the statement that carries the
//! delegation, and judged by the policy and by [`PendingChallenge::approve`](crate::domain::approval::PendingChallenge).

use std::time::Duration;

use super::Issuer;
use super::approve::may_see;
use crate::domain::approval::{Challenge, DelegationError, UnverifiedDelegation, UnverifiedStatement};
use crate::domain::id::ChallengeId;
use crate::domain::ledger::{EventType, Subject};
use crate::domain::policy::Bundle;
use crate::domain::spiffe::{SpiffeId, VerifiedSvid};
use crate::service::ports::Stored;
use crate::service::refusal::{Code, Refusal};

impl Issuer {
    /// `GET /challenges/{id}` with a delegation: exactly what is asked, for who stands in for one who may see it.
    ///
    /// # Errors
    /// A refusal, on record, when the delegation is not the caller's to use now, or neither of the two may see it.
    pub async fn challenge_for(
        &self,
        caller: &VerifiedSvid,
        id: ChallengeId,
        delegation: &str,
    ) -> Result<Challenge, Refusal> {
        let bundle = self.approver_of(caller, Some(id)).await?;
        match self.delegator(caller, delegation) {
            Ok(delegator) => Ok(self.seen_by(caller, Some(&delegator), &bundle, id).await?.value.expire(self.now())),
            Err(error) => {
                let subject =
                    Subject { caller: Some(caller.id().clone()), challenge_id: Some(id), ..Subject::default() };
                let refusal = Refusal::because(Code::ApprovalRefused, error.code(), error.to_string());
                Err(self.refuse(EventType::PoaApprovalRefused, subject, refusal).await)
            }
        }
    }

    /// The challenge that a statement is handed in for, if its approver or who she stands in for may see it.
    pub(super) async fn answered(
        &self,
        caller: &VerifiedSvid,
        bundle: &Bundle,
        id: ChallengeId,
        statement: &str,
    ) -> Result<Stored<Challenge>, Refusal> {
        // A statement or delegation that is not genuine opens nothing here, and is refused by name when it is verified.
        let parsed = UnverifiedStatement::parse(statement).ok();
        let carried = parsed.as_ref().and_then(|statement| statement.unverified_claims().del.as_deref());
        let delegator = carried.and_then(|jws| self.delegator(caller, jws).ok());
        self.seen_by(caller, delegator.as_ref(), bundle, id).await
    }

    /// Whom `caller` stands in for by this delegation, now.
    fn delegator(&self, caller: &VerifiedSvid, jws: &str) -> Result<SpiffeId, DelegationError> {
        let now = self.now();
        let lent = caller.chain_der().get(1..).unwrap_or_default();
        let verified = UnverifiedDelegation::parse(jws)?.verify(&(self.ports.trust)(), now, lent)?;
        verified.lets(caller.id(), &self.settings.id, now, now.plus(Duration::from_millis(1)))?;
        Ok(verified.delegator().clone())
    }

    async fn seen_by(
        &self,
        caller: &VerifiedSvid,
        delegator: Option<&SpiffeId>,
        bundle: &Bundle,
        id: ChallengeId,
    ) -> Result<Stored<Challenge>, Refusal> {
        if let Some(delegator) = delegator
            && let Some(stored) = self.ports.challenges.find(id).await?
            && may_see(bundle, delegator, &stored.value)
        {
            return Ok(stored);
        }
        self.visible(caller, bundle, id).await
    }
}
