//! The documents of a running `atb demo`, as its users get them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use atb::cli::client::{Client, ClientArgs, Service};
use atb::config::Config;
use serde_json::{Value, json};

use super::{fits, refuses};

const ATB: &str = env!("CARGO_BIN_EXE_atb");

/// A demo that has told its story and stays up.
struct Demo {
    child: Child,
    dir: tempfile::TempDir,
    steps: Vec<Value>,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Demo {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(ATB)
            .args(["demo", "--format", "json", "--dir"])
            .arg(dir.path().join("home"))
            .env("TMPDIR", dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        // The invitation behind the story is the sign that the services are up for us.
        let steps = lines.take_while(|line| !line.starts_with("Ctrl-C")).filter(|line| line.starts_with('{'));
        let steps = steps.map(|line| serde_json::from_str(&line).unwrap()).collect();
        Self { child, dir, steps }
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn client(&self, identity: &str, service: Service) -> Client {
        let args = ClientArgs { home: self.home(), identity: identity.to_owned(), svid: None, key: None, url: None };
        args.connect(service).unwrap()
    }

    /// What a command prints.
    fn atb(&self, args: &[&str]) -> String {
        let output = Command::new(ATB).args(args).env("ATB_HOME", self.home()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

async fn post(client: &Client, path: &str, body: &Value, status: u16) -> Value {
    let response = client.post(path, body).await.unwrap();
    let answer: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(response.status.as_u16(), status, "{path}: {answer:#}");
    answer
}

async fn get(client: &Client, path: &str, status: u16) -> Value {
    let response = client.get(path).await.unwrap();
    let answer: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(response.status.as_u16(), status, "{path}: {answer:#}");
    answer
}

fn ask(act: &str) -> Value {
    let vars = json!({"contract_ref": "MSA-1001", "accountable_id": "dave", "jurisdiction": "DE", "order": "O-2001"});
    json!({"act": act, "leg": {"template": "contract@1.0.0", "vars": vars}})
}

fn change() -> Value {
    let params =
        json!({"vendor_id": "V-1001", "iban": "DE02120300000000202051", "payment_limit": 25000, "reason": "moved"});
    let mut body = ask("sap.vendor.change");
    body["request"] =
        json!({"connector": "erp", "method": "POST", "path": "/vendors/V-1001/bank-account", "params": params});
    body
}

fn write(path: &Path, token: &Value) {
    std::fs::write(path, token.as_str().unwrap()).unwrap();
}

#[tokio::test]
async fn what_a_running_service_answers_and_records_fits() {
    let demo = Demo::start();
    the_steps(&demo);
    what_needs_nobody(&demo).await;
    let mandate = what_two_people_agree_on(&demo).await;
    what_is_in_the_mandate(&demo, &mandate);
    what_is_on_record(&demo);
    what_is_measured(&demo);
}

fn the_steps(demo: &Demo) {
    assert!(demo.steps.len() > 10, "{}", demo.steps.len());
    for step in &demo.steps {
        fits("demo-step", step);
    }
    refuses("demo-step", &demo.steps[0], vec![("/ok", json!("yes")), ("/ms", json!(-1)), ("/secret", json!("x"))]);
}

async fn what_needs_nobody(demo: &Demo) {
    let agent = demo.client("procurement", Service::AgentAuth);
    let request = ask("erp.vendor.read");
    let defects = vec![
        ("/tier", json!("low")),
        ("/agent", json!("spiffe://atb.dev/agent/other")),
        ("/approved", json!(true)),
        ("/act", json!("ERP.vendor.read")),
        ("/act", json!("erp.*")),
        ("/ttl_seconds", json!(300.5)),
        ("/ttl_seconds", json!(901)),
        ("/leg/approval", json!({"approver_id": "spiffe://atb.dev/approver/bob"})),
        ("/aud", json!([])),
    ];
    // What the schema refuses, the door refuses too.
    for (pointer, value) in &defects {
        let response = agent.post("/issue", &super::with(&request, pointer, value.clone())).await.unwrap();
        assert_eq!(response.status.as_u16(), 422, "{value} at {pointer}");
        fits("problem", &serde_json::from_slice(&response.body).unwrap());
    }
    refuses("issue-request", &request, defects);
    let minted = post(&agent, "/issue", &request, 201).await;
    refuses(
        "issue-minted",
        &minted,
        vec![("/token_type", json!("Bearer")), ("/expires_in", json!(0)), ("/jti", json!("1"))],
    );

    let call =
        json!({"connector": "erp", "method": "GET", "path": "/vendors/V-1001", "params": {"vendor_id": "V-1001"}});
    let question =
        json!({"token": minted["token"], "agent": "spiffe://atb.dev/agent/procurement", "request": call, "peek": true});
    refuses(
        "decide-request",
        &question,
        vec![
            ("/peek", json!("yes")),
            ("/request/path", json!("/a/../b%2f")),
            ("/agent", json!("alice")),
            ("/allow", json!(true)),
        ],
    );
    let connector = demo.client("erp", Service::Broker);
    let verdict = post(&connector, "/v1/decide", &question, 200).await;
    assert_eq!(verdict["allow"], true);
    refuses(
        "decide-answer",
        &verdict,
        vec![("/allow", json!("true")), ("/expires_at", json!(0)), ("/claims", json!({}))],
    );
    let denied = super::with(&question, "/agent", json!("spiffe://atb.dev/agent/support"));
    let verdict = post(&connector, "/v1/decide", &denied, 200).await;
    assert_eq!(verdict["allow"], false);
    fits("decide-answer", &verdict);
    let other = super::with(&question, "/request/method", json!("DELETE"));
    let verdict = post(&connector, "/v1/decide", &other, 200).await;
    assert_eq!(verdict["missing"], json!(["mandate"]), "{verdict}");
    refuses("decide-answer", &verdict, vec![("/missing", json!([])), ("/missing", json!("mandate"))]);
}

async fn what_two_people_agree_on(demo: &Demo) -> Value {
    let agent = demo.client("procurement", Service::AgentAuth);
    let request = change();
    fits("issue-request", &request);
    let pending = post(&agent, "/issue", &request, 202).await;
    refuses(
        "issue-pending",
        &pending,
        vec![("/required", json!(0)), ("/statement/decision", json!("reject")), ("/token", json!("x"))],
    );
    let id = pending["challenge_id"].as_str().unwrap().to_owned();
    let shown = get(&demo.client("alice", Service::AgentAuth), &format!("/challenges/{id}"), 200).await;
    refuses(
        "challenge",
        &shown,
        vec![
            ("/state", json!("done")),
            ("/ask/ttl", json!(901)),
            ("/ask/leg/approval", json!({})),
            ("/call/digest", json!("sha-256:00")),
            ("/statement/sum", json!("")),
            ("/statement/view", json!(null)),
            ("/view/facts", json!([])),
        ],
    );
    refuses(
        "view",
        &shown["view"],
        vec![
            ("/v", json!(2)),
            ("/tier", json!("none")),
            ("/sentence", json!("")),
            ("/facts/0/value", json!(1)),
            ("/facts/0/flags", json!([])),
            ("/facts/0/flags", json!(["odd"])),
            ("/html", json!("<b>")),
        ],
    );
    let listed = get(&demo.client("alice", Service::AgentAuth), "/challenges?limit=1", 200).await;
    refuses(
        "challenge-list",
        &listed,
        vec![
            ("/challenges/0/state", json!("done")),
            ("/challenges/0/sum", json!("")),
            ("/challenges/0/ask", shown["ask"].clone()),
            ("/next", json!("../")),
            ("/total", json!(1)),
        ],
    );
    let event = json!({"event": "created", "at": shown["created_at"], "challenge": listed["challenges"][0]});
    refuses("challenge-event", &event, vec![("/event", json!("seen")), ("/challenge/call/params", json!({}))]);
    for person in ["alice", "bob"] {
        demo.atb(&["approve", "--as", person, &id, "--yes"]);
    }
    fits("challenge", &get(&demo.client("bob", Service::AgentAuth), &format!("/challenges/{id}"), 200).await);
    let minted = get(&agent, &format!("/issue/{id}"), 201).await;
    fits("issue-minted", &minted);
    minted["token"].clone()
}

fn what_is_in_the_mandate(demo: &Demo, mandate: &Value) {
    let file = demo.dir.path().join("change.jwt");
    write(&file, mandate);
    let inspected: Value = serde_json::from_str(&demo.atb(&["mandate", "inspect", file.to_str().unwrap()])).unwrap();
    refuses(
        "mandate-header",
        &inspected["header"],
        vec![
            ("/alg", json!("none")),
            ("/alg", json!("HS256")),
            ("/typ", json!("JWT")),
            ("/jwk", json!({})),
            ("/kid", json!("../k")),
        ],
    );
    refuses(
        "mandate-claims",
        &inspected["claims"],
        vec![
            ("/exp", json!("1795260894")),
            ("/exp", json!(1.5)),
            ("/iat", json!(-1)),
            ("/aud", json!("spiffe://atb.dev/broker")),
            ("/sub", json!("spiffe://ATB.dev/agent/a")),
            ("/act", json!("sap.vendor.change ")),
            ("/jti", json!("f47ac10b-58cc-4372-a567-0e02b2c3d479")),
            ("/tier", json!("none")),
            ("/leg/dual_control/required", json!(false)),
            ("/leg/dual_control/approvers", json!([])),
            ("/leg/approval", inspected["claims"]["leg"]["dual_control"]["approvers"][0].clone()),
            ("/scope", json!("*")),
        ],
    );
    let statements = inspected["statements"].as_array().unwrap();
    assert_eq!(statements.len(), 2);
    for statement in statements {
        refuses(
            "approval-statement",
            &statement["claims"],
            vec![("/decision", json!("reject")), ("/sum", json!("x")), ("/cid", json!("")), ("/act", json!("a.b"))],
        );
    }
}

fn what_is_on_record(demo: &Demo) {
    let printed = demo.atb(&["audit", "query", "--format", "json"]);
    let entries: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["entry"].clone()).collect();
    for entry in &entries {
        fits("ledger-entry", entry);
    }
    let of = |kind: &str, allow: Option<bool>| {
        let found = entries.iter().find(|e| e["event_type"] == kind && allow.is_none_or(|allow| e["allow"] == allow));
        found.unwrap_or_else(|| panic!("no {kind} on record"))
    };
    let approvals = entries.iter().filter(|entry| entry["event_type"] == "poa_approval_recorded");
    let verdicts: Vec<_> = approvals.map(|entry| entry.get("allow").and_then(Value::as_bool)).collect();
    assert_eq!(verdicts, [None, Some(true)].repeat(verdicts.len() / 2), "an approval that counts is no denial");
    let unlike = |entry: &Value, member: &str| {
        let mut without = entry.clone();
        assert!(without.as_object_mut().unwrap().remove(member).is_some(), "{member}");
        assert!(!super::validator("ledger-entry").is_valid(&without), "{} without {member} fits", entry["event_type"]);
    };
    unlike(of("poa_issued", None), "jti");
    unlike(of("poa_issued_dual_control", None), "approvers");
    unlike(of("broker_decision", Some(true)), "request_digest");
    unlike(of("broker_decision", Some(false)), "reason");
    unlike(of("connector_outcome", None), "outcome");
    unlike(of("policy_activated", None), "bundle_digest");
    refuses(
        "ledger-entry",
        of("broker_decision", Some(true)),
        vec![
            ("/event_type", json!("poa_guessed")),
            ("/at", json!("yesterday")),
            ("/token", json!("x")),
            ("/detail", json!({"n": 1})),
            ("/outcome", json!("maybe")),
        ],
    );
}

/// Metrics have no schema; their names are a table for operators.
fn what_is_measured(demo: &Demo) {
    let config = Config::load(&demo.home().join("atb.toml")).unwrap();
    let mut stream = TcpStream::connect(config.ops).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ops\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let table = std::fs::read_to_string(super::root().join("docs/operators.md")).unwrap();
    let families = answer.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let names: Vec<_> = families.collect();
    assert!(names.len() > 5, "{answer}");
    for name in names {
        assert!(table.contains(&format!("| `{name}")), "docs/operators.md has no row for `{name}`");
    }
}
