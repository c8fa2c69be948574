//! Statements over many rows, one round trip to SQLite's thread each.
//!
//! A group mostly has some dozens of rows. There is a text for every number of rows up to [`MOST`], so that such a group
//! takes one statement and each text stays prepared.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

use super::transaction::Statements;

/// Rows a statement at the most; SQLite takes 32,766 values a statement.
pub(super) const MOST: usize = 96;

/// One kind of statement: the text for `n` rows at `n - 1`.
#[derive(Debug, Clone)]
pub(super) struct Batch(Vec<Arc<str>>);

impl Batch {
    /// `INSERT INTO … VALUES` with `columns` values a row.
    pub(super) fn insert(head: &str, columns: usize) -> Self {
        Self::insert_between("", head, columns, "")
    }

    /// As [`Batch::insert`], between other statements.
    pub(super) fn insert_between(before: &str, head: &str, columns: usize, after: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(","));
        Self::new(|rows| format!("{before}{head} VALUES {}{after}", vec![row.as_str(); rows].join(",")))
    }

    /// `… IN (…)`. To be run by [`Batch::over`].
    pub(super) fn keys(head: &str) -> Self {
        Self::new(|rows| format!("{head} IN ({})", vec!["?"; rows].join(",")))
    }

    fn new(text: impl Fn(usize) -> String) -> Self {
        Self((1..=MOST).map(|rows| text(rows).into()).collect())
    }

    /// The statements that together take exactly `rows` rows, and how many each takes.
    pub(super) fn exact(&self, mut rows: usize) -> impl Iterator<Item = (usize, Statements)> {
        std::iter::from_fn(move || {
            let size = rows.min(MOST);
            let sql = self.0.get(size.checked_sub(1)?)?;
            rows -= size;
            Some((size, statement(sql)))
        })
    }

    /// The text for `rows` rows, of which there are at least one and at most [`MOST`].
    pub(super) fn of(&self, rows: usize) -> Option<Statements> {
        self.0.get(rows.checked_sub(1)?).map(statement)
    }

    /// For each part of `keys` a statement with the part's keys bound.
    pub(super) fn over(&self, keys: &[[u8; 16]]) -> impl Iterator<Item = Statements> {
        keys.chunks(MOST).filter_map(|part| {
            let sql = self.0.get(part.len().checked_sub(1)?)?;
            Some(part.iter().fold(statement(sql), |query, key| query.bind(key.to_vec())))
        })
    }
}

/// The texts are made of constants above, never of input.
fn statement(sql: &Arc<str>) -> Statements {
    sqlx::query(AssertSqlSafe(Arc::clone(sql)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_rows_is_taken_exactly_once() {
        let batch = Batch::insert("INSERT INTO t", 2);
        for rows in 0..1100 {
            assert_eq!(batch.exact(rows).map(|(n, _)| n).sum::<usize>(), rows);
        }
        assert_eq!(batch.exact(MOST).count(), 1, "a group of some dozens is one statement");
    }
}
