//! The policy decision point: regorus on threads of our own.
//!
//! ```text
//! decide(input) ──queue (bounded)──▶ thread { Evaluator } ──oneshot──▶ decision
//!       └── deadline, kept outside of the thread ──▶ policy_timeout
//! ```
//!
//! One hop there and one back; no evaluation runs on the runtime's workers. Each thread builds its engine from source.
//! Another bundle gets threads of its own, prepared beside those that answer ([`PdpPool::prepare`]), and they take over at
//! one moment ([`PdpPool::put_in_force`]): nothing can fail then and no question waits. A thread that is still busy when
//! its question's deadline has passed (in a builtin that the execution timer cannot stop) is given up and replaced; while
//! too many are given up, none is replaced any more, and what nobody can answer is denied.
//!
//! [`InForce`] is the decision point that the services ask: a pool for the bundle in force, with the end of its life, and
//! one for a candidate (`trial`).

mod in_force;
mod queue;
mod trial;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::domain::policy::engine::EngineError;
use crate::domain::policy::{Assessment, Bundle, Decision, IssueDecision, PolicyFault, PolicyInput};
use crate::domain::spiffe::SpiffeId;
use crate::service::ports::{Judged, PolicyPoint};

pub use in_force::{InForce, Observer};
pub use trial::{Agreement, Trial};

use worker::{Crew, Job, Question, Shift};

/// How the decision point is sized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PdpConfig {
    /// Evaluating threads.
    pub threads: usize,
    /// Questions that may wait.
    pub queue: usize,
    /// The longest that a question may take, waiting included; its evaluation alone a tenth of it.
    pub deadline: Duration,
    /// Stack of an evaluating thread, in bytes.
    pub stack: usize,
}

impl Default for PdpConfig {
    fn default() -> Self {
        Self { threads: 2, queue: 1024, deadline: Duration::from_millis(500), stack: 16 * 1024 * 1024 }
    }
}

/// Why the decision point does not start.
#[derive(Debug, thiserror::Error)]
pub enum PdpError {
    /// The bundle is inside the safe profile and regorus does not take it.
    #[error("the policy engine refuses the bundle: {0}")]
    Engine(#[from] EngineError),
    /// No thread, or a thread that ended before it was ready.
    #[error("an evaluating thread did not start: {0}")]
    Thread(#[from] std::io::Error),
}

/// Threads that evaluate the bundle in force. Dropping it ends them.
pub struct PdpPool {
    crew: Arc<Crew>,
    threads: usize,
    deadline: Duration,
}

/// A bundle whose engines are prepared. Dropping it changes nothing.
pub struct Prepared(Shift);

impl PdpPool {
    /// Starts the threads and waits until each of them is prepared.
    ///
    /// # Errors
    /// When a thread does not start or an engine does not prepare.
    pub fn start(bundle: Arc<Bundle>, config: PdpConfig) -> Result<Self, PdpError> {
        let crew = Arc::new(Crew::new(Arc::clone(&bundle), config.queue, config.stack, config.deadline / 10));
        let pool = Self { crew, threads: config.threads, deadline: config.deadline };
        pool.activate(&bundle)?;
        Ok(pool)
    }

    /// Prepares the engines of another bundle; blocks as long as that takes, and delays nobody who asks meanwhile.
    ///
    /// # Errors
    /// When a thread does not start or an engine does not prepare. The bundle in force stays.
    pub fn prepare(&self, bundle: &Arc<Bundle>) -> Result<Prepared, PdpError> {
        self.crew.prepare(bundle, self.threads).map(Prepared)
    }

    /// Puts a prepared bundle in force: every question that is taken from the queue from now on is answered by it.
    pub fn put_in_force(&self, prepared: Prepared) {
        self.crew.relieve(prepared.0);
    }

    /// Prepares a bundle and puts it in force.
    ///
    /// # Errors
    /// As [`PdpPool::prepare`].
    pub fn activate(&self, bundle: &Arc<Bundle>) -> Result<(), PdpError> {
        self.prepare(bundle).map(|prepared| self.put_in_force(prepared))
    }

    /// Replaces threads that do not come back from a question that nobody waits for any more.
    fn replace_stuck(&self) {
        self.crew.replace_stuck(self.deadline / 2);
    }

    /// Whether anybody is left to answer.
    pub fn is_alive(&self) -> bool {
        self.crew.is_alive()
    }

    /// Questions that wait.
    pub fn waiting(&self) -> usize {
        self.crew.waiting()
    }

    /// Threads that were given up and have not come back.
    pub fn given_up(&self) -> usize {
        self.crew.given_up()
    }

    /// Any rule of the policy, `path` being what follows `data.`, as JSON (OPA's Data API).
    ///
    /// # Errors
    /// The fault; [`PolicyFault::Undefined`] also where there is no such rule.
    pub async fn query(&self, path: &str, input: PolicyInput) -> Result<serde_json::Value, PolicyFault> {
        let path = path.to_owned();
        self.ask(input, |reply| Question::Query { path, reply }).await?
    }

    /// A denial that no engine gave, under the bundle in force.
    fn denied<T>(&self, verdict: T) -> Judged<T> {
        Judged::new(verdict, self.crew.bundle())
    }

    async fn ask<T>(
        &self,
        input: PolicyInput,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, PolicyFault> {
        let (reply, answer) = oneshot::channel();
        self.crew.take(Job { input, question: question(reply) }).map_err(|_| PolicyFault::Overloaded)?;
        match tokio::time::timeout(self.deadline, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            // The thread ended without an answer: nothing but a panic outside of the guarded evaluation does that.
            Ok(Err(_)) => Err(PolicyFault::Panic),
            Err(_) => {
                self.crew.replace_stuck(self.deadline / 2);
                Err(PolicyFault::Timeout)
            }
        }
    }
}

#[async_trait]
impl PolicyPoint for PdpPool {
    fn bundle(&self) -> Arc<Bundle> {
        self.crew.bundle()
    }

    fn bundle_for(&self, _agent: &SpiffeId) -> Arc<Bundle> {
        self.crew.bundle()
    }

    async fn decide(&self, input: PolicyInput) -> Judged<Decision> {
        self.ask(input, Question::Decide).await.unwrap_or_else(|fault| self.denied(Decision::fault(fault)))
    }

    async fn issue(&self, input: PolicyInput) -> Judged<IssueDecision> {
        self.ask(input, Question::Issue).await.unwrap_or_else(|fault| self.denied(IssueDecision::fault(fault)))
    }

    async fn assess(&self, input: PolicyInput) -> Judged<Assessment> {
        self.ask(input, Question::Assess).await.unwrap_or_else(|fault| self.denied(Assessment::fault(fault)))
    }

    async fn query(&self, rule: &str, input: PolicyInput) -> Judged<Result<serde_json::Value, PolicyFault>> {
        let bundle = self.crew.bundle();
        Judged::new(PdpPool::query(self, rule, input).await, bundle)
    }
}

impl Drop for PdpPool {
    fn drop(&mut self) {
        self.crew.dismiss();
    }
}

#[cfg(test)]
mod tests;
