//! `atb issue`: an agent asks for a mandate.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use super::client::{Client, ClientArgs, Service};
use super::output::{self, Format};
use crate::adapters::pem;

#[derive(Debug, clap::Args)]
#[command(after_help = "EXAMPLES:\n  \
  atb issue --as procurement erp.vendor.read --template contract --var contract_ref=MSA-1001 \\\n      \
      --var accountable_id=dave --var jurisdiction=DE --var order=O-2001 --out read.jwt\n  \
  atb issue --as procurement sap.vendor.change --template contract --var contract_ref=MSA-1001 \\\n      \
      --var accountable_id=dave --var jurisdiction=DE --var order='bank account of V-1001' \\\n      \
      --request 'POST erp /vendors/V-1001/bank-account' \\\n      \
      --params '{\"vendor_id\":\"V-1001\",\"iban\":\"DE02120300000000202051\",\"payment_limit\":25000,\"reason\":\"vendor moved banks\"}' --wait 300 --out change.jwt\n  \
  atb issue --as procurement --withdraw CHALLENGE --reason 'wrong vendor'\n  \
  atb issue --as procurement --reask CHALLENGE --wait 300 --out change.jwt")]
pub struct Args {
    #[command(flatten)]
    client: ClientArgs,
    /// The act, for example erp.order.read.
    #[arg(required_unless_present_any = ["collect", "withdraw", "reask"])]
    act: Option<String>,
    /// Constraints on the call's parameters, a JSON object.
    #[arg(long, value_name = "JSON")]
    con: Option<String>,
    /// The legal template, ID or ID@VERSION.
    #[arg(long, value_name = "ID", required_unless_present_any = ["collect", "withdraw", "reask"])]
    template: Option<String>,
    /// A variable of the template.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    vars: Vec<String>,
    /// The lifetime in seconds.
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u64>,
    /// Tie the mandate to one call: 'METHOD CONNECTOR /path'.
    #[arg(long, value_name = "CALL", requires = "params")]
    request: Option<String>,
    /// Every parameter of that call, a JSON object.
    #[arg(long, value_name = "JSON", requires = "request")]
    params: Option<String>,
    /// Ask for two approvers whatever the tier.
    #[arg(long)]
    dual_control: bool,
    /// Name who is asked (SPIFFE ID); may be given again.
    #[arg(long = "approver", value_name = "ID")]
    approvers: Vec<String>,
    /// A file with an approver's statement; may be given again.
    #[arg(long = "statement", value_name = "FILE", conflicts_with = "approvers")]
    statements: Vec<PathBuf>,
    /// Wait up to this many seconds for the approvals.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
    /// Fetch the mandate of a challenge that was asked before, instead of asking anew.
    #[arg(long, value_name = "CHALLENGE")]
    collect: Option<String>,
    /// Take back what was asked; whoever has agreed, it yields no mandate any more.
    #[arg(long, value_name = "CHALLENGE", requires = "reason", conflicts_with_all = ["collect", "reask"])]
    withdraw: Option<String>,
    /// Why it is taken back.
    #[arg(long, value_name = "TEXT", requires = "withdraw")]
    reason: Option<String>,
    /// Ask again for what came to nothing: rejected, expired or withdrawn.
    #[arg(long, value_name = "CHALLENGE", conflicts_with = "collect")]
    reask: Option<String>,
    /// Write the mandate to this file (owner-only) instead of stdout.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let client = args.client.connect(Service::AgentAuth)?;
    if let Some(id) = &args.withdraw {
        return withdraw(&args, &client, id).await;
    }
    let mut response = match (&args.collect, &args.reask) {
        (Some(id), _) => client.get(&format!("/issue/{id}")).await?,
        (None, Some(id)) => client.post(&format!("/issue/{id}/reask"), &json!({})).await?,
        (None, None) => client.post("/issue", &body(&args)?).await?,
    };
    let mut left = args.wait;
    while response.status.as_u16() == 202 && left > 0 {
        let answer: Value = serde_json::from_slice(&response.body)?;
        if left == args.wait {
            waiting(&answer);
        }
        let step = left.min(20);
        let url = answer.get("status_url").and_then(Value::as_str).context("the answer has no status_url")?;
        response = client.get(&format!("{url}?wait={step}")).await?;
        left -= step;
    }
    answer(&args, response.status.as_u16(), &response.body)
}

async fn withdraw(args: &Args, client: &Client, id: &str) -> anyhow::Result<ExitCode> {
    let response = client.post(&format!("/issue/{id}/withdraw"), &json!({ "reason": args.reason })).await?;
    if response.status.as_u16() != 200 {
        output::note(&output::problem(response.status.as_u16(), &response.body));
        return Ok(ExitCode::from(1));
    }
    match args.format {
        Format::Json => output::json(&serde_json::from_slice(&response.body).context("the answer is not JSON")?),
        Format::Text => output::line(&format!("{id}: withdrawn")),
    }
    Ok(ExitCode::SUCCESS)
}

fn body(args: &Args) -> anyhow::Result<Value> {
    let mut body = json!({"act": args.act, "leg": {"template": args.template, "vars": vars(&args.vars)?}});
    let members = body.as_object_mut().context("an object")?;
    if let Some(con) = &args.con {
        members.insert("con".to_owned(), serde_json::from_str(con).context("--con is not JSON")?);
    }
    if let Some(ttl) = args.ttl {
        members.insert("ttl_seconds".to_owned(), ttl.into());
    }
    if let (Some(call), Some(params)) = (&args.request, &args.params) {
        let mut words = call.split_whitespace();
        let (Some(method), Some(connector), Some(path), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            bail!("--request is `METHOD CONNECTOR /path`, for example `GET erp /vendors/V-1001`");
        };
        let params: Value = serde_json::from_str(params).context("--params is not JSON")?;
        let call = json!({"method": method, "connector": connector, "path": path, "params": params});
        members.insert("request".to_owned(), call);
    }
    if args.dual_control {
        members.insert("requires_dual_control".to_owned(), true.into());
    }
    let mut approvers: Vec<Value> = args.approvers.iter().map(|id| json!(id)).collect();
    for file in &args.statements {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
        approvers.push(json!({"statement": text.trim()}));
    }
    if !approvers.is_empty() {
        members.insert("approvers".to_owned(), approvers.into());
    }
    Ok(body)
}

/// `name=value`, always text: the template says which are numbers.
fn vars(given: &[String]) -> anyhow::Result<Map<String, Value>> {
    given
        .iter()
        .map(|pair| {
            let (name, value) = pair.split_once('=').with_context(|| format!("--var {pair}: expected NAME=VALUE"))?;
            Ok((name.to_owned(), Value::String(value.to_owned())))
        })
        .collect()
}

fn waiting(answer: &Value) {
    let text =
        |name: &str| answer.get(name).map(|v| v.as_str().map_or(v.to_string(), str::to_owned)).unwrap_or_default();
    output::note(&format!(
        "waiting for {} approval(s) of tier {}, challenge {}, until {}",
        text("required"),
        text("tier"),
        text("challenge_id"),
        text("expires_at")
    ));
}

fn answer(args: &Args, status: u16, body: &[u8]) -> anyhow::Result<ExitCode> {
    if !matches!(status, 201 | 202) {
        output::note(&output::problem(status, body));
        return Ok(ExitCode::from(1));
    }
    let answer: Value = serde_json::from_slice(body).context("the answer is not JSON")?;
    if status == 202 {
        match args.format {
            Format::Json => output::json(&answer),
            Format::Text => {
                waiting(&answer);
                let id = answer.get("challenge_id").and_then(Value::as_str).unwrap_or_default();
                output::line(id);
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let token = answer.get("token").and_then(Value::as_str).context("the answer has no token")?;
    if let Some(path) = &args.out {
        let _ = std::fs::remove_file(path);
        pem::write_private(path, token.as_bytes())?;
    }
    match (args.format, &args.out) {
        (Format::Json, _) => output::json(&answer),
        (Format::Text, Some(path)) => {
            let text = |name: &str| answer.get(name).map(ToString::to_string).unwrap_or_default();
            output::line(&format!(
                "{}: {} tier, good for {} seconds",
                path.display(),
                text("tier").trim_matches('"'),
                text("expires_in")
            ));
        }
        (Format::Text, None) => output::line(token),
    }
    Ok(ExitCode::SUCCESS)
}
