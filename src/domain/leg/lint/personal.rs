//! Data of persons: nothing of a data subject stands in a mandate or in the ledger in clear.
//!
//! Names and descriptions are read as people write them, so this finds what is called by its name. The accountable
//! party is left out: who answers for an act is named on purpose.

use std::sync::LazyLock;

use super::super::placeholder;
use super::draft::{Draft, Variable};
use super::finding::{Code, Finding};

/// Parts of a variable's name, between underscores.
const WORDS: &[&str] = &[
    "email",
    "mail",
    "phone",
    "telephone",
    "mobile",
    "fax",
    "iban",
    "bic",
    "surname",
    "firstname",
    "lastname",
    "forename",
    "fullname",
    "name",
    "birth",
    "birthday",
    "birthdate",
    "dob",
    "passport",
    "ssn",
    "address",
    "street",
    "postcode",
    "zip",
    "subject",
    "patient",
    "nationality",
    "gender",
    "religion",
];
/// Names that hold such a part and are no person's.
const NOT_PERSONAL: &[&str] =
    &["subject_matter", "system_name", "product_name", "company_name", "file_name", "law_name"];
/// In a description, lower case.
const PHRASES: &[&str] = &[
    "e-mail",
    "email address",
    "phone",
    "mobile number",
    "iban",
    "bank account of",
    "date of birth",
    "birthday",
    "passport",
    "data subject",
    "home address",
    "postal address",
    "full name",
    "first name",
    "last name",
    "surname",
    "family name",
    "name of the person",
    "name of the customer",
    "name of the employee",
    "name of the patient",
    "person concerned",
    "person who",
    "social security",
];

static EMAIL: LazyLock<Option<regex_lite::Regex>> =
    LazyLock::new(|| regex_lite::Regex::new(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+").ok());
static PHONE: LazyLock<Option<regex_lite::Regex>> =
    LazyLock::new(|| regex_lite::Regex::new(r"(\+|\b00|\b0)[1-9][0-9 ()/-]{6,}[0-9]\b").ok());
static IBAN: LazyLock<Option<regex_lite::Regex>> =
    LazyLock::new(|| regex_lite::Regex::new(r"\b[A-Z]{2}[0-9]{2}( ?[A-Z0-9]{4}){3,7}( ?[A-Z0-9]{1,3})?\b").ok());

pub(super) fn check(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    for variable in draft.variables() {
        in_clear(draft, &variable, findings);
    }
    subject(draft, findings);
    committed(draft, findings);
    literals(draft, findings);
}

fn in_clear(draft: &Draft<'_>, variable: &Variable<'_>, findings: &mut Vec<Finding>) {
    let Some(why) = personal(variable).filter(|_| !variable.committed()) else { return };
    let uses = draft.texts_with_variables();
    let used = uses.iter().filter(|text| text.variables().contains(&variable.name));
    let elsewhere: Vec<&str> =
        used.map(|text| text.path.as_str()).filter(|path| !path.starts_with("accountable_party.")).collect();
    // `data_subject` is reported once, at the member.
    let Some(place) = elsewhere.iter().find(|path| **path != "data_subject") else { return };
    let message = format!("`{}` {why} and would stand in `{place}` in clear", variable.name);
    let suggestion = "write `commit: true` and use it alone in `data_subject`, or use a number that names nobody";
    findings.push(draft.finding(Code::PersonalClear, variable.pos, message, suggestion));
}

/// Why a variable is taken for data of a person.
fn personal(variable: &Variable<'_>) -> Option<String> {
    if variable.personal() {
        return Some("is declared `personal`".to_owned());
    }
    let name = variable.name.to_lowercase();
    let word = name.split('_').find(|part| WORDS.contains(part));
    if let (Some(word), false) = (word, NOT_PERSONAL.contains(&name.as_str())) {
        return Some(format!("sounds like data of a person (`{word}`)"));
    }
    let description = variable.description().to_lowercase();
    PHRASES.iter().find(|phrase| description.contains(*phrase)).map(|phrase| format!("is described as \"{phrase}\""))
}

fn subject(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    let Some(text) = draft.claim_text("data_subject") else {
        if let Some((basis @ "CONSENT", pos)) = draft.basis() {
            let message = format!("`basis: {basis}`, but the claim has no `data_subject`: consent is somebody's");
            let suggestion =
                "add `data_subject: \"{{data_subject}}\"` and that variable with `required: true`, `commit: true`";
            findings.push(draft.finding(Code::ConsentSubject, pos, message, suggestion));
        }
        return;
    };
    let variable = placeholder::whole(text.text).and_then(|name| draft.variable(name));
    match variable {
        Some(variable) if variable.committed() => {
            if !variable.required() && draft.basis().is_some_and(|(basis, _)| basis == "CONSENT") {
                let message = format!("`{}` names whose consent it is and may be left out", variable.name);
                findings.push(draft.finding(Code::ConsentSubject, variable.pos, message, "write `required: true`"));
            }
        }
        Some(variable) => {
            let message = format!("`data_subject` holds `{}` in clear: the ledger keeps it for ever", variable.name);
            let suggestion = format!("write `commit: true` under `variables.{}`", variable.name);
            findings.push(draft.finding(Code::PersonalClear, text.pos, message, suggestion));
        }
        None => {
            let message = "`data_subject` is not one variable with `commit: true`, so a person stands there in clear";
            let suggestion = "write `data_subject: \"{{data_subject}}\"` and give that variable `commit: true`";
            findings.push(draft.finding(Code::PersonalClear, text.pos, message, suggestion));
        }
    }
}

/// A commitment is a line of digits: inside a sentence nobody can read the sentence or check the commitment.
fn committed(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    for text in draft.texts_with_variables() {
        if placeholder::whole(text.text).is_some() {
            continue;
        }
        for name in text.variables() {
            if draft.variable(name).is_some_and(|variable| variable.committed()) {
                let message = format!("`{}` puts the commitment `{name}` into other words", text.path);
                let suggestion = format!("let `{{{{{name}}}}}` stand alone, in `data_subject`, and leave it out here");
                findings.push(draft.finding(Code::CommitInText, text.pos, message, suggestion));
            }
        }
    }
}

fn literals(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    let fixed = ["title", "summary"].into_iter().filter_map(|field| Some((field.to_owned(), draft.text(field)?)));
    let claim = draft.texts_with_variables();
    let claim = claim.iter().map(|text| (text.path.clone(), (text.text, text.pos)));
    for (path, (text, pos)) in fixed.chain(claim) {
        let kinds = [("an e-mail address", &*EMAIL), ("an IBAN", &*IBAN), ("a phone number", &*PHONE)];
        let found = kinds.into_iter().find(|(_, regex)| regex.as_ref().is_some_and(|regex| regex.is_match(text)));
        if let Some((what, _)) = found {
            let message = format!("`{path}` holds {what}");
            let suggestion = "take it out: this text stands in every mandate and in the ledger";
            findings.push(draft.finding(Code::PersonalLiteral, pos, message, suggestion));
        }
    }
}
