//! `atb delegation`: an approver lets another stand in for her, and both look at what was signed.
//!
//! Nothing is handed in: the file goes to the delegate, who brings it along with each statement
//! (`atb approve --delegation FILE`). It lets her do what its signer may do, within the scope, and no more.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::json;

use super::call::read_mandate;
use super::client::{Client, ClientArgs, Service, trust};
use super::output::{self, Format};
use crate::adapters::clock::{SystemClock, SystemEntropy};
use crate::adapters::{pem, signer};
use crate::config::Config;
use crate::domain::approval::{Delegation, DelegationError, UnverifiedDelegation, VerifiedDelegation};
use crate::domain::catalogue::Tier;
use crate::domain::id::{DelegationId, WorkspaceId};
use crate::domain::policy::bundle::ActPattern;
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Timestamp;
use crate::service::ports::{Clock as _, Entropy as _};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: DelegationCommand,
}

#[derive(Debug, Subcommand)]
enum DelegationCommand {
    /// Sign a delegation, as an approver.
    #[command(
        after_help = "EXAMPLES:\n  atb delegation sign --as alice --to spiffe://atb.dev/approver/bob --tiers medium,high \\\n      \
        --acts 'sap.*' --workspaces default --until 2026-12-01T00:00:00Z --out alice-to-bob.jwt"
    )]
    Sign(SignArgs),
    /// Verify a delegation and show what it allows.
    #[command(
        after_help = "EXAMPLES:\n  atb delegation verify alice-to-bob.jwt --home ./dev\n\nExit code: 0 good now, 1 not, 2 could not be read."
    )]
    Verify(VerifyArgs),
}

#[derive(Debug, clap::Args)]
struct SignArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// Who may stand in for you.
    #[arg(long, value_name = "SPIFFE-ID")]
    to: SpiffeId,
    /// For which tiers.
    #[arg(long, value_name = "TIER,…", value_delimiter = ',', required = true, value_parser = tier)]
    tiers: Vec<Tier>,
    /// For which acts: names, families such as `erp.*`, or `*`.
    #[arg(long, value_name = "ACT,…", value_delimiter = ',', required = true, value_parser = pattern)]
    acts: Vec<ActPattern>,
    /// In which workspaces.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', required = true)]
    workspaces: Vec<WorkspaceId>,
    /// From when on, instead of now.
    #[arg(long, value_name = "RFC3339", value_parser = Timestamp::parse_rfc3339)]
    from: Option<Timestamp>,
    /// Until when, at most 30 days from now.
    #[arg(long, value_name = "RFC3339", value_parser = Timestamp::parse_rfc3339)]
    until: Timestamp,
    /// Leave your intermediate certificates out: shorter, for a delegate whose SVID is of the same issuer as yours.
    #[arg(long)]
    leaf_only: bool,
    /// The file to write; never over an existing one.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// The file that holds the delegation, or - for standard input.
    file: PathBuf,
    /// A directory made by `atb init`: whom it trusts, and which AgentAuth.
    #[arg(long, env = "ATB_HOME", default_value = ".", value_name = "DIR")]
    home: PathBuf,
    /// The delegate's SVID (PEM chain), for a delegation without intermediates.
    #[arg(long, value_name = "FILE")]
    delegate_svid: Option<PathBuf>,
    /// Verify as of this time instead of now.
    #[arg(long, value_name = "RFC3339", value_parser = Timestamp::parse_rfc3339)]
    at: Option<Timestamp>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn tier(text: &str) -> Result<Tier, String> {
    let named = Tier::ALL.into_iter().find(|tier| tier.as_str() == text);
    named.ok_or_else(|| format!("`{text}` is none of {}", Tier::ALL.map(Tier::as_str).join(", ")))
}

fn pattern(text: &str) -> Result<ActPattern, String> {
    text.to_owned().try_into()
}

/// Signs or verifies a delegation.
///
/// # Errors
/// When a file or the configuration cannot be used, or nobody would believe what is to be signed.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        DelegationCommand::Sign(args) => sign(args),
        DelegationCommand::Verify(args) => verify(&args),
    }
}

fn sign(args: SignArgs) -> anyhow::Result<ExitCode> {
    let client = args.client.connect(Service::AgentAuth)?;
    let now = SystemClock.now();
    if args.until > client.expires_at() {
        bail!(
            "your SVID ends at {}; a delegation is worth nothing after it: name an earlier --until",
            client.expires_at()
        );
    }
    let delegation = Delegation {
        iss: client.id(),
        sub: args.to,
        aud: agentauth(&args.client.config()?)?,
        tiers: args.tiers,
        acts: args.acts,
        workspaces: args.workspaces,
        iat: now.as_secs(),
        nbf: args.from.unwrap_or(now).as_secs(),
        exp: args.until.as_secs(),
        jti: DelegationId::new(now, SystemEntropy.bytes()),
    };
    let chain = client.chain();
    let chain = if args.leaf_only { chain.get(..1).unwrap_or_default() } else { &chain };
    let jws = delegation.sign(signer::svid_signer(client.key_path())?.as_ref(), chain)?;
    pem::write_private(&args.out, jws.as_bytes())?;
    output::line(&format!("{}: {}", args.out.display(), sentence(&delegation)));
    Ok(ExitCode::SUCCESS)
}

fn agentauth(config: &Config) -> anyhow::Result<SpiffeId> {
    let part = config.agentauth.as_ref().context("the configuration has no [agentauth]")?;
    Ok(part.door.spiffe_id.clone())
}

fn sentence(delegation: &Delegation) -> String {
    let Delegation { iss, sub, tiers, acts, workspaces, nbf, exp, .. } = delegation;
    let tiers: Vec<_> = tiers.iter().map(|tier| tier.as_str()).collect();
    let acts: Vec<_> = acts.iter().map(ActPattern::as_str).collect();
    let workspaces: Vec<_> = workspaces.iter().map(WorkspaceId::as_str).collect();
    format!(
        "{sub} may stand in for {iss}\n  tiers        {}\n  acts         {}\n  workspaces   {}\n  from         {}\n  until        {}",
        tiers.join(", "),
        acts.join(", "),
        workspaces.join(", "),
        Timestamp::from_secs(*nbf),
        Timestamp::from_secs(*exp),
    )
}

fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let jws = read_mandate(&args.file)?;
    let config = Config::load(&args.home.join("atb.toml"))?;
    let (trust, agentauth) = (trust(&config)?, agentauth(&config)?);
    let at = args.at.unwrap_or_else(|| SystemClock.now());
    let lent = args.delegate_svid.as_deref().map(pem::read_certificates).transpose()?.unwrap_or_default();
    let good = UnverifiedDelegation::parse(&jws)
        .and_then(|parsed| parsed.verify(&trust.load(), at, lent.get(1..).unwrap_or_default()))
        .and_then(|verified| good_at(verified, &agentauth, at));
    let report = match &good {
        Ok(verified) => json!({"valid": true, "claims": verified.claims()}),
        Err(error) => json!({"valid": false, "code": error.code(), "detail": error.to_string()}),
    };
    match (args.format, &good) {
        (Format::Json, _) => output::json(&report),
        (Format::Text, Ok(verified)) => output::line(&format!("valid: {}", sentence(verified.claims()))),
        (Format::Text, Err(error)) => output::line(&format!("not valid ({}): {error}", error.code())),
    }
    if good.is_ok() && args.format == Format::Text {
        output::note("what its signer may approve is the policy's to say, when it is used");
    }
    Ok(if good.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn good_at(
    verified: VerifiedDelegation,
    agentauth: &SpiffeId,
    at: Timestamp,
) -> Result<VerifiedDelegation, DelegationError> {
    verified.lets(&verified.claims().sub, agentauth, at, at.plus(Duration::from_millis(1)))?;
    Ok(verified)
}

/// A delegation that the client was given.
pub(super) struct OnBehalf {
    jws: String,
    delegation: Delegation,
}

impl OnBehalf {
    /// Reads it; the service and the broker verify it, here it must only be the client's own to use.
    pub(super) fn read(file: &Path, client: &Client) -> anyhow::Result<Self> {
        let jws = read_mandate(file)?;
        let parsed = UnverifiedDelegation::parse(&jws).with_context(|| format!("`{}`", file.display()))?;
        let delegation = parsed.unverified_claims().clone();
        if delegation.sub != client.id() {
            bail!("`{}` lets {} stand in, and you are {}", file.display(), delegation.sub, client.id());
        }
        Ok(Self { jws, delegation })
    }

    /// The delegation as it was signed.
    pub(super) fn as_jws(&self) -> &str {
        &self.jws
    }

    /// In whose name is signed.
    pub(super) fn line(&self) -> String {
        let Delegation { iss, exp, .. } = &self.delegation;
        format!("on behalf of {iss}, by a delegation until {}", Timestamp::from_secs(*exp))
    }
}
