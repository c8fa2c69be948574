//! Entries that were taken out of the file: which they are, and whether the log itself says so.
//!
//! The table that marks archived blocks is no part of the tree, so whoever can write the file can write it. The entry
//! `ledger_archived` is: rows that are gone without one were dropped, whatever the table says.

use std::ops::Range;

use serde::Deserialize;

use crate::domain::ledger::EventType;

/// What was not read, and what entries say was archived.
#[derive(Debug, Default)]
pub(super) struct Taken {
    unread: Vec<Range<u64>>,
    announced: Vec<Range<u64>>,
}

/// The members of an entry that matter here.
#[derive(Deserialize)]
struct Announcement {
    detail: Span,
}

#[derive(Deserialize)]
struct Span {
    first: String,
    end: String,
}

impl Taken {
    /// The entry `seq` has no bytes here. Numbers come in order.
    pub(super) fn not_read(&mut self, seq: u64) {
        match self.unread.last_mut() {
            Some(range) if range.end == seq => range.end += 1,
            _ => self.unread.push(seq..seq + 1),
        }
    }

    /// An entry of the log with its bytes as they were hashed.
    pub(super) fn read(&mut self, event_type: &str, body: &[u8]) {
        if event_type != EventType::LedgerArchived.as_str() {
            return;
        }
        let span = serde_json::from_slice::<Announcement>(body).ok().map(|entry| entry.detail);
        let bounds = span.and_then(|span| span.first.parse().ok().zip(span.end.parse().ok()));
        self.announced.extend(bounds.map(|(first, end)| first..end));
    }

    /// The first entry that is not here and that no entry says was archived.
    pub(super) fn unannounced(&self) -> Option<u64> {
        let covered = |seq: u64| self.announced.iter().any(|range| range.contains(&seq));
        // Within a range, the first number that is not covered is its start or the end of an announcement.
        let candidates = |range: &Range<u64>| {
            let ends = self.announced.iter().map(|a| a.end).filter(|end| range.contains(end));
            let mut all: Vec<u64> = std::iter::once(range.start).chain(ends).collect();
            all.sort_unstable();
            all.into_iter().find(|seq| !covered(*seq))
        };
        self.unread.iter().find_map(candidates)
    }

    pub(super) fn into_unread(self) -> Vec<Range<u64>> {
        self.unread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First numbers and ends.
    type Spans<'a> = &'a [(u64, u64)];

    fn taken(unread: Spans<'_>, announced: Spans<'_>) -> Taken {
        let mut taken = Taken::default();
        unread.iter().flat_map(|(start, end)| *start..*end).for_each(|seq| taken.not_read(seq));
        for (start, end) in announced {
            let body = format!(r#"{{"event_type":"ledger_archived","detail":{{"first":"{start}","end":"{end}"}}}}"#);
            taken.read("ledger_archived", body.as_bytes());
        }
        taken
    }

    #[test]
    fn every_entry_that_is_gone_must_be_announced() {
        let cases: [(Spans<'_>, Spans<'_>, Option<u64>); 7] = [
            (&[(0, 10)], &[(0, 256)], None),
            (&[], &[], None),
            (&[(3, 5)], &[], Some(3)),
            (&[(0, 300)], &[(0, 256)], Some(256)),
            (&[(0, 300)], &[(256, 512), (0, 256)], None),
            (&[(0, 3), (700, 702)], &[(0, 256)], Some(700)),
            (&[(10, 20)], &[(15, 30)], Some(10)),
        ];
        for (unread, announced, first) in cases {
            assert_eq!(taken(unread, announced).unannounced(), first, "{unread:?} {announced:?}");
        }
    }

    #[test]
    fn ranges_are_told_whole() {
        assert_eq!(taken(&[(0, 3), (5, 6), (6, 9)], &[]).into_unread(), [0..3, 5..9]);
    }

    #[test]
    fn only_the_entry_of_that_kind_announces() {
        let mut taken = taken(&[(1, 2)], &[]);
        taken.read("service_started", br#"{"detail":{"first":"0","end":"256"}}"#);
        taken.read("ledger_archived", br#"{"detail":{"first":"0"}}"#);
        assert_eq!(taken.unannounced(), Some(1));
    }
}
