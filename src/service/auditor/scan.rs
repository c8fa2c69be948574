//! One pass over the log, block by block.

use std::collections::VecDeque;
use std::ops::Range;

use futures_util::future::join;

use super::taken::Taken;
use super::{AuditReport, BLOCK, Columns, Edge, Finding, LogRow, LogSource, Scope, StoredBlock, StoredHead, Tampering};
use crate::domain::id::Sha256Digest;
use crate::domain::ledger::{Checkpoint, Frontier, LeafHash, LogVerifier, Subtree};
use crate::service::ports::StoreError;

/// How many findings are reported, and how many differing entries are compared with each other.
const MAX_FINDINGS: usize = 100;
const MAX_DIFFERENCES: usize = 4096;
/// How many earlier checkpoints are read at a time.
const HISTORY_PAGE: u32 = 512;

/// An entry whose bytes do not give the leaf that is kept for it.
pub(super) struct Difference {
    pub(super) seq: u64,
    pub(super) actual: LeafHash,
    pub(super) kept: LeafHash,
}

/// A stretch of the log that is consistent in itself and does not give the root that is kept for it.
pub(super) struct Suspect {
    pub(super) start: u64,
    pub(super) leaves: Vec<LeafHash>,
    pub(super) root: Sha256Digest,
    /// The entries of it, or before it, of which one was rewritten if none were exchanged.
    pub(super) rewritten: Range<u64>,
}

/// A checkpoint other than the head, signed by the log's key.
pub(super) struct Mark {
    pub(super) size: u64,
    root: Sha256Digest,
    pub(super) whose: &'static str,
}

/// The entries of one block, or of the end of the log, as they are kept.
struct Stretch {
    start: u64,
    end: u64,
    rows: Vec<LogRow>,
    /// Of a full block.
    kept: Option<StoredBlock>,
}

impl Stretch {
    async fn read(source: &dyn LogSource, start: u64, size: u64) -> Result<Self, StoreError> {
        let end = size.min(start + BLOCK);
        let rows = source.rows(start, end).await?;
        let kept = if end - start == BLOCK { Some(source.block(start / BLOCK).await?) } else { None };
        Ok(Self { start, end, rows, kept })
    }
}

pub(super) struct Scan<'a> {
    source: &'a dyn LogSource,
    verifier: &'a LogVerifier,
    pub(super) head: StoredHead,
    pub(super) checkpoint: Checkpoint,
    /// The tree over the entries' bytes.
    pub(super) frontier: Frontier,
    pub(super) open_block: Vec<LeafHash>,
    findings: Vec<Finding>,
    pub(super) differences: Vec<Difference>,
    pub(super) suspect: Option<Suspect>,
    /// Signed sizes whose roots the bytes do not give.
    pub(super) contradicted: Vec<Mark>,
    published: VecDeque<Mark>,
    history: VecDeque<Mark>,
    history_next: Option<u64>,
    /// Set when an entry is missing, after which roots say nothing more.
    pub(super) gap: bool,
    found: u64,
    taken: Taken,
}

impl<'a> Scan<'a> {
    pub(super) fn new(
        source: &'a dyn LogSource,
        verifier: &'a LogVerifier,
        head: StoredHead,
        checkpoint: Checkpoint,
        frontier: Frontier,
    ) -> Self {
        let start = frontier.size();
        Self {
            source,
            verifier,
            head,
            checkpoint,
            frontier,
            open_block: Vec::new(),
            findings: Vec::new(),
            differences: Vec::new(),
            suspect: None,
            contradicted: Vec::new(),
            published: VecDeque::new(),
            history: VecDeque::new(),
            history_next: Some(start),
            gap: false,
            found: start,
            taken: Taken::default(),
        }
    }

    pub(super) async fn run(mut self, scope: &Scope<'_>) -> Result<AuditReport, StoreError> {
        self.read_published(scope.published);
        let size = self.checkpoint.size();
        let first = self.frontier.size();
        let last = scope.end.map_or(size, |end| end.max(first + 1).next_multiple_of(BLOCK).min(size));
        let (source, end) = (self.source, last.min(self.head.rows));
        let read = async |start: u64| if start < end { Some(Stretch::read(source, start, size).await) } else { None };
        let mut next = read(first).await.transpose()?;
        while let Some(stretch) = next {
            let done = stretch.end;
            // The store reads the next block while this one is hashed.
            let (ahead, judged) = join(read(done), self.block(stretch)).await;
            judged?;
            next = ahead.transpose()?;
            (scope.progress)(done - first, last - first);
        }
        self.rest(size).await?;
        self.check_ends();
        if last == size {
            self.check_taken();
        }
        self.check_later_marks().await?;
        self.judge();
        self.findings.sort_by_key(|f| f.seq.unwrap_or(u64::MAX));
        self.findings.truncate(MAX_FINDINGS);
        Ok(AuditReport {
            size: self.found,
            root: self.frontier.root(),
            checkpoint: Some(self.checkpoint),
            findings: self.findings,
            unread: self.taken.into_unread(),
            edge: Edge { frontier: self.frontier, open_block: self.open_block },
        })
    }

    pub(super) fn find(&mut self, kind: Tampering, seq: impl Into<Option<u64>>, detail: impl Into<String>) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding { kind, seq: seq.into(), detail: detail.into() });
        }
    }

    /// How much was noticed so far.
    fn faults(&self) -> usize {
        self.findings.len() + self.differences.len()
    }

    fn read_published(&mut self, notes: &[String]) {
        let mut marks = Vec::new();
        for note in notes {
            match self.verifier.verify(note) {
                Ok(c) => marks.push(Mark { size: c.size(), root: c.root(), whose: "a published checkpoint" }),
                Err(error) => {
                    self.find(Tampering::CheckpointSignature, None, format!("a published checkpoint: {error}"))
                }
            }
        }
        marks.sort_by_key(|m| m.size);
        let forked = marks.iter().zip(marks.iter().skip(1)).find(|(a, b)| a.size == b.size && a.root != b.root);
        if let Some((mark, _)) = forked {
            let detail = format!("two published checkpoints over {} entries have different roots", mark.size);
            self.find(Tampering::Forked, None, detail);
        }
        self.published = marks.into();
        self.take_marks_at(self.frontier.size());
    }

    /// Checks the entries of one block and adds them to the tree.
    async fn block(&mut self, stretch: Stretch) -> Result<(), StoreError> {
        let Stretch { start, end, rows, kept } = stretch;
        let tile = kept.as_ref().and_then(|k| leaves_of(&k.leaves)).filter(|t| t.len() as u64 == end - start);
        if kept.is_some() && tile.is_none() {
            self.find(Tampering::Edited, start, "the leaf hashes that are kept of its block are gone");
        }
        let false_beside = kept.as_ref().and_then(|kept| {
            let tagged = || kept.tags.are_contradicted_by(start, &rows).then_some("the tags");
            kept.counted.is_contradicted_by(&rows).then_some("the allowed calls").or_else(tagged)
        });
        let faults = self.faults();
        let mut leaves = Vec::with_capacity(rows.len());
        let mut rows = rows.into_iter().peekable();
        for seq in start..end {
            let of_tile = usize::try_from(seq - start).ok().and_then(|i| tile.as_ref()?.get(i).copied());
            let Some(row) = rows.next_if(|row| row.seq == seq) else {
                self.missing(seq);
                continue;
            };
            let leaf = self.entry(&row, of_tile);
            leaves.push(leaf);
            self.found += 1;
            self.frontier.append(leaf);
            self.fill_history(self.frontier.size()).await?;
            self.take_marks_at(self.frontier.size());
        }
        if let Some(kept) = kept.filter(|_| !self.gap) {
            if root_of(&leaves).as_bytes() == kept.root.as_slice() {
                // Of an entry that is not what it was more is known already.
                if let Some(what) = false_beside.filter(|_| self.faults() == faults) {
                    let detail = format!("{what} that are kept of its block are not those of the entries");
                    self.find(Tampering::Edited, start, detail);
                }
            } else if let (None, Ok(root)) = (&self.suspect, kept.root.try_into()) {
                let root = Sha256Digest::from_bytes(root);
                self.suspect = Some(Suspect { start, leaves: leaves.clone(), root, rewritten: start..end });
            }
        }
        self.open_block = if end - start == BLOCK { Vec::new() } else { leaves };
        Ok(())
    }

    /// Checks one entry against what is kept about it; returns the leaf that its bytes give.
    fn entry(&mut self, row: &LogRow, of_tile: Option<LeafHash>) -> LeafHash {
        let of_row = row.leaf.as_slice().try_into().map(LeafHash::from_bytes).ok();
        if let Some(kept) = of_row.filter(|_| row.body.is_empty()) {
            self.taken.not_read(row.seq);
            return kept;
        }
        let leaf = LeafHash::of(&row.body);
        match (of_tile, of_row) {
            (Some(kept), _) | (None, Some(kept)) if kept != leaf => {
                if self.differences.len() < MAX_DIFFERENCES {
                    self.differences.push(Difference { seq: row.seq, actual: leaf, kept });
                }
            }
            (_, of_row) if of_row != Some(leaf) => {
                self.find(Tampering::Edited, row.seq, "the stored leaf hash is not that of the entry's bytes");
            }
            _ => match Columns::of_body(&row.body) {
                Some(columns) if Some(&columns) == row.columns.as_ref() => {
                    self.taken.read(&columns.event_type, &row.body)
                }
                _ => self.find(Tampering::Edited, row.seq, "an index column is not what the entry's bytes say"),
            },
        }
        leaf
    }

    /// Behind the part that was asked for: the kept hashes alone, for the signed root to vouch for.
    async fn rest(&mut self, size: u64) -> Result<(), StoreError> {
        while !self.gap && self.frontier.size() < size.min(self.head.rows) {
            let at = self.frontier.size();
            let fits = |level: &u8| at.trailing_zeros() >= u32::from(*level) && size - at >= 1 << level;
            let level = (0..63_u8).rev().find(fits).unwrap_or_default();
            let root = self.source.subtree(Subtree { level, index: at >> level }).await?;
            let Some(root) = root.filter(|_| at.is_multiple_of(1 << level)) else {
                self.gap = true;
                self.find(Tampering::Dropped, at, "the hashes that are kept behind the verified part are not whole");
                return Ok(());
            };
            self.frontier.append_subtree(level, root);
        }
        Ok(())
    }

    /// What is gone from the file was archived only if an entry says so; entries that say it come later and never go.
    fn check_taken(&mut self) {
        if let Some(seq) = self.taken.unannounced() {
            self.find(Tampering::Dropped, seq, "it is said to be archived, and no entry says that it was taken out");
        }
    }

    fn missing(&mut self, seq: u64) {
        self.gap = true;
        if seq < self.head.rows {
            self.find(Tampering::Dropped, seq, "there is no entry of that number and there are later ones");
        }
    }

    fn check_ends(&mut self) {
        let (size, rows) = (self.checkpoint.size(), self.head.rows);
        if rows < size {
            self.gap = true;
            let detail = format!("the signed checkpoint covers {size} entries, the log ends after {rows}");
            self.find(Tampering::Truncated, rows, detail);
        }
        if rows > size {
            let detail = format!("the signed checkpoint covers {size} entries, there are rows up to {}", rows - 1);
            self.find(Tampering::Appended, size, detail);
        }
    }

    /// Reads earlier checkpoints until one of more than `size` entries is at hand, or all are.
    async fn fill_history(&mut self, size: u64) -> Result<(), StoreError> {
        while let Some(from) = self.history_next
            && self.history.back().is_none_or(|mark| mark.size < size)
        {
            let page = self.source.history(from, HISTORY_PAGE).await?;
            self.history_next = page.last().map(|last| last.size + 1);
            for stored in page {
                match self.verifier.verify(&stored.note) {
                    Ok(c) if c.size() == stored.size => {
                        let mark = Mark { size: c.size(), root: c.root(), whose: "an earlier checkpoint" };
                        self.history.push_back(mark);
                    }
                    Ok(_) => {
                        let detail = "an earlier checkpoint is filed under another size than it was signed for";
                        self.find(Tampering::CheckpointSignature, stored.size, detail);
                    }
                    Err(error) => {
                        let detail = format!("an earlier checkpoint: {error}");
                        self.find(Tampering::CheckpointSignature, stored.size, detail);
                    }
                }
            }
        }
        Ok(())
    }

    /// Compares the checkpoints of exactly `size` entries with the tree.
    fn take_marks_at(&mut self, size: u64) {
        for marks in [&mut self.published, &mut self.history] {
            while let Some(mark) = marks.pop_front_if(|mark| mark.size <= size) {
                // Smaller ones lie before the start of this pass and are not judged.
                if mark.size == size && !self.gap && mark.root != self.frontier.root() {
                    self.contradicted.push(mark);
                }
            }
        }
    }

    /// A checkpoint beyond the head means that the head was put back.
    async fn check_later_marks(&mut self) -> Result<(), StoreError> {
        let size = self.checkpoint.size();
        self.fill_history(u64::MAX).await?;
        let latest = self.published.iter().chain(&self.history).filter(|m| m.size > size).max_by_key(|m| m.size);
        if let Some(latest) = latest {
            let detail = format!("{} was signed for {} entries, the newest covers {size}", latest.whose, latest.size);
            self.find(Tampering::Truncated, size, detail);
        }
        Ok(())
    }
}

fn leaves_of(bytes: &[u8]) -> Option<Vec<LeafHash>> {
    let (leaves, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| leaves.iter().map(|leaf| LeafHash::from_bytes(*leaf)).collect())
}

pub(super) fn root_of(leaves: &[LeafHash]) -> Sha256Digest {
    let mut frontier = Frontier::new();
    leaves.iter().for_each(|leaf| frontier.append(*leaf));
    frontier.root()
}
