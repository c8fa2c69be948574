//! The system's clock and random generator: the one place that asks the operating system for either.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::domain::time::Timestamp;
use crate::service::ports::{Clock, Entropy};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Reads the operating system's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    /// A clock before 1970 reads 1970: everything is then not yet valid, so nothing is accepted.
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else must ask")]
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic_micros(&self) -> u64 {
        u64::try_from(START.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// The operating system's random generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn bytes(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        // If there were no random bits, ids of one millisecond would collide and the store would refuse the second: a
        // denial, never two things of one name.
        let _ = aws_lc_rs::rand::fill(&mut bytes);
        bytes
    }
}
