//! `atb leg commit`: the keyed commitment of a value, for who has the key and must find or check a data subject.
//!
//! The value comes from standard input, so that it is in no history and no list of processes, and is never printed.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use zeroize::Zeroizing;

use super::output;
use crate::adapters::bundle_archive;
use crate::adapters::commitment::CommitmentKey;
use crate::config::Config;
use crate::domain::policy::Bundle;

/// The longest value that is read.
const MAX_BYTES: u64 = 4096;

/// Print the keyed commitment that mandates and the record hold instead of a value read from standard input.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "EXAMPLES:\n  printf %s zoe@example.com | atb leg commit --template consent --variable data_subject"
)]
pub struct CommitArgs {
    /// The legal template.
    #[arg(long, value_name = "ID")]
    template: String,
    /// The variable; one with `commit: true`.
    #[arg(long, value_name = "NAME")]
    variable: String,
    /// A directory made by `atb init`; its atb.toml names the key and the templates.
    #[arg(long, env = "ATB_HOME", default_value = ".", value_name = "DIR")]
    home: PathBuf,
}

/// Prints the commitment.
///
/// # Errors
/// When the key, the template or the value cannot be used.
pub fn commit(args: &CommitArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.home.join("atb.toml"))?;
    let path =
        config.commitment_key.as_ref().context("`keys.commitment` is missing: there is no key to commit with")?;
    let key = CommitmentKey::read(path)?;
    let bundle = Bundle::parse(&bundle_archive::read_path(&config.bundle_dir)?.files)?;
    let template = bundle.templates().find(&args.template)?;
    let value = value()?;
    output::line(template.commitment(&args.variable, &value, &key)?.as_str());
    Ok(ExitCode::SUCCESS)
}

/// Standard input without the line's end.
fn value() -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let read = std::io::stdin().take(MAX_BYTES + 1).read_to_string(&mut text).context("standard input is not text")?;
    if u64::try_from(read).unwrap_or(u64::MAX) > MAX_BYTES {
        bail!("the value on standard input is longer than {MAX_BYTES} bytes");
    }
    let value = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Zeroizing::new(value.strip_suffix('\r').unwrap_or(value).to_owned()))
}
