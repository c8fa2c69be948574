//! The decision point as the services ask it: the bundle in force with the end of its life, and a candidate beside it.
//!
//! INVARIANT: past its end a bundle allows nothing; every question is denied with `policy_expired`. An expired candidate is
//! not asked, so that the agents it was rolled out to are decided as everybody else.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;

use super::trial::{self, Agreement, Question, Trial};
use super::{PdpConfig, PdpError, PdpPool, Prepared};
use crate::domain::policy::{Assessment, Bundle, Decision, IssueDecision, Place, PolicyFault, PolicyInput};
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Timestamp;
use crate::service::ports::{Clock, Judged, PolicyPoint};

/// Who is told how a candidate's answers compare: the question's name, and the comparison.
pub type Observer = Arc<dyn Fn(&'static str, Agreement) + Send + Sync>;

/// The decision point of a process.
pub struct InForce {
    pool: PdpPool,
    config: PdpConfig,
    expires_at: ArcSwapOption<Timestamp>,
    trial: ArcSwapOption<Trial>,
    clock: Arc<dyn Clock>,
    observer: Observer,
}

impl InForce {
    /// Starts the threads of the bundle in force.
    ///
    /// # Errors
    /// As [`PdpPool::start`].
    pub fn start(
        bundle: Arc<Bundle>,
        expires_at: Option<Timestamp>,
        config: PdpConfig,
        clock: Arc<dyn Clock>,
        observer: Observer,
    ) -> Result<Self, PdpError> {
        Ok(Self {
            pool: PdpPool::start(bundle, config)?,
            config,
            expires_at: ArcSwapOption::from_pointee(expires_at),
            trial: ArcSwapOption::empty(),
            clock,
            observer,
        })
    }

    /// As [`PdpPool::prepare`].
    ///
    /// # Errors
    /// As [`PdpPool::prepare`].
    pub fn prepare(&self, bundle: &Arc<Bundle>) -> Result<Prepared, PdpError> {
        self.pool.prepare(bundle)
    }

    /// Puts a prepared bundle in force, until `expires_at`.
    pub fn put_in_force(&self, prepared: Prepared, expires_at: Option<Timestamp>) {
        // The new end first: between the two lines the old bundle, which had not ended, answers a little longer.
        self.expires_at.store(expires_at.map(Arc::new));
        self.pool.put_in_force(prepared);
    }

    /// Threads for a candidate, prepared and not asked yet. Blocks as [`PdpPool::prepare`] does.
    ///
    /// # Errors
    /// As [`PdpPool::start`].
    pub fn prepare_candidate(&self, bundle: Arc<Bundle>) -> Result<PdpPool, PdpError> {
        PdpPool::start(bundle, self.config)
    }

    /// Tries out another candidate, or none any more; the one before, whose threads end when it is dropped.
    pub fn try_out(&self, trial: Option<Trial>) -> Option<Arc<Trial>> {
        self.trial.swap(trial.map(Arc::new))
    }

    /// The candidate.
    pub fn trial(&self) -> Option<Arc<Trial>> {
        self.trial.load_full().filter(|trial| trial.expires_at.is_none_or(|end| self.clock.now() < end))
    }

    /// When the bundle in force ends.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at.load().as_deref().copied()
    }

    /// Whether the bundle in force is past its end.
    pub fn is_expired(&self) -> bool {
        self.expires_at().is_some_and(|end| self.clock.now() >= end)
    }

    /// Whether anybody is left to answer.
    pub fn is_alive(&self) -> bool {
        self.pool.is_alive()
    }

    /// As [`PdpPool::query`], by the bundle in force.
    ///
    /// # Errors
    /// As [`PdpPool::query`].
    pub async fn query(&self, path: &str, input: PolicyInput) -> Result<serde_json::Value, PolicyFault> {
        if self.is_expired() { Err(PolicyFault::Expired) } else { self.pool.query(path, input).await }
    }

    async fn answer<T: Question>(&self, input: PolicyInput, fault: impl FnOnce(PolicyFault) -> T) -> Judged<T> {
        if self.is_expired() {
            return Judged::new(fault(PolicyFault::Expired), self.pool.bundle());
        }
        let Some(trial) = self.trial() else { return T::ask(&self.pool, input).await };
        let (judged, agreement) = trial::both(&self.pool, &trial, input).await;
        (self.observer)(T::NAME, agreement);
        judged
    }
}

#[async_trait]
impl PolicyPoint for InForce {
    fn bundle(&self) -> Arc<Bundle> {
        self.pool.bundle()
    }

    fn bundle_for(&self, agent: &SpiffeId) -> Arc<Bundle> {
        let bundle = self.pool.bundle();
        // The workspace is that of the bundle in force, here and in the policy's input: an agent has one place.
        let place = Place::of(&bundle.workspace_of(agent), agent);
        self.trial().filter(|trial| trial.decides_for(Some(place))).map_or(bundle, |trial| trial.bundle())
    }

    async fn decide(&self, input: PolicyInput) -> Judged<Decision> {
        self.answer(input, Decision::fault).await
    }

    async fn issue(&self, input: PolicyInput) -> Judged<IssueDecision> {
        self.answer(input, IssueDecision::fault).await
    }

    async fn assess(&self, input: PolicyInput) -> Judged<Assessment> {
        self.answer(input, Assessment::fault).await
    }

    async fn query(&self, rule: &str, input: PolicyInput) -> Judged<Result<serde_json::Value, PolicyFault>> {
        Judged::new(InForce::query(self, rule, input).await, self.pool.bundle())
    }
}
