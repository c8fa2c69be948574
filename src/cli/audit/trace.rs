//! `atb audit trace`: one case, told in order.

use std::process::ExitCode;

use anyhow::bail;

use super::line::printable;
use super::source::SourceArgs;
use crate::cli::output::{self, Format};
use crate::domain::id::Jti;
use crate::service::audit::trace::{self, Trace};

pub const EXAMPLES: &str = "EXAMPLES:
  atb audit trace 01a1fdde-54a4-7860-9ba0-d2a8b93fe026 --home ./dev
  atb audit trace 01a1fdde-c4ae-76b3-820d-776f6c3653be --url https://127.0.0.1:8444 --as auditor --format json";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// A challenge, a mandate (jti) or a decision; any of them leads to the whole case. Nothing on record has a session id.
    #[arg(value_name = "CHALLENGE|JTI|DECISION")]
    id: String,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    // Challenges, mandates and decisions are named alike.
    if args.id.parse::<Jti>().is_err() {
        bail!(
            "`{}` is no id of a challenge, a mandate or a decision; expected a UUIDv7 in lower case",
            printable(&args.id)
        );
    }
    let source = args.source.open().await?;
    let Some(trace) = trace::trace(&source, &args.id).await.map_err(|error| source.cause(error))? else {
        output::note(&format!("nothing on record has the id {}", args.id));
        return Ok(ExitCode::FAILURE);
    };
    match args.format {
        Format::Json => output::json(&serde_json::to_value(&trace)?),
        Format::Text => output::text(&told(&trace)),
    }
    Ok(ExitCode::SUCCESS)
}

fn told(trace: &Trace) -> String {
    let mut text = format!("{} events in {}\n", trace.steps.len(), lasted(trace.duration_ms));
    for (what, ids) in [("challenge", &trace.challenges), ("mandate", &trace.mandates), ("decision", &trace.decisions)]
    {
        ids.iter().for_each(|id| text.push_str(&format!("  {what:<10} {}\n", printable(id))));
    }
    for (name, id) in trace.people.iter().filter(|(name, id)| name != id) {
        text.push_str(&format!("  {:<10} {}\n", printable(name), printable(id)));
    }
    for step in &trace.steps {
        let after = step.after_ms.map(|ms| format!("+{}", lasted(ms))).unwrap_or_default();
        text.push_str(&format!("{}  {after:>12}  #{:<6} {}\n", step.at, step.seq, printable(&step.what)));
    }
    if !trace.complete {
        text.push_str("This is not all: the case has more ids than are followed; ask about one of them.\n");
    }
    text
}

/// The two largest units.
fn lasted(ms: u64) -> String {
    let (seconds, minutes, hours, days) = (ms / 1000, ms / 60_000, ms / 3_600_000, ms / 86_400_000);
    match () {
        () if days > 0 => format!("{days} d {} h", hours % 24),
        () if hours > 0 => format!("{hours} h {} min", minutes % 60),
        () if minutes > 0 => format!("{minutes} min {} s", seconds % 60),
        () => format!("{seconds}.{:03} s", ms % 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_their_two_largest_units() {
        let cases = [(0, "0.000 s"), (59_999, "59.999 s"), (61_000, "1 min 1 s"), (3_660_000, "1 h 1 min")];
        for (ms, text) in cases.into_iter().chain([(90_000_000, "1 d 1 h")]) {
            assert_eq!(lasted(ms), text);
        }
    }
}
