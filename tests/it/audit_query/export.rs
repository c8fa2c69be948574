//! `atb audit export`: whole files, verified elsewhere, continued where they ended. What each format makes of hostile
//! texts is tried beside its code.

use serde_json::{Value, json};

use crate::process::{Home, Ran};
use crate::schemas::refuses;

fn with_a_record() -> Home {
    let home = Home::new();
    let served = home.serve();
    served.publish(&home);
    for act in ["erp.vendor.read", "erp.nothing.known"] {
        let _ = home.run(["issue", "--as", "procurement", act, "--template", "contract"]);
    }
    served.kill();
    home
}

fn export(home: &Home, args: &[&str]) -> Ran {
    Ran::of(home.atb(["audit", "export"]).args(args))
}

fn read(home: &Home, name: &str) -> Vec<u8> {
    std::fs::read(home.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn manifest(home: &Home, name: &str) -> Value {
    serde_json::from_slice(&read(home, &format!("{name}.manifest.json"))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_is_written_whole_with_a_manifest_that_holds_without_the_ledger() {
    let home = with_a_record();
    let entries = home.ledger().await.len() as u64;
    let (key, elsewhere) = (home.file("keys/ledger.vkey"), tempfile::tempdir().unwrap());
    for format in ["jsonl", "csv", "ocsf", "cef", "leef"] {
        let name = format!("all.{format}");
        let ran = export(&home, &["--format", format, "--out", &name]).ok();
        assert!(ran.err.contains("atb audit export --verify"), "{ran:?}");
        let signed = manifest(&home, &name);
        refuses(
            "audit-export-manifest",
            &signed,
            vec![
                ("/manifest/format", json!("xml")),
                ("/signature", json!("")),
                ("/manifest/digest", json!("x")),
                ("/x", json!(1)),
            ],
        );
        assert_eq!((&signed["manifest"]["count"], &signed["manifest"]["next_seq"]), (&json!(entries), &json!(entries)));
        let lines = String::from_utf8(read(&home, &name)).unwrap().lines().count() as u64;
        assert_eq!(lines, entries + u64::from(format == "csv"), "{format}");
        if format == "ocsf" {
            for event in ocsf_events(&String::from_utf8(read(&home, &name)).unwrap()) {
                assert_eq!(ocsf_faults(&ocsf_class(), &event), Vec::<String>::new(), "{event:#}");
            }
        }
        for file in [name.clone(), format!("{name}.manifest.json")] {
            std::fs::copy(home.file(&file), elsewhere.path().join(&file)).unwrap();
        }
        let verify = |key: &str| {
            let mut command = crate::process::atb(["audit", "export", "--verify"]);
            Ran::of(command.arg(&name).args(["--key", key]).current_dir(elsewhere.path()))
        };
        let held = verify(key.to_str().unwrap()).ok();
        assert!(held.out.contains(": as signed"), "{held:?}");
        let mut bytes = read(&home, &name);
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(elsewhere.path().join(&name), &bytes).unwrap();
        let edited = verify(key.to_str().unwrap());
        assert_eq!((edited.code, edited.out.contains("NOT AS SIGNED: the file's digest")), (1, true), "{edited:?}");
        bytes.pop();
        std::fs::write(elsewhere.path().join(&name), &bytes).unwrap();
        assert!(verify(key.to_str().unwrap()).out.contains("NOT AS SIGNED: the file has"), "{format}");
    }
    let left: Vec<_> =
        std::fs::read_dir(home.path()).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!left.iter().any(|name| name.starts_with(".atb-export")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_goes_on_where_the_one_before_ended_and_another_key_may_sign() {
    let home = with_a_record();
    export(&home, &["--format", "jsonl", "--out", "a.jsonl", "--event-type", "poa_denied,service_started"]).ok();
    let first = manifest(&home, "a.jsonl");
    assert_eq!(first["manifest"]["query"], "event_type=poa_denied,service_started");
    let next = first["manifest"]["next_seq"].to_string();
    let served = home.serve();
    served.kill();
    export(&home, &["--format", "jsonl", "--out", "b.jsonl", "--since-seq", &next]).ok();
    let second = manifest(&home, "b.jsonl");
    assert_eq!(second["manifest"]["since_seq"].to_string(), next);
    assert_eq!(second["manifest"]["first_seq"].to_string(), next, "nothing between");
    assert!(second["manifest"]["count"].as_u64().unwrap() > 0);
    let beyond = export(&home, &["--format", "jsonl", "--out", "c.jsonl", "--since-seq", "100000"]);
    assert_eq!((beyond.code, home.file("c.jsonl").exists()), (2, false), "{beyond:?}");

    std::fs::copy(home.file("keys/mandate.pem"), home.file("keys/exports.pem")).unwrap();
    let ran = export(&home, &["--format", "csv", "--out", "d.csv", "--key", "keys/exports.pem"]).ok();
    let signed = manifest(&home, "d.csv");
    let other = signed["key"].as_str().unwrap();
    assert!(other.starts_with("atb.dev/atb/export+"), "{ran:?}");
    let distrusted = export(&home, &["--verify", "d.csv"]);
    assert_eq!((distrusted.code, distrusted.out.contains("not a key that you trust")), (1, true), "{distrusted:?}");
    let uncovered = export(&home, &["--verify", "d.csv", "--key", other]);
    assert_eq!((uncovered.code, uncovered.out.contains("checkpoint")), (1, true), "{uncovered:?}");
    export(&home, &["--verify", "d.csv", "--key", other, "--key", "keys/ledger.vkey"]).ok();
}

/// The class API Activity as the OCSF project publishes it, made by `scripts/check-ocsf`.
fn ocsf_class() -> jsonschema::Validator {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/ocsf/api_activity.schema.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

/// What the class says is wrong, and what no JSON Schema can say: how `type_uid` follows from the two others.
fn ocsf_faults(class: &jsonschema::Validator, event: &Value) -> Vec<String> {
    let mut faults: Vec<_> =
        class.iter_errors(event).map(|error| format!("{error} at `{}`", error.instance_path())).collect();
    let (class, activity) = (&event["class_uid"], &event["activity_id"]);
    if event["type_uid"] != json!(class.as_u64().unwrap_or(0) * 100 + activity.as_u64().unwrap_or(0)) {
        faults.push("type_uid is not class_uid * 100 + activity_id".to_owned());
    }
    faults
}

fn ocsf_events(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_ocsf_event_is_what_its_published_class_asks_for() {
    let class = ocsf_class();
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/export/golden.ocsf");
    let events = ocsf_events(&std::fs::read_to_string(golden).unwrap());
    assert_eq!(events.len(), 10);
    for event in &events {
        assert_eq!(ocsf_faults(&class, event), Vec::<String>::new(), "{event:#}");
    }
    // The class sees what is wrong: what it requires taken out, values of no enumeration or type, a member of no class.
    let without = [
        "/activity_id",
        "/category_uid",
        "/class_uid",
        "/type_uid",
        "/severity_id",
        "/time",
        "/metadata",
        "/metadata/version",
        "/metadata/product",
        "/actor",
        "/api",
        "/api/operation",
        "/src_endpoint",
        "/src_endpoint/svc_name",
        "/actor/user",
    ];
    for path in without {
        let (parent, name) = path.rsplit_once('/').unwrap();
        let mut changed = events[5].clone();
        changed.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
        assert!(!ocsf_faults(&class, &changed).is_empty(), "without {path}");
    }
    let with = [
        ("", "agent", json!("x")),
        ("", "severity_id", json!(77)),
        ("", "activity_id", json!(5)),
        ("", "action_id", json!(77)),
        ("", "time", json!("2026-11-21")),
        ("", "status_id", json!("1")),
        ("", "risk_score", json!("70")),
        ("/actor/user", "type_id", json!(77)),
        ("/api", "method", json!("POST")),
        ("/metadata", "sequence", json!("7")),
        ("/api/service", "url", json!("x")),
    ];
    for (parent, name, value) in with {
        let mut changed = events[5].clone();
        changed.pointer_mut(parent).unwrap()[name] = value;
        assert!(!ocsf_faults(&class, &changed).is_empty(), "{parent}/{name}");
    }
}
