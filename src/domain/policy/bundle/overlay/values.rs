//! The values that overlays, calendars and freezes are made of. None of them can hold what the rules could not use.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::domain::action::CallPath;
use crate::domain::catalogue::{Reversibility, Tier};
use crate::domain::day::Day;
use crate::domain::time::Timestamp;

/// The longest pattern over a parameter's value.
const MAX_PATTERN_BYTES: usize = 256;
/// The most that a compiled pattern may take: what repeats a repetition is refused by it.
const MAX_PATTERN_SIZE: usize = 64 * 1024;
const MAX_NAME_BYTES: usize = 64;
const MAX_REASON_CHARS: usize = 200;
/// 2200-01-01: OPA's times are nanoseconds, which end in 2262.
const MAX_SECONDS: u64 = 7_258_118_400;

macro_rules! text_newtype {
    ($name:ident) => {
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl $name {
            /// As written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

/// The name of a team, a calendar, a freeze or a maintenance window.
///
/// INVARIANT: `[A-Za-z0-9][A-Za-z0-9_.-]*`, at most 64 bytes; it is part of what a decision says it matched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);
text_newtype!(Label);

impl TryFrom<String> for Label {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let first = |c: char| c.is_ascii_alphanumeric();
        let formed = text.len() <= MAX_NAME_BYTES
            && text.starts_with(first)
            && text.chars().all(|c| first(c) || matches!(c, '_' | '.' | '-'));
        if formed {
            Ok(Self(text))
        } else {
            Err(format!("expected a name of A-Z a-z 0-9 . _ -, at most {MAX_NAME_BYTES}"))
        }
    }
}

/// A time zone of the IANA database, by the name that it has there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(Tz);

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|_| "expected a time zone of the IANA database such as `Europe/Berlin`".to_owned())
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.0.name().to_owned()
    }
}

/// `HH:MM`, from `00:00` to `24:00`. Texts compare as the times do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HourMinute(String);
text_newtype!(HourMinute);

impl TryFrom<String> for HourMinute {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let two =
            |part: &str| (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())?;
        let parts = text.split_once(':').and_then(|(h, m)| Some((two(h)?, two(m)?)));
        match parts {
            Some((0..=23_u8, 0..=59_u8) | (24, 0)) => Ok(Self(text)),
            _ => Err("expected a time of day such as `09:00`, at most `24:00`".to_owned()),
        }
    }
}

/// From the first minute to before the second, on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(HourMinute, HourMinute)", into = "(HourMinute, HourMinute)")]
pub struct Hours(HourMinute, HourMinute);

impl TryFrom<(HourMinute, HourMinute)> for Hours {
    type Error = String;

    fn try_from((from, until): (HourMinute, HourMinute)) -> Result<Self, String> {
        if from < until {
            return Ok(Self(from, until));
        }
        Err("expected hours that end after they begin; write a night as two, until `24:00` and from `00:00`".to_owned())
    }
}

impl From<Hours> for (HourMinute, HourMinute) {
    fn from(hours: Hours) -> Self {
        (hours.0, hours.1)
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are the days of the week")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// The hours of work in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// In whose time.
    pub timezone: Zone,
    /// By day of the week; a day that is not here has none.
    pub hours: BTreeMap<Weekday, Vec<Hours>>,
    /// Days without hours, in that time zone.
    #[serde(default)]
    pub holidays: Vec<Day>,
}

impl Calendar {
    /// What contradicts itself: the member, and how.
    pub(super) fn defect(&self) -> Option<(String, String)> {
        if self.hours.values().all(Vec::is_empty) {
            return Some(("hours".to_owned(), "is never open, so that its acts can never run".to_owned()));
        }
        for (day, ranges) in &self.hours {
            if ranges.iter().zip(ranges.iter().skip(1)).any(|(one, next)| one.1 > next.0) {
                let name = serde_json::to_value(day).ok()?.as_str()?.to_owned();
                return Some((format!("hours/{name}"), "has hours that overlap or are not in order".to_owned()));
            }
        }
        let repeated = |(i, day): (usize, &Day)| self.holidays.iter().skip(i + 1).any(|other| other == day);
        let double = self.holidays.iter().enumerate().any(repeated);
        double.then(|| ("holidays".to_owned(), "names a day twice".to_owned()))
    }
}

/// An instant between 1970 and 2200, as RFC 3339 with any offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Instant(Timestamp);

impl TryFrom<String> for Instant {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let at = Timestamp::parse_rfc3339(&text).ok().filter(|at| at.as_secs() < MAX_SECONDS);
        at.map(Self).ok_or_else(|| "expected a time such as `2026-12-18T18:00:00+01:00`, before 2200".to_owned())
    }
}

impl From<Instant> for String {
    fn from(instant: Instant) -> Self {
        instant.0.to_string()
    }
}

/// Why there is a freeze, for those whom it stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(String);
text_newtype!(Reason);

impl TryFrom<String> for Reason {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let plain = !text.trim().is_empty()
            && text.chars().count() <= MAX_REASON_CHARS
            && !text.chars().any(|c| c.is_control() || crate::domain::action::is_invisible(c));
        if plain { Ok(Self(text)) } else { Err(format!("expected one line of at most {MAX_REASON_CHARS} characters")) }
    }
}

/// A regular expression over a parameter's value. It runs in linear time, whatever it is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinearPattern(String);
text_newtype!(LinearPattern);

impl TryFrom<String> for LinearPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() || text.len() > MAX_PATTERN_BYTES {
            return Err(format!("expected a pattern of 1 to {MAX_PATTERN_BYTES} bytes"));
        }
        match regex::RegexBuilder::new(&text).size_limit(MAX_PATTERN_SIZE).build() {
            Ok(_) => Ok(Self(text)),
            Err(regex::Error::CompiledTooBig(_)) => Err("the pattern repeats too much to be compiled".to_owned()),
            Err(error) => {
                let why = error.to_string().lines().last().unwrap_or_default().chars().take(120).collect::<String>();
                Err(format!("not a pattern without look-around and back-references: {why}"))
            }
        }
    }
}

/// The start of canonical paths: segments as in a call's path, with or without a slash behind the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPrefix(String);
text_newtype!(PathPrefix);

impl TryFrom<String> for PathPrefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.strip_suffix('/').unwrap_or(&text).parse::<CallPath>() {
            Ok(_) => Ok(Self(text)),
            Err(_) => {
                Err("expected the start of a decoded path such as `/payroll`, without escapes or dots".to_owned())
            }
        }
    }
}

/// The windows that the broker counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Window(u64);

impl TryFrom<u64> for Window {
    type Error = String;

    fn try_from(seconds: u64) -> Result<Self, String> {
        let known = crate::domain::policy::WINDOWS.contains(&seconds);
        if known { Ok(Self(seconds)) } else { Err("expected a window of 60, 3600 or 86400 seconds".to_owned()) }
    }
}

impl From<Window> for u64 {
    fn from(window: Window) -> Self {
        window.0
    }
}

/// Whether calls of such an act may go without a mandate at all.
pub(super) fn is_harmless(tier: Tier, reversibility: Reversibility) -> bool {
    tier == Tier::Low && reversibility == Reversibility::ReadOnly
}
