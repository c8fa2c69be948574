//! The version of Rego of each file, as the manifest says it: `rego_version` for all, `file_rego_versions` for some.
//!
//! Both are OPA's (documentation, "Bundles", `.manifest`). A pattern of `file_rego_versions` is a file's path with a slash
//! in front, in which `*` stands for any text and `?` for any character. Where two patterns that say different things
//! fit a file, OPA takes either; here the bundle is refused.

use std::collections::BTreeMap;

use super::finding::{BundleError, Finding, Place};
use super::{BundleFiles, MANIFEST, Manifest};
use crate::domain::policy::profile::{RegoText, RegoVersion};

const MAX_PATTERNS: usize = 256;

/// The versions that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegoVersions {
    all: Option<u64>,
    files: BTreeMap<String, u64>,
}

impl RegoVersions {
    /// Of the two members of a manifest.
    pub(super) fn new(all: Option<u64>, files: BTreeMap<String, u64>) -> Result<Self, Finding> {
        const FIX: &str = "write 0 or 1";
        let refuse = |what: String, fix| Err(Finding::new(Place::file(MANIFEST), what, fix));
        if all.is_some_and(|version| version > 1) {
            return refuse("`rego_version` is neither 0 nor 1".to_owned(), FIX);
        }
        if files.len() > MAX_PATTERNS {
            return refuse(format!("`file_rego_versions` has more than {MAX_PATTERNS} entries"), "use fewer patterns");
        }
        for (pattern, version) in &files {
            if *version > 1 {
                return refuse(format!("`file_rego_versions` of `{pattern}` is neither 0 nor 1"), FIX);
            }
            if pattern.contains(['[', ']', '{', '}', '\\']) {
                let fix = "name the file, or use `*` and `?`";
                return refuse(format!("`file_rego_versions` has the pattern `{pattern}`"), fix);
            }
        }
        Ok(Self { all, files })
    }

    /// The version of all files that no pattern fits, where one is named.
    pub fn named(&self) -> Option<u64> {
        self.all
    }

    /// The patterns.
    pub fn files(&self) -> &BTreeMap<String, u64> {
        &self.files
    }

    /// The same with the version of all files named.
    pub(super) fn spelt_out(self) -> Self {
        Self { all: self.all.or(Some(1)), ..self }
    }

    /// The same with v0 for what no pattern names.
    pub(super) fn of_v0(self) -> Self {
        Self { all: Some(0), ..self }
    }

    /// The version of a file of the bundle.
    ///
    /// # Errors
    /// When two patterns say different things of it.
    pub(crate) fn of(&self, path: &str) -> Result<RegoVersion, Finding> {
        let path = format!("/{}", path.trim_start_matches('/'));
        let mut fitting = self.files.iter().filter(|(pattern, _)| fits(pattern, &path)).map(|(_, version)| *version);
        let first = fitting.next();
        if first.is_some_and(|first| fitting.any(|other| other != first)) {
            let what = format!("`file_rego_versions` says both 0 and 1 of `{path}`");
            return Err(Finding::new(Place::file(MANIFEST), what, "let one pattern fit each file"));
        }
        Ok(if first.or(self.all) == Some(0) { RegoVersion::V0 } else { RegoVersion::V1 })
    }
}

/// A glob without classes: by halves, so that no pattern takes long.
fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<char>, Vec<char>) = (pattern.chars().collect(), path.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < path.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || Some(c) == path.get(t) => (p, t) = (p + 1, t + 1),
            _ => match &mut star {
                Some((at, from)) => {
                    *from += 1;
                    (p, t) = (*at + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

/// The Rego of a bundle, each text with its version.
///
/// # Errors
/// When the manifest is none, or a file is not UTF-8.
pub(crate) fn rego_texts(files: &BundleFiles) -> Result<Vec<RegoText<'_>>, BundleError> {
    let manifest = Manifest::of(files)?;
    let rego = files.iter().filter(|(path, _)| path.ends_with(".rego"));
    let text = |(path, content)| {
        let text = std::str::from_utf8(content);
        let text = text.map_err(|_| Finding::new(Place::file(path), "not UTF-8", "save the file as UTF-8"))?;
        Ok(RegoText { path, text, version: manifest.rego_versions().of(path)? })
    };
    rego.map(text).collect()
}

/// The same bundle read as OPA reads one with `--v0-compatible`: what its manifest says of no version is Rego v0.
///
/// # Errors
/// When it has no manifest that can be read, or gets too large.
pub fn v0_compatible(files: &BundleFiles) -> Result<BundleFiles, BundleError> {
    let manifest = Manifest::of(files)?;
    if manifest.rego_versions().named().is_some() {
        return Ok(files.clone());
    }
    let others = files.iter().filter(|(path, _)| *path != MANIFEST);
    let others = others.map(|(path, content)| (path.to_owned(), content.to_vec()));
    let ours = (MANIFEST.to_owned(), manifest.of_v0().to_json());
    BundleFiles::new(others.chain([ours]))
        .map_err(|error| Finding::new(Place::whole(), error.to_string(), "make it smaller").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_as_a_glob_does() {
        for (pattern, path, fitting) in [
            ("/a.rego", "/a.rego", true),
            ("/a.rego", "/b/a.rego", false),
            ("*", "/b/a.rego", true),
            ("/b/*", "/b/c/a.rego", true),
            ("*/a.rego", "/b/a.rego", true),
            ("/?.rego", "/a.rego", true),
            ("/?.rego", "/ab.rego", false),
            ("/*b*c", "/abxbxc", true),
            ("/*b*c", "/abxbx", false),
            ("", "/a", false),
        ] {
            assert_eq!(fits(pattern, path), fitting, "{pattern} {path}");
        }
    }

    #[test]
    fn a_file_has_the_version_that_its_pattern_or_the_bundle_names() {
        let versions = |all, files: &[(&str, u64)]| {
            RegoVersions::new(all, files.iter().map(|(path, v)| ((*path).to_owned(), *v)).collect())
        };
        let one = versions(Some(0), &[("/new/*", 1)]).unwrap();
        assert_eq!(one.of("a.rego").unwrap(), RegoVersion::V0);
        assert_eq!(one.of("new/a.rego").unwrap(), RegoVersion::V1);
        assert_eq!(RegoVersions::default().of("a.rego").unwrap(), RegoVersion::V1);
        let both = versions(None, &[("/a*", 0), ("*.rego", 1)]).unwrap();
        assert!(both.of("a.rego").unwrap_err().what.contains("both 0 and 1"));
        assert_eq!(both.of("b.rego").unwrap(), RegoVersion::V1);
        for (all, files) in [(Some(2), vec![]), (None, vec![("/a", 2)]), (None, vec![("/[ab]", 0)])] {
            assert!(versions(all, &files).is_err());
        }
    }
}
