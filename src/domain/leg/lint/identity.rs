//! Who a template is: its id, its folder, its version, and what it said before.

use super::draft::Draft;
use super::finding::{Code, Finding};
use crate::domain::json;

pub(super) fn check(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    if let (Some((id, pos)), Some(folder)) = (draft.text("id"), draft.source.folder.as_deref())
        && id != folder
    {
        let message = format!("the folder is `{folder}`, the template calls itself `{id}`");
        findings.push(draft.finding(Code::Folder, pos, message, format!("write `id: {folder}` or rename the folder")));
    }
    if let Some((version, pos)) = draft.version()
        && numbers(version).is_none()
    {
        let message = format!("`{version}` is no version");
        let suggestion = "write three numbers with dots, in quotes: \"1.0.0\"";
        findings.push(draft.finding(Code::Version, pos, message, suggestion));
    }
}

/// One id in two files.
pub(super) fn check_together(drafts: &[Draft<'_>], findings: &mut Vec<Finding>) {
    for (index, draft) in drafts.iter().enumerate() {
        let Some((id, pos)) = draft.text("id") else { continue };
        let earlier = drafts.iter().take(index).find(|other| other.text("id").is_some_and(|(other, _)| other == id));
        let Some(other) = earlier else { continue };
        let (mine, theirs) = (draft.version().map(|(v, _)| v), other.version().map(|(v, _)| v));
        let finding = if let (Some(mine), Some(theirs), true) = (mine, theirs, mine != theirs) {
            let message = format!("`{id}` is here in version {mine} and in {} in version {theirs}", other.file());
            let suggestion = "keep one: a bundle has one version of a template, earlier ones are in its history";
            draft.finding(Code::TwoVersions, pos, message, suggestion)
        } else {
            let message = format!("`{id}` is also the id of {}", other.file());
            draft.finding(Code::DuplicateId, pos, message, "give each template an id and a folder of its own")
        };
        findings.push(finding);
    }
}

/// A template against the one of the same id before.
pub(super) fn check_against(draft: &Draft<'_>, earlier: &[Draft<'_>], findings: &mut Vec<Finding>) {
    let Some(before) = earlier.iter().find(|before| before.id() == draft.id()) else { return };
    let (Some((new, pos)), Some((old, _))) = (draft.version(), before.version()) else { return };
    let (Some(new_numbers), Some(old_numbers)) = (numbers(new), numbers(old)) else { return };
    if new_numbers < old_numbers {
        let message = format!("version {new} is lower than {old}, which was there before");
        let suggestion = format!("write at least \"{}\"", raised(old_numbers));
        findings.push(draft.finding(Code::LowerVersion, pos, message, suggestion));
        return;
    }
    let digest = |draft: &Draft<'_>| json::digest(&draft.root.to_value());
    if new_numbers == old_numbers && digest(draft) != digest(before) {
        let changes = super::super::diff::compare(&before.root.to_value(), &draft.root.to_value(), None);
        let what: Vec<String> = changes.iter().take(3).map(|change| change.text.clone()).collect();
        let message =
            format!("the template says something else than before under the same version {new}: {}", what.join("; "));
        let suggestion =
            format!("write `version: \"{}\"`, so that the record tells the two apart", raised(old_numbers));
        findings.push(draft.finding(Code::ChangedMeaning, pos, message, suggestion));
    }
}

fn numbers(version: &str) -> Option<[u32; 3]> {
    let parts: Vec<u32> = version
        .split('.')
        .map(|part| part.parse().ok().filter(|_| part == "0" || !part.starts_with(['0', '+'])))
        .collect::<Option<_>>()?;
    parts.try_into().ok()
}

fn raised([major, minor, _]: [u32; 3]) -> String {
    format!("{major}.{}.0", minor.saturating_add(1))
}
