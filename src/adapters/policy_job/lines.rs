//! One rule over many inputs: the evaluator that decides in production, on several threads, one answer an input.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::child::{MAX_THREADS, Stop, parse, say};
use super::parent::{JobError, run};
use super::{Event, Job};
use crate::adapters::bundle_probe::STACK;
use crate::domain::policy::bundle::BundleFiles;
use crate::domain::policy::engine::Evaluator;
use crate::domain::policy::{Bundle, PolicyFault, PolicyInput};

/// What one child is given at once; the rest is read when it has answered.
const BATCH_LINES: usize = 10_000;
const BATCH_BYTES: usize = 24 * 1024 * 1024;
/// The longest that one input may be.
const MAX_LINE: usize = 8 * 1024 * 1024;

/// One rule over a batch of inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinesJob {
    /// The rule: what follows `data.`, with dots.
    pub rule: String,
    /// The inputs, as they were written.
    pub inputs: Vec<String>,
    /// The longest that one may take, in milliseconds.
    pub timeout_ms: u64,
    /// Engines at work at a time.
    pub parallel: usize,
}

/// What one input gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// The value, or why there is none.
    pub answer: Result<Value, PolicyFault>,
}

/// Evaluates `rule` over every line of `inputs` and hands the answers to `hear` in the order of the lines. Empty lines
/// are no inputs. Memory is bounded by a batch, however long the text.
///
/// # Errors
/// As the variants of [`JobError`] say; also when a line is too long or no text, or when `hear` fails.
pub fn eval_lines(
    exe: &Path,
    files: &BundleFiles,
    job: &LinesJob,
    mut inputs: impl BufRead,
    mut hear: impl FnMut(Answered) -> std::io::Result<()>,
) -> Result<(), JobError> {
    loop {
        let batch = batch(&mut inputs)?;
        if batch.is_empty() {
            return Ok(());
        }
        let asked = batch.len();
        let job = LinesJob { inputs: batch, ..job.clone() };
        let limit = Duration::from_millis(job.timeout_ms);
        let (mut early, mut next, mut heard) = (BTreeMap::new(), 0, Ok(()));
        let end = run(exe, files, &Job::Lines(job), limit, &mut |event| {
            if let Event::Answered(index, answered) = event {
                early.insert(index, answered);
            }
            while let Some(answered) = early.remove(&next) {
                next += 1;
                if heard.is_ok() {
                    heard = hear(answered);
                }
            }
        })?;
        heard?;
        end?;
        if next != asked {
            return Err(JobError::Crashed(format!("{next} answers to {asked} inputs")));
        }
    }
}

fn batch(inputs: &mut impl BufRead) -> std::io::Result<Vec<String>> {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    while lines.len() < BATCH_LINES && bytes < BATCH_BYTES {
        let mut line = String::new();
        let bound = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        if std::io::Read::take(&mut *inputs, bound).read_line(&mut line)? == 0 {
            break;
        }
        if line.len() == MAX_LINE {
            return Err(std::io::Error::other(format!("an input is longer than {MAX_LINE} bytes")));
        }
        bytes += line.len();
        if !line.trim().is_empty() {
            lines.push(line);
        }
    }
    Ok(lines)
}

/// The child's side.
pub(super) fn answer(job: LinesJob, files: &BundleFiles) -> Result<(), Stop> {
    let bundle = parse(files)?;
    if !bundle.modules().has_rule(&job.rule) {
        return Err(Stop::Unusable(format!("data.{} is no rule of the policy", job.rule)));
    }
    let threads = job.parallel.clamp(1, MAX_THREADS).min(job.inputs.len().max(1));
    let work = Arc::new((job, AtomicUsize::new(0)));
    let mut running = Vec::new();
    for _ in 0..threads {
        let (work, bundle) = (Arc::clone(&work), Arc::clone(&bundle));
        let worker = thread::Builder::new().stack_size(STACK).spawn(move || share(bundle, &work.0, &work.1));
        running.push(worker.map_err(|error| Stop::Unusable(error.to_string()))?);
    }
    for worker in running {
        worker.join().map_err(|_| Stop::Unusable("an input ended its thread".to_owned()))?.map_err(Stop::Unusable)?;
    }
    Ok(())
}

fn share(bundle: Arc<Bundle>, job: &LinesJob, next: &AtomicUsize) -> Result<(), String> {
    let evaluator = Evaluator::new(bundle).map_err(|error| error.to_string())?;
    let mut evaluator = evaluator.within(Duration::from_millis(job.timeout_ms));
    evaluator.prepare().map_err(|error| error.to_string())?;
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(input) = job.inputs.get(index) else { return Ok(()) };
        let answer = evaluator.query(&job.rule, &PolicyInput::from_recorded(input.clone()));
        say(&Event::Answered(index, Answered { answer }));
    }
}
