//! `atb connector`: the connector files, checked and shown without starting anything.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::Format;
use crate::adapters::connectors::{Connector, Connectors, LoadError, RouteBody};

/// `atb connector`.
#[derive(Debug, Args)]
pub struct ConnectorArgs {
    #[command(subcommand)]
    command: ConnectorCommand,
}

#[derive(Debug, Subcommand)]
enum ConnectorCommand {
    /// Check every connector file of a directory: one error a file, with its place.
    #[command(
        after_help = "EXAMPLES:\n  atb connector lint connectors\n  atb connector lint --production /etc/atb/connectors"
    )]
    Lint(Options),
    /// List connectors and their routes: which call is which act.
    #[command(
        after_help = "EXAMPLES:\n  atb connector list connectors\n  atb connector list --format json connectors | jq '.[].routes[].act'"
    )]
    List(Options),
}

#[derive(Debug, Args)]
struct Options {
    /// The directory with the connector files.
    #[arg(default_value = "connectors")]
    dir: PathBuf,
    /// Refuse what production refuses: plain http and every `dev_` key.
    #[arg(long)]
    production: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs `atb connector`: 0 done, 1 a file is not valid.
///
/// # Errors
/// When the directory cannot be read or the output not written.
pub fn run(args: ConnectorArgs) -> anyhow::Result<ExitCode> {
    let (ConnectorCommand::Lint(options) | ConnectorCommand::List(options)) = &args.command;
    let (connectors, errors) = Connectors::check(&options.dir, !options.production)?;
    let mut out = io::stdout().lock();
    match (&args.command, options.format) {
        (ConnectorCommand::Lint(_), Format::Text) => lint_text(&mut out, &options.dir, &connectors, &errors)?,
        (ConnectorCommand::Lint(_), Format::Json) => writeln!(out, "{:#}", lint_json(&connectors, &errors))?,
        (ConnectorCommand::List(_), Format::Text) => list_text(&mut out, &connectors)?,
        (ConnectorCommand::List(_), Format::Json) => writeln!(out, "{:#}", list_json(&connectors))?,
    }
    if let (ConnectorCommand::List(_), Some(error)) = (&args.command, errors.first()) {
        writeln!(io::stderr(), "error: {}", chain(error))?;
    }
    Ok(if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn lint_text(out: &mut impl io::Write, dir: &Path, connectors: &Connectors, errors: &[LoadError]) -> io::Result<()> {
    for error in errors {
        writeln!(out, "error: {}", chain(error))?;
    }
    let (good, routes) = connectors.iter().fold((0, 0), |(n, routes), c| (n + 1, routes + c.routes.len()));
    if good == 0 && errors.is_empty() {
        return writeln!(out, "no connector file (*.toml) in {}", dir.display());
    }
    writeln!(out, "{good} connectors with {routes} routes are valid, {} files are not", errors.len())
}

fn lint_json(connectors: &Connectors, errors: &[LoadError]) -> Value {
    let errors: Vec<Value> = errors
        .iter()
        .map(|error| {
            let place = error.place();
            json!({
                "message": chain(error),
                "file": place.map(|p| p.file.display().to_string()),
                "line": place.map(|p| p.line),
                "column": place.map(|p| p.column),
            })
        })
        .collect();
    let valid: Vec<&str> = connectors.iter().map(|connector| connector.name.as_str()).collect();
    json!({ "valid": valid, "errors": errors })
}

fn list_text(out: &mut impl io::Write, connectors: &Connectors) -> io::Result<()> {
    for connector in connectors.iter() {
        writeln!(out, "{}  {}  ({}, {})", connector.name, connector.title, url(connector), connector.owner)?;
        for route in &connector.routes {
            let query: Vec<&str> = route.query.iter().map(|param| param.name.as_str()).collect();
            let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
            writeln!(out, "  {:<7} {:<44} {}", route.method.as_str(), format!("{}{query}", route.path), route.act)?;
        }
    }
    Ok(())
}

fn list_json(connectors: &Connectors) -> Value {
    connectors.iter().map(|connector| describe(connector)).collect()
}

fn describe(connector: &Connector) -> Value {
    let routes: Vec<Value> = connector
        .routes
        .iter()
        .map(|route| {
            let query: Vec<&str> = route.query.iter().map(|param| param.name.as_str()).collect();
            let body = match &route.body {
                RouteBody::None => "none",
                RouteBody::Json => "json",
                RouteBody::Stream(_) => "stream",
            };
            json!({
                "method": route.method, "path": route.path.to_string(), "act": route.act, "query": query, "body": body,
            })
        })
        .collect();
    json!({
        "name": connector.name, "title": connector.title, "owner": connector.owner, "data_class": connector.data_class,
        "upstream": url(connector), "workloads": connector.workloads, "routes": routes,
    })
}

fn url(connector: &Connector) -> String {
    let base = &connector.upstream;
    format!("{}://{}{}", base.scheme, base.authority, base.base_path)
}

/// The error with its causes on one line.
fn chain(error: &LoadError) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
