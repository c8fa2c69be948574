//! `atb audit`: the ledger, read from its file, also while a service writes it, or asked of a service.

mod conditions;
mod export;
mod line;
mod query;
mod source;
mod trace;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};

use super::output::{self, Format};
use crate::adapters::store::{SqliteReader, read_verifier_key};
use crate::domain::ledger::LogVerifier;
use crate::service::auditor::{AuditReport, Start, verify_log};

/// The arguments of `atb audit`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Print the newest events.
    #[command(after_help = "EXAMPLES:\n  atb audit tail -n 50\n  atb audit tail -f --home ./dev")]
    Tail(Box<query::TailArgs>),
    /// Print the events that match, oldest first.
    #[command(after_help = query::EXAMPLES)]
    Query(Box<query::QueryArgs>),
    /// Tell the story of one case in order: request, approvals, mandate, decisions, outcome.
    #[command(after_help = trace::EXAMPLES)]
    Trace(trace::Args),
    /// Write the events that match into a file with a signed manifest, or verify such a file.
    #[command(after_help = export::EXAMPLES)]
    Export(Box<export::Args>),
    /// Verify every entry against the signed checkpoints; exit 1 and name what was done if the ledger is not intact.
    #[command(after_help = "EXAMPLES:\n  atb audit verify --home ./dev\n  \
        atb audit verify --store copy.db --key ledger.vkey --checkpoint kept-elsewhere.txt")]
    Verify(VerifyArgs),
}

#[derive(Debug, clap::Args)]
struct StoreArgs {
    /// A directory made by `atb init`; the ledger is data/ledger.db in it.
    #[arg(long, env = "ATB_HOME", default_value = ".", value_name = "DIR")]
    home: PathBuf,
    /// The ledger, if it is elsewhere.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// The log's verification key or a file that holds it; without it keys/ledger.vkey of the home directory.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// A checkpoint that was kept elsewhere; may be repeated.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
}

/// Runs one of the subcommands.
///
/// # Errors
/// When the ledger or the key cannot be read.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        AuditCommand::Tail(args) => refused_is_no(query::tail(*args).await),
        AuditCommand::Query(args) => refused_is_no(query::query(*args).await),
        AuditCommand::Trace(args) => refused_is_no(trace::run(args).await),
        AuditCommand::Export(args) => export::run(*args).await,
        AuditCommand::Verify(args) => verify(args).await,
    }
}

/// A service that says no has answered: exit code 1.
fn refused_is_no(done: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    match done {
        Err(error) if error.is::<source::Refused>() => {
            output::note(&error.to_string());
            Ok(ExitCode::FAILURE)
        }
        done => done,
    }
}

impl StoreArgs {
    fn path(&self) -> PathBuf {
        self.store.clone().unwrap_or_else(|| self.home.join("data").join("ledger.db"))
    }

    async fn open(&self) -> anyhow::Result<SqliteReader> {
        Ok(SqliteReader::open(&self.path()).await?)
    }
}

async fn verify(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let verifier = verifier(args.key.as_deref(), &args.store.home)?;
    let mut published = Vec::new();
    for file in &args.checkpoint {
        let note = std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
        // An editor or a shell adds and drops newlines at the end; the note itself ends with exactly one.
        published.push(format!("{}\n", note.trim_end_matches('\n')));
    }
    let reader = args.store.open().await?;
    let report = verify_log(&reader, &verifier, &published, Start::Beginning).await?;
    match args.store.format {
        Format::Json => output::json(&report_document(&report, &verifier)),
        Format::Text => print_report(&report, &verifier, &args.store.path()),
    }
    Ok(if report.is_intact() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `key` as the key itself, which has a `+` where a file's name hardly has one, or as a file.
fn verifier(key: Option<&str>, home: &Path) -> anyhow::Result<LogVerifier> {
    match key {
        Some(text) if text.contains('+') && !Path::new(text).exists() => Ok(text.parse()?),
        Some(file) => Ok(read_verifier_key(Path::new(file))?),
        None => Ok(read_verifier_key(&home.join("keys").join("ledger.vkey"))?),
    }
}

fn report_document(report: &AuditReport, verifier: &LogVerifier) -> Value {
    json!({
        "intact": report.is_intact(),
        "origin": verifier.origin().as_str(),
        "size": report.size,
        "root": report.root,
        "checkpoint": report.checkpoint.as_ref().map(|checkpoint| checkpoint.note()),
        "findings": report.findings,
    })
}

fn print_report(report: &AuditReport, verifier: &LogVerifier, path: &Path) {
    for finding in &report.findings {
        output::line(&finding.to_string());
    }
    let state = if report.is_intact() { "intact" } else { "NOT INTACT" };
    output::line(&format!(
        "{}: {state}, {} entries of {}, root {}",
        path.display(),
        report.size,
        verifier.origin(),
        report.root.to_hex()
    ));
}
