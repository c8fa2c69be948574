//! `atb serve`, `atb agentauth`, `atb broker`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{App, Mode};
use crate::config::Config;
use crate::telemetry;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "EXAMPLES:\n  atb serve --dev --config ./dev/atb.toml\n  ATB_OPS__LISTEN=127.0.0.1:9440 atb serve --config /etc/atb/atb.toml"
)]
pub struct Args {
    /// The configuration.
    #[arg(long, default_value = "atb.toml", value_name = "FILE")]
    config: PathBuf,
    /// Take a development configuration (`dev = true`), which production refuses.
    #[arg(long)]
    dev: bool,
}

pub async fn run(args: Args, mode: Mode) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    match (config.dev, args.dev) {
        (true, false) => bail!(
            "`{}` says `dev = true`: production refuses development keys and settings; pass --dev to try it out",
            args.config.display()
        ),
        (false, true) => bail!("--dev goes with a configuration that says `dev = true`"),
        _ => {}
    }
    telemetry::start(&config.log_level)?;
    let stop = shutdown_signal()?;
    let mut hangup = signal(SignalKind::hangup())?;
    let app = App::start(config, mode, &std::env::current_exe()?).await?;
    let reloader = app.reloader();
    let reloading = tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::info!("looking at the policy's sources");
            reloader.reload();
        }
    });
    stop.await;
    reloading.abort();
    tracing::info!("draining");
    app.stop().await?;
    Ok(ExitCode::SUCCESS)
}

/// Waits for SIGTERM or SIGINT. From this call on they do not end the process by themselves: one that comes before the
/// wait is not lost.
pub fn shutdown_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
