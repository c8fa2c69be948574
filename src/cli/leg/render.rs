//! `atb leg render`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use super::files::{self, Found};
use crate::cli::output::{self, Format};
use crate::domain::action::ActionName;
use crate::domain::approval::{Ask, View};
use crate::domain::catalogue::{Catalogue, CatalogueEntry};
use crate::domain::json::{self as strict, Object};
use crate::domain::leg::{
    BindError, Commit, Leg, LegGround, LegTemplate, TemplateDocument, TemplateVariable, VariableKind,
};
use crate::domain::time::Ttl;

/// Fill a template and show the claim and what an approver will read.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "EXAMPLES:\n  atb leg render contract --var contract_ref=MSA-1001 --var order='vendor V-1001' \\\n      --var accountable_id=dave --var jurisdiction=DE --act sap.vendor.change\n  atb leg render consent@1.0.0 --vars vars.json --format json\n\nEXIT: 0 done, 1 no such template or the variables do not fit, 2 could not run"
)]
pub(super) struct Args {
    /// The template: its id, or `id@version`.
    template: String,
    /// A variable.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    vars: Vec<String>,
    /// Variables in a JSON object; --var goes before.
    #[arg(long = "vars", value_name = "FILE")]
    vars_file: Option<PathBuf>,
    /// The bundle; the configuration's or ./opa without it.
    #[arg(long, value_name = "PATH")]
    dir: Option<PathBuf>,
    /// The act to show what its approver reads of; the first one of the catalogue that the template covers without it.
    #[arg(long)]
    act: Option<ActionName>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Where the bundle is written down when no --dir is given.
    #[arg(long, default_value = "atb.toml", value_name = "FILE")]
    config: PathBuf,
}

/// Stands where the services' key would be: nobody can take what it makes for a commitment to anything.
struct NoKey;

impl Commit for NoKey {
    fn kid(&self) -> &str {
        "0000000000000000"
    }

    fn mac(&self, _message: &[u8]) -> [u8; 32] {
        [0; 32]
    }
}

/// What a committed value is shown as.
const PLACEHOLDER: &str = "hmac-sha-256:…";

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let dir = args.dir.clone().map_or_else(|| files::default_dir(&args.config), Ok)?;
    let found = Found::at(&dir)?;
    let templates = found.loaded()?;
    let Some(template) = templates.iter().find(|template| is_named(template, &args.template)) else {
        let known: Vec<String> = templates.iter().map(name_of).collect();
        output::note(&format!("there is no legal template `{}`; there are {}", args.template, known.join(", ")));
        return Ok(ExitCode::FAILURE);
    };
    let document = template.document();
    let vars = variables(args, document)?;
    let ground = match template.bind(&vars, Some(&NoKey)) {
        Ok(ground) => ground,
        Err(error) => {
            misfits(document, &vars, &error).iter().for_each(|line| output::note(line));
            return Ok(ExitCode::FAILURE);
        }
    };
    let catalogue = found.catalogue()?.unwrap_or_default();
    let entry = match &args.act {
        Some(act) => Some((act, catalogue.find(act).with_context(|| format!("the catalogue has no act `{act}`"))?)),
        None => example(document, &catalogue),
    };
    let lines = entry.map(|(act, entry)| approver_lines(&ground, act, entry)).transpose()?.unwrap_or_default();
    let leg: Leg = ground.into();
    let committed: Vec<&str> =
        document.variables.iter().filter(|(_, variable)| variable.commit).map(|(name, _)| name.as_str()).collect();
    let claim = serde_json::to_value(&leg)?;
    let digest = strict::digest(&claim).to_string();
    let warnings = scope(document, &leg, entry);
    match args.format {
        Format::Json => output::json(&json!({
            "template": template.reference(), "claim": claim, "digest": digest, "committed": committed,
            "approver_reads": lines, "warnings": warnings,
        })),
        Format::Text => text(&claim, &digest, &committed, &lines, &warnings),
    }
    Ok(ExitCode::SUCCESS)
}

fn text(claim: &Value, digest: &str, committed: &[&str], lines: &[String], warnings: &[String]) {
    output::line("the claim:");
    output::line(&hide(&serde_json::to_string_pretty(claim).unwrap_or_default()));
    output::line(&format!("\ndigest: {digest}"));
    for name in committed {
        output::line(&format!(
            "  `{name}` is committed: the services put a keyed digest where {PLACEHOLDER} stands, and the digest above changes"
        ));
    }
    output::line("\nan approver reads, for example:");
    lines.iter().for_each(|line| output::line(&format!("  {}", hide(line))));
    warnings.iter().for_each(|warning| output::note(&format!("warning: {warning}")));
}

/// The placeholder commitment, marked as one.
fn hide(text: &str) -> String {
    text.replace(&format!("hmac-sha-256:{}:{}", NoKey.kid(), "0".repeat(64)), PLACEHOLDER)
}

fn name_of(template: &LegTemplate) -> String {
    format!("{}@{}", template.document().id, template.document().version)
}

fn is_named(template: &LegTemplate, name: &str) -> bool {
    name == template.document().id.as_str() || name == name_of(template)
}

fn variables(args: &Args, document: &TemplateDocument) -> anyhow::Result<Map<String, Value>> {
    let mut vars = match &args.vars_file {
        Some(path) => match strict::parse(&std::fs::read(path).with_context(|| path.display().to_string())?) {
            Ok(Value::Object(members)) => members,
            Ok(_) => bail!("{}: expected a JSON object of variables", path.display()),
            Err(error) => bail!("{}: {error}", path.display()),
        },
        None => Map::new(),
    };
    for pair in &args.vars {
        let (name, value) = pair.split_once('=').with_context(|| format!("--var {pair}: expected NAME=VALUE"))?;
        let integer = document.variables.get(name).is_some_and(|variable| variable.kind == VariableKind::Integer);
        let number = value.parse::<i64>().ok().filter(|_| integer);
        vars.insert(name.to_owned(), number.map_or_else(|| json!(value), |number| json!(number)));
    }
    Ok(vars)
}

/// What does not fit, each with what would.
fn misfits(document: &TemplateDocument, vars: &Map<String, Value>, error: &BindError) -> Vec<String> {
    let fits = |name: &str| document.variables.get(name).map(describe).unwrap_or_default();
    match error {
        BindError::MissingVariable(_) => document
            .variables
            .iter()
            .filter(|(name, variable)| variable.required && !vars.contains_key(*name))
            .map(|(name, _)| format!("the variable `{name}` is required: {}", fits(name)))
            .collect(),
        BindError::BadValue(name, _) => vec![format!("{error}. Expected: {}", fits(name))],
        BindError::UnknownVariable(_) => {
            let known: Vec<String> = document.variables.keys().map(|name| format!("`{name}`")).collect();
            vec![format!("{error}; there are {}", known.join(", "))]
        }
        other => vec![other.to_string()],
    }
}

fn describe(variable: &TemplateVariable) -> String {
    let kind = match variable.kind {
        VariableKind::String => "a text",
        VariableKind::Integer => "a whole number",
    };
    let length = variable.max_length.map(|max| format!(" of at most {max} bytes")).unwrap_or_default();
    let pattern = variable.pattern.as_ref().map(|pattern| format!(" that matches {pattern}")).unwrap_or_default();
    format!("{} ({kind}{length}{pattern})", variable.description)
}

/// What the policy would refuse although it binds.
fn scope(document: &TemplateDocument, leg: &Leg, entry: Option<(&ActionName, &CatalogueEntry)>) -> Vec<String> {
    let mut warnings = Vec::new();
    if !document.jurisdictions.contains(&leg.jurisdiction) {
        warnings.push(format!("the template does not hold in `{}`: a request would be refused", leg.jurisdiction));
    }
    if let Some((act, entry)) = entry {
        if !document.acts.iter().any(|pattern| pattern.covers(act)) {
            warnings.push(format!("the template does not cover `{act}`: a request would be refused"));
        }
        if !document.data_classes.contains(&entry.data_class) {
            let class = json!(entry.data_class);
            warnings.push(format!(
                "the template does not carry {} data: a request would be refused",
                class.as_str().unwrap_or_default()
            ));
        }
    }
    warnings
}

/// An example of an act that the template covers, where none is named.
fn example<'a>(document: &TemplateDocument, catalogue: &'a Catalogue) -> Option<(&'a ActionName, &'a CatalogueEntry)> {
    let covers = |act: &ActionName| document.acts.iter().any(|pattern| pattern.covers(act));
    catalogue.iter().find(|(act, entry)| covers(act) && document.data_classes.contains(&entry.data_class))
}

/// What `atb approve` shows of a request of an example agent on this ground, tied to no call.
fn approver_lines(ground: &LegGround, act: &ActionName, entry: &CatalogueEntry) -> anyhow::Result<Vec<String>> {
    let ask = Ask {
        sub: "spiffe://example.org/agent/example".parse()?,
        act: act.clone(),
        con: Object::default(),
        leg: ground.clone(),
        req: None,
        ttl: Ttl::DEFAULT,
    };
    Ok(View::of(&ask, None, entry)?.lines())
}
