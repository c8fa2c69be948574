//! The report for people: text for a terminal, Markdown for a pull request.

use super::{Counts, Mutant, Report};

const MAX_SHOWN: usize = 100;

/// For a terminal.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    for mutant in report.survivors.iter().filter(|mutant| mutant.accepted.is_none()) {
        out.push_str(&format!(
            "{}:{}:{}: {} survived in {}\n  - {}\n  + {}\n  {}\n",
            mutant.file,
            mutant.line,
            mutant.column,
            mutant.operator.as_str(),
            mutant.rule,
            shown(&mutant.original),
            shown(&mutant.mutated),
            mutant.hint,
        ));
    }
    for entry in &report.stale {
        out.push_str(&format!("accept file: no survivor is {entry}: take the entry out\n"));
    }
    for (file, counts) in &report.files {
        out.push_str(&format!("{:>7} {file}: {}\n", percent(counts), numbers(counts)));
    }
    out.push_str(&format!("{:>7} all: {}, {} tests\n", percent(&report.total), numbers(&report.total), report.tests));
    out
}

/// For a pull request.
pub fn markdown(report: &Report) -> String {
    let total = &report.total;
    let mut out = format!(
        "## Mutation score {}\n\n{} of {} mutants of bundle `{}` were noticed by its {} tests.\n",
        percent(total),
        total.killed,
        total.mutants - total.accepted,
        report.revision,
        report.tests,
    );
    out.push_str(
        "\n| file | score | mutants | killed | survived | accepted |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for (file, counts) in &report.files {
        let Counts { mutants, killed, survived, accepted, .. } = counts;
        let open = survived - accepted;
        out.push_str(&format!("| `{file}` | {} | {mutants} | {killed} | {open} | {accepted} |\n", percent(counts)));
    }
    let open: Vec<&Mutant> = report.survivors.iter().filter(|mutant| mutant.accepted.is_none()).collect();
    if !open.is_empty() {
        out.push_str("\n### What no test notices\n\n| where | rule | is | could be |\n| --- | --- | --- | --- |\n");
    }
    for mutant in open.iter().take(MAX_SHOWN) {
        let Mutant { file, line, column, rule, original, mutated, .. } = mutant;
        let (is, could) = (cell(original), cell(mutated));
        out.push_str(&format!("| `{file}:{line}:{column}` | `{rule}` | {is} | {could} |\n"));
    }
    if open.len() > MAX_SHOWN {
        out.push_str(&format!("\n… and {} more.\n", open.len() - MAX_SHOWN));
    }
    for entry in &report.stale {
        out.push_str(&format!("\nThe accept file names {entry}, which no longer survives.\n"));
    }
    out
}

fn percent(counts: &Counts) -> String {
    let score = counts.score();
    format!("{}.{:02} %", score / 100, score % 100)
}

fn numbers(counts: &Counts) -> String {
    let Counts { mutants, killed, timed_out, detours, survived, accepted, stillborn } = counts;
    format!(
        "{mutants} mutants, {killed} killed ({timed_out} by time, {detours} by way), {survived} survived ({accepted} accepted), {stillborn} stillborn"
    )
}

/// One line of at most eighty characters.
fn shown(text: &str) -> String {
    if text.is_empty() {
        return "(nothing)".to_owned();
    }
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= 80 { line } else { line.chars().take(79).chain(['…']).collect() }
}

fn cell(text: &str) -> String {
    if text.is_empty() {
        "nothing".to_owned()
    } else {
        format!("`{}`", shown(text).replace('|', "\\|").replace('`', "'"))
    }
}
