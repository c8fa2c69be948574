use std::path::Path;

use super::*;
use crate::domain::ledger::{Entry, EventType};

/// Three entries as the ledger writes them.
pub(in crate::adapters::sinks) fn records() -> Vec<OutboundRecord> {
    let lines = std::fs::read(folder().join("entries.jsonl")).unwrap();
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let record = |(index, line): (usize, &[u8])| {
        let entry: Entry = serde_json::from_slice(line).unwrap();
        assert_eq!(entry.to_bytes(), line, "the vector is not as the ledger writes it");
        OutboundRecord {
            seq: 40 + index as u64,
            event_id: entry.event_id,
            event_type: entry.event_type,
            at: entry.at,
            allow: entry.subject.allow,
            body: line.to_vec(),
        }
    };
    lines.enumerate().map(record).collect()
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/sinks")
}

/// Holds what is sent against the golden file of that name; `ATB_TEST_BLESS` writes it anew.
pub(in crate::adapters::sinks) fn golden(name: &str, sent: &[u8]) {
    let path = folder().join(name);
    if std::env::var_os("ATB_TEST_BLESS").is_some() {
        std::fs::write(&path, sent).unwrap();
    }
    let wanted = std::fs::read(&path).unwrap();
    assert_eq!(String::from_utf8_lossy(sent), String::from_utf8_lossy(&wanted), "{name}");
}

fn written(shaped: &Shaped) -> Vec<u8> {
    let headers: String = shaped.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    [headers.as_bytes(), b"\n", &shaped.body].concat()
}

#[test]
fn every_shape_is_as_its_golden_file_says() {
    let records = records();
    let shapes = [
        ("splunk.http", HttpShape::Splunk(Some("security".to_owned()))),
        ("elastic.http", HttpShape::Elastic("atb".to_owned())),
        ("json.http", HttpShape::Json),
        ("jsonl.http", HttpShape::JsonLines),
        ("cloudevents-binary.http", HttpShape::CloudEventBinary),
        ("cloudevents-structured.http", HttpShape::CloudEventStructured),
        ("cloudevents-batch.http", HttpShape::CloudEventBatch),
    ];
    for (name, shape) in shapes {
        golden(name, &written(&request(&shape, "atb.dev/atb", &records).unwrap()));
    }
}

#[test]
fn the_entry_is_sent_byte_for_byte() {
    let records = records();
    assert!(records.iter().any(|record| record.event_type == EventType::BrokerDecision));
    let all = [
        HttpShape::Splunk(None),
        HttpShape::Elastic("atb".to_owned()),
        HttpShape::JsonLines,
        HttpShape::CloudEventBatch,
    ];
    for shape in all {
        let sent = request(&shape, "atb.dev/atb", &records).unwrap().body;
        for record in &records {
            let found = sent.windows(record.body.len()).any(|window| window == record.body);
            assert!(found, "{shape:?} changed an entry");
        }
    }
}
