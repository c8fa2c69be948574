//! `atb policy mutate`.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use super::files;
use crate::cli::output;
use crate::domain::policy::bundle::BundleFiles;
use crate::service::toolchain::mutate::{self, Options, accept, report};

/// What the accept file beside a bundle's folder is called, after the folder's name. In the folder OPA would load it.
const ACCEPT_SUFFIX: &str = ".mutants.yaml";
/// What the folder of further tests beside a bundle's folder is called, after it. In the folder every activation would run
/// them.
const TESTS_SUFFIX: &str = ".tests";

/// Change the policy in small ways, one at a time, and report the changes that no test notices.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "EXAMPLES:\n  atb policy mutate opa --threshold 95\n  atb policy mutate opa --sample 200 --seed 7\n  atb policy mutate opa --rule approval --format markdown\n\nEXIT CODES: 0 the score is reached, 1 it is not or the accept file is stale, 2 the bundle or its tests do not stand"
)]
pub(super) struct Args {
    /// The bundle; the configuration's bundle or ./opa without it.
    path: Option<PathBuf>,
    /// Only so many mutants, chosen by the seed.
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Chooses the sample: the same seed, the same mutants.
    #[arg(long, default_value_t = 0, value_name = "S")]
    seed: u64,
    /// Only rules and data whose dotted name contains this.
    #[arg(long, value_name = "TEXT")]
    rule: Option<String>,
    /// Only files whose path contains this.
    #[arg(long, value_name = "TEXT")]
    file: Option<String>,
    /// Only Rego, not the data.
    #[arg(long)]
    rego_only: bool,
    /// The acts of the catalogue too, which by default are not changed: they are more than everything else together.
    #[arg(long)]
    catalogue: bool,
    /// Take a rule for a short way to another, as `custom: {fast_path: true}` in its METADATA does.
    #[arg(long, value_name = "PACKAGE.RULE")]
    fast_path: Vec<String>,
    /// The least score, in per cent.
    #[arg(long, default_value_t = 95.0, value_name = "PERCENT")]
    threshold: f64,
    /// Mutants that may survive, each with a reason; `opa.mutants.yaml` beside the folder `opa` where it is there.
    #[arg(long, value_name = "FILE")]
    accept: Option<PathBuf>,
    /// A folder of further tests, which are not the bundle's own; `opa.tests` beside the folder `opa` where it is there.
    #[arg(long, value_name = "DIR")]
    tests: Option<PathBuf>,
    /// Threads; as many as the machine has without it.
    #[arg(short = 'j', long, value_name = "N")]
    jobs: Option<usize>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Where the bundle is written down when no path is given.
    #[arg(long, default_value = "atb.toml", value_name = "FILE")]
    config: PathBuf,
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For a pull request.
    Markdown,
}

/// What stands beside the bundle at `path` under its name with `suffix`.
fn beside(path: &Path, suffix: &str) -> Option<PathBuf> {
    let mut name = path.canonicalize().ok()?.into_os_string();
    name.push(suffix);
    Some(PathBuf::from(name))
}

/// The bundle's files and those of the further tests, which may hold nothing else: it would be changed as policy.
fn with_tests(files: BundleFiles, tests: &Path) -> anyhow::Result<BundleFiles> {
    let (_, further) = files::read(Some(tests), Path::new(""))?;
    if let Some((odd, _)) = further.iter().find(|(name, _)| !name.ends_with("_test.rego")) {
        bail!("`{}` is no test: name the files `…_test.rego`", tests.join(odd).display());
    }
    let owned = |(name, content): (&str, &[u8])| (name.to_owned(), content.to_vec());
    let all = files.iter().chain(further.iter()).map(owned);
    BundleFiles::new(all).with_context(|| format!("the tests `{}`", tests.display()))
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (path, files) = files::read(args.path.as_deref(), &args.config)?;
    let tests = args.tests.clone().or_else(|| beside(&path, TESTS_SUFFIX).filter(|folder| folder.is_dir()));
    let files = match &tests {
        Some(tests) => with_tests(files, tests)?,
        None => files,
    };
    let accept_file = args.accept.clone().or_else(|| beside(&path, ACCEPT_SUFFIX).filter(|file| file.is_file()));
    let accepted = match &accept_file {
        None => Vec::new(),
        Some(file) => {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("the accept file `{}`", file.display()))?;
            accept::read(&text).with_context(|| format!("the accept file `{}`", file.display()))?
        }
    };
    let machine = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let options = Options {
        sample: args.sample,
        seed: args.seed,
        rule: args.rule.clone(),
        file: args.file.clone(),
        rego_only: args.rego_only,
        catalogue: args.catalogue,
        jobs: args.jobs.unwrap_or_else(machine),
        fast_paths: args.fast_path.iter().map(|name| name.trim_start_matches("data.").to_owned()).collect(),
    };
    let report = mutate::run(&files, &options, &accepted, progress())
        .with_context(|| format!("the bundle `{}`", path.display()))?;
    clear_progress();
    match args.format {
        Format::Text => output::text(&report::text(&report)),
        Format::Json => {
            let mut document = serde_json::to_value(&report)?;
            if let Some(members) = document.as_object_mut() {
                members.insert("score".to_owned(), (f64::from(report.total.score()) / 100.0).into());
                members.insert("threshold".to_owned(), args.threshold.into());
            }
            output::json(&document);
        }
        Format::Markdown => output::text(&report::markdown(&report)),
    }
    if report.total.nothing_tried() {
        output::note("no mutant could be tried: every one of them is outside of the safe profile");
    }
    let reached = !report.total.nothing_tried() && f64::from(report.total.score()) / 100.0 >= args.threshold;
    Ok(if reached && report.stale.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One line on stderr that is written over, where somebody looks.
fn progress() -> impl FnMut(usize, usize, usize) {
    let visible = std::io::stderr().is_terminal();
    let mut shown = None;
    move |done, all, survived| {
        let share = done * 100 / all.max(1);
        if visible && shown.replace(share) != Some(share) {
            let _ = write!(std::io::stderr(), "\r{share:>3} %  {done}/{all} mutants, {survived} survived ");
        }
    }
}

fn clear_progress() {
    if std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
}
