//! `atb audit query` and `tail`.

use std::process::ExitCode;
use std::time::Duration;

use super::conditions::Conditions;
use super::line::{self, Lines};
use super::source::{Source, SourceArgs};
use crate::cli::output;
use crate::domain::ledger::query::Query;
use crate::service::ports::{AuditLog as _, AuditPage, AuditQuestion, Found, MAX_AUDIT_PAGE, Order};

pub const EXAMPLES: &str = "EXAMPLES:
  atb audit query --event-type poa_denied --since 2026-11-21
  atb audit query --agent 'spiffe://atb.dev/agent/*' --act 'erp.*' --decision deny --newest --limit 20
  atb audit query --where 'risk=60.. tier=high,critical since=2026-11-01' --format json
  atb audit query --url https://127.0.0.1:8444 --as auditor --jti 019a0a3c-5f5e-7b1a-8f00-0123456789ab";

/// How often `tail -f` looks for new entries.
const FOLLOW: Duration = Duration::from_millis(500);
/// The same at a service.
const FOLLOW_SERVICE: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub struct QueryArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    conditions: Conditions,
    /// The newest first.
    #[arg(long)]
    newest: bool,
    /// At most this many.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    limit: u64,
    /// Go on at this entry.
    #[arg(long, value_name = "SEQ")]
    from: Option<u64>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Lines,
}

#[derive(Debug, clap::Args)]
pub struct TailArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    conditions: Conditions,
    /// How many events.
    #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
    lines: u64,
    /// Go on with new events until interrupted.
    #[arg(short, long)]
    follow: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Lines,
}

pub async fn query(args: QueryArgs) -> anyhow::Result<ExitCode> {
    let query = args.conditions.query()?;
    let source = args.source.open().await?;
    let order = if args.newest { Order::Newest } else { Order::Oldest };
    let mut pages = Pages { source: &source, query, order, from: args.from, left: args.limit };
    while let Some(page) = pages.next().await? {
        page.items.iter().for_each(|found| line::print(found, args.format));
        if pages.left == 0 && page.more {
            output::note(&format!("there may be more than {}; raise --limit, or add --from {}", args.limit, page.seen));
        }
        if !page.more {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn tail(args: TailArgs) -> anyhow::Result<ExitCode> {
    let query = args.conditions.query()?;
    let source = args.source.open().await?;
    let mut newest: Vec<Found> = Vec::new();
    let mut size = None;
    // One at least, to learn where the record ends.
    let left = args.lines.max(1);
    let mut pages = Pages { source: &source, query: query.clone(), order: Order::Newest, from: None, left };
    while let Some(page) = pages.next().await? {
        // What is appended from here on is what is followed.
        size.get_or_insert(page.size);
        newest.extend(page.items);
        if !page.more {
            break;
        }
    }
    newest.truncate(usize::try_from(args.lines).unwrap_or(usize::MAX));
    newest.iter().rev().for_each(|found| line::print(found, args.format));
    if !args.follow {
        return Ok(ExitCode::SUCCESS);
    }
    follow(&source, query, size, args.format).await
}

async fn follow(source: &Source, query: Query, mut from: Option<u64>, format: Lines) -> anyhow::Result<ExitCode> {
    let every = if source.is_remote() { FOLLOW_SERVICE } else { FOLLOW };
    loop {
        let mut pages = Pages { source, query: query.clone(), order: Order::Oldest, from, left: u64::MAX };
        let Some(page) = pages.next().await? else { return Ok(ExitCode::SUCCESS) };
        page.items.iter().for_each(|found| line::print(found, format));
        from = Some(page.seen);
        if !page.more {
            tokio::time::sleep(every).await;
        }
    }
}

/// One page after the other, until so many entries were found.
struct Pages<'a> {
    source: &'a Source,
    query: Query,
    order: Order,
    from: Option<u64>,
    left: u64,
}

impl Pages<'_> {
    async fn next(&mut self) -> anyhow::Result<Option<AuditPage>> {
        if self.left == 0 {
            return Ok(None);
        }
        let limit = u32::try_from(self.left).unwrap_or(u32::MAX).min(MAX_AUDIT_PAGE);
        let question = AuditQuestion { query: self.query.clone(), order: self.order, from: self.from, limit };
        let page = self.source.page(&question).await.map_err(|error| self.source.cause(error))?;
        self.from = Some(page.seen);
        self.left = self.left.saturating_sub(page.items.len() as u64);
        Ok(Some(page))
    }
}
