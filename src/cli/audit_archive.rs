//! `atb audit archive`: sealed blocks to a folder or a bucket, and what may go here then.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::output;
use crate::adapters::clock::{SystemClock, SystemEntropy};
use crate::adapters::object_store::Objects;
use crate::adapters::signer;
use crate::adapters::store::{Forget, OpenMode, SqliteReader, SqliteStore, read_verifier_key};
use crate::config::Config;
use crate::domain::id::{EventId, WorkspaceId};
use crate::domain::ledger::{Entry, EventType, LogKey, LogVerifier, Subject};
use crate::domain::time::Timestamp;
use crate::service::archive::{self, MARKER, Marker, WithArchive};
use crate::service::auditor::{BLOCK, Start, verify_log};
use crate::service::ports::{Clock as _, Entropy as _};

/// Blocks in one transaction.
const AT_ONCE: usize = 64;

/// The arguments of `atb audit archive`.
#[derive(Debug, clap::Args)]
pub struct ArchiveArgs {
    /// The configuration: the ledger, its limits of retention, and `[archive]`.
    #[arg(long, default_value = "atb.toml", value_name = "FILE")]
    config: PathBuf,
    /// A folder (`file:///srv/atb-archive`), or `bucket` for the one of `[archive]`.
    #[arg(long, value_name = "WHERE")]
    to: String,
    /// Take entries from before this out of the ledger's file. Not later than `retention.audit_days` ago; the service
    /// must be stopped.
    #[arg(long, value_name = "RFC3339", value_parser = Timestamp::parse_rfc3339)]
    delete_before: Option<Timestamp>,
    /// The same for entries of mere access (authentication_failed, policy_queried). Not later than
    /// `retention.access_days` ago.
    #[arg(long, value_name = "RFC3339", value_parser = Timestamp::parse_rfc3339)]
    delete_access_before: Option<Timestamp>,
}

/// A folder, or the bucket of `[archive]`.
///
/// # Errors
/// When it cannot be used.
pub fn open(place: &str, config: Option<&Config>) -> anyhow::Result<Objects> {
    if place == "bucket" {
        let config = config.context("`bucket` is the one of `[archive]`: give --config")?;
        let bucket = config.archive.as_ref().context("the configuration has no [archive]")?;
        return Ok(Objects::bucket(bucket, config.dev)?);
    }
    let folder = match place.strip_prefix("file://") {
        Some(path) => path,
        None if place.contains("://") => bail!("`{place}` is neither a folder (`file:///…`) nor `bucket`"),
        None => place,
    };
    Ok(Objects::folder(Path::new(folder))?)
}

/// Runs it.
///
/// # Errors
/// When the ledger is not intact, the archive does not hold what was written, or the limits of retention forbid it.
pub async fn run(args: ArchiveArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    let limits = Limits::of(&args, &config, SystemClock.now())?;
    let objects = open(&args.to, Some(&config))?;
    let verifier = read_verifier_key(&config.ledger_key.with_extension("vkey"))?;
    let marker = archive_blocks(&config, &objects, &verifier).await?;
    if let Some(limits) = limits {
        forget(&config, &objects, &marker, limits, &place(&args.to, &config)).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Before which instants entries go.
#[derive(Debug, Clone, Copy)]
struct Limits {
    access: Timestamp,
    audit: Timestamp,
}

impl Limits {
    /// What was asked for, as far as it may be asked for.
    fn of(args: &ArchiveArgs, config: &Config, now: Timestamp) -> anyhow::Result<Option<Self>> {
        let allowed = |what: &str, key: &str, asked: Option<Timestamp>, kept: Duration| {
            let latest = now.minus(kept);
            match asked {
                Some(asked) if asked > latest => bail!(
                    "refused: {what} are kept for {} days (`{key}`); nothing from {latest} on may be deleted, and {asked} was asked for",
                    kept.as_secs() / 86_400
                ),
                asked => Ok(asked.unwrap_or(Timestamp::from_millis(0))),
            }
        };
        if args.delete_before.or(args.delete_access_before).is_none() {
            return Ok(None);
        }
        let audit = allowed("entries", "retention.audit_days", args.delete_before, config.retention.audit)?;
        let access = allowed(
            "entries of mere access",
            "retention.access_days",
            args.delete_access_before.or(args.delete_before),
            config.retention.access,
        )?;
        Ok(Some(Self { access: access.max(audit), audit }))
    }
}

/// How the record names the archive; holds no secret.
fn place(to: &str, config: &Config) -> String {
    match (&config.archive, to) {
        (Some(bucket), "bucket") => format!("s3://{}/{}", bucket.bucket, bucket.prefix),
        _ => format!("file://{}", to.strip_prefix("file://").unwrap_or(to)),
    }
}

async fn archive_blocks(config: &Config, objects: &Objects, verifier: &LogVerifier) -> anyhow::Result<Marker> {
    let reader = SqliteReader::open(&config.store).await?;
    let origin = verifier.origin().as_str();
    let known = archive::marker(objects, origin).await?;
    let done = known.as_ref().map_or(0, |marker| marker.entries / BLOCK);
    let source = WithArchive { ledger: &reader, archive: objects };
    let report = verify_log(&source, verifier, &[], Start::Beginning).await?;
    let Some(checkpoint) = report.checkpoint.clone().filter(|_| report.is_intact()) else {
        bail!("the ledger is not intact, so nothing is archived; see `atb audit verify`");
    };
    let full = checkpoint.size() / BLOCK;
    if done > full {
        bail!(
            "the archive holds {} entries, the ledger has {}: the ledger is an older state",
            done * BLOCK,
            report.size
        );
    }
    if let Some(known) = known.filter(|_| done > 0)
        && archive::root(&reader, done).await? != known.root
    {
        bail!("the archive holds another history of this log: it was forked");
    }
    for block in done..full {
        archive::put_block(&reader, objects, block).await.with_context(|| format!("block {block}"))?;
    }
    let marker = Marker {
        version: 1,
        origin: origin.to_owned(),
        entries: full * BLOCK,
        root: archive::root(&reader, full).await?,
        checkpoint: checkpoint.note().to_owned(),
        at: SystemClock.now(),
    };
    if full > done {
        use crate::service::archive::ArchiveStore as _;
        objects.write(MARKER, format!("{}\n", serde_json::to_string_pretty(&marker)?).into_bytes()).await?;
    }
    reader.close().await;
    output::line(&format!(
        "archived and read back: {} entries in {} blocks, {} of them new; root {}",
        marker.entries,
        full,
        full - done,
        marker.root.to_hex()
    ));
    Ok(marker)
}

/// Takes out what the archive holds, each block after it was read there again.
async fn forget(
    config: &Config,
    objects: &Objects,
    marker: &Marker,
    limits: Limits,
    place: &str,
) -> anyhow::Result<()> {
    let key = LogKey::new(signer::read_ed25519(&config.ledger_key)?);
    let origin = marker.origin.parse()?;
    let store = SqliteStore::open(&config.store, OpenMode::Existing, key, origin, Arc::new(SystemClock)).await;
    let store = store.context("entries are deleted by the ledger's one writer: stop the service first")?;
    let done = forget_in(&store, config, objects, marker, limits, place).await;
    store.close().await?;
    let (entries, blocks) = done?;
    output::line(&format!("deleted: {entries} entries of {blocks} blocks; their leaf hashes stay"));
    Ok(())
}

async fn forget_in(
    store: &SqliteStore,
    config: &Config,
    objects: &Objects,
    marker: &Marker,
    limits: Limits,
    place: &str,
) -> anyhow::Result<(u64, usize)> {
    let reader = store.reader();
    let mut archived = marker.entries;
    if let Some((sink, place)) = reader.slowest_sink().await?
        && config.sinks.iter().any(|known| known.name == sink)
        && place < archived
    {
        output::note(&format!("sink `{sink}` was sent {place} entries only; later ones stay until it has them"));
        archived = place / BLOCK * BLOCK;
    }
    let access = EventType::ALL.into_iter().filter(|kind| kind.is_access()).collect();
    let forget = Forget {
        blocks: Vec::new(),
        access_before: limits.access,
        audit_before: limits.audit,
        access,
        place: place.to_owned(),
        at: SystemClock.now(),
    };
    let (mut entries, blocks) = (0, reader.old_blocks(&forget, archived).await?);
    for some in blocks.chunks(AT_ONCE) {
        for block in some {
            let leaves = archive::leaves(reader, *block).await?;
            archive::check_block(objects, *block, &leaves).await?;
        }
        let forget = Forget { blocks: some.to_vec(), ..forget.clone() };
        let before = reader.rows_held().await?;
        store.forget(forget.clone(), event(&forget)).await?;
        // The event itself is one more.
        entries += (before + 1).saturating_sub(reader.rows_held().await?);
    }
    Ok((entries, blocks.len()))
}

fn event(forget: &Forget) -> Entry {
    let at = SystemClock.now();
    let (first, last) = (forget.blocks.first().copied().unwrap_or(0), forget.blocks.last().copied().unwrap_or(0));
    let facts = [
        ("place", forget.place.clone()),
        ("first", (first * BLOCK).to_string()),
        ("end", ((last + 1) * BLOCK).to_string()),
        ("blocks", forget.blocks.len().to_string()),
        ("audit_before", forget.audit_before.to_string()),
        ("access_before", forget.access_before.to_string()),
    ];
    Entry {
        event_id: EventId::new(at, SystemEntropy.bytes()),
        event_type: EventType::LedgerArchived,
        at,
        workspace: WorkspaceId::default(),
        subject: Subject {
            detail: facts.into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect(),
            ..Subject::default()
        },
    }
}
