//! The evaluating threads: each owns one engine; the crew knows who is busy since when.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use super::queue::{Next, Queue};
use crate::domain::policy::engine::{EngineError, Evaluator};
use crate::domain::policy::{Assessment, Bundle, Decision, IssueDecision, PolicyFault, PolicyInput};
use crate::service::ports::Judged;

/// Threads that may be given up at a time; with as many, none is replaced.
const MAX_GIVEN_UP: usize = 4;
/// How long the crew waits at its end for threads that are busy.
const PATIENCE: Duration = Duration::from_millis(500);

/// One question with its input.
pub(super) struct Job {
    pub(super) input: PolicyInput,
    pub(super) question: Question,
}

/// What is asked, and where the answer goes.
pub(super) enum Question {
    Decide(oneshot::Sender<Judged<Decision>>),
    Issue(oneshot::Sender<Judged<IssueDecision>>),
    Assess(oneshot::Sender<Judged<Assessment>>),
    Query { path: String, reply: oneshot::Sender<Result<serde_json::Value, PolicyFault>> },
}

impl Question {
    /// Whether nobody waits any more.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Decide(reply) => reply.is_closed(),
            Self::Issue(reply) => reply.is_closed(),
            Self::Assess(reply) => reply.is_closed(),
            Self::Query { reply, .. } => reply.is_closed(),
        }
    }
}

/// The threads and what they share.
pub(super) struct Crew {
    queue: Queue<Job>,
    bundle: ArcSwap<Bundle>,
    members: Mutex<Vec<Member>>,
    given_up: AtomicUsize,
    start: Instant,
    stack: usize,
    evaluation: Duration,
}

struct Member {
    slot: Arc<Slot>,
    thread: JoinHandle<()>,
}

/// What a thread shows of itself.
#[derive(Default)]
struct Slot {
    /// Microseconds on the crew's clock plus one since it evaluates; 0 while it does not.
    busy_since: AtomicU64,
    given_up: AtomicBool,
}

type Ready = mpsc::Sender<Result<(), EngineError>>;

impl Crew {
    pub(super) fn new(bundle: Arc<Bundle>, queue: usize, stack: usize, evaluation: Duration) -> Self {
        Self {
            queue: Queue::new(queue),
            bundle: ArcSwap::new(bundle),
            members: Mutex::new(Vec::new()),
            given_up: AtomicUsize::new(0),
            start: Instant::now(),
            stack,
            evaluation,
        }
    }

    pub(super) fn bundle(&self) -> Arc<Bundle> {
        self.bundle.load_full()
    }

    pub(super) fn activate(&self, bundle: Arc<Bundle>) {
        self.bundle.store(bundle);
        self.queue.call_everybody();
    }

    pub(super) fn take(&self, job: Job) -> Result<(), Job> {
        self.queue.push(job)
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Whether a thread is left that was not given up.
    pub(super) fn is_alive(&self) -> bool {
        self.members().iter().any(|member| !member.thread.is_finished())
    }

    pub(super) fn given_up(&self) -> usize {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Starts one more thread.
    pub(super) fn hire(self: &Arc<Self>, ready: Option<Ready>) -> std::io::Result<()> {
        let slot = Arc::new(Slot::default());
        let (crew, own) = (Arc::clone(self), Arc::clone(&slot));
        let thread = Builder::new()
            .name("atb-policy".to_owned())
            .stack_size(self.stack)
            .spawn(move || crew.work(&own, ready))?;
        self.members().push(Member { slot, thread });
        Ok(())
    }

    /// Gives up and replaces every thread that has evaluated one question for longer than `limit`.
    pub(super) fn replace_stuck(self: &Arc<Self>, limit: Duration) {
        let now = self.micros();
        let mut members = self.members();
        let stuck = |member: &mut Member| {
            let since = member.slot.busy_since.load(Ordering::Acquire);
            since != 0 && u128::from(now.saturating_sub(since)) > limit.as_micros()
        };
        let budget = MAX_GIVEN_UP.saturating_sub(self.given_up());
        let lost: Vec<Member> = members.extract_if(.., stuck).take(budget).collect();
        drop(members);
        for member in lost {
            self.given_up.fetch_add(1, Ordering::Relaxed);
            member.slot.given_up.store(true, Ordering::Release);
            // Its handle is dropped: it ends by itself when its builtin returns. Without a replacement (no thread to
            // be had) the others go on, and what they do not manage is refused.
            let _ = self.hire(None);
        }
    }

    /// Ends every thread, and waits a little for those that are busy.
    pub(super) fn dismiss(&self) {
        self.queue.close();
        let members = std::mem::take(&mut *self.members());
        let until = Instant::now() + PATIENCE;
        for member in members {
            while !member.thread.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
            if member.thread.is_finished() {
                let _ = member.thread.join();
            }
        }
    }

    fn work(&self, slot: &Slot, ready: Option<Ready>) {
        let (mut desk, outcome) = Desk::new(self.bundle(), self.evaluation);
        if let Some(ready) = ready {
            let _ = ready.send(outcome);
        }
        let mut known = 0;
        while !slot.given_up.load(Ordering::Acquire) {
            match self.queue.pop(known) {
                Next::Closed => return,
                Next::Called(calls) => {
                    known = calls;
                    desk.refresh(&self.bundle);
                }
                Next::Item(job) if job.question.is_abandoned() => {}
                Next::Item(job) => {
                    desk.refresh(&self.bundle);
                    slot.busy_since.store(self.micros() + 1, Ordering::Release);
                    desk.answer(job);
                    slot.busy_since.store(0, Ordering::Release);
                }
            }
        }
        self.given_up.fetch_sub(1, Ordering::Relaxed);
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX - 1)
    }

    fn members(&self) -> std::sync::MutexGuard<'_, Vec<Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread's engine.
struct Desk {
    bundle: Arc<Bundle>,
    /// None if the engine does not take the bundle: every answer is a denial then.
    evaluator: Option<Evaluator>,
    /// For one evaluation.
    limit: Duration,
}

impl Desk {
    fn new(bundle: Arc<Bundle>, limit: Duration) -> (Self, Result<(), EngineError>) {
        match prepared(&bundle, limit) {
            Ok(evaluator) => (Self { bundle, evaluator: Some(evaluator), limit }, Ok(())),
            Err(error) => (Self { bundle, evaluator: None, limit }, Err(error)),
        }
    }

    /// Builds the engine anew if another bundle is in force.
    fn refresh(&mut self, current: &ArcSwap<Bundle>) {
        if !Arc::ptr_eq(&current.load(), &self.bundle) {
            *self = Self::new(current.load_full(), self.limit).0;
        }
    }

    /// Answers; whoever no longer waits does not mind.
    fn answer(&mut self, Job { input, question }: Job) {
        let bundle = Arc::clone(&self.bundle);
        let Some(evaluator) = self.evaluator.as_mut() else { return refuse(question, bundle) };
        match question {
            Question::Decide(reply) => drop(reply.send(Judged { verdict: evaluator.decide(&input), bundle })),
            Question::Issue(reply) => drop(reply.send(Judged { verdict: evaluator.issue(&input), bundle })),
            Question::Assess(reply) => drop(reply.send(Judged { verdict: evaluator.assess(&input), bundle })),
            Question::Query { path, reply } => drop(reply.send(evaluator.query(&path, &input))),
        }
    }
}

fn prepared(bundle: &Arc<Bundle>, limit: Duration) -> Result<Evaluator, EngineError> {
    let mut evaluator = Evaluator::new(Arc::clone(bundle))?.within(limit);
    evaluator.prepare()?;
    Ok(evaluator)
}

fn refuse(question: Question, bundle: Arc<Bundle>) {
    const FAULT: PolicyFault = PolicyFault::Error;
    match question {
        Question::Decide(reply) => drop(reply.send(Judged { verdict: Decision::fault(FAULT), bundle })),
        Question::Issue(reply) => drop(reply.send(Judged { verdict: IssueDecision::fault(FAULT), bundle })),
        Question::Assess(reply) => drop(reply.send(Judged { verdict: Assessment::fault(FAULT), bundle })),
        Question::Query { reply, .. } => drop(reply.send(Err(FAULT))),
    }
}
