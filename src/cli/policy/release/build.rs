//! `atb policy build`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::super::files;
use super::Expiry;
use crate::adapters::bundle_archive;
use crate::adapters::clock::SystemClock;
use crate::cli::output::{self, Format};
use crate::domain::id::Revision;
use crate::domain::policy::Bundle;
use crate::domain::policy::bundle::{BundleError, BundleFiles, MANIFEST, Manifest, Release, Sequence};
use crate::service::ports::Clock as _;

const EXAMPLES: &str = "EXAMPLES:
  atb policy build opa -o bundle.tar.gz --revision 2026-11-21.1 --sequence 42 --expires 30d
  atb policy build opa -o bundle.tar.gz --revision r42 --sequence 42 --expires 2027-01-01T00:00:00Z --signing-key policy.pem

The same files, revision, sequence, expiry (as a time) and Ed25519 key give the same bytes.

EXIT: 0 built, 1 the files are not a bundle, 2 could not run";

/// Build a release: an OPA bundle archive with revision, sequence and expiry, signed if a key is given.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The bundle, a folder or an archive; the configuration's bundle or ./opa without it.
    path: Option<PathBuf>,
    /// The archive to write; replaced if it is there.
    #[arg(short, long, default_value = "bundle.tar.gz", value_name = "FILE")]
    output: PathBuf,
    /// The revision that mandates and decisions name; without it the one in `.manifest`.
    #[arg(long)]
    revision: Option<Revision>,
    /// The place in the order of releases, higher than that of every earlier one; without it the one in `.manifest`.
    #[arg(long, value_name = "N")]
    sequence: Option<Sequence>,
    /// Until when brokers take it: `30d`, `12h` or an RFC 3339 time; without it the time in `.manifest`, or for ever.
    #[arg(long, value_parser = Expiry::parse, value_name = "WHEN")]
    expires: Option<Expiry>,
    /// Sign with this private key (Ed25519 or P-256, PKCS#8 PEM).
    #[arg(long, value_name = "FILE")]
    signing_key: Option<PathBuf>,
    /// The scope that the signature names.
    #[arg(long, requires = "signing_key")]
    scope: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Where the bundle is written down when no path is given.
    #[arg(long, default_value = "atb.toml", value_name = "FILE")]
    config: PathBuf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (path, files) = files::read(args.path.as_deref(), &args.config)?;
    let signer = args.signing_key.as_deref().map(super::signer).transpose()?;
    let checked = match checked(args, &files)? {
        Ok(files) => files,
        Err(error) => {
            output::note(&format!("{error}\n`{}` is not a bundle; nothing was written", path.display()));
            return Ok(ExitCode::FAILURE);
        }
    };
    let signatures = signer.as_ref().map(|signer| signer.sign(&checked, args.scope.as_deref())).transpose()?;
    let archive = bundle_archive::write(&checked, signatures.as_deref())?;
    super::replace(&args.output, &archive)?;
    print(args, &checked, signer.as_ref().map(|signer| signer.key().kid().as_str()), &args.output)
}

/// The files of the release, if they are a bundle.
fn checked(args: &Args, files: &BundleFiles) -> anyhow::Result<Result<BundleFiles, BundleError>> {
    let manifest = match Manifest::of(files) {
        Ok(manifest) => manifest,
        Err(error) => return Ok(Err(error)),
    };
    let now = SystemClock.now();
    let revision = args.revision.as_ref().or(manifest.revision()).cloned();
    let expires_at = args.expires.map(|expiry| expiry.from(now)).or(manifest.expires_at());
    ensure!(expires_at.is_none_or(|at| at > now), "the release would be expired already: choose a later --expires");
    let release = Release {
        revision: revision.context("name the release with --revision, or in `.manifest`")?,
        sequence: args.sequence.or(manifest.sequence()).context("say its place with --sequence, or in `.manifest`")?,
        expires_at,
        built_with: concat!("atb ", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    let manifest = manifest.released(release).to_json();
    let content = files.iter().filter(|(path, _)| *path != MANIFEST);
    let content = content.map(|(path, content)| (path.to_owned(), content.to_vec()));
    let released = BundleFiles::new(content.chain([(MANIFEST.to_owned(), manifest)]))?;
    Ok(Bundle::parse(&released).map(|_| released))
}

fn print(args: &Args, files: &BundleFiles, signed_by: Option<&str>, path: &Path) -> anyhow::Result<ExitCode> {
    let manifest = Manifest::of(files)?;
    let (digest, count) = (files.digest(), files.iter().count());
    let shown = |value: Option<String>, none: &str| value.unwrap_or_else(|| none.to_owned());
    match args.format {
        Format::Json => output::json(&json!({
            "file": path, "revision": manifest.revision(), "sequence": manifest.sequence(),
            "expires_at": manifest.expires_at(), "digest": digest, "files": count, "signed_by": signed_by,
        })),
        Format::Text => output::line(&format!(
            "{}\n  revision   {}\n  sequence   {}\n  expires    {}\n  digest     {digest}\n  files      {count}\n  signed by  {}",
            path.display(),
            shown(manifest.revision().map(ToString::to_string), "none"),
            shown(manifest.sequence().map(|sequence| sequence.to_string()), "none"),
            shown(manifest.expires_at().map(|at| at.to_string()), "never"),
            signed_by.unwrap_or("nobody"),
        )),
    }
    Ok(ExitCode::SUCCESS)
}
