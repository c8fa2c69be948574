//! Days: is the template in force, and for how long?

use std::time::Duration;

use super::draft::Draft;
use super::finding::{Code, Finding};
use crate::domain::day::Day;

pub(super) fn check(draft: &Draft<'_>, today: Day, soon_days: u32, findings: &mut Vec<Finding>) {
    for field in ["valid_from", "valid_until"] {
        if let (Some((text, pos)), None) = (draft.text(field), draft.day(field)) {
            let message = format!("`{field}`: `{text}` is no day of the calendar");
            findings.push(draft.finding(Code::Date, pos, message, "write it as \"2026-11-21\""));
        }
    }
    let (Some((from, _)), Some((until, pos))) = (draft.day("valid_from"), draft.day("valid_until")) else { return };
    if until < from {
        let message = format!("the last day, {until}, is before the first, {from}");
        findings.push(draft.finding(
            Code::DateOrder,
            pos,
            message,
            "`valid_from` is the first day, `valid_until` the last",
        ));
    } else if !draft.withdrawn(today) {
        findings.extend(on(draft, today, soon_days, from, until));
    }
}

fn on(draft: &Draft<'_>, today: Day, soon_days: u32, from: Day, until: Day) -> Option<Finding> {
    let place = |field: &str| draft.text(field).map_or(draft.pos_of(field), |(_, pos)| pos);
    if until < today {
        let message = format!("the template was in force until {until}; today is {today}");
        let suggestion = "check it again and set a later day under a new version, or remove the folder";
        return Some(draft.finding(Code::Expired, place("valid_until"), message, suggestion));
    }
    if today < from {
        let message = format!("the template is in force from {from}; today is {today}");
        let suggestion = "nothing to do if that is meant: until then requests with it are refused";
        return Some(draft.finding(Code::NotYet, place("valid_from"), message, suggestion));
    }
    let soon = today.start().plus(Duration::from_secs(u64::from(soon_days) * 24 * 3600));
    if until.start() <= soon {
        let days = until.start().since(today.start()).as_secs() / (24 * 3600);
        let message = format!("the template ends in {days} days, on {until}");
        let suggestion = "check it again and set a later day under a new version, before its acts have no ground";
        return Some(draft.finding(Code::ExpiresSoon, place("valid_until"), message, suggestion));
    }
    None
}
