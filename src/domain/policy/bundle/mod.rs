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

mod data;
mod directory;
mod files;
mod finding;
mod quorum;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use directory::{ActPattern, Agent, Approver, Workspace};
pub use files::{BundleFiles, MAX_BYTES, MAX_FILES};
pub use finding::{BundleError, Finding, Place};

use super::profile::{self, Modules};
use crate::domain::catalogue::Catalogue;
use crate::domain::id::{Revision, Sha256Digest, WorkspaceId};
use crate::domain::json;
use crate::domain::leg::Templates;
use crate::domain::spiffe::SpiffeId;

use data::Data;
use directory::Directories;

/// A bundle that is inside the safe profile.
#[derive(Debug)]
pub struct Bundle {
    revision: Revision,
    digest: Sha256Digest,
    catalogue: Catalogue,
    directories: Directories,
    templates: Templates,
    modules: Modules,
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
        let revision = revision(files, digest)?;
        let catalogue = catalogue(&data)?;
        quorum::check(&data, &catalogue)?;
        let directories = Directories {
            approvers: typed_or_empty(&data, "approvers")?,
            agents: typed_or_empty(&data, "agents")?,
            workspaces: typed_or_empty(&data, "workspaces")?,
        };
        if let Some((id, member, what)) = directories.defect() {
            let pointer = format!("/{}/{member}", id.as_str().replace('~', "~0").replace('/', "~1"));
            let place = data.place("approvers", &pointer);
            return Err(Finding::new(place, format!("approver `{id}`: {what}"), "correct the entry").into());
        }
        let templates = Templates::parse(&typed_or_empty(&data, "leg_templates")?).map_err(|error| {
            let place = data.place("leg_templates", &format!("/{}{}", error.template, error.pointer));
            BundleError::from(Finding::new(place, error.to_string(), "correct the template; `atb leg lint` says more"))
        })?;
        let modules = profile::admit(&rego_texts(files)?, &data.document).map_err(BundleError::new)?;
        Ok(Self { revision, digest, catalogue, directories, templates, modules, data: data.document })
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
        self.directories.workspaces.get(id).copied().unwrap_or_default()
    }

    /// The legal templates in force.
    pub fn templates(&self) -> &Templates {
        &self.templates
    }

    /// The Rego, one source a package.
    pub fn modules(&self) -> &Modules {
        &self.modules
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

fn revision(files: &BundleFiles, digest: Sha256Digest) -> Result<Revision, BundleError> {
    const FILE: &str = ".manifest";
    let refuse = |what: String| Finding::new(Place::file(FILE), what, "write an OPA manifest, {\"revision\": \"…\"}");
    let named = match files.find(FILE) {
        None => None,
        Some(bytes) => {
            let manifest = json::parse(bytes).map_err(|e| refuse(e.to_string()))?;
            match manifest.get("revision") {
                None => None,
                Some(Value::String(text)) if text.is_empty() => None,
                Some(Value::String(text)) => Some(text.clone()),
                Some(_) => return Err(refuse("`revision` is not a string".to_owned()).into()),
            }
        }
    };
    let text = named.unwrap_or_else(|| format!("dev-{}", digest.to_hex().chars().take(12).collect::<String>()));
    text.parse().map_err(|e: crate::domain::id::IdError| refuse(e.to_string()).into())
}

fn catalogue(data: &Data) -> Result<Catalogue, BundleError> {
    const ROOT: &str = "catalogue";
    if data.member(ROOT).is_none() {
        let what = "there is no catalogue";
        return Err(Finding::new(Place::whole(), what, "add catalogue/data.json with the acts").into());
    }
    let catalogue: Catalogue = typed(data, ROOT)?;
    match catalogue.defect() {
        None => Ok(catalogue),
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

fn rego_texts(files: &BundleFiles) -> Result<Vec<(&str, &str)>, BundleError> {
    let is_rego = |path: &str| path.rsplit('/').next().is_some_and(|name| name.ends_with(".rego"));
    files
        .iter()
        .filter(|(path, _)| is_rego(path))
        .map(|(path, content)| {
            let text = std::str::from_utf8(content);
            Ok((path, text.map_err(|_| Finding::new(Place::file(path), "not UTF-8", "save the file as UTF-8"))?))
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
