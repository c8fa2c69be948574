//! What the single differences of a pass mean, told from the signed roots.

use std::collections::HashSet;
use std::ops::Range;

use super::scan::{Difference, Scan, Suspect, root_of};
use super::{BLOCK, BLOCK_LEVEL, Tampering};
use crate::domain::id::Sha256Digest;
use crate::domain::ledger::{Frontier, LeafHash, Subtree};

impl Scan<'_> {
    /// Tells from the roots what the single differences mean.
    pub(super) fn judge(&mut self) {
        let proven = !self.gap && self.frontier.root() == self.checkpoint.root();
        let edge = Frontier::from_bytes(&self.head.frontier)
            .filter(|edge| edge.size() == self.checkpoint.size() && edge.root() == self.checkpoint.root());
        if edge.is_none() {
            self.find(Tampering::Edited, None, "the stored right edge of the tree does not give the signed root");
        }
        let differences = std::mem::take(&mut self.differences);
        if proven {
            for d in &differences {
                self.find(Tampering::Edited, d.seq, "the leaf hash kept for it was changed; the entry is intact");
            }
            for mark in std::mem::take(&mut self.contradicted) {
                let detail = format!("{} over {} entries has another root than this log", mark.whose, mark.size);
                self.find(Tampering::Forked, None, detail);
            }
            return;
        }
        self.explain_differences(&differences);
        if self.gap || !differences.is_empty() {
            return;
        }
        match self.suspect.take().or_else(|| self.suspect_of_edge(edge.as_ref()?)) {
            Some(suspect) => self.explain_suspect(&suspect),
            None => self.find(Tampering::Forked, None, "the log does not give the root that was signed for its size"),
        }
    }

    /// Says of entries that differ from their kept leaves whether they changed places, moved up or were rewritten.
    fn explain_differences(&mut self, differences: &[Difference]) {
        let kept: HashSet<_> = differences.iter().map(|d| d.kept).collect();
        let actual: HashSet<_> = differences.iter().map(|d| d.actual).collect();
        if let [first, second, ..] = differences
            && kept != actual
            && first.actual == second.kept
            && first.seq + 1 == second.seq
        {
            self.find(Tampering::Dropped, first.seq, "it is gone and the entries behind it were renumbered");
            return;
        }
        for d in differences {
            if kept.contains(&d.actual) && actual.contains(&d.kept) {
                self.find(Tampering::Reordered, d.seq, "it stands in the place of another entry");
            } else {
                self.find(Tampering::Edited, d.seq, "its bytes do not give the leaf hash that was kept for it");
            }
        }
    }

    /// The open block if it contradicts the signed right edge, or else the full blocks that do.
    fn suspect_of_edge(&self, edge: &Frontier) -> Option<Suspect> {
        let mut nodes = edge.nodes().zip(self.frontier.nodes());
        let ((Subtree { level, index }, _), _) = nodes.find(|((_, signed), (_, actual))| signed != actual)?;
        let rewritten = index << level..(index + 1) << level;
        if level >= BLOCK_LEVEL {
            let root = edge.root();
            return Some(Suspect { start: rewritten.start, leaves: Vec::new(), root, rewritten });
        }
        let of_block = edge.nodes().filter(|(subtree, _)| subtree.level < BLOCK_LEVEL).map(|(_, root)| root);
        let root = Frontier::from_nodes(edge.size() % BLOCK, of_block.collect())?.root();
        Some(Suspect { start: edge.size() / BLOCK * BLOCK, leaves: self.open_block.clone(), root, rewritten })
    }

    /// Tries whether two entries of the stretch changed places; if not, all that is known is that one was rewritten.
    fn explain_suspect(&mut self, suspect: &Suspect) {
        if let Some(offset) = exchanged(&suspect.leaves, suspect.root) {
            let detail = "it stands in the place of another entry, together with its leaf hash";
            self.find(Tampering::Reordered, suspect.start + offset, detail);
        } else {
            let Range { start, end } = suspect.rewritten;
            let detail = format!("an entry of {start}..{end} was rewritten together with its leaf hash");
            self.find(Tampering::Edited, start, detail);
        }
    }
}

/// The lower position of the two leaves that must change places to give `root`. At most 256 leaves, so at most 32,640
/// pairs.
fn exchanged(leaves: &[LeafHash], root: Sha256Digest) -> Option<u64> {
    let mut leaves = leaves.to_vec();
    for low in 0..leaves.len() {
        for high in low + 1..leaves.len() {
            leaves.swap(low, high);
            if root_of(&leaves) == root {
                return u64::try_from(low).ok();
            }
            leaves.swap(low, high);
        }
    }
    None
}
