//! What is wrong, or odd, with legal templates: texts in, findings out.
//!
//! ```text
//! Source ──node──▶ Draft (what can be read, with places) ──each rule family──▶ findings
//! ```
//!
//! Pure: the day is an argument, files and history are somebody else's. A rule family is one file; it takes what it can
//! read and leaves the rest to `shape`, so that one slip does not hide the next. What the services would refuse
//! ([`LegTemplate::parse`]) is always an error here: a clean template is one that loads.

mod coverage;
mod draft;
mod evidence;
mod finding;
mod identity;
mod jurisdictions;
mod node;
mod patterns;
mod personal;
mod shape;
mod validity;
mod variables;
mod wording;

use super::template::LegTemplate;
use crate::domain::day::Day;
use draft::Draft;
use node::Node;

pub use finding::{Code, Finding, Severity};
pub use node::Pos;

/// The most findings that one run reports.
const MAX_FINDINGS: usize = 2_000;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As findings shall name it.
    pub file: String,
    /// The folder that gives the template its id; `None` for a file that stands alone.
    pub folder: Option<String>,
    /// What is in it.
    pub text: String,
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The templates.
    pub templates: &'a [Source],
    /// The catalogue; without it nobody looks for gaps and overlaps.
    pub catalogue: Option<&'a Source>,
    /// The templates as they were before.
    pub earlier: &'a [Source],
    /// The day.
    pub today: Day,
    /// How many days before its end a template ends soon.
    pub soon_days: u32,
}

/// Looks at templates; findings in the order of files and places.
pub fn lint(input: &Input<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let drafts = read(input.templates, &mut findings);
    let earlier = read(input.earlier, &mut findings);
    for draft in &drafts {
        let before = findings.len();
        one(draft, input, &mut findings);
        identity::check_against(draft, &earlier, &mut findings);
        if findings.iter().skip(before).all(|finding| finding.severity != Severity::Error) {
            findings.extend(refused(draft));
        }
    }
    identity::check_together(&drafts, &mut findings);
    if let Some(catalogue) = input.catalogue {
        coverage::check(&drafts, catalogue, input.today, &mut findings);
    }
    findings.sort_by(|a, b| (&a.file, a.line, a.column, a.code).cmp(&(&b.file, b.line, b.column, b.code)));
    findings.dedup();
    findings.truncate(MAX_FINDINGS);
    findings
}

/// The document of one file, without its places.
///
/// # Errors
/// The finding of a file that is not one.
pub fn value_of(source: &Source) -> Result<serde_json::Value, Finding> {
    Node::parse(&source.text).map(|root| root.to_value()).map_err(|error| syntax(source, error))
}

fn syntax(source: &Source, error: node::SyntaxError) -> Finding {
    let suggestion = "write plain YAML: one document, each name once, lists and braces closed, spaces not tabs";
    Finding::new(Code::Yaml, &source.file, error.pos, error.what, suggestion)
}

fn one(draft: &Draft<'_>, input: &Input<'_>, findings: &mut Vec<Finding>) {
    shape::check(draft, findings);
    identity::check(draft, findings);
    jurisdictions::check(draft, findings);
    coverage::check_entries(draft, findings);
    validity::check(draft, input.today, input.soon_days, findings);
    variables::check(draft, findings);
    patterns::check(draft, findings);
    personal::check(draft, findings);
    evidence::check(draft, findings);
    wording::check(draft, findings);
}

fn read<'a>(sources: &'a [Source], findings: &mut Vec<Finding>) -> Vec<Draft<'a>> {
    let mut drafts = Vec::new();
    for source in sources {
        match Node::parse(&source.text) {
            Ok(root) => drafts.push(Draft { source, root }),
            Err(error) => findings.push(syntax(source, error)),
        }
    }
    drafts
}

/// The last word is the services': what they refuse is not clean, whatever the rules say.
fn refused(draft: &Draft<'_>) -> Option<Finding> {
    let folder = draft.source.folder.as_deref().unwrap_or(draft.id());
    let message = match folder.parse() {
        Err(error) => (String::new(), format!("{error}")),
        Ok(folder) => {
            let error = LegTemplate::parse(&folder, &draft.root.to_value()).err()?;
            (error.pointer.clone(), error.defect.to_string())
        }
    };
    let (pointer, what) = message;
    let place = if pointer.is_empty() { "the template".to_owned() } else { format!("`{pointer}`") };
    let suggestion = "correct it: a bundle with this template is not activated";
    Some(draft.finding(Code::Refused, draft.root.pos_at(&pointer), format!("{place}: {what}"), suggestion))
}
