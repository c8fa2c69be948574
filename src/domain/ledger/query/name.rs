//! The values that are more than one of the domain's own names.

use std::fmt;
use std::str::FromStr;

use crate::domain::id::{Revision, Sha256Digest};
use crate::domain::policy::RiskScore;
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Timestamp;

/// A text that is none of these values; the condition says what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not what the condition takes")]
pub struct NotAValue;

/// One identity, or all below a path: `spiffe://atb.example/agent/*`. Whole segments, never a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdPattern {
    /// This one.
    One(SpiffeId),
    /// Those whose URI starts with this text, which ends with a slash.
    Below(String),
}

impl IdPattern {
    /// Whether `id` is meant.
    pub fn covers(&self, id: &str) -> bool {
        match self {
            Self::One(one) => one.as_str() == id,
            Self::Below(prefix) => id.starts_with(prefix),
        }
    }
}

impl FromStr for IdPattern {
    type Err = NotAValue;

    fn from_str(text: &str) -> Result<Self, NotAValue> {
        let Some(prefix) = text.strip_suffix('*').filter(|prefix| prefix.ends_with('/')) else {
            return text.parse().map(Self::One).map_err(|_| NotAValue);
        };
        // A prefix is one of a SPIFFE ID exactly if some segment behind it makes one.
        let below: Result<SpiffeId, _> = format!("{prefix}x").parse();
        below.map(|_| Self::Below(prefix.to_owned())).map_err(|_| NotAValue)
    }
}

impl fmt::Display for IdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(id) => id.fmt(f),
            Self::Below(prefix) => write!(f, "{prefix}*"),
        }
    }
}

/// A bundle, as people name one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleName {
    /// By its revision.
    Revision(Revision),
    /// By its digest.
    Digest(Sha256Digest),
}

impl FromStr for BundleName {
    type Err = NotAValue;

    fn from_str(text: &str) -> Result<Self, NotAValue> {
        if let Ok(digest) = text.parse() {
            return Ok(Self::Digest(digest));
        }
        text.parse().map(Self::Revision).map_err(|_| NotAValue)
    }
}

impl fmt::Display for BundleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revision(revision) => revision.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// Risk scores from `low` to `high`, both included. Written `60..`, `..40`, `20..60` or `75`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RiskRange {
    low: u8,
    high: u8,
}

impl RiskRange {
    /// Whether `score` is in it.
    pub fn covers(self, score: RiskScore) -> bool {
        (self.low..=self.high).contains(&score.as_u8())
    }
}

impl FromStr for RiskRange {
    type Err = NotAValue;

    fn from_str(text: &str) -> Result<Self, NotAValue> {
        let (low, high) = match text.split_once("..") {
            Some(("", "")) => return Err(NotAValue),
            Some((low, high)) => (score(low, 0)?, score(high, RiskScore::MAX)?),
            None => (score(text, u8::MAX)?, score(text, u8::MAX)?),
        };
        if low <= high && high <= RiskScore::MAX { Ok(Self { low, high }) } else { Err(NotAValue) }
    }
}

/// A number in its one spelling; `absent` where nothing is written.
fn score(text: &str, absent: u8) -> Result<u8, NotAValue> {
    if text.is_empty() {
        return Ok(absent);
    }
    text.parse().ok().filter(|number: &u8| number.to_string() == text).ok_or(NotAValue)
}

impl fmt::Display for RiskRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.low, self.high) {
            (low, high) if low == high => write!(f, "{low}"),
            (low, RiskScore::MAX) => write!(f, "{low}.."),
            (0, high) => write!(f, "..{high}"),
            (low, high) => write!(f, "{low}..{high}"),
        }
    }
}

/// An instant, or the first one of a day in UTC.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    if text.len() == "2026-11-21".len() {
        return Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")).ok();
    }
    Timestamp::parse_rfc3339(text).ok()
}

/// Names of a closed list, with commas; in the list's order and once each.
pub(super) fn several<T: Copy + PartialEq>(text: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Option<Vec<T>> {
    let mut named = Vec::new();
    for part in text.split(',') {
        named.push(all.iter().copied().find(|one| name(*one) == part)?);
    }
    Some(all.iter().copied().filter(|one| named.contains(one)).collect())
}
