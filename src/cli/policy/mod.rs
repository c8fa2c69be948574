//! `atb policy`: the tool of those who write policy. One file a command; what is found is `service::toolchain`'s and
//! `domain::policy`'s to say, this reads files and prints.

mod acts;
mod check;
mod docs;
mod files;
mod mutate;

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
    /// Look at a bundle without evaluating it: syntax, the safe profile, types, conflicts, what nothing reads.
    Check(check::Args),
    /// Write the catalogue and the rules as Markdown pages.
    Docs(docs::Args),
    /// Change the policy in small ways, one at a time, and report the changes that no test notices.
    Mutate(mutate::Args),
}

/// Runs `atb policy`.
///
/// # Errors
/// When files cannot be read or are not what they must be for the command to run.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        PolicyCommand::Acts(args) => acts::run(&args),
        PolicyCommand::Check(args) => check::run(&args),
        PolicyCommand::Docs(args) => docs::run(&args),
        PolicyCommand::Mutate(args) => mutate::run(&args),
    }
}
