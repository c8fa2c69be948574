//! `atb policy sign`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::adapters::bundle_archive;
use crate::cli::output::{self, Format};
use crate::domain::policy::bundle::{Manifest, SIGNATURES};

const EXAMPLES: &str = "EXAMPLES:
  atb policy sign bundle.tar.gz --key policy.pem
  atb policy sign bundle.tar.gz --key policy.pem --scope production -o signed.tar.gz
  atb policy sign opa --key policy.pem          writes opa/.signatures.json

EXIT: 0 signed, 2 could not run";

/// Sign a bundle: every file of it, in OPA's format. An earlier signature is replaced.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The bundle: an archive, or a folder.
    bundle: PathBuf,
    /// The private key (Ed25519 or P-256, PKCS#8 PEM, readable by its owner only).
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The scope that the signature names.
    #[arg(long)]
    scope: Option<String>,
    /// The signed archive; without it the bundle itself gets the signature.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let signer = super::signer(&args.key)?;
    let named = || format!("the bundle `{}`", args.bundle.display());
    let files = bundle_archive::read_path(&args.bundle).with_context(named)?.files;
    ensure!(files.iter().next().is_some(), "`{}` has no files to sign", args.bundle.display());
    let manifest = Manifest::of(&files).with_context(named)?;
    let signatures = signer.sign(&files, args.scope.as_deref()).with_context(named)?;
    let written = match &args.output {
        None if args.bundle.is_dir() => args.bundle.join(SIGNATURES),
        output => output.as_ref().unwrap_or(&args.bundle).clone(),
    };
    let folder = args.output.is_none() && args.bundle.is_dir();
    let bytes = if folder { signatures } else { bundle_archive::write(&files, Some(&signatures))? };
    super::replace(&written, &bytes)?;
    let (key, digest) = (signer.key(), files.digest());
    match args.format {
        Format::Json => output::json(&json!({
            "file": written, "signed_by": key.kid(), "alg": key.alg(), "scope": args.scope, "digest": digest,
            "revision": manifest.revision(), "sequence": manifest.sequence(),
        })),
        Format::Text => output::line(&format!(
            "{}\n  signed by  {} ({})\n  digest     {digest}",
            written.display(),
            key.kid(),
            key.alg().as_str()
        )),
    }
    Ok(ExitCode::SUCCESS)
}
