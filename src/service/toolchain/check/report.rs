//! Findings for programs: JSON, SARIF 2.1.0 (OASIS), GitHub's workflow commands.

use serde_json::{Value, json};

use super::{Finding, RuleId, Severity};

const SARIF_SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// How many findings there are of each severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Errors.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
    /// Notes.
    pub notes: usize,
}

impl Summary {
    /// Counts findings.
    pub fn of(findings: &[Finding]) -> Self {
        let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
        Self { errors: count(Severity::Error), warnings: count(Severity::Warning), notes: count(Severity::Note) }
    }
}

/// One line each and one for all.
pub fn text(findings: &[Finding]) -> String {
    let Summary { errors, warnings, notes } = Summary::of(findings);
    let lines: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    format!("{lines}{errors} errors, {warnings} warnings, {notes} notes\n")
}

/// The findings as they are.
pub fn json(findings: &[Finding]) -> Value {
    let Summary { errors, warnings, notes } = Summary::of(findings);
    json!({ "findings": findings, "summary": { "errors": errors, "warnings": warnings, "notes": notes } })
}

/// A SARIF log of one run, for code scanning.
pub fn sarif(findings: &[Finding]) -> Value {
    let rules: Vec<Value> = RuleId::ALL
        .iter()
        .map(|rule| {
            json!({
                "id": rule.as_str(),
                "shortDescription": { "text": rule.title() },
                "defaultConfiguration": { "level": rule.severity().as_str() },
            })
        })
        .collect();
    let results: Vec<Value> = findings.iter().map(result).collect();
    json!({
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "atb policy check",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(finding: &Finding) -> Value {
    let index = RuleId::ALL.iter().position(|rule| *rule == finding.rule);
    let uri: String =
        finding.file.chars().flat_map(|c| if c == ' ' { "%20".chars().collect() } else { vec![c] }).collect();
    json!({
        "ruleId": finding.rule.as_str(),
        "ruleIndex": index,
        "level": finding.severity.as_str(),
        "message": { "text": format!("{}; {}", finding.message, finding.fix) },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri },
            "region": { "startLine": finding.line, "startColumn": finding.column },
        } }],
    })
}

/// A line for each finding that GitHub shows beside the change.
pub fn github(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let level = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        format!(
            "::{level} file={},line={},col={},title={}::{}\n",
            property(&finding.file),
            finding.line,
            finding.column,
            property(finding.rule.as_str()),
            escaped(&format!("{}; {}", finding.message, finding.fix)),
        )
    };
    findings.iter().map(line).collect()
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::bundle::Place;

    #[test]
    fn a_workflow_command_stays_on_its_line_and_in_its_field() {
        let place = Place { file: "a,b:c.rego", line: 3, column: 4 };
        let finding = Finding::new(RuleId::SyntaxError, place, "50 %\n::error::forged", "mend it");
        let expected =
            "::error file=a%2Cb%3Ac.rego,line=3,col=4,title=syntax-error::50 %25%0A::error::forged; mend it\n";
        assert_eq!(github(&[finding]), expected);
    }

    #[test]
    fn names_of_rules_are_unique_and_in_kebab_case() {
        let names: std::collections::BTreeSet<_> = RuleId::ALL.iter().map(|rule| rule.as_str()).collect();
        assert_eq!(names.len(), RuleId::ALL.len());
        assert!(
            names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'))
        );
        assert!(RuleId::ALL.iter().all(|rule| rule.title().ends_with('.')));
    }
}
