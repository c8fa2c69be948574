//! `atb audit`: the ledger, read from its file, also while a service writes it.

mod case;
mod checkpoint;
mod prove;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use serde_json::Value;

use super::output::{self, Format};
use crate::adapters::store::{SqliteReader, read_verifier_key};
use crate::domain::id::WorkspaceId;
use crate::domain::ledger::{EventType, LogVerifier};
use crate::domain::time::Timestamp;
use crate::service::auditor::LogSource as _;
use crate::service::ports::EntryFilter;

/// Entries read at a time.
const PAGE: u32 = 500;
/// How often `tail -f` looks for new entries.
const FOLLOW: Duration = Duration::from_millis(500);

/// The arguments of `atb audit`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Print the newest events.
    #[command(after_help = "EXAMPLES:\n  atb audit tail -n 50\n  atb audit tail -f --home ./dev")]
    Tail(TailArgs),
    /// Print the events that match, oldest first.
    #[command(after_help = "EXAMPLES:\n  atb audit query --event-type poa_denied --since 2026-11-21T00:00:00Z\n  \
        atb audit query --jti 019a0a3c-5f5e-7b1a-8f00-0123456789ab --format json")]
    Query(Box<QueryArgs>),
    /// Verify the ledger, a part of it, or a case file; exit 1 and name what was done if it is not intact.
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::Args),
    /// Print the newest signed checkpoint, or append it to a file of checkpoints.
    #[command(after_help = "EXAMPLES:\n  atb audit checkpoint --home ./dev\n  \
        atb audit checkpoint --home ./dev --append /mnt/worm/checkpoints.txt\n  \
        atb audit checkpoint --home ./dev --cosigned")]
    Checkpoint(checkpoint::Args),
    /// Print the proof that an entry is in the log, for somebody who has nothing but the log's public key.
    #[command(
        after_help = "EXAMPLES:\n  atb audit prove 01a1fdde-54a4-7860-9ba0-d2a8b93fe026 --home ./dev --format json\n  \
        atb audit prove 12 --home ./dev > entry-12.tlog-proof"
    )]
    Prove(prove::Args),
    /// Write one case to a file that an auditor checks offline.
    #[command(
        after_help = "EXAMPLES:\n  atb audit case 01a1fdde-54a4-7860-9ba0-d2a8b93fe026 --home ./dev --out case.zip\n  \
        atb audit verify case.zip --key ledger.vkey"
    )]
    Case(case::Args),
}

#[derive(Debug, clap::Args)]
struct StoreArgs {
    /// A directory made by `atb init`; the ledger is data/ledger.db in it.
    #[arg(long, env = "ATB_HOME", default_value = ".", value_name = "DIR")]
    home: PathBuf,
    /// The ledger, if it is elsewhere.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// How to print; as json an event is one line.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct TailArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// How many events.
    #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
    lines: u64,
    /// Go on with new events until interrupted.
    #[arg(short, long)]
    follow: bool,
}

#[derive(Debug, clap::Args)]
struct QueryArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Only this kind of event.
    #[arg(long, value_name = "NAME", value_parser = event_type)]
    event_type: Option<EventType>,
    /// Only this agent.
    #[arg(long, value_name = "SPIFFE_ID")]
    agent: Option<String>,
    /// Only this act.
    #[arg(long, value_name = "ACT")]
    act: Option<String>,
    /// Only this reason.
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// Only this mandate.
    #[arg(long, value_name = "ID")]
    jti: Option<String>,
    /// Only this challenge.
    #[arg(long, value_name = "ID")]
    challenge: Option<String>,
    /// Only this decision.
    #[arg(long, value_name = "ID")]
    decision: Option<String>,
    /// Only this workspace.
    #[arg(long, value_name = "NAME")]
    workspace: Option<WorkspaceId>,
    /// Not earlier than this.
    #[arg(long, value_name = "RFC3339", value_parser = Timestamp::parse_rfc3339)]
    since: Option<Timestamp>,
    /// Earlier than this.
    #[arg(long, value_name = "RFC3339", value_parser = Timestamp::parse_rfc3339)]
    until: Option<Timestamp>,
    /// At most this many.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    limit: u32,
}

/// Runs one of the subcommands.
///
/// # Errors
/// When the ledger or the key cannot be read.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        AuditCommand::Tail(args) => tail(args).await,
        AuditCommand::Query(args) => query(*args).await,
        AuditCommand::Verify(args) => verify::run(args).await,
        AuditCommand::Checkpoint(args) => checkpoint::run(args).await,
        AuditCommand::Prove(args) => prove::run(args).await,
        AuditCommand::Case(args) => case::run(args).await,
    }
}

impl StoreArgs {
    fn path(&self) -> PathBuf {
        self.store.clone().unwrap_or_else(|| self.home.join("data").join("ledger.db"))
    }

    async fn open(&self) -> anyhow::Result<SqliteReader> {
        Ok(SqliteReader::open(&self.path()).await?)
    }
}

async fn tail(args: TailArgs) -> anyhow::Result<ExitCode> {
    let reader = args.store.open().await?;
    let mut next = reader.head().await?.rows.saturating_sub(args.lines);
    loop {
        let rows = reader.entries(next, PAGE, &EntryFilter::default()).await?;
        for (seq, body) in &rows {
            print_entry(*seq, body, args.store.format);
            next = seq + 1;
        }
        if rows.len() < PAGE as usize {
            if !args.follow {
                return Ok(ExitCode::SUCCESS);
            }
            tokio::time::sleep(FOLLOW).await;
        }
    }
}

async fn query(args: QueryArgs) -> anyhow::Result<ExitCode> {
    let reader = args.store.open().await?;
    let format = args.store.format;
    let mut wanted = args.limit;
    let filter = EntryFilter {
        event_type: args.event_type,
        agent: args.agent,
        act: args.act,
        reason: args.reason,
        jti: args.jti,
        challenge_id: args.challenge,
        decision_id: args.decision,
        workspace: args.workspace,
        since: args.since,
        until: args.until,
    };
    let mut next = 0;
    while wanted > 0 {
        let page = wanted.min(PAGE);
        let rows = reader.entries(next, page, &filter).await?;
        for (seq, body) in &rows {
            print_entry(*seq, body, format);
            next = seq + 1;
        }
        if rows.len() < page as usize {
            return Ok(ExitCode::SUCCESS);
        }
        wanted -= page;
    }
    if !reader.entries(next, 1, &filter).await?.is_empty() {
        output::note(&format!("there are more than {}; raise --limit", args.limit));
    }
    Ok(ExitCode::SUCCESS)
}

/// `key` as the key itself, which has a `+` where a file's name hardly has one, or as a file.
fn verifier(key: Option<&str>, home: &Path) -> anyhow::Result<LogVerifier> {
    match key {
        Some(text) if text.contains('+') && !Path::new(text).exists() => Ok(text.parse()?),
        Some(file) => Ok(read_verifier_key(Path::new(file))?),
        None => Ok(read_verifier_key(&home.join("keys").join("ledger.vkey"))?),
    }
}

fn event_type(name: &str) -> Result<EventType, String> {
    EventType::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| {
        let known: Vec<_> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("expected one of {}", known.join(", "))
    })
}

fn print_entry(seq: u64, body: &[u8], format: Format) {
    match format {
        // The body as it was hashed, not as this program would write it.
        Format::Json => output::line(&format!(r#"{{"seq":{seq},"entry":{}}}"#, String::from_utf8_lossy(body))),
        Format::Text => output::line(&entry_line(seq, body)),
    }
}

/// Number, time, kind, verdict, act, reason, then whatever ids there are.
fn entry_line(seq: u64, body: &[u8]) -> String {
    let Ok(entry) = serde_json::from_slice::<Value>(body) else { return format!("{seq:>8}  (not JSON)") };
    let text = |member: &str| entry.get(member).and_then(Value::as_str).map(printable);
    let verdict = match entry.get("allow").and_then(Value::as_bool) {
        Some(true) => "allow".to_owned(),
        Some(false) => "deny".to_owned(),
        None => text("outcome").unwrap_or_else(|| "-".to_owned()),
    };
    let column = |member: &str| text(member).unwrap_or_else(|| "-".to_owned());
    let mut line = format!(
        "{seq:>8}  {:<24}  {:<28}  {verdict:<7}  {:<28}  {:<24}",
        column("at"),
        column("event_type"),
        column("act"),
        column("reason")
    );
    for member in ["agent", "caller", "connector", "template", "jti", "challenge_id", "decision_id"] {
        if let Some(value) = text(member) {
            line.push_str(&format!("  {member}={value}"));
        }
    }
    for (name, value) in entry.get("detail").and_then(Value::as_object).into_iter().flatten() {
        line.push_str(&format!("  {}={}", printable(name), value.as_str().map(quoted).unwrap_or_default()));
    }
    line.trim_end().to_owned()
}

/// A text that may hold blanks, so that it cannot be taken for more than one value.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\=".contains(&byte));
    if plain { text.to_owned() } else { format!("{text:?}") }
}

/// Without characters that would move the terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_verdict_and_ids_and_no_control_characters() {
        let body =
            br#"{"at":"2026-11-21T10:00:00.000Z","event_type":"broker_decision","allow":false,"act":"erp.order.read",
            "reason":"odd\u001b[2J","jti":"019a0a3c-5f5e-7b1a-8f00-0123456789ab"}"#;
        let line = entry_line(7, body);
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(
            words,
            [
                "7",
                "2026-11-21T10:00:00.000Z",
                "broker_decision",
                "deny",
                "erp.order.read",
                "odd\u{fffd}[2J",
                "jti=019a0a3c-5f5e-7b1a-8f00-0123456789ab"
            ]
        );
    }

    #[test]
    fn a_line_says_what_was_withdrawn_and_why_and_no_text_can_pose_as_another_fact() {
        let body = br#"{"at":"2026-11-21T10:00:00.000Z","event_type":"leg_withdrawn","reason":"leg_template_withdrawn",
            "caller":"spiffe://atb.dev/legal/officer","template":"contract@1.0.0",
            "detail":{"delegation":"019a","odd":"a=b","withdrawal_reason":"wrong  caller=\"x\"\u001b"}}"#;
        let line = entry_line(7, body);
        let facts = line.split_once("caller=").unwrap().1;
        assert_eq!(
            facts,
            "spiffe://atb.dev/legal/officer  template=contract@1.0.0  delegation=019a  odd=\"a=b\"  \
             withdrawal_reason=\"wrong  caller=\\\"x\\\"\\u{1b}\""
        );
    }

    #[test]
    fn every_event_type_can_be_asked_for_and_no_other() {
        assert!(EventType::ALL.into_iter().all(|kind| event_type(kind.as_str()) == Ok(kind)));
        assert!(event_type("poa").is_err());
    }
}
