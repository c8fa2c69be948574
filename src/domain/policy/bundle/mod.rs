//! A bundle: policy, catalogue, legal templates and directories under one digest, taken whole or not at all.
//!
//! ```text
//! BundleFiles ──parse──▶ Bundle { revision, digest, catalogue, approvers, agents, leg templates, modules, data }
//! ```
//!
//! [`Bundle::parse`] is pure and does not depend on the order of files. It checks everything that can be known without
//! evaluating: strict data, typed catalogue and directories, and the safe profile of Rego ([`super::profile`]). What
//! needs evaluation (does every engine prepare, do the bundle's own tests pass) is [`super::engine`]'s, and hostile
//! texts are first parsed in a child process (`adapters::bundle_probe`). What a template means is `domain::leg`'s.

pub mod cases;
mod data;
mod directory;
mod files;
mod finding;
mod grounds;
mod limits;
mod manifest;
mod opa_hash;
pub mod overlay;
mod pointer;
mod quorum;
mod rego_version;
mod signature;
mod trust;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use directory::{ActPattern, Agent, Approver, Platform, Workspace};
pub use files::{BundleFiles, MAX_BYTES, MAX_FILES};
pub use finding::{BundleError, Finding, Place};
pub use manifest::{MANIFEST, Manifest, Release, Sequence, SequenceError};
pub(crate) use rego_version::rego_texts;
pub use rego_version::{RegoVersions, v0_compatible};
pub use signature::{
    MAX_SIGNATURES_BYTES, SIGNATURES, SignatureError, SignaturePolicy, UnsignedRelease, UnverifiedArchive,
    VerifiedBundleFiles, signatures_file,
};
pub use trust::{ReleaseAlg, TrustedKey, TrustedKeyError, TrustedKeys};

use super::profile::{self, Modules};
use crate::domain::action::ActionName;
use crate::domain::catalogue::Catalogue;
use crate::domain::id::{Revision, Sha256Digest, WorkspaceId};
use crate::domain::json;
use crate::domain::leg::Templates;
use crate::domain::spiffe::SpiffeId;

use cases::CaseTable;
use data::Data;
use directory::Directories;
use overlay::Overlays;

/// A bundle that is inside the safe profile.
#[derive(Debug)]
pub struct Bundle {
    revision: Revision,
    digest: Sha256Digest,
    catalogue: Catalogue,
    directories: Directories,
    overlays: Overlays,
    templates: Templates,
    modules: Modules,
    cases: Vec<CaseTable>,
    data: Map<String, Value>,
}

impl Bundle {
    /// Reads a bundle.
    ///
    /// # Errors
    /// Every finding, each with file, line and column; a bundle with a finding is not a bundle.
    pub fn parse(files: &BundleFiles) -> Result<Self, BundleError> {
        let digest = files.digest();
        let data = data::read(files).map_err(BundleError::new)?;
        let manifest = Manifest::of(files)?;
        let revision = revision(&manifest, digest)?;
        let catalogue = catalogue(&data)?;
        quorum::check(&data, &catalogue)?;
        let directories = Directories {
            approvers: typed_or_empty(&data, "approvers")?,
            agents: typed_or_empty(&data, "agents")?,
            workspaces: overlay::workspaces(&data)?,
        };
        if let Some((id, member, what)) = directories.defect() {
            let pointer = format!("/{}/{member}", id.as_str().replace('~', "~0").replace('/', "~1"));
            let place = data.place("approvers", &pointer);
            return Err(Finding::new(place, format!("approver `{id}`: {what}"), "correct the entry").into());
        }
        let overlays = Overlays::parse(&data, &catalogue, &directories)?;
        let templates = Templates::parse(&typed_or_empty(&data, "leg_templates")?).map_err(|error| {
            let place = data.place("leg_templates", &format!("/{}{}", error.template, error.pointer));
            BundleError::from(Finding::new(place, error.to_string(), "correct the template; `atb leg lint` says more"))
        })?;
        grounds::check(&data, &catalogue, &templates)?;
        let modules = profile::admit(&rego_texts(files)?, &data.document).map_err(BundleError::new)?;
        check_roots(&manifest, &data, &modules)?;
        let cases = cases::read(files).map_err(BundleError::new)?;
        let data = data.document;
        Ok(Self { revision, digest, catalogue, directories, overlays, templates, modules, cases, data })
    }

    /// The revision: of `.manifest`, or `dev-` and the start of the digest.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// The digest of the files.
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// The acts.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The approver of that identity.
    pub fn approver(&self, id: &SpiffeId) -> Option<&Approver> {
        self.directories.approvers.get(id)
    }

    /// Every approver by identity.
    pub fn approvers(&self) -> &BTreeMap<SpiffeId, Approver> {
        &self.directories.approvers
    }

    /// The agent of that identity.
    pub fn agent(&self, id: &SpiffeId) -> Option<&Agent> {
        self.directories.agents.get(id)
    }

    /// Every agent by identity.
    pub fn agents(&self) -> &BTreeMap<SpiffeId, Agent> {
        &self.directories.agents
    }

    /// Where an identity belongs; `default` where nothing is said.
    pub fn workspace_of(&self, id: &SpiffeId) -> WorkspaceId {
        self.directories.workspace_of(id)
    }

    /// What a workspace may beyond the usual; one that the bundle does not name may nothing more.
    pub fn workspace(&self, id: &WorkspaceId) -> Workspace {
        self.directories.workspaces.get(id).cloned().unwrap_or_default()
    }

    /// What tightens by environment, team and workspace.
    pub fn overlays(&self) -> &Overlays {
        &self.overlays
    }

    /// Whether a call of this act may go without a mandate, where the configuration allows any.
    pub fn is_low_risk(&self, act: &ActionName) -> bool {
        self.overlays.is_low_risk(act, &self.catalogue)
    }

    /// The legal templates in force.
    pub fn templates(&self) -> &Templates {
        &self.templates
    }

    /// The Rego, one source a package.
    pub fn modules(&self) -> &Modules {
        &self.modules
    }

    /// The tables of cases, in the order of files and names.
    pub fn cases(&self) -> &[CaseTable] {
        &self.cases
    }

    /// The data document.
    pub fn data(&self) -> &Map<String, Value> {
        &self.data
    }
}

/// The data document alone, for tools that look at a bundle which does not load.
///
/// # Errors
/// As [`Bundle::parse`] for the data files.
pub fn data_document(files: &BundleFiles) -> Result<Map<String, Value>, BundleError> {
    data::read(files).map(|data| data.document).map_err(BundleError::new)
}

/// The data files as texts, to say where a member of the data document is written.
#[derive(Debug)]
pub struct DataPlaces(Data);

impl DataPlaces {
    /// Of these files.
    ///
    /// # Errors
    /// As [`data_document`].
    pub fn read(files: &BundleFiles) -> Result<Self, BundleError> {
        data::read(files).map(Self).map_err(BundleError::new)
    }

    /// Where `pointer`, counted from the top member `root`, stands: the best place that can be named.
    pub fn of(&self, root: &str, pointer: &str) -> Place<'_> {
        self.0.place(root, pointer)
    }
}

/// The revision that the manifest names, or one of the digest.
fn revision(manifest: &Manifest, digest: Sha256Digest) -> Result<Revision, BundleError> {
    if let Some(named) = manifest.revision() {
        return Ok(named.clone());
    }
    let text = format!("dev-{}", digest.to_hex().chars().take(12).collect::<String>());
    text.parse().map_err(|e: crate::domain::id::IdError| {
        Finding::new(Place::file(MANIFEST), e.to_string(), "name a revision").into()
    })
}

/// The bundle has no data outside of the roots that its manifest names.
fn check_roots(manifest: &Manifest, data: &Data, modules: &Modules) -> Result<(), BundleError> {
    let outside = |path: String, place: Place<'_>| {
        let what = format!("`data.{}` is outside of the manifest's roots", path.replace('/', "."));
        Finding::new(place, what, "add the root to `.manifest`, or move the file")
    };
    let mut findings = Vec::new();
    if let Some(path) = foreign_path(manifest, "", &data.document) {
        let (root, pointer) =
            path.split_once('/').map_or((path.as_str(), String::new()), |(r, p)| (r, format!("/{p}")));
        findings.push(outside(path.clone(), data.place(root, &pointer)));
    }
    for module in modules.with_tests() {
        let path = module.package().replace('.', "/");
        if !manifest.owns(&path) {
            let file = module.origin(1).map_or(".", |(file, _)| file);
            findings.push(outside(path, Place::file(file)));
        }
    }
    if findings.is_empty() { Ok(()) } else { Err(BundleError::new(findings)) }
}

/// The first path of data that no root covers. An object above a root is only the way to it.
fn foreign_path(manifest: &Manifest, prefix: &str, members: &Map<String, Value>) -> Option<String> {
    members.iter().find_map(|(name, value)| {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        match value {
            _ if manifest.owns(&path) => None,
            Value::Object(inner) if manifest.leads_to_a_root(&path) => foreign_path(manifest, &path, inner),
            _ => Some(path),
        }
    })
}

fn catalogue(data: &Data) -> Result<Catalogue, BundleError> {
    const ROOT: &str = "catalogue";
    if data.member(ROOT).is_none() {
        let what = "there is no catalogue";
        return Err(Finding::new(Place::whole(), what, "add catalogue/data.json with the acts").into());
    }
    let catalogue: Catalogue = typed(data, ROOT)?;
    match catalogue.defect() {
        None => match limits::findings(data, &catalogue) {
            findings if findings.is_empty() => Ok(catalogue),
            findings => Err(BundleError::new(findings)),
        },
        Some((act, what)) => {
            let what = format!("act `{act}`: {what}");
            Err(Finding::new(data.place(ROOT, &format!("/{act}")), what, "correct the act's entry").into())
        }
    }
}

fn typed_or_empty<T: DeserializeOwned + Default>(data: &Data, root: &str) -> Result<T, BundleError> {
    if data.member(root).is_none() { Ok(T::default()) } else { typed(data, root) }
}

fn typed<T: DeserializeOwned>(data: &Data, root: &str) -> Result<T, BundleError> {
    json::read(data.member(root).cloned().unwrap_or_default()).map_err(|e| {
        let what = format!("`{}` at `{}` in data.{root}", e.detail.replace('`', "'"), e.pointer);
        Finding::new(data.place(root, &e.pointer), what, "correct the entry").into()
    })
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
