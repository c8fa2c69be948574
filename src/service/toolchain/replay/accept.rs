//! What somebody agreed to: a file that names loosenings, why, and until when.
//!
//! ```yaml
//! accept:
//!   - kind: deny_to_allow              # or approvals_lost, or a kind of the data's loosenings
//!     act: erp.order.create            # an act, a family such as erp.*, or *
//!     agent: spiffe://atb.dev/agent/*  # with a * at the end, or exact; any without it
//!     workspace: default
//!     at: /catalogue/erp.order.create/limits/*
//!     reason: CHG-17, raised by the CFO on 2026-11-20
//!     until: 2026-12-31                # the last day, in UTC
//! ```
//!
//! INVARIANT: an entry accepts what it names and nothing else; what is past its day accepts nothing.

use serde::Deserialize;

use super::flip::FlipKind;
use super::report::Subjects;
use crate::domain::day::Day;
use crate::domain::policy::bundle::ActPattern;
use crate::domain::yaml;
use crate::service::toolchain::loosening::Loosening;

/// The largest accept file.
const MAX_BYTES: usize = 256 * 1024;
/// Levels and values of the text.
const MAX_DEPTH: usize = 8;
const MAX_NODES: usize = 20_000;
/// The most entries.
const MAX_ENTRIES: usize = 1_000;

/// An accept file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    accept: Vec<Agreed>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Agreed {
    kind: String,
    #[serde(default)]
    act: Option<ActPattern>,
    #[serde(default)]
    agent: Option<String>,
    #[serde(default)]
    workspace: Option<String>,
    #[serde(default)]
    at: Option<String>,
    reason: String,
    until: Day,
}

/// Why an accept file is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct AcceptError {
    place: String,
    what: String,
}

impl Accept {
    /// Reads the file called `name`.
    ///
    /// # Errors
    /// When it is not YAML of that form, with line and column.
    pub fn parse(name: &str, text: &str) -> Result<Self, AcceptError> {
        let refuse = |what: String| AcceptError { place: name.to_owned(), what };
        if text.len() > MAX_BYTES {
            return Err(refuse(format!("more than {MAX_BYTES} bytes")));
        }
        let file: Self =
            serde_saphyr::from_str_with_options(text, yaml::plain(MAX_DEPTH, MAX_NODES)).map_err(|error| {
                let place = error.location().map(|at| format!("{name}:{}:{}", at.line(), at.column()));
                let what = error.to_string().lines().next().unwrap_or("not YAML").to_owned();
                AcceptError { place: place.unwrap_or_else(|| name.to_owned()), what }
            })?;
        if file.accept.len() > MAX_ENTRIES {
            return Err(refuse(format!("more than {MAX_ENTRIES} entries")));
        }
        match file.accept.iter().enumerate().find_map(|(nth, agreed)| Some((nth + 1, agreed.defect()?))) {
            Some((nth, what)) => Err(refuse(format!("entry {nth}: {what}"))),
            None => Ok(file),
        }
    }
}

impl Agreed {
    fn defect(&self) -> Option<String> {
        let flip = FlipKind::ALL.into_iter().find(|kind| kind.as_str() == self.kind);
        if flip.is_some_and(|kind| !kind.loosens()) {
            return Some(format!("`{}` needs nobody's agreement", self.kind));
        }
        if flip.is_some() && self.at.is_some() {
            return Some("`at` is for loosenings of the data".to_owned());
        }
        if flip.is_none() && (self.agent.is_some() || self.workspace.is_some()) {
            return Some("`agent` and `workspace` are for flips of the history; name the place with `at`".to_owned());
        }
        if self.act.is_none() && self.at.is_none() {
            return Some("name an `act`, or for the data a place with `at`".to_owned());
        }
        self.reason.trim().is_empty().then(|| "`reason` is empty".to_owned())
    }

    fn names_flip(&self, kind: FlipKind, subjects: &Subjects) -> bool {
        let covers = |pattern: Option<&String>, text: &str| pattern.is_none_or(|pattern| matches(pattern, text));
        self.kind == kind.as_str()
            && self.act.as_ref().is_some_and(|pattern| covers_act(pattern, &subjects.act))
            && covers(self.agent.as_ref(), &subjects.agent)
            && covers(self.workspace.as_ref(), &subjects.workspace)
    }

    fn names_loosening(&self, loosening: &Loosening) -> bool {
        let act = |pattern: &ActPattern| loosening.act.as_deref().is_some_and(|act| covers_act(pattern, act));
        self.kind == loosening.kind
            && self.act.as_ref().is_none_or(act)
            && self.at.as_ref().is_none_or(|at| matches(at, &loosening.at))
    }
}

/// An act that is not told apart any more (`(others)`) has no name and is not covered, not by `*` either.
fn covers_act(pattern: &ActPattern, act: &str) -> bool {
    act.parse().is_ok_and(|act| pattern.covers(&act))
}

/// Exact, or all that begins as the pattern does before its last `*`.
fn matches(pattern: &str, text: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == text, |start| text.starts_with(start))
}

/// An accept file while a report is made: which entries are in time, and which were of use.
pub struct Verdicts<'a> {
    entries: Vec<(&'a Agreed, bool, u64)>,
}

impl<'a> Verdicts<'a> {
    /// On this day.
    pub fn of(accept: &'a Accept, today: Day) -> Self {
        Self { entries: accept.accept.iter().map(|agreed| (agreed, agreed.until >= today, 0)).collect() }
    }

    /// Why the flip was agreed to, if it was.
    pub fn of_flip(&mut self, kind: FlipKind, subjects: &Subjects) -> Option<String> {
        self.first(|agreed| agreed.names_flip(kind, subjects))
    }

    /// Why the loosening was agreed to, if it was.
    pub fn of_loosening(&mut self, loosening: &Loosening) -> Option<String> {
        self.first(|agreed| agreed.names_loosening(loosening))
    }

    fn first(&mut self, names: impl Fn(&Agreed) -> bool) -> Option<String> {
        let mut found = None;
        for (agreed, _, used) in self.entries.iter_mut().filter(|(agreed, in_time, _)| *in_time && names(agreed)) {
            *used += 1;
            found = found.or_else(|| Some(agreed.reason.clone()));
        }
        found
    }

    /// The entries that accepted nothing, in words.
    pub fn stale(self) -> Vec<String> {
        let stale = self.entries.iter().enumerate().filter(|(_, (_, _, used))| *used == 0);
        stale
            .map(|(nth, (agreed, in_time, _))| {
                let what = if *in_time { "accepts nothing".to_owned() } else { format!("ended on {}", agreed.until) };
                format!("entry {} ({}) {what}: {}", nth + 1, agreed.kind, agreed.reason)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(entry: &str) -> Result<Accept, AcceptError> {
        Accept::parse("accept.yaml", &format!("accept:\n- {entry}\n"))
    }

    #[test]
    fn an_entry_that_could_accept_more_than_it_says_is_refused() {
        let rest = "reason: r, until: 2026-12-31";
        for (entry, what) in [
            (format!("{{kind: reason_changed, act: erp.a, {rest}}}"), "needs nobody's agreement"),
            (format!("{{kind: deny_to_allow, {rest}}}"), "name an `act`"),
            (format!("{{kind: deny_to_allow, act: erp.a, at: /x, {rest}}}"), "`at` is for"),
            (format!("{{kind: limit_widened, at: /x, agent: a, {rest}}}"), "`agent` and `workspace`"),
            (format!("{{kind: deny_to_allow, act: 'erp*', {rest}}}"), "is not an act"),
            (format!("{{kind: deny_to_allow, act: erp.a, acts: erp.b, {rest}}}"), "acts"),
            ("{kind: deny_to_allow, act: erp.a, reason: ' ', until: 2026-12-31}".to_owned(), "`reason` is empty"),
            ("{kind: deny_to_allow, act: erp.a, reason: r}".to_owned(), "until"),
            ("{kind: deny_to_allow, act: erp.a, reason: r, until: tomorrow}".to_owned(), "day"),
        ] {
            let error = parse(&entry).unwrap_err().to_string();
            assert!(error.starts_with("accept.yaml") && error.contains(what), "{entry}: {error}");
        }
    }

    #[test]
    fn patterns_cover_what_they_name_and_no_more() {
        let accept = parse(
            "{kind: deny_to_allow, act: erp.*, agent: 'spiffe://a/x/*', workspace: w, reason: r, until: 2026-12-31}",
        )
        .unwrap();
        let today = Day::try_from("2026-12-31".to_owned()).unwrap();
        let subjects = |act: &str, agent: &str, workspace: &str| Subjects {
            act: act.to_owned(),
            agent: agent.to_owned(),
            workspace: workspace.to_owned(),
        };
        let mut verdicts = Verdicts::of(&accept, today);
        assert!(verdicts.of_flip(FlipKind::DenyToAllow, &subjects("erp.a", "spiffe://a/x/1", "w")).is_some());
        for other in [
            subjects("crm.a", "spiffe://a/x/1", "w"),
            subjects("erp.a", "spiffe://a/y/1", "w"),
            subjects("erp.a", "spiffe://a/x/1", "v"),
            subjects("(others)", "spiffe://a/x/1", "w"),
        ] {
            assert!(verdicts.of_flip(FlipKind::DenyToAllow, &other).is_none(), "{other:?}");
        }
        assert!(verdicts.of_flip(FlipKind::ApprovalsLost, &subjects("erp.a", "spiffe://a/x/1", "w")).is_none());
        assert!(verdicts.stale().is_empty());
    }
}
