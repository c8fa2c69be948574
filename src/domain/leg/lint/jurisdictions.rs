//! Jurisdictions: do they exist, and can the claim name them?

use std::collections::BTreeSet;

use super::draft::Draft;
use super::finding::{Code, Finding};
use crate::domain::leg::Jurisdiction;

/// The member states of the European Union.
pub(super) const MEMBER_STATES: [&str; 27] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// What people write for what ISO 3166-1 says.
const ALIASES: [(&str, &str); 8] = [
    ("UK", "GB"),
    ("EL", "GR"),
    ("EUROPE", "EU"),
    ("EEA", "EU"),
    ("USA", "US"),
    ("WORLD", "GLOBAL"),
    ("WORLDWIDE", "GLOBAL"),
    ("INT", "GLOBAL"),
];

pub(super) fn check(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    let listed = draft.list("jurisdictions");
    for (code, pos) in &listed {
        if code.parse::<Jurisdiction>().is_err() {
            findings.push(unknown(draft, code, *pos));
        }
    }
    let states: Vec<&str> = listed.iter().map(|(code, _)| *code).filter(|code| MEMBER_STATES.contains(code)).collect();
    if let (Some((_, pos)), false) = (listed.iter().find(|(code, _)| *code == "EU"), states.is_empty()) {
        let message = format!("`EU` is listed and so are its member states {}", super::coverage::list(&states));
        let suggestion = "fine where a request shall name the state: codes are compared as they are written; \
                          otherwise keep `EU` alone";
        findings.push(draft.finding(Code::JurisdictionRedundant, *pos, message, suggestion));
    }
    let valid: BTreeSet<&str> =
        listed.iter().map(|(code, _)| *code).filter(|code| code.parse::<Jurisdiction>().is_ok()).collect();
    unreachable(draft, &valid, findings);
}

fn unknown(draft: &Draft<'_>, code: &str, pos: super::node::Pos) -> Finding {
    let upper = code.trim().to_uppercase();
    if upper.parse::<Jurisdiction>().is_ok() {
        let message = format!("jurisdiction `{code}` is not in capital letters");
        return draft.finding(Code::JurisdictionCase, pos, message, format!("write `{upper}`"));
    }
    let suggestion = match ALIASES.iter().find(|(alias, _)| *alias == upper) {
        Some((_, right)) => format!("write `{right}`"),
        None => "write an ISO 3166-1 alpha-2 code such as `DE`, or `EU`, or `GLOBAL`".to_owned(),
    };
    draft.finding(Code::JurisdictionUnknown, pos, format!("there is no jurisdiction `{code}`"), suggestion)
}

/// The claim's jurisdiction is a text with variables: can it come out as one of the list?
fn unreachable(draft: &Draft<'_>, listed: &BTreeSet<&str>, findings: &mut Vec<Finding>) {
    let Some(claim) = draft.claim_text("jurisdiction") else { return };
    if listed.is_empty() {
        return;
    }
    match claim.variables().as_slice() {
        [] if !listed.contains(claim.text) => {
            let message = format!("the claim says `{}`, which `jurisdictions` does not list", claim.text);
            findings.push(draft.finding(
                Code::JurisdictionUnreachable,
                claim.pos,
                message,
                "list it, or use a variable",
            ));
        }
        [name] if !claim.has_words() => {
            let Some((pattern, pos)) = draft.variable(name).and_then(|variable| variable.pattern()) else { return };
            let Ok(regex) = regex_lite::Regex::new(&format!("^(?:{pattern})$")) else { return };
            if !listed.iter().any(|code| regex.is_match(code)) {
                let message = format!("the pattern of `{name}` lets none of the listed jurisdictions through");
                let codes: Vec<&str> = listed.iter().copied().collect();
                let suggestion = format!("write a pattern that takes them, such as '^({})$'", codes.join("|"));
                findings.push(draft.finding(Code::JurisdictionUnreachable, pos, message, suggestion));
            }
        }
        _ => {}
    }
}
