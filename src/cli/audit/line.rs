//! An entry as a line, for people and for programs.

use clap::ValueEnum;
use serde_json::Value;

use crate::cli::output;
use crate::service::ports::Found;

/// How entries are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Lines {
    /// For people: number, time, kind, verdict, act, reason, then what else there is.
    #[default]
    Text,
    /// For programs: a JSON object a line, the entry as it was hashed.
    #[value(alias = "jsonl")]
    Json,
}

/// Prints one entry.
pub fn print(found: &Found, format: Lines) {
    match format {
        // The body as it was hashed, not as this program would write it.
        Lines::Json => {
            let body = String::from_utf8_lossy(&found.body);
            output::line(&format!(r#"{{"seq":{},"entry":{body}}}"#, found.seq));
        }
        Lines::Text => output::line(&entry_line(found.seq, &found.body)),
    }
}

/// Number, time, kind, verdict, act, reason, then whatever ids there are.
pub fn entry_line(seq: u64, body: &[u8]) -> String {
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
    for member in ["tier", "agent", "caller", "connector", "template", "jti", "challenge_id", "decision_id"] {
        if let Some(value) = text(member) {
            line.push_str(&format!("  {member}={value}"));
        }
    }
    if let Some(risk) = entry.get("risk_score").and_then(Value::as_u64) {
        line.push_str(&format!("  risk={risk}"));
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
pub fn printable(text: &str) -> String {
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
}
