//! IBM Log Event Extended Format: `LEEF:2.0|vendor|product|version|event|delimiter|key=value<delimiter>…`
//!
//! The delimiter is a tab (`0x09`). The format has no escape of its own: a value has no tab and no line end, both are
//! written as `\t`, `\n` and `\r`, and a backslash as two. In the header there is no `|`.

use std::fmt::Write as _;

use super::{PRODUCT, VENDOR, VERSION, Weight, title, verdict, weight};
use crate::domain::ledger::query::Facts;

pub(super) fn record(seq: u64, facts: &Facts) -> String {
    let mut line = "LEEF:2.0".to_owned();
    for field in [VENDOR, PRODUCT, VERSION, &facts.event_type] {
        let _ = write!(line, "|{}", header(field));
    }
    line.push_str("|0x09|");
    for (position, (key, text)) in attributes(seq, facts).into_iter().enumerate() {
        let _ = write!(line, "{}{key}={}", if position == 0 { "" } else { "\t" }, value(&text));
    }
    line.push('\n');
    line
}

/// Names of the format where there is one (`devTime`, `usrName`, `sev`, `cat`, `policy`), ours where there is none.
fn attributes(seq: u64, facts: &Facts) -> Vec<(&'static str, String)> {
    let sev = match weight(facts) {
        Weight::Usual => "3",
        Weight::Denied => "6",
        Weight::Attack => "9",
    };
    let detail = facts.detail.iter().map(|(name, text)| format!("{name}: {text}")).collect::<Vec<_>>();
    let all = [
        ("devTime", facts.at.map(|at| at.to_string())),
        ("devTimeFormat", Some("yyyy-MM-dd'T'HH:mm:ss.SSSX".to_owned())),
        ("sev", Some(sev.to_owned())),
        ("cat", Some(title(facts))),
        ("usrName", facts.agent.clone()),
        ("policy", facts.bundle.clone()),
        ("seq", Some(seq.to_string())),
        ("eventId", Some(facts.event_id.clone())),
        ("workspace", Some(facts.workspace.clone())),
        ("caller", facts.caller.clone()),
        ("approvers", (!facts.approvers.is_empty()).then(|| facts.approvers.join(" "))),
        ("act", facts.act.as_ref().map(ToString::to_string)),
        ("tier", facts.tier.clone()),
        ("risk", facts.risk_score.map(|score| score.as_u8().to_string())),
        ("decision", verdict(facts).map(str::to_owned)),
        ("reason", facts.reason.clone()),
        ("decisionId", facts.decision_id.clone()),
        ("jti", facts.jti.clone()),
        ("challengeId", facts.challenge_id.clone()),
        ("connector", facts.connector.clone()),
        ("method", facts.method.clone()),
        ("path", facts.path.clone()),
        ("outcome", facts.outcome.clone()),
        ("status", facts.status.map(|status| status.to_string())),
        ("detail", (!detail.is_empty()).then(|| detail.join("; "))),
    ];
    all.into_iter().filter_map(|(key, text)| Some((key, text?))).collect()
}

fn header(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c == '|' { ' ' } else { c }).collect()
}

fn value(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
