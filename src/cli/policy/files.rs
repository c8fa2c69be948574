//! A bundle as the commands are given it: a path, or else the configuration's bundle, or `./opa`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::adapters::bundle_archive;
use crate::config::Config;
use crate::domain::policy::bundle::{self, BundleFiles};

/// The folder where no path is given: the configuration's bundle, or `./opa` where there is no configuration.
pub(super) fn default_dir(config: &Path) -> anyhow::Result<PathBuf> {
    if config.exists() {
        return Ok(Config::load(config)?.bundle_dir);
    }
    let here = PathBuf::from("opa");
    if here.is_dir() {
        Ok(here)
    } else {
        bail!("no bundle: name its folder or archive, or a configuration with --config")
    }
}

/// Reads the files of a bundle, a folder or an archive. Whether it is signed, and by whom, is `atb policy verify`'s to say.
pub(super) fn read(path: Option<&Path>, config: &Path) -> anyhow::Result<(PathBuf, BundleFiles)> {
    let path = path.map_or_else(|| default_dir(config), |path| Ok(path.to_owned()))?;
    let read = bundle_archive::read_path(&path).with_context(|| format!("the bundle `{}`", path.display()))?;
    Ok((path, read.files))
}

/// The same, read as OPA reads it with `--v0-compatible`, where that is wanted.
pub(super) fn in_version(files: BundleFiles, v0_compatible: bool) -> anyhow::Result<BundleFiles> {
    if v0_compatible { Ok(bundle::v0_compatible(&files)?) } else { Ok(files) }
}
