//! A page of docs/ as its reader follows it: every command runs, every answer is the real one.
//!
//! A block that starts with `sh` is run in the page's folder, in order; `sh exit=1` must end so. The block `text`
//! behind it is what the command printed. With UPDATE_VECTORS set, the answers are written into the page. Other
//! blocks (`console`, `json`, …) are for reading only.

use std::path::{Path, PathBuf};
use std::process::Command;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `text` is in the file; with UPDATE_VECTORS set, it is written there.
pub fn golden(file: &str, text: &str) {
    let path = root().join(file);
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{file} says something else; look at the change and set UPDATE_VECTORS=1\n{text}");
}

/// Where a page's commands run, and what of their answers is not the same twice.
pub struct Reader {
    folder: PathBuf,
    plain: fn(&str) -> String,
}

impl Reader {
    /// In `folder`, with answers as they are.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), plain: str::to_owned }
    }

    /// With what `plain` makes of each answer.
    pub fn plainly(self, plain: fn(&str) -> String) -> Self {
        Self { plain, ..self }
    }

    /// Runs a script; its exit code and what it printed to both outputs. `$SOURCE` is the checkout of ATB.
    pub fn bash(&self, script: &str) -> (i32, String) {
        let atb = Path::new(env!("CARGO_BIN_EXE_atb")).parent().unwrap();
        let path = format!("{}:{}", atb.display(), std::env::var_os("PATH").unwrap().to_str().unwrap());
        let mut command = Command::new("bash");
        command.args(["-c", &format!("exec 2>&1\n{script}")]).current_dir(&self.folder).env_clear();
        command.env("PATH", path).env("SOURCE", root()).env("HOME", &self.folder);
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "t").env(format!("GIT_{who}_EMAIL"), "t@example.com");
        }
        let output = command.output().unwrap();
        (output.status.code().unwrap_or(-1), String::from_utf8(output.stdout).unwrap())
    }

    /// Follows a page from top to bottom; how many commands it has.
    pub fn follow(&self, page: &str) -> usize {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        let (mut seen, mut lines, mut answer, mut ran) = (String::new(), text.lines(), None, 0);
        while let Some(line) = lines.next() {
            seen.push_str(&format!("{line}\n"));
            let Some(kind) = line.strip_prefix("```").filter(|kind| !kind.is_empty()) else { continue };
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let mut content: String = block.iter().map(|line| format!("{line}\n")).collect();
            if let Some(exit) = kind.strip_prefix("sh") {
                let expected = exit.strip_prefix(" exit=").map_or(0, |code| code.parse().unwrap());
                let (code, printed) = self.bash(&content);
                assert_eq!(code, expected, "{page}: {content}\n{printed}");
                answer = Some((self.plain)(&printed));
                ran += 1;
            } else if kind == "text" {
                content = answer.take().expect("a `text` block answers the `sh` block before it");
            }
            seen.push_str(&format!("{content}```\n"));
        }
        golden(page, &seen);
        ran
    }
}
