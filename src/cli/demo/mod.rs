//! `atb demo`: the main job end to end, on loopback, with real keys, a real policy, a real ledger and a sample ERP.
//!
//! Every step says what is expected and what came out; `--once` exits 0 only if every step came out so.

mod critical;
pub mod erp;
mod stage;
mod story;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::net::TcpListener;

use super::output::{self, Format};
use stage::Stage;
use story::Story;

/// The main job end to end, self-contained.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "EXAMPLES:\n  atb demo                       tells the story and stays up\n  atb demo --once --format json  one object a step, for scripts\n  atb demo --dir ./try           keeps the directory\n  atb demo --erp 127.0.0.1:9000  only the sample ERP, where the connector of `atb init` looks for it"
)]
pub struct Args {
    /// Stop after the story; exit 0 only if every step came out as expected.
    #[arg(long)]
    once: bool,
    /// How to print the steps.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Where to make the directory; a temporary one that is removed at the end if absent.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Only the sample ERP at this address, with new data, until interrupted.
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["once", "format", "dir"])]
    erp: Option<SocketAddr>,
}

/// Tells the story.
///
/// # Errors
/// When the services cannot be started or stopped in order.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let temporary = tempfile::Builder::new().prefix("atb-demo-").tempdir()?;
    if let Some(address) = args.erp {
        return only_the_erp(address, &temporary.path().join("sample-erp.db")).await;
    }
    let dir = args.dir.clone().unwrap_or_else(|| temporary.path().join("demo"));
    let mut stage = Stage::set(dir).await?;
    let mut story = Story::new(args.format);
    story.introduce(&stage);
    let told = tell(&mut story, &mut stage).await;
    if let Err(error) = told {
        stage.close().await?;
        return Err(error);
    }
    let all_ok = story.finish();
    if !args.once {
        invite(&stage);
        super::serve::shutdown_signal()?.await;
    }
    stage.close().await?;
    Ok(if all_ok { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// For somebody who plays every other part by hand.
async fn only_the_erp(address: SocketAddr, data: &Path) -> anyhow::Result<ExitCode> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let stop = super::serve::shutdown_signal()?;
    let erp = erp::start(listener, data).await?;
    output::line(&format!("The sample ERP is at http://{}. Ctrl-C ends it.", erp.address()));
    stop.await;
    Ok(ExitCode::SUCCESS)
}

async fn tell(story: &mut Story, stage: &mut Stage) -> anyhow::Result<()> {
    story.a_low_read(stage).await?;
    story.an_unknown_act(stage).await?;
    let challenge = story.a_change_waits(stage).await?;
    story.two_people_agree(stage, &challenge).await?;
    let mandate = story.the_mandate_is_collected(stage, &challenge).await?;
    story.the_amount_cannot_change(stage, &mandate).await?;
    story.it_runs_once(stage, &mandate).await?;
    story.a_thief_of_the_issuers_key_gains_nothing(stage, &mandate).await?;
    story.a_critical_act_needs_a_ticket(stage).await?;
    story.the_ledger_tells_it_all(stage).await
}

fn invite(stage: &Stage) {
    let home = stage.dir().display();
    for line in [
        String::new(),
        "The services are running. In another terminal:".to_owned(),
        format!("  export ATB_HOME={home}"),
        "  atb issue --as procurement erp.order.read --template contract --var contract_ref=MSA-1001 \\".to_owned(),
        "      --var accountable_id=dave --var jurisdiction=DE --var order=O-2001 --out read.jwt".to_owned(),
        "  atb call --as procurement --mandate read.jwt GET erp/orders/O-2001".to_owned(),
        "  atb approve --as alice".to_owned(),
        "  atb audit tail -f".to_owned(),
        format!("  curl http://{}/ready", stage.addresses().ops),
        "Ctrl-C ends it.".to_owned(),
    ] {
        output::line(&line);
    }
}
