//! The tool of those who write policy, as they run it: one file a command.

mod bench;
mod data_api;
mod differential;
mod eval;
mod test;
mod v0;

use std::path::{Path, PathBuf};

use super::process::{Ran, atb};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `atb policy` in a folder.
fn policy(folder: &Path, args: &[&str]) -> Ran {
    Ran::of(atb(["policy"]).current_dir(folder).args(args))
}

/// A folder with the base bundle of the vectors and these files, in `opa`.
fn bundle(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&root().join("tests/vectors/bundle/base"), &folder.path().join("opa"));
    for (name, text) in files {
        let path = folder.path().join("opa").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { assert!(std::fs::copy(&path, &target).is_ok()) }
    }
}

/// `text` is in the file; with UPDATE_VECTORS set, it is written there.
fn golden(file: &str, text: &str) {
    let path = root().join("tests/golden").join(file);
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{file} says something else; look at the change and set UPDATE_VECTORS=1\n{text}");
}
