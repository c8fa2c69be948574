//! `atb leg withdraw`: ends a template's version or a consent, at every door that the configuration names.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::client::{ClientArgs, Service};
use super::output::{self, Format};
use crate::config::Config;

const EXAMPLES: &str = "EXAMPLES:
  atb leg withdraw --template consent@1.0.0 --reason 'wrong purpose'   nothing may rest on this version any more
  atb leg withdraw --consent C-17 --reason 'withdrawn by letter'       nothing may rest on this consent any more";

/// End a legal template's version or a consent, and with it every live mandate that rests on it. Final.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct WithdrawArgs {
    /// The template's version, or its id for the version in force.
    #[arg(long, value_name = "ID[@VERSION]", required_unless_present = "consent")]
    template: Option<String>,
    /// The consent's reference, as it stands in `leg.ref` of mandates.
    #[arg(long, value_name = "REF", conflicts_with = "template")]
    consent: Option<String>,
    /// Why; it goes on record.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Which of the directory's identities to use: a legal officer's.
    #[arg(long = "as", value_name = "NAME", default_value = "officer")]
    identity: String,
    /// A directory made by `atb init`; its atb.toml says where the services are.
    #[arg(long, env = "ATB_HOME", default_value = ".", value_name = "DIR")]
    home: PathBuf,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Withdraws at AgentAuth and at the broker; 1 if a door refuses.
///
/// # Errors
/// When a door cannot be reached. What the doors before it were told stands; the command can be repeated.
pub async fn withdraw(args: WithdrawArgs) -> anyhow::Result<ExitCode> {
    let client = ClientArgs { home: args.home, identity: args.identity, svid: None, key: None, url: None };
    let mut body = json!({"reason": args.reason});
    let named = args.template.clone();
    for (name, value) in [("template", args.template), ("consent_ref", args.consent)] {
        if let (Some(value), Some(members)) = (value, body.as_object_mut()) {
            members.insert(name.to_owned(), Value::String(value));
        }
    }
    let (mut refused, mut failed) = (false, false);
    let mut new = None;
    for (name, service) in doors(&client.config()?) {
        // A door that is away must not keep the other from being told.
        let posted = match client.connect(service) {
            Ok(door) => door.post("/leg/withdrawals", &body).await,
            Err(error) => Err(error),
        };
        let response = match posted {
            Ok(response) => response,
            Err(error) => {
                output::note(&format!("{name}: not told, run the command again: {error:#}"));
                failed = true;
                continue;
            }
        };
        let status = response.status.as_u16();
        if !matches!(status, 200 | 201) {
            output::note(&format!("{name}: {}", output::problem(status, &response.body)));
            refused = true;
            continue;
        }
        let withdrawal: Value = serde_json::from_slice(&response.body)?;
        // Doors of one process share what is withdrawn: the second was told with the first.
        let now = status == 201 || new.as_ref() == Some(&withdrawal);
        match args.format {
            Format::Json => output::json(&json!({"door": name, "withdrawal": withdrawal})),
            Format::Text => output::line(&told(name, now, &withdrawal)),
        }
        new = now.then_some(withdrawal);
    }
    if let (Some(version), false) = (named.filter(|name| name.contains('@')), refused || failed) {
        note_unknown(&client, &version).await;
    }
    if failed {
        anyhow::bail!("not every door was told; what rests on it still runs there");
    }
    Ok(ExitCode::from(u8::from(refused)))
}

fn doors(config: &Config) -> Vec<(&'static str, Service)> {
    let agentauth = config.agentauth.as_ref().map(|_| ("agentauth", Service::AgentAuth));
    let broker = config.broker.as_ref().map(|_| ("broker", Service::Broker));
    // The broker first: it is the door that calls go through.
    broker.into_iter().chain(agentauth).collect()
}

/// A version is taken by its word, so a slip of the pen ends nothing: say so.
async fn note_unknown(client: &ClientArgs, version: &str) {
    let Ok(agentauth) = client.connect(Service::AgentAuth) else { return };
    let Ok(response) = agentauth.get("/templates").await else { return };
    let Ok(answer) = serde_json::from_slice::<Value>(&response.body) else { return };
    let Some(templates) = answer.get("templates").and_then(Value::as_array) else { return };
    let text = |template: &Value, name: &str| template.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let known: Vec<_> = templates.iter().map(|one| format!("{}@{}", text(one, "id"), text(one, "version"))).collect();
    if !known.iter().any(|one| one == version) {
        let known = known.join(", ");
        output::note(&format!("note: the bundle in force has no template {version}; it has {known}"));
    }
}

fn told(door: &str, new: bool, withdrawal: &Value) -> String {
    let text = |name: &str| withdrawal.get(name).and_then(Value::as_str);
    let what = text("template").map(|name| format!("template {name}"));
    let what = what.or_else(|| text("consent_ref").map(|name| format!("consent {name}"))).unwrap_or_default();
    let by = text("withdrawn_by").unwrap_or_default();
    let at = text("withdrawn_at").unwrap_or_default();
    let word = if new { "withdrawn" } else { "was withdrawn before" };
    format!("{door}: {what} {word} by {by} at {at}")
}
