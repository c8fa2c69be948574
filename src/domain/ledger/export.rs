//! Entries in the formats that other programs read.
//!
//! | format | is | by |
//! | --- | --- | --- |
//! | `jsonl` | one JSON object a line, the entry as it was hashed | JSON Lines |
//! | `csv` | a table, safe to open in a spreadsheet | RFC 4180 |
//! | `ocsf` | API Activity (6003), one JSON object a line | OCSF 1.3 |
//! | `cef` | one line an entry | ArcSight Common Event Format, version 0 |
//! | `leef` | one line an entry | IBM Log Event Extended Format 2.0 |
//!
//! Whatever a member holds, an entry is one record: no text in it starts another line, field or formula. Only `jsonl` is
//! the evidence itself; the others are readings of it and leave out what has no place there. Not here: files, and who
//! signs them ([`manifest`]).

mod cef;
mod csv_table;
mod leef;
pub mod manifest;
mod ocsf;

#[cfg(test)]
mod tests;

use super::query::Facts;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// JSON Lines.
    Jsonl,
    /// Comma-separated values.
    Csv,
    /// Open Cybersecurity Schema Framework, JSON Lines.
    Ocsf,
    /// Common Event Format.
    Cef,
    /// Log Event Extended Format.
    Leef,
}

/// Why an entry cannot be written in another format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} is not an entry that can be read; see `atb audit verify`")]
pub struct ExportError {
    /// Its number.
    pub seq: u64,
}

impl ExportFormat {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Jsonl, Self::Csv, Self::Ocsf, Self::Cef, Self::Leef];

    /// The name as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Ocsf => "ocsf",
            Self::Cef => "cef",
            Self::Leef => "leef",
        }
    }

    /// What stands before the first entry.
    pub fn head(self) -> Vec<u8> {
        if self == Self::Csv { csv_table::head() } else { Vec::new() }
    }

    /// One entry, with the end of its line.
    ///
    /// # Errors
    /// When the bytes are no entry.
    pub fn record(self, seq: u64, body: &[u8]) -> Result<Vec<u8>, ExportError> {
        let facts = Facts::of_body(body).ok_or(ExportError { seq })?;
        match self {
            Self::Jsonl => {
                let text = std::str::from_utf8(body).map_err(|_| ExportError { seq })?;
                // The writer's JSON has no line breaks; other bytes could, and would be two lines.
                if text.contains(['\n', '\r']) {
                    return Err(ExportError { seq });
                }
                Ok(format!("{{\"seq\":{seq},\"entry\":{text}}}\n").into_bytes())
            }
            Self::Csv => Ok(csv_table::record(seq, &facts)),
            Self::Ocsf => Ok(ocsf::record(seq, &facts)),
            Self::Cef => Ok(cef::record(seq, &facts).into_bytes()),
            Self::Leef => Ok(leef::record(seq, &facts).into_bytes()),
        }
    }
}

/// The product as the formats name it.
const VENDOR: &str = "ATB";
const PRODUCT: &str = "Agent Trust Broker";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What an entry is to a reader of alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// As it should be.
    Usual,
    /// Somebody was told no, or something failed.
    Denied,
    /// Somebody tried what no honest mistake looks like.
    Attack,
}

fn weight(facts: &Facts) -> Weight {
    match facts.event_type.as_str() {
        "poa_single_use_replay_blocked" => Weight::Attack,
        "authentication_failed" | "policy_refused" => Weight::Denied,
        _ if facts.allow == Some(false) => Weight::Denied,
        _ if matches!(facts.outcome.as_deref(), Some("failed" | "unknown")) => Weight::Denied,
        _ => Weight::Usual,
    }
}

/// `allow`, `deny`, or nothing for what is no verdict.
fn verdict(facts: &Facts) -> Option<&'static str> {
    facts.allow.map(|allow| if allow { "allow" } else { "deny" })
}

/// The event's name for people.
fn title(facts: &Facts) -> String {
    facts.event_type.replace('_', " ")
}
