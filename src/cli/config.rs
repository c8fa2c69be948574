//! `atb config check`: validates a configuration without starting anything.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::output;
use crate::app::check;
use crate::config::Config;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read the configuration and every file it names, and say what a start would refuse.
    #[command(after_help = "EXAMPLES:\n  atb config check --config ./dev/atb.toml")]
    Check {
        /// The configuration.
        #[arg(long, default_value = "atb.toml", value_name = "FILE")]
        config: PathBuf,
    },
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let ConfigCommand::Check { config: path } = args.command;
    let config = match Config::load(&path) {
        Ok(config) => config,
        Err(error @ crate::config::ConfigError::Read { .. }) => return Err(error.into()),
        Err(error) => {
            output::line(&format!("not valid: {error}"));
            return Ok(ExitCode::from(1));
        }
    };
    let findings = check(&config, &std::env::current_exe()?).await;
    for finding in &findings {
        output::line(&format!("not valid: {finding:#}"));
    }
    if findings.is_empty() {
        let kind = if config.dev { " (development: `atb serve` takes it with --dev only)" } else { "" };
        output::line(&format!("{} is valid{kind}", path.display()));
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(1))
}
