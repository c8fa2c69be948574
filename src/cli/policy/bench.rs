//! `atb policy bench`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::sources::Sources;
use crate::adapters::policy_job::{self, BenchJob};
use crate::cli::output::{self, Format};
use crate::domain::json;
use crate::service::toolchain::bench::{BenchReport, Kind, Row};

/// Measure how long decisions take, by entry point, tier and answer, and each rule of their packages.
///
/// The inputs are the files given with -i, or those of the bundle's tables of cases. What is measured is what production
/// does: JSON in, the interpreter, the answer read strictly; no queue and no network.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "EXAMPLES:\n  atb policy bench\n  atb policy bench opa -i input.json data.atb.poa.decision\n  atb policy bench --iterations 10000 --threads 2 --format json opa"
)]
pub(super) struct Args {
    /// The bundle (the configuration's bundle or ./opa without it), and one rule, `data.…` (the entry points without it).
    #[arg(value_name = "PATH|QUERY", num_args = 0..=2)]
    targets: Vec<String>,
    /// An input, a JSON file: an object, or an array of them.
    #[arg(short, long, value_name = "FILE")]
    input: Vec<PathBuf>,
    /// Evaluations of each rule and input.
    #[arg(long, default_value_t = 2_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    iterations: u32,
    /// Evaluations before the first that counts.
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    warm_up: u32,
    /// Engines at work at a time.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    threads: u16,
    /// Only the entry points, not each rule.
    #[arg(long)]
    no_rules: bool,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t)]
    format: Format,
    /// Where the bundle is written down when no path is given.
    #[arg(long, default_value = "atb.toml", value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (queries, paths): (Vec<&String>, Vec<&String>) =
        args.targets.iter().partition(|target| target.starts_with("data."));
    if queries.len() > 1 || paths.len() > 1 {
        bail!("name one bundle and one rule, `data.…`, at most");
    }
    let paths: Vec<PathBuf> = paths.into_iter().map(PathBuf::from).collect();
    let sources = Sources::read(&paths, &args.config)?;
    let job = BenchJob {
        inputs: inputs(&args.input)?,
        query: queries.first().map(|query| (*query).clone()),
        iterations: args.iterations,
        warm_up: args.warm_up,
        threads: usize::from(args.threads),
        rules: !args.no_rules,
    };
    let report =
        policy_job::bench(&std::env::current_exe()?, &sources.files, job).with_context(|| sources.to_string())?;
    match args.format {
        Format::Json => {
            let mut value = serde_json::to_value(&report)?;
            if let Some(members) = value.as_object_mut() {
                members.insert("machine".to_owned(), machine());
            }
            output::json(&value);
        }
        Format::Text => text(&report),
    }
    Ok(ExitCode::SUCCESS)
}

fn inputs(paths: &[PathBuf]) -> anyhow::Result<Vec<Value>> {
    let mut inputs = Vec::new();
    for path in paths {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        match json::parse(&bytes).with_context(|| format!("the input in `{}`", path.display()))? {
            Value::Array(many) => inputs.extend(many),
            one => inputs.push(one),
        }
    }
    Ok(inputs)
}

/// Figures mean nothing without the machine that they were taken on.
fn machine() -> Value {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let known = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = known.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    json!({
        "processor": model.map_or("unknown", |(_, model)| model.trim()),
        "processors": processors, "architecture": std::env::consts::ARCH, "build": build,
    })
}

fn text(report: &BenchReport) {
    let machine = machine();
    let said = |name: &str| machine.get(name).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
    let said = |name: &str| said(name).unwrap_or_default();
    output::line(&format!("bundle  {} ({}), {} acts", report.revision, report.digest, report.acts));
    output::line(&format!(
        "machine {}, {} processors, {}, {} build, {} thread(s)",
        said("processor"),
        said("processors"),
        said("architecture"),
        said("build"),
        report.threads
    ));
    output::line(&format!("inputs  {} ({} cases with data of their own left out)", report.samples, report.skipped));
    output::line(&format!(
        "\n{:<48} {:<9} {:<6} {:>9} {:>9} {:>9} {:>10}",
        "rule", "tier", "allow", "p50 µs", "p99 µs", "max µs", "runs"
    ));
    let mut rows: Vec<&Row> = report.rows.iter().collect();
    // Entry points in their order, then the rules, the slowest first.
    rows.sort_by_key(|row| (row.key.kind, if row.key.kind == Kind::Rule { u64::MAX - row.p50_ns } else { 0 }));
    for row in rows {
        let allow = row.key.allow.map_or("", |allow| if allow { "yes" } else { "no" });
        output::line(&format!(
            "{:<48} {:<9} {allow:<6} {:>9} {:>9} {:>9} {:>10}",
            row.key.query,
            row.key.tier.as_deref().unwrap_or_default(),
            micros(row.p50_ns),
            micros(row.p99_ns),
            micros(row.max_ns),
            row.evaluations
        ));
    }
}

fn micros(nanos: u64) -> String {
    format!("{}.{}", nanos / 1_000, nanos % 1_000 / 100)
}
