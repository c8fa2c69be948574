//! `atb init DIR`: a directory with everything that a first run needs, for development.
//!
//! Refuses a directory that is not empty, so that it never replaces a key. Policy and connectors are the ones that this
//! binary was built with; their SPIFFE IDs are rewritten to the trust domain asked for.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rust_embed::RustEmbed;

use crate::adapters::clock::SystemClock;
use crate::adapters::commitment::new_commitment_key;
use crate::adapters::dev_identity::{DevCa, KeyKind, new_signing_key_pem};
use crate::adapters::pem::write_private;
use crate::domain::spiffe::TrustDomain;
use crate::domain::time::Timestamp;
use crate::service::ports::Clock as _;

/// How long the SVIDs of a development directory are valid.
const SVID_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// The trust domain of the shipped policy and connectors.
const SHIPPED_DOMAIN: &str = "atb.dev";

/// Paths of the workloads that get an SVID; the last segment names the folder. One of them has an Ed25519 key, so that
/// both algorithms are in use.
const WORKLOADS: [(&str, KeyKind); 10] = [
    ("agentauth", KeyKind::P256),
    ("broker", KeyKind::P256),
    ("agent/procurement", KeyKind::P256),
    ("agent/support", KeyKind::P256),
    ("approver/alice", KeyKind::P256),
    ("approver/bob", KeyKind::Ed25519),
    ("approver/carol", KeyKind::P256),
    ("approver/alice-mobile", KeyKind::P256),
    ("connector/erp", KeyKind::P256),
    ("legal/officer", KeyKind::P256),
];

const EXAMPLES: &str = "EXAMPLES:
  atb init ./dev                               a directory for the trust domain atb.dev
  atb init ./dev --trust-domain acme.example   the same for another trust domain
  atb serve --dev --config ./dev/atb.toml      what comes next";

/// Create a ready-to-run development directory: config, policy, CA, keys and SVIDs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The directory to fill; created if it is not there, refused if it is not empty
    dir: PathBuf,
    /// The trust domain of every identity
    #[arg(long, default_value = SHIPPED_DOMAIN, value_name = "NAME")]
    trust_domain: TrustDomain,
}

/// Fills the directory and says what is in it.
///
/// # Errors
/// When the directory is not empty or cannot be written.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    create(&args.dir, &args.trust_domain, SystemClock.now())?;
    super::output::line(summary(&args.dir, &args.trust_domain).trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Fills `dir`, for `atb init` and `atb demo`.
///
/// # Errors
/// When `dir` is not empty or cannot be written. What was written until then stays.
pub fn create(dir: &Path, domain: &TrustDomain, now: Timestamp) -> anyhow::Result<()> {
    make_dir(dir)?;
    if std::fs::read_dir(dir).with_context(|| reading(dir))?.next().is_some() {
        bail!("`{}` is not empty: choose a new directory, nothing is ever replaced", dir.display());
    }
    write(&dir.join("atb.toml"), sample_config(domain).as_bytes())?;
    write_identities(dir, domain, now)?;
    make_dir(&dir.join("keys"))?;
    for key in ["mandate", "ledger"] {
        write_private(&dir.join(format!("keys/{key}.pem")), new_signing_key_pem()?.as_bytes())?;
    }
    write_private(&dir.join("keys/commitment.key"), new_commitment_key()?.as_bytes())?;
    write_shipped::<ShippedPolicy>(&dir.join("opa"), domain)?;
    write_shipped::<ShippedConnectors>(&dir.join("connectors"), domain)
}

/// The policy, its data and templates, as they were at build time.
#[derive(RustEmbed)]
#[folder = "opa/"]
struct ShippedPolicy;

/// The sample connectors, as they were at build time.
#[derive(RustEmbed)]
#[folder = "connectors/"]
struct ShippedConnectors;

fn write_shipped<E: RustEmbed>(dir: &Path, domain: &TrustDomain) -> anyhow::Result<()> {
    let shipped = format!("spiffe://{SHIPPED_DOMAIN}/");
    let wanted = format!("spiffe://{domain}/");
    for name in E::iter() {
        let file = E::get(&name).with_context(|| format!("`{name}` is not in this binary"))?;
        let text = std::str::from_utf8(&file.data).with_context(|| format!("`{name}` is not text"))?;
        let path = dir.join(name.as_ref());
        make_dir(path.parent().unwrap_or(dir))?;
        write(&path, text.replace(&shipped, &wanted).as_bytes())?;
    }
    Ok(())
}

fn write_identities(dir: &Path, domain: &TrustDomain, now: Timestamp) -> anyhow::Result<()> {
    let ca = DevCa::create(domain.clone(), now)?;
    make_dir(&dir.join("trust"))?;
    write(&dir.join("trust/bundle.pem"), ca.bundle_pem().as_bytes())?;
    write_private(&dir.join("trust/ca-key.pem"), ca.key_pem().as_bytes())?;
    for (path, kind) in WORKLOADS {
        let issued = ca.issue(&format!("spiffe://{domain}/{path}").parse()?, kind, now, SVID_LIFETIME)?;
        let folder = dir.join("svids").join(name_of(path));
        make_dir(&folder)?;
        write(&folder.join("svid.pem"), issued.svid_pem.as_bytes())?;
        write_private(&folder.join("key.pem"), issued.key_pem.as_bytes())?;
    }
    Ok(())
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn make_dir(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create the directory `{}`", dir.display()))
}

fn write(path: &Path, contents: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, contents).with_context(|| format!("cannot write `{}`", path.display()))
}

fn reading(dir: &Path) -> String {
    format!("cannot read the directory `{}`", dir.display())
}

/// The configuration of a development directory; paths are relative to the file.
pub fn sample_config(domain: &TrustDomain) -> String {
    format!(
        r#"# Made by `atb init`, for development: the authority's key lies in trust/ca-key.pem.
# Check a change with `atb config check --config atb.toml`. Paths are relative to this file.
dev = true

[trust]
domain = "{domain}"
bundle = "trust/bundle.pem"

[store]
path = "data/ledger.db"

[keys]
mandate = "keys/mandate.pem"
ledger = "keys/ledger.pem"
commitment = "keys/commitment.key"

[bundle]
dir = "opa"

[agentauth]
listen = "127.0.0.1:8443"
svid = "svids/agentauth/svid.pem"
key = "svids/agentauth/key.pem"
spiffe_id = "spiffe://{domain}/agentauth"

[broker]
listen = "127.0.0.1:8444"
svid = "svids/broker/svid.pem"
key = "svids/broker/key.pem"
spiffe_id = "spiffe://{domain}/broker"
connectors = "connectors"

# Who confirms the ticket of a critical act. Here the sample ERP of `atb demo` plays that part.
[tickets.jira]
url = "http://127.0.0.1:9000/tickets/{{ref}}"
state = "/status"
accept = ["approved"]

[legal]
officers = ["spiffe://{domain}/legal/officer"]

[ops]
listen = "127.0.0.1:9464"
"#
    )
}

fn summary(dir: &Path, domain: &TrustDomain) -> String {
    let ids: Vec<_> = WORKLOADS.iter().map(|(path, _)| (format!("spiffe://{domain}/{path}"), name_of(path))).collect();
    let width = ids.iter().map(|(id, _)| id.len()).max().unwrap_or_default();
    let ids: String = ids.iter().map(|(id, name)| format!("  {id:<width$}  svids/{name}/\n")).collect();
    let dir = dir.display();
    format!(
        "Created {dir}:
  atb.toml                           the configuration
  opa/ connectors/                   policy, legal templates, routes: yours to change
  trust/bundle.pem                   who is trusted; ca-key.pem beside it makes more SVIDs (1 year)
  keys/mandate.pem keys/ledger.pem   sign mandates and the ledger (only you can read them)
  keys/commitment.key                hides data subjects in mandates and the record; who has it can check one
SVIDs, valid for 30 days:
{ids}
Next:
  atb svid inspect {dir}/svids/procurement/svid.pem --bundle {dir}/trust/bundle.pem --trust-domain {domain}
  atb serve --dev --config {dir}/atb.toml
"
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::adapters::pem::{KeyPermissions, read_bundle};
    use crate::adapters::tls::SvidSource;
    use crate::domain::spiffe::{Purpose, TrustBundles};

    fn created(domain: &str) -> (tempfile::TempDir, TrustDomain) {
        let (dir, domain) = (tempfile::tempdir().unwrap(), domain.parse().unwrap());
        create(dir.path(), &domain, SystemClock.now()).unwrap();
        (dir, domain)
    }

    #[test]
    fn every_identity_can_be_used_as_it_is() {
        let (dir, domain) = created("acme.example");
        let bundle = read_bundle(&dir.path().join("trust/bundle.pem"), domain).unwrap();
        let trust = TrustBundles::from(bundle);
        for (path, _) in WORKLOADS {
            let folder = dir.path().join("svids").join(name_of(path));
            let (svid, key) = (folder.join("svid.pem"), folder.join("key.pem"));
            let now = SystemClock.now();
            let source =
                SvidSource::load(&svid, &key, KeyPermissions::OwnerOnly, Purpose::Client, &trust, now).unwrap();
            assert_eq!(source.current().svid().id().as_str(), format!("spiffe://acme.example/{path}"));
        }
    }

    #[test]
    fn every_private_key_is_its_owners_only() {
        let (dir, _) = created("atb.dev");
        let mut keys: Vec<String> = ["trust/ca-key.pem", "keys/mandate.pem", "keys/ledger.pem", "keys/commitment.key"]
            .map(str::to_owned)
            .into();
        keys.extend(WORKLOADS.iter().map(|(path, _)| format!("svids/{}/key.pem", name_of(path))));
        for key in keys {
            let mode = std::fs::metadata(dir.path().join(&key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
    }

    #[test]
    fn a_directory_with_anything_in_it_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("note"), "mine").unwrap();
        let error = create(dir.path(), &"atb.dev".parse().unwrap(), SystemClock.now()).unwrap_err();
        assert!(error.to_string().contains("is not empty"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_shipped_policy_names_the_trust_domain_that_was_asked_for() {
        let (dir, _) = created("acme.example");
        let agents = std::fs::read_to_string(dir.path().join("opa/agents/data.json")).unwrap();
        assert!(agents.contains("spiffe://acme.example/agent/procurement"));
        assert!(!agents.contains("atb.dev"));
        assert!(dir.path().join("connectors/erp.toml").exists());
    }

    #[test]
    fn the_sample_configuration_names_files_that_are_there() {
        let (dir, domain) = created("atb.dev");
        let config: toml::Table = sample_config(&domain).parse().unwrap();
        for (section, key) in [
            ("trust", "bundle"),
            ("keys", "mandate"),
            ("keys", "ledger"),
            ("keys", "commitment"),
            ("bundle", "dir"),
            ("agentauth", "svid"),
            ("agentauth", "key"),
            ("broker", "svid"),
            ("broker", "key"),
            ("broker", "connectors"),
        ] {
            let path = config[section][key].as_str().unwrap();
            assert!(dir.path().join(path).exists(), "{section}.{key}");
        }
    }
}
