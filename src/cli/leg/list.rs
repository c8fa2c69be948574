//! `atb leg list`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::files::{self, Found};
use crate::cli::output::{self, Format};
use crate::domain::catalogue::Catalogue;
use crate::domain::leg::{Day, LegTemplate, TemplateState};

/// List the templates of a bundle: what they cover, how long, and whether they are in force.
#[derive(Debug, clap::Args)]
#[command(after_help = "EXAMPLES:\n  atb leg list\n  atb leg list --format json opa | jq '.templates[].id'")]
pub(super) struct Args {
    /// The bundle, or a part of it; the configuration's bundle or ./opa without it.
    path: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The day, `2026-11-21`; today without it.
    #[arg(long, value_name = "DATE")]
    today: Option<String>,
    /// How many days before its end a template is expiring.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    soon: u32,
    /// Where the bundle is written down when no path is given.
    #[arg(long, default_value = "atb.toml", value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let today = files::day(args.today.as_deref())?;
    let path = args.path.clone().map_or_else(|| files::default_dir(&args.config), Ok)?;
    let found = Found::at(&path)?;
    let catalogue = found.catalogue()?;
    let templates = found.loaded()?;
    let rows: Vec<Value> = templates.iter().map(|t| row(t, catalogue.as_ref(), today, args.soon)).collect();
    match args.format {
        Format::Json => output::json(&json!({ "templates": rows })),
        Format::Text => rows.iter().for_each(|row| output::line(&text(row))),
    }
    Ok(ExitCode::SUCCESS)
}

fn row(template: &LegTemplate, catalogue: Option<&Catalogue>, today: Day, soon_days: u32) -> Value {
    let document = template.document();
    let covered = catalogue.map(|catalogue| {
        let covered = |act: &_| document.acts.iter().any(|pattern| pattern.covers(act));
        catalogue
            .iter()
            .filter(|(act, entry)| covered(act) && document.data_classes.contains(&entry.data_class))
            .count()
    });
    json!({
        "id": document.id, "version": document.version, "title": document.title, "basis": document.basis,
        "jurisdictions": document.jurisdictions, "acts_covered": covered,
        "valid_from": document.valid_from, "valid_until": document.valid_until,
        "state": state(template, today, soon_days), "owner": document.owner, "digest": template.reference().digest,
    })
}

/// As the services see it at the day's first instant; `expiring` is in force and ends soon.
fn state(template: &LegTemplate, today: Day, soon_days: u32) -> &'static str {
    let state = template.state_at(today.start());
    let soon = today.start().plus(Duration::from_secs(u64::from(soon_days) * 24 * 3600));
    if state == TemplateState::InForce && template.document().valid_until.start() <= soon {
        return "expiring";
    }
    state.as_str()
}

fn text(row: &Value) -> String {
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
    let places: Vec<&str> =
        row.get("jurisdictions").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let places = match places.split_at_checked(6) {
        Some((first, rest)) if !rest.is_empty() => format!("{} +{}", first.join(" "), rest.len()),
        _ => places.join(" "),
    };
    let acts = row.get("acts_covered").and_then(Value::as_u64).map_or_else(|| "?".to_owned(), |n| n.to_string());
    format!(
        "{:<28} {:<11} {:>3} acts  {:<9} {} to {}  {:<12} {}\n  {places}\n  {}",
        format!("{}@{}", text("id"), text("version")),
        text("basis"),
        acts,
        text("state"),
        text("valid_from"),
        text("valid_until"),
        text("owner"),
        text("title"),
        text("digest"),
    )
}
