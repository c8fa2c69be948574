//! `atb audit checkpoint`: the newest checkpoint, on demand.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;

use super::{StoreArgs, verifier};
use crate::adapters::checkpoint_file::AppendedFile;
use crate::cli::output;
use crate::service::auditor::LogSource as _;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,
    /// The log's verification key or a file that holds it; without it keys/ledger.vkey of the home directory.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Append it to this file instead, durably; nothing if it is the last one there.
    #[arg(long, value_name = "FILE")]
    append: Option<PathBuf>,
    /// The newest one that a witness cosigned, with its cosignatures.
    #[arg(long)]
    cosigned: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let verifier = verifier(args.key.as_deref(), &args.store.home)?;
    let reader = args.store.open().await?;
    let checkpoint = if args.cosigned {
        match reader.cosigned(&verifier).await? {
            Some(checkpoint) => checkpoint,
            None => {
                output::note("atb: no witness has cosigned a checkpoint of this log");
                return Ok(ExitCode::FAILURE);
            }
        }
    } else {
        verifier.verify(&reader.head().await?.note)?
    };
    let Some(path) = args.append else {
        output::text(checkpoint.note());
        return Ok(ExitCode::SUCCESS);
    };
    let file = AppendedFile::new(path.clone(), verifier);
    match tokio::task::spawn_blocking(move || {
        let size = checkpoint.size();
        file.append_now(&checkpoint).map(|new| (new, size))
    })
    .await?
    {
        Ok((new, size)) => {
            let what = if new { "appended" } else { "was there" };
            output::line(&format!("{}: the checkpoint of {size} entries {what}", path.display()));
            Ok(ExitCode::SUCCESS)
        }
        Err(error @ crate::service::ports::PublishError::Contradicted { .. }) => {
            output::note(&format!("atb: `{}`: {error}", path.display()));
            Ok(ExitCode::FAILURE)
        }
        Err(error) => bail!("`{}`: {error}", path.display()),
    }
}
