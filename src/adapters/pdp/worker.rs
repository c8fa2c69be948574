//! The evaluating threads: each owns one engine over one bundle; the crew knows who is busy since when.
//!
//! A thread never changes its bundle. Another bundle has threads of its own, which are prepared beside those that answer
//! ([`Crew::prepare`]) and take over at one moment ([`Crew::relieve`]): no question waits for an engine to be built.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use super::PdpError;
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
    duty: ArcSwap<Duty>,
    members: Mutex<Vec<Member>>,
    given_up: AtomicUsize,
    start: Instant,
    stack: usize,
    evaluation: Duration,
}

/// Which bundle is in force, and which generation of threads answers by it.
struct Duty {
    generation: u64,
    bundle: Arc<Bundle>,
}

struct Member {
    slot: Arc<Slot>,
    thread: JoinHandle<()>,
    /// None before its shift begins.
    generation: Option<u64>,
}

/// What a thread shows of itself.
#[derive(Default)]
struct Slot {
    /// Microseconds on the crew's clock plus one since it evaluates; 0 while it does not.
    busy_since: AtomicU64,
    given_up: AtomicBool,
}

/// Threads whose engines are prepared over another bundle, and which wait to take over. Dropping it ends them.
pub(super) struct Shift {
    bundle: Arc<Bundle>,
    members: Vec<(Member, mpsc::Sender<u64>)>,
}

impl Crew {
    pub(super) fn new(bundle: Arc<Bundle>, queue: usize, stack: usize, evaluation: Duration) -> Self {
        Self {
            queue: Queue::new(queue),
            duty: ArcSwap::from_pointee(Duty { generation: 0, bundle }),
            members: Mutex::new(Vec::new()),
            given_up: AtomicUsize::new(0),
            start: Instant::now(),
            stack,
            evaluation,
        }
    }

    pub(super) fn bundle(&self) -> Arc<Bundle> {
        Arc::clone(&self.duty.load().bundle)
    }

    /// Makes `threads` threads over `bundle`, one after another so that those who answer keep a core.
    pub(super) fn prepare(self: &Arc<Self>, bundle: &Arc<Bundle>, threads: usize) -> Result<Shift, PdpError> {
        let mut members = Vec::new();
        for _ in 0..threads.max(1) {
            let (ready, prepared) = mpsc::channel();
            let (begin, beginning) = mpsc::channel();
            let member = self.spawn(Arc::clone(bundle), move |outcome| {
                let failed = outcome.is_err();
                let _ = ready.send(outcome);
                if failed { None } else { beginning.recv().ok() }
            })?;
            prepared.recv().map_err(|_| std::io::Error::other("it ended before it was ready"))??;
            members.push((member, begin));
        }
        Ok(Shift { bundle: Arc::clone(bundle), members })
    }

    /// Puts a shift's bundle in force: every question that is taken from now on is answered by it. Threads that are in
    /// the middle of one finish it under the bundle that they have.
    pub(super) fn relieve(&self, shift: Shift) {
        let mut members = self.members();
        members.retain(|member| !member.thread.is_finished());
        let generation = self.queue.next_generation();
        self.duty.store(Arc::new(Duty { generation, bundle: shift.bundle }));
        for (member, begin) in shift.members {
            let _ = begin.send(generation);
            members.push(Member { generation: Some(generation), ..member });
        }
    }

    pub(super) fn take(&self, job: Job) -> Result<(), Job> {
        self.queue.push(job)
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Whether a thread is left that was not given up.
    pub(super) fn is_alive(&self) -> bool {
        let now = Some(self.duty.load().generation);
        self.members().iter().any(|member| member.generation == now && !member.thread.is_finished())
    }

    pub(super) fn given_up(&self) -> usize {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Starts one more thread for the bundle in force.
    fn hire(self: &Arc<Self>) -> std::io::Result<()> {
        let duty = self.duty.load_full();
        let generation = duty.generation;
        let member = self.spawn(Arc::clone(&duty.bundle), move |_| Some(generation))?;
        self.members().push(Member { generation: Some(generation), ..member });
        Ok(())
    }

    /// A thread that prepares an engine, and works for the generation that `begin` says.
    fn spawn(
        self: &Arc<Self>,
        bundle: Arc<Bundle>,
        begin: impl FnOnce(Result<(), EngineError>) -> Option<u64> + Send + 'static,
    ) -> std::io::Result<Member> {
        let slot = Arc::new(Slot::default());
        let (crew, own) = (Arc::clone(self), Arc::clone(&slot));
        let name = "atb-policy".to_owned();
        let thread = Builder::new().name(name).stack_size(self.stack).spawn(move || {
            let (desk, outcome) = Desk::new(bundle, crew.evaluation);
            if let Some(generation) = begin(outcome) {
                crew.work(&own, desk, generation);
            }
        })?;
        Ok(Member { slot, thread, generation: None })
    }

    /// Gives up and replaces every thread that has evaluated one question for longer than `limit`.
    pub(super) fn replace_stuck(self: &Arc<Self>, limit: Duration) {
        let now = self.micros();
        let mut members = self.members();
        let generation = Some(self.duty.load().generation);
        let stuck = |member: &mut Member| {
            let since = member.slot.busy_since.load(Ordering::Acquire);
            member.generation == generation && since != 0 && u128::from(now.saturating_sub(since)) > limit.as_micros()
        };
        let budget = MAX_GIVEN_UP.saturating_sub(self.given_up());
        let lost: Vec<Member> = members.extract_if(.., stuck).take(budget).collect();
        drop(members);
        for member in lost {
            self.given_up.fetch_add(1, Ordering::Relaxed);
            member.slot.given_up.store(true, Ordering::Release);
            // Its handle is dropped: it ends by itself when its builtin returns. Without a replacement (no thread to
            // be had) the others go on, and what they do not manage is refused.
            let _ = self.hire();
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

    fn work(&self, slot: &Slot, mut desk: Desk, generation: u64) {
        while !slot.given_up.load(Ordering::Acquire) {
            match self.queue.pop(generation) {
                Next::Closed | Next::Retired => return,
                Next::Item(job) if job.question.is_abandoned() => {}
                Next::Item(job) => {
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
}

impl Desk {
    fn new(bundle: Arc<Bundle>, limit: Duration) -> (Self, Result<(), EngineError>) {
        match prepared(&bundle, limit) {
            Ok(evaluator) => (Self { bundle, evaluator: Some(evaluator) }, Ok(())),
            Err(error) => (Self { bundle, evaluator: None }, Err(error)),
        }
    }

    /// Answers; whoever no longer waits does not mind.
    fn answer(&mut self, Job { input, question }: Job) {
        let bundle = Arc::clone(&self.bundle);
        let Some(evaluator) = self.evaluator.as_mut() else { return refuse(question, bundle) };
        match question {
            Question::Decide(reply) => drop(reply.send(Judged::new(evaluator.decide(&input), bundle))),
            Question::Issue(reply) => drop(reply.send(Judged::new(evaluator.issue(&input), bundle))),
            Question::Assess(reply) => drop(reply.send(Judged::new(evaluator.assess(&input), bundle))),
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
        Question::Decide(reply) => drop(reply.send(Judged::new(Decision::fault(FAULT), bundle))),
        Question::Issue(reply) => drop(reply.send(Judged::new(IssueDecision::fault(FAULT), bundle))),
        Question::Assess(reply) => drop(reply.send(Judged::new(Assessment::fault(FAULT), bundle))),
        Question::Query { reply, .. } => drop(reply.send(Err(FAULT))),
    }
}
