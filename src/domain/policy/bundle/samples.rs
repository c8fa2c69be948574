//! Bundles for tests: the base of `tests/vectors/bundle` with files replaced, added or removed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Bundle, BundleFiles};

/// The folder of the vectors.
pub(crate) fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/bundle")
}

/// The base bundle's files.
pub(crate) fn base() -> Vec<(String, Vec<u8>)> {
    let root = vectors().join("base");
    ["policy", "catalogue", "approvers", "agents"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect()
}

/// The base bundle's files with some of them replaced or added.
pub(crate) fn with(changes: &[(&str, &str)]) -> BundleFiles {
    let kept = base().into_iter().filter(|(path, _)| changes.iter().all(|(changed, _)| changed != path));
    let changed = changes.iter().map(|(path, content)| ((*path).to_owned(), content.as_bytes().to_vec()));
    BundleFiles::new(kept.chain(changed)).unwrap()
}

/// The base bundle with another policy for calls.
pub(crate) fn with_poa(rego: &str) -> Arc<Bundle> {
    Arc::new(
        Bundle::parse(&with(&[("policy/poa.rego", rego), ("policy/poa_test.rego", "package atb.poa_test\n")])).unwrap(),
    )
}
