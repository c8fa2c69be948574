//! An auditor's own checkpoint against a ledger that its operator may have changed since.

use std::path::Path;
use std::process::{Command, Output};

fn atb(home: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atb"));
    command.args(args).env("ATB_HOME", home).env("TMPDIR", home.parent().unwrap()).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_kept_checkpoint_vouches_for_the_ledger_whatever_newlines_it_was_kept_with() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    assert!(atb(&home, &["demo", "--once", "--dir", home.to_str().unwrap()]).status.success());
    let report = atb(&home, &["audit", "verify", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    let note = report["checkpoint"].as_str().unwrap();

    let kept = dir.path().join("kept.txt");
    let verify = ["audit", "verify", "--checkpoint", kept.to_str().unwrap()];
    for text in [note.to_owned(), format!("{note}\n"), note.trim_end().to_owned()] {
        std::fs::write(&kept, &text).unwrap();
        let output = atb(&home, &verify);
        assert!(output.status.success(), "{text:?}: {}", said(&output));
    }
    // Another size, whatever the size is: the second line of a checkpoint.
    let (origin, rest) = note.split_once('\n').unwrap();
    std::fs::write(&kept, format!("{origin}\n9{rest}")).unwrap();
    let output = atb(&home, &verify);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).starts_with("checkpoint_signature"), "{}", said(&output));
}
