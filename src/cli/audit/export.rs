//! `atb audit export`: entries in a file that other programs read, with a signed manifest beside it.
//!
//! Entries are written one page at a time; the file appears whole, under its name, when it is durable, and the manifest
//! after it. What is exported ends at the newest checkpoint, so that the manifest's checkpoint covers it.

use std::fs::File;
use std::io::{BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use ed25519_dalek::SigningKey;
use sha2::{Digest as _, Sha256};

use super::conditions::Conditions;
use crate::adapters::clock::SystemClock;
use crate::adapters::signer;
use crate::adapters::store::{SqliteReader, read_verifier_key};
use crate::cli::output;
use crate::domain::id::Sha256Digest;
use crate::domain::json as strict;
use crate::domain::ledger::export::ExportFormat;
use crate::domain::ledger::export::manifest::{Manifest, SignedManifest};
use crate::domain::ledger::{Checkpoint, LogKey, LogVerifier, Origin};
use crate::service::auditor::LogSource as _;
use crate::service::ports::{AuditLog as _, AuditQuestion, Clock as _, MAX_AUDIT_PAGE, Order};

pub const EXAMPLES: &str = "EXAMPLES:
  atb audit export --format csv --since 2026-11-01 --until 2026-12-01 --out november.csv --home ./dev
  atb audit export --format ocsf --since-seq 120000 --out next.ocsf.jsonl --home ./dev
  atb audit export --verify november.csv --key ledger.vkey";

/// The longest manifest that is read.
const MAX_MANIFEST_BYTES: u64 = 64 * 1024;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A directory made by `atb init`; the ledger is data/ledger.db in it.
    #[arg(long, env = "ATB_HOME", default_value = ".", value_name = "DIR")]
    home: PathBuf,
    /// The ledger, if it is elsewhere.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    #[command(flatten)]
    conditions: Conditions,
    /// In which format.
    #[arg(long, value_enum, value_name = "FORMAT", required_unless_present = "verify")]
    format: Option<Kind>,
    /// The file to write; FILE.manifest.json goes beside it. What is there is replaced when the new one is whole.
    #[arg(long, value_name = "FILE", required_unless_present = "verify")]
    out: Option<PathBuf>,
    /// Start at this entry: the `next_seq` of the manifest before.
    #[arg(long, default_value_t = 0, value_name = "SEQ")]
    since_seq: u64,
    /// With --out, the key that signs the manifest (Ed25519, PKCS#8 PEM; default: the ledger's, keys/ledger.pem). With
    /// --verify, a verification key that you trust or a file that holds it (default: keys/ledger.vkey); may be repeated.
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// Verify this export against FILE.manifest.json; exit 1 if it is not what was signed.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "format", "since_seq", "store"])]
    verify: Option<PathBuf>,
}

/// `ExportFormat`, as the command line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Jsonl,
    Csv,
    Ocsf,
    Cef,
    Leef,
}

impl From<Kind> for ExportFormat {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Jsonl => Self::Jsonl,
            Kind::Csv => Self::Csv,
            Kind::Ocsf => Self::Ocsf,
            Kind::Cef => Self::Cef,
            Kind::Leef => Self::Leef,
        }
    }
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match (&args.verify, args.format, &args.out) {
        (Some(file), ..) => verify(&args, file),
        (None, Some(format), Some(out)) => export(&args, format.into(), out).await,
        _ => bail!("say --format and --out, or --verify"),
    }
}

async fn export(args: &Args, format: ExportFormat, out: &Path) -> anyhow::Result<ExitCode> {
    let query = args.conditions.query()?;
    let path = args.store.clone().unwrap_or_else(|| args.home.join("data").join("ledger.db"));
    let reader = SqliteReader::open(&path).await?;
    let (key, own) = signing_key(args)?;
    let checkpoint = newest_checkpoint(&reader, args, own.then_some(&key)).await?;
    let name: Origin =
        if own { checkpoint.origin().clone() } else { format!("{}/export", checkpoint.origin()).parse()? };
    if args.since_seq > checkpoint.size() {
        bail!("--since-seq {} is behind the end of the ledger, {}", args.since_seq, checkpoint.size());
    }
    let printed = query.to_string();
    let question = AuditQuestion { query, order: Order::Oldest, from: Some(args.since_seq), limit: MAX_AUDIT_PAGE };
    let written = write(&reader, question, format, checkpoint.size(), out).await?;
    let manifest = Manifest {
        format,
        query: printed,
        since_seq: args.since_seq,
        next_seq: checkpoint.size(),
        count: written.count,
        first_seq: written.first,
        last_seq: written.last,
        bytes: written.bytes,
        digest: written.digest,
        origin: checkpoint.origin().to_string(),
        checkpoint: checkpoint.note().to_owned(),
        created_at: SystemClock.now(),
        program: format!("atb {}", env!("CARGO_PKG_VERSION")),
    };
    let signed = manifest.sign(&key, &name);
    let mut draft = draft_beside(out)?;
    writeln!(draft, "{}", serde_json::to_string_pretty(&signed)?)?;
    keep(draft, &manifest_of(out))?;
    output::note(&format!("{}: {} entries, next --since-seq {}", out.display(), written.count, checkpoint.size()));
    output::note(&format!("verify with: atb audit export --verify {} --key {}", out.display(), signed.key));
    Ok(ExitCode::SUCCESS)
}

/// The key that signs, and whether it is the ledger's own.
fn signing_key(args: &Args) -> anyhow::Result<(SigningKey, bool)> {
    let file = match args.key.as_slice() {
        [] => return Ok((signer::read_ed25519(&args.home.join("keys").join("ledger.pem"))?, true)),
        [file] => Path::new(file),
        _ => bail!("one --key signs the manifest"),
    };
    Ok((signer::read_ed25519(file)?, false))
}

/// The head, verified where the ledger's key is known.
async fn newest_checkpoint(reader: &SqliteReader, args: &Args, own: Option<&SigningKey>) -> anyhow::Result<Checkpoint> {
    let note = reader.head().await?.note;
    let verifier = match own {
        Some(key) => {
            let origin: Origin = note.lines().next().unwrap_or_default().parse()?;
            LogKey::new(key.clone()).verifier(&origin)
        }
        None => read_verifier_key(&args.home.join("keys").join("ledger.vkey"))?,
    };
    verifier.verify(&note).context("the ledger's newest checkpoint; is this its key?")
}

/// What came into the file.
struct Written {
    count: u64,
    first: Option<u64>,
    last: Option<u64>,
    bytes: u64,
    digest: Sha256Digest,
}

async fn write(
    reader: &SqliteReader,
    mut question: AuditQuestion,
    format: ExportFormat,
    end: u64,
    out: &Path,
) -> anyhow::Result<Written> {
    let mut draft = BufWriter::new(draft_beside(out)?);
    let mut hash = Sha256::new();
    let (mut count, mut bytes, mut first, mut last) = (0, 0, None, None);
    let mut put = |draft: &mut BufWriter<tempfile::NamedTempFile>, record: &[u8]| {
        hash.update(record);
        bytes += record.len() as u64;
        draft.write_all(record).with_context(|| format!("cannot write beside `{}`", out.display()))
    };
    put(&mut draft, &format.head())?;
    loop {
        let page = reader.page(&question).await?;
        for found in page.items.iter().filter(|found| found.seq < end) {
            put(&mut draft, &format.record(found.seq, &found.body)?)?;
            count += 1;
            first.get_or_insert(found.seq);
            last = Some(found.seq);
        }
        question.from = Some(page.seen);
        if !page.more || page.seen >= end {
            break;
        }
    }
    let draft = draft.into_inner().map_err(|error| error.into_error())?;
    keep(draft, out)?;
    Ok(Written { count, first, last, bytes, digest: Sha256Digest::from_bytes(hash.finalize().into()) })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn draft_beside(out: &Path) -> anyhow::Result<tempfile::NamedTempFile> {
    let draft = tempfile::Builder::new().prefix(".atb-export-").tempfile_in(folder_of(out));
    draft.with_context(|| format!("cannot write beside `{}`", out.display()))
}

/// Durable first, then under its name.
fn keep(draft: tempfile::NamedTempFile, out: &Path) -> anyhow::Result<()> {
    let failed = || format!("cannot write `{}`", out.display());
    draft.as_file().sync_all().with_context(failed)?;
    draft.persist(out).with_context(failed)?;
    File::open(folder_of(out)).and_then(|folder| folder.sync_all()).with_context(failed)
}

fn manifest_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".manifest.json");
    name.into()
}

fn verify(args: &Args, file: &Path) -> anyhow::Result<ExitCode> {
    let path = manifest_of(file);
    let mut text = Vec::new();
    let manifest = File::open(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    manifest.take(MAX_MANIFEST_BYTES).read_to_end(&mut text)?;
    let signed: SignedManifest = strict::parse_as(&text).with_context(|| path.display().to_string())?;
    let (bytes, digest) = digest_of(file)?;
    let manifest = &signed.manifest;
    let wrong = match signed.verify(&trusted(args)?) {
        Err(error) => Some(error.to_string()),
        Ok(manifest) if manifest.bytes != bytes => {
            Some(format!("the file has {bytes} bytes, {} were signed", manifest.bytes))
        }
        Ok(manifest) if manifest.digest != digest => {
            Some(format!("the file's digest is {digest}, {} was signed", manifest.digest))
        }
        Ok(_) => None,
    };
    match wrong {
        Some(wrong) => {
            output::line(&format!("{}: NOT AS SIGNED: {wrong}", file.display()));
            Ok(ExitCode::FAILURE)
        }
        None => {
            output::line(&format!(
                "{}: as signed, {} entries of {} from {} to before {}{}",
                file.display(),
                manifest.count,
                manifest.origin,
                manifest.since_seq,
                manifest.next_seq,
                if manifest.query.is_empty() { String::new() } else { format!(", where {}", manifest.query) }
            ));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn trusted(args: &Args) -> anyhow::Result<Vec<LogVerifier>> {
    if args.key.is_empty() {
        return Ok(vec![read_verifier_key(&args.home.join("keys").join("ledger.vkey"))?]);
    }
    args.key.iter().map(|key| super::verifier(Some(key), &args.home)).collect()
}

fn digest_of(path: &Path) -> anyhow::Result<(u64, Sha256Digest)> {
    let failed = || format!("cannot read `{}`", path.display());
    let mut file = File::open(path).with_context(failed)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer).with_context(failed)?;
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
        hash.update(part);
        bytes += read as u64;
    }
    Ok((bytes, Sha256Digest::from_bytes(hash.finalize().into())))
}
