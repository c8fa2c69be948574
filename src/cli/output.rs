//! What commands print, in one place.

use std::io::Write as _;

use clap::ValueEnum;
use serde_json::Value;

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// An error with its causes on one line of stderr.
pub fn error(error: &anyhow::Error) {
    let mut line = format!("atb: {error}");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !line.contains(&cause) {
            line.push_str(": ");
            line.push_str(&cause);
        }
    }
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// One line on stderr, beside the data on stdout.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A line on a terminal's stderr that the next one replaces; an empty one takes it away.
pub fn progress(text: &str) {
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "\r\u{1b}[K{text}").and_then(|()| stderr.flush());
}

/// One line on stdout. A reader that went away ends the output, not the command.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Lines on stdout that end by themselves.
pub fn text(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// A document on stdout, indented.
pub fn json(value: &Value) {
    line(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// A problem document for people: what, why, where.
pub fn problem(status: u16, body: &[u8]) -> String {
    let Ok(problem) = serde_json::from_slice::<Value>(body) else {
        return format!("refused with status {status}");
    };
    let text = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut out = format!("refused ({status} {}): {}", text("code"), text("detail"));
    if text("reason") != text("code") && !text("reason").is_empty() {
        out.push_str(&format!("\n  reason: {}", text("reason")));
    }
    for error in problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
        out.push_str(&format!("\n  at {}: {}", text("pointer"), text("detail")));
    }
    if !text("decision_id").is_empty() {
        out.push_str(&format!("\n  decision: {}", text("decision_id")));
    }
    out
}
