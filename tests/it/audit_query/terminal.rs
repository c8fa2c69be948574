//! `atb audit query`, `tail` and `trace`, as people type them: over the file and over the door.

use serde_json::Value;

use crate::process::{Home, Ran, Served};
use crate::schemas::fits;

fn served() -> (Home, Served) {
    let home = Home::new();
    let text = std::fs::read_to_string(home.file("atb.toml")).unwrap();
    let auditors = "\n[ledger]\nauditors = [\"spiffe://atb.dev/legal/officer\"]\n";
    std::fs::write(home.file("atb.toml"), text + auditors).unwrap();
    let served = home.serve();
    served.publish(&home);
    (home, served)
}

fn audit(home: &Home, args: &[&str]) -> Ran {
    Ran::of(home.atb(["audit"]).args(args))
}

fn lines(ran: &Ran) -> Vec<Value> {
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

const GROUND: [&str; 8] = [
    "--template",
    "contract",
    "--var",
    "contract_ref=MSA-1001",
    "--var",
    "accountable_id=erin",
    "--var",
    "jurisdiction=DE",
];

fn ask(home: &Home) -> String {
    let params = r#"{"vendor_id":"V-1001","iban":"DE02120300000000202051","payment_limit":25000}"#;
    let mut command = home.atb(["issue", "--as", "procurement", "sap.vendor.change"]);
    let call = ["--request", "POST erp /vendors/V-1001/bank-account", "--params", params];
    Ran::of(command.args(GROUND).args(["--var", "order=order 7"]).args(call)).ok().out.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_and_the_door_answer_the_same_question_alike() {
    let (home, _served) = served();
    let challenge = ask(&home);
    home.run(["approve", "--as", "alice", &challenge, "--yes"]).ok();
    home.run(["reject", "--as", "bob", &challenge, "--reason", "not in the vendor file"]).ok();
    let config = home.config();
    let (agentauth, broker) = (config.agentauth.unwrap().door.listen, config.broker.unwrap().door.listen);
    let (agentauth, broker) = (format!("https://{agentauth}"), format!("https://{broker}"));
    let question = ["--challenge", &challenge, "--where", "agent=spiffe://atb.dev/agent/*", "--format", "json"];
    let file = audit(&home, &[&["query"], &question[..]].concat()).ok();
    assert_eq!(lines(&file).len(), 3, "{file:?}");
    for door in [
        &["--url", &broker, "--as", "officer"][..],
        &["--url", &agentauth, "--as", "officer", "--service", "agentauth"],
    ] {
        let asked = audit(&home, &[&["query"], &question[..], door].concat()).ok();
        assert_eq!(asked.out, file.out);
        let mut reversed: Vec<_> = file.out.lines().collect();
        reversed.reverse();
        let newest = audit(&home, &[&["query", "--newest"], &question[..], door].concat()).ok();
        assert_eq!(newest.out.lines().collect::<Vec<_>>(), reversed);
        let last = audit(&home, &[&["tail", "-n", "1"], &question[..], door].concat()).ok();
        assert_eq!(last.out.lines().collect::<Vec<_>>(), reversed[..1]);
        let told = audit(&home, &[&["trace", challenge.as_str(), "--format", "json"], door].concat()).ok();
        fits("audit-trace", &told.json());
        assert_eq!(told.out, audit(&home, &["trace", &challenge, "--format", "json"]).ok().out);
    }
    let refused = audit(&home, &["query", "--url", &broker, "--as", "procurement"]);
    assert_eq!((refused.code, refused.err.contains("not_an_auditor")), (1, true), "{refused:?}");
    let told = audit(&home, &["trace", &challenge]).ok();
    assert!(told.out.starts_with("3 events in "), "{told:?}");
    for words in
        ["procurement asked for sap.vendor.change (high)", "alice approved", "bob rejected it: not in the vendor file"]
    {
        assert!(told.out.contains(words), "{words}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_read_as_a_whole_or_refused_with_its_place() {
    let (home, _served) = served();
    for (args, told) in [
        (&["query", "--where", "act=erp.* agnet=x"][..], "column 11: `agnet` is no key"),
        (&["query", "--event-type", "poa_isued"], "poa_issued"),
        (&["query", "--decision", "019a0a3c-5f5e-7b1a-8f00-0123456789ab"], "decision_id"),
        (&["query", "--act", "erp.*", "--where", "act=crm.*"], "given twice"),
        (&["query", "--where", "session=1"], "atb audit trace ID"),
        (&["trace", "yesterday"], "expected a UUIDv7"),
        (&["query", "--url", "https://127.0.0.1:1"], "--as"),
    ] {
        let ran = audit(&home, args);
        assert_eq!((ran.code, ran.err.contains(told), ran.out.is_empty()), (2, true, true), "{args:?} {ran:?}");
    }
    let none = audit(&home, &["trace", "019a0a3c-5f5e-7b1a-8f00-0123456789ab"]);
    assert_eq!((none.code, none.err.contains("nothing on record")), (1, true), "{none:?}");
    let limited = audit(&home, &["query", "--limit", "1"]).ok();
    assert_eq!((limited.out.lines().count(), limited.err.contains("--from 1")), (1, true), "{limited:?}");
    let on = lines(&audit(&home, &["query", "--limit", "1", "--from", "1", "--format", "json"]).ok());
    assert_eq!(on[0]["seq"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_follows_what_matches_and_nothing_else() {
    use std::io::BufRead as _;
    let (home, _served) = served();
    let mut command =
        home.atb(["audit", "tail", "-f", "-n", "0", "--event-type", "poa_challenge_created", "--format", "jsonl"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    // It may not have looked yet when the first one is written: ask until it tells of one.
    let (told, heard) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || {
        let mut line = String::new();
        while out.read_line(&mut line).unwrap_or(0) > 0 {
            if told.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
    });
    let mut asked = Vec::new();
    let line = loop {
        asked.push(ask(&home));
        match heard.recv_timeout(std::time::Duration::from_secs(5)) {
            Ok(line) => break line,
            Err(_) => assert!(asked.len() < 10, "tail -f tells of nothing"),
        }
    };
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["entry"]["event_type"], "poa_challenge_created");
    assert!(asked.iter().any(|id| line["entry"]["challenge_id"] == id.as_str()), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(heard);
    reading.join().unwrap();
}
