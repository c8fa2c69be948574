//! Several bundles as one, and files named as they were given.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::files;
use crate::domain::policy::bundle::BundleFiles;

/// The files of one or several bundles, and where each came from.
pub(super) struct Sources {
    pub(super) files: BundleFiles,
    origins: BTreeMap<String, PathBuf>,
    paths: Vec<PathBuf>,
}

impl Sources {
    /// Reads the bundles at `paths`, or the one that the configuration or `./opa` names.
    pub(super) fn read(paths: &[PathBuf], config: &Path) -> anyhow::Result<Self> {
        let named: Vec<Option<&Path>> =
            if paths.is_empty() { vec![None] } else { paths.iter().map(|path| Some(path.as_path())).collect() };
        let mut sources = Self { files: BundleFiles::default(), origins: BTreeMap::new(), paths: Vec::new() };
        let mut collected = Vec::new();
        for path in named {
            let (path, found) = files::read(path, config)?;
            for (name, content) in found.iter() {
                sources.origins.insert(name.to_owned(), path.clone());
                collected.push((name.to_owned(), content.to_vec()));
            }
            sources.paths.push(path);
        }
        sources.files = BundleFiles::new(collected)?;
        Ok(sources)
    }

    /// The same as OPA reads it with `--v0-compatible`, where that is wanted.
    pub(super) fn in_version(self, v0_compatible: bool) -> anyhow::Result<Self> {
        Ok(Self { files: files::in_version(self.files, v0_compatible)?, ..self })
    }

    /// Adds one more document or module: a folder as a bundle, a `.json` or `.yaml` file at the root of `data`.
    pub(super) fn add(&mut self, path: &Path) -> anyhow::Result<()> {
        let mut files: Vec<(String, Vec<u8>)> =
            self.files.iter().map(|(name, content)| (name.to_owned(), content.to_vec())).collect();
        if path.is_dir() {
            let (_, found) = files::read(Some(path), Path::new(""))?;
            files.extend(found.iter().map(|(name, content)| (name.to_owned(), content.to_vec())));
        } else {
            let content = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let name = match path.extension().and_then(|extension| extension.to_str()) {
                Some("json") => "data.json".to_owned(),
                Some("yaml" | "yml") => "data.yaml".to_owned(),
                Some("rego") => format!("extra/{name}"),
                _ => bail!("`{}` is neither .json, .yaml, .rego nor a folder", path.display()),
            };
            files.push((name, content));
        }
        self.files = BundleFiles::new(files)?;
        Ok(())
    }

    /// A file of the bundle as people gave it: below the path that it was read from.
    pub(super) fn shown(&self, file: &str) -> String {
        match self.origins.get(file) {
            Some(path) => path.join(file).display().to_string().trim_start_matches("./").to_owned(),
            None => file.to_owned(),
        }
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<String> = self.paths.iter().map(|path| format!("`{}`", path.display())).collect();
        write!(f, "the bundle {}", paths.join(", "))
    }
}

/// A duration as Go writes it: `5s`, `500ms`, `1m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or("a number and a unit: 5s, 500ms, 1m")?;
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err("the unit is ms, s or m".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| format!("`{number}` is not a number"))?;
    let seconds = number * seconds;
    if (0.001..=600.0).contains(&seconds) { Ok(Duration::from_secs_f64(seconds)) } else { Err("1ms to 10m".to_owned()) }
}
