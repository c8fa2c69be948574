//! The little of Markdown that the pages need.

/// Text for a cell of a table: one line, nothing that ends the cell or starts HTML.
pub(super) fn cell(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;")
}

/// Code for a cell.
pub(super) fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{}`", text.replace('|', "\\|").replace('`', "'")) }
}

/// A table; no more than its head where there are no rows.
pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let padded = |cell: &String| if cell.is_empty() { " |".to_owned() } else { format!(" {cell} |") };
    let line = |cells: &[String]| format!("|{}\n", cells.iter().map(padded).collect::<String>());
    let names: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    let rule: Vec<String> = head.iter().map(|_| "---".to_owned()).collect();
    let mut out = line(&names) + &line(&rule);
    rows.into_iter().for_each(|row| out.push_str(&line(&row)));
    out
}
