//! `atb bench`: drives a running broker (or AgentAuth) over mTLS keep-alive and prints throughput and latency.
//!
//! Every call carries a fresh single-use mandate. The mandates are asked for before the clock starts, so that a call's
//! latency is the broker's. Open loop (`--rate`) measures from the moment at which a call was due, so that a stall
//! counts for everybody who waited (no coordinated omission).

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use axum::http::Method;
use clap::ValueEnum;
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::task::JoinSet;

use super::client::{Client, ClientArgs, Service};
use super::output::{self, Format};

/// What is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// `GET /c/erp/orders/O-2001` through the broker.
    Call,
    /// `POST /issue` of a low act.
    Issue,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "EXAMPLES:\n  atb bench --as procurement call --connections 64 --requests 100000\n  \
    atb bench --as procurement call --connections 64 --rate 4000 --requests 40000\n  \
    atb bench --as procurement issue --connections 64 --requests 50000")]
pub struct Args {
    #[command(flatten)]
    client: ClientArgs,
    /// What to drive.
    #[arg(value_enum)]
    target: Target,
    /// Connections at once.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Requests in all.
    #[arg(long, default_value_t = 20_000)]
    requests: usize,
    /// Requests a second, evenly spread; as fast as they are answered if absent.
    #[arg(long)]
    rate: Option<u64>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.connections == 0 || args.requests < args.connections {
        bail!("--requests is at least --connections, and both are above 0");
    }
    let mandates = match args.target {
        Target::Call => issue(&args).await?,
        Target::Issue => Vec::new(),
    };
    let service = if args.target == Target::Call { Service::Broker } else { Service::AgentAuth };
    let clients = connect(&args, service).await?;
    let outcome = drive(&args, clients, Arc::new(mandates)).await?;
    print(&args, &outcome);
    Ok(if outcome.failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn ask() -> serde_json::Value {
    json!({"act": "erp.order.read", "leg": {"template": "contract", "vars": {
        "contract_ref": "MSA-1001", "accountable_id": "dave", "jurisdiction": "DE", "order": "load test",
    }}})
}

async fn connect(args: &Args, service: Service) -> anyhow::Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(args.connections);
    for _ in 0..args.connections {
        let client = args.client.connect(service)?;
        // Any answer will do: the handshake is not part of the measurement.
        client.get("/.well-known/atb-configuration").await?;
        clients.push(client);
    }
    Ok(clients)
}

async fn issue(args: &Args) -> anyhow::Result<Vec<String>> {
    let left = Arc::new(AtomicUsize::new(args.requests));
    let mut tasks = JoinSet::new();
    for client in connect(args, Service::AgentAuth).await? {
        let left = Arc::clone(&left);
        tasks.spawn(async move {
            let mut mandates = Vec::new();
            while take(&left) {
                let response = client.post("/issue", &ask()).await?;
                let answer: serde_json::Value = serde_json::from_slice(&response.body)?;
                let token = answer.get("token").and_then(serde_json::Value::as_str);
                let refused = || output::problem(response.status.as_u16(), &response.body);
                mandates.push(token.with_context(refused)?.to_owned());
            }
            anyhow::Ok(mandates)
        });
    }
    let mut mandates = Vec::with_capacity(args.requests);
    while let Some(some) = tasks.join_next().await {
        mandates.extend(some??);
    }
    Ok(mandates)
}

fn take(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
}

struct Outcome {
    latency: Histogram<u64>,
    took: Duration,
    done: usize,
    failed: usize,
}

async fn drive(args: &Args, clients: Vec<Client>, mandates: Arc<Vec<String>>) -> anyhow::Result<Outcome> {
    let next = Arc::new(AtomicUsize::new(0));
    let (target, requests, rate) = (args.target, args.requests, args.rate);
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for client in clients {
        let (next, mandates) = (Arc::clone(&next), Arc::clone(&mandates));
        tasks.spawn(async move {
            let mut latency = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?;
            let mut failed = 0_usize;
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= requests {
                    return anyhow::Ok((latency, failed));
                }
                let due = due(started, rate, n).await;
                let ok = one(&client, target, mandates.get(n)).await?;
                latency.saturating_record(u64::try_from(due.elapsed().as_micros())?);
                failed += usize::from(!ok);
            }
        });
    }
    let mut latency = Histogram::new_with_bounds(1, 60_000_000, 3)?;
    let mut failed = 0;
    while let Some(result) = tasks.join_next().await {
        let (some, wrong) = result??;
        latency.add(some)?;
        failed += wrong;
    }
    Ok(Outcome { latency, took: started.elapsed(), done: requests, failed })
}

/// The instant at which call `n` is due; waits for it.
async fn due(started: Instant, rate: Option<u64>, n: usize) -> Instant {
    let Some(rate) = rate else { return Instant::now() };
    let offset = Duration::from_nanos((n as u64).saturating_mul(1_000_000_000) / rate.max(1));
    let due = started + offset;
    tokio::time::sleep_until(due.into()).await;
    due
}

async fn one(client: &Client, target: Target, mandate: Option<&String>) -> anyhow::Result<bool> {
    match (target, mandate) {
        (Target::Call, Some(mandate)) => {
            let response = client.send(Method::GET, "/c/erp/orders/O-2001", Some(mandate), None).await?;
            Ok(response.status.as_u16() == 200)
        }
        (Target::Call, None) => Ok(false),
        (Target::Issue, _) => Ok(client.post("/issue", &ask()).await?.status.as_u16() == 201),
    }
}

fn print(args: &Args, outcome: &Outcome) {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let throughput = outcome.done as f64 / outcome.took.as_secs_f64();
    let at = |quantile: f64| outcome.latency.value_at_quantile(quantile);
    let micros = [at(0.5), at(0.99), at(0.999), outcome.latency.max()];
    match args.format {
        Format::Json => output::line(
            &json!({
                "target": format!("{:?}", args.target).to_lowercase(), "connections": args.connections,
                "rate": args.rate, "requests": outcome.done, "failed": outcome.failed,
                "per_second": throughput.round(), "p50_us": micros[0], "p99_us": micros[1], "p999_us": micros[2],
                "max_us": micros[3],
            })
            .to_string(),
        ),
        Format::Text => {
            let loop_kind = args.rate.map_or("closed loop".to_owned(), |rate| format!("open loop, {rate}/s"));
            output::line(&format!("{} requests over {} connections, {loop_kind}", outcome.done, args.connections));
            output::line(&format!("  {throughput:.0} a second, {} failed", outcome.failed));
            let [p50, p99, p999, max] = micros;
            output::line(&format!("  p50 {p50} µs   p99 {p99} µs   p99.9 {p999} µs   max {max} µs"));
        }
    }
}
