//! What holds in a case, by the log's public key alone.
//!
//! Order: the files are those of the manifest ▶ the checkpoint is the log's ▶ each entry is in that log ▶ each belongs to the
//! case ▶ each verdict is the one that its bundle gives for its input ▶ each mandate and statement is the one on record and
//! verifies ▶ each permitted call has one outcome. A check that cannot be made is said to be so and is no pass.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::{
    CHECKPOINT, FORMAT, Files, MANIFEST, Manifest, bundle_file, entry_file, mandate, names, openings_file, proof_file,
};
use crate::domain::id::Sha256Digest;
use crate::domain::json;
use crate::domain::ledger::{Checkpoint, Entry, EventType, InclusionProof, LogVerifier, Openings, WitnessPolicy};
use crate::domain::policy::Bundle;
use crate::service::toolchain::replay::{ExportedOpenings, Judge, Past, Shelf, reproduce};

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// It is so.
    Ok,
    /// It is not so.
    Failed,
    /// It could not be checked with what is here.
    NotChecked,
}

impl CheckOutcome {
    /// The name as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "FAILED",
            Self::NotChecked => "not checked",
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Of what.
    pub of: String,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// What is so, or why not.
    pub detail: String,
}

/// All checks of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// What the case is about.
    pub id: String,
    /// The log.
    pub origin: String,
    /// How many entries are in it.
    pub entries: usize,
    /// The checks, in order.
    pub checks: Vec<Check>,
}

impl CaseReport {
    /// Whether nothing failed.
    pub fn is_sound(&self) -> bool {
        self.checks.iter().all(|check| check.outcome != CheckOutcome::Failed)
    }

    pub(super) fn push(&mut self, of: impl Into<String>, outcome: CheckOutcome, detail: impl Into<String>) {
        self.checks.push(Check { of: of.into(), outcome, detail: detail.into() });
    }

    fn ok(&mut self, of: impl Into<String>, detail: impl Into<String>) {
        self.push(of, CheckOutcome::Ok, detail);
    }

    fn failed(&mut self, of: impl Into<String>, detail: impl Into<String>) {
        self.push(of, CheckOutcome::Failed, detail);
    }
}

/// Reads a bundle's archive and tries it where it can do no harm; the error is for people.
pub type LoadBundle<'a> = &'a dyn Fn(&[u8]) -> Result<Arc<Bundle>, String>;

/// An entry of the case that is proven.
pub(super) struct Proven {
    pub(super) seq: u64,
    pub(super) body: Vec<u8>,
    pub(super) entry: Entry,
    pub(super) context: bool,
}

impl Proven {
    pub(super) fn title(&self) -> String {
        format!("entry {} {}", self.seq, self.entry.event_type.as_str())
    }
}

/// Checks `files`. To be called in a thread with a deep stack: the policy is evaluated in it.
pub fn check(files: &Files, verifier: &LogVerifier, witnesses: &WitnessPolicy, load: LoadBundle<'_>) -> CaseReport {
    let mut report =
        CaseReport { id: String::new(), origin: verifier.origin().to_string(), entries: 0, checks: Vec::new() };
    let Some(manifest) = manifest(files, &mut report) else { return report };
    report.id.clone_from(&manifest.id);
    report.entries = manifest.entries.len();
    let Some(checkpoint) = checkpoint(files, verifier, witnesses, &manifest, &mut report) else { return report };
    let proven = entries(files, verifier, &checkpoint, &manifest, &mut report);
    belonging(&manifest.id, &proven, &mut report);
    verdicts(files, &proven, load, &mut report);
    mandate::check(files, &proven, &mut report);
    outcomes(&proven, &mut report);
    for what in &manifest.missing {
        report.push("missing", CheckOutcome::NotChecked, what.clone());
    }
    report
}

fn manifest(files: &Files, report: &mut CaseReport) -> Option<Manifest> {
    let read = files.get(MANIFEST).and_then(|bytes| json::from_slice::<Manifest>(bytes).ok());
    let Some(manifest) = read.filter(|manifest| manifest.format == FORMAT) else {
        report.failed(MANIFEST, format!("there is none of the format {FORMAT}"));
        return None;
    };
    let others = files.iter().filter(|(name, _)| *name != MANIFEST);
    let wrong = others
        .clone()
        .find(|(name, bytes)| manifest.files.get(*name).is_none_or(|listed| listed.digest != Sha256Digest::of(bytes)));
    if let Some((name, _)) = wrong {
        report.failed(MANIFEST, format!("`{name}` is not the file that it lists"));
        return None;
    }
    if others.count() != manifest.files.len() {
        report.failed(MANIFEST, "a file that it lists is not there");
        return None;
    }
    report.ok(MANIFEST, format!("{} files with their digests", manifest.files.len()));
    Some(manifest)
}

fn checkpoint(
    files: &Files,
    verifier: &LogVerifier,
    witnesses: &WitnessPolicy,
    manifest: &Manifest,
    report: &mut CaseReport,
) -> Option<Checkpoint> {
    let note = files.get(CHECKPOINT).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    let checkpoint = match verifier.verify(note) {
        Ok(checkpoint) if checkpoint.size() == manifest.tree_size => checkpoint,
        Ok(_) => {
            report.failed(CHECKPOINT, "it is of another size than the manifest says");
            return None;
        }
        Err(error) => {
            report.failed(CHECKPOINT, error.to_string());
            return None;
        }
    };
    report.ok(CHECKPOINT, format!("signed by the log's key over {} entries", checkpoint.size()));
    if !witnesses.is_empty() {
        match witnesses.check(&checkpoint) {
            Ok(found) => {
                let who: Vec<_> = found.iter().map(|c| format!("{} at {}", c.witness, c.at)).collect();
                report.ok("witnesses", who.join(", "));
            }
            Err(error) => report.failed("witnesses", error.to_string()),
        }
    }
    Some(checkpoint)
}

fn entries(
    files: &Files,
    verifier: &LogVerifier,
    checkpoint: &Checkpoint,
    manifest: &Manifest,
    report: &mut CaseReport,
) -> Vec<Proven> {
    let mut proven = Vec::new();
    for listed in &manifest.entries {
        let of = format!("entry {} {}", listed.seq, listed.event_type);
        let proof = files.get(&proof_file(listed.seq)).and_then(|bytes| json::from_slice::<InclusionProof>(bytes).ok());
        let (Some(body), Some(proof)) = (files.get(&entry_file(listed.seq)), proof) else {
            report.failed(of, "its bytes or its proof are not there");
            continue;
        };
        let of_this_log = proof.leaf_index == listed.seq && proof.checkpoint == checkpoint.note();
        match proof.verify(body, verifier) {
            Ok(_) if !of_this_log => report.failed(of, "its proof is of another number or checkpoint"),
            Err(error) => report.failed(of, error.to_string()),
            Ok(_) => match json::from_slice::<Entry>(body) {
                Ok(entry) if entry.event_id == listed.event_id && entry.event_type.as_str() == listed.event_type => {
                    report.ok(of, format!("in the log, {}", entry.at));
                    proven.push(Proven { seq: listed.seq, body: body.clone(), entry, context: listed.context });
                }
                Ok(_) => report.failed(of, "the manifest says that it is another event"),
                Err(error) => report.failed(of, format!("in the log, and not readable: {error}")),
            },
        }
    }
    let stray = files.keys().filter(|name| name.starts_with("entries/")).count() != manifest.entries.len();
    if stray {
        report.failed("entries", "there is an entry that the manifest does not list");
    }
    proven
}

/// Every entry shares an id with the case, over others of the case if need be.
fn belonging(id: &str, proven: &[Proven], report: &mut CaseReport) {
    let mut known: BTreeSet<String> = [id.to_owned()].into();
    let mut left: Vec<_> = proven.iter().filter(|found| !found.context).collect();
    if left.is_empty() {
        report.failed("case", "no entry of it is proven");
    }
    loop {
        let before = left.len();
        left.retain(|found| {
            let names = names(&found.entry);
            let belongs = names.iter().any(|name| known.contains(name));
            if belongs {
                known.extend(names);
            }
            !belongs
        });
        if left.len() == before {
            break;
        }
    }
    for found in left {
        report.failed(found.title(), format!("it shares no id with the case `{id}`"));
    }
}

fn verdicts(files: &Files, proven: &[Proven], load: LoadBundle<'_>, report: &mut CaseReport) {
    let mut judges: BTreeMap<Sha256Digest, Result<Judge, (CheckOutcome, String)>> = BTreeMap::new();
    for found in proven.iter().filter(|found| !found.context) {
        let openings = openings(files, found.seq);
        let Some(past) = Past::of_entry(&found.body, openings.as_ref()) else { continue };
        let of = format!("{} verdict", found.title());
        let Some(digest) = found.entry.subject.bundle_digest else {
            report.push(of, CheckOutcome::NotChecked, "the record does not name the bundle");
            continue;
        };
        let judge = judges.entry(digest).or_insert_with(|| judge(files, digest, load));
        match judge {
            Err((outcome, why)) => report.push(of, *outcome, why.clone()),
            Ok(judge) => match reproduce(judge, &past) {
                None => {
                    let allow = match found.entry.subject.allow {
                        Some(true) => "allow, ",
                        Some(false) => "deny, ",
                        None => "",
                    };
                    let reason = found.entry.subject.reason.as_deref().map(|reason| format!("{reason}; "));
                    let said = format!("{allow}{}", reason.unwrap_or_default());
                    report.ok(of, format!("{said}the bundle gives the same for the same input"));
                }
                Some(why) if why.is_contradiction() => report.failed(of, format!("{}: {}", why.code, why.detail)),
                Some(why) => report.push(of, CheckOutcome::NotChecked, format!("{}: {}", why.code, why.detail)),
            },
        }
    }
}

fn openings(files: &Files, seq: u64) -> Option<Openings> {
    let exported: ExportedOpenings = json::from_slice(files.get(&openings_file(seq))?).ok()?;
    exported.read()
}

/// An archive that is not there leaves its verdicts open; one that is another bundle, or none, is a forgery.
fn judge(files: &Files, digest: Sha256Digest, load: LoadBundle<'_>) -> Result<Judge, (CheckOutcome, String)> {
    let Some(archive) = files.get(&bundle_file(digest)) else {
        return Err((CheckOutcome::NotChecked, format!("the bundle {digest} is not in the case")));
    };
    let failed = |why: String| (CheckOutcome::Failed, why);
    let bundle = load(archive).map_err(failed)?;
    if bundle.digest() != digest {
        return Err(failed(format!("the archive holds the bundle {}, not {digest}", bundle.digest())));
    }
    Ok(Judge::new(Shelf::new(vec![bundle])))
}

/// A call that the broker permitted and made itself has one outcome (invariant 7).
fn outcomes(proven: &[Proven], report: &mut CaseReport) {
    for found in proven {
        let subject = &found.entry.subject;
        let own = subject.caller.is_none() && !subject.detail.contains_key("peek");
        if found.entry.event_type != EventType::BrokerDecision || subject.allow != Some(true) || !own {
            continue;
        }
        let of = format!("{} outcome", found.title());
        let mut ended = proven.iter().filter(|other| {
            other.entry.event_type == EventType::ConnectorOutcome
                && other.entry.subject.decision_id == subject.decision_id
        });
        match (ended.next(), ended.next()) {
            (Some(end), None) => {
                let outcome = end.entry.subject.outcome.map_or("-", crate::domain::ledger::Outcome::as_str);
                report.ok(of, format!("{outcome}, entry {}", end.seq));
            }
            (None, _) => report.push(of, CheckOutcome::NotChecked, "there was none when the case was made"),
            (Some(_), Some(_)) => report.failed(of, "there are two"),
        }
    }
}
