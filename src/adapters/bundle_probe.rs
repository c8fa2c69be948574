//! Loads a bundle in a child process first, because some texts of Rego take the process down.
//!
//! ```text
//! parent ──files (stdin)──▶ `atb __probe-bundle`: limits, parse, every schema, engine, prepare, tests
//!        ◀─verdict (stdout, JSON)──┘   crash, abort, stack overflow, memory, time: a refusal of its own
//! ```
//!
//! Only what the child came through is parsed in this process. The child gets no environment, no argument but the
//! subcommand and its flag, and limits of memory and processor time that it sets before it reads.

use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rlimit::Resource;
use serde::{Deserialize, Serialize};

use super::bundle_dir::{self, BundleDirError};
use crate::domain::policy::Bundle;
use crate::domain::policy::bundle::{BundleError, BundleFiles, MAX_BYTES};
use crate::domain::policy::engine::{Evaluator, TestFailure, TestReport, run_share_of_tests};

/// The hidden subcommand that runs [`run_probe_child`].
pub const PROBE_SUBCOMMAND: &str = "__probe-bundle";
/// Its flag for [`ProbeLimits::background`].
const BACKGROUND: &str = "--background";

/// The stack of a deciding thread, so that what overflows there overflows here.
pub(super) const STACK: usize = 16 * 1024 * 1024;
/// Engines that divide the tests; each holds a copy of the bundle.
const MAX_SHARES: usize = 4;
const MAX_VERDICT_BYTES: u64 = 1024 * 1024;
/// Paths, lengths and contents of the largest bundle.
pub(super) const MAX_WIRE_BYTES: usize = MAX_BYTES + 2 * 1024 * 1024;
const SIGXCPU: i32 = 24;

/// What the child may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeLimits {
    /// Wall-clock time, kept by the parent.
    pub deadline: Duration,
    /// Whether the child steps back behind everything else: while services run, questions come before their next bundle.
    pub background: bool,
}

impl Default for ProbeLimits {
    fn default() -> Self {
        // The child bounds its own processor time; this is for one that hangs, and not for a machine that is busy.
        Self { deadline: Duration::from_secs(60), background: false }
    }
}

/// Address space of the child, in bytes.
const MEMORY: u64 = 1024 * 1024 * 1024;
/// How much the child steps back behind a process that serves.
const NICENESS: i32 = 10;
/// Processor time of the child, in seconds.
const CPU_SECONDS: u64 = 10;

/// What the child found in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeReport {
    /// The bundle's revision.
    pub revision: String,
    /// The bundle's digest.
    pub digest: String,
    /// How many acts it has.
    pub acts: usize,
    /// Its own tests, all of which passed.
    pub tests: usize,
}

/// Why a bundle does not come through its probe.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It is outside of the format or of the safe profile.
    #[error("{0}")]
    Refused(BundleError),
    /// A parameter schema of the catalogue does not compile, or regorus does not take the policy.
    #[error("{0}")]
    Unusable(String),
    /// Its own tests do not pass.
    #[error("{} of the bundle's tests failed, the first is {}", .0.len(), .0.first().map_or_else(String::new, describe))]
    Tests(Vec<TestFailure>),
    /// It takes longer than a bundle may take.
    #[error("loading the bundle took longer than {0:?}: simplify its rules")]
    Timeout(Duration),
    /// It crashes whoever loads it.
    #[error("loading the bundle ended the process ({0}): simplify its rules")]
    Crashed(String),
    /// The child cannot be run, or does not speak.
    #[error("the bundle could not be probed: {0}")]
    Io(#[from] std::io::Error),
}

fn describe(failure: &TestFailure) -> String {
    format!("{}:{}: {}.{} is {}", failure.file, failure.line, failure.package, failure.name, failure.detail)
}

/// Why a bundle is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The directory.
    #[error(transparent)]
    Dir(#[from] BundleDirError),
    /// The probe.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The same files gave another result in this process.
    #[error("the bundle came through its probe and is refused here: {0}")]
    Parse(#[from] BundleError),
}

/// Reads, probes and parses the bundle in `dir`; `exe` is this program.
///
/// # Errors
/// When any of the three refuses. Blocks until the child has ended.
pub fn load_bundle(exe: &Path, dir: &Path) -> Result<Arc<Bundle>, LoadError> {
    load_files(exe, &bundle_dir::read(dir)?, ProbeLimits::default())
}

/// As [`load_bundle`], for files that come from elsewhere.
///
/// # Errors
/// As [`load_bundle`].
pub fn load_files(exe: &Path, files: &BundleFiles, limits: ProbeLimits) -> Result<Arc<Bundle>, LoadError> {
    probe(exe, files, limits)?;
    Ok(Arc::new(Bundle::parse(files)?))
}

/// Loads the files in a child process of `exe` and says what came of it.
///
/// # Errors
/// When the child refuses, crashes, takes too long or cannot be run.
pub fn probe(exe: &Path, files: &BundleFiles, limits: ProbeLimits) -> Result<ProbeReport, ProbeError> {
    let until = Instant::now() + limits.deadline;
    let child = Command::new(exe)
        .arg(PROBE_SUBCOMMAND)
        .args(limits.background.then_some(BACKGROUND))
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut child = KilledOnDrop(child);
    let verdict = exchange(&mut child.0, files, until).ok_or(ProbeError::Timeout(limits.deadline))?;
    let status = wait(&mut child.0, until)?.ok_or(ProbeError::Timeout(limits.deadline))?;
    read_verdict(&verdict, status, files)
}

/// No way out of the probe leaves a child behind.
pub(super) struct KilledOnDrop(pub(super) Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends the files and receives what the child says, up to its bound; none if it does not fall silent in time.
fn exchange(child: &mut Child, files: &BundleFiles, until: Instant) -> Option<Vec<u8>> {
    let (stdin, stdout) = (child.stdin.take()?, child.stdout.take()?);
    let wire = files.to_wire();
    // Both threads end when the child does: its pipes close then.
    thread::spawn(move || {
        let mut stdin = stdin;
        let _ = stdin.write_all(&wire);
    });
    let (done, received) = mpsc::channel();
    thread::spawn(move || {
        let mut verdict = Vec::new();
        let _ = stdout.take(MAX_VERDICT_BYTES).read_to_end(&mut verdict);
        let _ = done.send(verdict);
    });
    received.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
}

fn wait(child: &mut Child, until: Instant) -> Result<Option<ExitStatus>, ProbeError> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// What the child says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Fine(ProbeReport),
    Refused(BundleError),
    Unusable(String),
    Tests(Vec<TestFailure>),
}

/// A verdict counts only from a child that ended by itself and looked at these files.
fn read_verdict(verdict: &[u8], status: ExitStatus, files: &BundleFiles) -> Result<ProbeReport, ProbeError> {
    if let Some(signal) = status.signal() {
        let cause = if signal == SIGXCPU { "processor time".to_owned() } else { format!("signal {signal}") };
        return Err(ProbeError::Crashed(cause));
    }
    if !status.success() {
        return Err(ProbeError::Crashed(status.to_string()));
    }
    let verdict = serde_json::from_slice(verdict).map_err(|_| ProbeError::Crashed("no verdict".to_owned()))?;
    match verdict {
        Verdict::Fine(report) if report.digest == files.digest().to_string() => Ok(report),
        Verdict::Fine(_) => Err(ProbeError::Crashed("it read other files".to_owned())),
        Verdict::Refused(error) => Err(ProbeError::Refused(error)),
        Verdict::Unusable(what) => Err(ProbeError::Unusable(what)),
        Verdict::Tests(failures) => Err(ProbeError::Tests(failures)),
    }
}

/// The child: reads files from standard input, writes its verdict to standard output. Returns the exit code.
pub fn run_probe_child(background: bool) -> i32 {
    if limit_resources(background).is_err() {
        return 2;
    }
    let mut wire = Vec::new();
    let bound = u64::try_from(MAX_WIRE_BYTES).unwrap_or(u64::MAX);
    if std::io::stdin().lock().take(bound).read_to_end(&mut wire).is_err() {
        return 2;
    }
    let Ok(examined) = thread::Builder::new().stack_size(STACK).spawn(move || examine(&wire)) else { return 2 };
    let Ok(verdict) = examined.join() else { return 3 };
    let Ok(text) = serde_json::to_vec(&verdict) else { return 3 };
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(&text).and_then(|()| stdout.flush()).is_err() { 3 } else { 0 }
}

/// The tests are most of the work of a start: several engines divide them.
fn divide_tests(bundle: &Arc<Bundle>) -> Result<TestReport, String> {
    let shares = thread::available_parallelism().map_or(1, |n| n.get().min(MAX_SHARES));
    let run = |share| {
        let bundle = Arc::clone(bundle);
        thread::Builder::new().stack_size(STACK).spawn(move || run_share_of_tests(&bundle, share, shares))
    };
    let running: Vec<_> = (0..shares).map(run).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    let mut whole = TestReport::default();
    for share in running {
        let report = share.join().map_err(|_| "a test ended its thread".to_owned())?;
        let TestReport { passed, failed } = report.map_err(|error| error.to_string())?;
        whole.passed += passed;
        whole.failed.extend(failed);
    }
    Ok(whole)
}

fn limit_resources(background: bool) -> std::io::Result<()> {
    if background {
        // It is no matter if it fails.
        let _ = rustix::process::nice(NICENESS);
    }
    rlimit::setrlimit(Resource::CORE, 0, 0)?;
    rlimit::setrlimit(Resource::CPU, CPU_SECONDS, CPU_SECONDS)?;
    rlimit::setrlimit(Resource::AS, MEMORY, MEMORY)
}

fn examine(wire: &[u8]) -> Verdict {
    let bundle = match BundleFiles::from_wire(wire).and_then(|files| Bundle::parse(&files)) {
        Ok(bundle) => Arc::new(bundle),
        Err(error) => return Verdict::Refused(error),
    };
    if let Err((act, what)) = bundle.catalogue().check_schemas() {
        return Verdict::Unusable(format!("the schema of act `{act}` does not compile: {what}"));
    }
    let prepared = Evaluator::new(Arc::clone(&bundle)).and_then(|mut evaluator| evaluator.prepare());
    match prepared.map_err(|error| error.to_string()).and_then(|()| divide_tests(&bundle)) {
        Err(what) => Verdict::Unusable(what),
        Ok(TestReport { passed, failed }) if failed.is_empty() => Verdict::Fine(ProbeReport {
            revision: bundle.revision().to_string(),
            digest: bundle.digest().to_string(),
            acts: bundle.catalogue().len(),
            tests: passed,
        }),
        Ok(TestReport { failed, .. }) => Verdict::Tests(failed),
    }
}
