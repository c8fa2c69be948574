//! `atb policy push`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use serde_json::json;

use crate::adapters::bundle_archive::{self, MAX_ARCHIVE_BYTES};
use crate::adapters::bundle_push::{Push, PushError, Pushed};
use crate::adapters::outgoing::{Outgoing, OutgoingLimits, read_secrets};
use crate::cli::output::{self, Format};
use crate::domain::policy::bundle::Manifest;

const EXAMPLES: &str = "EXAMPLES:
  atb policy push bundle.tar.gz https://bundles.acme.example/atb/bundle.tar.gz --header @bundles.secret
  atb policy push bundle.tar.gz https://bundles.acme.example/atb/bundle.tar.gz --ca bundles-ca.pem

`--header @FILE` reads lines `Name: value` from a file that only its owner may read; a secret on a command line is seen
by every user of the machine.

EXIT: 0 it is there, 1 it was refused or something newer is there, 2 could not run";

/// Put a signed release where brokers fetch it, never over one with the same or a higher sequence.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The archive.
    bundle: PathBuf,
    /// Where: an https address that answers GET and takes PUT.
    url: Uri,
    /// A header of each request, `Name: value`, or `@FILE` with such lines; several times for several.
    #[arg(long, value_name = "HEADER")]
    header: Vec<String>,
    /// Trust these certificates (PEM) instead of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The longest that a request takes, in seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600), value_name = "SECONDS")]
    timeout: u64,
    /// Push a bundle that nobody signed.
    #[arg(long)]
    unsigned: bool,
    /// Push to a server without strong ETags, where of two pushes at once the later wins.
    #[arg(long)]
    unguarded: bool,
    /// Take plain http to this machine, for development.
    #[arg(long)]
    dev: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let named = || format!("the bundle `{}`", args.bundle.display());
    ensure!(!args.bundle.is_dir(), "`{}` is a folder: build it with `atb policy build`", args.bundle.display());
    let archive = std::fs::read(&args.bundle).with_context(|| format!("cannot read `{}`", args.bundle.display()))?;
    let content = bundle_archive::read(&archive).with_context(named)?;
    ensure!(
        content.signatures.is_some() || args.unsigned,
        "{} is not signed: `atb policy sign`, or --unsigned",
        named()
    );
    let manifest = Manifest::of(&content.files).with_context(named)?;
    let sequence =
        manifest.sequence().with_context(|| format!("{} has no sequence: build it with --sequence", named()))?;
    let limits = OutgoingLimits { total: Duration::from_secs(args.timeout), max_answer_bytes: MAX_ARCHIVE_BYTES };
    let client = Outgoing::new(&args.url, args.ca.as_deref(), limits, args.dev)?;
    let headers = headers(&args.header)?;
    let (url, unguarded) = (args.url.clone(), args.unguarded);
    let push = Push { url, headers, archive: archive.into(), content: &content, sequence, unguarded };
    report(args, push.run(&client).await, &json!({ "revision": manifest.revision(), "sequence": sequence }))
}

fn report(args: &Args, result: Result<Pushed, PushError>, release: &serde_json::Value) -> anyhow::Result<ExitCode> {
    let (word, reason) = match result {
        Ok(Pushed::Stored) => ("stored", None),
        Ok(Pushed::AlreadyThere) => ("already_there", None),
        Err(error @ PushError::Outgoing(_)) => return Err(error.into()),
        Err(error) => ("refused", Some(error.to_string())),
    };
    match (args.format, &reason) {
        (Format::Json, _) => output::json(&json!({ "result": word, "reason": reason, "release": release })),
        (Format::Text, None) => output::line(&word.replace('_', " ")),
        (Format::Text, Some(reason)) => output::note(&format!("not pushed: {reason}")),
    }
    Ok(if reason.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn headers(given: &[String]) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for header in given {
        match header.strip_prefix('@') {
            None => add(&mut headers, header)?,
            Some(file) => {
                for line in read_secrets(Path::new(file))? {
                    add(&mut headers, &line).with_context(|| format!("in `{file}`"))?;
                }
            }
        }
    }
    Ok(headers)
}

/// Nothing of the header is repeated in the error: it may be a secret.
fn add(headers: &mut HeaderMap, line: &str) -> anyhow::Result<()> {
    let parsed = line.split_once(':').and_then(|(name, value)| {
        let mut value = HeaderValue::try_from(value.trim()).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::try_from(name.trim()).ok()?, value))
    });
    let Some((name, value)) = parsed else { bail!("a header is not `Name: value`") };
    headers.append(name, value);
    Ok(())
}
