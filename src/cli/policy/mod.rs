//! `atb policy`: the tool of those who write policy. One file a command; what is found is `service::toolchain`'s and
//! `domain::policy`'s to say, this reads files and prints.

mod acts;
mod diff;
mod files;
mod history;
mod replay;

use std::process::ExitCode;

use clap::Subcommand;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// List the acts of a bundle: how dangerous each is, what it takes and who must agree.
    Acts(acts::Args),
    /// Ask recorded decisions again of the bundle that gave them.
    Replay(replay::Args),
    /// Ask recorded decisions of two bundles and say what a candidate changes.
    Diff(Box<diff::Args>),
}

/// Runs `atb policy`.
///
/// # Errors
/// When files cannot be read or are not what they must be for the command to run.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        PolicyCommand::Acts(args) => acts::run(&args),
        PolicyCommand::Replay(args) => replay::run(args).await,
        PolicyCommand::Diff(args) => diff::run(&args),
    }
}
