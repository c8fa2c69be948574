//! A calendar day in UTC, as lawyers write it (ISO 8601, `2026-11-21`).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;

const SECONDS: u64 = 24 * 3600;

/// A day from 1970 on. Days compare as they follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(Timestamp);

/// A text that is no day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a day of the calendar such as `2026-11-21`")]
pub struct DayError;

impl Day {
    /// The day that `now` is in.
    pub fn of(now: Timestamp) -> Self {
        Self(Timestamp::from_secs(now.as_secs() / SECONDS * SECONDS))
    }

    /// Its first instant.
    pub fn start(self) -> Timestamp {
        self.0
    }

    /// The first instant after it.
    pub fn end(self) -> Timestamp {
        self.0.plus(std::time::Duration::from_secs(SECONDS))
    }
}

impl TryFrom<String> for Day {
    type Error = DayError;

    fn try_from(text: String) -> Result<Self, DayError> {
        let bytes = text.as_bytes();
        let digits = |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|b| b.iter().all(u8::is_ascii_digit));
        let formed = bytes.len() == 10 && digits(0..4) && digits(5..7) && digits(8..10);
        if !formed {
            return Err(DayError);
        }
        Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")).map(Self).map_err(|_| DayError)
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_string().get(..10).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_one_of_the_calendar_in_its_one_spelling() {
        for good in ["1970-01-01", "2024-02-29", "2099-12-31"] {
            assert_eq!(Day::try_from(good.to_owned()).unwrap().to_string(), good);
        }
        for bad in
            ["", "soon", "2025-02-29", "2026-13-01", "2026-1-01", "2026-01-01T00:00:00Z", "2026/01/01", "1969-12-31"]
        {
            assert!(Day::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_day_starts_at_midnight_and_ends_where_the_next_starts() {
        let day = |text: &str| Day::try_from(text.to_owned()).unwrap();
        assert_eq!(day("2026-11-21").end(), day("2026-11-22").start());
        assert_eq!(Day::of(day("2026-11-21").end().minus(std::time::Duration::from_millis(1))), day("2026-11-21"));
        assert!(day("2026-11-21") < day("2026-11-22"));
    }
}
