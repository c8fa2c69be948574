//! The parent's side: starts children, hears them, and outlives them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use regex_lite::Regex;

use super::{BenchJob, EvalJob, Evaluated, Event, Finished, JOB_SUBCOMMAND, Job, TestJob};
use crate::adapters::bundle_probe::KilledOnDrop;
use crate::domain::policy::bundle::{BundleError, BundleFiles};
use crate::domain::policy::engine::{Coverage, Outcome, TestItem, Verdict};
use crate::service::toolchain::bench::BenchReport;

/// What the child may be silent for beyond one test's time: it loads the bundle and an engine before the first.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most children that one run of the tests may cost.
const MAX_CHILDREN: usize = 24;
const MAX_OUTPUT: u64 = 256 * 1024 * 1024;

/// Why a job has no result.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The files are no bundle, or are outside of the safe profile.
    #[error("{0}")]
    Refused(BundleError),
    /// The engine does not take them.
    #[error("{0}")]
    Unusable(String),
    /// The process that evaluated ended.
    #[error("evaluating ended the process ({0}): simplify the rules that were evaluated")]
    Crashed(String),
    /// It did not answer in time.
    #[error("evaluating took longer than {0:?}: simplify the rules that were evaluated")]
    Timeout(Duration),
    /// The child cannot be run.
    #[error("the work could not be started: {0}")]
    Io(#[from] std::io::Error),
}

/// What came of the tests.
#[derive(Debug, Default)]
pub struct TestRun {
    /// Every test of the bundle.
    pub items: Vec<TestItem>,
    /// Those that were run, in the order of the list.
    pub finished: Vec<Finished>,
    /// The lines taken, where they were measured and no child was lost.
    pub coverage: Option<Coverage>,
}

/// Runs tests; one that ends its process is an error of that test.
///
/// # Errors
/// When the bundle cannot be loaded, or the processes end whatever is run.
pub fn test(exe: &Path, files: &BundleFiles, job: &TestJob) -> Result<TestRun, JobError> {
    let (mut run, mut done, mut suspects) = (TestRun::default(), BTreeMap::new(), Vec::new());
    let mut part = job.clone();
    for round in 0..MAX_CHILDREN {
        let Round { items, started, finished, coverage, end } =
            hear(exe, files, &Job::Test(part), Duration::from_millis(job.timeout_ms))?;
        done.extend(finished.into_iter().map(|one| (one.index, one)));
        if round == 0 {
            (run.items, run.coverage) = (items, coverage);
        }
        if let Err(error) = end {
            let open: Vec<usize> = started.into_iter().filter(|index| !done.contains_key(index)).collect();
            match open.as_slice() {
                [] => return Err(error),
                [one] => drop(done.insert(*one, ended(*one, &error))),
                // Which of them it was is found out one at a time.
                _ => suspects = open,
            }
        }
        match next(job, &run.items, &done, &mut suspects) {
            Some(rest) => part = rest,
            None => {
                run.finished = done.into_values().collect();
                return Ok(run);
            }
        }
    }
    Err(JobError::Crashed(format!("more than {MAX_CHILDREN} processes were lost")))
}

/// What is still to be run: first, one at a time, what was running when a child died.
fn next(
    job: &TestJob,
    items: &[TestItem],
    done: &BTreeMap<usize, Finished>,
    suspects: &mut Vec<usize>,
) -> Option<TestJob> {
    suspects.retain(|index| !done.contains_key(index));
    if let Some(one) = suspects.pop() {
        return Some(TestJob { only: Some(vec![one]), parallel: 1, coverage: false, ..job.clone() });
    }
    let filter = job.run.as_deref().and_then(|run| Regex::new(run).ok());
    let wanted = |item: &TestItem| filter.as_ref().is_none_or(|filter| filter.is_match(&item.full_name()));
    let open = items.iter().enumerate().filter(|(index, item)| wanted(item) && !done.contains_key(index));
    let open: Vec<usize> = open.map(|(index, _)| index).collect();
    (!open.is_empty()).then(|| TestJob { only: Some(open), coverage: false, ..job.clone() })
}

fn ended(index: usize, error: &JobError) -> Finished {
    let outcome =
        Outcome { verdict: Verdict::Error(error.to_string()), cases: BTreeMap::new(), explanations: Vec::new() };
    Finished { index, outcome, nanos: 0, runs: 1 }
}

/// Evaluates a query.
///
/// # Errors
/// As the variants of [`JobError`] say; a query that has no answer is in [`Evaluated`].
pub fn eval(exe: &Path, files: &BundleFiles, job: EvalJob) -> Result<Evaluated, JobError> {
    let limit = Duration::from_millis(job.timeout_ms);
    let mut answer = None;
    let end = run(exe, files, &Job::Eval(job), limit, &mut |event| {
        if let Event::Evaluated(evaluated) = event {
            answer = Some(evaluated);
        }
    })?;
    end?;
    answer.ok_or_else(|| JobError::Crashed("no answer".to_owned()))
}

/// Measures.
///
/// # Errors
/// As the variants of [`JobError`] say.
pub fn bench(exe: &Path, files: &BundleFiles, job: BenchJob) -> Result<BenchReport, JobError> {
    let mut report = None;
    let end = run(exe, files, &Job::Bench(job), Duration::from_secs(600), &mut |event| {
        if let Event::Benched(benched) = event {
            report = Some(benched);
        }
    })?;
    end?;
    report.ok_or_else(|| JobError::Crashed("no answer".to_owned()))
}

/// What one child said.
struct Round {
    items: Vec<TestItem>,
    started: Vec<usize>,
    finished: Vec<Finished>,
    coverage: Option<Coverage>,
    end: Result<(), JobError>,
}

fn hear(exe: &Path, files: &BundleFiles, job: &Job, limit: Duration) -> Result<Round, JobError> {
    let mut round = Round { items: Vec::new(), started: Vec::new(), finished: Vec::new(), coverage: None, end: Ok(()) };
    round.end = run(exe, files, job, limit, &mut |event| match event {
        Event::Tests(items) => round.items = items,
        Event::Started(index) => round.started.push(index),
        Event::Finished(finished) => round.finished.push(finished),
        Event::Coverage(coverage) => round.coverage = Some(coverage),
        _ => {}
    })?;
    Ok(round)
}

/// Runs one child to its end. The outer error is the bundle's or ours, the inner one the child's death.
pub(super) fn run(
    exe: &Path,
    files: &BundleFiles,
    job: &Job,
    limit: Duration,
    hear: &mut dyn FnMut(Event),
) -> Result<Result<(), JobError>, JobError> {
    let mut child = KilledOnDrop(
        Command::new(exe)
            .arg(JOB_SUBCOMMAND)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?,
    );
    let (Some(stdin), Some(stdout)) = (child.0.stdin.take(), child.0.stdout.take()) else {
        return Err(JobError::Crashed("no pipes".to_owned()));
    };
    let wire = wire(job, files)?;
    // Both threads end when the child does: its pipes close then.
    thread::spawn(move || {
        let mut stdin = stdin;
        let _ = stdin.write_all(&wire);
    });
    let (said, events) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout.take(MAX_OUTPUT)).split(b'\n').map_while(Result::ok) {
            let Ok(event) = serde_json::from_slice::<Event>(&line) else { break };
            if said.send(event).is_err() {
                break;
            }
        }
    });
    let silence = limit.saturating_add(PATIENCE);
    loop {
        match events.recv_timeout(silence) {
            Ok(Event::End) => return Ok(Ok(())),
            Ok(Event::Refused(error)) => return Err(JobError::Refused(error)),
            Ok(Event::Unusable(what)) => return Err(JobError::Unusable(what)),
            Ok(event) => hear(event),
            Err(RecvTimeoutError::Timeout) => return Ok(Err(JobError::Timeout(silence))),
            Err(RecvTimeoutError::Disconnected) => {
                let status = child.0.wait()?;
                let cause = status.signal().map_or_else(|| status.to_string(), |signal| format!("signal {signal}"));
                return Ok(Err(JobError::Crashed(cause)));
            }
        }
    }
}

fn wire(job: &Job, files: &BundleFiles) -> Result<Vec<u8>, JobError> {
    let job = serde_json::to_vec(job).map_err(std::io::Error::other)?;
    let length = u64::try_from(job.len()).unwrap_or(u64::MAX).to_be_bytes();
    Ok([length.as_slice(), &job, &files.to_wire()].concat())
}
