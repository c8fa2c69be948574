//! `atb policy keygen`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;
use serde_json::json;

use crate::adapters::bundle_keys::{self, NewKeyAlg};
use crate::cli::output::{self, Format};

/// Make a key that signs releases: FILE, for its owner only, and its public half beside it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "EXAMPLES:\n  atb policy keygen policy.pem                 policy.pem and policy.pub.pem\n  atb policy keygen --alg ES256 opa.pem        for an OPA server, whose configuration does not take EdDSA\n\nThe same with OpenSSL:\n  openssl genpkey -algorithm ed25519 -out policy.pem && chmod 600 policy.pem\n  openssl pkey -in policy.pem -pubout -out policy.pub.pem"
)]
pub(crate) struct Args {
    /// The file of the private key; nothing is replaced.
    file: PathBuf,
    /// How it signs.
    #[arg(long, value_enum, ignore_case = true, default_value_t)]
    alg: Alg,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Alg {
    /// Ed25519.
    #[default]
    #[value(name = "EdDSA")]
    EdDsa,
    /// ECDSA over P-256, which OPA servers take as well.
    #[value(name = "ES256")]
    Es256,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let public = args.file.with_extension("pub.pem");
    let alg = match args.alg {
        Alg::EdDsa => NewKeyAlg::EdDsa,
        Alg::Es256 => NewKeyAlg::Es256,
    };
    bundle_keys::write_new(alg, &args.file, &public).context("no key was made")?;
    let key = bundle_keys::read_trusted(&public)?;
    let shown = |path: &Path| path.display().to_string();
    match args.format {
        Format::Json => output::json(&json!({
            "private": shown(&args.file), "public": shown(&public), "kid": key.kid(), "alg": key.alg(),
        })),
        Format::Text => output::line(&format!(
            "{}  the private key: keep it where only releases are signed\n{}  the public key: brokers trust it\nkey id {} ({})",
            args.file.display(),
            public.display(),
            key.kid(),
            key.alg().as_str()
        )),
    }
    Ok(ExitCode::SUCCESS)
}
