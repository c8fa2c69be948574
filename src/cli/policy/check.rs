//! `atb policy check`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;

use super::files;
use crate::cli::output;
use crate::service::toolchain::check::{self, Finding, Options, report};

/// Look at a bundle without evaluating it: syntax, the safe profile, types, conflicts, what nothing reads.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "EXAMPLES:\n  atb policy check\n  atb policy check --strict opa\n  atb policy check --format sarif opa > policy.sarif\n\nEXIT CODES: 0 nothing that fails, 1 errors (or warnings with --strict), 2 the bundle cannot be read"
)]
pub(super) struct Args {
    /// The bundles; the configuration's bundle or ./opa without any.
    paths: Vec<PathBuf>,
    /// Warnings fail too.
    #[arg(long, short = 'S')]
    strict: bool,
    /// Every rule needs a title in its METADATA.
    #[arg(long)]
    title_every_rule: bool,
    /// Leave notes out.
    #[arg(long)]
    no_notes: bool,
    /// How to print.
    #[arg(long, short = 'f', value_enum, default_value_t)]
    format: Format,
    /// Take modules for Rego v0 where the bundle's manifest names no version: rules without `if` and `contains`.
    #[arg(long)]
    v0_compatible: bool,
    /// Where the bundle is written down when no path is given.
    #[arg(long, default_value = "atb.toml", value_name = "FILE")]
    config: PathBuf,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// GitHub's workflow commands.
    Github,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let paths: Vec<Option<&Path>> =
        if args.paths.is_empty() { vec![None] } else { args.paths.iter().map(|path| Some(path.as_path())).collect() };
    let mut findings: Vec<Finding> = Vec::new();
    for path in paths {
        let (folder, files) = files::read(path, &args.config)?;
        let files = files::in_version(files, args.v0_compatible)?;
        let options = Options { title_every_rule: args.title_every_rule };
        findings.extend(check::check(&files, options).into_iter().map(|finding| below(&folder, finding)));
    }
    findings.retain(|finding| !args.no_notes || finding.severity != check::Severity::Note);
    match args.format {
        Format::Text => output::text(&report::text(&findings)),
        Format::Json => output::json(&report::json(&findings)),
        Format::Sarif => output::json(&report::sarif(&findings)),
        Format::Github => output::text(&report::github(&findings)),
    }
    let summary = report::Summary::of(&findings);
    let fails = summary.errors > 0 || (args.strict && summary.warnings > 0);
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The path from where the command runs, so that editors and code scanning find the file.
fn below(folder: &Path, mut finding: Finding) -> Finding {
    let file = if finding.file == "." { folder.to_owned() } else { folder.join(&finding.file) };
    finding.file = file.strip_prefix("./").unwrap_or(&file).to_string_lossy().into_owned();
    finding
}
