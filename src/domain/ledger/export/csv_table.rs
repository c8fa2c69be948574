//! CSV by RFC 4180 (CRLF, quotes where they must be), with a header, and without cells that a spreadsheet would run.

use csv::{Terminator, WriterBuilder};

use super::verdict;
use crate::domain::ledger::query::Facts;

/// The columns, in order.
const COLUMNS: [&str; 25] = [
    "seq",
    "at",
    "event_id",
    "event_type",
    "workspace",
    "agent",
    "act",
    "tier",
    "risk_score",
    "decision",
    "reason",
    "decision_id",
    "jti",
    "challenge_id",
    "caller",
    "approvers",
    "template",
    "connector",
    "method",
    "path",
    "outcome",
    "status",
    "duration_us",
    "bundle",
    "detail",
];

pub(super) fn head() -> Vec<u8> {
    line(COLUMNS.map(str::to_owned))
}

pub(super) fn record(seq: u64, facts: &Facts) -> Vec<u8> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    fn number(value: Option<impl ToString>) -> String {
        value.map(|number| number.to_string()).unwrap_or_default()
    }
    let detail = if facts.detail.is_empty() { String::new() } else { serde_json::json!(facts.detail).to_string() };
    let cells = [
        seq.to_string(),
        number(facts.at),
        facts.event_id.clone(),
        facts.event_type.clone(),
        facts.workspace.clone(),
        text(&facts.agent),
        number(facts.act.as_ref()),
        text(&facts.tier),
        number(facts.risk_score.map(|score| score.as_u8())),
        verdict(facts).unwrap_or_default().to_owned(),
        text(&facts.reason),
        text(&facts.decision_id),
        text(&facts.jti),
        text(&facts.challenge_id),
        text(&facts.caller),
        facts.approvers.join(" "),
        text(&facts.template),
        text(&facts.connector),
        text(&facts.method),
        text(&facts.path),
        text(&facts.outcome),
        number(facts.status),
        number(facts.duration_us),
        text(&facts.bundle),
        detail,
    ];
    line(cells.map(|cell| defused(&cell)))
}

/// A spreadsheet takes a cell that starts like this for a formula, or strips the start and then does (OWASP, CSV
/// injection). An apostrophe in front makes it text.
fn defused(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        return format!("'{cell}");
    }
    cell.to_owned()
}

fn line<const N: usize>(cells: [String; N]) -> Vec<u8> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    // INVARIANT: writing to memory does not fail, and every line has as many cells as the first.
    let _ = writer.write_record(&cells);
    writer.into_inner().unwrap_or_default()
}
