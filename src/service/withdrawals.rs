//! Withdrawing legal grounds: a template's version or a consent, for the officers that the configuration names.
//!
//! A withdrawal is durable, with its event, before it is answered, and from then on every door of this process refuses
//! what rests on it: before a mandate is made, before an approved challenge is redeemed, and on every call. What is asked
//! on a call is a memory of this process; the store is read at start only. Refusals are for the door to record.

use std::sync::{Arc, PoisonError, RwLock};

use serde::Deserialize;

use super::ports::{AdvanceError, Clock, Entropy, PolicyPoint, StoreError, WithdrawalStore};
use super::refusal::{Code, Refusal};
use crate::domain::id::{EventId, WorkspaceId};
use crate::domain::jose::present;
use crate::domain::json;
use crate::domain::ledger::{Entry, EventType, Subject};
use crate::domain::leg::{
    GroundDefect, Leg, LegTemplate, TemplateRef, TemplateState, TemplateVersion, Withdrawal, Withdrawals, Withdrawn,
};
use crate::domain::spiffe::{SpiffeId, VerifiedSvid};
use crate::domain::text::PlainText;

/// The most withdrawals that are kept.
const MOST: usize = 1_000_000;

/// The body of `POST /leg/withdrawals`: exactly one of `template` and `consent_ref`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WithdrawalRequest {
    /// `id@version`, or `id` for the version of the bundle in force.
    #[serde(default, deserialize_with = "present")]
    template: Option<String>,
    /// The `ref` of grounds with the basis CONSENT, as it stands in the claim.
    #[serde(default, deserialize_with = "present")]
    consent_ref: Option<PlainText>,
    /// Why.
    reason: PlainText,
}

/// What withdrawing stands on.
pub struct WithdrawalPorts {
    /// Where withdrawals are kept, with the record.
    pub store: Arc<dyn WithdrawalStore>,
    /// The policy: which version of a template is in force.
    pub policy: Arc<dyn PolicyPoint>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bits.
    pub entropy: Arc<dyn Entropy>,
}

/// The withdrawals of this process, shared by its doors.
pub struct LegWithdrawals {
    officers: Vec<SpiffeId>,
    ports: WithdrawalPorts,
    known: RwLock<Withdrawals>,
}

/// The answer to a withdrawal.
#[derive(Debug)]
pub struct Answered {
    /// As it stands: the first one, if it was withdrawn before.
    pub withdrawal: Withdrawal,
    /// Whether it was withdrawn by this request.
    pub new: bool,
}

impl LegWithdrawals {
    /// Reads what was withdrawn before.
    ///
    /// # Errors
    /// When the store cannot be read: a process that does not know what was withdrawn must not start.
    pub async fn open(officers: Vec<SpiffeId>, ports: WithdrawalPorts) -> Result<Self, StoreError> {
        let mut known = Withdrawals::default();
        ports.store.withdrawals().await?.into_iter().for_each(|withdrawal| known.add(withdrawal));
        // What only the record says was taken out of the rows by another hand, and holds.
        for entry in ports.store.recorded_withdrawals().await? {
            let unreadable = || StoreError::Unavailable(format!("the withdrawal `{}` is unreadable", entry.event_id));
            known.add(of_record(&entry).ok_or_else(unreadable)?);
        }
        Ok(Self { officers, ports, known: RwLock::new(known) })
    }

    /// Whether a ground may still be rested on.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, leg: &Leg) -> Result<(), GroundDefect> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.of(leg).map_or(Ok(()), |withdrawal| Err(withdrawal.what.defect()))
    }

    /// Where a template stands now, for lists: what an officer withdrew is withdrawn, whatever its file says.
    pub fn state_of(&self, template: &LegTemplate) -> TemplateState {
        let TemplateRef { id, version, .. } = template.reference();
        match self.find(&Withdrawn::Template(TemplateVersion { id, version })) {
            Some(_) => TemplateState::Withdrawn,
            None => template.state_at(self.ports.clock.now()),
        }
    }

    /// `GET /leg/withdrawals`.
    ///
    /// # Errors
    /// A refusal when the caller is no officer.
    pub fn list(&self, caller: &VerifiedSvid) -> Result<Vec<Withdrawal>, Refusal> {
        self.officer(caller)?;
        Ok(self.known.read().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect())
    }

    /// `POST /leg/withdrawals`.
    ///
    /// # Errors
    /// A refusal; nothing was withdrawn.
    pub async fn withdraw(&self, caller: &VerifiedSvid, body: &[u8]) -> Result<Answered, Refusal> {
        self.officer(caller)?;
        let request: WithdrawalRequest = json::parse_as(body)?;
        let what = self.named(&request)?;
        if let Some(withdrawal) = self.find(&what) {
            return Ok(Answered { withdrawal, new: false });
        }
        if self.known.read().unwrap_or_else(PoisonError::into_inner).len() >= MOST {
            return Err(Refusal::because(Code::Busy, "withdrawals_full", "no more withdrawals are kept"));
        }
        let (reason, withdrawn_by) = (request.reason, caller.id().clone());
        let withdrawal = Withdrawal { what, reason, withdrawn_by, withdrawn_at: self.ports.clock.now() };
        match self.ports.store.withdraw(&withdrawal, self.entry(&withdrawal)).await {
            Ok(_) => {
                self.known.write().unwrap_or_else(PoisonError::into_inner).add(withdrawal.clone());
                Ok(Answered { withdrawal, new: true })
            }
            // Somebody was faster. The store has it, so this process must know it too.
            Err(AdvanceError::Conflict) => {
                let stored = self.ports.store.withdrawals().await?;
                let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
                stored.into_iter().for_each(|withdrawal| known.add(withdrawal));
                let first = known.find(&withdrawal.what).cloned();
                Ok(Answered { withdrawal: first.unwrap_or(withdrawal), new: false })
            }
            Err(AdvanceError::Store(error)) => Err(error.into()),
        }
    }

    fn find(&self, what: &Withdrawn) -> Option<Withdrawal> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).find(what).cloned()
    }

    fn officer(&self, caller: &VerifiedSvid) -> Result<(), Refusal> {
        if self.officers.contains(caller.id()) {
            return Ok(());
        }
        let detail = "only the officers under `legal.officers` withdraw legal grounds";
        Err(Refusal::because(Code::CallerNotAllowed, "not_a_legal_officer", detail))
    }

    fn named(&self, request: &WithdrawalRequest) -> Result<Withdrawn, Refusal> {
        match (&request.template, &request.consent_ref) {
            (Some(name), None) => self.version(name).map(Withdrawn::Template),
            (None, Some(reference)) => Ok(Withdrawn::ConsentRef(reference.clone())),
            _ => Err(Refusal::new(Code::SchemaViolation, "name either `template` or `consent_ref`")
                .at("", "expected exactly one of `template` and `consent_ref`")),
        }
    }

    /// A version is taken by its word, known or not: a mandate of an older bundle may name it. An id alone is the version
    /// in force.
    fn version(&self, name: &str) -> Result<TemplateVersion, Refusal> {
        if name.contains('@') {
            return name.parse().map_err(|error: crate::domain::leg::TemplateVersionError| {
                Refusal::new(Code::SchemaViolation, error.to_string()).at("/template", error.to_string())
            });
        }
        let bundle = self.ports.policy.bundle();
        let unknown = "there is no template of this name in the bundle; name `id@version`";
        let template = bundle.templates().find(name);
        let template = template
            .map_err(|_| Refusal::because(Code::NotFound, "template_not_found", unknown).at("/template", unknown))?;
        let reference = template.reference();
        Ok(TemplateVersion { id: reference.id, version: reference.version })
    }

    fn entry(&self, withdrawal: &Withdrawal) -> Entry {
        let mut subject = Subject {
            caller: Some(withdrawal.withdrawn_by.clone()),
            reason: Some(withdrawal.what.defect().code().to_owned()),
            ..Subject::default()
        };
        match &withdrawal.what {
            Withdrawn::Template(version) => subject.template = Some(version.to_string()),
            Withdrawn::ConsentRef(reference) => {
                drop(subject.detail.insert("consent_ref".to_owned(), reference.to_string()))
            }
        }
        subject.detail.insert("withdrawal_reason".to_owned(), withdrawal.reason.to_string());
        let event_id = EventId::new(withdrawal.withdrawn_at, self.ports.entropy.bytes());
        let workspace = WorkspaceId::default();
        Entry { event_id, event_type: EventType::LegWithdrawn, at: withdrawal.withdrawn_at, workspace, subject }
    }
}

/// The withdrawal that an entry is about, as [`LegWithdrawals::withdraw`] wrote it down.
fn of_record(entry: &Entry) -> Option<Withdrawal> {
    let detail = |name: &str| entry.subject.detail.get(name);
    let what = match (&entry.subject.template, detail("consent_ref")) {
        (Some(version), _) => Withdrawn::Template(version.parse().ok()?),
        (None, reference) => Withdrawn::ConsentRef(reference?.parse().ok()?),
    };
    Some(Withdrawal {
        what,
        reason: detail("withdrawal_reason")?.parse().ok()?,
        withdrawn_by: entry.subject.caller.clone()?,
        withdrawn_at: entry.at,
    })
}
