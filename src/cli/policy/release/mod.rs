//! From a folder of policy to a release that brokers take: build, sign, verify, push, and the key for it.

pub(super) mod build;
pub(super) mod keygen;
pub(super) mod push;
pub(super) mod sign;
pub(super) mod verify;

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::adapters::bundle_keys::ReleaseSigner;
use crate::domain::time::Timestamp;

/// Until when a release is good: so long from now, or an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expiry {
    In(Duration),
    At(Timestamp),
}

impl Expiry {
    /// Reads `30d`, `12h`, `90m` or an RFC 3339 time.
    fn parse(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected days, hours or minutes, `30d`, `12h`, `90m`, or an RFC 3339 time";
        if let Ok(at) = Timestamp::parse_rfc3339(text) {
            return Ok(Self::At(at));
        }
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(EXPECTED)?;
        let seconds = match unit {
            "d" => 24 * 3600,
            "h" => 3600,
            "m" => 60,
            _ => return Err(EXPECTED.to_owned()),
        };
        let number: u32 = number.parse().ok().filter(|number| *number > 0).ok_or(EXPECTED)?;
        Ok(Self::In(Duration::from_secs(u64::from(number) * seconds)))
    }

    fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::In(duration) => now.plus(duration).truncate_to_secs(),
            Self::At(at) => at,
        }
    }
}

/// A time that a flag says.
fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text).map_err(|error| error.to_string())
}

fn signer(path: &Path) -> anyhow::Result<ReleaseSigner> {
    ReleaseSigner::read(path).with_context(|| format!("the signing key `{}`", path.display()))
}

/// Puts a whole file where an earlier one may be: a reader sees the one or the other.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let writing = || format!("cannot write `{}`", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().permissions(mode()).tempfile_in(folder).with_context(writing)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).with_context(writing)?;
    if path.is_dir() {
        bail!("`{}` is a folder: name a file", path.display());
    }
    file.persist(path).with_context(writing)?;
    Ok(())
}

/// A release is no secret.
#[cfg(unix)]
fn mode() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o644)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_span_or_an_instant() {
        let now = Timestamp::from_millis(1_000_500);
        assert_eq!(Expiry::parse("30d").unwrap().from(now), Timestamp::from_secs(1000 + 30 * 86_400));
        assert_eq!(Expiry::parse("90m").unwrap().from(now), Timestamp::from_secs(1000 + 5400));
        let at = "2027-01-01T00:00:00Z";
        assert_eq!(Expiry::parse(at).unwrap().from(now), Timestamp::parse_rfc3339(at).unwrap());
        for bad in ["", "d", "0d", "30", "-1d", "1w", "99999999999d", "30ä"] {
            assert!(Expiry::parse(bad).is_err(), "{bad}");
        }
    }
}
