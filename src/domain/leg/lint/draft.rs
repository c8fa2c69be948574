//! A template as far as it can be read: every rule takes what is there and leaves the rest to the rules of the shape.

use super::super::placeholder::{self, Part};
use super::Source;
use super::finding::{Code, Finding};
use super::node::{Node, Pos};
use crate::domain::action::ActionName;
use crate::domain::day::Day;
use crate::domain::policy::bundle::ActPattern;

/// One file that is a YAML document.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) source: &'a Source,
    pub(super) root: Node,
}

/// One declared variable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variable<'a> {
    pub(super) name: &'a str,
    /// Where the name stands.
    pub(super) pos: Pos,
    pub(super) node: &'a Node,
}

impl<'a> Variable<'a> {
    pub(super) fn required(&self) -> bool {
        self.flag("required")
    }

    pub(super) fn committed(&self) -> bool {
        self.flag("commit")
    }

    pub(super) fn personal(&self) -> bool {
        self.flag("personal")
    }

    pub(super) fn is_integer(&self) -> bool {
        self.node.find("type").and_then(Node::as_text) == Some("integer")
    }

    pub(super) fn pattern(&self) -> Option<(&'a str, Pos)> {
        text_at(self.node, "pattern")
    }

    pub(super) fn description(&self) -> &'a str {
        text_at(self.node, "description").map(|(text, _)| text).unwrap_or_default()
    }

    fn flag(&self, name: &str) -> bool {
        self.node.find(name).and_then(Node::as_bool) == Some(true)
    }
}

/// One text of the claim.
#[derive(Debug, Clone)]
pub(super) struct ClaimText<'a> {
    /// Dotted: `accountable_party.id`.
    pub(super) path: String,
    pub(super) text: &'a str,
    pub(super) pos: Pos,
}

impl<'a> ClaimText<'a> {
    /// The variables in it; none where its braces are wrong.
    pub(super) fn variables(&self) -> Vec<&'a str> {
        let variable = |part| if let Part::Variable(name) = part { Some(name) } else { None };
        placeholder::parts(self.text).unwrap_or_default().into_iter().filter_map(variable).collect()
    }

    /// Whether something stands beside the variables.
    pub(super) fn has_words(&self) -> bool {
        let words = |part: &Part<'_>| matches!(part, Part::Text(text) if text.chars().any(char::is_alphanumeric));
        placeholder::parts(self.text).unwrap_or_default().iter().any(words)
    }
}

impl<'a> Draft<'a> {
    pub(super) fn file(&self) -> &'a str {
        &self.source.file
    }

    /// The id, or the folder's name where there is none.
    pub(super) fn id(&self) -> &str {
        self.text("id").map(|(id, _)| id).or(self.source.folder.as_deref()).unwrap_or_default()
    }

    pub(super) fn version(&self) -> Option<(&str, Pos)> {
        self.text("version")
    }

    pub(super) fn basis(&self) -> Option<(&str, Pos)> {
        self.text("basis")
    }

    /// Where a field's name stands; the start of the file where it is absent.
    pub(super) fn pos_of(&self, field: &str) -> Pos {
        self.root.member(field).map_or(Pos::START, |member| member.pos)
    }

    pub(super) fn text(&self, field: &str) -> Option<(&str, Pos)> {
        text_at(&self.root, field)
    }

    /// The texts of a list.
    pub(super) fn list(&self, field: &str) -> Vec<(&str, Pos)> {
        let items = self.root.find(field).map(Node::items).unwrap_or_default();
        items.iter().filter_map(|item| Some((item.as_text()?, item.pos))).collect()
    }

    pub(super) fn day(&self, field: &str) -> Option<(Day, Pos)> {
        let (text, pos) = self.text(field)?;
        Some((Day::try_from(text.to_owned()).ok()?, pos))
    }

    /// Whether it was retired by that day.
    pub(super) fn withdrawn(&self, today: Day) -> bool {
        self.day("withdrawn").is_some_and(|(day, _)| day <= today)
    }

    /// Whether it is in force on that day.
    pub(super) fn in_force(&self, today: Day) -> bool {
        let from = self.day("valid_from").is_some_and(|(day, _)| day <= today);
        let until = self.day("valid_until").is_some_and(|(day, _)| today <= day);
        from && until && !self.withdrawn(today)
    }

    pub(super) fn variables(&self) -> Vec<Variable<'_>> {
        let members = self.root.find("variables").map(Node::members).unwrap_or_default();
        members.iter().map(|m| Variable { name: &m.name, pos: m.pos, node: &m.value }).collect()
    }

    pub(super) fn variable(&self, name: &str) -> Option<Variable<'_>> {
        self.variables().into_iter().find(|variable| variable.name == name)
    }

    pub(super) fn claim(&self) -> Option<&Node> {
        self.root.find("claim")
    }

    /// Every text of the claim.
    pub(super) fn claim_texts(&self) -> Vec<ClaimText<'_>> {
        let mut texts = Vec::new();
        for member in self.claim().map(Node::members).unwrap_or_default() {
            collect(&member.value, member.name.clone(), &mut texts);
        }
        texts
    }

    /// Every text that variables may stand in: the claim's and the references.
    pub(super) fn texts_with_variables(&self) -> Vec<ClaimText<'_>> {
        let mut texts = self.claim_texts();
        if let Some(references) = self.root.find("references") {
            collect(references, "references".to_owned(), &mut texts);
        }
        texts
    }

    /// The text of one member of the claim, dotted.
    pub(super) fn claim_text(&self, path: &str) -> Option<ClaimText<'_>> {
        self.claim_texts().into_iter().find(|text| text.path == path)
    }

    /// The well-formed entries of `acts`.
    pub(super) fn acts(&self) -> Vec<ActPattern> {
        self.list("acts").iter().filter_map(|(text, _)| ActPattern::try_from((*text).to_owned()).ok()).collect()
    }

    pub(super) fn covers_act(&self, act: &ActionName) -> bool {
        self.acts().iter().any(|pattern| pattern.covers(act))
    }

    /// A template that names no class of data covers each.
    pub(super) fn covers_class(&self, class: &str) -> bool {
        self.root.find("data_classes").is_none() || self.list("data_classes").iter().any(|(name, _)| *name == class)
    }

    pub(super) fn finding(
        &self,
        code: Code,
        pos: Pos,
        message: impl Into<String>,
        suggestion: impl Into<String>,
    ) -> Finding {
        Finding::new(code, self.file(), pos, message, suggestion)
    }
}

fn text_at<'n>(node: &'n Node, name: &str) -> Option<(&'n str, Pos)> {
    let value = node.find(name)?;
    Some((value.as_text()?, value.pos))
}

fn collect<'n>(node: &'n Node, path: String, into: &mut Vec<ClaimText<'n>>) {
    if let Some(text) = node.as_text() {
        into.push(ClaimText { path, text, pos: node.pos });
        return;
    }
    for (index, item) in node.items().iter().enumerate() {
        collect(item, format!("{path}.{index}"), into);
    }
    for member in node.members() {
        collect(&member.value, format!("{path}.{}", member.name), into);
    }
}
