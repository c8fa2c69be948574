//! `atb policy acts`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::files;
use crate::cli::output::{self, Format};
use crate::domain::action::ActionName;
use crate::domain::catalogue::{CatalogueEntry, Tier};
use crate::domain::json::Object;
use crate::domain::policy::Bundle;

/// List the acts of a bundle: how dangerous each is, what it takes and who must agree.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "EXAMPLES:\n  atb policy acts\n  atb policy acts --tier critical\n  atb policy acts --format json opa | jq '.acts[].act'"
)]
pub(super) struct Args {
    /// The bundle; the configuration's bundle or ./opa without it.
    path: Option<PathBuf>,
    /// Only acts of this tier: low, medium, high, critical.
    #[arg(long, value_parser = tier)]
    tier: Option<Tier>,
    /// Only acts of this family, the first part of the name: `sap`.
    #[arg(long)]
    family: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Where the bundle is written down when no path is given.
    #[arg(long, default_value = "atb.toml", value_name = "FILE")]
    config: PathBuf,
}

fn tier(text: &str) -> Result<Tier, String> {
    Tier::ALL.into_iter().find(|tier| tier.as_str() == text).ok_or_else(|| "low, medium, high or critical".to_owned())
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (path, files) = files::read(args.path.as_deref(), &args.config)?;
    let bundle = Bundle::parse(&files).with_context(|| format!("the bundle `{}`", path.display()))?;
    let rows: Vec<Value> = bundle
        .catalogue()
        .iter()
        .filter(|(act, entry)| {
            args.tier.is_none_or(|tier| entry.tier == tier) && args.family.as_deref().is_none_or(|f| act.family() == f)
        })
        .map(|(act, entry)| row(act, entry))
        .collect();
    match args.format {
        Format::Json => output::json(&json!({ "revision": bundle.revision(), "acts": rows })),
        Format::Text => rows.iter().for_each(|row| output::line(&text(row))),
    }
    Ok(if rows.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn row(act: &ActionName, entry: &CatalogueEntry) -> Value {
    json!({
        "act": act, "title": entry.title, "tier": entry.tier, "data_class": entry.data_class,
        "reversibility": entry.reversibility, "bind_request": entry.bind_request, "parameters": entry.parameters,
        "limits": entry.limits.to_value(), "approval": entry.approval,
        "ground": entry.ground, "example": entry.example.as_ref().map(Object::to_value), "loggable": entry.loggable,
        "attestations": entry.attestations, "privileged": entry.privileged,
    })
}

fn text(row: &Value) -> String {
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
    format!(
        "{:<32} {:<8} {:<12} {:<21} {}",
        text("act"),
        text("tier"),
        text("data_class"),
        text("reversibility"),
        text("title")
    )
}
