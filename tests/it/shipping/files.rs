//! The file sink through the whole service, and on a disk without room.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use atb::adapters::sinks;
use atb::config::{FileSinkConfig, SinkConfig, SinkTarget};
use atb::domain::id::EventId;
use atb::domain::ledger::EventType;
use atb::service::ports::{OutboundRecord, SinkBatch};
use atb::service::shipping::{Backoff, BatchLimits, LagBound, StartAt};

use super::{QUICK, assert_all_in_order, ledger, some_entries, until};
use crate::app::TestApp;
use crate::store_contract::{fresh, now};

const CHILD: &str = "ATB_TEST_CHILD_SINK";

fn files(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    // Rotated files first, by their first entry; the open one is last.
    names.sort_by_key(|name| (name == "audit.jsonl", name.clone()));
    names
        .iter()
        .flat_map(|name| {
            let text = std::fs::read_to_string(folder.join(name)).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test]
async fn a_file_is_rotated_and_holds_every_entry_once_also_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let table = format!(
        "[sinks.file]\nkind = \"file\"\npath = \"{}\"\nrotate_bytes = 8192\nbatch_records = 4\n{QUICK}",
        path.display()
    );
    let mut app = TestApp::start_with(|home| home.configure(&table)).await;
    some_entries(&app, 6).await;
    app.restart().await;
    some_entries(&app, 6).await;
    let written = ledger(&app).await;
    until("the last entry", || files(folder.path()).contains(written.last().unwrap())).await;
    let lines = files(folder.path());
    assert!(std::fs::read_dir(folder.path()).unwrap().count() > 1, "nothing was rotated");
    assert_eq!(
        lines.len(),
        lines.iter().collect::<std::collections::BTreeSet<_>>().len(),
        "an entry stands there twice"
    );
    assert_all_in_order(lines, &written);
    app.finish().await;
}

fn record(seq: u64) -> OutboundRecord {
    let event_id = EventId::new(now(), fresh());
    let (kind, at) = (EventType::PoaDenied.as_str(), now());
    let filler = "x".repeat(700);
    let body =
        format!(r#"{{"event_id":"{event_id}","event_type":"{kind}","at":"{at}","seq":{seq},"filler":"{filler}"}}"#);
    OutboundRecord { seq, event_id, event_type: EventType::PoaDenied, at, allow: None, body: body.into_bytes() }
}

/// Fills its own disk: no file of this process may grow beyond a limit, which the kernel enforces on write(2).
#[test]
fn child_writes_a_file_until_the_disk_is_full() {
    let Some(path) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        // Without a handler SIGXFSZ ends the process; with one, write fails with EFBIG.
        const SIGXFSZ: i32 = 25;
        let _signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(SIGXFSZ)).unwrap();
        let limit = |bytes| rlimit::setrlimit(rlimit::Resource::FSIZE, bytes, rlimit::INFINITY).unwrap();
        let target =
            FileSinkConfig { path: path.clone(), rotate_bytes: 1 << 30, rotate_after: Duration::from_secs(3600) };
        let config = SinkConfig {
            name: "file".to_owned(),
            target: SinkTarget::File(target),
            timeout: Duration::from_secs(1),
            events: None,
            start: StartAt::Beginning,
            limits: BatchLimits { records: 10, bytes: 100_000, linger: Duration::ZERO },
            backoff: Backoff { first: Duration::from_millis(10), longest: Duration::from_millis(10) },
            bound: LagBound::default(),
        };
        let sink = sinks::open(&config, "atb.test/store", true).unwrap();
        limit(50_000);
        let (mut seq, mut kept) = (0, Vec::new());
        let (lost, error) = loop {
            let batch = SinkBatch { records: (0..10).map(|offset| record(seq + offset)).collect() };
            match sink.deliver(&batch).await {
                Ok(()) => kept.extend(batch.records),
                Err(error) => break (batch, error),
            }
            seq += 10;
            assert!(seq < 10_000, "the limit does not hold");
        };
        assert!(error.detail.contains("the file cannot be written") && error.taken == 0, "{error:?}");
        assert!(!error.detail.contains("audit"), "the path is in the error");
        let whole = |kept: &[OutboundRecord]| {
            let wanted: Vec<u8> = kept.iter().flat_map(|r| r.body.iter().chain(b"\n")).copied().collect();
            assert!(std::fs::read(&path).unwrap() == wanted, "the file holds something else than what was taken");
        };
        whole(&kept);
        assert!(sink.deliver(&lost).await.is_err(), "still full");
        whole(&kept);
        limit(10_000_000);
        sink.deliver(&lost).await.unwrap();
        kept.extend(lost.records);
        whole(&kept);
        println!("recovered");
    });
}

#[test]
fn a_full_disk_leaves_no_torn_line_and_the_batch_is_written_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "shipping::files::child_writes_a_file_until_the_disk_is_full", "--nocapture"]);
    command.env(CHILD, folder.path().join("audit.jsonl")).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let said: Vec<_> = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok).collect();
    assert!(child.wait().unwrap().success(), "{said:?}");
    assert!(said.iter().any(|line| line.ends_with("recovered")), "{said:?}");
}
