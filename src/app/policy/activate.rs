//! Putting a bundle in force, or trying one out: everything that can fail first, then the record, then the swap.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::spawn_blocking;

use super::super::Core;
use super::{Admitted, BundleFacts, Highest, Refused, Role};
use crate::adapters::bundle_source::Found;
use crate::adapters::pdp::Trial;
use crate::config::SourceConfig;
use crate::domain::id::Sha256Digest;
use crate::domain::ledger::{Entry, EventType, Subject};
use crate::domain::policy::{Bundle, CandidateMode};
use crate::service::ports::{Clock as _, Ledger as _, PolicyPoint as _};

/// What becomes of a bundle that was found.
pub(super) enum Turn {
    /// It is in force, or tried out.
    Activated,
    /// It is the one that is in force, or tried out, already.
    Known,
}

/// Takes what was found as far as it comes. A refusal is on record when this returns.
///
/// # Errors
/// When the record or the last good archive cannot be written: nothing was activated, and it is worth another try.
pub(super) async fn consider(
    core: &Arc<Core>,
    role: Role,
    found: Found,
    source: &SourceConfig,
    mode: Option<CandidateMode>,
) -> anyhow::Result<Turn> {
    if is_known(core, role, found.archive.files.digest()) {
        return Ok(Turn::Known);
    }
    let (gate, source) = (Arc::clone(&core.policy_state.gate), source.clone());
    let (highest, now) = (core.policy_state.highest(), core.clock.now());
    let admitted = spawn_blocking(move || gate.admit(found, &source, highest, now)).await?;
    let outcome = match (admitted, mode) {
        (Ok(admitted), None) => put_in_force(core, admitted).await?,
        (Ok(admitted), Some(mode)) => try_out(core, admitted, mode).await?,
        (Err(refused), _) => Err(refused),
    };
    match outcome {
        Ok(()) => {
            core.metrics.policy().activated(role.as_str());
            Ok(Turn::Activated)
        }
        Err(refused) => {
            refuse(core, role, &refused).await?;
            Ok(Turn::Known)
        }
    }
}

fn is_known(core: &Core, role: Role, digest: Sha256Digest) -> bool {
    match role {
        Role::InForce => core.policy.bundle().digest() == digest,
        Role::Candidate => core.policy.trial().is_some_and(|trial| trial.bundle().digest() == digest),
    }
}

async fn put_in_force(core: &Arc<Core>, admitted: Admitted) -> anyhow::Result<Result<(), Refused>> {
    let Admitted { bundle, facts, bytes } = admitted;
    let (policy, next) = (Arc::clone(&core.policy), Arc::clone(&bundle));
    let prepared = match spawn_blocking(move || policy.prepare(&next)).await? {
        Ok(prepared) => prepared,
        Err(error) => return Ok(Err(unusable(&bundle, &facts, &error))),
    };
    keep(core, bytes).await?;
    let highest = core.policy_state.highest_with(&bundle, &facts);
    let subject = activation(&bundle, &facts, Role::InForce, None, highest);
    let record = core.store.record(core.entry(EventType::PolicyActivated, subject)).await;
    record.context("the activation is not on record")?;
    // From here on nothing can fail. A crash before the next line restarts on the same bundle.
    core.policy.put_in_force(prepared, facts.expires_at);
    core.policy_state.activated(&bundle, &facts, core.clock.now());
    core.show_policy();
    tracing::info!(
        bundle.revision = %bundle.revision(),
        bundle.digest = %bundle.digest(),
        policy.source = facts.origin.as_str(),
        "a policy was put in force"
    );
    Ok(Ok(()))
}

/// Keeps the archive for a start without the network.
pub(in crate::app) async fn keep(core: &Core, bytes: Option<Vec<u8>>) -> anyhow::Result<()> {
    let (Some(last_good), Some(bytes)) = (core.policy_state.last_good.clone(), bytes) else { return Ok(()) };
    let path = last_good.path().display().to_string();
    spawn_blocking(move || last_good.keep(&bytes)).await?.with_context(|| format!("cannot keep the policy in `{path}`"))
}

async fn try_out(core: &Arc<Core>, admitted: Admitted, mode: CandidateMode) -> anyhow::Result<Result<(), Refused>> {
    let Admitted { bundle, facts, .. } = admitted;
    let (policy, next) = (Arc::clone(&core.policy), Arc::clone(&bundle));
    let pool = match spawn_blocking(move || policy.prepare_candidate(next)).await? {
        Ok(pool) => pool,
        Err(error) => return Ok(Err(unusable(&bundle, &facts, &error))),
    };
    let subject = activation(&bundle, &facts, Role::Candidate, Some(mode), core.policy_state.highest());
    let record = core.store.record(core.entry(EventType::PolicyActivated, subject)).await;
    record.context("the candidate is not on record")?;
    let before = core.policy.try_out(Some(Trial::new(pool, mode, facts.expires_at)));
    core.policy_state.tried(&bundle, &facts, core.clock.now(), mode);
    // Its threads are waited for where they may be.
    drop(spawn_blocking(move || drop(before)));
    tracing::info!(
        bundle.revision = %bundle.revision(),
        bundle.digest = %bundle.digest(),
        policy.mode = mode.as_str(),
        "a candidate policy is tried out"
    );
    Ok(Ok(()))
}

fn unusable(bundle: &Bundle, facts: &BundleFacts, error: &crate::adapters::pdp::PdpError) -> Refused {
    let refused = Refused::because("bundle_unusable", error.to_string());
    Refused { digest: Some(bundle.digest()), origin: Some(facts.origin), ..refused }
}

/// The subject of `policy_activated`.
pub(in crate::app) fn activation(
    bundle: &Bundle,
    facts: &BundleFacts,
    role: Role,
    mode: Option<CandidateMode>,
    highest: Option<Highest>,
) -> Subject {
    let mut subject =
        Subject { bundle: Some(bundle.revision().clone()), bundle_digest: Some(bundle.digest()), ..Subject::default() };
    let mut note = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            subject.detail.insert(key.to_owned(), value);
        }
    };
    note("role", Some(role.as_str().to_owned()));
    note("source", Some(facts.origin.as_str().to_owned()));
    note("sequence", facts.sequence.map(|sequence| sequence.to_string()));
    note("signed_by", facts.signed_by.as_ref().map(ToString::to_string));
    note("expires_at", facts.expires_at.map(|end| end.to_string()));
    note("highest_sequence", highest.map(|highest| highest.sequence.to_string()));
    note("highest_digest", highest.map(|highest| highest.digest.to_string()));
    if let Some(mode) = mode {
        note("mode", Some(mode.as_str().to_owned()));
    }
    if let Some(CandidateMode::Rollout(share)) = mode {
        note("percent", Some(share.percent().to_string()));
    }
    subject
}

/// Writes a refusal down, once a bundle.
///
/// # Errors
/// When it cannot be written; it is then new at the next look.
pub(in crate::app) async fn refuse(core: &Core, role: Role, refused: &Refused) -> anyhow::Result<()> {
    if refused.digest.is_some() && !core.policy_state.is_news(role, refused) {
        return Ok(());
    }
    let mut subject = Subject {
        allow: Some(false),
        reason: Some(refused.reason.to_owned()),
        bundle_digest: refused.digest,
        ..Subject::default()
    };
    subject.detail.insert("role".to_owned(), role.as_str().to_owned());
    subject.detail.insert("finding".to_owned(), refused.what.clone());
    if let Some(origin) = refused.origin {
        subject.detail.insert("source".to_owned(), origin.as_str().to_owned());
    }
    tracing::warn!(
        policy.role = role.as_str(),
        reason = refused.reason,
        finding = refused.what,
        "a policy was refused; what is in force stays"
    );
    core.metrics.policy().refused(role.as_str(), refused.reason);
    let entry: Entry = core.entry(EventType::PolicyRefused, subject);
    if let Err(error) = core.store.record(entry).await {
        core.policy_state.forget(role, refused);
        return Err(error).context("the refusal is not on record");
    }
    Ok(())
}
