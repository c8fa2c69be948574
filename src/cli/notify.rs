//! `atb notify test` and `atb notify dead`: does an endpoint hear us, and what it was never told.
//!
//! Both work beside a running service: they send by themselves and change no queue. A dead letter that is sent again
//! keeps its event id, by which a receiver knows a repeat, and stays on the list until it is 30 days old.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Subcommand;
use serde_json::json;

use super::output::{self, Format};
use crate::adapters::clock::{SystemClock, SystemEntropy};
use crate::adapters::notify::{Message, Webhooks};
use crate::adapters::store::{DeadLetter, SqliteReader};
use crate::config::Config;
use crate::domain::id::EventId;
use crate::service::notifier::Notice;
use crate::service::ports::{Clock as _, Entropy as _};

/// Dead letters shown or sent at once.
const MOST: u32 = 10_000;

/// The arguments of `atb notify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: NotifyCommand,
}

#[derive(Debug, Subcommand)]
enum NotifyCommand {
    /// Send a signed test event to one endpoint and say what came back; exit 1 if it was not taken.
    #[command(after_help = "EXAMPLES:\n  atb notify test ops --config ./dev/atb.toml")]
    Test {
        /// The endpoint's name in the configuration.
        name: String,
        /// The configuration.
        #[arg(long, default_value = "atb.toml", value_name = "FILE")]
        config: PathBuf,
    },
    /// List what was given up; with --retry send each of it once more, exit 1 if any was not taken.
    #[command(
        after_help = "EXAMPLES:\n  atb notify dead --config ./dev/atb.toml\n  atb notify dead --endpoint ops --retry\n  atb notify dead --format json"
    )]
    Dead {
        /// Only those of this endpoint.
        #[arg(long, value_name = "NAME")]
        endpoint: Option<String>,
        /// Send them now, under the same event ids.
        #[arg(long)]
        retry: bool,
        /// How to print; as json a letter is one line.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        /// The configuration.
        #[arg(long, default_value = "atb.toml", value_name = "FILE")]
        config: PathBuf,
    },
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        NotifyCommand::Test { name, config } => test(&name, &Config::load(&config)?).await,
        NotifyCommand::Dead { endpoint, retry, format, config } => {
            dead(&Config::load(&config)?, endpoint.as_deref(), retry, format).await
        }
    }
}

async fn test(name: &str, config: &Config) -> anyhow::Result<ExitCode> {
    let known: Vec<_> = config.notify.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
    ensure!(known.contains(&name), "there is no notify endpoint `{name}`; the configuration has: {}", known.join(" "));
    let webhooks = Webhooks::new(&config.notify, config.dev)?;
    let at = SystemClock.now();
    let message = Message::Test { id: EventId::new(at, SystemEntropy.bytes()), at, endpoint: name };
    Ok(match webhooks.send(name, &message).await {
        Ok(status) => {
            output::line(&format!("{name}: taken, status {}", status.as_u16()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            output::line(&format!("{name}: not taken: {error}"));
            ExitCode::from(1)
        }
    })
}

async fn dead(config: &Config, endpoint: Option<&str>, retry: bool, format: Format) -> anyhow::Result<ExitCode> {
    let reader = SqliteReader::open(&config.store).await?;
    let mut letters = reader.dead_letters(MOST).await?;
    letters.retain(|letter| endpoint.is_none_or(|name| letter.endpoint == name));
    let webhooks = if retry { Some(Webhooks::new(&config.notify, config.dev)?) } else { None };
    let mut missed = 0;
    for letter in &letters {
        let sent = match &webhooks {
            Some(webhooks) => Some(again(config, &reader, webhooks, letter).await?),
            None => None,
        };
        missed += usize::from(matches!(sent, Some(Err(_))));
        print(letter, sent.as_ref(), format);
    }
    reader.close().await;
    if format == Format::Text && letters.is_empty() {
        output::line("nothing was given up in the last 30 days");
    }
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Sends a dead letter once more; the inner result is the receiver's.
async fn again(
    config: &Config,
    reader: &SqliteReader,
    webhooks: &Webhooks,
    letter: &DeadLetter,
) -> anyhow::Result<Result<u16, String>> {
    let base = match (&config.notify.link, &config.agentauth) {
        (Some(link), _) => link.clone(),
        (None, Some(part)) => format!("https://{}", part.door.listen),
        (None, None) => anyhow::bail!("`notify.link` is missing, and the configuration has no [agentauth]"),
    };
    let id = letter.entry.subject.challenge_id.context("a dead letter names no challenge")?;
    let stored = reader.find(id).await?;
    let Some(notice) = stored.and_then(|stored| Notice::of(&letter.entry, &stored.value, &base)) else {
        return Ok(Err("its challenge is not in the store any more".to_owned()));
    };
    let sent = webhooks.send(&letter.endpoint, &Message::Notice(&notice)).await;
    Ok(sent.map(|status| status.as_u16()).map_err(|error| error.to_string()))
}

fn print(letter: &DeadLetter, sent: Option<&Result<u16, String>>, format: Format) {
    let entry = &letter.entry;
    let challenge = entry.subject.challenge_id.map(|id| id.to_string()).unwrap_or_default();
    let result = sent.map(|sent| match sent {
        Ok(status) => format!("taken, status {status}"),
        Err(error) => format!("not taken: {error}"),
    });
    match format {
        Format::Json => output::line(
            &json!({
                "endpoint": letter.endpoint, "event_id": entry.event_id, "event_type": entry.event_type,
                "challenge_id": challenge, "attempts": letter.attempts, "dead_at": letter.dead_at,
                "last": letter.last, "retry": result,
            })
            .to_string(),
        ),
        Format::Text => output::line(&format!(
            "{} {} {} {challenge} after {} attempts, the last: {}{}",
            letter.dead_at,
            letter.endpoint,
            entry.event_type.as_str(),
            letter.attempts,
            letter.last,
            result.map_or_else(String::new, |result| format!("; now {result}")),
        )),
    }
}
