//! The command line: one file a command.
//!
//! Exit codes: 0 done, 1 the thing checked is not so (invalid, denied, not found), 2 the command could not run. Errors
//! go to stderr and say what, where, and what to do.

pub mod approve;
mod audit;
mod audit_archive;
mod backup;
mod bench;
mod call;
pub mod client;
mod config;
mod connector;
mod delegation;
pub mod demo;
pub mod init;
mod issue;
mod leg;
pub mod leg_commit;
pub mod leg_withdraw;
mod mandate;
mod notify;
pub(crate) mod output;
mod policy;
mod progress;
mod report;
mod serve;
mod svid;
mod watch;

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// ATB, the Agent Trust Broker: mandates, approvals, policy and a durable record between AI agents and the systems they
/// act in.
#[derive(Debug, Parser)]
#[command(name = "atb", version, arg_required_else_help = true, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The main job end to end, self-contained.
    Demo(demo::Args),
    /// Make a ready directory: configuration, development CA, keys, SVIDs, policy and connectors.
    Init(init::Args),
    /// Run AgentAuth and the broker in one process.
    Serve(serve::Args),
    /// Run AgentAuth alone.
    Agentauth(serve::Args),
    /// Run the broker alone.
    Broker(serve::Args),
    /// Look at the configuration without starting.
    Config(config::Args),
    /// Look at SVIDs and trust bundles.
    Svid(svid::Args),
    /// Ask for a mandate, as an agent.
    Issue(Box<issue::Args>),
    /// Read what is asked and sign it, as an approver.
    Approve(approve::ApproveArgs),
    /// Say no to what is asked, as an approver.
    Reject(approve::RejectArgs),
    /// Let another approver stand in for you, or look at a delegation.
    Delegation(delegation::Args),
    /// Call a connector with a mandate, as an agent.
    Call(call::Args),
    /// Decode and verify mandates offline.
    Mandate(mandate::Args),
    /// Read and verify the ledger.
    Audit(audit::Args),
    /// Figures over the ledger.
    Report(report::Args),
    /// Copy what a service cannot be without, also while it runs.
    Backup(backup::BackupArgs),
    /// Prove a backup, and put it in place.
    Restore(backup::RestoreArgs),
    /// Try the endpoints of notifications, and see what they were never told.
    Notify(notify::Args),
    /// Write, check and compare legal templates.
    Leg(leg::Args),
    /// Write, check, test and release policy.
    Policy(policy::Args),
    /// Look at connector files.
    Connector(connector::ConnectorArgs),
    /// Drive a running broker over mTLS and print throughput and latency.
    Bench(bench::Args),
    /// Check a bundle read from standard input; the services run this in a process of its own.
    #[command(name = "__probe-bundle", hide = true)]
    ProbeBundle {
        /// Step back behind everything else.
        #[arg(long)]
        background: bool,
    },
    /// Test, evaluate or measure a bundle read from standard input; `atb policy` runs this in a process of its own.
    #[command(name = "__policy-job", hide = true)]
    PolicyJob,
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    if let Command::ProbeBundle { background } = cli.command {
        return ExitCode::from(u8::try_from(crate::adapters::bundle_probe::run_probe_child(background)).unwrap_or(2));
    }
    if matches!(cli.command, Command::PolicyJob) {
        return ExitCode::from(u8::try_from(crate::adapters::policy_job::run_job_child()).unwrap_or(2));
    }
    // Two providers are linked through dependencies; which one signs and verifies is decided here, once.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match dispatch(cli.command) {
        Ok(code) => code,
        // A reader that has seen enough (`| head`) is no error.
        Err(error) if error.downcast_ref().is_some_and(|e: &std::io::Error| e.kind() == ErrorKind::BrokenPipe) => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            output::error(&error);
            ExitCode::from(2)
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match command {
        Command::Demo(args) => runtime.block_on(demo::run(args)),
        Command::Init(args) => init::run(args),
        Command::Serve(args) => runtime.block_on(serve::run(args, crate::app::Mode::Both)),
        Command::Agentauth(args) => runtime.block_on(serve::run(args, crate::app::Mode::AgentAuth)),
        Command::Broker(args) => runtime.block_on(serve::run(args, crate::app::Mode::Broker)),
        Command::Config(args) => runtime.block_on(config::run(args)),
        Command::Svid(args) => svid::run(args),
        Command::Issue(args) => runtime.block_on(issue::run(*args)),
        Command::Approve(args) => runtime.block_on(approve::approve(args)),
        Command::Reject(args) => runtime.block_on(approve::reject(args)),
        Command::Delegation(args) => delegation::run(args),
        Command::Call(args) => runtime.block_on(call::run(args)),
        Command::Mandate(args) => mandate::run(args),
        Command::Audit(args) => runtime.block_on(audit::run(args)),
        Command::Report(args) => runtime.block_on(report::run(args)),
        Command::Backup(args) => runtime.block_on(backup::backup(args)),
        Command::Restore(args) => runtime.block_on(backup::restore(args)),
        Command::Notify(args) => runtime.block_on(notify::run(args)),
        Command::Leg(args) => runtime.block_on(leg::run(args)),
        Command::Policy(args) => runtime.block_on(policy::run(args)),
        Command::Connector(args) => connector::run(args),
        Command::Bench(args) => runtime.block_on(bench::run(args)),
        Command::ProbeBundle { .. } | Command::PolicyJob => Ok(ExitCode::from(2)),
    }
}
