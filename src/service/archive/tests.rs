use std::collections::BTreeMap;
use std::sync::Mutex;

use ed25519_dalek::SigningKey;

use super::*;
use crate::domain::ledger::{LogKey, LogVerifier, Origin};
use crate::service::auditor::{Counted, Start, StoredTags, Tampering, verify_log};

/// A signed log of that many entries in memory, which can lose its bodies.
struct Log {
    bodies: Vec<Vec<u8>>,
    leaves: Vec<LeafHash>,
    head: StoredHead,
    verifier: LogVerifier,
}

impl Log {
    fn of(entries: u64) -> Self {
        let (key, origin): (_, Origin) =
            (LogKey::new(SigningKey::from_bytes(&[7; 32])), "atb.test/log".parse().unwrap());
        let kind = |seq: u64| if seq.is_multiple_of(7) { "poa_denied" } else { "service_started" };
        let body = |seq: u64| {
            format!(r#"{{"event_type":"{}","at":"2018-01-01T00:00:00Z","workspace":"default","n":{seq}}}"#, kind(seq))
        };
        let mut bodies: Vec<_> = (0..entries).map(|seq| body(seq).into_bytes()).collect();
        let announced = r#"{"event_type":"ledger_archived","at":"2026-01-01T00:00:00Z","workspace":"default",
            "detail":{"first":"0","end":"512"}}"#;
        bodies.push(announced.as_bytes().to_vec());
        let leaves: Vec<_> = bodies.iter().map(|body| LeafHash::of(body)).collect();
        let mut frontier = Frontier::new();
        leaves.iter().for_each(|leaf| frontier.append(*leaf));
        let note = key.sign(&origin, frontier.size(), frontier.root()).note().to_owned();
        let head = StoredHead { note, frontier: frontier.to_bytes(), rows: frontier.size() };
        Self { bodies, leaves, head, verifier: key.verifier(&origin) }
    }

    /// Takes the bodies of the first `entries` out.
    fn without(mut self, entries: usize) -> Self {
        self.bodies[..entries].iter_mut().for_each(Vec::clear);
        self
    }
}

#[async_trait]
impl LogSource for Log {
    async fn head(&self) -> Result<StoredHead, StoreError> {
        Ok(self.head.clone())
    }

    async fn rows(&self, from: u64, to: u64) -> Result<Vec<LogRow>, StoreError> {
        let row = |seq: usize| {
            let body = self.bodies[seq].clone();
            let leaf = self.leaves[seq].as_bytes().to_vec();
            LogRow { seq: seq as u64, columns: Columns::of_body(&body), body, leaf }
        };
        Ok((from as usize..(to as usize).min(self.bodies.len())).map(row).collect())
    }

    async fn block(&self, index: u64) -> Result<StoredBlock, StoreError> {
        let first = (index * BLOCK) as usize;
        let Some(leaves) = self.leaves.get(first..first + BLOCK as usize) else { return Ok(StoredBlock::default()) };
        let mut frontier = Frontier::new();
        leaves.iter().for_each(|leaf| frontier.append(*leaf));
        let bytes = leaves.iter().flat_map(|leaf| *leaf.as_bytes()).collect();
        let root = frontier.root().as_bytes().to_vec();
        Ok(StoredBlock { leaves: bytes, root, counted: Counted::FromEntries, tags: StoredTags::default() })
    }

    async fn history(&self, _: u64, _: u32) -> Result<Vec<StoredCheckpoint>, StoreError> {
        Ok(Vec::new())
    }

    async fn last_history(&self, _: u64) -> Result<Option<StoredCheckpoint>, StoreError> {
        Ok(None)
    }

    async fn subtree(&self, _: Subtree) -> Result<Option<Sha256Digest>, StoreError> {
        Ok(None)
    }
}

/// Objects in memory.
#[derive(Default)]
struct Objects(Mutex<BTreeMap<String, Vec<u8>>>);

impl Objects {
    fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        change(self.0.lock().unwrap().get_mut(name).unwrap_or_else(|| panic!("there is no {name}")));
    }

    fn remove(&self, name: &str) {
        self.0.lock().unwrap().remove(name).unwrap();
    }
}

#[async_trait]
impl ArchiveStore for Objects {
    async fn write(&self, name: &str, bytes: Vec<u8>) -> Result<(), ArchiveError> {
        self.0.lock().unwrap().insert(name.to_owned(), bytes);
        Ok(())
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
        Ok(self.0.lock().unwrap().get(name).cloned())
    }
}

async fn archived() -> (Log, Objects) {
    let (log, objects) = (Log::of(600), Objects::default());
    for block in 0..2 {
        put_block(&log, &objects, block).await.unwrap();
    }
    (log, objects)
}

async fn checked(log: &Log, objects: &Objects, block: u64) -> Result<(), String> {
    let leaves = leaves(log, block).await.unwrap();
    check_block(objects, block, &leaves).await.map_err(|error| error.to_string())
}

#[test]
fn tiles_have_the_paths_of_the_specification() {
    let names = [(0, "000"), (67, "067"), (1234, "x001/234"), (1_234_067, "x001/x234/067")];
    for (index, path) in names {
        assert_eq!(number(index), path);
    }
}

#[test]
fn a_bundle_has_lengths_of_two_bytes_and_none_that_does_not_fit() {
    let row = |body: Vec<u8>| LogRow { seq: 7, body, leaf: Vec::new(), columns: None };
    assert_eq!(bundle(&[row(b"ab".to_vec()), row(vec![])]).unwrap(), [0, 2, b'a', b'b', 0, 0]);
    assert!(matches!(bundle(&[row(vec![0; 65_536])]), Err(ArchiveError::TooLarge(7))));
}

/// The objects are what the log serves under the same names.
#[tokio::test]
async fn an_archived_block_is_the_tile_and_the_entry_bundle_of_the_log() {
    let (log, objects) = archived().await;
    let objects = objects.0.into_inner().unwrap();
    assert_eq!(
        objects.keys().collect::<Vec<_>>(),
        ["tile/0/000", "tile/0/001", "tile/entries/000", "tile/entries/001"]
    );
    let expected: Vec<u8> = log.leaves[256..512].iter().flat_map(|leaf| *leaf.as_bytes()).collect();
    assert_eq!(objects["tile/0/001"], expected);
    let bodies: Vec<_> = log.bodies[..256].iter().map(Vec::as_slice).collect();
    assert_eq!(Some(objects["tile/entries/000"].as_slice()), crate::domain::ledger::entry_bundle(bodies).as_deref());
}

#[tokio::test]
async fn each_defect_of_an_archived_block_is_named_and_the_whole_one_is_believed() {
    let (log, objects) = archived().await;
    assert_eq!((checked(&log, &objects, 0).await, checked(&log, &objects, 1).await), (Ok(()), Ok(())));
    type Change = fn(&mut Vec<u8>);
    let defects: [(&str, Change, &str); 7] = [
        ("tile/0/001", |tile| tile[40] ^= 1, "entry 256 has another leaf hash"),
        ("tile/0/001", |tile| tile.truncate(8_000), "entry 256 has another leaf hash"),
        ("tile/entries/001", |bundle| bundle[5] ^= 1, "entry 256 has another leaf hash"),
        ("tile/entries/001", |bundle| *bundle.last_mut().unwrap() ^= 1, "entry 511 has another leaf hash"),
        ("tile/entries/001", |bundle| bundle.truncate(bundle.len() - 3), "cannot be read"),
        ("tile/entries/001", |bundle| bundle.extend([0, 1, b'x']), "cannot be read"),
        ("tile/entries/001", |bundle| bundle.clear(), "entry 256 has another leaf hash"),
    ];
    for (name, change, said) in defects {
        let (log, objects) = archived().await;
        objects.change(name, change);
        let error = checked(&log, &objects, 1).await.unwrap_err();
        assert!(error.contains(name) && error.contains(said), "{error}");
        assert_eq!(checked(&log, &objects, 0).await, Ok(()), "the other block is whole");
    }
    for name in ["tile/0/001", "tile/entries/001"] {
        let (log, objects) = archived().await;
        objects.remove(name);
        let error = checked(&log, &objects, 1).await.unwrap_err();
        assert!(error.contains(name) && error.contains("says that it holds it"), "{error}");
    }
}

#[tokio::test]
async fn only_a_full_block_that_is_here_whole_is_archived() {
    let objects = Objects::default();
    let open = put_block(&Log::of(600), &objects, 2).await;
    assert!(matches!(open, Err(ArchiveError::NotWhole(2))), "{open:?}");
    let gone = put_block(&Log::of(600).without(3), &objects, 0).await;
    assert!(matches!(gone, Err(ArchiveError::NotWhole(0))), "{gone:?}");
    assert!(objects.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_log_without_its_first_entries_verifies_with_the_archive_and_says_what_it_lacks_without_it() {
    let (log, objects) = archived().await;
    let log = log.without(512);
    let alone = verify_log(&log, &log.verifier, &[], Start::Beginning).await.unwrap();
    assert_eq!(
        (alone.is_intact(), alone.unread.as_slice()),
        (true, std::slice::from_ref(&(0..512))),
        "{:?}",
        alone.findings
    );
    let both = WithArchive { ledger: &log, archive: &objects };
    let whole = verify_log(&both, &log.verifier, &[], Start::Beginning).await.unwrap();
    assert!(whole.is_intact() && whole.unread.is_empty(), "{:?}", whole.findings);
    assert_eq!(whole.root, alone.root);

    // Another entry in the archive than the one that was signed is found, as one in the file would be.
    objects.change("tile/entries/001", |bundle| bundle[5] ^= 1);
    let edited = verify_log(&both, &log.verifier, &[], Start::Beginning).await.unwrap();
    let first = &edited.findings[0];
    assert_eq!((first.kind, first.seq), (Tampering::Edited, Some(256)));
    // One that cannot be read is no proof of anything.
    objects.remove("tile/entries/001");
    let error = verify_log(&both, &log.verifier, &[], Start::Beginning).await.unwrap_err();
    assert!(error.to_string().contains("tile/entries/001"), "{error}");
}

#[tokio::test]
async fn a_marker_of_another_log_another_version_or_half_a_block_is_not_believed() {
    let objects = Objects::default();
    assert_eq!(marker(&objects, "atb.test/log").await.unwrap(), None);
    let (log, _) = archived().await;
    let good = Marker {
        version: 1,
        origin: "atb.test/log".to_owned(),
        entries: 512,
        root: root(&log, 2).await.unwrap(),
        checkpoint: log.head.note.clone(),
        at: Timestamp::from_secs(1),
    };
    let told = async |change: fn(&mut Marker)| {
        let mut changed = good.clone();
        change(&mut changed);
        objects.write(MARKER, serde_json::to_vec(&changed).unwrap()).await.unwrap();
        marker(&objects, "atb.test/log").await
    };
    assert_eq!(told(|_| {}).await.unwrap(), Some(good.clone()));
    assert!(matches!(told(|m| m.version = 2).await, Err(ArchiveError::Format(_))));
    assert!(matches!(told(|m| m.entries = 500).await, Err(ArchiveError::Format(_))));
    assert!(matches!(told(|m| m.origin = "atb.test/other".to_owned()).await, Err(ArchiveError::Foreign(_))));
    objects.write(MARKER, b"{}".to_vec()).await.unwrap();
    assert!(matches!(marker(&objects, "atb.test/log").await, Err(ArchiveError::Format(_))));
}
