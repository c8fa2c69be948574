//! `/log/checkpoint` and `/log/tile/…`, read by its readers and by an implementation of the formats by others.

use std::collections::BTreeMap;

use atb::adapters::store::read_verifier_key;
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{Hash, Tile, TileHashReader, TileReader};

use crate::app::{AGENT, At, TestApp};

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

async fn read_by_auditors() -> TestApp {
    let app = TestApp::start_with(|home| {
        home.configure("[ledger]\nreaders = [\"spiffe://atb.dev/auditor/*\"]\n");
    })
    .await;
    app.enrol("auditor", "auditor/anna", HOUR);
    app
}

/// Tiles as they were fetched, for the verifier of others.
struct Fetched(BTreeMap<String, Vec<u8>>);

impl TileReader for Fetched {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        Ok(tiles.iter().map(|tile| self.0[&name(tile)].clone()).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

/// The name behind `/log/tile/`; theirs says the height too.
fn name(tile: &Tile) -> String {
    tile.path().strip_prefix("tile/8/").unwrap().to_owned()
}

#[tokio::test]
async fn another_implementation_verifies_the_whole_log_from_what_the_doors_serve() {
    let app = read_by_auditors().await;
    // More than one full tile, of refusals, which are quickly made.
    let agent = app.to_broker(AGENT).connected().await;
    for _ in 0..300 {
        assert_eq!(agent.get("/nothing").await.status, 404);
    }
    let vkey = read_verifier_key(&app.home().path("keys/ledger.vkey")).unwrap();
    for at in [At::AgentAuth, At::Broker] {
        let auditor = app.caller("auditor", at);
        let note = auditor.get("/log/checkpoint").await;
        assert_eq!((note.status, note.header("content-type").as_str()), (200, "text/plain; charset=utf-8"), "{note}");
        assert_eq!(note.header("cache-control"), "no-store");
        let note = Note::from_bytes(&note.body).unwrap();
        let theirs = StandardVerifier::new(&vkey.to_string()).unwrap();
        assert_eq!(note.verify(&VerifierList::new(vec![Box::new(theirs)])).unwrap().0.len(), 1);
        let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
        let (size, root) = (checkpoint.size(), *checkpoint.hash());
        assert!(size > 300);

        let mut fetched = BTreeMap::new();
        for tile in Tile::new_tiles(8, 0, size) {
            let answer = auditor.get(&format!("/log/tile/{}", name(&tile))).await;
            assert_eq!((answer.status, answer.body.len()), (200, tile.width() as usize * 32), "{}", name(&tile));
            let keep = if tile.width() == 256 { "private, max-age=31536000, immutable" } else { "private, max-age=60" };
            assert_eq!(answer.header("cache-control"), keep, "{}", name(&tile));
            fetched.insert(name(&tile), answer.body);
        }
        let fetched = Fetched(fetched);
        let hashes = TileHashReader::new(size, root, &fetched);
        let entries = entries(&auditor, size).await;
        assert_eq!(entries.len() as u64, size);
        for n in [0, 17, 255, 256, size - 1] {
            let hash = tlog_tiles::record_hash(&entries[usize::try_from(n).unwrap()]);
            let proof = tlog_tiles::prove_record(size, n, &hashes).unwrap();
            tlog_tiles::check_record(&proof, size, root, n, hash).unwrap();
        }
        assert_eq!(tlog_tiles::tree_hash(size, &hashes).unwrap(), root);
        assert_eq!(tree_of(&entries), root, "the entries themselves give the signed root");
    }
    app.finish().await;
}

async fn entries(auditor: &crate::app::Caller, size: u64) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    for n in 0..size.div_ceil(256) {
        let width = (size - n * 256).min(256);
        let part = if width == 256 { String::new() } else { format!(".p/{width}") };
        let bundle = auditor.get(&format!("/log/tile/entries/{n:03}{part}")).await;
        assert_eq!(bundle.status, 200, "{n}{part}");
        let mut rest = &bundle.body[..];
        while let Some((length, more)) = rest.split_first_chunk::<2>() {
            let (entry, more) = more.split_at(usize::from(u16::from_be_bytes(*length)));
            entries.push(entry.to_vec());
            rest = more;
        }
    }
    entries
}

struct Stored(Vec<Hash>);

impl tlog_tiles::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
    }
}

fn tree_of(entries: &[Vec<u8>]) -> Hash {
    let mut stored = Stored(Vec::new());
    for (n, entry) in entries.iter().enumerate() {
        let more = tlog_tiles::stored_hashes(n as u64, entry, &stored).unwrap();
        stored.0.extend(more);
    }
    tlog_tiles::tree_hash(entries.len() as u64, &stored).unwrap()
}

#[tokio::test]
async fn nobody_reads_the_log_but_its_readers_and_who_tries_is_on_record() {
    let app = read_by_auditors().await;
    for at in [At::AgentAuth, At::Broker] {
        for path in ["/log/checkpoint", "/log/checkpoint/cosigned", "/log/tile/0/000.p/1", "/log/tile/entries/000.p/1"]
        {
            let mark = app.mark().await;
            let answer = app.caller(AGENT, at).get(path).await;
            answer.assert_problem();
            assert_eq!(answer.verdict(), "403 ledger_reader_unknown", "{path}");
            assert_eq!(app.events_since(mark).await.len(), 1, "{path}");
        }
    }
    app.finish().await;
    let closed = TestApp::start().await;
    closed.enrol("auditor", "auditor/anna", HOUR);
    assert_eq!(closed.caller("auditor", At::Broker).get("/log/checkpoint").await.status, 403, "nobody by default");
    closed.finish().await;
}

#[tokio::test]
async fn a_tile_has_one_name_and_what_the_log_does_not_have_is_not_there() {
    let app = read_by_auditors().await;
    let auditor = app.caller("auditor", At::Broker);
    let mark = app.mark().await;
    for (name, verdict) in [
        ("0/000.p/1", "200 "),
        ("0/000", "404 tile_not_found"),
        ("0/000.p/255", "404 tile_not_found"),
        ("0/001.p/1", "404 tile_not_found"),
        ("1/000.p/1", "404 tile_not_found"),
        ("63/000.p/1", "404 tile_not_found"),
        ("entries/x999/x999/999.p/1", "404 tile_not_found"),
        ("64/000.p/1", "400 tile_name_invalid"),
        ("00/000.p/1", "400 tile_name_invalid"),
        ("0/0.p/1", "400 tile_name_invalid"),
        ("0/000.p/01", "400 tile_name_invalid"),
        ("0/000.p/256", "400 tile_name_invalid"),
        ("0/%30%30%30.p/1", "400 tile_name_invalid"),
        ("0/000.p/1?x=1", "400 query_invalid"),
        ("data/000.p/1", "400 tile_name_invalid"),
    ] {
        let answer = auditor.get(&format!("/log/tile/{name}")).await;
        assert_eq!(answer.verdict(), verdict, "{name}");
        if answer.status != 200 {
            answer.assert_problem();
        }
    }
    assert_eq!(auditor.get("/log/checkpoint/cosigned").await.verdict(), "404 checkpoint_not_cosigned");
    assert_eq!(app.events_since(mark).await.len(), 0, "reading leaves nothing on record");
    app.finish().await;
}
