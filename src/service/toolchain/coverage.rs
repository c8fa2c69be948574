//! Coverage in OPA's shape: `{"files": {file: {covered, not_covered, …}}, covered_lines, not_covered_lines, coverage}`,
//! and which tests take which lines.
//!
//! What is counted, and where it differs from OPA, is in `engine::suite::coverage`. Rows are counted as OPA counts them:
//! a row that a covered and an uncovered range share is in both numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use crate::domain::policy::Bundle;
use crate::domain::policy::engine::{Coverage, EngineError, FileRange, Suite, discover};

/// A test by its place in [`discover`]'s list.
pub type TestIndex = usize;

/// OPA's report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// By file.
    pub files: BTreeMap<String, FileReport>,
    /// Rows of covered ranges.
    pub covered_lines: usize,
    /// Rows of ranges that were not.
    pub not_covered_lines: usize,
    /// Per cent of both.
    pub coverage: f64,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct FileReport {
    /// Ranges taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub covered: Vec<Range>,
    /// Ranges that were not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_covered: Vec<Range>,
    /// Rows taken.
    #[serde(skip_serializing_if = "is_zero")]
    pub covered_lines: usize,
    /// Rows that were not.
    #[serde(skip_serializing_if = "is_zero")]
    pub not_covered_lines: usize,
    /// Per cent.
    #[serde(skip_serializing_if = "is_nothing")]
    pub coverage: f64,
}

/// A range of rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// Where it begins.
    pub start: Position,
    /// Where it ends.
    pub end: Position,
}

/// A position, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The line.
    pub row: usize,
    /// The column.
    pub col: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn is_nothing(percent: &f64) -> bool {
    *percent == 0.0
}

impl Report {
    /// The report, each file named as `name` says.
    pub fn of(coverage: &Coverage, name: impl Fn(&str) -> String) -> Self {
        let mut files: BTreeMap<String, FileReport> = BTreeMap::new();
        for range in &coverage.covered {
            files.entry(name(&range.file)).or_default().covered.push(Range::of(range));
        }
        for range in &coverage.missed {
            files.entry(name(&range.file)).or_default().not_covered.push(Range::of(range));
        }
        let (mut covered_lines, mut not_covered_lines) = (0, 0);
        for file in files.values_mut() {
            file.covered_lines = rows(&file.covered).len();
            file.not_covered_lines = rows(&file.not_covered).len();
            file.coverage = percent(file.covered_lines, file.not_covered_lines);
            covered_lines += file.covered_lines;
            not_covered_lines += file.not_covered_lines;
        }
        Self { files, covered_lines, not_covered_lines, coverage: percent(covered_lines, not_covered_lines) }
    }

    /// The rows that no test took, touching ones together: `file:3-5`.
    pub fn missed(&self) -> Vec<String> {
        let spans = |(file, report): (&String, &FileReport)| {
            let mut spans: Vec<(usize, usize)> = Vec::new();
            for row in rows(&report.not_covered) {
                match spans.last_mut() {
                    Some((_, last)) if *last + 1 == row => *last = row,
                    _ => spans.push((row, row)),
                }
            }
            let shown = |(first, last): (usize, usize)| {
                if first == last { format!("{file}:{first}") } else { format!("{file}:{first}-{last}") }
            };
            spans.into_iter().map(shown).collect::<Vec<_>>()
        };
        self.files.iter().flat_map(spans).collect()
    }
}

impl Range {
    fn of(range: &FileRange) -> Self {
        let position = |(row, col)| Position { row, col };
        Self { start: position(range.start), end: position(range.end) }
    }
}

fn rows(ranges: &[Range]) -> BTreeSet<usize> {
    ranges.iter().flat_map(|range| range.start.row..=range.end.row).collect()
}

fn percent(covered: usize, missed: usize) -> f64 {
    match covered + missed {
        0 => 0.0,
        all => 100.0 * covered as f64 / all as f64,
    }
}

/// Which tests take which lines, by file and line; a test is named by its place in [`discover`]'s list. Runs every test
/// in this thread, which needs a stack of 16 MiB and a text that may be evaluated here.
///
/// # Errors
/// When regorus does not take the tests.
pub fn covering(bundle: &Arc<Bundle>) -> Result<BTreeMap<(String, usize), Vec<TestIndex>>, EngineError> {
    let mut suite = Suite::new(Arc::clone(bundle))?.quietly().measured()?;
    let mut lines: BTreeMap<(String, usize), Vec<TestIndex>> = BTreeMap::new();
    for (index, item) in discover(bundle).iter().enumerate() {
        suite.run(item);
        let mut taken = Coverage::default();
        suite.covered(&mut taken);
        let rows: BTreeSet<(String, usize)> = taken
            .covered
            .iter()
            .flat_map(|range| (range.start.0..=range.end.0).map(|row| (range.file.clone(), row)))
            .collect();
        rows.into_iter().for_each(|row| lines.entry(row).or_default().push(index));
    }
    Ok(lines)
}
