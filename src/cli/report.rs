//! `atb report governance`: figures of governance from the ledger's file.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};

use super::output;
use crate::adapters::clock::SystemClock;
use crate::adapters::store::{SqliteReader, read_verifier_key};
use crate::domain::governance::{Integrity, Report, Share};
use crate::domain::id::WorkspaceId;
use crate::domain::time::Timestamp;
use crate::service::auditor::{Start, verify_log};
use crate::service::governance::{Question, report};
use crate::service::ports::Clock as _;

/// The period where none is given.
const DEFAULT_PERIOD: Duration = Duration::from_secs(30 * 24 * 3600);

/// The arguments of `atb report`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: ReportCommand,
}

#[derive(Debug, Subcommand)]
enum ReportCommand {
    /// Volume, escalations, denials, response times, coverage, risk and the governance score.
    #[command(after_help = "EXAMPLES:\n  atb report governance --home ./dev\n  \
        atb report governance --since 2026-11-01T00:00:00Z --until 2026-12-01T00:00:00Z --format markdown\n\n\
        Definitions: docs/governance-metrics.md. Exit 1 when the ledger is not intact.")]
    Governance(GovernanceArgs),
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For a page.
    Markdown,
}

#[derive(Debug, clap::Args)]
struct GovernanceArgs {
    /// A directory made by `atb init`; the ledger is data/ledger.db in it.
    #[arg(long, env = "ATB_HOME", default_value = ".", value_name = "DIR")]
    home: PathBuf,
    /// The ledger, if it is elsewhere.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// The first instant that counts; 30 days before the end without it.
    #[arg(long, value_name = "RFC3339", value_parser = Timestamp::parse_rfc3339)]
    since: Option<Timestamp>,
    /// The first instant that does not count any more; now without it.
    #[arg(long, value_name = "RFC3339", value_parser = Timestamp::parse_rfc3339)]
    until: Option<Timestamp>,
    /// Only this workspace.
    #[arg(long, value_name = "NAME")]
    workspace: Option<WorkspaceId>,
    /// Do not verify the ledger; the score is then made of the other parts.
    #[arg(long)]
    no_verify: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

/// Runs one of the subcommands.
///
/// # Errors
/// When the ledger or its key cannot be read, or the period is empty.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let ReportCommand::Governance(args) = args.command;
    let path = args.store.clone().unwrap_or_else(|| args.home.join("data").join("ledger.db"));
    let reader = SqliteReader::open(&path).await?;
    let integrity = integrity(&args, &reader).await?;
    let until = args.until.unwrap_or_else(|| SystemClock.now());
    let since = args.since.unwrap_or_else(|| until.minus(DEFAULT_PERIOD));
    let question = Question { since, until, workspace: args.workspace, integrity };
    let figures = report(question, &reader).await?;
    match args.format {
        ReportFormat::Json => output::json(&serde_json::to_value(&figures)?),
        ReportFormat::Text => output::text(&text(&figures)),
        ReportFormat::Markdown => output::text(&markdown(&figures)),
    }
    Ok(if integrity == Integrity::Broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn integrity(args: &GovernanceArgs, reader: &SqliteReader) -> anyhow::Result<Integrity> {
    if args.no_verify {
        return Ok(Integrity::NotVerified);
    }
    let verifier = read_verifier_key(&args.home.join("keys").join("ledger.vkey"))?;
    let verified = verify_log(reader, &verifier, &[], Start::Beginning).await?;
    for finding in &verified.findings {
        output::note(&finding.to_string());
    }
    Ok(if verified.is_intact() { Integrity::Intact } else { Integrity::Broken })
}

/// Every figure as a name and what it says.
fn rows(report: &Report) -> Vec<(&'static str, String)> {
    let volume = &report.volume;
    let tiers: Vec<_> = volume.by_tier.iter().map(|(tier, count)| format!("{tier} {count}")).collect();
    let risk = &report.risk;
    let buckets: Vec<_> = ["0-19", "20-39", "40-59", "60-79", "80-100"]
        .iter()
        .zip(risk.buckets)
        .map(|(range, count)| format!("{range}: {count}"))
        .collect();
    let response = &report.response;
    vec![
        ("evaluations", format!("{} ({} requests, {} calls)", volume.evaluations, volume.requests, volume.calls)),
        ("by tier", tiers.join(", ")),
        ("mandates minted", volume.mandates.to_string()),
        ("replays blocked", volume.replays.to_string()),
        ("escalation rate", share(report.escalation_rate)),
        ("override rate", share(report.override_rate)),
        ("denial rate", share(report.denial_rate)),
        ("denied because", counted(&report.denial_reasons)),
        (
            "response time",
            format!(
                "mean {}, p95 {} over {} decided; first answer: mean {}, p95 {}; {} ran out of time",
                seconds(response.mean_seconds),
                seconds(response.p95_seconds),
                response.decided,
                seconds(response.first_mean_seconds),
                seconds(response.first_p95_seconds),
                response.expired
            ),
        ),
        ("policy coverage", share(report.policy_coverage)),
        ("acts not covered", listed(&report.uncovered_acts)),
        (
            "risk",
            format!(
                "{}; mean {}, p95 {}",
                buckets.join(", "),
                number(risk.mean),
                risk.p95.map_or("-".to_owned(), |p| p.to_string())
            ),
        ),
        (
            "false positives",
            format!(
                "{}{}",
                share(report.false_positives.rate),
                if report.false_positives.partial { ", not all followed" } else { "" }
            ),
        ),
        ("wrongly because", counted(&report.false_positives.reasons)),
        ("score", score(report)),
    ]
}

fn score(report: &Report) -> String {
    let parts: Vec<_> =
        report.score.parts.iter().map(|part| format!("{} {}", part.name, number(part.points))).collect();
    let integrity = match report.score.integrity {
        Integrity::Intact => "the ledger is intact",
        Integrity::Broken => "the ledger is NOT INTACT",
        Integrity::NotVerified => "the ledger was not verified",
    };
    let value = report.score.value.map_or("-".to_owned(), |value| format!("{value} of 100"));
    format!("{value} ({}); {integrity}", parts.join(", "))
}

fn text(report: &Report) -> String {
    let mut out = heading(report);
    out.push('\n');
    for (name, value) in rows(report) {
        out.push_str(&format!("{name:<18} {}\n", if value.is_empty() { "-" } else { &value }));
    }
    out
}

fn markdown(report: &Report) -> String {
    let mut out = format!("## {}\n\n| figure | |\n| --- | --- |\n", heading(report));
    for (name, value) in rows(report) {
        out.push_str(&format!("| {name} | {} |\n", if value.is_empty() { "-" } else { &value }.replace('|', "\\|")));
    }
    out
}

fn heading(report: &Report) -> String {
    let period = &report.period;
    let place = period.workspace.as_deref().map(|name| format!(", workspace {name}")).unwrap_or_default();
    format!("Governance from {} to {}{place}, {} entries", period.since, period.until, period.entries)
}

fn share(share: Option<Share>) -> String {
    share.map_or("-".to_owned(), |share| format!("{:.1} % ({} of {})", share.percent, share.part, share.of))
}

fn seconds(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.1} s"))
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.1}"))
}

fn counted(names: &[(String, u64)]) -> String {
    names.iter().map(|(name, count)| format!("{} {count}", printable(name))).collect::<Vec<_>>().join(", ")
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| printable(name)).collect::<Vec<_>>().join(", ")
}

/// Without characters that would move the terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
