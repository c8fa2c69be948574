//! Templates and catalogue as files: a bundle, its `leg_templates`, one folder of it, or one file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::adapters::bundle_archive;
use crate::adapters::clock::SystemClock;
use crate::config::Config;
use crate::domain::catalogue::Catalogue;
use crate::domain::json;
use crate::domain::leg::lint::{self, Source};
use crate::domain::leg::{Day, LegTemplate};
use crate::service::ports::Clock as _;

const FOLDER: &str = "leg_templates";
const DATA: [&str; 3] = ["data.yaml", "data.yml", "data.json"];

/// What a path leads to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Every template of the bundle that the path is in.
    pub(super) templates: Vec<Source>,
    /// The files that the path names.
    pub(super) named: BTreeSet<String>,
    /// Whether the path is the whole bundle.
    pub(super) whole: bool,
    pub(super) catalogue: Option<Source>,
}

impl Found {
    /// Reads a bundle's folder, a part of it below `leg_templates`, or one file.
    pub(super) fn at(path: &Path) -> anyhow::Result<Self> {
        if path.join(FOLDER).is_dir() {
            return Self::bundle(path, None);
        }
        if let Some(root) = root_of(path).filter(|_| path.exists()) {
            return Self::bundle(&root, Some(path));
        }
        let file = if path.is_dir() {
            let file = DATA.iter().map(|name| path.join(name)).find(|file| file.is_file());
            file.with_context(|| {
                format!("{}: neither a bundle with `{FOLDER}` nor a template's folder", path.display())
            })?
        } else {
            path.to_owned()
        };
        let text = std::fs::read_to_string(&file).with_context(|| format!("{}: cannot be read", file.display()))?;
        let shown = file.display().to_string();
        let named = BTreeSet::from([shown.clone()]);
        Ok(Self { templates: vec![Source { file: shown, folder: None, text }], named, whole: false, catalogue: None })
    }

    /// The templates that the path names.
    pub(super) fn named(&self) -> impl Iterator<Item = &Source> {
        self.templates.iter().filter(|source| self.named.contains(&source.file))
    }

    /// The named templates by id, as values.
    pub(super) fn values(&self) -> anyhow::Result<BTreeMap<String, Value>> {
        self.named()
            .map(|source| {
                let value = value_of(source)?;
                let id = value.get("id").and_then(Value::as_str).map(str::to_owned);
                let id = id.or_else(|| source.folder.clone()).with_context(|| format!("{}: no `id`", source.file))?;
                Ok((id, value))
            })
            .collect()
    }

    /// The named templates as the services take them.
    pub(super) fn loaded(&self) -> anyhow::Result<Vec<LegTemplate>> {
        self.named()
            .map(|source| {
                let value = value_of(source)?;
                let id = source.folder.as_deref().or_else(|| value.get("id")?.as_str()).unwrap_or_default();
                let id = id.parse().with_context(|| source.file.clone())?;
                LegTemplate::parse(&id, &value).with_context(|| format!("{}: `atb leg lint` says more", source.file))
            })
            .collect()
    }

    /// The catalogue, where the path is in a bundle that has one.
    pub(super) fn catalogue(&self) -> anyhow::Result<Option<Catalogue>> {
        let Some(source) = &self.catalogue else { return Ok(None) };
        let value = value_of(source)?;
        json::read(value).map(Some).with_context(|| source.file.clone())
    }

    fn bundle(root: &Path, within: Option<&Path>) -> anyhow::Result<Self> {
        let files = bundle_archive::read_path(root)?.files;
        let mut found = Self { whole: within.is_none(), ..Self::default() };
        for (name, content) in files.iter() {
            let path = if root == Path::new(".") { PathBuf::from(name) } else { root.join(name) };
            let text = || {
                let text = String::from_utf8(content.to_vec());
                text.with_context(|| format!("{}: not UTF-8; save it as UTF-8", path.display()))
            };
            let parts: Vec<&str> = name.split('/').collect();
            let shown = path.display().to_string();
            match parts.as_slice() {
                [FOLDER, folder, data] if DATA.contains(data) => {
                    if within.is_none_or(|within| path.starts_with(within)) {
                        found.named.insert(shown.clone());
                    }
                    found.templates.push(Source { file: shown, folder: Some((*folder).to_owned()), text: text()? });
                }
                ["catalogue", data] if DATA.contains(data) => {
                    found.catalogue = Some(Source { file: shown, folder: None, text: text()? });
                }
                _ => {}
            }
        }
        if found.named.is_empty() {
            bail!("{}: no legal template ({FOLDER}/<id>/data.yaml)", within.unwrap_or(root).display());
        }
        Ok(found)
    }
}

/// The bundle around a path below `leg_templates`.
fn root_of(path: &Path) -> Option<PathBuf> {
    let above = path.ancestors().find(|above| above.file_name().is_some_and(|name| name == FOLDER))?;
    let root = above.parent()?;
    Some(if root.as_os_str().is_empty() { PathBuf::from(".") } else { root.to_owned() })
}

fn value_of(source: &Source) -> anyhow::Result<Value> {
    lint::value_of(source).map_err(|finding| anyhow::anyhow!("{finding}"))
}

/// The bundle where none is named: the configuration's, or `./opa`.
pub(super) fn default_dir(config: &Path) -> anyhow::Result<PathBuf> {
    if config.is_file() { Ok(Config::load(config)?.bundle_dir) } else { Ok(PathBuf::from("opa")) }
}

/// The day that is given, or today's.
pub(super) fn day(given: Option<&str>) -> anyhow::Result<Day> {
    match given {
        Some(text) => Day::try_from(text.to_owned()).with_context(|| format!("--today {text}")),
        None => Ok(Day::of(SystemClock.now())),
    }
}
