//! The names of tiles and bundles of entries, and what is in them (C2SP tlog-tiles).
//!
//! ```text
//! <L>/<N>[.p/<W>]        level L, tile N: the W (256 without .p) hashes from N * 256 on, 32 bytes each
//! entries/<N>[.p/<W>]    the entries under level 0's tile N, each behind its length as a big-endian uint16
//! ```
//!
//! `N` is in groups of three digits, all but the last with an `x` before them: `x001/x234/067`. A name has one spelling.
//! An entry is at most [`MAX_ENTRY_BYTES`] long, because its length must fit: the store refuses a longer one.

use std::fmt;
use std::str::FromStr;

/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;
/// The largest entry: its length is a uint16 in a bundle.
pub const MAX_ENTRY_BYTES: usize = u16::MAX as usize;
/// The longest name: the digits of the largest index with what stands between them, level and width.
const MAX_PATH: usize = 48;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TileKind {
    /// Hashes of the tree at this level; each stands for `256^level` entries.
    Hashes(u8),
    /// The entries themselves.
    Entries,
}

/// The name of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TilePath {
    /// What it holds.
    pub kind: TileKind,
    /// Which one of its level.
    pub index: u64,
    /// How many hashes or entries, 1 to [`TILE_WIDTH`].
    pub width: u16,
}

/// Not the name of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tile is `<level>/<index>` or `entries/<index>`, with `.p/<width>` where it is not full")]
pub struct TilePathError;

impl TilePath {
    /// Whether it holds all that it can, and so never changes.
    pub fn is_full(self) -> bool {
        self.width == TILE_WIDTH
    }

    /// Whether a tree of `size` entries has it.
    pub fn is_in(self, size: u64) -> bool {
        let level = match self.kind {
            TileKind::Hashes(level) => level,
            TileKind::Entries => 0,
        };
        let hashes = size.checked_shr(u32::from(level) * 8).unwrap_or(0);
        let end = self.index.checked_mul(u64::from(TILE_WIDTH)).and_then(|first| first.checked_add(self.width.into()));
        end.is_some_and(|end| end <= hashes)
    }

    /// The number of its first hash or entry.
    pub fn first(self) -> u64 {
        self.index.saturating_mul(u64::from(TILE_WIDTH))
    }
}

impl FromStr for TilePath {
    type Err = TilePathError;

    fn from_str(text: &str) -> Result<Self, TilePathError> {
        let parsed = (text.len() <= MAX_PATH).then(|| parse(text)).flatten();
        // One spelling: what is read is what would be written.
        parsed.filter(|path| path.to_string() == text).ok_or(TilePathError)
    }
}

fn parse(text: &str) -> Option<TilePath> {
    let (kind, rest) = text.split_once('/')?;
    let kind = match kind {
        "entries" => TileKind::Entries,
        level => TileKind::Hashes(level.parse().ok().filter(|level| *level < 64)?),
    };
    let (index, width) = match rest.split_once(".p/") {
        Some((index, width)) => (index, width.parse().ok().filter(|width| (1..TILE_WIDTH).contains(width))?),
        None => (rest, TILE_WIDTH),
    };
    let digits: String = index.split('/').map(|group| group.strip_prefix('x').unwrap_or(group)).collect();
    Some(TilePath { kind, index: digits.parse().ok()?, width })
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "{level}/")?,
            TileKind::Entries => f.write_str("entries/")?,
        }
        let mut groups = vec![format!("{:03}", self.index % 1000)];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(format!("x{:03}", rest % 1000));
            rest /= 1000;
        }
        groups.reverse();
        f.write_str(&groups.join("/"))?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

/// The bundle of these entries; `None` if one of them is longer than a bundle can say.
pub fn entry_bundle<'e>(entries: impl IntoIterator<Item = &'e [u8]>) -> Option<Vec<u8>> {
    let mut bundle = Vec::new();
    for entry in entries {
        bundle.extend_from_slice(&u16::try_from(entry.len()).ok()?.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Some(bundle)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_those_of_the_specification() {
        let path = |kind, index, width| TilePath { kind, index, width };
        for (text, expected) in [
            ("0/x001/x234/067", path(TileKind::Hashes(0), 1_234_067, 256)),
            ("2/000.p/1", path(TileKind::Hashes(2), 0, 1)),
            ("entries/x001/000.p/255", path(TileKind::Entries, 1000, 255)),
            ("63/999", path(TileKind::Hashes(63), 999, 256)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
            assert_eq!(expected.to_string(), text);
        }
    }

    #[test]
    fn a_second_spelling_is_no_name() {
        for text in [
            "",
            "0",
            "0/",
            "/000",
            "00/000",
            "64/000",
            "-1/000",
            "0/0",
            "0/00",
            "0/0000",
            "0/x000/001",
            "0/1234/067",
            "0/x001/x067",
            "0/x1/067",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/01",
            "0/000.p/",
            "0/000.p",
            "0/000/",
            "0/ 000",
            "0/+00",
            "entries/x001/000.p/1/",
            "Entries/000",
            "0/000.p/1.p/1",
            "0//000",
            "data/000",
            "0/x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(text.parse::<TilePath>(), Err(TilePathError), "{text}");
        }
    }

    #[test]
    fn a_tree_has_the_tiles_that_the_specification_counts() {
        // 70,000 entries: 273 full tiles and one of 112; one full and one of 17; one of 1.
        let has = |text: &str| text.parse::<TilePath>().unwrap().is_in(70_000);
        for text in ["0/272", "0/273.p/112", "1/000", "1/001.p/17", "2/000.p/1", "entries/273.p/112", "entries/000"] {
            assert!(has(text), "{text}");
        }
        for text in ["0/273", "0/273.p/113", "0/274.p/1", "1/001", "1/001.p/18", "2/000.p/2", "3/000.p/1", "63/000.p/1"]
        {
            assert!(!has(text), "{text}");
        }
    }

    #[test]
    fn a_bundle_says_each_length_and_takes_none_that_it_cannot_say() {
        let entries = [&b"ab"[..], b"", b"c"];
        assert_eq!(entry_bundle(entries), Some(b"\0\x02ab\0\0\0\x01c".to_vec()));
        assert!(entry_bundle([&vec![0; MAX_ENTRY_BYTES][..]]).is_some());
        assert!(entry_bundle([&vec![0; MAX_ENTRY_BYTES + 1][..]]).is_none());
    }

    proptest! {
        #[test]
        fn every_name_is_read_back(level in 0_u8..64, index in 0_u64..1_000_000_000_000, width in 1_u16..=256) {
            for kind in [TileKind::Hashes(level), TileKind::Entries] {
                let path = TilePath { kind, index, width };
                prop_assert_eq!(path.to_string().parse(), Ok(path));
            }
        }

        #[test]
        fn no_text_is_a_name_in_two_ways(text in "[0-9x/.p]{0,14}") {
            if let Ok(path) = text.parse::<TilePath>() {
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }
}
