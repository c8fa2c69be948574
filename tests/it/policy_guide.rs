//! docs/security-teams.md as a security engineer follows it: from a clone to a release, in a repository of its own.

use regex_lite::Regex;

use crate::page::Reader;

/// Without what another time, machine or version of the policy would print otherwise.
fn plain(printed: &str) -> String {
    let mut text = printed.to_owned();
    for (from, to) in [
        (r"sha-256:[0-9a-f]{64}", "sha-256:…"),
        (r"dev-[0-9a-f]{12}", "dev-…"),
        (r"\([0-9.]+(ns|µs|ms|s)\)", "(1.29ms)"),
        (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z", "2026-12-21T17:21:29.000Z"),
        (r"(signed by +)[A-Za-z0-9_-]{43}", "${1}KFkCbr9nIhQTWryK9ejywNstB2S7LV1ubJu-t1o71Fg"),
        (r"(files +)[0-9]+", "${1}61"),
        (r"[0-9]+ files", "61 files"),
        (r"PASS: [0-9]{3,}/[0-9]{3,}", "PASS: 453/453"),
        (r"[0-9]+ pages", "35 pages"),
    ] {
        text = Regex::new(from).unwrap().replace_all(&text, to).into_owned();
    }
    text
}

#[test]
fn the_page_for_security_teams_works_as_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("acme-policy");
    std::fs::create_dir(&work).unwrap();
    let ran = Reader::new(&work).plainly(plain).follow("docs/security-teams.md");
    assert!(ran >= 15, "the page has {ran} commands");
}
