use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::manifest::{Manifest, ManifestError, SignedManifest};
use super::*;
use crate::domain::id::Sha256Digest;
use crate::domain::ledger::{LogKey, LogVerifier, Origin};
use crate::domain::time::Timestamp;

/// Texts that mean something in one of the formats.
const HOSTILE: [&str; 14] = [
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "a\"b,c",
    "a|b=c\\d",
    "two\nlines",
    "two\r\nlines",
    "nel\u{85}ls\u{2028}ps\u{2029}",
    "nul\u{0}esc\u{1b}[2J",
    "’ é 漢",
    "trailing\\",
];

fn body(reason: &str) -> Vec<u8> {
    json!({
        "event_id": "019a0a3c-5f5e-7b1a-8f00-000000000001", "event_type": "broker_decision",
        "at": "2026-11-21T10:00:00.123Z", "workspace": "default", "agent": "spiffe://atb.dev/agent/procurement",
        "act": "erp.vendor.change", "tier": "high", "risk_score": 70, "allow": false, "reason": reason,
        "connector": "erp", "method": "POST", "path": "/vendors/V-1/bank", "bundle": "2026.11",
        "detail": {"note": reason},
    })
    .to_string()
    .into_bytes()
}

fn text(format: ExportFormat, reason: &str) -> String {
    String::from_utf8(format.record(7, &body(reason)).unwrap()).unwrap()
}

fn table(bytes: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// What a reader of CEF makes of an extension (`\\`, `\=`, `\n`, `\r`; a key starts behind a blank and ends at a bare `=`).
fn cef_values(line: &str) -> Vec<(String, String)> {
    let mut bars = line.char_indices().filter(|(at, c)| *c == '|' && !line[..*at].ends_with('\\'));
    let extension = &line[bars.nth(6).unwrap().0 + 1..].trim_end_matches('\n');
    let mut pairs: Vec<(String, String)> = Vec::new();
    let (mut current, mut escaped) = (String::new(), false);
    for c in extension.chars() {
        match (escaped, c) {
            (true, 'n') => current.push('\n'),
            (true, 'r') => current.push('\r'),
            (true, c) => current.push(c),
            (false, '\\') => {}
            (false, '=') => {
                let (before, key) = match current.rsplit_once(' ') {
                    Some((before, key)) => (before.to_owned(), key.to_owned()),
                    None => (String::new(), current.clone()),
                };
                if let Some(last) = pairs.last_mut() {
                    last.1 = before;
                }
                pairs.push((key, String::new()));
                current.clear();
                continue;
            }
            (false, c) => current.push(c),
        }
        escaped = !escaped && c == '\\';
    }
    pairs.last_mut().unwrap().1 = current;
    pairs
}

fn cef_value(line: &str, key: &str) -> String {
    cef_values(line).into_iter().find(|(name, _)| name == key).unwrap().1
}

/// Line ends that formats know one escape for, and other control characters, as they come back.
fn as_read(text: &str) -> String {
    let read = |c: char| match c {
        '\u{85}' | '\u{2028}' | '\u{2029}' => '\n',
        c if c.is_control() && !matches!(c, '\n' | '\r' | '\t') => ' ',
        c => c,
    };
    text.chars().map(read).collect()
}

#[test]
fn a_cell_that_would_be_a_formula_is_text_and_every_other_comes_back_as_it_was() {
    for reason in HOSTILE {
        let rows = table(text(ExportFormat::Csv, reason).as_bytes());
        assert_eq!(rows.len(), 1, "{reason:?}");
        let formula = reason.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let expected = if formula { format!("'{reason}") } else { reason.to_owned() };
        assert_eq!(rows[0][10], expected, "{reason:?}");
        assert!(!rows[0].iter().any(|cell| cell.starts_with(['=', '+', '-', '@', '\t', '\r'])), "{reason:?}");
    }
    let head = table(&ExportFormat::Csv.head());
    assert_eq!((head.len(), head[0].len()), (1, table(text(ExportFormat::Csv, "x").as_bytes())[0].len()));
    assert!(text(ExportFormat::Csv, "x").ends_with("\r\n") && ExportFormat::Csv.head().ends_with(b"\r\n"));
}

#[test]
fn in_cef_no_value_ends_early_and_none_starts_another_field_or_line() {
    for reason in HOSTILE {
        let line = text(ExportFormat::Cef, reason);
        assert_eq!(line.lines().count(), 1, "{reason:?}");
        assert!(!line.trim_end_matches('\n').chars().any(char::is_control), "{reason:?}");
        let expected = as_read(reason).replace('\t', " ");
        assert_eq!(cef_value(&line, "reason"), expected, "{reason:?}");
        assert_eq!(cef_value(&line, "msg"), format!("note: {expected}"), "{reason:?}");
    }
    let odd = String::from_utf8(body("x")).unwrap().replace("broker_decision", "a|b\\\\c");
    let line = String::from_utf8(ExportFormat::Cef.record(7, odd.as_bytes()).unwrap()).unwrap();
    assert!(line.starts_with("CEF:0|ATB|Agent Trust Broker|"), "{line}");
    assert!(line.contains("|a\\|b\\\\c|a\\|b\\\\c|6|rt="), "{line}");
}

#[test]
fn in_leef_no_value_starts_another_attribute_or_line() {
    for reason in HOSTILE {
        let line = text(ExportFormat::Leef, reason);
        assert_eq!(line.lines().count(), 1, "{reason:?}");
        let (head, attributes) = line.trim_end_matches('\n').split_once("|0x09|").unwrap();
        assert_eq!(head.split('|').count(), 5, "{head}");
        let of = |key: &str| {
            let found = attributes.split('\t').find_map(|pair| pair.strip_prefix(&format!("{key}=")));
            let (mut out, mut escaped) = (String::new(), false);
            for c in found.unwrap().chars() {
                match (escaped, c) {
                    (true, 'n') => out.push('\n'),
                    (true, 'r') => out.push('\r'),
                    (true, 't') => out.push('\t'),
                    (false, '\\') => {}
                    (_, c) => out.push(c),
                }
                escaped = !escaped && c == '\\';
            }
            out
        };
        assert_eq!(of("reason"), as_read(reason), "{reason:?}");
        assert_eq!(of("decision"), "deny");
    }
}

proptest! {
    #[test]
    fn whatever_an_entry_says_is_one_record_in_every_format(reason in "\\PC{0,20}[\\x00-\\x1f|=\\\\\",]{0,6}\\PC{0,8}") {
        for format in [ExportFormat::Jsonl, ExportFormat::Ocsf, ExportFormat::Cef, ExportFormat::Leef] {
            let line = text(format, &reason);
            prop_assert!(line.ends_with('\n') && line.matches(['\n', '\r']).count() == 1, "{:?}", format);
        }
        let rows = table(text(ExportFormat::Csv, &reason).as_bytes());
        prop_assert_eq!(rows.len(), 1);
        prop_assert!(rows[0][10].ends_with(&reason));
        let line = text(ExportFormat::Cef, &reason);
        prop_assert_eq!(cef_value(&line, "reason"), as_read(&reason).replace('\t', " "));
    }
}

#[test]
fn what_is_no_entry_is_refused_by_its_number() {
    for body in [&b""[..], b"{}", b"not JSON", b"{\"event_type\":\n\"x\"}"] {
        let refused = |format: ExportFormat| format.record(9, body) == Err(ExportError { seq: 9 });
        assert!(refused(ExportFormat::Jsonl), "{body:?}");
    }
    assert!(ExportFormat::ALL.into_iter().all(|format| format.record(9, b"not JSON").is_err()));
}

#[test]
fn every_format_is_written_as_the_golden_has_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/export");
    let entries = std::fs::read_to_string(folder.join("entries.jsonl")).unwrap();
    for format in ExportFormat::ALL {
        let mut out = format.head();
        for line in entries.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let body = serde_json::to_vec(&line["entry"]).unwrap();
            out.extend(format.record(line["seq"].as_u64().unwrap(), &body).unwrap());
        }
        let out = String::from_utf8(out).unwrap().replace(VERSION, "VERSION");
        let name = format!("golden.{}", format.as_str());
        let golden = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert_eq!(out, golden, "{name}");
    }
}

fn signed() -> (SignedManifest, Vec<LogVerifier>) {
    let (origin, key): (Origin, _) = ("atb.dev/atb".parse().unwrap(), ed25519_dalek::SigningKey::from_bytes(&[7; 32]));
    let log = LogKey::new(key.clone());
    let manifest = Manifest {
        format: ExportFormat::Csv,
        query: "decision=deny".to_owned(),
        since_seq: 0,
        next_seq: 9,
        count: 2,
        first_seq: Some(3),
        last_seq: Some(8),
        bytes: 10,
        digest: Sha256Digest::of(b"file"),
        origin: origin.to_string(),
        checkpoint: log.sign(&origin, 9, Sha256Digest::of(b"root")).note().to_owned(),
        created_at: Timestamp::from_secs(1_790_000_000),
        program: "atb".to_owned(),
    };
    (manifest.sign(&key, &origin), vec![log.verifier(&origin)])
}

#[test]
fn a_manifest_holds_as_it_was_signed_and_not_with_one_member_changed() {
    let (signed, trusted) = signed();
    assert_eq!(signed.verify(&trusted).unwrap().count, 2);
    let document = serde_json::to_value(&signed).unwrap();
    let members: Vec<_> = document["manifest"].as_object().unwrap().keys().cloned().collect();
    for member in members {
        let mut changed = document.clone();
        let value = &mut changed["manifest"][&member];
        *value = match value.clone() {
            Value::Number(number) => json!(number.as_u64().unwrap() + 1),
            Value::String(text) if member == "format" => json!(text.replace("csv", "cef")),
            Value::String(text) if member == "digest" => {
                json!(text.replace(&text[8..9], "f").replace("sha-25f", "sha-256"))
            }
            Value::String(text) if member == "created_at" => json!(text.replace("2026", "2027")),
            Value::String(text) => json!(format!("{text}x")),
            other => panic!("{member}: {other}"),
        };
        let changed: SignedManifest = serde_json::from_value(changed).unwrap();
        if changed != signed {
            assert_eq!(changed.verify(&trusted), Err(ManifestError::Signature), "{member}");
        }
    }
    assert!(matches!(signed.verify(&[]), Err(ManifestError::OtherKey(_))));
}

#[test]
fn a_checkpoint_that_ends_before_the_export_does_not_cover_it() {
    let (signed, trusted) = signed();
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let origin: Origin = "atb.dev/atb".parse().unwrap();
    let long = Manifest { next_seq: 10, ..signed.manifest.clone() }.sign(&key, &origin);
    assert!(matches!(long.verify(&trusted), Err(ManifestError::Checkpoint(_))));
    let other = Manifest { origin: "atb.dev/other".to_owned(), ..signed.manifest }.sign(&key, &origin);
    assert!(matches!(other.verify(&trusted), Err(ManifestError::Checkpoint(_))));
}
