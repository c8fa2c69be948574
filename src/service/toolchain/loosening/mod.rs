//! What a candidate's data allows that the base's did not, read from the data alone.
//!
//! No history exercises a path that is new: an act that nobody could ask for, an approver who was not there. So the two
//! data documents are compared member by member. What is known to permit more is named by its kind; under the roots whose
//! members restrict, whatever went or changed is named, because whether a changed calendar is stricter is not decided
//! here. Does not read Rego: what a changed rule does is the history's to show. Of the acts, the tiers and the people
//! here; of the legal templates and the risk in `ground`.

mod ground;

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

/// One thing that the candidate's data allows beyond the base's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Loosening {
    /// The name as written in reports and accept files.
    pub kind: &'static str,
    /// RFC 6901 pointer into the data document.
    pub at: String,
    /// The act, where it is about one.
    pub act: Option<String>,
    /// The base's value, shortened.
    pub from: String,
    /// The candidate's value, shortened.
    pub to: String,
}

/// Roots whose members only restrict: one that went or changed may allow more.
const RESTRICTING: [&str; 6] = ["environments", "teams", "calendars", "freezes", "maintenance", "rates"];
/// Limits of an act by whether a larger value allows more.
const UPPER: [&str; 2] = ["max", "max_length"];
const LOWER: [&str; 2] = ["min", "min_length"];

/// What an act is graded by, each from harmless to dangerous: its tier, what its answers oblige to, whether it may go
/// without a mandate, and its risk hang on them.
const GRADES: [(&str, &str, &[&str]); 3] = [
    ("tier_lowered", "tier", &["low", "medium", "high", "critical"]),
    ("class_lowered", "data_class", &["public", "internal", "confidential", "personal", "sensitive"]),
    ("reversibility_lowered", "reversibility", &["read_only", "reversible", "externally_reversible", "irreversible"]),
];

/// Everything that the candidate loosens, in the order of the data.
pub fn loosenings(base: &Map<String, Value>, candidate: &Map<String, Value>) -> Vec<Loosening> {
    let mut found = Found(Vec::new());
    found.catalogue(member(base, "catalogue"), member(candidate, "catalogue"));
    found.tiers(member(base, "tiers"), member(candidate, "tiers"));
    found.approvers(member(base, "approvers"), member(candidate, "approvers"));
    found.agents(member(base, "agents"), member(candidate, "agents"));
    found.workspaces(member(base, "workspaces"), member(candidate, "workspaces"));
    found.roles(member(base, "roles"), member(candidate, "roles"));
    found.allowlist(member(base, "low_risk_allowlist"), member(candidate, "low_risk_allowlist"));
    found.templates(member(base, "leg_templates"), member(candidate, "leg_templates"));
    found.risk(base.get("risk"), candidate.get("risk"));
    for root in RESTRICTING {
        found.restricting(&format!("/{root}"), None, base.get(root), candidate.get(root));
    }
    found.0.sort_unstable();
    found.0
}

struct Found(Vec<Loosening>);

impl Found {
    fn add(&mut self, kind: &'static str, at: String, act: Option<&str>, from: Option<&Value>, to: Option<&Value>) {
        self.0.push(Loosening { kind, at, act: act.map(str::to_owned), from: brief(from), to: brief(to) });
    }

    fn catalogue(&mut self, base: &Map<String, Value>, candidate: &Map<String, Value>) {
        for (act, to) in candidate {
            let at = format!("/catalogue/{}", escaped(act));
            match base.get(act) {
                None => self.add("act_added", at, Some(act), None, to.get("tier")),
                Some(from) => self.act(&at, act, from, to),
            }
        }
    }

    fn act(&mut self, at: &str, act: &str, from: &Value, to: &Value) {
        for (kind, name, order) in GRADES {
            let of = |entry: &Value| entry.get(name).and_then(Value::as_str).map(str::to_owned);
            let rank = |entry: &Value| order.iter().position(|grade| of(entry).as_deref() == Some(grade));
            if rank(to) < rank(from) {
                self.add(kind, format!("{at}/{name}"), Some(act), from.get(name), to.get(name));
            }
        }
        if from.get("bind_request") == Some(&Value::Bool(true)) && to.get("bind_request") != Some(&Value::Bool(true)) {
            let (from, to) = (from.get("bind_request"), to.get("bind_request"));
            self.add("binding_dropped", format!("{at}/bind_request"), Some(act), from, to);
        }
        self.limits(&format!("{at}/limits"), act, object(from.get("limits")), object(to.get("limits")));
        self.number(("life_longer", "max_ttl_seconds", true), at, Some(act), from, to);
        let (from_approval, to_approval) = (from.get("approval"), to.get("approval"));
        self.approval(&format!("{at}/approval"), Some(act), from_approval, to_approval);
        self.restricting(&format!("{at}/attestations"), Some(act), from.get("attestations"), to.get("attestations"));
        self.restricting(&format!("{at}/privileged"), Some(act), from.get("privileged"), to.get("privileged"));
        self.members_added(
            "loggable_added",
            &format!("{at}/loggable"),
            Some(act),
            from.get("loggable"),
            to.get("loggable"),
        );
        if from.get("parameters") != to.get("parameters") {
            self.add("parameters_changed", format!("{at}/parameters"), Some(act), None, None);
        }
    }

    fn limits(&mut self, at: &str, act: &str, base: &Map<String, Value>, candidate: &Map<String, Value>) {
        for (parameter, from) in base {
            for (operator, limit) in object(Some(from)) {
                let at = format!("{at}/{}/{operator}", escaped(parameter));
                let to = candidate.get(parameter).and_then(|limits| limits.get(operator));
                if widened(operator, limit, to) {
                    self.add("limit_widened", at, Some(act), Some(limit), to);
                }
            }
        }
    }

    /// A member that allows more when it is larger (`grows`) or smaller, or when it is gone.
    fn number(
        &mut self,
        (kind, name, grows): (&'static str, &str, bool),
        at: &str,
        act: Option<&str>,
        from: &Value,
        to: &Value,
    ) {
        let (from, to) = (from.get(name), to.get(name));
        let Some(before) = from.and_then(Value::as_f64) else { return };
        let looser = to.and_then(Value::as_f64).is_none_or(|after| if grows { after > before } else { after < before });
        if looser {
            self.add(kind, format!("{at}/{name}"), act, from, to);
        }
    }

    fn approval(&mut self, at: &str, act: Option<&str>, from: Option<&Value>, to: Option<&Value>) {
        let Some(from) = from else { return };
        let to = to.unwrap_or(&Value::Null);
        self.number(("approvals_fewer", "approvals", false), at, act, from, to);
        self.number(("challenge_longer", "challenge_seconds", true), at, act, from, to);
        self.number(("life_longer", "max_ttl_seconds", true), at, act, from, to);
        let roles = to.get("roles").unwrap_or(&Value::Null);
        for class in object(from.get("roles")).keys() {
            let of = object(from.get("roles")).clone();
            self.number(("roles_fewer", class, false), &format!("{at}/roles"), act, &Value::Object(of), roles);
        }
        for (name, strict) in [("ticket", true), ("delegable", false)] {
            if from.get(name) == Some(&Value::Bool(strict)) && to.get(name) != from.get(name) {
                let kind = if strict { "ticket_dropped" } else { "delegable_widened" };
                self.add(kind, format!("{at}/{name}"), act, from.get(name), to.get(name));
            }
        }
    }

    fn tiers(&mut self, base: &Map<String, Value>, candidate: &Map<String, Value>) {
        for (tier, from) in base {
            self.approval(&format!("/tiers/{}", escaped(tier)), None, Some(from), candidate.get(tier));
        }
    }

    fn approvers(&mut self, base: &Map<String, Value>, candidate: &Map<String, Value>) {
        for (id, to) in candidate {
            let at = format!("/approvers/{}", escaped(id));
            let Some(from) = base.get(id) else {
                self.add("approver_added", at, None, None, to.get("tiers"));
                continue;
            };
            for name in ["roles", "tiers", "acts", "workspaces"] {
                self.members_added("approver_widened", &format!("{at}/{name}"), None, from.get(name), to.get(name));
            }
            // Another person behind the identity makes two people of one; a term that is gone makes it last.
            for name in ["person", "valid_from", "valid_until"] {
                if from.get(name).is_some() && from.get(name) != to.get(name) {
                    self.add("approver_widened", format!("{at}/{name}"), None, from.get(name), to.get(name));
                }
            }
        }
    }

    fn agents(&mut self, base: &Map<String, Value>, candidate: &Map<String, Value>) {
        for (id, to) in candidate {
            let at = format!("/agents/{}", escaped(id));
            let Some(from) = base.get(id) else {
                self.add("agent_added", at, None, None, to.get("workspace"));
                continue;
            };
            for name in ["operator", "workspace"] {
                if from.get(name) != to.get(name) {
                    self.add("agent_changed", format!("{at}/{name}"), None, from.get(name), to.get(name));
                }
            }
            self.restricting(&format!("{at}/platform"), None, from.get("platform"), to.get("platform"));
        }
    }

    fn workspaces(&mut self, base: &Map<String, Value>, candidate: &Map<String, Value>) {
        for (name, from) in base {
            let at = format!("/workspaces/{}", escaped(name));
            let (rest, to) = (without_form(Some(from)), without_form(candidate.get(name)));
            self.restricting(&at, None, Some(&rest), Some(&to));
        }
        for (name, to) in candidate {
            let free =
                |workspace: Option<&Value>| workspace.and_then(|w| w.get("free_form_leg")) == Some(&Value::Bool(true));
            if free(Some(to)) && !free(base.get(name)) {
                let at = format!("/workspaces/{}/free_form_leg", escaped(name));
                self.add(
                    "free_form_allowed",
                    at,
                    None,
                    base.get(name).and_then(|w| w.get("free_form_leg")),
                    Some(&Value::Bool(true)),
                );
            }
        }
    }

    fn roles(&mut self, base: &Map<String, Value>, candidate: &Map<String, Value>) {
        for (class, from) in base {
            let (from, to) = (object(Some(from)), object(candidate.get(class)));
            for (role, counts) in to.iter().filter(|(role, counts)| from.get(*role) != Some(counts)) {
                let at = format!("/roles/{}/{}", escaped(class), escaped(role));
                self.add("role_class_widened", at, None, from.get(role), Some(counts));
            }
        }
    }

    fn allowlist(&mut self, base: &Map<String, Value>, candidate: &Map<String, Value>) {
        let acts = |document: &Map<String, Value>| -> BTreeSet<String> {
            let listed = object(document.get("acts")).iter().filter(|(_, on)| **on == Value::Bool(true));
            listed.map(|(act, _)| act.clone()).collect()
        };
        for act in acts(candidate).difference(&acts(base)) {
            let at = format!("/low_risk_allowlist/acts/{}", escaped(act));
            self.add("allowlist_added", at, Some(act), None, Some(&Value::Bool(true)));
        }
    }

    /// Under a member that only restricts: what went, and what changed. What was added restricts more.
    fn restricting(&mut self, at: &str, act: Option<&str>, from: Option<&Value>, to: Option<&Value>) {
        let Some(from) = from else { return };
        match (from, to) {
            (_, None) if is_empty(from) => {}
            (_, None) => self.add("restriction_removed", at.to_owned(), act, Some(from), None),
            (Value::Object(from), Some(Value::Object(to))) => {
                for (name, value) in from {
                    self.restricting(&format!("{at}/{}", escaped(name)), act, Some(value), to.get(name));
                }
            }
            (Value::Array(from), Some(Value::Array(to))) => {
                for item in from.iter().filter(|item| !to.contains(item)) {
                    self.add("restriction_removed", at.to_owned(), act, Some(item), None);
                }
            }
            (from, Some(to)) if from != to => {
                self.add("restriction_changed", at.to_owned(), act, Some(from), Some(to));
            }
            _ => {}
        }
    }

    fn members_added(
        &mut self,
        kind: &'static str,
        at: &str,
        act: Option<&str>,
        from: Option<&Value>,
        to: Option<&Value>,
    ) {
        let items = |value: Option<&'_ Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
        let known = items(from);
        for item in items(to).iter().filter(|item| !known.contains(item)) {
            self.add(kind, at.to_owned(), act, None, Some(item));
        }
    }
}

/// Whether a limit lets more through than before. A set may shrink, bounds may close in; anything else is looked at.
fn widened(operator: &str, from: &Value, to: Option<&Value>) -> bool {
    let Some(to) = to else { return true };
    let numbers = from.as_f64().zip(to.as_f64());
    match operator {
        _ if UPPER.contains(&operator) => numbers.is_none_or(|(from, to)| to > from),
        _ if LOWER.contains(&operator) => numbers.is_none_or(|(from, to)| to < from),
        "in" => match (from.as_array(), to.as_array()) {
            (Some(from), Some(to)) => to.iter().any(|item| !from.contains(item)),
            _ => from != to,
        },
        _ => from != to,
    }
}

fn without_form(workspace: Option<&Value>) -> Value {
    let mut members = object(workspace).clone();
    members.remove("free_form_leg");
    Value::Object(members)
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

fn member<'d>(document: &'d Map<String, Value>, name: &str) -> &'d Map<String, Value> {
    object(document.get(name))
}

fn object(value: Option<&Value>) -> &Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.and_then(Value::as_object).unwrap_or(&EMPTY)
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn brief(value: Option<&Value>) -> String {
    const MOST: usize = 80;
    let Some(value) = value else { return "-".to_owned() };
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() > MOST { text.chars().take(MOST - 1).chain(['…']).collect() } else { text }
}

#[cfg(test)]
mod tests;
