//! Everything that a bundle must come through before it may be put in force: signature, end of life, pin, sequence, the
//! child process with the bundle's own tests, the keys that it needs. Whole or not at all, in this order.
//!
//! INVARIANT: nothing of a bundle is parsed as Rego here before its signature holds, where one is required, and before a
//! child process came through it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;

use super::super::parts;
use crate::adapters::bundle_keys;
use crate::adapters::bundle_probe::{LoadError, ProbeError, ProbeLimits, load_files};
use crate::adapters::bundle_source::{Found, Origin, SourceError};
use crate::config::{Config, SourceConfig};
use crate::domain::id::{KeyId, Sha256Digest};
use crate::domain::policy::Bundle;
use crate::domain::policy::bundle::{
    BundleError, BundleFiles, Manifest, Sequence, SignaturePolicy, TrustedKeys, UnverifiedArchive,
};
use crate::domain::time::Timestamp;

/// The most characters of a finding on record.
const MAX_FINDING: usize = 300;

/// The gate of one process.
pub(in crate::app) struct Gate {
    exe: PathBuf,
    config: Config,
    /// None where no key is configured.
    keys: Option<TrustedKeys>,
    /// Whether this process commits to personal data.
    commits: bool,
    /// Whether a bundle is in force, so that the next one's child process steps back.
    serving: AtomicBool,
}

/// A bundle that may be put in force.
pub(in crate::app) struct Admitted {
    pub(in crate::app) bundle: Arc<Bundle>,
    pub(in crate::app) facts: BundleFacts,
    /// The archive, to be kept.
    pub(in crate::app) bytes: Option<Vec<u8>>,
}

/// What is known of a bundle beyond its content.
#[derive(Debug, Clone)]
pub(in crate::app) struct BundleFacts {
    pub(in crate::app) origin: Origin,
    pub(in crate::app) sequence: Option<Sequence>,
    pub(in crate::app) expires_at: Option<Timestamp>,
    pub(in crate::app) signed_by: Option<KeyId>,
}

/// Why a bundle is not put in force.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}: {what}")]
pub(in crate::app) struct Refused {
    /// A name of a closed list.
    pub(in crate::app) reason: &'static str,
    /// Where and what, and what to do; the first finding of several.
    pub(in crate::app) what: String,
    /// Of the files, or of the archive that could not be read.
    pub(in crate::app) digest: Option<Sha256Digest>,
    pub(in crate::app) origin: Option<Origin>,
}

/// The highest sequence that was ever in force, by the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::app) struct Highest {
    pub(in crate::app) sequence: Sequence,
    pub(in crate::app) digest: Sha256Digest,
}

impl Gate {
    /// Reads the keys that the configuration names.
    pub(in crate::app) fn new(config: &Config, exe: PathBuf, commits: bool) -> anyhow::Result<Self> {
        let paths = &config.policy.verification_keys;
        let keys = paths.iter().map(|path| {
            bundle_keys::read_trusted(path)
                .with_context(|| format!("the policy's verification key `{}`", path.display()))
        });
        let keys: Vec<_> = keys.collect::<anyhow::Result<_>>()?;
        let keys = if keys.is_empty() { None } else { Some(TrustedKeys::new(keys)?) };
        Ok(Self { exe, config: config.clone(), keys, commits, serving: AtomicBool::new(false) })
    }

    /// From here on questions are answered.
    pub(super) fn serve(&self) {
        self.serving.store(true, Ordering::Relaxed);
    }

    /// Takes what was found through the gate. Blocks until the child process has ended.
    pub(in crate::app) fn admit(
        &self,
        found: Found,
        source: &SourceConfig,
        highest: Option<Highest>,
        now: Timestamp,
    ) -> Result<Admitted, Refused> {
        let (origin, digest) = (found.origin, found.archive.files.digest());
        let refused = |refused: Refused| Refused { digest: Some(digest), origin: Some(origin), ..refused };
        let (files, manifest, signed_by) = self.believe(found.archive, source, now).map_err(refused)?;
        if source.pin.is_some_and(|pin| pin != digest) {
            let what = format!("the bundle's digest is {digest}, and another is pinned");
            return Err(refused(Refused::because("bundle_pin_mismatch", what)));
        }
        in_order(&manifest, digest, source, highest).map_err(refused)?;
        let limits = ProbeLimits { background: self.serving.load(Ordering::Relaxed), ..ProbeLimits::default() };
        let bundle = load_files(&self.exe, &files, limits).map_err(|error| refused(Refused::by_load(&error)))?;
        if self.commits {
            let key = parts::commitment_key(&self.config, &bundle);
            key.map_err(|error| refused(Refused::because("bundle_key_missing", error.to_string())))?;
        }
        let (sequence, expires_at) = (manifest.sequence(), manifest.expires_at());
        Ok(Admitted { bundle, facts: BundleFacts { origin, sequence, expires_at, signed_by }, bytes: found.bytes })
    }

    /// The files, once their signature holds where one is required or given.
    fn believe(
        &self,
        archive: UnverifiedArchive,
        source: &SourceConfig,
        now: Timestamp,
    ) -> Result<(BundleFiles, Manifest, Option<KeyId>), Refused> {
        if let Some(keys) = &self.keys
            && (source.require_signature || archive.signatures.is_some())
        {
            let policy = SignaturePolicy { keys: keys.clone(), scope: None, min_sequence: None };
            let verified =
                archive.verify(&policy, now).map_err(|error| Refused::because(error.code(), error.to_string()))?;
            let (manifest, key) = (verified.manifest().clone(), verified.signed_by().clone());
            return Ok((verified.into_files(), manifest, Some(key)));
        }
        if source.require_signature {
            return Err(Refused::because("bundle_key_unknown", "no verification key is configured"));
        }
        let manifest = Manifest::of(&archive.files).map_err(|error| Refused::by_findings("bundle_invalid", &error))?;
        if manifest.expires_at().is_some_and(|end| end <= now) {
            return Err(Refused::because("bundle_expired", "the bundle is past its `expires_at`: build it anew"));
        }
        Ok((archive.files, manifest, None))
    }
}

/// No way back but by a higher sequence. A folder without a sequence is its owner's to change as she likes.
fn in_order(
    manifest: &Manifest,
    digest: Sha256Digest,
    source: &SourceConfig,
    highest: Option<Highest>,
) -> Result<(), Refused> {
    let Some(highest) = highest else { return Ok(()) };
    let was = highest.sequence;
    match manifest.sequence() {
        None if source.require_signature => Err(Refused::because(
            "bundle_sequence_missing",
            format!("the bundle has no sequence, and {was} was in force: build it with a higher one"),
        )),
        None => Ok(()),
        Some(sequence) if sequence < was => Err(Refused::because(
            "bundle_sequence_too_low",
            format!("sequence {sequence} is lower than {was}, which was in force: roll back with a higher one"),
        )),
        Some(sequence) if sequence == was && digest != highest.digest => Err(Refused::because(
            "bundle_sequence_reused",
            format!("sequence {sequence} was in force with other files: build it with a higher one"),
        )),
        Some(_) => Ok(()),
    }
}

impl Refused {
    pub(super) fn because(reason: &'static str, what: impl Into<String>) -> Self {
        let what = what.into().chars().take(MAX_FINDING).collect();
        Self { reason, what, digest: None, origin: None }
    }

    /// An archive that is no bundle; none for a look that failed and says nothing of a bundle.
    pub(in crate::app) fn by_source(error: &SourceError) -> Option<Self> {
        let SourceError::Archive { digest, .. } = error else { return None };
        Some(Self { digest: Some(*digest), ..Self::because("bundle_unreadable", error.to_string()) })
    }

    fn by_load(error: &LoadError) -> Self {
        let reason = match error {
            LoadError::Probe(ProbeError::Refused(findings)) | LoadError::Parse(findings) => {
                return Self::by_findings("bundle_invalid", findings);
            }
            LoadError::Probe(ProbeError::Tests(_)) => "bundle_tests_failed",
            LoadError::Probe(ProbeError::Unusable(_)) => "bundle_unusable",
            LoadError::Probe(ProbeError::Timeout(_) | ProbeError::Crashed(_)) => "bundle_too_expensive",
            LoadError::Probe(ProbeError::Io(_)) | LoadError::Dir(_) => "bundle_not_probed",
        };
        Self::because(reason, error.to_string())
    }

    fn by_findings(reason: &'static str, error: &BundleError) -> Self {
        let first = error.findings().first().map_or_else(String::new, ToString::to_string);
        Self::because(reason, first)
    }
}
