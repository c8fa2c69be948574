//! `atb leg lint`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use serde_json::json;

use super::files::{self, Found};
use crate::cli::output;
use crate::domain::leg::lint::{self, Finding, Input, Severity, Source};

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// As annotations of a GitHub workflow.
    Github,
}

/// Find what is wrong or odd with templates, each with its place and what to do.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "EXAMPLES:\n  atb leg lint\n  atb leg lint --strict opa\n  atb leg lint opa/leg_templates/consent/data.yaml\n  atb leg lint --against ../released/opa --format github opa\n\nEXIT: 0 clean (warnings and notes allowed; with --strict no warnings), 1 findings, 2 could not run"
)]
pub(super) struct Args {
    /// Bundles, folders of `leg_templates`, or files; the configuration's bundle or ./opa without one.
    paths: Vec<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The templates as they were before: a changed meaning needs a new version.
    #[arg(long, value_name = "PATH")]
    against: Option<PathBuf>,
    /// Take warnings for errors.
    #[arg(long)]
    strict: bool,
    /// The day, `2026-11-21`; today without it.
    #[arg(long, value_name = "DATE")]
    today: Option<String>,
    /// How many days before its end a template ends soon.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    soon: u32,
    /// Where the bundle is written down when no path is given.
    #[arg(long, default_value = "atb.toml", value_name = "FILE")]
    config: PathBuf,
}

/// Lints: 0 clean, 1 findings.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let today = files::day(args.today.as_deref())?;
    let paths = if args.paths.is_empty() { vec![files::default_dir(&args.config)?] } else { args.paths.clone() };
    let earlier: Vec<Source> = match &args.against {
        Some(path) => Found::at(path)?.named().cloned().collect(),
        None => Vec::new(),
    };
    let (mut findings, mut templates) = (Vec::new(), 0);
    for path in &paths {
        let found = Found::at(path)?;
        templates += found.named.len();
        let (catalogue, soon_days) = (found.catalogue.as_ref(), args.soon);
        if found.whole && catalogue.is_none() {
            output::note(&format!("{}: no catalogue, so nobody looked for acts without a ground", path.display()));
        }
        let input = Input { templates: &found.templates, catalogue, earlier: &earlier, today, soon_days };
        findings.extend(lint::lint(&input).into_iter().filter(|f| found.whole || found.named.contains(&f.file)));
    }
    let count = |severity| findings.iter().filter(|finding: &&Finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    print(args.format, &findings, templates);
    let clean = errors == 0 && (warnings == 0 || !args.strict);
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(format: Format, findings: &[Finding], templates: usize) {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
    match format {
        Format::Text => {
            findings.iter().for_each(|finding| output::line(&finding.to_string()));
            output::line(&format!(
                "{}, {}, {}, {}",
                some(templates, "template"),
                some(errors, "error"),
                some(warnings, "warning"),
                some(notes, "note")
            ));
        }
        Format::Json => output::json(&json!({
            "templates": templates, "errors": errors, "warnings": warnings, "notes": notes, "findings": findings,
        })),
        Format::Github => findings.iter().for_each(|finding| output::line(&annotation(finding))),
    }
}

fn some(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A workflow command: `::error file=…,line=…,col=…,title=…::message`.
fn annotation(finding: &Finding) -> String {
    let command = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let message = format!("{}\n{}", finding.message, finding.suggestion);
    let (file, line, column) = (property(&finding.file), finding.line, finding.column);
    format!("::{command} file={file},line={line},col={column},title={}::{}", finding.code, data(&message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_is_one_line_and_cannot_be_broken_out_of() {
        let finding = Finding {
            code: lint::Code::Gap,
            severity: Severity::Error,
            file: "a,b:c.yaml".to_owned(),
            line: 3,
            column: 7,
            message: "100 %\n::error::x".to_owned(),
            suggestion: "do".to_owned(),
        };
        assert_eq!(
            annotation(&finding),
            "::error file=a%2Cb%3Ac.yaml,line=3,col=7,title=leg_gap::100 %25%0A::error::x%0Ado"
        );
    }
}
