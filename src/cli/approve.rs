//! `atb approve` and `atb reject`: an approver reads what is asked, and decides.
//!
//! The command signs only what it has checked by itself: the digest in the statement is computed here from the content
//! that is shown, and the call's parameters from the bytes that are shown.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, ClientArgs, Service};
use super::output::{self, Format};
use super::watch;
use crate::adapters::clock::{SystemClock, SystemEntropy};
use crate::adapters::{pem, signer};
use crate::domain::action::CallRequest;
use crate::domain::approval::{Ask, Decision, Statement};
use crate::domain::id::{ChallengeId, Sha256Digest, StatementId};
use crate::domain::json::{self as strict, Object};
use crate::domain::spiffe::SpiffeId;
use crate::service::ports::{Clock as _, Entropy as _};

/// Read what is asked and sign it, as an approver.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "EXAMPLES:\n  atb approve --as alice                  lists what waits\n  atb approve --as alice --watch          shows it live\n  atb approve --as alice CHALLENGE        shows it and asks\n  atb approve --as alice CHALLENGE --yes  for scripts"
)]
pub struct ApproveArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The challenge; without it, what waits is listed.
    challenge: Option<String>,
    /// Show what waits, and then a line for each thing that happens, until stopped.
    #[arg(long, conflicts_with_all = ["challenge", "yes", "out"])]
    watch: bool,
    /// Sign without asking.
    #[arg(long)]
    yes: bool,
    /// Write the signed statement to this file instead of handing it in (for `atb issue --statement`).
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Say no to what is asked, as an approver.
#[derive(Debug, clap::Args)]
#[command(after_help = "EXAMPLES:\n  atb reject --as bob CHALLENGE --reason 'the IBAN is not in the vendor file'")]
pub struct RejectArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The challenge.
    challenge: String,
    /// Why, one line.
    #[arg(long)]
    reason: String,
}

/// Shows a challenge and hands in a statement, or lists what waits.
///
/// # Errors
/// When the service cannot be reached or answers what this program cannot read.
pub async fn approve(args: ApproveArgs) -> anyhow::Result<ExitCode> {
    let client = args.client.connect(Service::AgentAuth)?;
    if args.watch {
        return watch::follow(&client, args.format).await;
    }
    let Some(id) = &args.challenge else { return list(&client, args.format).await };
    let response = client.get(&format!("/challenges/{id}")).await?;
    if !response.status.is_success() {
        output::note(&output::problem(response.status.as_u16(), &response.body));
        return Ok(ExitCode::from(1));
    }
    let shown = Shown::check(&response.body)?;
    shown.print(args.format);
    if !args.yes && !confirmed()? {
        output::note("not signed");
        return Ok(ExitCode::from(1));
    }
    let statement = shown.sign(&client)?;
    if let Some(path) = &args.out {
        pem::write_private(path, statement.as_bytes())?;
        output::line(&format!("{}: a signed statement for challenge {id}", path.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let response = client.post(&format!("/challenges/{id}/approve"), &json!({ "statement": statement })).await?;
    decided(response.status.as_u16(), &response.body)
}

/// Rejects a challenge.
///
/// # Errors
/// When the service cannot be reached.
pub async fn reject(args: RejectArgs) -> anyhow::Result<ExitCode> {
    let client = args.client.connect(Service::AgentAuth)?;
    let response =
        client.post(&format!("/challenges/{}/reject", args.challenge), &json!({ "reason": args.reason })).await?;
    decided(response.status.as_u16(), &response.body)
}

async fn list(client: &Client, format: Format) -> anyhow::Result<ExitCode> {
    let waiting = match watch::waiting(client).await? {
        Ok(waiting) => waiting,
        Err(problem) => {
            output::note(&problem);
            return Ok(ExitCode::from(1));
        }
    };
    if format == Format::Json {
        output::json(&json!({ "challenges": waiting }));
        return Ok(ExitCode::SUCCESS);
    }
    for challenge in &waiting {
        output::line(&watch::line(challenge));
    }
    if waiting.is_empty() {
        output::note("nothing waits for you");
    }
    Ok(ExitCode::SUCCESS)
}

/// A challenge whose digests were recomputed here.
pub struct Shown {
    ask: Ask,
    call: Option<Value>,
    aud: SpiffeId,
    cid: ChallengeId,
    sum: Sha256Digest,
    exp: u64,
    view: Value,
}

impl Shown {
    /// Reads a challenge and refuses one whose statement is over something else than what it shows.
    pub fn check(body: &[u8]) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Claims {
            sub: SpiffeId,
            aud: SpiffeId,
            cid: ChallengeId,
            sum: Sha256Digest,
            exp: u64,
        }
        let view = strict::parse(body).context("the challenge is not JSON")?;
        let member = |name: &str| view.get(name).cloned().with_context(|| format!("the challenge has no `{name}`"));
        let ask: Ask =
            strict::read(member("ask")?).context("the challenge asks in a form that this program cannot read")?;
        let claims: Claims = strict::read(member("statement")?)?;
        let call = member("call")?;
        if ask.sum() != claims.sum || ask.sub != claims.sub {
            bail!("the statement to sign is over something else than what is shown: do not approve, tell security");
        }
        check_call(&ask, &call)?;
        let Claims { aud, cid, sum, exp, .. } = claims;
        Ok(Self { ask, call: (!call.is_null()).then_some(call), aud, cid, sum, exp, view })
    }

    /// Shows what would be signed.
    fn print(&self, format: Format) {
        if format == Format::Json {
            output::json(&self.view);
            return;
        }
        for line in self.lines() {
            output::line(&line);
        }
    }

    /// What would be signed, line by line.
    pub fn lines(&self) -> Vec<String> {
        let leg = self.ask.leg.as_leg();
        let mut lines = vec![
            format!("challenge    {}", self.cid),
            format!("agent        {}", self.ask.sub),
            format!("act          {} ({} tier)", self.ask.act, self.view.get("tier").map(plain).unwrap_or_default()),
        ];
        if let Some(call) = &self.call {
            let text = |name: &str| call.get(name).map(plain).unwrap_or_default();
            lines.push(format!("call         {} {} at {}", text("method"), text("path"), text("connector")));
            for (name, value) in call.get("params").and_then(Value::as_object).into_iter().flatten() {
                lines.push(format!("  {name:<14} {value}"));
            }
        }
        for (name, value) in self.ask.con.as_map() {
            lines.push(format!("constraint   {name} {value}"));
        }
        lines.push(format!("ground       {} ({}), {}", leg.reference, leg.template.id, leg.jurisdiction));
        lines.push(format!("             {}", leg.description));
        lines.push(format!("accountable  {} {}", leg.accountable_party.kind, leg.accountable_party.id));
        if let Some(ticket) = &leg.ticket {
            lines.push(format!("ticket       {} {}", ticket.system, ticket.reference));
        }
        lines.push(format!("lifetime     {} seconds, one use", self.ask.ttl.as_secs()));
        lines.push(format!("you sign     {}", self.sum));
        lines
    }

    /// Signs it with the client's own key.
    pub fn sign(&self, client: &Client) -> anyhow::Result<String> {
        let now = SystemClock.now();
        let statement = Statement {
            iss: client.id(),
            sub: self.ask.sub.clone(),
            aud: self.aud.clone(),
            cid: self.cid,
            sum: self.sum,
            decision: Decision::Approve,
            iat: now.as_secs(),
            exp: self.exp,
            jti: StatementId::new(now, SystemEntropy.bytes()),
        };
        let signer = signer::svid_signer(client.key_path())?;
        Ok(statement.sign(signer.as_ref(), &client.chain())?)
    }
}

/// The call in clear must be the one behind the digest that is signed.
fn check_call(ask: &Ask, call: &Value) -> anyhow::Result<()> {
    let Some(req) = &ask.req else {
        return if call.is_null() { Ok(()) } else { bail!("a call is shown that is not part of what is signed") };
    };
    let params: Object = strict::read(call.get("params").cloned().context("the call has no `params`")?)?;
    let computed = CallRequest::new(req.connector.clone(), req.method, req.path.clone(), ask.act.clone(), params);
    let shown = |name: &str| call.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let same = computed.digest() == req.digest
        && shown("connector") == req.connector.as_str()
        && shown("method") == req.method.as_str()
        && shown("path") == req.path.as_str();
    if !same {
        bail!("the call that is shown is not the one that is signed: do not approve, tell security");
    }
    Ok(())
}

fn confirmed() -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("standard input is no terminal: read what is asked and pass --yes to sign it");
    }
    let mut err = std::io::stderr();
    write!(err, "sign this? [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn decided(status: u16, body: &[u8]) -> anyhow::Result<ExitCode> {
    if !(200..300).contains(&status) {
        output::note(&output::problem(status, body));
        return Ok(ExitCode::from(1));
    }
    let view: Value = serde_json::from_slice(body)?;
    let text = |name: &str| view.get(name).map(plain).unwrap_or_default();
    output::line(&format!(
        "{}: {}, {} of {} approved",
        text("challenge_id"),
        text("state"),
        text("approved"),
        text("required")
    ));
    Ok(ExitCode::SUCCESS)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
