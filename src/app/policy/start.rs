//! The first bundle: what the source has, or else the last good one. Without either nothing starts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{sleep, timeout};

use super::{Admitted, BundleFacts, Gate, Highest, PolicyState, Refused};
use crate::adapters::bundle_source::{Found, LastGood, Look, Source, SourceError};
use crate::adapters::clock::SystemClock;
use crate::adapters::metrics::Metrics;
use crate::adapters::pdp::{Agreement, InForce, PdpConfig};
use crate::adapters::store::SqliteStore;
use crate::config::Config;
use crate::domain::ledger::Entry;
use crate::domain::policy::Bundle;
use crate::domain::time::Timestamp;
use crate::service::ports::Clock as _;

/// For one attempt to reach an endpoint at a start.
const ATTEMPT: Duration = Duration::from_secs(8);
const ATTEMPTS: u32 = 2;
const PAUSE: Duration = Duration::from_millis(500);

/// What a start begins with.
struct First {
    admitted: Admitted,
    source: Source,
    refused: Option<Refused>,
}

/// The policy of a process that starts.
pub(in crate::app) struct Started {
    pub(in crate::app) policy: Arc<InForce>,
    pub(in crate::app) state: PolicyState,
    pub(in crate::app) bundle: Arc<Bundle>,
    pub(in crate::app) facts: BundleFacts,
    /// The archive, to be kept.
    pub(in crate::app) bytes: Option<Vec<u8>>,
    /// Goes on where the look of the start ended.
    pub(in crate::app) source: Source,
    /// What the source had, if it was not that.
    pub(in crate::app) refused: Option<Refused>,
}

/// Finds the first bundle and starts the threads that evaluate it.
///
/// # Errors
/// When there is none that may be in force.
pub(in crate::app) async fn start(
    config: &Config,
    gate: &Arc<Gate>,
    sqlite: &SqliteStore,
    clock: &Arc<SystemClock>,
    metrics: &Metrics,
) -> anyhow::Result<Started> {
    let last = sqlite.reader().last_activation().await?;
    let before = highest_on_record(last.as_ref())?;
    let last_good = config.policy.persist.clone().map(LastGood::at);
    let First { admitted, source, refused } =
        look_at_start(config, gate, last_good.as_ref(), before, clock.now()).await?;
    let Admitted { bundle, facts, bytes } = admitted;
    let settings =
        PdpConfig { threads: config.policy_threads, deadline: config.policy_deadline, ..PdpConfig::default() };
    let metrics = metrics.policy().clone();
    let observer = Arc::new(move |question, agreement: Agreement| metrics.compared(question, agreement.as_str()));
    let policy = InForce::start(Arc::clone(&bundle), facts.expires_at, settings, clock.clone(), observer)?;
    gate.serve();
    let highest = Highest::after(before, &bundle, &facts);
    let state = PolicyState::new(Arc::clone(gate), last_good, highest, (&bundle, &facts, clock.now()));
    Ok(Started { policy: Arc::new(policy), state, bundle, facts, bytes, source, refused })
}

/// What a start would refuse of its policy; the record, which may be in use, is not asked for sequences.
///
/// # Errors
/// As [`start`].
pub(in crate::app) async fn check(config: &Config, exe: &Path, commits: bool) -> anyhow::Result<()> {
    let gate = Arc::new(Gate::new(config, exe.to_owned(), commits)?);
    let last_good = config.policy.persist.clone().map(LastGood::at);
    look_at_start(config, &gate, last_good.as_ref(), None, SystemClock.now()).await?;
    if let Some(candidate) = &config.policy.candidate {
        Source::new(&candidate.source, config.dev)
            .with_context(|| format!("the candidate `{}`", candidate.source.place))?;
    }
    Ok(())
}

/// The highest sequence by the last activation on record.
fn highest_on_record(last: Option<&Entry>) -> anyhow::Result<Option<Highest>> {
    let Some(detail) = last.map(|entry| &entry.subject.detail) else { return Ok(None) };
    let read = |key: &str| detail.get(key).with_context(|| format!("the last activation on record has no `{key}`"));
    if !detail.contains_key("highest_sequence") {
        return Ok(None);
    }
    Ok(Some(Highest { sequence: read("highest_sequence")?.parse()?, digest: read("highest_digest")?.parse()? }))
}

/// Looks at the source and takes what it has through the gate; what fails is made up for by the last good archive.
async fn look_at_start(
    config: &Config,
    gate: &Arc<Gate>,
    last_good: Option<&LastGood>,
    highest: Option<Highest>,
    now: Timestamp,
) -> anyhow::Result<First> {
    let place = &config.policy.source.place;
    let mut source = Source::new(&config.policy.source, config.dev).with_context(|| format!("the bundle `{place}`"))?;
    let admit = async |found: Found| {
        let (gate, source) = (Arc::clone(gate), config.policy.source.clone());
        tokio::task::spawn_blocking(move || gate.admit(found, &source, highest, now)).await
    };
    let failed = match first_look(&mut source).await {
        Ok(found) => match admit(found).await? {
            Ok(admitted) => return Ok(First { admitted, source, refused: None }),
            Err(refused) => Failed::Refused(refused),
        },
        Err(error) => Refused::by_source(&error).map_or(Failed::Look(error), Failed::Refused),
    };
    let failed = failed.in_words(format!("the bundle `{place}`"));
    let Some(last_good) = last_good else { return Err(failed.error) };
    let kept = match last_good.read() {
        Ok(found) => admit(found).await?.map_err(anyhow::Error::from),
        Err(error) => Err(error.into()),
    };
    match kept {
        Ok(admitted) => {
            tracing::warn!(policy.source = %place, error = format!("{:#}", failed.error), "started on the last good policy");
            Ok(First { admitted, source, refused: failed.refused })
        }
        Err(error) => {
            let kept = last_good.path().display();
            Err(failed
                .error
                .context(format!("there is no policy to start with; the last good one, `{kept}`: {error:#}")))
        }
    }
}

async fn first_look(source: &mut Source) -> Result<Found, SourceError> {
    let mut attempt = 1;
    loop {
        match timeout(ATTEMPT, source.look(false)).await.unwrap_or(Err(SourceError::Timeout)) {
            Ok(Look::Found(found)) => return Ok(*found),
            // There was no look before that it could be the same as.
            Ok(Look::Same) => return Err(SourceError::Timeout),
            Err(SourceError::Unreachable(_) | SourceError::Timeout) if attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
        sleep(PAUSE).await;
    }
}

enum Failed {
    Look(SourceError),
    Refused(Refused),
}

struct InWords {
    error: anyhow::Error,
    refused: Option<Refused>,
}

impl Failed {
    fn in_words(self, context: String) -> InWords {
        match self {
            Self::Look(error) => InWords { error: anyhow::Error::from(error).context(context), refused: None },
            Self::Refused(refused) => {
                InWords { error: anyhow::Error::from(refused.clone()).context(context), refused: Some(refused) }
            }
        }
    }
}
