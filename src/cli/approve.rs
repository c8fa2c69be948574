//! `atb approve` and `atb reject`: an approver reads what is asked, and decides.
//!
//! The command signs only what it has checked by itself: both digests in the statement are computed here, from the
//! content that is asked and from the view that is shown, and the facts in the view are computed here from that content,
//! so that a service that lies cannot show other ones.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, ClientArgs, Service};
use super::delegation::OnBehalf;
use super::output::{self, Format};
use super::watch;
use crate::adapters::clock::{SystemClock, SystemEntropy};
use crate::adapters::{pem, signer};
use crate::domain::action::RequestBinding;
use crate::domain::approval::{Ask, CallView, Decision, Statement, View};
use crate::domain::attestation::{AttestationName, Attested};
use crate::domain::id::{ChallengeId, Sha256Digest, StatementId};
use crate::domain::json::{self as strict, Object};
use crate::domain::spiffe::SpiffeId;
use crate::service::ports::{Clock as _, Entropy as _};

/// Read what is asked and sign it, as an approver.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "EXAMPLES:\n  atb approve --as alice                  lists what waits\n  atb approve --as alice --watch          shows it live\n  atb approve --as alice CHALLENGE        shows it and asks\n  atb approve --as alice CHALLENGE --yes  for scripts\n  atb approve --as bob --delegation alice-to-bob.jwt CHALLENGE  on behalf of alice"
)]
pub struct ApproveArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// The challenge; without it, what waits is listed.
    challenge: Option<String>,
    /// Show what waits, and then a line for each thing that happens, until stopped.
    #[arg(long, conflicts_with_all = ["challenge", "yes", "out"])]
    watch: bool,
    /// Sign without asking; refused where the view has a warning.
    #[arg(long)]
    yes: bool,
    /// With --yes: sign although the view has warnings about characters.
    #[arg(long, requires = "yes")]
    accept_flagged: bool,
    /// Write the signed statement to this file instead of handing it in (for `atb issue --statement`).
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Approve on behalf of who signed this delegation (`atb delegation sign` makes one).
    #[arg(long, value_name = "FILE", requires = "challenge")]
    delegation: Option<PathBuf>,
    /// Attest this, by the name that the view gives it; asked for one by one without --yes.
    #[arg(long, value_name = "NAME", requires = "challenge")]
    attest: Vec<AttestationName>,
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
    let delegation = args.delegation.as_deref().map(|file| OnBehalf::read(file, &client)).transpose()?;
    let path = format!("/challenges/{id}");
    let response = match &delegation {
        Some(given) => client.get_with(&path, "atb-delegation", given.as_jws()).await?,
        None => client.get(&path).await?,
    };
    if !response.status.is_success() {
        output::note(&output::problem(response.status.as_u16(), &response.body));
        return Ok(ExitCode::from(1));
    }
    let shown = Shown::check(&response.body)?;
    shown.print(args.format);
    if let (Some(given), Format::Text) = (&delegation, args.format) {
        output::line(&given.line());
    }
    // Handed in all the same with --yes: the service says who ended it and why.
    if let Some(why) = shown.over().filter(|_| !args.yes || args.out.is_some()) {
        output::note(&why);
        return Ok(ExitCode::from(1));
    }
    if args.yes && !args.accept_flagged && !shown.view.flags().is_empty() {
        output::note(
            "not signed: the view has warnings (⚠); read it, and pass --accept-flagged to sign it all the same",
        );
        return Ok(ExitCode::from(1));
    }
    if !args.yes && !confirmed("sign this?")? {
        output::note("not signed");
        return Ok(ExitCode::from(1));
    }
    let attested = shown.attested(&args)?;
    let statement = shown.sign_for(&client, delegation.as_ref().map(OnBehalf::as_jws), attested)?;
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

/// A challenge whose digests and facts were recomputed here.
pub struct Shown {
    ask: Ask,
    view: View,
    aud: SpiffeId,
    cid: ChallengeId,
    sum: Sha256Digest,
    exp: u64,
    challenge: Value,
}

impl Shown {
    /// Reads a challenge and refuses one whose statement is over something else than what it shows, or whose view shows
    /// something else than what it asks.
    pub fn check(body: &[u8]) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Claims {
            sub: SpiffeId,
            aud: SpiffeId,
            cid: ChallengeId,
            sum: Sha256Digest,
            view: Sha256Digest,
            exp: u64,
        }
        let challenge = strict::parse(body).context("the challenge is not JSON")?;
        let member =
            |name: &str| challenge.get(name).cloned().with_context(|| format!("the challenge has no `{name}`"));
        let ask: Ask =
            strict::read(member("ask")?).context("the challenge asks in a form that this program cannot read")?;
        let claims: Claims = strict::read(member("statement")?)?;
        let call = read_call(&member("call")?)?;
        let view: View =
            strict::read(member("view")?).context("the challenge shows a view that this program cannot read")?;
        if ask.sum() != claims.sum || ask.sub != claims.sub {
            bail!("the statement to sign is over something else than what is shown: do not approve, tell security");
        }
        if view.digest() != claims.view {
            bail!("the statement to sign is over another view than the one shown: do not approve, tell security");
        }
        let facts = View::facts_of(&ask, call.as_ref())
            .context("the call that is shown is not the one that is signed: do not approve, tell security")?;
        if facts != view.facts() || member("tier")? != json!(view.tier()) {
            bail!("the view shows other facts than what is asked: do not approve, tell security");
        }
        let Claims { aud, cid, sum, exp, .. } = claims;
        Ok(Self { ask, view, aud, cid, sum, exp, challenge })
    }

    /// Why there is nothing to sign any more.
    fn over(&self) -> Option<String> {
        let state = self.challenge.get("state").and_then(Value::as_str).filter(|state| *state != "pending")?;
        Some(format!("nothing to sign: the challenge is {state}"))
    }

    /// Shows what would be signed.
    fn print(&self, format: Format) {
        if format == Format::Json {
            output::json(&self.challenge);
            return;
        }
        for line in self.lines() {
            output::line(&line);
        }
    }

    /// What would be signed, line by line.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{:<22}  {}", "challenge", self.cid)];
        let mut view = self.view.lines().into_iter();
        lines.extend(view.next().map(|sentence| format!("{:<22}  {sentence}", "you agree to")));
        lines.extend(view);
        for vote in self.challenge.get("approvers").and_then(Value::as_array).into_iter().flatten() {
            lines.extend(approved_by(vote));
        }
        lines.push(format!("{:<22}  {}", "you sign", self.sum));
        lines.push(format!("{:<22}  {}", "and what you saw", self.view.digest()));
        lines
    }

    /// What the approver attests: what the flags say, and without `--yes` what she says when she is asked.
    fn attested(&self, args: &ApproveArgs) -> anyhow::Result<Attested> {
        let asked = self.view.attestations();
        if let Some(name) = args.attest.iter().find(|name| !asked.contains_key(*name)) {
            bail!("`{name}` is nothing that this challenge asks to be attested: see what it shows");
        }
        let mut attested = args.attest.clone();
        for (name, text) in asked.iter().filter(|(name, _)| !args.attest.contains(name)) {
            if args.yes {
                output::note(&format!("not attested: {name} (--attest {name}); somebody who approves must"));
            } else if confirmed(&format!("attest \"{text}\"?"))? {
                attested.push(name.clone());
            }
        }
        Ok(attested.into_iter().collect())
    }

    /// Signs it with the client's own key.
    pub fn sign(&self, client: &Client) -> anyhow::Result<String> {
        self.sign_for(client, None, Attested::default())
    }

    /// Signs it with the client's own key, in the name of who gave the delegation.
    fn sign_for(&self, client: &Client, delegation: Option<&str>, att: Attested) -> anyhow::Result<String> {
        let now = SystemClock.now();
        let statement = Statement {
            iss: client.id(),
            sub: self.ask.sub.clone(),
            aud: self.aud.clone(),
            cid: self.cid,
            sum: self.sum,
            view: self.view.digest(),
            decision: Decision::Approve,
            iat: now.as_secs(),
            exp: self.exp,
            jti: StatementId::new(now, SystemEntropy.bytes()),
            del: delegation.map(str::to_owned),
            att,
        };
        let signer = signer::svid_signer(client.key_path())?;
        Ok(statement.sign(signer.as_ref(), &client.chain())?)
    }
}

/// Who has approved before: `bob`, or `bob for alice`.
fn approved_by(vote: &Value) -> Option<String> {
    let text = |name: &str| vote.get(name).and_then(Value::as_str);
    let id = text("id").filter(|_| text("state") == Some("approved"))?;
    Some(match text("on_behalf_of") {
        Some(other) => format!("{:<22}  by {id} for {other}", "approved"),
        None => format!("{:<22}  by {id}", "approved"),
    })
}

/// The call in clear, if one is shown.
fn read_call(call: &Value) -> anyhow::Result<Option<CallView>> {
    if call.is_null() {
        return Ok(None);
    }
    let mut binding = call.clone();
    let members = binding.as_object_mut().context("the call is no object")?;
    let params = members.remove("params").context("the call has no `params`")?;
    let binding: RequestBinding = strict::read(binding)?;
    let params: Object = strict::read(params)?;
    Ok(Some(CallView { binding, params }))
}

fn confirmed(question: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("standard input is no terminal: read what is asked and pass --yes to sign it");
    }
    let mut err = std::io::stderr();
    write!(err, "{question} [y/N] ")?;
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
        "{}: {}, {} of {} approved{}",
        text("challenge_id"),
        text("state"),
        text("approved"),
        text("required"),
        lacking(&view)
    ));
    Ok(ExitCode::SUCCESS)
}

/// Enough people, and still it waits: then somebody with a role is missing, or what nobody has attested.
fn lacking(view: &Value) -> String {
    let number = |name: &str| view.get(name).and_then(Value::as_u64).unwrap_or_default();
    let waits = view.get("state").and_then(Value::as_str) == Some("pending");
    if !waits || number("approved") < number("required") {
        return String::new();
    }
    let roles = view.get("roles").and_then(Value::as_object).into_iter().flatten();
    let roles: Vec<_> = roles.map(|(class, count)| format!("{count} with a role of class {class}")).collect();
    match roles.is_empty() {
        true => "; nobody has attested all that the view asks for: somebody else must approve with --attest".to_owned(),
        false => format!("; among them must be {}", roles.join(" and ")),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_people_without_the_role_that_is_needed_is_said() {
        let answer = |state: &str, approved: u8| json!({"state": state, "approved": approved, "required": 2, "roles": {"executive": 1}});
        assert_eq!(lacking(&answer("pending", 2)), "; among them must be 1 with a role of class executive");
        assert_eq!(lacking(&answer("pending", 1)), "");
        let sworn = json!({"state": "pending", "approved": 2, "required": 2, "roles": {}});
        assert!(lacking(&sworn).contains("--attest"));
        assert_eq!(lacking(&answer("approved", 3)), "");
    }
}
