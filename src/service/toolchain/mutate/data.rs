//! Changes of the data that the policy relies on: fewer people, a lower tier, a wider limit, a rule that is not there.
//!
//! Only JSON is changed, in its text, so that a report can show it. Directories of people, texts for people and legal
//! templates are not policy and stay as they are.

use std::ops::Range;

use serde_json::Value;

use super::edit::{Edit, Operator};
use crate::domain::catalogue::Tier;

/// Documents in which every number, answer and entry is policy.
const POLICY: [&str; 9] = [
    "workspaces",
    "environments",
    "teams",
    "calendars",
    "freezes",
    "maintenance",
    "rates",
    "low_risk_allowlist",
    "roles",
];

/// Every change of one data file; the text is JSON that the strict reader has let pass.
pub(super) fn edits(file: &str, text: &str) -> Vec<Edit> {
    let mut path: Vec<String> = file.split('/').map(str::to_owned).collect();
    path.pop();
    let mut scanner = Scanner { text, at: 0, nodes: Vec::new() };
    scanner.value(&mut path, None);
    let nodes = scanner.nodes;
    let edits = nodes.iter().flat_map(|node| {
        let steps: Vec<&str> = node.path.iter().map(String::as_str).collect();
        let subject = format!("data.{}", steps.join("."));
        let changes = changes(&steps, node, text);
        changes
            .into_iter()
            .map(move |(operator, range, by)| Edit::new((file, text), &subject, operator, range, by))
            .collect::<Vec<_>>()
    });
    edits.collect()
}

type Change = (Operator, Range<usize>, String);

fn changes(path: &[&str], node: &Node, text: &str) -> Vec<Change> {
    use Operator::{ChangeData, LoosenApproval, LoosenLimit};
    let value = || text.get(node.value.clone()).and_then(|t| serde_json::from_str::<Value>(t).ok());
    let drop = |operator| node.entry.clone().map(|range| (operator, range, String::new()));
    let step =
        |operator, by: i64| shifted(text.get(node.value.clone())?, by).map(|by| (operator, node.value.clone(), by));
    let flip = |operator| flipped(text.get(node.value.clone())?).map(|by| (operator, node.value.clone(), by));
    let one: Option<Change> = match path {
        ["tiers", _, "approvals"] | ["catalogue", _, "approval", "approvals"] => step(LoosenApproval, -1),
        ["tiers" | "catalogue", .., "roles", _] => drop(LoosenApproval),
        ["tiers", _, "ticket" | "delegable"] => flip(LoosenApproval),
        ["tiers", _, "max_ttl_seconds" | "challenge_seconds"] | ["catalogue", _, "max_ttl_seconds"] => {
            step(LoosenLimit, 1)
        }
        ["catalogue", _, "approval"] => drop(LoosenApproval),
        ["catalogue", _, "bind_request"] => flip(LoosenApproval),
        ["catalogue", _, "tier"] => value().and_then(|v| lower(&v)).map(|by| (LoosenApproval, node.value.clone(), by)),
        ["catalogue", _, "data_class"] => Some((ChangeData, node.value.clone(), "\"internal\"".to_owned())),
        ["catalogue", _, "attestations" | "privileged", _] | ["catalogue", _, "limits", _] => drop(LoosenLimit),
        ["catalogue", _, "privileged", _, _] => drop(LoosenLimit),
        ["catalogue", _, "limits", _, "max" | "max_length"] => step(LoosenLimit, 1),
        ["catalogue", _, "limits", _, "min" | "min_length"] => step(LoosenLimit, -1),
        ["catalogue", _, "limits", _, "eq" | "in" | "pattern"] => drop(LoosenLimit),
        ["catalogue", _, "parameters", "required", _] => drop(ChangeData),
        ["catalogue", ..] => None,
        [root, _, ..] if POLICY.contains(root) => {
            step(ChangeData, 1).or_else(|| flip(ChangeData)).or_else(|| drop(ChangeData))
        }
        _ => None,
    };
    one.into_iter().filter(|(_, range, by)| text.get(range.clone()) != Some(by)).collect()
}

fn shifted(text: &str, by: i64) -> Option<String> {
    text.parse::<i64>().ok().map(|n| n.saturating_add(by).to_string()).filter(|n| !n.starts_with('-'))
}

fn flipped(text: &str) -> Option<String> {
    match text {
        "true" => Some("false".to_owned()),
        "false" => Some("true".to_owned()),
        _ => None,
    }
}

fn lower(tier: &Value) -> Option<String> {
    let at = Tier::ALL.iter().position(|tier_at| Some(tier_at.as_str()) == tier.as_str())?;
    Tier::ALL.get(at.checked_sub(1)?).map(|tier| format!("\"{}\"", tier.as_str()))
}

/// A value in the text.
struct Node {
    path: Vec<String>,
    value: Range<usize>,
    /// With its name and one comma, so that the rest is JSON without it.
    entry: Option<Range<usize>>,
}

/// Walks JSON that is known to be valid and nested within bounds.
struct Scanner<'t> {
    text: &'t str,
    at: usize,
    nodes: Vec<Node>,
}

impl Scanner<'_> {
    fn value(&mut self, path: &mut Vec<String>, entry: Option<usize>) {
        self.blanks();
        let start = self.at;
        let own = self.nodes.len();
        self.nodes.push(Node { path: path.clone(), value: start..start, entry: None });
        match self.peek() {
            Some(b'{') => self.members(path, b'}'),
            Some(b'[') => self.members(path, b']'),
            Some(b'"') => drop(self.string()),
            _ => self.at += self.rest().bytes().take_while(|b| !matches!(b, b',' | b']' | b'}' | b' ' | b'\n')).count(),
        }
        let end = self.at;
        if let Some(node) = self.nodes.get_mut(own) {
            node.value = start..end;
            node.entry = entry.map(|from| from..end);
        }
    }

    fn members(&mut self, path: &mut Vec<String>, close: u8) {
        self.at += 1;
        let (mut index, mut first, mut comma): (usize, Option<usize>, Option<usize>) = (0, None, None);
        loop {
            self.blanks();
            match self.peek() {
                None => return,
                Some(byte) if byte == close => {
                    self.at += 1;
                    return;
                }
                Some(b',') => {
                    // The first entry takes the comma behind it, every other one the comma before it.
                    if index == 1
                        && let Some(entry) = first.and_then(|own| self.nodes.get_mut(own)?.entry.as_mut())
                    {
                        entry.end = self.at + 1;
                    }
                    comma = Some(self.at);
                    self.at += 1;
                }
                Some(_) => {
                    let start = comma.unwrap_or(self.at);
                    let name = if close == b'}' { self.name() } else { index.to_string() };
                    path.push(name);
                    first = first.or(Some(self.nodes.len()));
                    self.value(path, Some(start));
                    path.pop();
                    index += 1;
                }
            }
        }
    }

    fn name(&mut self) -> String {
        let name = self.string();
        self.blanks();
        self.at += 1;
        name
    }

    fn string(&mut self) -> String {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.peek().filter(|b| *b != b'"') {
            self.at += if byte == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        let text = self.text.get(start..self.at).unwrap_or_default();
        serde_json::from_str(text).unwrap_or_default()
    }

    fn blanks(&mut self) {
        self.at += self.rest().bytes().take_while(u8::is_ascii_whitespace).count();
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(file: &str, text: &str) -> Vec<(String, Value)> {
        let apply = |edit: &Edit| {
            let text = edit.apply(text).expect("a change");
            (edit.subject.clone(), serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}")))
        };
        edits(file, text).iter().map(apply).collect()
    }

    #[test]
    fn a_tier_asks_for_fewer_people_and_no_ticket() {
        let text = r#"{"high": {"approvals": 2, "roles": {"a": 1, "b": 1}, "ticket": true}}"#;
        let all = changed("tiers/data.json", text);
        let expected = [
            ("data.tiers.high.approvals", r#"{"high": {"approvals": 1, "roles": {"a": 1, "b": 1}, "ticket": true}}"#),
            ("data.tiers.high.roles.a", r#"{"high": {"approvals": 2, "roles": {"b": 1}, "ticket": true}}"#),
            ("data.tiers.high.roles.b", r#"{"high": {"approvals": 2, "roles": {"a": 1}, "ticket": true}}"#),
            ("data.tiers.high.ticket", r#"{"high": {"approvals": 2, "roles": {"a": 1, "b": 1}, "ticket": false}}"#),
        ];
        let expected = expected.map(|(subject, text)| (subject.to_owned(), serde_json::from_str(text).unwrap()));
        assert_eq!(all, expected);
    }

    #[test]
    fn an_act_loses_its_limits_and_its_tier_and_nothing_for_people_is_touched() {
        let text = r#"{"a.b": {"title": "T", "tier": "medium", "limits": {"n": {"max": 5}},
            "parameters": {"required": ["n", "m"], "properties": {"n": {"type": "string"}}}}}"#;
        let subjects: Vec<_> = changed("catalogue/data.json", text).into_iter().map(|(subject, _)| subject).collect();
        let expected = ["tier", "limits.n", "limits.n.max", "parameters.required.0", "parameters.required.1"];
        assert_eq!(subjects, expected.map(|name| format!("data.catalogue.a.b.{name}")));
        assert!(changed("reasons/data.json", r#"{"ok": {"rank": 1, "detail": "x"}}"#).is_empty());
    }
}
