//! Mutants that may survive: each is named by what it changes, with the reason why no test can or need notice.
//!
//! ```yaml
//! - file: policy/approval.rego
//!   rule: atb.approval_stands
//!   original: "count(people) <= 8"
//!   mutated: "count(people) < 9"
//!   reason: whole numbers
//! ```

use serde::Deserialize;

use super::Mutant;

const MAX_BYTES: usize = 1024 * 1024;

/// One accepted mutant. It is found by its text, not by its line, so that it outlives changes elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The file, relative to the bundle's root.
    pub file: String,
    /// Dotted package and rule, or the path in the data.
    pub rule: String,
    /// The text that is replaced.
    pub original: String,
    /// By what.
    pub mutated: String,
    /// Why it may survive.
    pub reason: String,
}

/// What is wrong with an accept file.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// It is not YAML of this shape.
    #[error("line {line}: {what}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// An entry has no reason.
    #[error("the entry for `{0}` has no reason: say why no test can notice")]
    NoReason(String),
}

/// Reads an accept file.
///
/// # Errors
/// When it is not a list of entries, or an entry has no reason.
pub fn read(text: &str) -> Result<Vec<Accepted>, AcceptError> {
    if text.len() > MAX_BYTES {
        return Err(AcceptError::Syntax { line: 1, what: format!("more than {MAX_BYTES} bytes") });
    }
    if text.lines().all(|line| line.trim().is_empty() || line.starts_with('#')) {
        return Ok(Vec::new());
    }
    let entries: Vec<Accepted> = serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map_or(1, |l| usize::try_from(l.line()).unwrap_or(1));
        AcceptError::Syntax { line, what: error.to_string().lines().next().unwrap_or("not YAML").to_owned() }
    })?;
    match entries.iter().find(|entry| entry.reason.trim().is_empty()) {
        Some(entry) => Err(AcceptError::NoReason(entry.original.clone())),
        None => Ok(entries),
    }
}

impl Accepted {
    /// Whether this entry names that mutant.
    pub fn names(&self, mutant: &Mutant) -> bool {
        let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        self.file == mutant.file
            && self.rule == mutant.rule
            && one_line(&self.original) == one_line(&mutant.original)
            && one_line(&self.mutated) == one_line(&mutant.mutated)
    }
}
