//! `atb audit verify`: a ledger, a part of it, or a case file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{StoreArgs, verifier};
use crate::adapters::bundle_probe::{self, ProbeLimits};
use crate::adapters::{bundle_archive, case_file};
use crate::cli::audit_archive;
use crate::cli::output::{self, Format};
use crate::cli::progress::Progress;
use crate::config::Config;
use crate::domain::ledger::{Checkpoint, Cosignature, LogVerifier, WitnessPolicy, notes};
use crate::service::archive::WithArchive;
use crate::service::auditor::{AuditReport, Finding, Scope, Start, newest_witnessed, verify_scope};
use crate::service::case;

pub(super) const EXAMPLES: &str = "EXAMPLES:\n  atb audit verify --home ./dev\n  \
    atb audit verify --home ./dev --from 1000000 --to 1100000\n  \
    atb audit verify --store copy.db --key ledger.vkey --checkpoint kept-elsewhere.txt\n  \
    atb audit verify --store copy.db --key ledger.vkey --checkpoint cosigned.txt --witnesses witnesses.toml\n  \
    atb audit verify case.zip --key ledger.vkey\n\n\
    EXIT CODES:\n  0  intact; of a case, nothing that was checked failed\n  \
    1  not intact: the lines above say what was done, and where\n  2  the command could not run";

/// Evaluation takes a deep stack.
const STACK: usize = 16 * 1024 * 1024;
/// The largest file of checkpoints.
const MAX_NOTES_BYTES: u64 = 256 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file that `atb audit case` wrote, instead of a ledger. Needs no network and no other file than the key.
    #[arg(value_name = "CASE", conflicts_with_all = ["store", "from", "to", "checkpoint"])]
    case: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
    /// The log's verification key or a file that holds it; without it keys/ledger.vkey of the home directory.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Only from this entry on, by whole blocks of 256. The signed root vouches for the rest.
    #[arg(long, value_name = "SEQ")]
    from: Option<u64>,
    /// Only up to this entry, without it.
    #[arg(long, value_name = "SEQ")]
    to: Option<u64>,
    /// Checkpoints that were kept elsewhere, one or several in a file; may be repeated.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// Whose cosignatures the newest of those checkpoints must carry: TOML with `witnesses` (verifier keys) and `quorum`.
    #[arg(long, value_name = "FILE")]
    witnesses: Option<PathBuf>,
    /// Read entries that were archived: a folder (`file:///…`), or `bucket` for the one of `[archive]` in --config.
    #[arg(long, value_name = "WHERE", conflicts_with = "case")]
    archive: Option<String>,
    /// The configuration that `--archive bucket` is read from.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let verifier = verifier(args.key.as_deref(), &args.store.home)?;
    let policy = args.witnesses.as_deref().map(read_policy).transpose()?.unwrap_or_default();
    match &args.case {
        Some(path) => verify_case(path, &verifier, policy, args.store.format),
        None => verify_ledger(&args, &verifier, &policy).await,
    }
}

async fn verify_ledger(args: &Args, verifier: &LogVerifier, policy: &WitnessPolicy) -> anyhow::Result<ExitCode> {
    if args.from.zip(args.to).is_some_and(|(from, to)| from >= to) {
        bail!("--from must be below --to");
    }
    let mut published = super::read_notes(&args.checkpoint)?;
    let reader = args.store.open().await?;
    if !policy.is_empty() && published.is_empty() {
        published.extend(reader.cosigned(verifier).await?.map(|checkpoint| checkpoint.note().to_owned()));
    }
    let progress = Mutex::new(Progress::new());
    let scope = Scope {
        start: args.from.map_or(Start::Beginning, Start::Entry),
        end: args.to,
        published: &published,
        progress: &|done, of| progress.lock().unwrap_or_else(PoisonError::into_inner).at(done, of),
    };
    let mut report = match &args.archive {
        None => verify_scope(&reader, verifier, scope).await?,
        Some(place) => {
            let config = args.config.as_deref().map(Config::load).transpose()?;
            let archive = audit_archive::open(place, config.as_ref())?;
            verify_scope(&WithArchive { ledger: &reader, archive: &archive }, verifier, scope).await?
        }
    };
    progress.lock().unwrap_or_else(PoisonError::into_inner).end();
    let witnessed = match policy.is_empty() {
        true => None,
        false => match newest_witnessed(verifier, policy, &published) {
            Ok(witnessed) => Some(witnessed),
            Err(finding) => {
                report.findings.push(finding);
                None
            }
        },
    };
    match args.store.format {
        Format::Json => output::json(&document(&report, verifier, witnessed.as_ref())),
        Format::Text => print(&report, verifier, witnessed.as_ref(), &args.store.path()),
    }
    Ok(if report.is_intact() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The checkpoints in a file. An incomplete one is none; a file without any is a mistake.
pub(super) fn read_notes(file: &Path) -> anyhow::Result<Vec<String>> {
    let at = || format!("cannot read `{}`", file.display());
    if std::fs::metadata(file).with_context(at)?.len() > MAX_NOTES_BYTES {
        bail!("`{}` is larger than {MAX_NOTES_BYTES} bytes", file.display());
    }
    let text = std::fs::read_to_string(file).with_context(at)?;
    let (found, incomplete) = notes::split(&text);
    if found.is_empty() {
        bail!("`{}` holds no signed checkpoint", file.display());
    }
    if incomplete > 0 {
        output::note(&format!("atb: `{}`: {incomplete} incomplete checkpoints are passed over", file.display()));
    }
    Ok(found)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    witnesses: Vec<String>,
    quorum: usize,
}

fn read_policy(file: &Path) -> anyhow::Result<WitnessPolicy> {
    let at = || format!("`{}`", file.display());
    let text = std::fs::read_to_string(file).with_context(at)?;
    let raw: RawPolicy = toml::from_str(&text).with_context(at)?;
    let keys = raw.witnesses.iter().map(|key| key.parse()).collect::<Result<_, _>>().with_context(at)?;
    WitnessPolicy::new(keys, raw.quorum).with_context(at)
}

type Witnessed = (Checkpoint, Vec<Cosignature>);

fn document(report: &AuditReport, verifier: &LogVerifier, witnessed: Option<&Witnessed>) -> Value {
    let mut document = json!({
        "intact": report.is_intact(),
        "origin": verifier.origin().as_str(),
        "size": report.size,
        "root": report.root,
        "checkpoint": report.checkpoint.as_ref().map(|checkpoint| checkpoint.note()),
        "findings": report.findings,
        "unread": report.unread.iter().map(|range| json!({"from": range.start, "to": range.end})).collect::<Vec<_>>(),
    });
    if let (Some((checkpoint, cosignatures)), Some(members)) = (witnessed, document.as_object_mut()) {
        let who: Vec<_> = cosignatures.iter().map(|c| json!({"witness": c.witness.as_str(), "at": c.at})).collect();
        members.insert("witnessed".to_owned(), json!({"size": checkpoint.size(), "cosignatures": who}));
    }
    document
}

fn print(report: &AuditReport, verifier: &LogVerifier, witnessed: Option<&Witnessed>, path: &Path) {
    report.findings.iter().for_each(|finding: &Finding| output::line(&finding.to_string()));
    if let Some((checkpoint, cosignatures)) = witnessed {
        for c in cosignatures {
            output::line(&format!("{} entries cosigned by {} at {}", checkpoint.size(), c.witness, c.at));
        }
    }
    for range in &report.unread {
        output::line(&format!(
            "not read: entries {}..{} are archived; only their leaf hashes were verified, give --archive to read them",
            range.start, range.end
        ));
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

fn verify_case(path: &Path, verifier: &LogVerifier, policy: WitnessPolicy, format: Format) -> anyhow::Result<ExitCode> {
    let files = case_file::read_path(path).with_context(|| format!("`{}`", path.display()))?;
    let exe = std::env::current_exe().context("cannot find this program")?;
    let verifier = verifier.clone();
    let check = move || {
        // A bundle from a stranger's file is tried in a process of its own first, as every bundle is.
        let load = |archive: &[u8]| {
            let read = bundle_archive::read(archive).map_err(|error| error.to_string())?;
            let loaded = bundle_probe::load_files(&exe, &read.files, ProbeLimits::default());
            loaded.map_err(|error| error.to_string())
        };
        case::check(&files, &verifier, &policy, &load)
    };
    let checking = thread::Builder::new().stack_size(STACK).spawn(check)?;
    let report = checking.join().map_err(|_| anyhow::anyhow!("checking the case ended its thread"))?;
    match format {
        Format::Json => output::json(&json!({ "sound": report.is_sound(), "case": report })),
        Format::Text => {
            for check in &report.checks {
                output::line(&format!("{:<12} {}: {}", check.outcome.as_str(), check.of, check.detail));
            }
            let state = if report.is_sound() { "sound" } else { "NOT SOUND" };
            let of = format!("{} entries of {}", report.entries, report.origin);
            output::line(&format!("{}: {state}, case {}, {of}", path.display(), report.id));
        }
    }
    Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
