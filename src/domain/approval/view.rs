//! What an approver is shown, as a document with a digest of its own.
//!
//! A view is a pure function of what is asked, the call in clear where the ask is tied to one, and the act's entry in
//! the catalogue. AgentAuth computes it when a challenge is opened, the approver signs its digest (`view` in the
//! statement), the broker computes it again from the call that it is about to forward and from its own bundle. Two
//! requests that differ anywhere have different views and different lines: parameters are JSON text at their pointer,
//! and every character that a reader may not see for what it is stands there by its number.
//!
//! Not here: who may approve, and how a console lays the facts out.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ask::Ask;
use super::challenge::CallView;
use crate::domain::action::RequestBinding;
use crate::domain::attestation::AttestationName;
use crate::domain::catalogue::{CatalogueEntry, Tier};
use crate::domain::id::Sha256Digest;
use crate::domain::json;
use crate::domain::leg::{AccountableParty, Commitment, Leg, TemplateRef, Ticket};
use crate::domain::text::{PlainText, TextDefect, scrutinise, visible};

/// The width of the labels in lines.
const LABEL: usize = 22;
/// What stands where there is nothing.
const NONE: &str = "none";

/// Why there is no view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// The ask is tied to a call that is not at hand.
    #[error("what is asked is tied to one call, and its parameters are not at hand")]
    CallMissing,
    /// The call at hand is not the one that is asked for.
    #[error("the call is not the one that is asked for")]
    CallMismatch,
    /// A call is at hand that nobody asks for.
    #[error("a call is shown that is not part of what is asked")]
    CallNotAsked,
}

impl ViewError {
    /// A stable code for problem documents and records.
    pub fn code(self) -> &'static str {
        match self {
            Self::CallMissing => "view_call_missing",
            Self::CallMismatch => "view_call_mismatch",
            Self::CallNotAsked => "view_call_not_asked",
        }
    }
}

/// The version of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct V1;

impl TryFrom<u8> for V1 {
    type Error = &'static str;

    fn try_from(v: u8) -> Result<Self, &'static str> {
        if v == 1 { Ok(Self) } else { Err("this program reads views of version 1") }
    }
}

impl From<V1> for u8 {
    fn from(_: V1) -> Self {
        1
    }
}

/// One thing that is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// What it is; for parameters and constraints with the RFC 6901 pointer.
    pub label: String,
    /// What is asked there.
    pub value: String,
    /// What a reader should know about the characters in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<TextDefect>,
}

/// What an approver is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    v: V1,
    title: String,
    tier: Tier,
    sentence: String,
    facts: Vec<Fact>,
    /// What one of the approvers must attest, by name; the catalogue's words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attestations: BTreeMap<AttestationName, String>,
}

impl View {
    /// The view of what is asked.
    ///
    /// # Errors
    /// When the ask is tied to a call and `call` is not exactly that one, or the other way round.
    pub fn of(ask: &Ask, call: Option<&CallView>, entry: &CatalogueEntry) -> Result<Self, ViewError> {
        let facts = Self::facts_of(ask, call)?;
        let sentence = match call {
            Some(call) => entry.view.about(&call.params),
            None => entry.view.about_any(&ask.con),
        };
        let title = visible(&entry.title, &scrutinise(&entry.title));
        let asked = |(name, text): (&AttestationName, &String)| (name.clone(), visible(text, &scrutinise(text)));
        let attestations = entry.attestations.iter().map(asked).collect();
        Ok(Self { v: V1, title, tier: entry.tier, sentence, facts, attestations })
    }

    /// Everything that is asked, without the catalogue's words for it: what a client computes by itself to check a view
    /// that it was given.
    ///
    /// # Errors
    /// As [`View::of`].
    pub fn facts_of(ask: &Ask, call: Option<&CallView>) -> Result<Vec<Fact>, ViewError> {
        check(ask, call)?;
        let mut facts = Facts::default();
        let Ask { sub, act, con, leg, req: _, ttl } = ask;
        facts.text("agent", sub.as_str());
        facts.text("act", act.as_str());
        match call {
            Some(call) => facts.call(call),
            None => facts.text("call", "any call of this act within the constraints"),
        }
        facts.json("constraint", &con.to_value());
        facts.ground(leg.as_leg());
        facts.text("lifetime", &format!("{} seconds, one use", ttl.as_secs()));
        Ok(facts.0)
    }

    /// `sha-256:` of the RFC 8785 canonical JSON: the statement's `view`.
    pub fn digest(&self) -> Sha256Digest {
        json::digest(&self.to_value())
    }

    /// The document as JSON.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// One line about the act.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// How dangerous the catalogue says that it is.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// What would be done, in a sentence.
    pub fn sentence(&self) -> &str {
        &self.sentence
    }

    /// Everything that is asked, in a fixed order.
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// What one of the approvers must attest, by name, each as a sentence.
    pub fn attestations(&self) -> &BTreeMap<AttestationName, String> {
        &self.attestations
    }

    /// The kinds of characters that the reader should be warned of.
    pub fn flags(&self) -> BTreeSet<TextDefect> {
        self.facts.iter().flat_map(|fact| fact.flags.iter().copied()).collect()
    }

    /// For a terminal: the sentence, the facts, and behind each flagged fact its warnings.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.sentence.clone(), format!("{:<LABEL$}  {} ({} tier)", "what", self.title, self.tier)];
        for fact in &self.facts {
            lines.push(format!("{:<LABEL$}  {}", fact.label, fact.value));
            lines.extend(fact.flags.iter().map(|flag| format!("  ⚠ {}: {}", flag.as_str(), flag.explain())));
        }
        lines.extend(
            self.attestations.iter().map(|(name, text)| format!("{:<LABEL$}  {name}: {text}", "to be attested")),
        );
        lines
    }
}

fn check(ask: &Ask, call: Option<&CallView>) -> Result<(), ViewError> {
    let (Some(req), Some(call)) = (&ask.req, call) else {
        return match (&ask.req, call) {
            (Some(_), None) => Err(ViewError::CallMissing),
            (None, Some(_)) => Err(ViewError::CallNotAsked),
            _ => Ok(()),
        };
    };
    let digest = json::digest(&call.params.to_value());
    if call.binding != *req || digest != req.digest { Err(ViewError::CallMismatch) } else { Ok(()) }
}

#[derive(Default)]
struct Facts(Vec<Fact>);

impl Facts {
    fn text(&mut self, label: &str, value: &str) {
        self.push(label.to_owned(), value, BTreeSet::new());
    }

    fn optional(&mut self, label: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(label, value);
        }
    }

    fn push(&mut self, label: String, value: &str, mut flags: BTreeSet<TextDefect>) {
        let findings = scrutinise(value);
        flags.extend(findings.iter().map(|finding| finding.kind));
        let value = edges(&visible(value, &findings));
        self.0.push(Fact { label, value, flags: flags.into_iter().collect() });
    }

    fn call(&mut self, call: &CallView) {
        let CallView { binding: RequestBinding { connector, method, path, digest }, params } = call;
        self.text("connector", connector.as_str());
        self.text("method", method.as_str());
        self.text("path", path.as_str());
        self.json("parameter", &params.to_value());
        self.text("parameters digest", &digest.to_string());
    }

    /// Names every member, so that a new one does not compile before it is shown.
    fn ground(&mut self, leg: &Leg) {
        let Leg {
            jurisdiction,
            accountable_party: AccountableParty { kind, id, display_name },
            basis,
            reference,
            description,
            template: TemplateRef { id: template, version, digest },
            ticket,
            regulation_refs,
            retention_days,
            data_subject,
            purpose,
            approval_ref,
            approval: _,
            dual_control: _,
        } = leg;
        self.text("jurisdiction", &jurisdiction.to_string());
        self.text("basis", word(basis).as_str());
        self.text("accountable type", kind.as_str());
        self.text("accountable id", id.as_str());
        self.optional("accountable name", display_name.as_ref().map(PlainText::as_str));
        self.text("reference", reference.as_str());
        self.text("description", description.as_str());
        self.text("template", template.as_str());
        self.text("template version", version.as_str());
        self.text("template digest", &digest.to_string());
        if let Some(Ticket { system, reference }) = ticket {
            self.text("ticket system", system.as_str());
            self.text("ticket", reference.as_str());
        }
        if let Some(refs) = regulation_refs {
            self.text("regulations", &refs.len().to_string());
            refs.iter().for_each(|reference| self.text("regulation", reference.as_str()));
        }
        if let Some(days) = retention_days {
            self.text("retention", &format!("{days} days"));
        }
        self.optional("data subject", data_subject.as_ref().map(Commitment::as_str));
        self.optional("purpose", purpose.as_ref().map(PlainText::as_str));
        self.optional("approval reference", approval_ref.as_ref().map(PlainText::as_str));
    }

    /// Every value at any depth under `label`, as JSON text at its pointer.
    fn json(&mut self, label: &'static str, value: &Value) {
        match value {
            Value::Object(members) if members.is_empty() => self.text(label, NONE),
            _ => self.leaves(label, &mut String::new(), value),
        }
    }

    fn leaves(&mut self, label: &'static str, pointer: &mut String, value: &Value) {
        let before = pointer.len();
        match value {
            Value::Object(members) if !members.is_empty() => {
                // Whatever order the map is in, this one is fixed.
                let mut sorted: Vec<_> = members.iter().collect();
                sorted.sort_unstable_by(|a, b| a.0.cmp(b.0));
                for (name, member) in sorted {
                    pointer.push('/');
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    self.leaves(label, pointer, member);
                    pointer.truncate(before);
                }
            }
            // Without it, a list and an object with the members `0`, `1`, … would look the same.
            Value::Array(items) if !items.is_empty() => {
                self.leaf(label, pointer, &format!("list of {}", items.len()));
                for (index, item) in items.iter().enumerate() {
                    pointer.push_str(&format!("/{index}"));
                    self.leaves(label, pointer, item);
                    pointer.truncate(before);
                }
            }
            leaf => self.leaf(label, pointer, &String::from_utf8(json::canonical(leaf)).unwrap_or_default()),
        }
    }

    fn leaf(&mut self, label: &'static str, pointer: &str, text: &str) {
        let findings = scrutinise(pointer);
        let flags = findings.iter().map(|finding| finding.kind).collect();
        self.push(format!("{label} {}", place(&visible(pointer, &findings))), text, flags);
    }
}

/// The name that a unit variant is written with.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A text whose first and last spaces can be seen.
fn edges(text: &str) -> String {
    const SPACE: &str = "⟦U+0020⟧";
    let inner = text.trim_matches(' ');
    let start = text.len() - text.trim_start_matches(' ').len();
    let end = if inner.is_empty() { 0 } else { text.len() - text.trim_end_matches(' ').len() };
    if start + end == 0 { text.to_owned() } else { SPACE.repeat(start) + inner + &SPACE.repeat(end) }
}

/// A pointer without spaces, so that it ends where the value begins.
fn place(pointer: &str) -> String {
    pointer.chars().fold(String::with_capacity(pointer.len()), |mut shown, c| {
        if c.is_whitespace() {
            use std::fmt::Write as _;
            let _ = write!(shown, "⟦U+{:04X}⟧", u32::from(c));
        } else {
            shown.push(c);
        }
        shown
    })
}
