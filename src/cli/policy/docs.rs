//! `atb policy docs`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use super::files;
use crate::cli::output;
use crate::service::toolchain::docs;

/// Write the catalogue and the rules as Markdown pages, or hold the pages that are there against the bundle.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "EXAMPLES:\n  atb policy docs\n  atb policy docs opa --out docs/policy\n  atb policy docs --check\n\nEXIT CODES: 0 done, 1 with --check: the pages differ, 2 the bundle does not load or the pages cannot be written"
)]
pub(super) struct Args {
    /// The bundle; the configuration's bundle or ./opa without it.
    path: Option<PathBuf>,
    /// The folder of the pages.
    #[arg(long, default_value = "docs/policy", value_name = "DIR")]
    out: PathBuf,
    /// Write nothing; say which pages differ.
    #[arg(long)]
    check: bool,
    /// Where the bundle is written down when no path is given.
    #[arg(long, default_value = "atb.toml", value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (path, files) = files::read(args.path.as_deref(), &args.config)?;
    let pages = docs::pages(&files).with_context(|| format!("the bundle `{}`", path.display()))?;
    let found = existing(&args.out).with_context(|| format!("the pages in `{}`", args.out.display()))?;
    let drift = docs::drift(&pages, &found);
    if args.check {
        drift.iter().for_each(|line| output::line(&format!("{}/{line}", args.out.display())));
        if drift.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        output::note("the pages are not those of the bundle: run `atb policy docs`");
        return Ok(ExitCode::FAILURE);
    }
    write(&args.out, &pages, &found).with_context(|| format!("the pages in `{}`", args.out.display()))?;
    output::line(&format!("{} pages in {}", pages.len(), args.out.display()));
    Ok(ExitCode::SUCCESS)
}

/// The Markdown pages below a folder, by relative path.
fn existing(folder: &Path) -> std::io::Result<BTreeMap<String, String>> {
    let (mut pages, mut pending) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(at) = pending.pop() {
        if !at.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&at)? {
            let path = entry?.path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
                pages.insert(name, fs::read_to_string(&path)?);
            }
        }
    }
    Ok(pages)
}

/// Writes what changed, and takes away pages of ours that are no longer there; a page of another hand stays.
fn write(folder: &Path, pages: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> std::io::Result<()> {
    for (name, text) in pages.iter().filter(|(name, text)| found.get(*name) != Some(text)) {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    for (name, _) in found.iter().filter(|(name, text)| !pages.contains_key(*name) && docs::is_generated(text)) {
        fs::remove_file(folder.join(name))?;
    }
    Ok(())
}
