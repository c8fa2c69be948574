//! `atb policy verify`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use super::instant;
use crate::adapters::clock::SystemClock;
use crate::adapters::{bundle_archive, bundle_keys};
use crate::cli::output::{self, Format};
use crate::domain::policy::bundle::{
    Sequence, SignatureError, SignaturePolicy, TrustedKey, TrustedKeys, VerifiedBundleFiles,
};
use crate::domain::time::Timestamp;
use crate::service::ports::Clock as _;

const EXAMPLES: &str = "EXAMPLES:
  atb policy verify bundle.tar.gz --key policy.pub.pem
  atb policy verify bundle.tar.gz --key policy.pub.pem --min-sequence 42 --now 2027-01-01T00:00:00Z
  atb policy verify opa-built.tar.gz --key release=opa.pub.pem     the key that OPA's `keyid` calls release

EXIT: 0 a trusted key signed every file, in time and in order; 1 not so, with the reason; 2 could not run";

/// Verify a signed bundle as a broker does: who signed, every file, expiry and sequence.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The bundle: an archive, or a folder.
    bundle: PathBuf,
    /// A trusted public key (PEM); several times for several. `NAME=FILE` for a key that its signer calls by a name.
    #[arg(long, required = true, value_name = "[NAME=]FILE")]
    key: Vec<String>,
    /// The scope that the signature must name; without it, it must name none.
    #[arg(long)]
    scope: Option<String>,
    /// Refuse a lower sequence, and a bundle without one.
    #[arg(long, value_name = "N")]
    min_sequence: Option<Sequence>,
    /// The time for the expiry (RFC 3339); now without it.
    #[arg(long, value_parser = instant, value_name = "TIME")]
    now: Option<Timestamp>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let keys = args.key.iter().map(|key| trusted(key)).collect::<anyhow::Result<Vec<_>>>()?;
    let policy =
        SignaturePolicy { keys: TrustedKeys::new(keys)?, scope: args.scope.clone(), min_sequence: args.min_sequence };
    let archive = bundle_archive::read_path(&args.bundle);
    let archive = archive.with_context(|| format!("the bundle `{}`", args.bundle.display()))?;
    match archive.verify(&policy, args.now.unwrap_or_else(|| SystemClock.now())) {
        Ok(verified) => accept(args, &verified),
        Err(error) => refuse(args, &error),
    }
}

fn trusted(key: &str) -> anyhow::Result<TrustedKey> {
    let (name, path) = key.split_once('=').map_or((None, key), |(name, path)| (Some(name), path));
    let trusted = bundle_keys::read_trusted(path.as_ref())?;
    Ok(name.map_or(trusted.clone(), |name| trusted.named(name.to_owned())))
}

fn accept(args: &Args, verified: &VerifiedBundleFiles) -> anyhow::Result<ExitCode> {
    let (manifest, files) = (verified.manifest(), verified.files());
    let paths: Vec<&str> = files.iter().map(|(path, _)| path).collect();
    match args.format {
        Format::Json => output::json(&json!({
            "valid": true, "signed_by": verified.signed_by(), "revision": manifest.revision(),
            "sequence": manifest.sequence(), "expires_at": manifest.expires_at(), "built_with": manifest.built_with(),
            "digest": files.digest(), "files": paths,
        })),
        Format::Text => {
            output::line(&format!("valid: {} files signed by {}", paths.len(), verified.signed_by()));
            let row = |name: &str, value: Option<String>, none: &str| {
                output::line(&format!("  {name:<10} {}", value.unwrap_or_else(|| none.to_owned())));
            };
            row("revision", manifest.revision().map(ToString::to_string), "none");
            row("sequence", manifest.sequence().map(|sequence| sequence.to_string()), "none");
            row("expires", manifest.expires_at().map(|at| at.to_string()), "never");
            row("built with", manifest.built_with().map(str::to_owned), "unknown");
            row("digest", Some(files.digest().to_string()), "");
            paths.iter().for_each(|path| output::line(&format!("  signed     {path}")));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn refuse(args: &Args, error: &SignatureError) -> anyhow::Result<ExitCode> {
    match args.format {
        Format::Json => output::json(&json!({
            "valid": false, "code": error.code(), "reason": error.to_string(),
        })),
        Format::Text => output::note(&format!("not valid: {error} ({})", error.code())),
    }
    Ok(ExitCode::FAILURE)
}
