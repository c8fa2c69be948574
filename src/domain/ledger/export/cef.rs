//! ArcSight Common Event Format: `CEF:0|vendor|product|version|class|name|severity|key=value …`
//!
//! In the header `\` and `|` are escaped, in values `\` and `=`, line ends as `\n` and `\r` ("Implementing ArcSight Common
//! Event Format", §"Character encoding"). What else moves a reader's cursor becomes a blank.

use std::fmt::Write as _;

use super::{PRODUCT, VENDOR, VERSION, Weight, title, verdict, weight};
use crate::domain::ledger::query::Facts;

pub(super) fn record(seq: u64, facts: &Facts) -> String {
    let severity = match weight(facts) {
        Weight::Usual => 3,
        Weight::Denied => 6,
        Weight::Attack => 9,
    };
    let mut line = "CEF:0".to_owned();
    for field in [VENDOR, PRODUCT, VERSION, &facts.event_type, &title(facts)] {
        let _ = write!(line, "|{}", header(field));
    }
    let _ = write!(line, "|{severity}|");
    for (position, (key, text)) in extension(seq, facts).into_iter().enumerate() {
        let _ = write!(line, "{}{key}={}", if position == 0 { "" } else { " " }, value(&text));
    }
    line.push('\n');
    line
}

/// Keys of the standard where there is one, `cs1` to `cs6` and `cn1` to `cn3` with their labels where there is none.
fn extension(seq: u64, facts: &Facts) -> Vec<(&'static str, String)> {
    let mut out: Vec<(&'static str, String)> = Vec::new();
    let mut put = |key, text: Option<String>| out.extend(text.map(|text| (key, text)));
    put("rt", facts.at.map(|at| at.as_millis().to_string()));
    put("externalId", Some(facts.event_id.clone()));
    put("suid", facts.agent.clone());
    put("duid", facts.caller.clone());
    put("act", verdict(facts).map(str::to_owned));
    put("outcome", facts.outcome.clone());
    put("reason", facts.reason.clone());
    put("destinationServiceName", facts.connector.clone());
    put("requestMethod", facts.method.clone());
    put("request", facts.path.clone());
    let custom = [
        ("cs1Label", "cs1", "act", facts.act.as_ref().map(ToString::to_string)),
        ("cs2Label", "cs2", "jti", facts.jti.clone()),
        ("cs3Label", "cs3", "challenge", facts.challenge_id.clone()),
        ("cs4Label", "cs4", "decision", facts.decision_id.clone()),
        ("cs5Label", "cs5", "bundle", facts.bundle.clone()),
        ("cs6Label", "cs6", "tier", facts.tier.clone()),
        ("cn1Label", "cn1", "risk", facts.risk_score.map(|score| score.as_u8().to_string())),
        ("cn2Label", "cn2", "status", facts.status.map(|status| status.to_string())),
        ("cn3Label", "cn3", "seq", Some(seq.to_string())),
    ];
    for (label, key, name, text) in custom {
        if text.is_some() {
            put(label, Some(name.to_owned()));
            put(key, text);
        }
    }
    let msg: Vec<_> = facts.detail.iter().map(|(name, text)| format!("{name}: {text}")).collect();
    put("msg", (!msg.is_empty()).then(|| msg.join("; ")));
    out
}

fn header(text: &str) -> String {
    let plain = |c: char| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c };
    text.chars().map(plain).collect::<String>().replace('\\', "\\\\").replace('|', "\\|")
}

fn value(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '=' => out.push_str("\\="),
            '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
