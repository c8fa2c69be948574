//! Reports on tests, in the forms of `opa test` and of those who read them by machine: text, JSON, JUnit, GitHub.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::domain::policy::engine::{Outcome, SubResult, TestItem, Verdict};

/// One test and what came of it.
#[derive(Debug, Clone)]
pub struct Row {
    /// The test; its file is named as people gave it.
    pub item: TestItem,
    /// What came of it.
    pub outcome: Outcome,
    /// How long one run took, in nanoseconds.
    pub nanos: u64,
    /// How many runs that is the mean of, where it was repeated for its time.
    pub runs: Option<u64>,
}

/// How many of each, counted as OPA counts them: the cases of a test of cases each for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// True.
    pub passed: usize,
    /// Not true.
    pub failed: usize,
    /// To be written.
    pub skipped: usize,
    /// Not evaluated.
    pub errors: usize,
}

impl Counts {
    /// Of these rows.
    pub fn of(rows: &[Row]) -> Self {
        let mut counts = Self::default();
        for Row { outcome, .. } in rows {
            match outcome.verdict {
                Verdict::Skipped => counts.skipped += 1,
                Verdict::Error(_) => counts.errors += 1,
                _ if !outcome.cases.is_empty() => counts.leaves(&outcome.cases),
                Verdict::Passed => counts.passed += 1,
                Verdict::Failed(_) => counts.failed += 1,
            }
        }
        counts
    }

    fn leaves(&mut self, cases: &BTreeMap<String, SubResult>) {
        for case in cases.values() {
            match (case.cases.is_empty(), case.fail) {
                (false, _) => self.leaves(&case.cases),
                (true, true) => self.failed += 1,
                (true, false) => self.passed += 1,
            }
        }
    }

    /// All of them.
    pub fn total(self) -> usize {
        self.passed + self.failed + self.skipped + self.errors
    }
}

/// OPA's text: what is not true (with `verbose`, everything), why, and the sums.
pub fn pretty(rows: &[Row], verbose: bool) -> String {
    let (mut out, mut last_file) = (String::new(), None);
    for row in rows {
        if row.runs.is_some() && row.outcome.verdict == Verdict::Passed {
            let _ = writeln!(out, "{}\t{:>8}\t{:>10} ns/op", row.item.full_name(), row.runs.unwrap_or(1), row.nanos);
        } else if verbose || row.outcome.verdict != Verdict::Passed {
            if last_file.as_ref().is_some_and(|last| *last != row.item.file) {
                out.push('\n');
            }
            last_file = Some(row.item.file.clone());
            one(&mut out, row, verbose);
        }
    }
    if !out.is_empty() {
        let _ = writeln!(out, "{}", "-".repeat(80));
    }
    let counts = Counts::of(rows);
    let parts =
        [("PASS", counts.passed), ("FAIL", counts.failed), ("SKIPPED", counts.skipped), ("ERROR", counts.errors)];
    for (name, count) in parts.into_iter().filter(|(_, count)| *count != 0) {
        let _ = writeln!(out, "{name}: {count}/{}", counts.total());
    }
    out
}

fn one(out: &mut String, row: &Row, verbose: bool) {
    let Row { item, outcome, nanos, .. } = row;
    let name = item.full_name();
    let _ = writeln!(out, "{}:{}:", item.file, item.line);
    let _ = match &outcome.verdict {
        Verdict::Passed => writeln!(out, "{name}: PASS ({})", duration(*nanos)),
        Verdict::Failed(_) => writeln!(out, "{name}: FAIL ({})", duration(*nanos)),
        Verdict::Skipped => writeln!(out, "{name}: SKIPPED"),
        Verdict::Error(what) => writeln!(out, "{name}: ERROR ({})\n  {what}", duration(*nanos)),
    };
    cases(out, &outcome.cases, 1, verbose);
    if let (Verdict::Failed(value), true) =
        (&outcome.verdict, outcome.explanations.is_empty() && outcome.cases.is_empty())
    {
        let _ = writeln!(out, "  the value is {value}");
    }
    for why in &outcome.explanations {
        let case = if why.case.is_empty() { String::new() } else { format!("{}: ", why.case.join(": ")) };
        let text = why.text.replace('\n', "\n    ");
        let _ = writeln!(out, "  {}:{}:{}: {case}{text}", why.file, why.line, why.column);
        for value in &why.values {
            let _ = writeln!(out, "    {}: {}", value.term, value.value);
        }
    }
}

fn cases(out: &mut String, cases_: &BTreeMap<String, SubResult>, depth: usize, verbose: bool) {
    for (name, case) in cases_.iter().filter(|(_, case)| case.fail || verbose) {
        let _ = writeln!(out, "{}{name}: {}", "  ".repeat(depth), if case.fail { "FAIL" } else { "PASS" });
        cases(out, &case.cases, depth + 1, verbose);
    }
}

/// As Go writes it: `16.910539ms`.
fn duration(nanos: u64) -> String {
    let (unit, digits, name) = match nanos {
        0 => return "0s".to_owned(),
        1..1_000 => return format!("{nanos}ns"),
        1_000..1_000_000 => (1_000, 3, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, 6, "ms"),
        _ => (1_000_000_000, 9, "s"),
    };
    let text = format!("{}.{:0digits$}", nanos / unit, nanos % unit);
    format!("{}{name}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// OPA's JSON: one object a test. `explanations` is ours.
pub fn json(rows: &[Row]) -> Value {
    rows.iter().map(json_row).collect()
}

fn json_row(row: &Row) -> Value {
    let Row { item, outcome, nanos, runs } = row;
    let mut out = json!({
        "location": {"file": item.file, "row": item.line, "col": item.column},
        "package": item.package, "name": item.name, "duration": nanos,
    });
    let mut put = |name: &str, value: Value| {
        if let Some(members) = out.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
    };
    match &outcome.verdict {
        Verdict::Passed => {}
        Verdict::Failed(_) => put("fail", true.into()),
        Verdict::Skipped => put("skip", true.into()),
        Verdict::Error(what) => put("error", json!({"code": "eval_error", "message": what})),
    }
    if !outcome.cases.is_empty() {
        put("sub_results", sub_results(&outcome.cases));
    }
    if !outcome.explanations.is_empty() {
        put("explanations", json!(outcome.explanations));
    }
    if let Some(runs) = runs {
        put("benchmark_result", json!({"N": runs, "T": nanos.saturating_mul(*runs)}));
    }
    out
}

fn sub_results(cases: &BTreeMap<String, SubResult>) -> Value {
    let one = |(name, case): (&String, &SubResult)| {
        let mut out = json!({ "name": name });
        if let Some(members) = out.as_object_mut() {
            if case.fail {
                members.insert("fail".to_owned(), true.into());
            }
            if !case.cases.is_empty() {
                members.insert("sub_results".to_owned(), sub_results(&case.cases));
            }
        }
        (name.clone(), out)
    };
    Value::Object(cases.iter().map(one).collect())
}

/// What failed and why, in one text.
fn message(outcome: &Outcome) -> String {
    let mut out = match &outcome.verdict {
        Verdict::Failed(value) if outcome.explanations.is_empty() => format!("the value is {value}"),
        Verdict::Error(what) => what.clone(),
        Verdict::Passed | Verdict::Skipped | Verdict::Failed(_) => String::new(),
    };
    for why in &outcome.explanations {
        let case = if why.case.is_empty() { String::new() } else { format!("{}: ", why.case.join(": ")) };
        let newline = if out.is_empty() { "" } else { "\n" };
        let _ = write!(out, "{newline}{}:{}:{}: {case}{}", why.file, why.line, why.column, why.text);
        for value in &why.values {
            let _ = write!(out, "\n  {}: {}", value.term, value.value);
        }
    }
    out
}

/// JUnit's XML, as continuous integration reads it: a suite for each package.
pub fn junit(rows: &[Row]) -> String {
    let mut by_package: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    rows.iter().for_each(|row| by_package.entry(&row.item.package).or_default().push(row));
    let counts = |rows: &[&Row]| {
        let is = |test: fn(&Verdict) -> bool| rows.iter().filter(|row| test(&row.outcome.verdict)).count();
        let failed = is(|v| matches!(v, Verdict::Failed(_)));
        let errors = is(|v| matches!(v, Verdict::Error(_)));
        let skipped = is(|v| matches!(v, Verdict::Skipped));
        let nanos = rows.iter().map(|row| row.nanos).sum();
        let time = seconds(nanos);
        format!(
            "tests=\"{}\" failures=\"{failed}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{time}\"",
            rows.len()
        )
    };
    let all: Vec<&Row> = rows.iter().collect();
    let mut out =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"atb policy test\" {}>\n", counts(&all));
    for (package, rows) in by_package {
        let _ = writeln!(out, "  <testsuite name=\"{}\" {}>", escaped(package), counts(&rows));
        rows.iter().for_each(|row| junit_case(&mut out, row));
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn junit_case(out: &mut String, row: &Row) {
    let Row { item, outcome, nanos, .. } = row;
    let _ = write!(
        out,
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\" time=\"{}\"",
        escaped(&item.package),
        escaped(&item.name),
        escaped(&item.file),
        item.line,
        seconds(*nanos)
    );
    let (element, text) = match &outcome.verdict {
        Verdict::Passed => return out.push_str("/>\n"),
        Verdict::Skipped => return out.push_str(">\n      <skipped/>\n    </testcase>\n"),
        Verdict::Failed(_) => ("failure", message(outcome)),
        Verdict::Error(_) => ("error", message(outcome)),
    };
    let first = text.lines().next().unwrap_or_default();
    let _ = write!(
        out,
        ">\n      <{element} message=\"{}\">{}</{element}>\n    </testcase>\n",
        escaped(first),
        escaped(&text)
    );
}

fn seconds(nanos: u64) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

/// XML 1.0 §2.2 and §2.4: markup is written as references, what no document may hold is left out.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
        out
    })
}

/// GitHub's workflow commands: an annotation at each place, then the sums.
pub fn github(rows: &[Row]) -> String {
    let mut out = String::new();
    for Row { item, outcome, .. } in rows {
        let (file, line, column) = match outcome.explanations.first() {
            Some(why) => (&why.file, why.line, why.column),
            None => (&item.file, item.line, item.column),
        };
        let level = match &outcome.verdict {
            Verdict::Passed => continue,
            Verdict::Skipped => "notice",
            _ => "error",
        };
        let text = if level == "notice" { "to be written".to_owned() } else { message(outcome) };
        let _ = writeln!(
            out,
            "::{level} file={},line={line},col={column},title={}::{}",
            property(file),
            property(&item.full_name()),
            data(&text)
        );
    }
    out + &pretty(rows, false).lines().filter(|line| is_sum(line)).map(|line| format!("{line}\n")).collect::<String>()
}

fn is_sum(line: &str) -> bool {
    ["PASS: ", "FAIL: ", "SKIPPED: ", "ERROR: "].iter().any(|name| line.starts_with(name))
        && line.split(' ').nth(1).is_some_and(|sum| sum.bytes().all(|b| b.is_ascii_digit() || b == b'/'))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::engine::{Explanation, TermValue};

    fn row(name: &str, verdict: Verdict) -> Row {
        let item = TestItem {
            file: "opa/a_test.rego".to_owned(),
            line: 3,
            column: 1,
            package: "data.a_test".to_owned(),
            name: name.to_owned(),
            todo: false,
            case: None,
        };
        let outcome = Outcome { verdict, cases: BTreeMap::new(), explanations: Vec::new() };
        Row { item, outcome, nanos: 1_234_500, runs: None }
    }

    fn failing() -> Row {
        let mut row = row("test_no", Verdict::Failed("undefined".to_owned()));
        row.outcome.explanations.push(Explanation {
            file: "opa/a_test.rego".to_owned(),
            line: 4,
            column: 2,
            case: Vec::new(),
            text: "x < \"<&>\"".to_owned(),
            values: vec![TermValue { term: "x".to_owned(), value: "7".to_owned() }],
        });
        row
    }

    #[test]
    fn a_duration_is_written_as_go_writes_it() {
        let all = [0, 7, 1_000, 324_807, 1_234_500, 16_910_539, 1_000_000_000, 1_500_000_000].map(duration);
        assert_eq!(all, ["0s", "7ns", "1µs", "324.807µs", "1.2345ms", "16.910539ms", "1s", "1.5s"]);
    }

    #[test]
    fn what_fails_is_shown_with_its_statement_and_values_and_counted() {
        let rows = [row("test_yes", Verdict::Passed), failing(), row("todo_test_later", Verdict::Skipped)];
        let line = "-".repeat(80);
        assert_eq!(
            pretty(&rows, false),
            format!(
                "opa/a_test.rego:3:\ndata.a_test.test_no: FAIL (1.2345ms)\n  opa/a_test.rego:4:2: x < \"<&>\"\n    x: 7\n\
                 opa/a_test.rego:3:\ndata.a_test.todo_test_later: SKIPPED\n{line}\nPASS: 1/3\nFAIL: 1/3\nSKIPPED: 1/3\n"
            )
        );
        assert_eq!(pretty(&rows[..1], false), "PASS: 1/1\n");
    }

    #[test]
    fn markup_in_a_test_cannot_leave_its_place_in_xml_or_in_a_workflow_command() {
        let rows = [failing()];
        let xml = junit(&rows);
        assert!(xml.contains("x &lt; &quot;&lt;&amp;&gt;&quot;") && !xml.contains("\"<&>\""), "{xml}");
        let mut odd = failing();
        odd.outcome.explanations[0].text = "a\n::error::b%".to_owned();
        let annotation = github(&[odd]);
        assert_eq!(annotation.lines().filter(|line| line.starts_with("::")).count(), 1, "{annotation}");
        assert!(annotation.contains("a%0A::error::b%25"), "{annotation}");
    }

    #[test]
    fn the_cases_of_a_test_are_counted_each_for_itself() {
        let mut row = row("test_cases", Verdict::Failed("{}".to_owned()));
        let leaf = |fail| SubResult { fail, cases: BTreeMap::new() };
        let group = SubResult {
            fail: true,
            cases: BTreeMap::from([("x".to_owned(), leaf(true)), ("y".to_owned(), leaf(false))]),
        };
        row.outcome.cases = BTreeMap::from([("one".to_owned(), leaf(false)), ("two".to_owned(), group)]);
        assert_eq!(Counts::of(&[row.clone()]), Counts { passed: 2, failed: 1, skipped: 0, errors: 0 });
        assert_eq!(json(&[row])[0]["sub_results"]["two"]["sub_results"]["x"]["fail"], true);
    }
}
