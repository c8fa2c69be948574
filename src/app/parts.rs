//! What a start reads, and what it refuses.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;

use super::{Mode, verifier_key_path};
use crate::adapters::clock::SystemClock;
use crate::adapters::commitment::CommitmentKey;
use crate::adapters::connectors::CallRefused;
use crate::adapters::guardrails::{HttpGuardrail, read_patterns};
use crate::adapters::http::broker::Upstreams;
use crate::adapters::signer;
use crate::adapters::store::{OpenMode, SqliteStore, write_verifier_key};
use crate::config::Config;
use crate::domain::action::{CallPath, CallRequest, Method};
use crate::domain::id::ConnectorId;
use crate::domain::jose::MandateKeys;
use crate::domain::json::{self, Object};
use crate::domain::ledger::{LogKey, Origin};
use crate::domain::leg::Commit;
use crate::domain::policy::Bundle;
use crate::domain::spiffe::SpiffeId;
use crate::service::guardrails::Guardrails;
use crate::service::ports::{CallDirectory, GuardrailService, NotACall};

/// What no process may run with.
pub(super) fn refuse_unsafe(config: &Config, mode: Mode) -> anyhow::Result<()> {
    if mode.agentauth() && config.agentauth.is_none() {
        bail!("the configuration has no [agentauth]");
    }
    if mode.broker() && config.broker.is_none() {
        bail!("the configuration has no [broker]");
    }
    let doors = [config.agentauth.as_ref().map(|part| &part.door), config.broker.as_ref().map(|part| &part.door)];
    for door in doors.into_iter().flatten() {
        if door.spiffe_id.trust_domain() != config.trust_domain {
            bail!("`{}` is not in the trust domain `{}`", door.spiffe_id, config.trust_domain);
        }
        if door.listen == config.ops && door.listen.port() != 0 {
            bail!("`ops.listen` is the address of a door that asks for SVIDs: give it one of its own");
        }
    }
    if !config.dev && !config.ops.ip().is_loopback() {
        tracing::warn!(ops.listen = %config.ops, "health and metrics are served without authentication beyond this host");
    }
    Ok(())
}

/// What looks at what calls say, where the configuration names anything.
pub(super) fn guardrails(config: &Config) -> anyhow::Result<Option<Guardrails>> {
    let Some(part) = &config.guardrails else { return Ok(None) };
    let patterns = part.patterns.as_deref().map(read_patterns).transpose()?.unwrap_or_default();
    let service = part.service.as_ref().map(|service| {
        let (ca, secret) = (service.ca.as_deref(), service.secret.as_deref());
        HttpGuardrail::new(&service.url, ca, secret, service.timeout, config.dev)
    });
    let service = service.transpose()?.map(|service| Arc::new(service) as Arc<dyn GuardrailService>);
    Ok(Some(Guardrails::new(patterns, service, part.fail_open.iter().copied())))
}

/// The ledger. It is made once, when its key has never signed one; a ledger that vanished is not replaced.
pub(super) async fn open_store(config: &Config, mode: Mode, clock: &Arc<SystemClock>) -> anyhow::Result<SqliteStore> {
    let key = LogKey::new(signer::read_ed25519(&config.ledger_key).context("the ledger's signing key")?);
    let origin: Origin = format!("{}/{}", config.trust_domain, mode.log_name()).parse()?;
    let vkey = verifier_key_path(config);
    let mode = match (config.store.exists(), vkey.exists()) {
        (false, false) => OpenMode::Create,
        (true, _) => OpenMode::Existing,
        (false, true) => bail!(
            "the ledger `{}` is gone, but its key has signed one before (`{}`): restore it; a new ledger needs a new key",
            config.store.display(),
            vkey.display()
        ),
    };
    if mode == OpenMode::Create
        && let Some(folder) = config.store.parent()
    {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    }
    let store = SqliteStore::open(&config.store, mode, key, origin, clock.clone()).await?;
    write_verifier_key(&vkey, store.verifier()).with_context(|| format!("cannot write `{}`", vkey.display()))?;
    Ok(store)
}

/// The key of commitments. A bundle with a template that commits to a variable cannot be served without it.
pub(super) fn commitment_key(config: &Config, bundle: &Bundle) -> anyhow::Result<Option<Arc<dyn Commit>>> {
    if let Some(path) = &config.commitment_key {
        return Ok(Some(Arc::new(CommitmentKey::read(path)?)));
    }
    match bundle.templates().iter().find(|template| template.commits()) {
        None => Ok(None),
        Some(template) => bail!(
            "`keys.commitment` is missing, and the legal template `{}` commits to personal data with it",
            template.document().id
        ),
    }
}

/// Where AgentAuth writes its public keys for brokers that run apart and for offline verification.
pub fn published_jwks(config: &Config) -> Option<PathBuf> {
    config.jwks.clone().or_else(|| Some(config.mandate_key.as_ref()?.with_file_name("jwks.json")))
}

/// Writes the public keys, whole or not at all.
pub(super) fn publish_jwks(config: &Config, keys: &MandateKeys) -> anyhow::Result<()> {
    let Some(path) = published_jwks(config) else { return Ok(()) };
    let failed = || format!("cannot write `{}`", path.display());
    let draft = path.with_extension("new");
    std::fs::write(&draft, format!("{:#}\n", keys.to_jwks())).with_context(failed)?;
    std::fs::rename(&draft, &path).with_context(failed)
}

/// The keys for a broker that runs apart from AgentAuth.
pub(super) fn read_jwks(config: &Config) -> anyhow::Result<Arc<MandateKeys>> {
    let path = published_jwks(config).context("`keys.jwks` is missing: the broker cannot verify mandates")?;
    let text = std::fs::read(&path)
        .with_context(|| format!("cannot read `{}`; AgentAuth writes it when it starts", path.display()))?;
    let set: Object = json::parse_as(&text).with_context(|| path.display().to_string())?;
    Ok(Arc::new(MandateKeys::from_jwks(&set).with_context(|| path.display().to_string())?))
}

/// The connectors' route tables as the services ask them.
pub(super) struct Routes(pub(super) Arc<ArcSwap<Upstreams>>);

impl CallDirectory for Routes {
    fn describe(
        &self,
        connector: &ConnectorId,
        method: Method,
        path: &CallPath,
        params: &Object,
    ) -> Result<CallRequest, NotACall> {
        let upstreams = self.0.load();
        let found = upstreams.connectors.find(connector.as_str()).ok_or_else(|| NotACall {
            code: "unknown_route",
            pointer: "/connector".to_owned(),
            detail: "there is no connector of this name".to_owned(),
        })?;
        if !found.enabled {
            return Err(NotACall {
                code: CallRefused::Disabled.code(),
                pointer: "/connector".to_owned(),
                detail: CallRefused::Disabled.to_string(),
            });
        }
        found.describe(method, path.as_str(), params).map_err(|error: CallRefused| NotACall {
            code: error.code(),
            pointer: error.pointer().map_or_else(String::new, |pointer| format!("/params{pointer}")),
            detail: error.to_string(),
        })
    }

    fn method_of(&self, connector: &ConnectorId, path: &CallPath, act: &str) -> Result<Method, NotACall> {
        let upstreams = self.0.load();
        let methods = upstreams.connectors.find(connector.as_str()).map(|found| found.methods_of(path, act));
        let refused = |code, detail: &str| NotACall { code, pointer: String::new(), detail: detail.to_owned() };
        match methods.unwrap_or_default().as_slice() {
            [method] => Ok(*method),
            [] => Err(refused("unknown_route", "no route of the connector is this act at this path")),
            _ => Err(refused("ambiguous_action", "several methods are this act at this path; name the method")),
        }
    }

    fn may_ask(&self, connector: &ConnectorId, workload: &SpiffeId) -> bool {
        self.0.load().connectors.find(connector.as_str()).is_some_and(|found| found.admits(workload))
    }
}
