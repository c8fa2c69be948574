//! Time and chance.

use crate::domain::time::Timestamp;

/// What time it is. One implementation reads the system's clock; tests hand one in.
pub trait Clock: Send + Sync {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;

    /// Monotonic microseconds since an arbitrary start, for durations only.
    fn monotonic_micros(&self) -> u64;
}

/// Where the random bits of UUIDv7s come from (a cryptographic generator).
pub trait Entropy: Send + Sync {
    /// Ten fresh random bytes.
    fn bytes(&self) -> [u8; 10];
}
