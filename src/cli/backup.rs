//! `atb backup` and `atb restore`: a copy of what a service cannot be without, and the proof that it is whole.
//!
//! ```text
//! manifest.json          format, origin, size, root, signed checkpoint, digest of every file
//! atb.toml               the configuration as it is
//! data/ledger.db         the ledger, a consistent copy of a running one (`VACUUM INTO`)
//! keys/ledger.vkey       what checkpoints are verified with
//! keys/jwks.json, trust/bundle.pem, connectors/, policy/…
//! keys/*.pem             private keys, with --with-keys only
//! ```
//!
//! The layout is that of a directory of `atb init`. Secrets of sinks, tickets and notifications are never in a backup.

mod files;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use self::files::{copy_file, copy_tree, digests, finish, private_folder_beside, unpack, write_synced};
use super::output;
use crate::adapters::clock::SystemClock;
use crate::adapters::store::{SqliteReader, read_verifier_key};
use crate::config::Config;
use crate::domain::id::Sha256Digest;
use crate::domain::ledger::LogVerifier;
use crate::domain::time::Timestamp;
use crate::service::auditor::{AuditReport, Start, verify_log};
use crate::service::ports::Clock as _;

const MANIFEST: &str = "manifest.json";
const LEDGER: &str = "data/ledger.db";
const VKEY: &str = "keys/ledger.vkey";

/// The arguments of `atb backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "EXAMPLES:\n  atb backup --config ./dev/atb.toml --out /backup/atb-2026-11-21.tar.gz\n  \
    atb backup --config ./dev/atb.toml --out /backup/atb-with-keys --with-keys")]
pub struct BackupArgs {
    /// The configuration of what is backed up.
    #[arg(long, default_value = "atb.toml", value_name = "FILE")]
    config: PathBuf,
    /// A new file (`.tar.gz`) or a new folder.
    #[arg(long, value_name = "FILE|DIR")]
    out: PathBuf,
    /// Also the private keys: whoever has such a backup can sign as this service.
    #[arg(long)]
    with_keys: bool,
}

/// The arguments of `atb restore`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "EXAMPLES:\n  atb restore --verify /backup/atb.tar.gz --key ledger.vkey --checkpoint kept.txt\n  \
    atb restore /backup/atb.tar.gz --to ./restored --key ledger.vkey --checkpoint kept.txt"
)]
pub struct RestoreArgs {
    /// The backup.
    #[arg(value_name = "FILE|DIR")]
    from: PathBuf,
    /// Prove the backup; without --to nothing is restored. A restore always proves first.
    #[arg(long)]
    verify: bool,
    /// A new folder.
    #[arg(long, value_name = "DIR", required_unless_present = "verify")]
    to: Option<PathBuf>,
    /// The log's verification key, or a file that holds it, from elsewhere; without it the backup vouches for itself.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// A checkpoint that was kept elsewhere; may be repeated. An older state is found by it.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// Restore although a checkpoint covers more entries than the backup has.
    #[arg(long)]
    accept_older: bool,
}

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    at: Timestamp,
    version: String,
    origin: String,
    size: u64,
    root: Sha256Digest,
    checkpoint: String,
    with_keys: bool,
    files: BTreeMap<String, Sha256Digest>,
}

const FORMAT: &str = "atb-backup/1";

/// Makes a backup.
///
/// # Errors
/// When something cannot be read or written, or the ledger is not intact: then there is no backup.
pub async fn backup(args: BackupArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    if args.out.exists() {
        bail!("`{}` exists already; a backup overwrites nothing", args.out.display());
    }
    let staging = private_folder_beside(&args.out)?;
    copy_files(&config, &args, staging.path())?;
    let reader = SqliteReader::open(&config.store).await?;
    let ledger = staging.path().join(LEDGER);
    reader.copy_to(&ledger).await.context("the ledger cannot be copied")?;
    reader.close().await;
    let verifier = read_verifier_key(&staging.path().join(VKEY))?;
    let report = prove(&ledger, &verifier, &[]).await?;
    let Some(checkpoint) = report.checkpoint.clone().filter(|_| report.is_intact()) else {
        report.findings.iter().for_each(|finding| output::line(&finding.to_string()));
        bail!("the ledger is not intact, so there is no backup; see `atb audit verify`");
    };
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        at: SystemClock.now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        origin: verifier.origin().as_str().to_owned(),
        size: report.size,
        root: report.root,
        checkpoint: checkpoint.note().to_owned(),
        with_keys: args.with_keys,
        files: digests(staging.path())?,
    };
    let text = format!("{}\n", serde_json::to_string_pretty(&manifest)?);
    write_synced(&staging.path().join(MANIFEST), text.as_bytes())?;
    finish(staging, &args.out)?;
    output::line(&format!(
        "{}: {} entries of {}, root {}, {} files{}",
        args.out.display(),
        manifest.size,
        manifest.origin,
        manifest.root.to_hex(),
        manifest.files.len(),
        if args.with_keys { ", WITH PRIVATE KEYS" } else { ", no private keys" }
    ));
    Ok(ExitCode::SUCCESS)
}

/// Proves a backup and puts it in place.
///
/// # Errors
/// When it cannot be read or written. A backup that is not whole is exit 1.
pub async fn restore(args: RestoreArgs) -> anyhow::Result<ExitCode> {
    if let Some(to) = args.to.as_deref().filter(|to| to.exists()) {
        bail!("`{}` exists already; a restore overwrites nothing", to.display());
    }
    let staging = private_folder_beside(args.to.as_deref().unwrap_or(&std::env::temp_dir().join("atb-restore")))?;
    let unpacked =
        if args.from.is_dir() { copy_tree(&args.from, staging.path()) } else { unpack(&args.from, staging.path()) };
    unpacked.with_context(|| format!("cannot read `{}`", args.from.display()))?;
    let manifest = match read_manifest(staging.path()) {
        Ok(manifest) => manifest,
        Err(error) => return Ok(not_whole(&format!("{error:#}"))),
    };
    let verifier = match &args.key {
        Some(key) => super::audit::verifier_of(key)?,
        None => {
            output::note("no --key: the backup's own key vouches for it; give the one that you keep elsewhere");
            read_verifier_key(&staging.path().join(VKEY))?
        }
    };
    let kept = super::audit::read_notes(&args.checkpoint)?;
    let mut published = kept.clone();
    published.push(manifest.checkpoint.clone());
    let report = prove(&staging.path().join(LEDGER), &verifier, &published).await?;
    let newest = kept.iter().filter_map(|note| verifier.verify(note).ok()).map(|c| c.size()).max().unwrap_or(0);
    let older = newest > report.size;
    let findings = report.findings.iter().filter(|finding| !(older && is_only_older(finding, report.size)));
    let findings: Vec<_> = findings.map(ToString::to_string).collect();
    if !findings.is_empty() || report.size != manifest.size || report.root != manifest.root {
        findings.iter().for_each(|finding| output::line(finding));
        return Ok(not_whole("its ledger is not the one that was signed"));
    }
    output::line(&format!(
        "proved: {} entries of {} against the checkpoint of {}, root {}",
        report.size,
        manifest.origin,
        manifest.at,
        report.root.to_hex()
    ));
    if older {
        output::line(&format!(
            "OLDER: a checkpoint that was kept elsewhere covers {newest} entries; the last {} are not in this backup",
            newest - report.size
        ));
        if !args.accept_older {
            output::line("not restored; see docs/operators.md, and --accept-older");
            return Ok(ExitCode::FAILURE);
        }
    }
    if let Some(to) = &args.to {
        fs::remove_file(staging.path().join(MANIFEST))?;
        finish(staging, to)?;
        output::line(&format!("restored to {}", to.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The one finding that being older explains.
fn is_only_older(finding: &crate::service::auditor::Finding, size: u64) -> bool {
    finding.kind == crate::service::auditor::Tampering::Truncated && finding.seq == Some(size)
}

fn not_whole(why: &str) -> ExitCode {
    output::line(&format!("NOT WHOLE: {why}"));
    ExitCode::FAILURE
}

async fn prove(ledger: &Path, verifier: &LogVerifier, published: &[String]) -> anyhow::Result<AuditReport> {
    let reader = SqliteReader::open(ledger).await?;
    let report = verify_log(&reader, verifier, published, Start::Beginning).await;
    reader.close().await;
    Ok(report?)
}

/// Everything but the ledger, in the layout of a directory of `atb init`.
fn copy_files(config: &Config, args: &BackupArgs, into: &Path) -> anyhow::Result<()> {
    let copy = |from: &Path, name: &str| {
        let to = into.join(name);
        let copied = match from.is_dir() {
            true => copy_tree(from, &to),
            false => copy_file(from, &to),
        };
        copied.with_context(|| format!("cannot copy `{}`", from.display()))
    };
    copy(&args.config, "atb.toml")?;
    copy(&config.ledger_key.with_extension("vkey"), VKEY)?;
    copy(&config.trust_bundle, "trust/bundle.pem")?;
    if let Some(jwks) = crate::app::published_jwks(config).filter(|path| path.exists()) {
        copy(&jwks, "keys/jwks.json")?;
    }
    if let Some(broker) = &config.broker {
        copy(&broker.connectors, "connectors")?;
    }
    if config.bundle_dir.exists() {
        let name = if config.bundle_dir.is_dir() { "opa" } else { "policy/bundle.tar.gz" };
        copy(&config.bundle_dir, name)?;
    }
    for key in &config.policy.verification_keys {
        copy(key, &format!("policy/{}", key.file_name().unwrap_or_default().to_string_lossy()))?;
    }
    if args.with_keys {
        let keys = [
            (Some(&config.ledger_key), "keys/ledger.pem"),
            (config.mandate_key.as_ref(), "keys/mandate.pem"),
            (config.commitment_key.as_ref(), "keys/commitment.key"),
        ];
        for (key, name) in keys.into_iter().filter_map(|(key, name)| Some((key?, name))) {
            copy(key, name)?;
        }
    }
    fs::create_dir_all(into.join("data"))?;
    Ok(())
}

/// The manifest, after every file was found to be what it says and none to be missing or more.
fn read_manifest(folder: &Path) -> anyhow::Result<Manifest> {
    let bytes = fs::read(folder.join(MANIFEST)).context("it has no manifest.json")?;
    let manifest: Manifest = serde_json::from_slice(&bytes).context("its manifest.json cannot be read")?;
    if manifest.format != FORMAT {
        bail!("its format `{}` is not one that this version knows", manifest.format);
    }
    let mut found = digests(folder)?;
    found.remove(MANIFEST);
    for (name, digest) in &manifest.files {
        match found.remove(name) {
            Some(actual) if actual == *digest => {}
            Some(_) => bail!("`{name}` is not what was backed up"),
            None => bail!("`{name}` is missing"),
        }
    }
    match found.into_keys().next() {
        Some(name) => bail!("`{name}` was not part of it"),
        None => Ok(manifest),
    }
}
