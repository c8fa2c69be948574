//! `atb audit case`: everything about one case in one file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::{StoreArgs, prove, verifier};
use crate::adapters::store::{RecordedDecision, SqliteReader};
use crate::adapters::{bundle_archive, case_file};
use crate::cli::output::{self, Format};
use crate::config::Config;
use crate::domain::id::{DecisionId, Sha256Digest};
use crate::domain::ledger::Entry;
use crate::service::case::{self, Found, Material, names};

/// The most entries of a case.
const MAX_ENTRIES: usize = 5_000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The id of a decision, a mandate (`jti`), a challenge or an event.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    store: StoreArgs,
    /// The file to write; it must not be there. It may hold personal data: only you can read it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The log's verification key or a file that holds it; without it keys/ledger.vkey of the home directory.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// A policy bundle, or a folder of kept ones, that may have judged; may be repeated. The directory's own is looked at
    /// too.
    #[arg(long, value_name = "PATH")]
    bundle: Vec<PathBuf>,
    /// Leave out what opens commitments, mandates and statements: then no verdict can be checked.
    #[arg(long)]
    without_openings: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let verifier = verifier(args.key.as_deref(), &args.store.home)?;
    let reader = args.store.open().await?;
    let entries = collect(&reader, &args.id).await?;
    let Some(last) = entries.last_key_value().map(|(seq, _)| *seq) else {
        output::note(&format!("atb: no entry names `{}`", args.id));
        return Ok(ExitCode::FAILURE);
    };
    let first = entries.first_key_value().map_or(0, |(seq, _)| *seq);
    let checkpoint = prove::covering(&reader, &verifier, last).await?;
    let mut missing = Vec::new();
    let start = reader.start_before(first).await?;
    if start.is_none() {
        missing.push("the start of the service before the case: by whose keys it believed is not known".to_owned());
    }
    let context = start.into_iter().map(|found| (found, true));
    let mut found = Vec::new();
    for (mut decision, context) in context.chain(entries.into_values().map(|found| (found, false))) {
        let proof = prove::prove(&reader, &checkpoint, &decision).await?;
        let entry: Entry = serde_json::from_slice(&decision.body).context("an entry is not readable")?;
        let openings = decision.openings.take().filter(|_| !args.without_openings);
        found.push(Found { seq: decision.seq, body: decision.body, entry, openings, proof, context });
    }
    let near = Near::of(&args);
    let judged: BTreeSet<_> =
        found.iter().filter(|f| !f.context).filter_map(|f| f.entry.subject.bundle_digest).collect();
    let material = Material {
        id: args.id.clone(),
        checkpoint,
        jwks: near.file(near.jwks.as_deref(), &found, "jwks_digest"),
        trust: near.file(near.trust.as_deref(), &found, "trust_digest"),
        bundles: near.bundles(&judged),
        entries: found,
        missing,
    };
    let (entries, size) = (material.entries.len(), material.checkpoint.size());
    let bytes = case_file::write(&case::assemble(material))?;
    write_new(&args.out, &bytes)?;
    match args.store.format {
        Format::Json => output::json(&serde_json::json!({
            "file": args.out.display().to_string(), "entries": entries, "tree_size": size, "bytes": bytes.len(),
            "digest": Sha256Digest::of(&bytes),
        })),
        Format::Text => output::line(&format!(
            "{}: {entries} entries of a log of {size}, {}; check it with `atb audit verify {} --key KEY`",
            args.out.display(),
            Sha256Digest::of(&bytes),
            args.out.display()
        )),
    }
    Ok(ExitCode::SUCCESS)
}

/// Every entry that shares an id with the case, over others of it if need be.
async fn collect(reader: &SqliteReader, id: &str) -> anyhow::Result<BTreeMap<u64, RecordedDecision>> {
    let mut entries = BTreeMap::new();
    let mut asked: BTreeSet<String> = BTreeSet::new();
    let mut open = vec![id.to_owned()];
    while let Some(name) = open.pop() {
        if !asked.insert(name.clone()) {
            continue;
        }
        let found = if name == id {
            prove::named(reader, id).await?
        } else {
            let Ok(bytes) = name.parse::<DecisionId>() else { continue };
            reader.entries_naming(*bytes.as_bytes(), u32::try_from(MAX_ENTRIES).unwrap_or(u32::MAX)).await?
        };
        for decision in found {
            let entry: Entry = serde_json::from_slice(&decision.body).context("an entry is not readable")?;
            open.extend(names(&entry));
            entries.insert(decision.seq, decision);
        }
        if entries.len() > MAX_ENTRIES {
            bail!("more than {MAX_ENTRIES} entries belong to `{id}`: name a narrower case");
        }
    }
    Ok(entries)
}

/// What lies beside the ledger: keys, trust and bundles, each believed only by its digest on record.
struct Near {
    jwks: Option<PathBuf>,
    trust: Option<PathBuf>,
    bundles: Vec<PathBuf>,
}

impl Near {
    fn of(args: &Args) -> Self {
        let config = Config::load(&args.store.home.join("atb.toml")).ok();
        let mut bundles = args.bundle.clone();
        bundles.extend(config.as_ref().map(|config| config.bundle_dir.clone()));
        Self {
            jwks: config.as_ref().and_then(crate::app::published_jwks),
            trust: config.as_ref().map(|config| config.trust_bundle.clone()),
            bundles,
        }
    }

    fn file(&self, path: Option<&Path>, found: &[Found], member: &str) -> Option<Vec<u8>> {
        let digest = found.iter().find(|f| f.context)?.entry.subject.detail.get(member)?;
        std::fs::read(path?).ok().filter(|bytes| *digest == Sha256Digest::of(bytes).to_string())
    }

    /// Each bundle as an archive, if it is at hand.
    fn bundles(&self, wanted: &BTreeSet<Sha256Digest>) -> BTreeMap<Sha256Digest, Option<Vec<u8>>> {
        let mut found: BTreeMap<_, Option<Vec<u8>>> = wanted.iter().map(|digest| (*digest, None)).collect();
        let candidates = self.bundles.iter().flat_map(|path| [vec![path.clone()], children(path)].concat());
        for path in candidates {
            let Ok(read) = bundle_archive::read_path(&path) else { continue };
            if let Some(place) = found.get_mut(&read.files.digest())
                && place.is_none()
            {
                *place = bundle_archive::write(&read.files, read.signatures.as_deref()).ok();
            }
        }
        found
    }
}

/// The archives and folders in a folder of kept bundles.
fn children(path: &Path) -> Vec<PathBuf> {
    let Ok(read) = std::fs::read_dir(path) else { return Vec::new() };
    let mut children: Vec<_> = read.flatten().map(|entry| entry.path()).collect();
    children.sort();
    children.truncate(1000);
    children
}

fn write_new(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let at = || format!("cannot write `{}`", path.display());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(at)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).with_context(at)
}
