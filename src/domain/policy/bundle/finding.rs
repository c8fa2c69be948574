//! What is wrong with a bundle: where, what, and what to do.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The most findings that one report holds.
const MAX_FINDINGS: usize = 50;

/// One reason not to load a bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The file, relative to the bundle's root; `.` for the bundle as a whole.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub fix: String,
    /// Which check found it, in kebab case: `profile/unknown-builtin`. Stable; reports and accept files go by it.
    #[serde(default = "general")]
    pub code: Cow<'static, str>,
}

/// The code of what is wrong with a bundle's form and not with its Rego.
const GENERAL: &str = "bundle/invalid";

fn general() -> Cow<'static, str> {
    Cow::Borrowed(GENERAL)
}

impl Finding {
    /// A finding at a place, about a bundle's form.
    pub fn new(place: Place<'_>, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::coded(GENERAL, place, what, fix)
    }

    /// A finding of the check `code`.
    pub fn coded(code: &'static str, place: Place<'_>, what: impl Into<String>, fix: impl Into<String>) -> Self {
        let (what, fix) = (what.into().chars().take(400).collect(), fix.into());
        let Place { file, line, column } = place;
        Self { file: file.to_owned(), line, column, what, fix, code: Cow::Borrowed(code) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}, {}", self.file, self.line, self.column, self.what, self.fix)
    }
}

/// A place in a file of the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The file.
    pub file: &'a str,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

impl<'a> Place<'a> {
    /// The start of a file.
    pub fn file(file: &'a str) -> Self {
        Self { file, line: 1, column: 1 }
    }

    /// The bundle as a whole.
    pub fn whole() -> Self {
        Self::file(".")
    }

    /// The byte `offset` of `text`.
    pub fn at(file: &'a str, text: &str, offset: usize) -> Self {
        let before = text.get(..text.floor_char_boundary(offset)).unwrap_or_default();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { file, line: before.matches('\n').count() + 1, column }
    }
}

/// Why a bundle is refused: at least one finding, in the order of files and lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleError {
    findings: Vec<Finding>,
}

impl BundleError {
    /// The findings as one error; more than a bound are cut.
    pub fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort();
        findings.dedup();
        findings.truncate(MAX_FINDINGS);
        Self { findings }
    }

    /// The findings.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

impl From<Finding> for BundleError {
    fn from(finding: Finding) -> Self {
        Self::new(vec![finding])
    }
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.findings.iter().enumerate().try_for_each(|(i, finding)| {
            let newline = if i == 0 { "" } else { "\n" };
            write!(f, "{newline}{finding}")
        })
    }
}

impl std::error::Error for BundleError {}
