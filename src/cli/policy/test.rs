//! `atb policy test`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;

use super::sources::{self, Sources};
use crate::adapters::policy_job::{self, TestJob, TestRun};
use crate::cli::output;
use crate::domain::policy::engine::Verdict;
use crate::service::toolchain::coverage::Report;
use crate::service::toolchain::suite::{self, Counts, Row};

/// A test failed, or coverage is below its threshold: as `opa test`.
const FAILED: u8 = 2;
/// The bundle could not be loaded: as `opa test`.
const NOT_LOADED: u8 = 1;
/// How often files are looked at with --watch.
const LOOK: Duration = Duration::from_millis(500);

/// Run a bundle's tests and tables of cases in the engine that decides in production.
///
/// Tests are rules named `test_…` of any package; `todo_test_…` are counted and not run. A failing test shows the
/// statement that does not hold, with the values of its terms. Exit codes are those of `opa test`: 0 all passed, 2 a test
/// failed or was skipped, or coverage is below the threshold, 1 the bundle could not be loaded.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "EXAMPLES:\n  atb policy test\n  atb policy test -v -r 'data.atb_test.test_poa_' opa\n  atb policy test --coverage --threshold 98 opa\n  atb policy test --format junit opa > report.xml"
)]
pub(super) struct Args {
    /// Bundles; the configuration's bundle or ./opa without one. Several are taken as one.
    paths: Vec<PathBuf>,
    /// Show tests that passed too.
    #[arg(short, long)]
    verbose: bool,
    /// Only tests whose name (`data.package.test_name`, `cases.table.case`) matches this regular expression.
    #[arg(short, long, value_name = "REGEX", value_parser = pattern)]
    run: Option<String>,
    /// Print which lines the tests took, as OPA's JSON.
    #[arg(short, long)]
    coverage: bool,
    /// Fail when less than this share of the lines is covered, in per cent; implies --coverage.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    threshold: Option<f64>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    format: Form,
    /// The longest that one test may take: 5s, 500ms.
    #[arg(long, value_name = "DURATION", value_parser = sources::duration)]
    timeout: Option<Duration>,
    /// Fail when no test was run.
    #[arg(long)]
    fail_on_empty: bool,
    /// Skipped tests alone do not fail the run.
    #[arg(short = 'z', long)]
    exit_zero_on_skipped: bool,
    /// Run again when a file changes.
    #[arg(short, long)]
    watch: bool,
    /// Repeat each test and print the time of one run.
    #[arg(long, conflicts_with = "coverage", conflicts_with = "threshold")]
    bench: bool,
    /// How often to run the tests.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    count: u32,
    /// Engines at work at a time; 0 for one a processor.
    #[arg(short, long, default_value_t = 0, value_name = "N")]
    parallel: usize,
    /// Taken for `opa test`'s sake: paths are always bundles here.
    #[arg(short, long)]
    bundle: bool,
    /// Take modules for Rego v0 where the bundle's manifest names no version: rules without `if` and `contains`.
    #[arg(long)]
    v0_compatible: bool,
    /// Where the bundle is written down when no path is given.
    #[arg(long, default_value = "atb.toml", value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Form {
    /// As `opa test`.
    #[default]
    Pretty,
    /// One object a test, as `opa test --format json`.
    Json,
    /// JUnit XML.
    Junit,
    /// Annotations of GitHub's workflows.
    Github,
}

fn pattern(text: &str) -> Result<String, String> {
    regex_lite::Regex::new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().map_err(|error| error.to_string())?;
    if (0.0..=100.0).contains(&number) { Ok(number) } else { Err("a number from 0 to 100".to_owned()) }
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let exe = std::env::current_exe()?;
    if args.watch {
        return watch(args, &exe);
    }
    Ok(ExitCode::from(once(args, &exe)))
}

/// Runs again whenever the files are others than before, until it is stopped.
fn watch(args: &Args, exe: &Path) -> anyhow::Result<ExitCode> {
    let mut seen = None;
    loop {
        let now = Sources::read(&args.paths, &args.config).ok().map(|sources| sources.files.digest());
        if seen.as_ref() != Some(&now) {
            once(args, exe);
            output::line(&format!("{}\nWatching for changes ...", "*".repeat(80)));
            seen = Some(now);
        }
        std::thread::sleep(LOOK);
    }
}

fn once(args: &Args, exe: &Path) -> u8 {
    let mut code = 0;
    for _ in 0..args.count {
        match attempt(args, exe) {
            Ok(0) => {}
            Ok(failed) => {
                code = failed;
                break;
            }
            Err(error) => {
                output::error(&error);
                return NOT_LOADED;
            }
        }
    }
    code
}

fn attempt(args: &Args, exe: &Path) -> anyhow::Result<u8> {
    let sources = Sources::read(&args.paths, &args.config)?.in_version(args.v0_compatible)?;
    let job = job(args);
    let run = policy_job::test(exe, &sources.files, &job).with_context(|| sources.to_string())?;
    let coverage = run.coverage.as_ref().map(|coverage| Report::of(coverage, |file| sources.shown(file)));
    let rows = rows(run, &sources, args.bench);
    let counts = Counts::of(&rows);
    let failed = counts.failed + counts.errors > 0 || (counts.skipped > 0 && !args.exit_zero_on_skipped);
    let measured = args.coverage || args.threshold.is_some();
    // As `opa test`: a report on lines takes the place of one on tests, unless a test did not pass.
    if measured && counts.failed + counts.errors == 0 && matches!(args.format, Form::Pretty | Form::Json) {
        return report(args, coverage, failed, true);
    }
    match args.format {
        Form::Pretty => print(&suite::pretty(&rows, args.verbose)),
        Form::Json => output::json(&suite::json(&rows)),
        Form::Junit => print(&suite::junit(&rows)),
        Form::Github => print(&suite::github(&rows)),
    }
    if rows.is_empty() && args.fail_on_empty {
        output::note("no tests were run");
        return Ok(NOT_LOADED);
    }
    if measured && counts.failed + counts.errors == 0 {
        return report(args, coverage, failed, false);
    }
    Ok(if failed { FAILED } else { 0 })
}

fn job(args: &Args) -> TestJob {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let usual = if args.bench { Duration::from_secs(30) } else { Duration::from_secs(5) };
    TestJob {
        run: args.run.clone(),
        only: None,
        coverage: args.coverage || args.threshold.is_some(),
        timeout_ms: u64::try_from(args.timeout.unwrap_or(usual).as_millis()).unwrap_or(u64::MAX).max(1),
        // Times are taken one at a time.
        parallel: if args.bench { 1 } else { Some(args.parallel).filter(|n| *n > 0).unwrap_or(processors) },
        bench: args.bench,
    }
}

fn rows(run: TestRun, sources: &Sources, bench: bool) -> Vec<Row> {
    let TestRun { items, finished, .. } = run;
    let row = |one: policy_job::Finished| {
        let mut item = items.get(one.index)?.clone();
        item.file = sources.shown(&item.file);
        let mut outcome = one.outcome;
        outcome.explanations.iter_mut().for_each(|why| why.file = sources.shown(&why.file));
        if let Verdict::Error(what) = &mut outcome.verdict {
            *what = what.chars().take(2_000).collect();
        }
        Some(Row { item, outcome, nanos: one.nanos, runs: bench.then_some(one.runs) })
    };
    finished.into_iter().filter_map(row).collect()
}

/// The lines: as JSON on stdout, or, beside another report, their share on stderr.
fn report(args: &Args, coverage: Option<Report>, failed: bool, stdout: bool) -> anyhow::Result<u8> {
    let report = coverage.context("the lines were not measured, because a test ended its process")?;
    let threshold = args.threshold.unwrap_or(0.0);
    if report.coverage < threshold {
        let mut text = format!("Code coverage threshold not met: got {:.2} instead of {threshold:.2}", report.coverage);
        if args.verbose {
            text.push_str("\nLines not covered:");
            report.missed().iter().for_each(|place| text.push_str(&format!("\n\t{place}")));
        }
        output::note(&text);
        return Ok(FAILED);
    }
    if stdout {
        output::json(&serde_json::to_value(&report)?);
    } else {
        output::note(&format!("coverage: {:.2}%", report.coverage));
    }
    Ok(if failed { FAILED } else { 0 })
}

fn print(text: &str) {
    output::line(text.trim_end_matches('\n'));
}
