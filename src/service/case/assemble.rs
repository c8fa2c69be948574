//! From what was found in the ledger to the files of a case. The same material gives the same bytes.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    CHECKPOINT, FORMAT, Files, JWKS, MANIFEST, Manifest, ManifestEntry, ManifestFile, TRUST, bundle_file,
    document_file, entry_file, openings_file, proof_file,
};
use crate::domain::id::Sha256Digest;
use crate::domain::ledger::{Checkpoint, Entry, InclusionProof, KeptDocument, Openings};
use crate::service::toolchain::replay::ExportedOpenings;

/// One entry with what belongs to it.
pub struct Found {
    /// Its number.
    pub seq: u64,
    /// Its bytes.
    pub body: Vec<u8>,
    /// The same, read.
    pub entry: Entry,
    /// Its openings, unless they were erased or are not to be handed out.
    pub openings: Option<Openings>,
    /// The proof of it.
    pub proof: InclusionProof,
    /// Whether it is context.
    pub context: bool,
}

/// All that a case is made of.
pub struct Material {
    /// What was asked for.
    pub id: String,
    /// The checkpoint that the proofs lead to.
    pub checkpoint: Checkpoint,
    /// The entries, in order.
    pub entries: Vec<Found>,
    /// The bundles that judged: the archive, where it was found.
    pub bundles: BTreeMap<Sha256Digest, Option<Vec<u8>>>,
    /// AgentAuth's public keys.
    pub jwks: Option<Vec<u8>>,
    /// The trust bundle.
    pub trust: Option<Vec<u8>>,
    /// What else is missing.
    pub missing: Vec<String>,
}

/// The files.
pub fn assemble(material: Material) -> Files {
    let Material { id, checkpoint, entries, bundles, jwks, trust, mut missing } = material;
    let mut files = Files::new();
    files.insert(CHECKPOINT.to_owned(), checkpoint.note().as_bytes().to_vec());
    for found in &entries {
        add_entry(&mut files, found, &mut missing);
    }
    for (digest, archive) in bundles {
        match archive {
            Some(bytes) => drop(files.insert(bundle_file(digest), bytes)),
            None => missing.push(format!("the bundle {digest}: it was not at hand")),
        }
    }
    for (name, bytes) in [(JWKS, jwks), (TRUST, trust)] {
        match bytes {
            Some(bytes) => drop(files.insert(name.to_owned(), bytes)),
            None => missing.push(format!("{name}: no file with the digest on record was at hand")),
        }
    }
    let described = |(name, bytes): (&String, &Vec<u8>)| {
        let file = ManifestFile { bytes: bytes.len() as u64, digest: Sha256Digest::of(bytes) };
        (name.clone(), file)
    };
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        id,
        origin: checkpoint.origin().to_string(),
        tree_size: checkpoint.size(),
        entries: entries.iter().map(listed).collect(),
        missing,
        files: files.iter().map(described).collect(),
    };
    files.insert(MANIFEST.to_owned(), written(&manifest));
    files
}

fn listed(found: &Found) -> ManifestEntry {
    ManifestEntry {
        seq: found.seq,
        event_id: found.entry.event_id,
        event_type: found.entry.event_type.as_str().to_owned(),
        at: found.entry.at,
        context: found.context,
    }
}

fn add_entry(files: &mut Files, found: &Found, missing: &mut Vec<String>) {
    let seq = found.seq;
    files.insert(entry_file(seq), found.body.clone());
    files.insert(proof_file(seq), written(&found.proof));
    match &found.openings {
        Some(openings) if !openings.values().is_empty() => {
            files.insert(openings_file(seq), written(&ExportedOpenings::of(openings)));
        }
        Some(_) => {}
        None if found.entry.subject.input.is_some() => {
            missing.push(format!("openings of entry {seq}: erased, not handed out, or it has none"));
        }
        None => {}
    }
    for document in KeptDocument::ALL {
        let kept = found.openings.as_ref().and_then(|openings| openings.document(document));
        if let Some(jws) = kept {
            files.insert(document_file(document.as_str(), seq), jws.as_bytes().to_vec());
        }
    }
}

/// JSON for people to read too, with a newline at its end.
fn written<T: Serialize>(document: &T) -> Vec<u8> {
    // INVARIANT: these documents serialise.
    let mut bytes = serde_json::to_vec_pretty(document).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
