//! What a candidate changes, counted: flips of the history and loosenings of the data, with who must have agreed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::accept::{Accept, Verdicts};
use super::flip::{Change, FlipKind, changes};
use super::judge::{Answer, Judge};
use super::past::{Lost, Past, Question};
use crate::domain::day::Day;
use crate::domain::ledger::PolicyRule;
use crate::domain::policy::PolicyInput;
use crate::domain::policy::engine::EngineError;
use crate::service::toolchain::loosening::Loosening;

/// Decisions that are named for one flip.
const EXAMPLES: usize = 3;
/// Distinct flips that are told apart; what is beyond is counted by its kind alone.
const MOST_FLIPS: usize = 10_000;
/// Rows of a table for people; the JSON report has all.
const ROWS: usize = 200;
/// Stands for names that are not told apart any more.
const OTHERS: &str = "(others)";

/// Who and what a flip is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Subjects {
    /// The act.
    pub act: String,
    /// The workspace.
    pub workspace: String,
    /// The agent.
    pub agent: String,
}

/// One flip, with how often it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flip {
    /// Which.
    pub kind: FlipKind,
    /// Who and what.
    #[serde(flatten)]
    pub subjects: Subjects,
    /// The base's side.
    pub from: String,
    /// The candidate's side.
    pub to: String,
    /// How many decisions.
    pub count: u64,
    /// Some of them by id, the oldest.
    pub examples: Vec<String>,
    /// Why it was agreed to, where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
}

/// A loosening of the data, and why it was agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JudgedLoosening {
    /// The loosening.
    #[serde(flatten)]
    pub loosening: Loosening,
    /// Why it was agreed to, where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key(Change, Subjects);

/// What two bundles answer to the same history.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    decisions: u64,
    asked: u64,
    not_asked: BTreeMap<&'static str, u64>,
    flips: BTreeMap<Key, (u64, BTreeSet<String>)>,
}

impl Counted {
    /// Asks both of one decision.
    ///
    /// # Errors
    /// When an engine does not take its bundle.
    pub fn take(&mut self, base: &mut Judge, candidate: &mut Judge, past: &Past) -> Result<(), EngineError> {
        self.decisions += 1;
        let lost = |lost: &Lost| lost.code();
        match &past.input {
            Err(why) => *self.not_asked.entry(lost(why)).or_default() += 1,
            Ok(input) => {
                let (input, question) = (PolicyInput::from_recorded(input.clone()), typed(&past.question));
                let before = base.ask_only(&question, &input)?;
                let after = candidate.ask_only(&question, &input)?;
                self.asked += 1;
                self.compare(past, &before, &after);
            }
        }
        Ok(())
    }

    fn compare(&mut self, past: &Past, before: &Answer, after: &Answer) {
        for change in changes(before, after) {
            let subjects =
                Subjects { act: past.act.clone(), workspace: past.workspace.clone(), agent: past.agent.clone() };
            self.add(Key(change, subjects), 1, [past.id.clone()]);
        }
    }

    fn add(&mut self, mut key: Key, count: u64, ids: impl IntoIterator<Item = String>) {
        if self.flips.len() >= MOST_FLIPS && !self.flips.contains_key(&key) {
            let others = || OTHERS.to_owned();
            key.0 = Change { kind: key.0.kind, from: others(), to: others() };
            key.1 = Subjects { act: others(), workspace: others(), agent: others() };
        }
        let (total, examples) = self.flips.entry(key).or_default();
        *total += count;
        examples.extend(ids);
        while examples.len() > EXAMPLES {
            examples.pop_last();
        }
    }

    /// How many distinct flips there are.
    pub fn flips(&self) -> usize {
        self.flips.len()
    }

    /// Adds what another thread found.
    pub fn merge(&mut self, other: Self) {
        self.decisions += other.decisions;
        self.asked += other.asked;
        for (why, count) in other.not_asked {
            *self.not_asked.entry(why).or_default() += count;
        }
        for (key, (count, examples)) in other.flips {
            self.add(key, count, examples);
        }
    }
}

/// OPA's logs name the same rules by their path; their answers are read as typed verdicts.
fn typed(question: &Question) -> Question {
    match question {
        Question::Path(path) => PolicyRule::at_path(path).map_or_else(|| question.clone(), Question::Rule),
        Question::Rule(_) => question.clone(),
    }
}

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiffReport {
    /// Revision of the base.
    pub base: String,
    /// Revision of the candidate.
    pub candidate: String,
    /// Whether nothing loosens that nobody agreed to.
    pub ok: bool,
    /// Decisions that were read.
    pub decisions: u64,
    /// Those that both bundles were asked.
    pub asked: u64,
    /// The others, by why.
    pub not_asked: BTreeMap<String, u64>,
    /// Decisions by kind of flip.
    pub totals: BTreeMap<&'static str, u64>,
    /// Every flip, by kind and then by how often.
    pub flips: Vec<Flip>,
    /// What the data allows beyond the base's.
    pub loosenings: Vec<JudgedLoosening>,
    /// Entries of the accept file that accept nothing.
    pub stale: Vec<String>,
}

impl DiffReport {
    /// Puts together what was found and what was agreed to, on this day.
    pub fn new(
        (base, candidate): (String, String),
        counted: Counted,
        loosenings: Vec<Loosening>,
        accept: &Accept,
        today: Day,
    ) -> Self {
        let mut verdicts = Verdicts::of(accept, today);
        let mut totals = BTreeMap::new();
        let mut flips: Vec<Flip> = Vec::with_capacity(counted.flips.len());
        for (Key(change, subjects), (count, examples)) in counted.flips {
            *totals.entry(change.kind.as_str()).or_default() += count;
            let accepted = if change.kind.loosens() { verdicts.of_flip(change.kind, &subjects) } else { None };
            let Change { kind, from, to } = change;
            let examples = examples.into_iter().collect();
            flips.push(Flip { kind, subjects, from, to, count, examples, accepted });
        }
        flips.sort_by(|a, b| (a.kind, b.count, &a.subjects).cmp(&(b.kind, a.count, &b.subjects)));
        let loosenings: Vec<_> = loosenings
            .into_iter()
            .map(|loosening| JudgedLoosening { accepted: verdicts.of_loosening(&loosening), loosening })
            .collect();
        let ok = flips.iter().all(|flip| !flip.kind.loosens() || flip.accepted.is_some())
            && loosenings.iter().all(|loosening| loosening.accepted.is_some());
        let not_asked = counted.not_asked.into_iter().map(|(why, count)| (why.to_owned(), count)).collect();
        let (decisions, asked) = (counted.decisions, counted.asked);
        Self { base, candidate, ok, decisions, asked, not_asked, totals, flips, loosenings, stale: verdicts.stale() }
    }

    /// For people at a terminal.
    pub fn in_text(&self) -> String {
        let mut out = format!("{} → {}: {}\n", self.base, self.candidate, self.history());
        for flip in self.flips.iter().take(ROWS) {
            let (s, mark) = (&flip.subjects, mark(flip.kind.loosens(), flip.accepted.as_deref()));
            out.push_str(&format!(
                "{mark} {} {} × {} agent {} workspace {}: {} → {} (for example {})\n",
                flip.kind.as_str(),
                flip.count,
                plain(&s.act),
                plain(&s.agent),
                plain(&s.workspace),
                plain(&flip.from),
                plain(&flip.to),
                plain(&flip.examples.join(", "))
            ));
        }
        for JudgedLoosening { loosening, accepted } in self.loosenings.iter().take(ROWS) {
            let (from, to) = (plain(&loosening.from), plain(&loosening.to));
            let mark = mark(true, accepted.as_deref());
            out.push_str(&format!("{mark} {} {}: {from} → {to}\n", loosening.kind, plain(&loosening.at)));
        }
        out.push_str(&self.rest(plain));
        out.push_str(self.verdict());
        out.push('\n');
        out
    }

    /// For a comment on a pull request: every text of the data and of the history is inside a code span, where neither a
    /// mention nor a link nor HTML is one.
    pub fn in_markdown(&self) -> String {
        let mut out = format!("### Policy diff {} → {}\n\n", code(&self.base), code(&self.candidate));
        out.push_str(&format!("**{}** {}\n", self.verdict(), self.history()));
        if !self.flips.is_empty() {
            out.push_str("\n| | flip | count | act | workspace | agent | from → to | examples |\n");
            out.push_str("| --- | --- | ---: | --- | --- | --- | --- | --- |\n");
        }
        for flip in self.flips.iter().take(ROWS) {
            let s = &flip.subjects;
            out.push_str(&format!(
                "| {} | {} | {} | {} | {} | {} | {} → {} | {} |\n",
                mark(flip.kind.loosens(), flip.accepted.as_deref()),
                flip.kind.as_str(),
                flip.count,
                code(&s.act),
                code(&s.workspace),
                code(&s.agent),
                code(&flip.from),
                code(&flip.to),
                code(&flip.examples.join(", "))
            ));
        }
        if !self.loosenings.is_empty() {
            out.push_str("\n| | data that allows more | where | from → to |\n| --- | --- | --- | --- |\n");
        }
        for JudgedLoosening { loosening, accepted } in self.loosenings.iter().take(ROWS) {
            let (at, from, to) = (code(&loosening.at), code(&loosening.from), code(&loosening.to));
            let mark = mark(true, accepted.as_deref());
            out.push_str(&format!("| {mark} | {} | {at} | {from} → {to} |\n", loosening.kind));
        }
        let rest = self.rest(code);
        if !rest.is_empty() {
            out.push('\n');
            out.push_str(&rest);
        }
        out
    }

    fn history(&self) -> String {
        let lost: Vec<_> = self.not_asked.iter().map(|(why, count)| format!("{count} {why}")).collect();
        let lost = if lost.is_empty() { String::new() } else { format!("; not asked: {}", lost.join(", ")) };
        format!("{} of {} decisions asked of both{lost}.", self.asked, self.decisions)
    }

    fn verdict(&self) -> &'static str {
        if self.ok { "Nothing loosens that is not accepted." } else { "Something loosens that nobody accepted." }
    }

    fn rest(&self, quoted: impl Fn(&str) -> String) -> String {
        let mut out = String::new();
        for (what, rows) in [("flips", self.flips.len()), ("loosenings", self.loosenings.len())] {
            if rows > ROWS {
                out.push_str(&format!("and {} more {what}; the JSON report has all\n", rows - ROWS));
            }
        }
        for entry in &self.stale {
            out.push_str(&format!("- stale in the accept file: {}\n", quoted(entry)));
        }
        out
    }
}

fn mark(loosens: bool, accepted: Option<&str>) -> &'static str {
    match (loosens, accepted) {
        (true, None) => "❌",
        (true, Some(_)) => "☑",
        (false, _) => "·",
    }
}

/// One line without what a terminal or a reader could take for something else, bounded.
fn plain(text: &str) -> String {
    const MOST: usize = 300;
    let hides =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    text.chars().take(MOST).map(|c| if c.is_control() || hides(c) { ' ' } else { c }).collect()
}

/// A code span that nothing ends but its own end, in a table too.
fn code(text: &str) -> String {
    let inner = plain(text).replace('`', "'").replace('\\', "/").replace('|', "\\|");
    if inner.trim().is_empty() { "`-`".to_owned() } else { format!("`{inner}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(id: u64, act: &str) -> Past {
        let text = |t: &str| t.to_owned();
        Past {
            id: format!("01a-{id:04}"),
            question: Question::Rule(PolicyRule::PoaDecision),
            workspace: text("default"),
            agent: text("spiffe://atb.dev/agent/procurement"),
            act: text(act),
            bundle: super::super::WhichBundle::Unnamed,
            reason: text("-"),
            input: Err(Lost::NotRecorded),
            verdict: None,
        }
    }

    fn answer(allow: bool, reason: &str) -> Answer {
        let text = format!(r#"{{"allow":{allow},"reason":"{reason}","tier":"high"}}"#);
        Answer::Decision(serde_json::from_str(&text).unwrap())
    }

    fn counted() -> Counted {
        let mut counted = Counted { decisions: 12, asked: 10, ..Counted::default() };
        counted.not_asked.insert("opening_erased", 2);
        for id in (0..5).rev() {
            counted.compare(&past(id, "erp.order.create"), &answer(false, "limit_exceeded"), &answer(true, "ok"));
        }
        counted.compare(&past(9, "crm.@everyone|`x`<b>"), &answer(true, "ok"), &answer(false, "act_denied"));
        counted
    }

    fn report(accept: &str, today: &str) -> DiffReport {
        let loosening = Loosening {
            kind: "limit_widened",
            at: "/catalogue/erp.order.create/limits/amount/max".to_owned(),
            act: Some("erp.order.create".to_owned()),
            from: "100".to_owned(),
            to: "200".to_owned(),
        };
        let names = ("base-1".to_owned(), "candidate-2".to_owned());
        let today = Day::try_from(today.to_owned()).unwrap();
        DiffReport::new(names, counted(), vec![loosening], &Accept::parse("accept.yaml", accept).unwrap(), today)
    }

    const AGREED: &str = "accept:
- kind: deny_to_allow
  act: erp.order.create
  reason: CHG-17 raises the limit
  until: 2026-12-31
- kind: limit_widened
  at: /catalogue/erp.order.create/limits/*
  reason: CHG-17 raises the limit
  until: 2026-12-31
- kind: approvals_lost
  act: hr.*
  reason: nothing like it came
  until: 2026-12-31
";

    #[test]
    fn a_loosening_that_nobody_agreed_to_fails_and_one_that_was_agreed_to_does_not() {
        let open = report("accept: []", "2026-11-21");
        assert!(!open.ok);
        assert_eq!(open.flips.first().unwrap().examples, ["01a-0000", "01a-0001", "01a-0002"]);
        let agreed = report(AGREED, "2026-11-21");
        assert!(agreed.ok, "{}", agreed.in_text());
        assert_eq!(agreed.stale.len(), 1, "{:?}", agreed.stale);
        let late = report(AGREED, "2027-01-01");
        assert!(!late.ok);
        assert_eq!(late.stale.len(), 3, "{:?}", late.stale);
    }

    #[test]
    fn what_two_threads_counted_is_what_one_would_have() {
        let mut twice = counted();
        twice.merge(counted());
        let flip = twice.flips.iter().next().unwrap();
        assert_eq!((flip.1.0, flip.1.1.len(), twice.decisions), (10, 3, 24));
    }

    #[test]
    fn flips_beyond_the_bound_are_counted_and_cannot_be_accepted_by_name() {
        let mut many = Counted::default();
        for id in 0..=MOST_FLIPS as u64 {
            many.compare(&past(id, &format!("erp.a{id}")), &answer(false, "x"), &answer(true, "ok"));
        }
        assert_eq!(many.flips.len(), MOST_FLIPS + 1);
        let accept = Accept::parse("a.yaml", AGREED.replace("erp.order.create", "erp.*").as_str()).unwrap();
        let today = Day::try_from("2026-11-21".to_owned()).unwrap();
        let report = DiffReport::new((String::new(), String::new()), many, Vec::new(), &accept, today);
        assert!(!report.ok);
        assert_eq!(report.totals.get("deny_to_allow"), Some(&(MOST_FLIPS as u64 + 1)));
    }

    #[test]
    fn the_reports_are_those_that_were_agreed() {
        let report =
            report(AGREED.replace("2026-12-31\n- kind: limit", "2026-11-20\n- kind: limit").as_str(), "2026-11-21");
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/policy_diff");
        for (kind, text) in [
            ("txt", report.in_text()),
            ("md", report.in_markdown()),
            ("json", serde_json::to_string_pretty(&report).unwrap() + "\n"),
        ] {
            let path = format!("{golden}.{kind}");
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::write(&path, &text).unwrap();
            }
            assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "{path}");
        }
        let markdown = report.in_markdown();
        assert!(markdown.contains(r"`crm.@everyone\|'x'<b>`"), "{markdown}");
    }
}
