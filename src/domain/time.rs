//! Time is an argument. Instants are UTC milliseconds; JWT claims are whole seconds (RFC 7519 NumericDate).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// 9999-12-31T23:59:59.999Z, the last instant that RFC 3339 can write.
const MAX_MILLIS: u64 = 253_402_300_799_999;

/// An instant between 1970 and 9999, in UTC, to the millisecond. Serialised as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Milliseconds since the epoch; later than the year 9999 is the end of 9999.
    pub fn from_millis(millis: u64) -> Self {
        Self(millis.min(MAX_MILLIS))
    }

    /// Seconds since the epoch (a NumericDate); later than the year 9999 is the end of 9999.
    pub fn from_secs(secs: u64) -> Self {
        Self::from_millis(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// This instant without its milliseconds: what a NumericDate can hold.
    pub fn truncate_to_secs(self) -> Self {
        Self::from_secs(self.as_secs())
    }

    /// `duration` later.
    pub fn plus(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// `duration` earlier, not before the epoch.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Parses RFC 3339 with any offset.
    ///
    /// # Errors
    /// When the text is not RFC 3339 or lies outside 1970 to 9999.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimeError> {
        let error = || TimeError(text.chars().take(40).collect());
        let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| error())?;
        let millis = u64::try_from(time.unix_timestamp_nanos() / 1_000_000).map_err(|_| error())?;
        Ok(Self::from_millis(millis))
    }
}

/// A text that is not an instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an RFC 3339 time between 1970 and 9999")]
pub struct TimeError(String);

impl fmt::Display for Timestamp {
    /// `2026-11-21T10:00:00.000Z`, always with milliseconds, so that texts sort as instants do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.as_secs()).unwrap_or(0);
        let t = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        // By hand, because every entry of the ledger says when: a tenth of the time of `write!`.
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let fields = [
            (0..4, u64::from(t.year().unsigned_abs())),
            (5..7, u64::from(u8::from(t.month()))),
            (8..10, u64::from(t.day())),
            (11..13, u64::from(t.hour())),
            (14..16, u64::from(t.minute())),
            (17..19, u64::from(t.second())),
            (20..23, self.0 % 1000),
        ];
        for (place, mut value) in fields {
            for digit in text.get_mut(place).unwrap_or_default().iter_mut().rev() {
                *digit = b'0' + (value % 10) as u8;
                value /= 10;
            }
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse_rfc3339(&text).map_err(serde::de::Error::custom)
    }
}

/// How long a mandate may live: 1 to 900 seconds, never more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Ttl(u16);

impl Ttl {
    /// Five minutes, what a mandate gets when nobody asks for less.
    pub const DEFAULT: Self = Self(300);
    /// Fifteen minutes, above which no configuration goes.
    pub const MAX: Self = Self(900);

    /// `seconds` as a lifetime.
    ///
    /// # Errors
    /// When `seconds` is 0 or above 900.
    pub fn from_secs(seconds: u64) -> Result<Self, TtlError> {
        u16::try_from(seconds).ok().filter(|s| (1..=Self::MAX.0).contains(s)).map(Self).ok_or(TtlError(seconds))
    }

    /// The lifetime in seconds.
    pub fn as_secs(self) -> u64 {
        u64::from(self.0)
    }

    /// The lifetime as a duration.
    pub fn as_duration(self) -> Duration {
        Duration::from_secs(self.as_secs())
    }
}

/// A lifetime outside 1 to 900 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a lifetime of {0} seconds is outside 1 to 900")]
pub struct TtlError(u64);

impl TryFrom<u64> for Ttl {
    type Error = TtlError;

    fn try_from(seconds: u64) -> Result<Self, TtlError> {
        Self::from_secs(seconds)
    }
}

impl From<Ttl> for u64 {
    fn from(ttl: Ttl) -> Self {
        ttl.as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_in_one_way_and_read_back() {
        let t = Timestamp::from_millis(1_790_000_000_007);
        assert_eq!(t.to_string(), "2026-09-21T14:13:20.007Z");
        assert_eq!(Timestamp::parse_rfc3339(&t.to_string()).unwrap(), t);
        assert_eq!(Timestamp::parse_rfc3339("2026-09-21T16:13:20.007+02:00").unwrap(), t);
        assert!(Timestamp::parse_rfc3339("1969-12-31T23:59:59Z").is_err());
    }

    #[test]
    fn arithmetic_saturates_and_never_wraps() {
        assert_eq!(Timestamp::from_secs(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::from_secs(1).minus(Duration::from_secs(5)), Timestamp::from_secs(0));
        assert_eq!(Timestamp::from_secs(1).since(Timestamp::from_secs(5)), Duration::ZERO);
    }

    #[test]
    fn a_lifetime_is_one_second_to_fifteen_minutes() {
        assert!(Ttl::from_secs(0).is_err());
        assert!(Ttl::from_secs(901).is_err());
        assert_eq!(Ttl::from_secs(900).unwrap(), Ttl::MAX);
        assert!(serde_json::from_str::<Ttl>("1.5").is_err());
        assert!(serde_json::from_str::<Ttl>("-1").is_err());
    }
}
