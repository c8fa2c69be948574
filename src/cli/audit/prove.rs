//! `atb audit prove`: that an entry is in the log.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{StoreArgs, verifier};
use crate::adapters::store::{RecordedDecision, SqliteReader};
use crate::cli::output::{self, Format};
use crate::domain::id::{DecisionId, EventId};
use crate::domain::ledger::{Checkpoint, InclusionProof, LeafHash, LogVerifier};
use crate::service::auditor::LogSource as _;

/// The most entries that one id names.
const MOST: u32 = 10_000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The id of an event, a decision, a mandate (`jti`) or a challenge, or an entry's number.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    store: StoreArgs,
    /// The log's verification key or a file that holds it; without it keys/ledger.vkey of the home directory.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

/// One proven entry, as printed.
#[derive(Serialize)]
struct Proven {
    origin: String,
    entry: Box<RawValue>,
    proof: InclusionProof,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let verifier = verifier(args.key.as_deref(), &args.store.home)?;
    let reader = args.store.open().await?;
    let found = named(&reader, &args.id).await?;
    let Some(last) = found.last() else {
        output::note(&format!("atb: no entry names `{}`", args.id));
        return Ok(ExitCode::FAILURE);
    };
    let checkpoint = covering(&reader, &verifier, last.seq).await?;
    if args.store.format == Format::Text && found.len() > 1 {
        let which: Vec<_> = found.iter().map(|entry| entry.seq.to_string()).collect();
        bail!("{} entries name `{}` ({}): give one's number, or --format json", found.len(), args.id, which.join(", "));
    }
    for entry in found {
        let proof = prove(&reader, &checkpoint, &entry).await?;
        match args.store.format {
            Format::Text => output::text(&proof.to_tlog_proof()),
            Format::Json => {
                let text = String::from_utf8(entry.body).context("the entry is no text")?;
                let proven =
                    Proven { origin: verifier.origin().to_string(), entry: RawValue::from_string(text)?, proof };
                output::line(&serde_json::to_string(&proven)?);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The entries that an id names, in order.
pub(super) async fn named(reader: &SqliteReader, id: &str) -> anyhow::Result<Vec<RecordedDecision>> {
    if let Ok(seq) = id.parse::<u64>() {
        return Ok(reader.entry_at(seq).await?.into_iter().collect());
    }
    let event: EventId = id.parse().context("an id is a UUID as it stands in an answer or an entry, or a number")?;
    // Of whatever kind it is, its bytes are the same.
    let bytes: DecisionId = id.parse()?;
    let naming = reader.entries_naming(*bytes.as_bytes(), MOST).await?;
    if naming.is_empty() { Ok(reader.entry_of(event).await?.into_iter().collect()) } else { Ok(naming) }
}

/// The newest cosigned checkpoint if it covers the entry `last`, else the newest.
pub(super) async fn covering(reader: &SqliteReader, verifier: &LogVerifier, last: u64) -> anyhow::Result<Checkpoint> {
    if let Some(cosigned) = reader.cosigned(verifier).await?.filter(|cosigned| cosigned.size() > last) {
        return Ok(cosigned);
    }
    let newest = verifier.verify(&reader.head().await?.note).context("the ledger's newest checkpoint")?;
    if newest.size() > last { Ok(newest) } else { bail!("no signed checkpoint covers the entry {last}") }
}

/// The proof of one entry, checked before it is handed out.
pub(super) async fn prove(
    reader: &SqliteReader,
    checkpoint: &Checkpoint,
    entry: &RecordedDecision,
) -> anyhow::Result<InclusionProof> {
    let path = reader.inclusion_proof(entry.seq, checkpoint.size()).await?;
    let leaf = LeafHash::of(&entry.body);
    let proof = InclusionProof::new(entry.seq, leaf, path, checkpoint);
    let root = checkpoint.root();
    let included = crate::domain::ledger::verify_inclusion(leaf, entry.seq, checkpoint.size(), root, &proof.audit_path);
    if included {
        return Ok(proof);
    }
    bail!("the entry {} is not what was signed; see `atb audit verify`", entry.seq)
}
