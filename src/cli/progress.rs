//! How far a long command is.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use super::output;

/// How often the line changes.
const PROGRESS: Duration = Duration::from_millis(200);

/// One line on a terminal that says how far it is; nothing where stderr is a file.
pub(crate) struct Progress {
    shown: Option<Instant>,
    line: bool,
}

impl Progress {
    /// Shown if stderr is a terminal.
    pub(crate) fn new() -> Self {
        Self { shown: std::io::stderr().is_terminal().then(Instant::now), line: false }
    }

    /// How far it is; the line changes a few times a second.
    pub(crate) fn at(&mut self, done: u64, of: u64) {
        const WIDTH: u64 = 30;
        let Some(shown) = self.shown.filter(|shown| shown.elapsed() >= PROGRESS || done == of) else { return };
        let _ = shown;
        let of = of.max(1);
        let full = usize::try_from(done.min(of) * WIDTH / of).unwrap_or(0);
        let bar = format!("{}{}", "#".repeat(full), ".".repeat(WIDTH as usize - full));
        output::progress(&format!("[{bar}] {:>3} %", done.min(of) * 100 / of));
        (self.shown, self.line) = (Some(Instant::now()), true);
    }

    /// Takes the line away.
    pub(crate) fn end(&self) {
        if self.line {
            output::progress("");
        }
    }
}
