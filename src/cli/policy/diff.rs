//! `atb policy diff`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use super::history::{self, HistoryArgs, Work};
use crate::adapters::clock::SystemClock;
use crate::cli::output;
use crate::domain::day::Day;
use crate::domain::policy::Bundle;
use crate::service::ports::Clock as _;
use crate::service::toolchain::loosening::loosenings;
use crate::service::toolchain::replay::{Accept, Counted, DiffReport, Judge, Past, Shelf};

/// Ask recorded decisions of two bundles, and say what a candidate changes: every verdict that flips and everything that
/// its data loosens.
#[derive(Debug, clap::Args)]
#[command(after_help = "EXAMPLES:\n  atb policy diff --candidate ./opa --config atb.toml\n  \
        atb policy diff --base main/opa --candidate opa --history history.jsonl --accept accept.yaml --format markdown\n  \
        atb policy diff --base main/opa --candidate opa --no-history\n\n\
        Exit 1: a denial becomes an allow, an approval is lost, or the data loosens, and the accept file does not name it.")]
pub(super) struct Args {
    #[command(flatten)]
    history: HistoryArgs,
    /// The bundle in force; the configuration's, or ./opa, without it.
    #[arg(long, value_name = "PATH")]
    base: Option<PathBuf>,
    /// The bundle that would replace it.
    #[arg(long, value_name = "PATH")]
    candidate: PathBuf,
    /// Compare the data alone.
    #[arg(long, conflicts_with_all = ["ledger", "history", "opa_log"])]
    no_history: bool,
    /// What was agreed to, why and until when.
    #[arg(long, value_name = "FILE")]
    accept: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: DiffFormat,
}

/// How a diff is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum DiffFormat {
    /// For a terminal.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For a comment on a pull request.
    Markdown,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let accept = match &args.accept {
        None => Accept::default(),
        Some(path) => {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).with_context(|| name.clone())?;
            Accept::parse(&name, &text)?
        }
    };
    let base = history::bundle(args.base.as_deref(), &args.history.config)?;
    let candidate = history::bundle(Some(&args.candidate), &args.history.config)?;
    let counted = if args.no_history { Counted::default() } else { asked(args, &base, &candidate)? };
    let names = (base.revision().to_string(), candidate.revision().to_string());
    let loosened = loosenings(base.data(), candidate.data());
    let report = DiffReport::new(names, counted, loosened, &accept, Day::of(SystemClock.now()));
    if report.decisions > 0 && report.asked == 0 {
        bail!("none of {} decisions could be asked again: {:?}", report.decisions, report.not_asked);
    }
    match args.format {
        DiffFormat::Text => output::line(report.in_text().trim_end()),
        DiffFormat::Json => output::json(&serde_json::to_value(&report)?),
        DiffFormat::Markdown => output::line(report.in_markdown().trim_end()),
    }
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn asked(args: &Args, base: &Arc<Bundle>, candidate: &Arc<Bundle>) -> anyhow::Result<Counted> {
    let judge = |bundle: &Arc<Bundle>| Judge::new(Shelf::new(vec![Arc::clone(bundle)]));
    let make = || Diff { base: judge(base), candidate: judge(candidate), counted: Counted::default() };
    let mut counted = Counted::default();
    history::over(&args.history.source()?, make)?.into_iter().for_each(|part| counted.merge(part));
    Ok(counted)
}

struct Diff {
    base: Judge,
    candidate: Judge,
    counted: Counted,
}

impl Work for Diff {
    type Report = Counted;

    fn take(&mut self, past: &Past) -> anyhow::Result<()> {
        Ok(self.counted.take(&mut self.base, &mut self.candidate, past)?)
    }

    fn report(self) -> Counted {
        self.counted
    }
}
