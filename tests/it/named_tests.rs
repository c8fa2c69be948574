//! Whether a test that a document or a table names is there.

use std::fs;
use std::path::Path;

/// The text of a file of this repository; empty where there is none.
pub fn text_of(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap_or_default()
}

/// Whether the text has a test of that name, and not only a function.
pub fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let named = |line: &str| ["fn", "async fn"].iter().any(|kind| line.starts_with(&format!("{kind} {name}(")));
    let marked = |at: usize| {
        let mut above = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        above.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    };
    lines.iter().enumerate().any(|(at, line)| named(line) && marked(at))
}
