//! `atb leg`: the tool of those who write legal templates. One file a command; what is wrong with a template and what
//! changed in it is `domain::leg`'s to say, this reads files and prints.

mod diff;
mod files;
mod lint;
mod list;
mod render;

use std::process::ExitCode;

use clap::Subcommand;

use super::{leg_commit, leg_withdraw};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: LegCommand,
}

#[derive(Debug, Subcommand)]
enum LegCommand {
    /// List the templates of a bundle: what they cover, how long, and whether they are in force.
    List(list::Args),
    /// Find what is wrong or odd with templates, each with its place and what to do.
    Lint(lint::Args),
    /// Fill a template and show the claim and what an approver will read.
    Render(render::Args),
    /// Say in words what changed in law between two versions.
    Diff(diff::Args),
    /// Print the keyed commitment of a value, for who must find or check a data subject.
    Commit(leg_commit::CommitArgs),
    /// End a template's version or a consent, and every live mandate that rests on it.
    Withdraw(leg_withdraw::WithdrawArgs),
}

/// Runs `atb leg`.
///
/// # Errors
/// When files cannot be read or are not what they must be for the command to run.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        LegCommand::List(args) => list::run(&args),
        LegCommand::Lint(args) => lint::run(&args),
        LegCommand::Render(args) => render::run(&args),
        LegCommand::Diff(args) => diff::run(&args),
        LegCommand::Commit(args) => leg_commit::commit(&args),
        LegCommand::Withdraw(args) => leg_withdraw::withdraw(args).await,
    }
}
