//! `atb connector`: the connector files, checked, shown and signed off without starting anything.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::client::{ClientArgs, Service, trust};
use super::output::{self, Format};
use crate::adapters::clock::SystemClock;
use crate::adapters::connectors::{
    Connector, Connectors, LoadError, RouteBody, SignOffs, SignatureFile, load_file, signatures_file,
};
use crate::adapters::signer;
use crate::config::Config;
use crate::domain::approval::{ConnectorSigner, SignOff, SignOffRole, UnverifiedSignOff};
use crate::domain::spiffe::TrustBundles;
use crate::service::ports::Clock as _;

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
    /// Sign one connector file off, as a person of the security or of the legal team.
    #[command(
        after_help = "EXAMPLES:\n  atb connector sign connectors/erp.toml --role security --as alice --home ./dev\n  \
        atb connector sign connectors/erp.toml --role legal --as carol --home ./dev\n\n\
        The sign-off is added to erp.sigs.json beside the file; any change of the file needs new ones."
    )]
    Sign(SignArgs),
}

/// For whom a person signs.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    /// What it may reach and what it lets through.
    Security,
    /// Whose data it touches, and that this may be.
    Legal,
}

impl From<Role> for SignOffRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Security => Self::Security,
            Role::Legal => Self::Legal,
        }
    }
}

#[derive(Debug, Args)]
struct SignArgs {
    /// The connector file.
    file: PathBuf,
    /// For whom you sign.
    #[arg(long, value_enum)]
    role: Role,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
struct Options {
    /// The directory with the connector files.
    #[arg(default_value = "connectors")]
    dir: PathBuf,
    /// Refuse what production refuses: plain http, every `dev_` key and, with --config, what is not signed off.
    #[arg(long)]
    production: bool,
    /// The configuration that says who may sign connectors off; their sign-offs are verified by it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs `atb connector`: 0 done, 1 a file is not valid.
///
/// # Errors
/// When the directory cannot be read or the output not written.
pub fn run(args: ConnectorArgs) -> anyhow::Result<ExitCode> {
    let (options, lints) = match &args.command {
        ConnectorCommand::Lint(options) => (options, true),
        ConnectorCommand::List(options) => (options, false),
        ConnectorCommand::Sign(args) => return sign(args),
    };
    let (connectors, errors) = Connectors::check(&options.dir, !options.production)?;
    let signing = options.config.as_deref().map(Signing::by).transpose()?;
    let mut errors: Vec<_> = errors.iter().map(Finding::of).collect();
    if lints && let Some(signing) = &signing {
        errors.extend(connectors.iter().filter_map(|connector| signing.finding(connector, options.production)));
    }
    let mut out = io::stdout().lock();
    match (lints, options.format) {
        (true, Format::Text) => lint_text(&mut out, &options.dir, &connectors, &errors)?,
        (true, Format::Json) => writeln!(out, "{:#}", lint_json(&connectors, &errors))?,
        (false, Format::Text) => list_text(&mut out, &connectors, signing.as_ref())?,
        (false, Format::Json) => writeln!(out, "{:#}", list_json(&connectors, signing.as_ref()))?,
    }
    if let (false, Some(error)) = (lints, errors.first()) {
        writeln!(io::stderr(), "error: {}", error.message)?;
    }
    Ok(if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is wrong with a file.
struct Finding {
    message: String,
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
}

impl Finding {
    fn of(error: &LoadError) -> Self {
        let place = error.place();
        Self {
            message: chain(error),
            file: place.map(|place| place.file.display().to_string()),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
        }
    }
}

/// By what sign-offs are judged.
struct Signing {
    signers: Vec<ConnectorSigner>,
    trust: TrustBundles,
}

impl Signing {
    fn by(config: &Path) -> anyhow::Result<Self> {
        let config = Config::load(config)?;
        let trust = TrustBundles::clone(&trust(&config)?.load());
        let broker = config.broker.context("the configuration has no [broker]")?;
        Ok(Self { signers: broker.connector_signers, trust })
    }

    fn sign_offs(&self) -> SignOffs<'_> {
        SignOffs { signers: &self.signers, trust: &self.trust, now: SystemClock.now() }
    }

    fn finding(&self, connector: &Connector, required: bool) -> Option<Finding> {
        let judged = match required {
            true => self.sign_offs().require(connector),
            false => self.sign_offs().of(connector).map(drop),
        };
        let error = judged.err()?;
        let file = Some(connector.file.display().to_string());
        Some(Finding { message: error.to_string(), file, line: None, column: None })
    }

    /// Who has signed, or why that does not hold.
    fn told(&self, connector: &Connector) -> Value {
        match self.sign_offs().of(connector) {
            Ok(sign_offs) => {
                let each = sign_offs.iter().map(|s| json!({"role": s.claims().role, "by": s.claims().iss}));
                let complete = self.sign_offs().require(connector).is_ok();
                json!({"complete": complete, "signed": each.collect::<Vec<_>>()})
            }
            Err(error) => json!({"complete": false, "code": error.code(), "detail": error.to_string()}),
        }
    }
}

fn sign(args: &SignArgs) -> anyhow::Result<ExitCode> {
    let client = args.client.connect(Service::Broker)?;
    let config = args.client.config()?;
    let (connector, _) = load_file(&args.file, config.dev)?;
    let role = SignOffRole::from(args.role);
    let signers = config.broker.map(|part| part.connector_signers).unwrap_or_default();
    if !signers.iter().any(|signer| signer.id == client.id() && signer.role == role) {
        bail!("`broker.connector_signers` does not say that {} may sign for {}", client.id(), role.as_str());
    }
    let sign_off = SignOff {
        iss: client.id(),
        connector: connector.name.clone(),
        digest: connector.digest,
        role,
        iat: SystemClock.now().as_secs(),
    };
    let jws = sign_off.sign(signer::svid_signer(client.key_path())?.as_ref(), &client.chain())?;
    let mut file = SignatureFile::of(&args.file)?;
    // What was signed for another version of the file, or by this person before, is replaced.
    file.signatures.retain(|jws| {
        let earlier = UnverifiedSignOff::parse(jws).ok().map(|s| s.unverified_claims().clone());
        earlier.is_some_and(|s| s.digest == connector.digest && !(s.iss == sign_off.iss && s.role == role))
    });
    file.signatures.push(jws);
    write(&signatures_file(&args.file), &file)?;
    output::line(&format!(
        "{} signed {} off for {} ({})",
        sign_off.iss,
        connector.name,
        role.as_str(),
        connector.digest
    ));
    Ok(ExitCode::SUCCESS)
}

/// Whole or not at all.
fn write(path: &Path, file: &SignatureFile) -> anyhow::Result<()> {
    let failed = || format!("cannot write `{}`", path.display());
    let draft = path.with_extension("json.new");
    let text = serde_json::to_string_pretty(file)?;
    std::fs::write(&draft, text + "\n").with_context(failed)?;
    std::fs::rename(&draft, path).with_context(failed)
}

fn lint_text(out: &mut impl io::Write, dir: &Path, connectors: &Connectors, errors: &[Finding]) -> io::Result<()> {
    for error in errors {
        writeln!(out, "error: {}", error.message)?;
    }
    let (good, routes) = connectors.iter().fold((0, 0), |(n, routes), c| (n + 1, routes + c.routes.len()));
    if good == 0 && errors.is_empty() {
        return writeln!(out, "no connector file (*.toml, *.yaml, *.yml) in {}", dir.display());
    }
    writeln!(out, "{good} connectors with {routes} routes are valid, {} files are not", errors.len())
}

fn lint_json(connectors: &Connectors, errors: &[Finding]) -> Value {
    let errors: Vec<Value> = errors
        .iter()
        .map(|Finding { message, file, line, column }| {
            json!({"message": message, "file": file, "line": line, "column": column})
        })
        .collect();
    let valid: Vec<&str> = connectors.iter().map(|connector| connector.name.as_str()).collect();
    json!({ "valid": valid, "errors": errors })
}

fn list_text(out: &mut impl io::Write, connectors: &Connectors, signing: Option<&Signing>) -> io::Result<()> {
    for connector in connectors.iter() {
        let off = if connector.enabled { "" } else { ", not enabled" };
        writeln!(out, "{}  {}  ({}, {}{off})", connector.name, connector.title, url(connector), connector.owner)?;
        if let Some(signing) = signing {
            writeln!(out, "  {}", signed_line(&signing.told(connector)))?;
        }
        for route in &connector.routes {
            let query: Vec<&str> = route.query.iter().map(|param| param.name.as_str()).collect();
            let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
            writeln!(out, "  {:<7} {:<44} {}", route.method.as_str(), format!("{}{query}", route.path), route.act)?;
        }
    }
    Ok(())
}

fn signed_line(told: &Value) -> String {
    if let Some(detail) = told.get("detail").and_then(Value::as_str) {
        return format!("not signed off: {detail}");
    }
    let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let signed = told.get("signed").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let each: Vec<_> = signed.iter().map(|s| format!("{} by {}", text(s, "role"), text(s, "by"))).collect();
    match (told.get("complete").and_then(Value::as_bool), each.is_empty()) {
        (Some(true), _) => format!("signed off: {}", each.join(", ")),
        (_, true) => "not signed off".to_owned(),
        _ => format!("not signed off by both: {}", each.join(", ")),
    }
}

fn list_json(connectors: &Connectors, signing: Option<&Signing>) -> Value {
    connectors.iter().map(|connector| describe(connector, signing)).collect()
}

fn describe(connector: &Connector, signing: Option<&Signing>) -> Value {
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
        "upstream": url(connector), "egress": connector.egress(), "enabled": connector.enabled,
        "digest": connector.digest, "signatures": signing.map(|signing| signing.told(connector)),
        "workloads": connector.workloads, "routes": routes,
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
