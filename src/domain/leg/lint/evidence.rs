//! What a basis asks for: proof, an accountable party, a time after which the data goes.

use super::super::placeholder;
use super::draft::Draft;
use super::finding::{Code, Finding};
use super::node::{Node, Pos};

/// A hundred years.
const LONGEST_DAYS: u64 = 36_525;

/// Which evidence a basis cannot do without (GDPR Art. 6(1), 6(3), 7(1)).
const NEEDED: [(&str, &[(&str, &str)]); 6] = [
    ("LI", &[("balancing_test", "the interest weighed against the people concerned")]),
    ("CONTRACT", &[("contract", "the contract that is fulfilled")]),
    ("CONSENT", &[("consent_record", "the record that shows the consent"), ("purpose", "what was consented to")]),
    ("LEGAL", &[("legal_reference", "the provision that obliges")]),
    ("VITAL", &[("emergency_record", "the record of the emergency")]),
    ("PUBLIC_TASK", &[("legal_reference", "the provision that gives the task")]),
];

/// Where evidence of a kind must stand alone in the claim.
const PLACES: [(&str, &str); 2] = [("consent_record", "ref"), ("purpose", "purpose")];

pub(super) fn check(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    missing(draft, findings);
    variables(draft, findings);
    party(draft, findings);
    retention(draft, findings);
    withdrawn(draft, findings);
}

fn rules<'d>(draft: &'d Draft<'_>) -> Vec<(&'d str, &'d str, Pos)> {
    let rules = draft.root.find("evidence").map(Node::items).unwrap_or_default();
    let text = |rule: &'d Node, name: &str| rule.find(name).and_then(Node::as_text);
    rules
        .iter()
        .filter_map(|rule| Some((text(rule, "kind")?, text(rule, "variable")?, rule.find("variable")?.pos)))
        .collect()
}

fn missing(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    let Some((basis, pos)) = draft.basis() else { return };
    let needed = NEEDED.iter().find(|(name, _)| *name == basis).map(|(_, needed)| *needed).unwrap_or_default();
    let given = rules(draft);
    for (kind, what) in needed.iter().filter(|(kind, _)| !given.iter().any(|(given, ..)| given == kind)) {
        let message = format!("`basis: {basis}` needs evidence of kind `{kind}`: {what}");
        let suggestion = format!("add `- {{kind: {kind}, variable: …}}` under `evidence`, with a required variable");
        let pos = draft.root.member("evidence").map_or(pos, |member| member.pos);
        findings.push(draft.finding(Code::Evidence, pos, message, suggestion));
    }
}

fn variables(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    let texts = draft.texts_with_variables();
    for (kind, name, pos) in rules(draft) {
        let place = PLACES.iter().find(|(placed, _)| *placed == kind).map(|(_, place)| *place);
        let alone = |path: &str| draft.claim_text(path).is_some_and(|text| placeholder::whole(text.text) == Some(name));
        let (message, suggestion) = match (draft.variable(name), place) {
            (None, _) => (
                format!("evidence `{kind}` points to `{name}`, which is not declared"),
                format!("declare `{name}` under `variables`, or name the variable that holds it"),
            ),
            (Some(variable), _) if !variable.required() => (
                format!("evidence `{kind}` is in `{name}`, which may be left out"),
                format!("write `required: true` under `variables.{name}`"),
            ),
            (Some(_), Some(place)) if !alone(place) => (
                format!("evidence `{kind}` is in `{name}`, which is not the whole of `claim.{place}`"),
                format!("write `{place}: \"{{{{{name}}}}}\"` in the claim"),
            ),
            (Some(_), _) if !texts.iter().any(|text| text.variables().contains(&name)) => (
                format!("evidence `{kind}` is in `{name}`, which the claim does not show"),
                format!("use `{{{{{name}}}}}` in the claim, in `ref` for example, or in `references`"),
            ),
            _ => continue,
        };
        findings.push(draft.finding(Code::EvidenceVariable, pos, message, suggestion));
    }
}

fn party(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    let Some(rule) = draft.root.find("accountable_party") else { return };
    let types: Vec<&str> =
        rule.find("types").map(Node::items).unwrap_or_default().iter().filter_map(Node::as_text).collect();
    let kind = draft.claim_text("accountable_party.type").filter(|kind| !kind.text.contains("{{"));
    if let Some(kind) = kind.filter(|kind| !types.is_empty() && !types.contains(&kind.text)) {
        let message = format!(
            "the claim's accountable party is a `{}`, which `accountable_party.types` does not list",
            kind.text
        );
        let suggestion = format!("write one of {} or list it", types.join(", "));
        findings.push(draft.finding(Code::AccountableParty, kind.pos, message, suggestion));
    }
    let Some(pattern) = rule.find("id_pattern").and_then(Node::as_text) else { return };
    let Ok(regex) = regex_lite::Regex::new(&format!("^(?:{pattern})$")) else { return };
    let id = draft.claim_text("accountable_party.id").filter(|id| !id.text.contains("{{"));
    if let Some(id) = id.filter(|id| !regex.is_match(id.text)) {
        let message =
            format!("the claim's accountable party `{}` does not fit `accountable_party.id_pattern`", id.text);
        findings.push(draft.finding(Code::AccountableParty, id.pos, message, "correct one of the two"));
    }
}

fn retention(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    let Some(node) = draft.root.find("retention_days") else { return };
    let Some(days) = node.as_u64().filter(|days| *days == 0 || *days > LONGEST_DAYS) else { return };
    let message =
        format!("`retention_days: {days}`: data is kept for {}", if days == 0 { "no day" } else { "over 100 years" });
    let suggestion = "write the days after which the data that the act makes is deleted (GDPR Art. 5(1)(e))";
    findings.push(draft.finding(Code::Retention, node.pos, message, suggestion));
}

fn withdrawn(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    let (day, reason) = (draft.root.member("withdrawn"), draft.root.member("withdrawn_reason"));
    let (member, suggestion) = match (day, reason) {
        (Some(day), None) => (day, "add `withdrawn_reason:` with a sentence: the record shows it"),
        (None, Some(reason)) => (reason, "add `withdrawn: \"2026-11-21\"`, the day from which it is retired"),
        (Some(day), Some(_)) if day.value.as_text().is_some() && draft.day("withdrawn").is_none() => {
            let message = "`withdrawn` is no day of the calendar";
            findings.push(draft.finding(Code::Date, day.value.pos, message, "write it as \"2026-11-21\""));
            return;
        }
        _ => return,
    };
    let message = "`withdrawn` and `withdrawn_reason` come together or not at all";
    findings.push(draft.finding(Code::Withdrawn, member.pos, message, suggestion));
}
