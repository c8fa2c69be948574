//! `GET /audit`: for the identities that the configuration names, each reading on record.
//!
//! A reading is one identity's one question, whatever number of pages it takes. It is on record as `audit_read` before
//! its first page is answered, and again if it is still asked ten minutes later. An identity has so many different
//! questions in ten minutes and no more, so that readers cannot fill the record that they read. Refusals are for the door
//! to record.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::governance::{Integrity, Report};
use crate::domain::id::{EventId, Sha256Digest, WorkspaceId};
use crate::domain::ledger::{Entry, EventType, Subject};
use crate::domain::spiffe::{SpiffeId, VerifiedSvid};
use crate::domain::time::Timestamp;
use crate::service::governance::{Question, ReportError, report};
use crate::service::ports::{AuditLog, AuditPage, AuditQuestion, Clock, Entropy, Ledger, Order};
use crate::service::refusal::{Code, Refusal};

/// How long one record of a reading stands for more pages of it.
const READING: Duration = Duration::from_secs(600);
/// The period of a report where none is given.
const DEFAULT_PERIOD: Duration = Duration::from_secs(30 * 86_400);
/// The longest that one is made of at a door.
const LONGEST_PERIOD: Duration = Duration::from_secs(400 * 86_400);
/// How many different questions an identity has in that time.
const READINGS: usize = 64;

/// What reading stands on.
pub struct AuditPorts {
    /// The record as it is asked.
    pub log: Arc<dyn AuditLog>,
    /// The record as it is written.
    pub ledger: Arc<dyn Ledger>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bits.
    pub entropy: Arc<dyn Entropy>,
}

/// The readers of this process's record.
pub struct AuditReads {
    auditors: Vec<SpiffeId>,
    ports: AuditPorts,
    readings: Mutex<HashMap<SpiffeId, Vec<Reading>>>,
    /// A report reads a whole period: one at a time.
    reporting: AtomicBool,
}

/// What a report of governance is asked for; 30 days until now where nothing is said.
#[derive(Debug, Clone, Default)]
pub struct Period {
    /// The first instant that counts.
    pub since: Option<Timestamp>,
    /// The first instant that does not count any more.
    pub until: Option<Timestamp>,
    /// Only this workspace.
    pub workspace: Option<WorkspaceId>,
}

/// The one report that is made.
struct Turn<'a>(&'a AtomicBool);

impl<'a> Turn<'a> {
    fn take(busy: &'a AtomicBool) -> Result<Self, Refusal> {
        match busy.swap(true, Ordering::AcqRel) {
            false => Ok(Self(busy)),
            true => Err(Refusal::new(Code::Busy, "another report is being made; try again")),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A question that was asked, known by the digest of its text.
struct Reading {
    question: Sha256Digest,
    since: Timestamp,
    /// Whether it is durable that it was asked; until then it only takes its place.
    recorded: bool,
}

impl AuditReads {
    /// For `auditors` alone.
    pub fn new(auditors: Vec<SpiffeId>, ports: AuditPorts) -> Self {
        Self { auditors, ports, readings: Mutex::default(), reporting: AtomicBool::new(false) }
    }

    /// Whether a caller may read at all, to be asked before anything of its request is judged.
    ///
    /// # Errors
    /// A refusal when the configuration does not name it.
    pub fn admit(&self, caller: &VerifiedSvid) -> Result<(), Refusal> {
        if self.auditors.contains(caller.id()) {
            return Ok(());
        }
        let detail = "only the identities under `ledger.auditors` read the record";
        Err(Refusal::because(Code::CallerNotAllowed, "not_an_auditor", detail))
    }

    /// One page for an auditor.
    ///
    /// # Errors
    /// A refusal; nothing was read.
    pub async fn read(&self, caller: &VerifiedSvid, question: &AuditQuestion) -> Result<AuditPage, Refusal> {
        self.admit(caller)?;
        self.on_record(caller.id(), question.query.to_string(), order_name(question.order)).await?;
        Ok(self.ports.log.page(question).await?)
    }

    /// The figures of governance for an auditor. The record is not verified for them.
    ///
    /// # Errors
    /// A refusal: of who is no auditor, of a period that is empty or too long, and while another report is made.
    pub async fn governance(&self, caller: &VerifiedSvid, asked: Period) -> Result<Report, Refusal> {
        self.admit(caller)?;
        let Period { since, until, workspace } = asked;
        let until = until.unwrap_or_else(|| self.ports.clock.now());
        let since = since.unwrap_or_else(|| until.minus(DEFAULT_PERIOD));
        if until.since(since) > LONGEST_PERIOD {
            let detail = format!("a report is of at most {} days", LONGEST_PERIOD.as_secs() / 86_400);
            return Err(Refusal::because(Code::RequestMalformed, "period_too_long", detail));
        }
        let place = workspace.as_ref().map(|name| format!(" workspace={name}")).unwrap_or_default();
        self.on_record(caller.id(), format!("since={since} until={until}{place}"), "governance").await?;
        let _turn = Turn::take(&self.reporting)?;
        let question = Question { since, until, workspace, integrity: Integrity::NotVerified };
        report(question, self.ports.ledger.as_ref()).await.map_err(|error| match error {
            ReportError::Store(error) => error.into(),
            ReportError::EmptyPeriod { .. } => {
                Refusal::because(Code::RequestMalformed, "period_empty", error.to_string())
            }
            ReportError::Unreadable(_) => Refusal::new(Code::Internal, error.to_string()),
        })
    }

    /// That `caller` asked this is on record when it answers.
    async fn on_record(&self, caller: &SpiffeId, query: String, order: &str) -> Result<(), Refusal> {
        let digest = Sha256Digest::of(format!("{order} {query}").as_bytes());
        let now = self.ports.clock.now();
        if !self.stands(caller, digest, now)? {
            let entry = self.entry(caller, query, order, now);
            let recorded = self.ports.ledger.record(entry).await;
            self.settle(caller, digest, recorded.is_ok());
            recorded?;
        }
        Ok(())
    }

    /// Whether the question is on record; if not, it takes a place.
    fn stands(&self, caller: &SpiffeId, question: Sha256Digest, now: Timestamp) -> Result<bool, Refusal> {
        let mut all = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = all.entry(caller.clone()).or_default();
        mine.retain(|reading| now.since(reading.since) < READING);
        if let Some(reading) = mine.iter().find(|reading| reading.question == question) {
            return Ok(reading.recorded);
        }
        if mine.len() >= READINGS {
            let detail =
                format!("{READINGS} different questions in ten minutes is the most; ask one and follow its pages");
            return Err(Refusal::because(Code::TooManyRequests, "audit_reads_limited", detail));
        }
        mine.push(Reading { question, since: now, recorded: false });
        Ok(false)
    }

    fn settle(&self, caller: &SpiffeId, question: Sha256Digest, recorded: bool) {
        let mut all = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mine) = all.get_mut(caller) else { return };
        match mine.iter_mut().find(|reading| reading.question == question) {
            Some(reading) if recorded => reading.recorded = true,
            // Another request of the same question may have got it on record meanwhile.
            _ => mine.retain(|reading| reading.question != question || reading.recorded),
        }
    }

    fn entry(&self, caller: &SpiffeId, query: String, order: &str, at: Timestamp) -> Entry {
        let mut subject = Subject { caller: Some(caller.clone()), ..Subject::default() };
        subject.detail.insert("order".to_owned(), order.to_owned());
        if !query.is_empty() {
            subject.detail.insert("query".to_owned(), query);
        }
        let event_id = EventId::new(at, self.ports.entropy.bytes());
        Entry { event_id, event_type: EventType::AuditRead, at, workspace: WorkspaceId::default(), subject }
    }
}

fn order_name(order: Order) -> &'static str {
    match order {
        Order::Oldest => "oldest",
        Order::Newest => "newest",
    }
}
