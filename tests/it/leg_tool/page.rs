//! docs/legal-teams.md as a person in the legal department follows it: every command runs, every answer is the real one.
//!
//! A block that starts with `sh` is run in a checkout of its own, in order; `sh exit=1` must end so. The block `text`
//! behind it is what the command printed. With UPDATE_VECTORS set, the answers are written into the page.

use std::path::Path;
use std::process::Command;

use super::{golden, root};

const PAGE: &str = "docs/legal-teams.md";

/// A checkout with one commit on `main`, and a folder beside it.
fn checkout(folder: &Path) {
    let script = "cp -r \"$SOURCE/opa\" . && git init -q -b main . && git add . \
                  && git -c user.name=t -c user.email=t@example.com commit -q -m start";
    let (code, printed) = bash(folder, script);
    assert_eq!(code, 0, "{printed}");
}

/// Runs a script; its exit code and what it printed to both outputs.
fn bash(folder: &Path, script: &str) -> (i32, String) {
    let atb = Path::new(env!("CARGO_BIN_EXE_atb")).parent().unwrap();
    let path = format!("{}:{}", atb.display(), std::env::var_os("PATH").unwrap().to_str().unwrap());
    let mut command = Command::new("bash");
    command.args(["-c", &format!("exec 2>&1\n{script}")]).current_dir(folder).env_clear();
    command.env("PATH", path).env("SOURCE", root()).env("HOME", folder);
    let output = command.output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_page_for_legal_teams_works_as_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    std::fs::create_dir(&work).unwrap();
    checkout(&work);
    let text = std::fs::read_to_string(root().join(PAGE)).unwrap();
    let (mut page, mut lines, mut answer, mut ran) = (String::new(), text.lines(), None, 0);
    while let Some(line) = lines.next() {
        page.push_str(&format!("{line}\n"));
        let Some(kind) = line.strip_prefix("```").filter(|kind| !kind.is_empty()) else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let mut content: String = block.iter().map(|line| format!("{line}\n")).collect();
        if let Some(exit) = kind.strip_prefix("sh") {
            let expected = exit.strip_prefix(" exit=").map_or(0, |code| code.parse().unwrap());
            let (code, printed) = bash(&work, &content);
            assert_eq!(code, expected, "{content}\n{printed}");
            answer = Some(printed);
            ran += 1;
        } else if kind == "text" {
            content = answer.take().expect("a `text` block answers the `sh` block before it");
        }
        page.push_str(&format!("{content}```\n"));
    }
    assert!(ran >= 10, "the page has {ran} commands");
    golden(PAGE, &page);
}
