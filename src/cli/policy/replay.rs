//! `atb policy replay`.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::history::{self, HistoryArgs, Source, Work};
use crate::adapters::store::SqliteReader;
use crate::cli::output::{self, Format};
use crate::domain::policy::Bundle;
use crate::service::auditor::LogSource as _;
use crate::service::toolchain::replay::{HistoryLine, Judge, Past, ReplayReport, Shelf};

/// Entries read at a time for an export.
const PAGE: u32 = 500;

/// Ask recorded decisions again of the bundle that gave them, and name those that are not reproduced bit for bit.
#[derive(Debug, clap::Args)]
#[command(after_help = "EXAMPLES:\n  atb policy replay --config atb.toml\n  \
        atb policy replay --ledger ledger.db --bundle opa --bundles ./kept-bundles --format json\n  \
        atb policy replay --opa-log decisions.json.gz --bundle bundle.tar.gz\n  \
        atb policy replay --config atb.toml --export history.jsonl --with-openings\n\n\
        Exit 0: nothing contradicts the record. 1: a verdict differs, an opening was tampered with, or a bundle or a \
        line is missing. Erased openings are listed and are no contradiction.")]
pub(super) struct Args {
    #[command(flatten)]
    history: HistoryArgs,
    /// A bundle that decided; may be repeated. Without it the configuration's, or ./opa.
    #[arg(long, value_name = "PATH")]
    bundle: Vec<PathBuf>,
    /// A folder of bundles that were in force before, one folder or archive each.
    #[arg(long, value_name = "DIR")]
    bundles: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write the decisions of the ledger to a new file instead, one a line, for `--history`.
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Export the clear values too. Who has the file reads them, and erasing them in the ledger does not reach it.
    #[arg(long, requires = "export")]
    with_openings: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let source = args.history.source()?;
    if let Some(path) = &args.export {
        let Source::Ledger(ledger) = &source else { bail!("--export takes a ledger, with --ledger or --config") };
        return export(ledger, path, args.with_openings).await;
    }
    let shelf = Shelf::new(args.given()?);
    let reports =
        history::over(&source, || Replay { judge: Judge::new(shelf.clone()), report: ReplayReport::default() })?;
    let mut report = ReplayReport::default();
    reports.into_iter().for_each(|part| report.merge(part));
    match args.format {
        Format::Json => output::json(&json!({ "ok": report.is_sound(), "replay": report })),
        Format::Text => output::line(report.in_text().trim_end()),
    }
    Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Args {
    fn given(&self) -> anyhow::Result<Vec<Arc<Bundle>>> {
        let mut paths = self.bundle.clone();
        if let Some(folder) = &self.bundles {
            let read = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let mut kept: Vec<_> =
                read.with_context(|| folder.display().to_string())?.into_iter().map(|entry| entry.path()).collect();
            kept.sort();
            paths.extend(kept);
        }
        if paths.is_empty() {
            return Ok(vec![history::bundle(None, &self.history.config)?]);
        }
        history::bundles(&paths, &self.history.config)
    }
}

struct Replay {
    judge: Judge,
    report: ReplayReport,
}

impl Work for Replay {
    type Report = ReplayReport;

    fn take(&mut self, past: &Past) -> anyhow::Result<()> {
        self.report.take(&mut self.judge, past);
        Ok(())
    }

    fn report(self) -> ReplayReport {
        self.report
    }
}

async fn export(ledger: &Path, path: &Path, with_openings: bool) -> anyhow::Result<ExitCode> {
    if with_openings {
        output::note(
            "atb: warning: the export holds clear values; erasing them in the ledger does not reach this file",
        );
    }
    let at = || path.display().to_string();
    let reader = SqliteReader::open(ledger).await?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(at)?;
    let mut file = BufWriter::new(file);
    let rows = reader.head().await?.rows;
    let (mut next, mut written) = (0, 0_u64);
    loop {
        let page = reader.recorded_decisions(next, PAGE).await?;
        let Some(last) = page.last().map(|last| last.seq).filter(|_| next < rows) else { break };
        next = last + 1;
        for decision in page.into_iter().filter(|decision| decision.seq < rows) {
            if Past::of_entry(&decision.body, decision.openings.as_ref()).is_none() {
                continue;
            }
            let openings = decision.openings.as_ref().filter(|_| with_openings);
            let line = HistoryLine::of(decision.seq, decision.body, openings);
            serde_json::to_writer(&mut file, &line.context("an entry is no text")?)?;
            file.write_all(b"\n").with_context(at)?;
            written += 1;
        }
    }
    file.flush().with_context(at)?;
    reader.close().await;
    output::line(&format!("{}: {written} decisions", path.display()));
    Ok(ExitCode::SUCCESS)
}
