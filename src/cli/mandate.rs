//! `atb mandate inspect` and `verify`: mandates, offline.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};

use super::call::read_mandate;
use super::output::{self, Format};
use crate::adapters::clock::SystemClock;
use crate::adapters::{bundle_archive, pem};
use crate::config::Config;
use crate::domain::approval::{CallView, Statement, UnverifiedDelegation, UnverifiedStatement, View};
use crate::domain::jose::MandateKeys;
use crate::domain::json as strict;
use crate::domain::json::Object;
use crate::domain::mandate::{Claims, Expected, ProvenApprovals, UnverifiedMandate};
use crate::domain::policy::Bundle;
use crate::domain::spiffe::{SpiffeId, TrustBundles, TrustDomain};
use crate::domain::time::{Timestamp, Ttl};
use crate::service::ports::Clock as _;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: MandateCommand,
}

#[derive(Debug, Subcommand)]
enum MandateCommand {
    /// Decode a mandate and the statements in it. Nothing is verified.
    #[command(after_help = "EXAMPLES:\n  atb mandate inspect change.jwt")]
    Inspect {
        /// The file that holds the mandate, or - for standard input.
        file: PathBuf,
    },
    /// Verify a mandate and every approval in it without any service.
    #[command(after_help = "EXAMPLES:\n  atb mandate verify change.jwt --home ./dev\n  \
        atb mandate verify change.jwt --jwks jwks.json --bundle bundle.pem --trust-domain example.org \\\n      \
        --issuer spiffe://example.org/agentauth --audience spiffe://example.org/broker --at 2026-11-21T10:00:00Z\n  \
        atb mandate verify change.jwt --home ./dev --params params.json\n\n\
        EXIT CODES:\n  0  everything that was checked is so; a line says what was not checked\n  \
        1  the mandate, an approval or what an approver was shown is not so\n  2  the command could not run")]
    Verify(Box<VerifyArgs>),
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// The file that holds the mandate, or - for standard input.
    file: PathBuf,
    /// A directory made by `atb init`, for what is not given below.
    #[arg(long, env = "ATB_HOME", default_value = ".", value_name = "DIR")]
    home: PathBuf,
    /// AgentAuth's keys, as /.well-known/jwks.json gives them.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// The trust bundle, PEM.
    #[arg(long, value_name = "FILE", requires = "trust_domain")]
    bundle: Option<PathBuf>,
    /// The bundle's trust domain.
    #[arg(long, value_name = "NAME", requires = "bundle")]
    trust_domain: Option<TrustDomain>,
    /// AgentAuth's SPIFFE ID.
    #[arg(long, value_name = "ID")]
    issuer: Option<SpiffeId>,
    /// The broker's SPIFFE ID.
    #[arg(long, value_name = "ID")]
    audience: Option<SpiffeId>,
    /// Every parameter of the call that the mandate is tied to, a JSON object: what the approvers were shown is checked
    /// against it.
    #[arg(long, value_name = "FILE")]
    params: Option<PathBuf>,
    /// The policy bundle, for the acts' sentences; the one of the directory if absent.
    #[arg(long, value_name = "DIR")]
    policy: Option<PathBuf>,
    /// Verify as of this time instead of now.
    #[arg(long, value_name = "RFC3339")]
    at: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        MandateCommand::Inspect { file } => inspect(&file),
        MandateCommand::Verify(args) => verify(&args),
    }
}

fn inspect(file: &Path) -> anyhow::Result<ExitCode> {
    let token = read_mandate(file)?;
    let mandate = match UnverifiedMandate::parse(&token) {
        Ok(mandate) => mandate,
        Err(error) => {
            output::note(&format!("not a mandate ({}): {error}", error.code()));
            return Ok(ExitCode::from(1));
        }
    };
    let claims = mandate.unverified_claims();
    let statements: Vec<Value> = claims
        .leg
        .approvals()?
        .into_iter()
        .map(|(approver, _, statement)| match UnverifiedStatement::parse(statement) {
            Ok(parsed) => decoded(approver, parsed.unverified_claims()),
            Err(error) => json!({"approver": approver, "error": error.code()}),
        })
        .collect();
    output::json(&json!({
        "verified": false,
        "header": {"alg": "EdDSA", "typ": "poa+jwt", "kid": mandate.unverified_kid()},
        "claims": claims,
        "statements": statements,
        "sum": claims.ask().map(|ask| ask.sum().to_string()).unwrap_or_default(),
    }));
    output::note("decoded, not verified; `atb mandate verify` verifies");
    Ok(ExitCode::SUCCESS)
}

/// A statement's claims, and beside them those of the delegation in it.
fn decoded(approver: &SpiffeId, claims: &Statement) -> Value {
    let mut shown = json!({"approver": approver, "claims": claims});
    let delegation = claims.del.as_deref().map(|jws| match UnverifiedDelegation::parse(jws) {
        Ok(parsed) => json!(parsed.unverified_claims()),
        Err(error) => json!({"error": error.code()}),
    });
    if let (Some(delegation), Some(members)) = (delegation, shown.as_object_mut()) {
        members.insert("delegation".to_owned(), delegation);
    }
    shown
}

fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let token = read_mandate(&args.file)?;
    let given = Given::resolve(args)?;
    let verdict = check(&token, &given);
    let valid = verdict.is_ok();
    let report = match verdict {
        Ok(report) => report,
        Err((code, detail)) => json!({"valid": false, "code": code, "detail": detail}),
    };
    match args.format {
        Format::Json => output::json(&report),
        Format::Text if valid => output::line(&sentence(&report)),
        Format::Text => {
            let text = |name: &str| report.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            output::line(&format!("not valid ({}): {}", text("code"), text("detail")));
        }
    }
    Ok(if valid { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Everything that a verification needs, from flags or from the directory.
struct Given {
    keys: MandateKeys,
    trust: TrustBundles,
    expected: Expected,
    params: Option<Object>,
    policy: Option<Bundle>,
    at: Timestamp,
}

impl Given {
    fn resolve(args: &VerifyArgs) -> anyhow::Result<Self> {
        let complete = args.jwks.is_some() && args.bundle.is_some() && args.issuer.is_some() && args.audience.is_some();
        let config = if complete { None } else { Some(Config::load(&args.home.join("atb.toml"))?) };
        let jwks = match (&args.jwks, &config) {
            (Some(path), _) => path.clone(),
            (None, Some(config)) => crate::app::published_jwks(config).context("name the keys with --jwks")?,
            (None, None) => anyhow::bail!("name the keys with --jwks"),
        };
        let text = std::fs::read(&jwks)
            .with_context(|| format!("cannot read `{}`; AgentAuth writes it when it starts", jwks.display()))?;
        let keys = MandateKeys::from_jwks(&strict::parse_as(&text)?).with_context(|| jwks.display().to_string())?;
        let bundle = match (&args.bundle, &args.trust_domain, &config) {
            (Some(path), Some(domain), _) => pem::read_bundle(path, domain.clone())?,
            (_, _, Some(config)) => pem::read_bundle(&config.trust_bundle, config.trust_domain.clone())?,
            _ => anyhow::bail!("name the trust bundle with --bundle and --trust-domain"),
        };
        let of_config = |pick: fn(&Config) -> Option<SpiffeId>| config.as_ref().and_then(pick);
        let issuer =
            args.issuer.clone().or_else(|| of_config(|c| c.agentauth.as_ref().map(|a| a.door.spiffe_id.clone())));
        let audience =
            args.audience.clone().or_else(|| of_config(|c| c.broker.as_ref().map(|b| b.door.spiffe_id.clone())));
        Ok(Self {
            keys,
            trust: TrustBundles::new([bundle]),
            expected: Expected {
                issuer: issuer.context("name AgentAuth with --issuer")?,
                audience: audience.context("name the broker with --audience")?,
                max_ttl: Ttl::MAX,
            },
            params: args.params.as_deref().map(read_params).transpose()?,
            policy: match (&args.policy, &config) {
                (Some(dir), _) => Some(read_policy(dir)?),
                (None, Some(config)) => Some(read_policy(&config.bundle_dir)?),
                (None, None) => None,
            },
            at: match &args.at {
                Some(text) => Timestamp::parse_rfc3339(text)?,
                None => SystemClock.now(),
            },
        })
    }
}

fn read_params(file: &Path) -> anyhow::Result<Object> {
    let text = std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    strict::parse_as(&text).with_context(|| format!("`{}` is not a JSON object of parameters", file.display()))
}

fn read_policy(dir: &Path) -> anyhow::Result<Bundle> {
    let read = bundle_archive::read_path(dir).with_context(|| format!("the bundle `{}`", dir.display()))?;
    Bundle::parse(&read.files).with_context(|| format!("the bundle `{}`", dir.display()))
}

/// Holds what the approvers were shown against the mandate, the parameters and the policy at hand; says what came out.
fn check_view(
    claims: &Claims,
    approvals: &ProvenApprovals,
    given: &Given,
) -> Result<&'static str, (&'static str, String)> {
    if approvals.is_empty() {
        return Ok("nobody had to agree");
    }
    let Some(policy) = &given.policy else { return Ok("not checked: needs --policy") };
    let call = match (&claims.req, &given.params) {
        (Some(_), None) => return Ok("not checked: needs --params"),
        (Some(req), Some(params)) => Some(CallView { binding: req.clone(), params: params.clone() }),
        (None, Some(_)) => {
            return Err(("params_not_asked", "the mandate is not tied to a call: leave --params out".to_owned()));
        }
        (None, None) => None,
    };
    let unknown = || ("unknown_act", "the policy at hand does not have this act".to_owned());
    let entry = policy.catalogue().find(&claims.act).ok_or_else(unknown)?;
    let ask = claims.ask().map_err(|error| ("mandate_lifetime", error.to_string()))?;
    let view = View::of(&ask, call.as_ref(), entry).map_err(|error| (error.code(), error.to_string()))?;
    approvals.shown(view.digest()).map_err(|error| (error.code(), error.to_string()))?;
    Ok("ok")
}

fn check(token: &str, given: &Given) -> Result<Value, (&'static str, String)> {
    let verified = UnverifiedMandate::parse(token)
        .and_then(|mandate| mandate.verify(&given.keys, &given.expected, given.at))
        .map_err(|error| (error.code(), error.to_string()))?;
    let claims = verified.claims();
    let approvals = ProvenApprovals::of(claims, &given.trust).map_err(|error| (error.code(), error.to_string()))?;
    let view = check_view(claims, &approvals, given)?;
    Ok(json!({
        "valid": true, "jti": claims.jti, "sub": claims.sub, "act": claims.act, "tier": claims.tier,
        "expires_at": claims.expires_at(), "approvals": approvals.facts(), "view": view,
        "note": "that these approvers suffice is the policy's to say, at the broker",
    }))
}

fn sentence(report: &Value) -> String {
    let text = |name: &str| report.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut out =
        format!("valid: {} may do {} ({} tier) until {}", text("sub"), text("act"), text("tier"), text("expires_at"));
    for approval in report.get("approvals").and_then(Value::as_array).into_iter().flatten() {
        let id = approval.get("id").and_then(Value::as_str).unwrap_or_default();
        let other = approval.pointer("/on_behalf_of/id").and_then(Value::as_str);
        let name = other.map(|other| format!(" for {other}, who let her by her own key")).unwrap_or_default();
        out.push_str(&format!("\n  approved by {id}{name}, by her own key over exactly this content"));
    }
    out.push_str(&format!("\n  what the approvers were shown: {}", text("view")));
    out
}
