//! Sending the ledger to other systems: order, batches, retries, and what happens when a sink falls behind.
//!
//! The ledger is the queue. Each sink has a durable place in it and is sent what stands behind that place, in order, at
//! least once: a batch that was delivered and whose place was not kept in time comes again, with the same bytes and ids.
//! Nothing is ever passed over. A record that a receiver refuses stands alone in its batch soon, so that everything
//! before it is delivered, and stays there until the receiver takes it.
//!
//! A sink that is behind changes nothing for decisions until its set bound. Beyond it, an event and a metric say so, and
//! where the operator chose `refuse`, the doors take no new decision until it has caught up ([`SinkGate`]).
//!
//! Not here: wire formats (`adapters::sinks`), the places (`adapters::store`).

mod bound;
mod gate;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use super::ports::{
    Clock, Entropy, Ledger, OutboundRecord, ShippingLog, Sink, SinkBatch, SinkError, StoreError, Stretch,
};
use crate::domain::id::EventId;
use crate::domain::ledger::EventType;
use crate::domain::time::Timestamp;

pub use bound::{LagBound, OnFull};
pub use gate::SinkGate;

/// How often a place is made durable while batches go well.
const KEEP_MICROS: u64 = 1_000_000;

/// How much is sent at once.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Records.
    pub records: usize,
    /// Bytes of entries; one record more than fits is never added, one record alone always is.
    pub bytes: usize,
    /// How long a batch that is not full waits for more.
    pub linger: Duration,
}

/// Pauses between attempts: doubled each time, spread over the upper half, so that what failed together does not come
/// back together.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Backoff {
    /// The pause after `failures` in a row; `jitter` picks a point between its half and its whole.
    pub fn pause(&self, failures: u32, jitter: u8) -> Duration {
        let doubled = self.first.saturating_mul(1_u32 << failures.saturating_sub(1).min(20)).min(self.longest);
        doubled / 2 + doubled / 2 * u32::from(jitter) / 255
    }
}

/// Where a sink that was never seen starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartAt {
    /// At the first entry of the ledger.
    #[default]
    Beginning,
    /// At what is written from now on.
    Now,
}

/// What one attempt came to, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shipped {
    /// That many records were taken.
    Delivered(u64),
    /// The attempt failed.
    Failed,
}

/// Told of every attempt: the sink's name, and what it came to.
pub type ShipObserver = Arc<dyn Fn(&str, Shipped) + Send + Sync>;

/// What a shipper stands on.
pub struct ShipperPorts {
    /// The ledger to send, and the places.
    pub log: Arc<dyn ShippingLog>,
    /// Where events of its own go.
    pub ledger: Arc<dyn Ledger>,
    /// The way out.
    pub sink: Arc<dyn Sink>,
    /// Closed by a sink that is too far behind.
    pub gate: Arc<SinkGate>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bits.
    pub entropy: Arc<dyn Entropy>,
    /// Told of every attempt.
    pub observer: ShipObserver,
}

/// Sends the ledger to one sink.
pub struct Shipper {
    /// The sink's name.
    pub sink: String,
    /// What it is sent; everything where absent.
    pub events: Option<BTreeSet<EventType>>,
    /// Where it starts if it is new.
    pub start: StartAt,
    /// How much at once.
    pub limits: BatchLimits,
    /// When to try again.
    pub backoff: Backoff,
    /// How far it may be behind.
    pub bound: LagBound,
    /// The rest.
    pub ports: ShipperPorts,
    /// How far it has come, for those who only look.
    pub progress: Progress,
}

/// How far a sink has come, and why not farther. Written by the one task that sends.
#[derive(Debug, Default)]
pub struct Progress {
    next: AtomicU64,
    /// When the oldest entry that waits was written, in milliseconds; 0 when none is known.
    oldest: AtomicU64,
    /// Why the last attempt failed.
    fault: Mutex<Option<String>>,
    /// Whether the sink was found beyond its bound, and that is on record.
    beyond: Mutex<bool>,
}

/// How far behind a sink is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// Entries it was not sent.
    pub records: u64,
    /// Age of the oldest of them.
    pub age: Duration,
}

/// Where sending stands.
#[derive(Debug, Clone)]
pub struct Place {
    next: u64,
    kept: u64,
    kept_at: u64,
    /// Records in the next batch, at most: narrowed while a receiver refuses, so that a record it cannot take is alone.
    width: usize,
    failures: u32,
    /// Not before this instant, monotonic.
    retry_at: u64,
    /// Since when a batch that is not full waits.
    lingering: Option<u64>,
    /// What was tried and not taken: tried again as it was, so that a receiver sees the same batch again.
    pending: Option<Pending>,
}

/// A batch, and where to go on behind it.
#[derive(Debug, Clone)]
struct Pending {
    records: Vec<OutboundRecord>,
    next: u64,
}

/// What to do after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Go on at once.
    More,
    /// Wait until the ledger grows beyond what was sent.
    Idle,
    /// Wait that long.
    Pause(Duration),
}

impl Shipper {
    /// The sink's place in the ledger, made if it is new.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn join(&self) -> Result<Place, StoreError> {
        let first = match self.start {
            StartAt::Beginning => 0,
            StartAt::Now => self.ports.log.durable(),
        };
        let next = self.ports.log.place(&self.sink, first).await?;
        self.progress.next.store(next, Ordering::Relaxed);
        let first = self.ports.log.stretch(next, 1, 1).await?;
        self.see_oldest(&first);
        let kept_at = self.ports.clock.monotonic_micros();
        let width = self.limits.records;
        Ok(Place { next, kept: next, kept_at, width, failures: 0, retry_at: 0, lingering: None, pending: None })
    }

    /// Sends the next batch, if there is one and its time has come.
    ///
    /// # Errors
    /// When the store cannot be read or written; what was not kept is sent again.
    pub async fn step(&self, place: &mut Place) -> Result<Step, StoreError> {
        let now = self.ports.clock.monotonic_micros();
        if now < place.retry_at {
            return Ok(Step::Pause(Duration::from_micros(place.retry_at - now)));
        }
        let batch = match place.pending.take() {
            Some(batch) => batch,
            None => {
                let stretch = self.ports.log.stretch(place.next, place.width, self.limits.bytes).await?;
                self.see_oldest(&stretch);
                if stretch.next == place.next {
                    self.keep(place).await?;
                    return Ok(Step::Idle);
                }
                if let Some(rest) = self.linger(place, &stretch, now) {
                    return Ok(Step::Pause(rest));
                }
                Pending { next: stretch.next, records: self.wanted(stretch.entries)? }
            }
        };
        if batch.records.is_empty() {
            self.move_to(place, batch.next);
        } else {
            self.deliver(place, batch).await;
        }
        if self.ports.clock.monotonic_micros().saturating_sub(place.kept_at) >= KEEP_MICROS {
            self.keep(place).await?;
        }
        Ok(Step::More)
    }

    /// How much longer a batch that is not full waits for more.
    fn linger(&self, place: &mut Place, stretch: &Stretch, now: u64) -> Option<Duration> {
        if !stretch.full {
            let waited = now.saturating_sub(*place.lingering.get_or_insert(now));
            let rest = self.limits.linger.saturating_sub(Duration::from_micros(waited));
            if !rest.is_zero() {
                return Some(rest);
            }
        }
        place.lingering = None;
        None
    }

    /// Makes the place durable.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn keep(&self, place: &mut Place) -> Result<(), StoreError> {
        if place.kept < place.next {
            self.ports.log.advance(&self.sink, place.next).await?;
            place.kept = place.next;
        }
        place.kept_at = self.ports.clock.monotonic_micros();
        Ok(())
    }

    /// Waits until there is more to send, or `millis` have passed.
    pub async fn wait(&self, place: &Place, millis: u64) {
        self.ports.log.grown(place.next, millis).await;
    }

    /// How far behind the sink is.
    pub fn lag(&self) -> Lag {
        let records = self.ports.log.durable().saturating_sub(self.progress.next.load(Ordering::Relaxed));
        let oldest = self.progress.oldest.load(Ordering::Relaxed);
        if records == 0 || oldest == 0 {
            return Lag { records, age: Duration::ZERO };
        }
        Lag { records, age: self.ports.clock.now().since(Timestamp::from_millis(oldest)) }
    }

    async fn deliver(&self, place: &mut Place, batch: Pending) {
        let Pending { records, next } = batch;
        let batch = SinkBatch { records };
        let Err(error) = self.ports.sink.deliver(&batch).await else {
            self.taken(batch.records.len());
            self.move_to(place, next);
            place.failures = 0;
            place.width = place.width.saturating_mul(2).min(self.limits.records);
            self.fault(None);
            return;
        };
        let mut records = batch.records;
        let left = records.split_off(error.taken.min(records.len().saturating_sub(1)));
        if let Some(first) = left.first().filter(|_| !records.is_empty()) {
            self.taken(records.len());
            self.move_to(place, first.seq);
        }
        self.failed(place, &error, Pending { records: left, next });
    }

    fn failed(&self, place: &mut Place, error: &SinkError, mut left: Pending) {
        (self.ports.observer)(&self.sink, Shipped::Failed);
        let alone = left.records.len() <= 1;
        place.failures = place.failures.saturating_add(1);
        let [jitter, ..] = self.ports.entropy.bytes();
        let mut pause = self.backoff.pause(place.failures, jitter);
        let mut fault = error.detail.clone();
        if error.refused && !alone {
            // Somewhere in it is what the receiver does not take; what stands before that can go.
            place.width = left.records.len() / 2;
            if let Some(first) = left.records.split_off(place.width).first() {
                left.next = first.seq;
            }
            pause = self.backoff.first;
        } else if let Some(stuck) = left.records.first().filter(|_| error.refused) {
            fault = format!("{fault}; it refuses entry {} (event {})", stuck.seq, stuck.event_id);
        }
        let micros = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
        place.retry_at = self.ports.clock.monotonic_micros().saturating_add(micros);
        if let Some(first) = left.records.first() {
            self.progress.oldest.store(first.at.as_millis(), Ordering::Relaxed);
        }
        place.pending = Some(left);
        self.fault(Some(fault));
    }

    fn taken(&self, records: usize) {
        (self.ports.observer)(&self.sink, Shipped::Delivered(records as u64));
    }

    fn move_to(&self, place: &mut Place, next: u64) {
        place.next = next;
        self.progress.next.store(next, Ordering::Relaxed);
    }

    fn see_oldest(&self, stretch: &Stretch) {
        let first = stretch.entries.first().and_then(|(seq, body)| outbound(*seq, body.clone()).ok());
        self.progress.oldest.store(first.map_or(0, |record| record.at.as_millis()), Ordering::Relaxed);
    }

    fn fault(&self, fault: Option<String>) {
        *self.progress.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Why the last attempt failed; `None` when it did not.
    pub fn last_fault(&self) -> Option<String> {
        self.progress.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wanted(&self, entries: Vec<(u64, Vec<u8>)>) -> Result<Vec<OutboundRecord>, StoreError> {
        let records = entries.into_iter().map(|(seq, body)| outbound(seq, body));
        let wanted = |kind| self.events.as_ref().is_none_or(|events| events.contains(&kind));
        records.filter(|record| record.as_ref().map_or(true, |record| wanted(record.event_type))).collect()
    }
}

/// What an envelope says of an entry.
fn outbound(seq: u64, body: Vec<u8>) -> Result<OutboundRecord, StoreError> {
    #[derive(Deserialize)]
    struct Envelope {
        event_id: EventId,
        event_type: EventType,
        at: Timestamp,
        allow: Option<bool>,
    }
    let read = serde_json::from_slice(&body);
    let Envelope { event_id, event_type, at, allow } =
        read.map_err(|error| StoreError::Unavailable(format!("entry {seq} cannot be read: {error}")))?;
    Ok(OutboundRecord { seq, event_id, event_type, at, allow, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_spread_over_the_upper_half() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
        let at = |failures, jitter| backoff.pause(failures, jitter).as_millis();
        assert_eq!((at(1, 0), at(1, 255), at(2, 255), at(5, 255)), (500, 1000, 2000, 16_000));
        assert_eq!((at(7, 255), at(400, 255), at(u32::MAX, 0)), (60_000, 60_000, 30_000));
    }
}
