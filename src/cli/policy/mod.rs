//! `atb policy`: the tool of those who write policy. One file a command; what is found is `service::toolchain`'s and
//! `domain::policy`'s to say, this reads files and prints.

mod acts;
mod bench;
mod check;
mod diff;
mod docs;
mod eval;
mod files;
mod history;
mod mutate;
mod release;
mod replay;
mod sources;
mod test;

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
    /// Build a release: an OPA bundle archive with revision, sequence and expiry, signed if a key is given.
    Build(release::build::Args),
    /// Sign a bundle: every file of it, in OPA's format. An earlier signature is replaced.
    Sign(release::sign::Args),
    /// Verify a signed bundle as a broker does: who signed, every file, expiry and sequence.
    Verify(release::verify::Args),
    /// Put a signed release where brokers fetch it, never over one with the same or a higher sequence.
    Push(release::push::Args),
    /// Make a key that signs releases.
    Keygen(release::keygen::Args),
    /// Ask recorded decisions again of the bundle that gave them.
    Replay(replay::Args),
    /// Ask recorded decisions of two bundles and say what a candidate changes.
    Diff(Box<diff::Args>),
    /// Measure how long decisions and rules take.
    Bench(bench::Args),
    /// Evaluate a query over a bundle.
    Eval(eval::Args),
    /// Run a bundle's tests and tables of cases.
    Test(test::Args),
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
        PolicyCommand::Build(args) => release::build::run(&args),
        PolicyCommand::Sign(args) => release::sign::run(&args),
        PolicyCommand::Verify(args) => release::verify::run(&args),
        PolicyCommand::Push(args) => release::push::run(&args).await,
        PolicyCommand::Keygen(args) => release::keygen::run(&args),
        PolicyCommand::Replay(args) => replay::run(args).await,
        PolicyCommand::Diff(args) => diff::run(&args),
        PolicyCommand::Bench(args) => bench::run(&args),
        PolicyCommand::Eval(args) => eval::run(&args),
        PolicyCommand::Test(args) => test::run(&args),
        PolicyCommand::Check(args) => check::run(&args),
        PolicyCommand::Docs(args) => docs::run(&args),
        PolicyCommand::Mutate(args) => mutate::run(&args),
    }
}
