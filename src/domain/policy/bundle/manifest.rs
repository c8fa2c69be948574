//! `.manifest`: what a bundle says of itself, in OPA's format (OPA documentation, "Bundles", `.manifest`).
//!
//! The members are OPA's: `revision`, `roots`, `rego_version`, `file_rego_versions`, `wasm`, `metadata`. Three members of
//! `metadata` are ours: `sequence` (a higher one follows a lower one), `expires_at` and `built_with`; what else is in
//! `metadata` is its author's. Because the manifest is among the signed files, these are signed too.
//!
//! INVARIANT: a manifest that was read asks for nothing that we do not do: no WebAssembly, no plan, no patch, and of Rego
//! v0 and v1 only.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::finding::{BundleError, Finding, Place};
use super::rego_version::RegoVersions;
use super::{BundleFiles, opa_hash};
use crate::domain::id::Revision;
use crate::domain::json;
use crate::domain::time::Timestamp;

/// The manifest's path.
pub const MANIFEST: &str = ".manifest";
const SEQUENCE: &str = "sequence";
const EXPIRES_AT: &str = "expires_at";
const BUILT_WITH: &str = "built_with";
const MAX_ROOTS: usize = 64;
const MAX_NODES: usize = 2_000;
/// 2^53 - 1, the largest integer that every JSON reader agrees on (RFC 7493 §2.2).
const MAX_SEQUENCE: u64 = 9_007_199_254_740_991;
/// Files that ask for another kind of evaluation than Rego's, by the last segment of their path, and why they are refused.
const FOREIGN_FILES: [(&str, &str, &str); 5] = [
    ("policy.wasm", "a WebAssembly module is not evaluated", "build the bundle with `opa build -t rego`"),
    ("plan.json", "a plan is not evaluated", "build the bundle with `opa build -t rego`"),
    ("plan.pb", "a plan is not evaluated", "build the bundle with `opa build -t rego`"),
    ("patch.json", "a delta bundle is not applied", "send the whole bundle"),
    (".manifest.pb", "a manifest in protobuf is not read", "write `.manifest` in JSON"),
];

/// The place of a bundle in the order of releases: a higher one follows a lower one. 1 to 2^53 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Sequence(u64);

impl Sequence {
    /// The sequence `number`; `None` for 0 and above 2^53 - 1.
    pub fn new(number: u64) -> Option<Self> {
        (1..=MAX_SEQUENCE).contains(&number).then_some(Self(number))
    }

    /// The number.
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

/// A number that is no sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sequence is a whole number from 1 to {MAX_SEQUENCE}")]
pub struct SequenceError;

impl TryFrom<u64> for Sequence {
    type Error = SequenceError;

    fn try_from(number: u64) -> Result<Self, SequenceError> {
        Self::new(number).ok_or(SequenceError)
    }
}

impl From<Sequence> for u64 {
    fn from(sequence: Sequence) -> Self {
        sequence.0
    }
}

impl FromStr for Sequence {
    type Err = SequenceError;

    fn from_str(text: &str) -> Result<Self, SequenceError> {
        text.parse().ok().and_then(Self::new).ok_or(SequenceError)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a bundle says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    revision: Option<Revision>,
    roots: Vec<String>,
    sequence: Option<Sequence>,
    expires_at: Option<Timestamp>,
    built_with: Option<String>,
    rego_versions: RegoVersions,
    /// Members of `metadata` that are not ours.
    metadata: Map<String, Value>,
}

impl Default for Manifest {
    fn default() -> Self {
        let (roots, metadata, rego_versions) = (vec![String::new()], Map::new(), RegoVersions::default());
        Self { revision: None, roots, sequence: None, expires_at: None, built_with: None, rego_versions, metadata }
    }
}

/// What a release adds to a manifest.
#[derive(Debug, Clone)]
pub struct Release {
    /// The revision that mandates and decisions name.
    pub revision: Revision,
    /// Its place in the order of releases.
    pub sequence: Sequence,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// What built it.
    pub built_with: String,
}

impl Manifest {
    /// Reads the manifest of a bundle; one without a manifest has the default one.
    ///
    /// # Errors
    /// When it is not a manifest, or it or a file asks for what we do not evaluate.
    pub fn of(files: &BundleFiles) -> Result<Self, BundleError> {
        let foreign: Vec<_> = files.iter().filter_map(|(path, _)| foreign_file(path)).collect();
        if !foreign.is_empty() {
            return Err(BundleError::new(foreign));
        }
        let Some(bytes) = files.find(MANIFEST) else { return Ok(Self::default()) };
        let value = json::parse_document(bytes, MAX_NODES).map_err(|e| {
            let place = Place { file: MANIFEST, line: e.line, column: e.column };
            Finding::new(place, e.error.to_string(), "write an OPA manifest, {\"revision\": \"…\"}")
        })?;
        let wire: Wire = json::read(value).map_err(|e| refuse(&e.to_string(), "write an OPA manifest"))?;
        wire.admit()
    }

    /// The revision, where one is named.
    pub fn revision(&self) -> Option<&Revision> {
        self.revision.as_ref()
    }

    /// The place in the order of releases.
    pub fn sequence(&self) -> Option<Sequence> {
        self.sequence
    }

    /// From when on the bundle is refused.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// What built it.
    pub fn built_with(&self) -> Option<&str> {
        self.built_with.as_deref()
    }

    /// The versions of Rego of the files.
    pub fn rego_versions(&self) -> &RegoVersions {
        &self.rego_versions
    }

    /// This manifest with Rego v0 for all files that no pattern names.
    #[must_use]
    pub(super) fn of_v0(self) -> Self {
        Self { rego_versions: self.rego_versions.of_v0(), ..self }
    }

    /// The paths below `data` that the bundle owns, without slashes at the ends; one empty root is everything.
    pub fn roots(&self) -> &[String] {
        &self.roots
    }

    /// Whether the bundle owns the path below `data`, written with slashes.
    pub fn owns(&self, path: &str) -> bool {
        self.roots.iter().any(|root| is_below(path, root))
    }

    /// Whether a root is further down than the path.
    pub fn leads_to_a_root(&self, path: &str) -> bool {
        self.roots.iter().any(|root| is_below(root, path))
    }

    /// This manifest as that of a release.
    #[must_use]
    pub fn released(self, release: Release) -> Self {
        let Release { revision, sequence, expires_at, built_with } = release;
        let (revision, sequence, built_with) = (Some(revision), Some(sequence), Some(built_with));
        let rego_versions = self.rego_versions.spelt_out();
        Self { revision, sequence, expires_at, built_with, rego_versions, ..self }
    }

    /// The manifest as it is written into a bundle: one form for one content.
    pub fn to_json(&self) -> Vec<u8> {
        let mut metadata = self.metadata.clone();
        if let Some(sequence) = self.sequence {
            metadata.insert(SEQUENCE.to_owned(), json!(sequence));
        }
        if let Some(expires_at) = self.expires_at {
            metadata.insert(EXPIRES_AT.to_owned(), json!(expires_at));
        }
        if let Some(built_with) = &self.built_with {
            metadata.insert(BUILT_WITH.to_owned(), json!(built_with));
        }
        let mut manifest = Map::from_iter([
            ("revision".to_owned(), json!(self.revision.as_ref().map_or("", Revision::as_str))),
            ("roots".to_owned(), json!(self.roots)),
            ("rego_version".to_owned(), json!(self.rego_versions.named().unwrap_or(1))),
        ]);
        if !self.rego_versions.files().is_empty() {
            manifest.insert("file_rego_versions".to_owned(), json!(self.rego_versions.files()));
        }
        if !metadata.is_empty() {
            manifest.insert("metadata".to_owned(), Value::Object(metadata));
        }
        let mut bytes = json::canonical(&Value::Object(manifest));
        bytes.push(b'\n');
        bytes
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(default)]
    revision: String,
    roots: Option<Vec<String>>,
    rego_version: Option<u64>,
    #[serde(default)]
    file_rego_versions: BTreeMap<String, u64>,
    #[serde(default)]
    wasm: Vec<Value>,
    #[serde(default)]
    metadata: Map<String, Value>,
}

impl Wire {
    fn admit(self) -> Result<Manifest, BundleError> {
        if !self.wasm.is_empty() {
            let fix = "build the bundle with `opa build -t rego`";
            return Err(refuse("`wasm` names WebAssembly, which is not evaluated", fix).into());
        }
        let revision = match self.revision.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|e| refuse(&format!("{e}"), "choose another revision"))?),
        };
        let mut metadata = self.metadata;
        Ok(Manifest {
            revision,
            roots: roots(self.roots)?,
            sequence: ours(&mut metadata, SEQUENCE)?,
            expires_at: ours(&mut metadata, EXPIRES_AT)?,
            built_with: ours(&mut metadata, BUILT_WITH)?,
            rego_versions: RegoVersions::new(self.rego_version, self.file_rego_versions)?,
            metadata,
        })
    }
}

/// Takes one of our members out of `metadata`.
fn ours<T: serde::de::DeserializeOwned>(
    metadata: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<T>, BundleError> {
    let Some(value) = metadata.remove(name) else { return Ok(None) };
    json::read(value).map(Some).map_err(|e| {
        let what = format!("`metadata.{name}`: {}", e.detail);
        refuse(&what, "write `sequence` as a whole number from 1 and `expires_at` as an RFC 3339 time").into()
    })
}

fn roots(named: Option<Vec<String>>) -> Result<Vec<String>, BundleError> {
    const FIX: &str = "name each part of `data` once";
    let Some(named) = named else { return Ok(vec![String::new()]) };
    if !(1..=MAX_ROOTS).contains(&named.len()) {
        return Err(refuse(&format!("`roots` has not 1 to {MAX_ROOTS} entries"), FIX).into());
    }
    let roots: Vec<String> = named.iter().map(|root| root.trim_matches('/').to_owned()).collect();
    for (i, one) in roots.iter().enumerate() {
        if let Some(other) = roots.iter().skip(i + 1).find(|other| is_below(one, other) || is_below(other, one)) {
            return Err(refuse(&format!("the roots `{one}` and `{other}` overlap"), FIX).into());
        }
    }
    Ok(roots)
}

fn is_below(path: &str, root: &str) -> bool {
    root.is_empty() || path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn foreign_file(path: &str) -> Option<Finding> {
    let name = opa_hash::file_name(path);
    let (_, what, fix) = FOREIGN_FILES.iter().find(|(file, ..)| *file == name)?;
    Some(Finding::new(Place::file(path), *what, *fix))
}

fn refuse(what: &str, fix: &str) -> Finding {
    Finding::new(Place::file(MANIFEST), what, fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Manifest, BundleError> {
        Manifest::of(&BundleFiles::new([(MANIFEST.to_owned(), text.as_bytes().to_vec())]).unwrap())
    }

    #[test]
    fn a_manifest_that_opa_writes_is_read() {
        let manifest =
            read(r#"{"revision":"r1","roots":["atb","/catalogue/"],"rego_version":1,"metadata":{"by":"ci"}}"#);
        let manifest = manifest.unwrap();
        assert_eq!(manifest.revision().unwrap().as_str(), "r1");
        assert_eq!(manifest.roots(), ["atb", "catalogue"]);
        assert_eq!((manifest.sequence(), manifest.expires_at()), (None, None));
        assert!(manifest.owns("atb/poa") && manifest.owns("atb") && !manifest.owns("atbx") && !manifest.owns("tiers"));
        assert!(read("{}").unwrap().owns("anything"));
        assert_eq!(read(r#"{"revision":""}"#).unwrap().revision(), None);
        let v0 = read(r#"{"rego_version":0,"file_rego_versions":{"/a.rego":1}}"#).unwrap();
        let text = String::from_utf8(v0.to_json()).unwrap();
        assert_eq!(
            text,
            "{\"file_rego_versions\":{\"/a.rego\":1},\"rego_version\":0,\"revision\":\"\",\"roots\":[\"\"]}\n"
        );
        assert_eq!(read(&text).unwrap(), v0);
    }

    #[test]
    fn a_release_is_written_in_one_form_and_read_back() {
        let before = read(r#"{"roots":[""],"metadata":{"by":"ci","sequence":3}}"#).unwrap();
        let release = Release {
            revision: "r2".parse().unwrap(),
            sequence: Sequence::new(4).unwrap(),
            expires_at: Some(Timestamp::from_secs(1_800_000_000)),
            built_with: "atb 0.1.0".to_owned(),
        };
        let released = before.released(release);
        let text = String::from_utf8(released.to_json()).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"metadata":{"built_with":"atb 0.1.0","by":"ci","expires_at":"2027-01-15T08:00:00.000Z","sequence":4},"#,
                r#""rego_version":1,"revision":"r2","roots":[""]}"#,
                "\n"
            )
        );
        assert_eq!(read(&text).unwrap(), released);
    }

    #[test]
    fn what_we_do_not_evaluate_or_cannot_read_in_one_way_is_refused_with_its_reason() {
        for (text, what) in [
            (r#"{"rego_version":2}"#, "rego_version"),
            (r#"{"file_rego_versions":{"/a.rego":2}}"#, "/a.rego"),
            (r#"{"file_rego_versions":{"/{a,b}.rego":0}}"#, "/{a,b}.rego"),
            (r#"{"wasm":[{"entrypoint":"a","module":"/policy.wasm"}]}"#, "WebAssembly"),
            (r#"{"roots":[]}"#, "roots"),
            (r#"{"roots":["a","a/b"]}"#, "overlap"),
            (r#"{"roots":["","a"]}"#, "overlap"),
            (r#"{"revision":7}"#, "/revision"),
            (r#"{"revision":"a b"}"#, "bundle revision"),
            (r#"{"revision":"a","revision":"b"}"#, "duplicate"),
            (r#"{"metadata":{"sequence":0}}"#, "metadata.sequence"),
            (r#"{"metadata":{"sequence":"5"}}"#, "metadata.sequence"),
            (r#"{"metadata":{"expires_at":"tomorrow"}}"#, "metadata.expires_at"),
            (r#"{"sequence":5}"#, "unknown field"),
            ("[]", "object"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.to_string().contains(what), "{text}: {error}");
            assert_eq!(error.findings()[0].file, MANIFEST);
        }
    }

    #[test]
    fn a_file_that_asks_for_another_evaluator_is_refused() {
        for (name, ..) in FOREIGN_FILES {
            let files = BundleFiles::new([(format!("sub/{name}"), Vec::new())]).unwrap();
            let error = Manifest::of(&files).expect_err(name);
            assert_eq!(error.findings()[0].file, format!("sub/{name}"));
        }
    }
}
