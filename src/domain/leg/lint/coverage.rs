//! Templates against the catalogue: acts without a ground, grounds without an act, two grounds of one kind.

use super::Source;
use super::draft::Draft;
use super::finding::{Code, Finding};
use super::node::{Member, Node, Pos};
use crate::domain::action::ActionName;
use crate::domain::day::Day;
use crate::domain::policy::bundle::ActPattern;

/// How many names one message lists.
const SHOWN: usize = 5;

/// One act of the catalogue.
#[derive(Debug)]
struct Act<'a> {
    name: ActionName,
    class: &'a str,
    pos: Pos,
}

/// Entries of `acts` that are not any.
pub(super) fn check_entries(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    for (text, pos) in draft.list("acts") {
        if ActPattern::try_from(text.to_owned()).is_err() {
            let message = format!("`{text}` is no act");
            let suggestion = "write one act such as `erp.order.read`, a family such as `erp.*`, or `*`";
            findings.push(draft.finding(Code::ActMalformed, pos, message, suggestion));
        }
    }
}

/// Everything that needs all templates and the catalogue.
pub(super) fn check(drafts: &[Draft<'_>], catalogue: &Source, today: Day, findings: &mut Vec<Finding>) {
    let root = match Node::parse(&catalogue.text) {
        Ok(root) => root,
        Err(error) => {
            let suggestion = "correct the catalogue: without it nobody can say which acts have no ground";
            findings.push(Finding::new(Code::Catalogue, &catalogue.file, error.pos, error.what, suggestion));
            return;
        }
    };
    let acts: Vec<Act<'_>> = root.members().iter().filter_map(act).collect();
    for draft in drafts {
        unmatched(draft, &acts, findings);
    }
    let in_force: Vec<&Draft<'_>> = drafts.iter().filter(|draft| draft.in_force(today)).collect();
    gaps(&in_force, &acts, catalogue, findings);
    overlaps(&in_force, &acts, findings);
}

fn act(member: &Member) -> Option<Act<'_>> {
    let class = member.value.find("data_class").and_then(Node::as_text).unwrap_or_default();
    Some(Act { name: member.name.parse().ok()?, class, pos: member.pos })
}

fn unmatched(draft: &Draft<'_>, acts: &[Act<'_>], findings: &mut Vec<Finding>) {
    for (text, pos) in draft.list("acts") {
        let Ok(pattern) = ActPattern::try_from(text.to_owned()) else { continue };
        if acts.iter().any(|act| pattern.covers(&act.name)) {
            continue;
        }
        let nearest = super::shape::nearest(text, acts.iter().map(|act| act.name.as_str()));
        let suggestion = nearest.map_or_else(
            || "remove it, or add the act to the catalogue first".to_owned(),
            |name| format!("did you mean `{name}`? Otherwise remove it, or add the act to the catalogue first"),
        );
        let message = format!("`{text}` matches no act of the catalogue");
        findings.push(draft.finding(Code::ActUnmatched, pos, message, suggestion));
    }
}

fn gaps(in_force: &[&Draft<'_>], acts: &[Act<'_>], catalogue: &Source, findings: &mut Vec<Finding>) {
    for act in acts {
        let covering: Vec<&&Draft<'_>> = in_force.iter().filter(|draft| draft.covers_act(&act.name)).collect();
        if covering.is_empty() {
            let message = format!("no template in force covers `{}`: every request for it is refused", act.name);
            let suggestion = "add the act to `acts` of the template that fits, or write one for it";
            findings.push(Finding::new(Code::Gap, &catalogue.file, act.pos, message, suggestion));
        } else if !covering.iter().any(|draft| draft.covers_class(act.class)) {
            let names: Vec<&str> = covering.iter().map(|draft| draft.id()).collect();
            let (name, class) = (&act.name, act.class);
            let message = format!("`{name}` touches {class} data, which {} does not cover", list(&names));
            let suggestion = format!("add `{class}` to `data_classes` of a template whose ground carries such data");
            findings.push(Finding::new(Code::GapDataClass, &catalogue.file, act.pos, message, suggestion));
        }
    }
}

fn overlaps(in_force: &[&Draft<'_>], acts: &[Act<'_>], findings: &mut Vec<Finding>) {
    for (index, first) in in_force.iter().enumerate() {
        for second in in_force.iter().skip(index + 1).filter(|second| same_basis(first, second)) {
            let places: Vec<&str> = first.list("jurisdictions").iter().map(|(code, _)| *code).collect();
            let other = second.list("jurisdictions");
            let places: Vec<&str> = places.into_iter().filter(|code| other.iter().any(|(o, _)| o == code)).collect();
            let both = |act: &&Act<'_>| {
                [first, second].iter().all(|draft| draft.covers_act(&act.name) && draft.covers_class(act.class))
            };
            let shared: Vec<&str> = acts.iter().filter(both).map(|act| act.name.as_str()).collect();
            if shared.is_empty() || places.is_empty() || first.id() == second.id() {
                continue;
            }
            let basis = second.basis().map(|(basis, _)| basis).unwrap_or_default();
            let message = format!(
                "`{}` and `{}` both give {basis} for {} in {}",
                first.id(),
                second.id(),
                list(&shared),
                list(&places)
            );
            let suggestion =
                "leave each act and jurisdiction to one of them, so that the record says which one was meant";
            findings.push(second.finding(Code::Overlap, second.pos_of("acts"), message, suggestion));
        }
    }
}

fn same_basis(first: &Draft<'_>, second: &Draft<'_>) -> bool {
    matches!((first.basis(), second.basis()), (Some((a, _)), Some((b, _))) if a == b)
}

/// "`a`, `b` and 3 more".
pub(super) fn list(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
        _ => shown.join(", "),
    }
}
