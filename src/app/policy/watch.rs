//! The tasks that look at sources while the process runs: one for the bundle in force, one for a candidate.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

use super::super::Core;
use super::activate::{Turn, consider, refuse};
use super::{Refused, Role};
use crate::adapters::bundle_source::{Look, Source, SourceError};
use crate::config::SourceConfig;
use crate::domain::policy::CandidateMode;
use crate::service::ports::{Clock as _, Entropy as _};

/// After the first failure in a row; doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after failures, unless sources are looked at more rarely anyway.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// Between two long polls: an endpoint that answers at once is not asked without end.
const NEWS_PAUSE: Duration = Duration::from_secs(1);
/// How often the end of a bundle's life is looked for, for the log.
const EXPIRY_EVERY: Duration = Duration::from_secs(1);

/// What a task follows.
struct Followed {
    core: Arc<Core>,
    role: Role,
    source: Source,
    config: SourceConfig,
    mode: Option<CandidateMode>,
    failures: u32,
}

/// Starts the tasks. `source` goes on after the look of the start; every change of `reload` is an immediate look.
pub(in crate::app) fn start(
    core: &Arc<Core>,
    source: Source,
    reload: &watch::Receiver<u64>,
    stopping: &watch::Receiver<bool>,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    let policy = &core.config.policy;
    let in_force = Followed {
        core: Arc::clone(core),
        role: Role::InForce,
        source,
        config: policy.source.clone(),
        mode: None,
        failures: 0,
    };
    let pause = in_force.spread(policy.poll);
    tasks.spawn(in_force.follow(pause, reload.clone(), stopping.clone()));
    if let Some(candidate) = &policy.candidate {
        let followed = Followed {
            core: Arc::clone(core),
            role: Role::Candidate,
            source: Source::new(&candidate.source, core.config.dev)?,
            config: candidate.source.clone(),
            mode: Some(candidate.mode),
            failures: 0,
        };
        tasks.spawn(followed.follow(Duration::ZERO, reload.clone(), stopping.clone()));
    }
    tasks.spawn(tell_of_expiry(Arc::clone(core), stopping.clone()));
    Ok(())
}

impl Followed {
    async fn follow(mut self, mut pause: Duration, mut reload: watch::Receiver<u64>, mut stop: watch::Receiver<bool>) {
        loop {
            let look = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                Ok(()) = reload.changed() => {
                    self.source.forget();
                    pause = Duration::ZERO;
                    continue;
                }
                look = async { sleep(pause).await; self.source.look(true).await } => look,
            };
            // What is under way when the process stops is looked at by the next one.
            pause = tokio::select! {
                pause = self.turn(look) => pause,
                _ = stop.wait_for(|stop| *stop) => return,
            };
        }
    }

    /// Acts on a look; how long to wait before the next.
    async fn turn(&mut self, look: Result<Look, SourceError>) -> Duration {
        let found = match look {
            Ok(Look::Found(found)) => *found,
            Ok(Look::Same) => return self.looked(),
            Err(error) => return self.failed(error).await,
        };
        match consider(&self.core, self.role, found, &self.config, self.mode).await {
            Ok(Turn::Activated | Turn::Known) => self.looked(),
            Err(error) => {
                tracing::warn!(policy.role = self.role.as_str(), error = format!("{error:#}"), "tried again");
                self.source.forget();
                self.back_off()
            }
        }
    }

    fn looked(&mut self) -> Duration {
        self.failures = 0;
        self.core.metrics.policy().looked(self.role.as_str(), self.core.clock.now());
        let poll = self.core.config.policy.poll;
        self.spread(if self.source.waits_for_news() { NEWS_PAUSE.min(poll) } else { poll })
    }

    async fn failed(&mut self, error: SourceError) -> Duration {
        self.core.metrics.policy().look_failed(self.role.as_str());
        let refused = match &error {
            SourceError::Archive { .. } => Refused::by_source(&error),
            // A file that is there at one moment and gone at the next is no refusal, one that stays unreadable is.
            SourceError::Folder(_) if self.failures == 1 => {
                Some(Refused::because("bundle_unreadable", error.to_string()))
            }
            _ => None,
        };
        if self.failures == 0 || refused.is_some() {
            let source = self.config.place.to_string();
            tracing::warn!(policy.role = self.role.as_str(), policy.source = source, %error, "no policy from its source");
        }
        if let Some(refused) = refused
            && let Err(error) = refuse(&self.core, self.role, &refused).await
        {
            tracing::warn!(error = format!("{error:#}"), "tried again");
            self.source.forget();
        }
        self.back_off()
    }

    fn back_off(&mut self) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.failures.min(16)));
        self.failures = self.failures.saturating_add(1);
        let poll = self.core.config.policy.poll;
        let longest = if self.source.is_remote() { MAX_PAUSE.max(poll) } else { poll };
        self.spread(doubled.min(longest))
    }

    /// 10 % more or less, so that many brokers do not ask at one moment.
    fn spread(&self, pause: Duration) -> Duration {
        let chance = self.core.entropy.bytes().last().copied().unwrap_or_default();
        pause.mul_f64(0.9 + 0.2 * f64::from(chance) / 255.0)
    }
}

/// The verdicts say it themselves; the log says it once.
async fn tell_of_expiry(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(EXPIRY_EVERY);
    let mut known = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let expired = core.policy.is_expired();
        if expired && !known {
            tracing::error!("the policy in force has expired: everything is denied until there is a newer one");
        }
        known = expired;
    }
}
