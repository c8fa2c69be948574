//! Tables of cases beside the Rego: `*_cases.yaml`, data in place of one test a line.
//!
//! ```text
//! low_calls:                              the table
//!   query: data.atb.poa.decision          what is asked
//!   input: data.atb_test.low              the base input: an object, or a rule that gives one
//!   data: data.atb_test.world             optional: documents in place of the bundle's
//!   cases:
//!     - name: another agent's mandate
//!       set: {/agent/id: spiffe://…}      by JSON Pointer (RFC 6901), in the order written
//!       remove: [/poa/con]
//!       expect: {allow: false, reason: agent_mismatch}
//! ```
//!
//! Read strictly: an unknown member, a repeated name, a case that expects nothing is refused with its place. The name of
//! a table is its key, so that the tables of a folder do not collide where OPA reads them as data (`opa test` without
//! `--bundle` does). What a table means is decided by `engine::suite`; nothing here evaluates.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::BundleFiles;
use super::data::{MAX_YAML_BYTES, MAX_YAML_NODES};
use super::finding::{Finding, Place};
pub use super::pointer::Pointer;
use crate::domain::{json, yaml};

/// The most cases of one bundle.
pub const MAX_CASES: usize = 20_000;
const MAX_TEXT: usize = 200;

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseTable {
    /// The file.
    pub file: String,
    /// Its key in the file, unique in the bundle.
    pub name: String,
    /// The rule that is asked, `data.…`.
    pub query: String,
    /// What the cases start from.
    pub base: Fixture,
    /// Documents in place of the bundle's data, by their first names; none for the data as it is.
    pub data: Option<Fixture>,
    /// The cases, in the order written.
    pub cases: Vec<Case>,
}

/// A document, or the rule that gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fixture {
    /// As written in the table.
    Inline(Value),
    /// `data.…`: a rule, of a test's package as well.
    Rule(String),
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What it shows, unique in its table.
    pub name: String,
    /// Where it is written.
    pub line: usize,
    /// The column there.
    pub column: usize,
    /// Its own base, in place of the table's.
    pub base: Option<Fixture>,
    /// Values by pointer; `-` at the end of a pointer appends.
    pub set: Vec<(Pointer, Value)>,
    /// Members that are taken away, after `set`.
    pub remove: Vec<Pointer>,
    /// What must come out.
    pub expect: Expectation,
}

/// What must come out of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// A part of the answer: of an object the members named, anything else whole; arrays member by member.
    Part(Value),
    /// No value.
    Undefined,
}

/// Whether a file is one of tables.
pub fn is_table_file(path: &str) -> bool {
    path.ends_with("_cases.yaml") || path.ends_with("_cases.yml")
}

/// Reads every table of a bundle.
pub(super) fn read(files: &BundleFiles) -> Result<Vec<CaseTable>, Vec<Finding>> {
    let (mut tables, mut findings) = (Vec::<CaseTable>::new(), Vec::new());
    for (file, content) in files.iter().filter(|(path, _)| is_table_file(path)) {
        match read_file(file, content) {
            Ok(read) => tables.extend(read),
            Err(found) => findings.extend(found),
        }
    }
    let mut names = BTreeMap::new();
    for table in &tables {
        if let Some(other) = names.insert(table.name.as_str(), table.file.as_str()) {
            let what = format!("the table `{}` is also in {other}", table.name);
            findings.push(Finding::new(Place::file(&table.file), what, "rename one of them"));
        }
    }
    if tables.iter().map(|table| table.cases.len()).sum::<usize>() > MAX_CASES {
        findings.push(Finding::new(Place::whole(), format!("more than {MAX_CASES} cases"), "split the bundle"));
    }
    if findings.is_empty() { Ok(tables) } else { Err(findings) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    query: String,
    input: Value,
    #[serde(default)]
    data: Option<Value>,
    cases: Vec<RawCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    name: serde_saphyr::Spanned<String>,
    #[serde(default)]
    input: Option<Value>,
    #[serde(default)]
    set: serde_json::Map<String, Value>,
    #[serde(default)]
    remove: Vec<String>,
    #[serde(default)]
    expect: Option<Value>,
    #[serde(default)]
    undefined: bool,
}

const FIX: &str = "write a table as docs/security-teams.md says (schemas/policy-cases.schema.json)";

fn read_file(file: &str, content: &[u8]) -> Result<Vec<CaseTable>, Vec<Finding>> {
    let refuse = |what: String| vec![Finding::new(Place::file(file), what, FIX)];
    if content.len() > MAX_YAML_BYTES {
        return Err(refuse(format!("more than {MAX_YAML_BYTES} bytes of YAML")));
    }
    let text = std::str::from_utf8(content).map_err(|_| refuse("not UTF-8".to_owned()))?;
    let raw: BTreeMap<String, RawTable> =
        serde_saphyr::from_str_with_options(text, yaml::plain(json::MAX_DEPTH, MAX_YAML_NODES)).map_err(|error| {
            let number = |n: u64| usize::try_from(n).unwrap_or(1).max(1);
            let (line, column) = error.location().map_or((1, 1), |l| (number(l.line()), number(l.column())));
            let what = error.to_string().lines().next().unwrap_or("not a table").to_owned();
            vec![Finding::new(Place { file, line, column }, what, FIX)]
        })?;
    let (mut tables, mut findings) = (Vec::new(), Vec::new());
    for (name, raw) in raw {
        match table(file, name, raw) {
            Ok(table) => tables.push(table),
            Err(found) => findings.extend(found),
        }
    }
    if findings.is_empty() { Ok(tables) } else { Err(findings) }
}

fn table(file: &str, name: String, raw: RawTable) -> Result<CaseTable, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut refuse = |place: Place<'_>, what: String| findings.push(Finding::new(place, what, FIX));
    let whole = Place::file(file);
    if !is_name(&name) {
        refuse(whole, format!("`{name}` is not a table's name: a-z, 0-9 and _"));
    }
    if !is_rule(&raw.query) {
        refuse(whole, format!("`{}` of table `{name}` is not a rule, `data.…`", raw.query));
    }
    let base = fixture(raw.input).unwrap_or_else(|what| {
        refuse(whole, format!("`input` of table `{name}` {what}"));
        Fixture::Inline(Value::Null)
    });
    let data = raw.data.map(fixture).transpose().unwrap_or_else(|what| {
        refuse(whole, format!("`data` of table `{name}` {what}"));
        None
    });
    if raw.cases.is_empty() {
        refuse(whole, format!("table `{name}` has no case"));
    }
    let (mut names, mut cases) = (BTreeSet::new(), Vec::new());
    for raw in raw.cases {
        let number = |n: u64| usize::try_from(n).unwrap_or(1).max(1);
        let at = raw.name.referenced;
        let place = Place { file, line: number(at.line()), column: number(at.column()) };
        if !names.insert(raw.name.value.clone()) {
            refuse(place, format!("the name `{}` is there twice", raw.name.value));
        }
        match case(place, raw) {
            Ok(case) => cases.push(case),
            Err(what) => refuse(place, what),
        }
    }
    if findings.is_empty() {
        Ok(CaseTable { file: file.to_owned(), name, query: raw.query, base, data, cases })
    } else {
        Err(findings)
    }
}

fn case(place: Place<'_>, raw: RawCase) -> Result<Case, String> {
    let name = raw.name.value;
    if name.trim().is_empty() || name.len() > MAX_TEXT || name.chars().any(char::is_control) {
        return Err(format!("a case's name is a text of at most {MAX_TEXT} bytes on one line"));
    }
    let pointer = |text: &str| {
        Pointer::parse(text).ok_or_else(|| format!("`{text}` is not a JSON Pointer to a member, `/a/b` (RFC 6901)"))
    };
    let expect = match (raw.expect, raw.undefined) {
        // Every object has no members in particular.
        (Some(Value::Object(part)), false) if part.is_empty() => return Err(format!("`{name}` expects nothing")),
        (Some(part), false) => Expectation::Part(part),
        (None, true) => Expectation::Undefined,
        _ => return Err(format!("`{name}` needs either `expect` or `undefined: true`")),
    };
    let set = raw.set.into_iter().map(|(path, value)| Ok((pointer(&path)?, value)));
    Ok(Case {
        line: place.line,
        column: place.column,
        base: raw.input.map(fixture).transpose().map_err(|what| format!("`input` of `{name}` {what}"))?,
        set: set.collect::<Result<_, String>>()?,
        remove: raw.remove.iter().map(|path| pointer(path)).collect::<Result<_, String>>()?,
        expect,
        name,
    })
}

fn fixture(value: Value) -> Result<Fixture, &'static str> {
    match value {
        Value::String(path) if is_rule(&path) => Ok(Fixture::Rule(path)),
        Value::Object(_) => Ok(Fixture::Inline(value)),
        _ => Err("is neither an object nor a rule, `data.…`"),
    }
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && name.starts_with(|c: char| c.is_ascii_lowercase())
}

fn is_rule(path: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    path.len() <= MAX_TEXT
        && path.strip_prefix("data.").is_some_and(|rest| rest.split('.').count() > 1 && rest.split('.').all(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(text: &str) -> Result<Vec<CaseTable>, Vec<Finding>> {
        read(&BundleFiles::new([("policy/x_cases.yaml".to_owned(), text.as_bytes().to_vec())]).unwrap())
    }

    const GOOD: &str = "\
one:
  query: data.atb.poa.decision
  input: {poa: {act: a}}
  cases:
    - name: first
      set: {/poa/act: b, /new/member: [1]}
      remove: [/poa/act]
      expect: {allow: false}
    - name: second
      undefined: true
";

    #[test]
    fn a_table_is_read_with_the_line_of_each_case() {
        let tables = tables(GOOD).unwrap();
        assert_eq!((tables[0].name.as_str(), tables[0].cases.len()), ("one", 2));
        assert_eq!((tables[0].cases[0].line, tables[0].cases[1].line), (5, 9));
        assert_eq!(tables[0].cases[1].expect, Expectation::Undefined);
    }

    #[test]
    fn what_a_table_does_not_have_is_refused_with_its_line() {
        for (from, to, line) in [
            ("remove:", "removes:", 7),
            ("expect: {allow: false}", "expect: {allow: false}\n      undefined: true", 5),
            ("expect: {allow: false}", "expect: {}", 5),
            ("undefined: true", "undefined: false", 9),
            ("name: second", "name: first", 9),
            ("[/poa/act]", "[poa.act]", 5),
            ("/poa/act: b", "\"/poa/~2\": b", 5),
            ("{poa: {act: a}}", "low", 1),
            ("data.atb.poa.decision", "input.x", 1),
            ("one:", "One:", 1),
        ] {
            let changed = GOOD.replace(from, to);
            assert_ne!(changed, GOOD);
            let findings = tables(&changed).expect_err(to);
            assert_eq!(
                (findings[0].file.as_str(), findings[0].line),
                ("policy/x_cases.yaml", line),
                "{to} {findings:?}"
            );
        }
    }
}
