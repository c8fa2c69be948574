//! `atb audit erase`: the salts and clear values of one case, or of one person, go; the entries stay and verify.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use uuid::Uuid;

use super::super::output;
use crate::adapters::clock::{SystemClock, SystemEntropy};
use crate::adapters::signer;
use crate::adapters::store::{OpenMode, SqliteReader, SqliteStore, read_verifier_key};
use crate::config::Config;
use crate::domain::id::{EventId, WorkspaceId};
use crate::domain::ledger::{Entry, EventType, LogKey, Subject};
use crate::domain::leg::Commitment;
use crate::domain::text::PlainText;
use crate::service::ports::{Clock as _, Entropy as _};

pub(super) const EXAMPLES: &str = "EXAMPLES:\n  \
    atb audit erase --config ./dev/atb.toml --id 01a1fdde-54a4-7860-9ba0-d2a8b93fe026 --reason \"request 2026-17\" --dry-run\n  \
    printf %s zoe@example.com | atb leg commit --home ./dev --template consent --variable data_subject\n  \
    atb audit erase --config ./dev/atb.toml --data-subject hmac-sha-256:… --reason \"request 2026-18\"";

/// The longest reason.
const MAX_REASON: usize = 200;
/// Entries of one erasure: they go in one transaction, with the event that says so.
const MOST: usize = 100_000;

/// The arguments of `atb audit erase`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration: the ledger and its key.
    #[arg(long, default_value = "atb.toml", value_name = "FILE")]
    config: PathBuf,
    /// Of one case: the id of a mandate, a challenge or a decision.
    #[arg(long, value_name = "ID", required_unless_present = "data_subject", conflicts_with = "data_subject")]
    id: Option<Uuid>,
    /// Of one person: the commitment that `atb leg commit` prints. Reads the whole record.
    #[arg(long, value_name = "COMMITMENT")]
    data_subject: Option<Commitment>,
    /// Why, for the record. Do not name the person.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
    /// Only say of how many entries.
    #[arg(long)]
    dry_run: bool,
}

fn reason(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > MAX_REASON {
        return Err(format!("expected 1 to {MAX_REASON} bytes"));
    }
    text.parse::<PlainText>().map(|text| text.to_string()).map_err(|error| error.to_string())
}

/// Runs it. Exit 1 where there is nothing to erase.
///
/// # Errors
/// When the ledger cannot be read, or a service has it open.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    let reader = SqliteReader::open(&config.store).await?;
    let (of, found) = match (args.id, &args.data_subject) {
        (Some(id), _) => (id.to_string(), reader.opened_by_id(id.into_bytes()).await?),
        (None, Some(person)) => (person.as_str().to_owned(), reader.opened_by_text(person.as_str()).await?),
        (None, None) => bail!("say of what: --id or --data-subject"),
    };
    reader.close().await;
    if found.is_empty() {
        output::note("no entry of it has anything to erase: there is none, or it was erased before");
        return Ok(ExitCode::FAILURE);
    }
    if found.len() > MOST {
        bail!("{} entries are more than {MOST} at once: erase by --id, case by case", found.len());
    }
    if args.dry_run {
        output::line(&format!("would erase what opens {} entries; they stay", found.len()));
        return Ok(ExitCode::SUCCESS);
    }
    let count = found.len();
    let seq = erase(&config, found, event(&of, count, args.reason)).await?;
    output::line(&format!("erased what opens {count} entries; they stay, and entry {seq} says so"));
    Ok(ExitCode::SUCCESS)
}

async fn erase(config: &Config, found: Vec<u64>, event: Entry) -> anyhow::Result<u64> {
    let key = LogKey::new(signer::read_ed25519(&config.ledger_key)?);
    let origin = read_verifier_key(&config.ledger_key.with_extension("vkey"))?.origin().clone();
    let store = SqliteStore::open(&config.store, OpenMode::Existing, key, origin, Arc::new(SystemClock)).await;
    let store = store.context("openings are erased by the ledger's one writer: stop the service first")?;
    let receipt = store.erase_on_record(found, event).await;
    // Closing moves the write-ahead log, which still has what was erased, into the file and empties it.
    store.close().await?;
    Ok(receipt?.seq())
}

fn event(of: &str, entries: usize, reason: String) -> Entry {
    let at = SystemClock.now();
    let facts = [("of", of.to_owned()), ("entries", entries.to_string())];
    Entry {
        event_id: EventId::new(at, SystemEntropy.bytes()),
        event_type: EventType::OpeningsErased,
        at,
        workspace: WorkspaceId::default(),
        subject: Subject {
            reason: Some(reason),
            detail: facts.into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect(),
            ..Subject::default()
        },
    }
}
