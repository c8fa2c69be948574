//! `atb leg diff`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use serde_json::json;

use super::files::Found;
use crate::cli::output;
use crate::domain::leg::diff::{Change, TemplateDiff, compare_sets};

/// How changes are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For a pull request.
    Markdown,
}

/// Say in words what changed in law between two versions.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "EXAMPLES:\n  atb leg diff ../released/opa opa\n  atb leg diff --format markdown old.yaml opa/leg_templates/consent/data.yaml\n\nEXIT: 0 nothing got wider under the version that it had, 1 something did, 2 could not run"
)]
pub(super) struct Args {
    /// Before: a bundle, a folder of `leg_templates`, or a file.
    old: PathBuf,
    /// After.
    new: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Compares: 1 when more is possible under the same version.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (old, new) = (Found::at(&args.old)?, Found::at(&args.new)?);
    let catalogue = match new.catalogue()? {
        Some(catalogue) => Some(catalogue),
        None => old.catalogue()?,
    };
    let diffs = compare_sets(&old.values()?, &new.values()?, catalogue.as_ref());
    let unversioned: Vec<&str> =
        diffs.iter().filter(|diff| diff.wider_under_one_version()).map(|diff| diff.id.as_str()).collect();
    match args.format {
        Format::Json => output::json(&json!({ "templates": diffs, "wider_under_one_version": unversioned })),
        Format::Markdown => diffs.iter().for_each(markdown),
        Format::Text => diffs.iter().for_each(text),
    }
    if diffs.is_empty() && args.format != Format::Json {
        output::line("nothing changed in law");
    }
    for id in &unversioned {
        output::note(&format!("`{id}` allows more than before under the same version: raise `version`"));
    }
    Ok(if unversioned.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn versions(diff: &TemplateDiff) -> String {
    match (&diff.old_version, &diff.new_version) {
        (Some(old), Some(new)) if old == new => format!("{} {new}", diff.id),
        (Some(old), Some(new)) => format!("{} {old} -> {new}", diff.id),
        (None, Some(new)) => format!("{} {new}, new", diff.id),
        (Some(old), None) => format!("{} {old}, gone", diff.id),
        (None, None) => diff.id.clone(),
    }
}

fn text(diff: &TemplateDiff) {
    output::line(&versions(diff));
    for Change { effect, text, .. } in &diff.changes {
        output::line(&format!("  {:<9} {text}", effect.as_str()));
    }
}

fn markdown(diff: &TemplateDiff) {
    // A cell ends at a bar and at the end of a line; nothing else in it is more than text.
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ").replace('<', "&lt;");
    output::line(&format!("### {}\n\n| effect | what changed |\n| --- | --- |", cell(&versions(diff))));
    for Change { effect, text, .. } in &diff.changes {
        output::line(&format!("| **{}** | {} |", effect.as_str(), cell(text)));
    }
    output::line("");
}
