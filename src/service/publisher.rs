//! Checkpoints leave the database: to a file, and to witnesses that cosign them.
//!
//! ```text
//! newest checkpoint ─▶ what does it have? ─▶ consistency proof from there ─▶ hand in ─▶ verify the answer ─▶ keep it
//! ```
//!
//! One round a place: a dead witness holds nobody else back, and no decision waits for any of this. What a witness has is
//! in the store, so that a restart goes on from there; a witness that has something else says so and is asked again once.
//! A place that has *more* than this log, or another root for its size, is the finding that this is for: it is reported on
//! every round and never repaired.
//!
//! Not here: when a round is due and what is logged (the composition root).

use std::sync::Arc;
use std::time::Duration;

use super::ports::{CheckpointFile, PublishError, PublishedLog, Witness};
use crate::domain::ledger::Checkpoint;

/// The longest pause after failures.
const MAX_PAUSE: Duration = Duration::from_secs(600);
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Where checkpoints go.
#[derive(Clone)]
pub enum Place {
    /// A file.
    File(Arc<dyn CheckpointFile>),
    /// A witness.
    Witness(Arc<dyn Witness>),
}

impl Place {
    /// Its name in logs and metrics: the operator's configuration.
    pub fn name(&self) -> &str {
        match self {
            Self::File(_) => "file",
            Self::Witness(witness) => witness.key().name().as_str(),
        }
    }
}

/// One place and the log whose checkpoints it gets.
#[derive(Clone)]
pub struct Publisher {
    /// Where to.
    pub place: Place,
    /// What.
    pub log: Arc<dyn PublishedLog>,
}

/// What a round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The size that the place has now.
    pub size: u64,
    /// Whether it has it by this round.
    pub new: bool,
}

impl Publisher {
    /// Brings the newest checkpoint to the place, if it does not have it.
    ///
    /// # Errors
    /// As the variants of [`PublishError`] say; the place may have it all the same.
    pub async fn round(&self) -> Result<Published, PublishError> {
        let newest = self.log.newest().await?;
        let new = match &self.place {
            Place::File(file) => file.append(&newest).await?,
            Place::Witness(witness) => self.ask(witness.as_ref(), &newest).await?,
        };
        Ok(Published { size: newest.size(), new })
    }

    async fn ask(&self, witness: &dyn Witness, newest: &Checkpoint) -> Result<bool, PublishError> {
        let known = self.log.witnessed(witness.key().name()).await?;
        if known > newest.size() {
            return Err(PublishError::Contradicted { has: known, newest: newest.size() });
        }
        // An empty log has nothing to vouch for.
        if known == newest.size() {
            return Ok(false);
        }
        match self.hand_in(witness, known, newest).await {
            Err(PublishError::OtherSize(has)) if has > newest.size() => {
                Err(PublishError::Contradicted { has, newest: newest.size() })
            }
            // What it has is its own to say: our note of it was lost, or its answer was.
            Err(PublishError::OtherSize(has)) => self.hand_in(witness, has, newest).await.map(|()| true),
            answered => answered.map(|()| true),
        }
    }

    async fn hand_in(&self, witness: &dyn Witness, old: u64, newest: &Checkpoint) -> Result<(), PublishError> {
        let proof = self.log.consistency(old, newest.size()).await?;
        let cosignature = witness.add_checkpoint(old, &proof, newest).await?;
        Ok(self.log.keep_cosignature(newest, &cosignature).await?)
    }
}

/// How long to wait after `failures` rounds that failed one after the other: a second, doubled each time, never longer
/// than ten minutes.
pub fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX)).min(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_at_ten_minutes() {
        let seconds: Vec<_> = [1, 2, 3, 10, 11, 40, u32::MAX].map(|n| pause(n).as_secs()).into();
        assert_eq!(seconds, [1, 2, 4, 512, 600, 600, 600]);
    }
}
