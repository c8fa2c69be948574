//! `atb audit`: the ledger, read from its file, also while a service writes it, or asked of a service.

mod case;
mod checkpoint;
mod conditions;
mod erase;
mod export;
mod line;
mod prove;
mod query;
mod source;
mod trace;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::output::{self, Format};
use crate::adapters::store::{SqliteReader, read_verifier_key};
use crate::domain::ledger::LogVerifier;

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
    /// Verify the ledger, a part of it, or a case file; exit 1 and name what was done if it is not intact.
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::Args),
    /// Print the newest signed checkpoint, or append it to a file of checkpoints.
    #[command(after_help = "EXAMPLES:\n  atb audit checkpoint --home ./dev\n  \
        atb audit checkpoint --home ./dev --append /mnt/worm/checkpoints.txt\n  \
        atb audit checkpoint --home ./dev --cosigned")]
    Checkpoint(checkpoint::Args),
    /// Print the proof that an entry is in the log, for somebody who has nothing but the log's public key.
    #[command(
        after_help = "EXAMPLES:\n  atb audit prove 01a1fdde-54a4-7860-9ba0-d2a8b93fe026 --home ./dev --format json\n  \
        atb audit prove 12 --home ./dev > entry-12.tlog-proof"
    )]
    Prove(prove::Args),
    /// Write one case to a file that an auditor checks offline.
    #[command(
        after_help = "EXAMPLES:\n  atb audit case 01a1fdde-54a4-7860-9ba0-d2a8b93fe026 --home ./dev --out case.zip\n  \
        atb audit verify case.zip --key ledger.vkey"
    )]
    Case(case::Args),
    /// Erase the salts and clear values of one case or one person; the entries stay and verify. The service is stopped.
    #[command(after_help = erase::EXAMPLES)]
    Erase(erase::Args),
    /// Put sealed blocks into an archive and read them back; with --delete-before also take old entries out of the ledger.
    #[command(after_help = "EXAMPLES:\n  atb audit archive --config ./dev/atb.toml --to file:///srv/atb-archive\n  \
        atb audit archive --config /etc/atb/atb.toml --to bucket --delete-before 2019-11-01T00:00:00Z")]
    Archive(super::audit_archive::ArchiveArgs),
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
        AuditCommand::Verify(args) => verify::run(args).await,
        AuditCommand::Checkpoint(args) => checkpoint::run(args).await,
        AuditCommand::Prove(args) => prove::run(args).await,
        AuditCommand::Case(args) => case::run(args).await,
        AuditCommand::Erase(args) => erase::run(args).await,
        AuditCommand::Archive(args) => super::audit_archive::run(args).await,
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

/// Checkpoints that were kept in files, one or several in each.
pub(super) fn read_notes(files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let read = files.iter().map(|file| verify::read_notes(file)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(read.into_iter().flatten().collect())
}

/// A verification key, or the file that holds it.
pub(super) fn verifier_of(key: &str) -> anyhow::Result<LogVerifier> {
    verifier(Some(key), Path::new("."))
}

/// `key` as the key itself, which has a `+` where a file's name hardly has one, or as a file.
fn verifier(key: Option<&str>, home: &Path) -> anyhow::Result<LogVerifier> {
    match key {
        Some(text) if text.contains('+') && !Path::new(text).exists() => Ok(text.parse()?),
        Some(file) => Ok(read_verifier_key(Path::new(file))?),
        None => Ok(read_verifier_key(&home.join("keys").join("ledger.vkey"))?),
    }
}
