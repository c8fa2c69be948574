//! The child's side: limits first, then the job, on threads with the stack of a deciding thread.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use regex_lite::Regex;
use rlimit::Resource;
use serde_json::Value;

use super::{BenchJob, EvalJob, Evaluated, Event, Finished, Job, TestJob};
use crate::adapters::bundle_probe::{MAX_WIRE_BYTES, STACK};
use crate::domain::policy::Bundle;
use crate::domain::policy::bundle::{BundleError, BundleFiles};
use crate::domain::policy::engine::{Coverage, Outcome, Suite, TestItem, Verdict, discover};
use crate::service::toolchain::bench::{self, Plan};

/// Address space of the child, in bytes.
const MEMORY: u64 = 1024 * 1024 * 1024;
/// The most that a job may be long, beside the files.
const MAX_JOB_BYTES: u64 = 64 * 1024 * 1024;
pub(super) const MAX_THREADS: usize = 16;
/// How long one test is repeated for its time.
const BENCH_TIME: Duration = Duration::from_millis(200);
const MAX_BENCH_RUNS: u64 = 10_000;
/// The file that a query is checked in, as Rego v1 whatever the bundle is, and the lines before it there.
const QUERY_FILE: &str = "atb_query_test.rego";
const QUERY_HEAD: &str = "package atb_query_test\n\nimport rego.v1\n\nasked if {\n";
const QUERY_LINES: usize = 5;

/// The child: reads a job and files from standard input, writes events to standard output. Returns the exit code.
pub fn run_job_child() -> i32 {
    let limited =
        rlimit::setrlimit(Resource::CORE, 0, 0).and_then(|()| rlimit::setrlimit(Resource::AS, MEMORY, MEMORY));
    if limited.is_err() {
        return 2;
    }
    let Some((job, files)) = read() else { return 2 };
    let worker = thread::Builder::new().stack_size(STACK).spawn(move || {
        let said = match job {
            Job::Test(job) => test(&job, &files),
            Job::Eval(job) => eval(&job, &files),
            Job::Lines(job) => super::lines::answer(job, &files),
            Job::Bench(job) => measure(&job, &files),
        };
        match said {
            Ok(()) => say(&Event::End),
            Err(Stop::Refused(error)) => say(&Event::Refused(error)),
            Err(Stop::Unusable(what)) => say(&Event::Unusable(what)),
        }
    });
    match worker.map(thread::JoinHandle::join) {
        Ok(Ok(())) => 0,
        _ => 3,
    }
}

/// Why a job ends before it has begun.
pub(super) enum Stop {
    Refused(BundleError),
    Unusable(String),
}

fn read() -> Option<(Job, BundleFiles)> {
    let bound = u64::try_from(MAX_WIRE_BYTES).unwrap_or(u64::MAX).saturating_add(MAX_JOB_BYTES);
    let mut wire = Vec::new();
    std::io::stdin().lock().take(bound).read_to_end(&mut wire).ok()?;
    let (length, rest) = wire.split_first_chunk::<8>()?;
    let (job, files) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
    Some((serde_json::from_slice(job).ok()?, BundleFiles::from_wire(files).ok()?))
}

/// A parent that has gone away wants nothing more.
pub(super) fn say(event: &Event) {
    let Ok(mut line) = serde_json::to_vec(event) else { return };
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(&line).and_then(|()| out.flush());
}

pub(super) fn parse(files: &BundleFiles) -> Result<Arc<Bundle>, Stop> {
    Bundle::parse(files).map(Arc::new).map_err(Stop::Refused)
}

fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn test(job: &TestJob, files: &BundleFiles) -> Result<(), Stop> {
    let bundle = parse(files)?;
    let items = Arc::new(discover(&bundle));
    say(&Event::Tests(items.to_vec()));
    let filter = job.run.as_deref().map(Regex::new).transpose().map_err(|error| Stop::Unusable(error.to_string()))?;
    let wanted = |(index, item): &(usize, &TestItem)| {
        job.only.as_ref().is_none_or(|only| only.contains(index))
            && filter.as_ref().is_none_or(|filter| filter.is_match(&item.full_name()))
    };
    let chosen: Vec<usize> = items.iter().enumerate().filter(wanted).map(|(index, _)| index).collect();
    let threads = job.parallel.clamp(1, MAX_THREADS).min(chosen.len().max(1));
    let work = Arc::new(Work { chosen, next: AtomicUsize::new(0), items, total: Mutex::new(Coverage::default()) });
    let mut running = Vec::new();
    for _ in 0..threads {
        let (work, bundle, job) = (Arc::clone(&work), Arc::clone(&bundle), job.clone());
        let worker = thread::Builder::new().stack_size(STACK).spawn(move || work.run(bundle, &job));
        running.push(worker.map_err(|error| Stop::Unusable(error.to_string()))?);
    }
    for worker in running {
        worker.join().map_err(|_| Stop::Unusable("a test ended its thread".to_owned()))?.map_err(Stop::Unusable)?;
    }
    if job.coverage {
        let total = std::mem::take(&mut *work.total.lock().unwrap_or_else(PoisonError::into_inner));
        say(&Event::Coverage(total));
    }
    Ok(())
}

/// What the threads of a test job share.
struct Work {
    chosen: Vec<usize>,
    next: AtomicUsize,
    items: Arc<Vec<TestItem>>,
    total: Mutex<Coverage>,
}

impl Work {
    fn run(&self, bundle: Arc<Bundle>, job: &TestJob) -> Result<(), String> {
        let suite = Suite::new(bundle).map_err(|error| error.to_string())?;
        let mut suite = suite.within(Duration::from_millis(job.timeout_ms));
        if job.coverage {
            suite = suite.measured().map_err(|error| error.to_string())?;
        }
        let mut covered = suite.uncovered();
        while let Some(index) = self.chosen.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let Some(item) = self.items.get(*index) else { continue };
            say(&Event::Started(*index));
            let (outcome, nanos, runs) = if job.bench { repeated(&mut suite, item) } else { once(&mut suite, item) };
            say(&Event::Finished(Finished { index: *index, outcome, nanos, runs }));
            suite.covered(&mut covered);
        }
        self.total.lock().unwrap_or_else(PoisonError::into_inner).merge(covered);
        Ok(())
    }
}

fn once(suite: &mut Suite, item: &TestItem) -> (Outcome, u64, u64) {
    let start = Instant::now();
    let outcome = suite.run(item);
    (outcome, if item.todo { 0 } else { nanos(start) }, 1)
}

fn repeated(suite: &mut Suite, item: &TestItem) -> (Outcome, u64, u64) {
    let (outcome, first, _) = once(suite, item);
    if outcome.verdict != Verdict::Passed {
        return (outcome, first, 1);
    }
    let (start, mut runs) = (Instant::now(), 0_u64);
    while runs < 3 || (start.elapsed() < BENCH_TIME && runs < MAX_BENCH_RUNS) {
        suite.run(item);
        runs += 1;
    }
    (outcome, nanos(start) / runs.max(1), runs)
}

fn eval(job: &EvalJob, files: &BundleFiles) -> Result<(), Stop> {
    let start = Instant::now();
    let bundle = parse(&with_query(files, &job.query)?).map_err(|stop| match stop {
        Stop::Refused(error) => query_refused(error),
        stop => stop,
    })?;
    let parse_nanos = nanos(start);
    let start = Instant::now();
    let suite = Suite::new(bundle).map_err(|error| Stop::Unusable(error.to_string()))?;
    let mut suite = suite.within(Duration::from_millis(job.timeout_ms));
    let load_nanos = nanos(start);
    let start = Instant::now();
    let empty = Value::Object(serde_json::Map::new());
    let answer = suite.eval(&job.query, job.input.as_ref().unwrap_or(&empty));
    let eval_nanos = nanos(start);
    say(&Event::Evaluated(Evaluated { answer, parse_nanos, load_nanos, eval_nanos }));
    Ok(())
}

/// The files and the query as a body beside them, so that the profile says the same of it as of any other text.
fn with_query(files: &BundleFiles, query: &str) -> Result<BundleFiles, Stop> {
    let body = format!("{QUERY_HEAD}{query}\n}}\n");
    let kept = files.iter().map(|(path, content)| (path.to_owned(), content.to_vec()));
    BundleFiles::new(kept.chain([(QUERY_FILE.to_owned(), body.into_bytes())])).map_err(Stop::Refused)
}

/// Findings in the query's file are about the query.
fn query_refused(error: BundleError) -> Stop {
    let findings = error.findings().iter().cloned().map(|mut finding| {
        if finding.file == QUERY_FILE {
            finding.file = "query".to_owned();
            finding.line = finding.line.saturating_sub(QUERY_LINES).max(1);
        }
        finding
    });
    Stop::Refused(BundleError::new(findings.collect()))
}

fn measure(job: &BenchJob, files: &BundleFiles) -> Result<(), Stop> {
    let bundle = parse(files)?;
    let mut plan = Plan::of(&bundle, &job.inputs, job.query.as_deref(), job.rules).map_err(Stop::Unusable)?;
    plan.iterations = job.iterations;
    plan.warm_up = job.warm_up;
    let threads = job.threads.clamp(1, MAX_THREADS);
    let plan = Arc::new(plan);
    let mut running = Vec::new();
    for _ in 0..threads {
        let (plan, bundle) = (Arc::clone(&plan), Arc::clone(&bundle));
        let clock = || u64::try_from(START.with(Instant::elapsed).as_nanos()).unwrap_or(u64::MAX);
        let worker = thread::Builder::new().stack_size(STACK).spawn(move || plan.run(&bundle, &clock));
        running.push(worker.map_err(|error| Stop::Unusable(error.to_string()))?);
    }
    let mut times = Vec::new();
    for worker in running {
        let measured = worker.join().map_err(|_| Stop::Unusable("a rule ended its thread".to_owned()))?;
        times.push(measured.map_err(Stop::Unusable)?);
    }
    say(&Event::Benched(bench::report(&bundle, &plan, times, threads)));
    Ok(())
}

thread_local! {
    /// Where a measuring thread counts from.
    static START: Instant = Instant::now();
}
