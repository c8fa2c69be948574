//! A person with a terminal: the whole flow with commands alone, and how they fail.

use serde_json::{Value, json};

use super::process::{Home, Ran, Served, Upstream, atb, entries};

const GROUND: [&str; 10] = [
    "--template",
    "contract",
    "--var",
    "contract_ref=MSA-1001",
    "--var",
    "accountable_id=dave",
    "--var",
    "jurisdiction=DE",
    "--var",
    "order=vendor V-1001",
];
const CHANGE: &str = r#"{"vendor_id":"V-1001","iban":"DE02120300000000202051","payment_limit":25000}"#;

/// A directory with running services that its commands find.
async fn running() -> (Home, Served, Upstream) {
    let (home, upstream) = (Home::new(), Upstream::open().await);
    home.connect(upstream.address);
    let served = home.serve();
    served.publish(&home);
    (home, served, upstream)
}

fn issue<const N: usize>(home: &Home, act: &str, more: [&str; N]) -> Ran {
    let mut command = home.atb(["issue", "--as", "procurement", act]);
    Ran::of(command.args(GROUND).args(more))
}

/// Asks for the change of a bank account; the challenge's id.
fn ask_for_a_change(home: &Home) -> String {
    let call = "POST erp /vendors/V-1001/bank-account";
    let asked = issue(home, "sap.vendor.change", ["--request", call, "--params", CHANGE]).ok();
    assert!(asked.err.contains("waiting for 2 approval(s) of tier high"), "{asked:?}");
    asked.out.trim().to_owned()
}

fn change(home: &Home, mandate: &str) -> Ran {
    let body = r#"{"iban":"DE02120300000000202051","payment_limit":25000}"#;
    let target = "erp/vendors/V-1001/bank-account";
    home.run(["call", "--as", "procurement", "--mandate", mandate, "POST", target, "--body", body])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_low_act_is_asked_for_and_called_with_two_commands() {
    let (home, _served, upstream) = running().await;
    let asked = issue(&home, "erp.vendor.read", ["--out", "read.jwt"]).ok();
    assert!(asked.out.starts_with("read.jwt: low tier"), "{asked:?}");
    let called = home.run(["call", "--as", "procurement", "--mandate", "read.jwt", "GET", "erp/vendors/V-1001"]).ok();
    assert_eq!(called.json()["vendor_id"], "/vendors/V-1001");
    let again = home.run(["call", "--as", "procurement", "--mandate", "read.jwt", "GET", "erp/vendors/V-1001"]);
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.err.contains("mandate_replayed"), "{again:?}");
    assert_eq!(upstream.seen(), ["/vendors/V-1001"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_high_act_is_approved_by_two_people_and_done_once() {
    let (home, _served, upstream) = running().await;
    let challenge = ask_for_a_change(&home);

    let listed = home.run(["approve", "--as", "alice"]).ok();
    assert!(listed.out.contains(&challenge) && listed.out.contains("0/2 approved"), "{listed:?}");
    let waiting = home.run(["approve", "--as", "bob", "--format", "json"]).ok().json();
    assert_eq!(waiting["challenges"][0]["challenge_id"], challenge.as_str());
    let early = issue(&home, "sap.vendor.change", ["--collect", &challenge, "--format", "json"]).ok();
    assert_eq!(early.json()["approved"], 0);
    let unasked = home.run(["approve", "--as", "alice", &challenge]);
    assert_eq!(unasked.code, 2, "{unasked:?}");
    assert!(unasked.err.contains("pass --yes"), "{unasked:?}");

    let alice = home.run(["approve", "--as", "alice", &challenge, "--yes"]).ok();
    for shown in [
        "Change the bank account of vendor V-1001 to DE02120300000000202051",
        "(high tier)",
        "/payment_limit  25000",
        "you sign                sha-256:",
        "and what you saw        sha-256:",
        "1 of 2 approved",
    ] {
        assert!(alice.out.contains(shown), "`{shown}` is not in {}", alice.out);
    }
    let twice = home.run(["approve", "--as", "alice", &challenge, "--yes"]);
    assert_eq!((twice.code, twice.err.contains("approval_refused")), (1, true), "{twice:?}");
    let bob = home.run(["approve", "--as", "bob", &challenge, "--yes"]).ok();
    assert!(bob.out.contains("approved, 2 of 2 approved"), "{bob:?}");

    issue(&home, "sap.vendor.change", ["--collect", &challenge, "--out", "change.jwt"]).ok();
    let again = issue(&home, "sap.vendor.change", ["--collect", &challenge]);
    assert_eq!((again.code, again.err.contains("challenge_redeemed")), (1, true), "{again:?}");
    mandate_can_be_read_and_verified_offline(&home);
    change(&home, "change.jwt").ok();
    assert_eq!(change(&home, "change.jwt").code, 1);
    assert_eq!(upstream.seen(), ["/vendors/V-1001/bank-account"]);
    the_ledger_can_be_read(&home, &challenge);
}

fn mandate_can_be_read_and_verified_offline(home: &Home) {
    let read = home.run(["mandate", "inspect", "change.jwt"]).ok();
    assert!(read.err.contains("not verified"), "{read:?}");
    assert_eq!(read.json()["verified"], false);
    assert_eq!(read.json()["statements"].as_array().unwrap().len(), 2);
    let valid = home.run(["mandate", "verify", "change.jwt"]).ok();
    assert_eq!(valid.out.matches("approved by spiffe://atb.dev/approver/").count(), 2, "{valid:?}");
    assert!(valid.out.contains("what the approvers were shown: not checked: needs --params"), "{valid:?}");
    assert_eq!(home.run(["mandate", "verify", "change.jwt", "--format", "json"]).ok().json()["valid"], true);
    let with = |params: &str| {
        std::fs::write(home.file("params.json"), params).unwrap();
        let seen = home.run(["mandate", "verify", "change.jwt", "--params", "params.json", "--format", "json"]);
        (seen.code, seen.json())
    };
    let (code, seen) = with(r#"{"payment_limit":25000,"vendor_id":"V-1001","iban":"DE02120300000000202051"}"#);
    assert_eq!((code, &seen["view"]), (0, &Value::from("ok")), "{seen}");
    let (code, seen) = with(r#"{"payment_limit":250000,"vendor_id":"V-1001","iban":"DE02120300000000202051"}"#);
    assert_eq!((code, &seen["code"]), (1, &Value::from("view_call_mismatch")), "{seen}");
    another_sentence_is_not_what_was_shown(home);

    let token = std::fs::read_to_string(home.file("change.jwt")).unwrap();
    let (head, rest) = token.split_at(token.len() / 2);
    let other = if rest.starts_with('A') { 'B' } else { 'A' };
    std::fs::write(home.file("tampered.jwt"), format!("{head}{other}{}", &rest[1..])).unwrap();
    let tampered = home.run(["mandate", "verify", "tampered.jwt", "--format", "json"]);
    assert_eq!((tampered.code, &tampered.json()["valid"]), (1, &Value::Bool(false)), "{tampered:?}");
    let later = home.run(["mandate", "verify", "change.jwt", "--at", "2999-01-01T00:00:00Z"]);
    assert_eq!((later.code, later.out.contains("mandate_expired")), (1, true), "{later:?}");
    assert_eq!(home.run(["mandate", "verify", "no-such-file"]).code, 2);
    std::fs::write(home.file("garbage.jwt"), "not a token").unwrap();
    assert_eq!(home.run(["mandate", "inspect", "garbage.jwt"]).code, 1);
}

/// The same parameters under a policy that describes the act otherwise.
fn another_sentence_is_not_what_was_shown(home: &Home) {
    let params = r#"{"payment_limit":25000,"vendor_id":"V-1001","iban":"DE02120300000000202051"}"#;
    std::fs::write(home.file("params.json"), params).unwrap();
    let file = home.file("opa/catalogue/data.json");
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, before.replacen("Change the bank account of vendor", "Read vendor", 1)).unwrap();
    let seen = home.run(["mandate", "verify", "change.jwt", "--params", "params.json"]);
    assert_eq!((seen.code, seen.out.contains("statement_view")), (1, true), "{seen:?}");
    std::fs::write(&file, before).unwrap();
}

fn the_ledger_can_be_read(home: &Home, challenge: &str) {
    let tail = home.run(["audit", "tail", "-n", "1"]).ok();
    assert_eq!(tail.out.lines().count(), 1, "{tail:?}");
    let told = home.run(["audit", "query", "--challenge", challenge, "--format", "json"]).ok();
    let told: Vec<Value> = told.out.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let types: Vec<_> = told.iter().map(|line| line["entry"]["event_type"].as_str().unwrap()).collect();
    assert_eq!(
        types,
        [
            "poa_challenge_created",
            "poa_approval_recorded",
            "poa_approval_refused",
            "poa_approval_recorded",
            "poa_issued_dual_control",
            "poa_denied",
            "broker_decision",
            "poa_single_use_replay_blocked"
        ]
    );
    let last = home.run(["audit", "tail", "-n", "1", "--format", "json"]).ok();
    assert!(last.json()["seq"].is_u64(), "{last:?}");
    let verified = home.run(["audit", "verify", "--format", "json"]).ok();
    assert_eq!(verified.json()["intact"], true);
    let unknown = home.run(["audit", "query", "--event-type", "poa_isued"]);
    assert_eq!((unknown.code, unknown.err.contains("poa_issued")), (2, true), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_ends_the_challenge_and_says_why() {
    let (home, _served, upstream) = running().await;
    let challenge = ask_for_a_change(&home);
    let rejected =
        home.run(["reject", "--as", "bob", &challenge, "--reason", "the IBAN is not in the vendor file"]).ok();
    assert!(rejected.out.contains("rejected"), "{rejected:?}");
    let collected = issue(&home, "sap.vendor.change", ["--collect", &challenge]);
    assert_eq!(collected.code, 1, "{collected:?}");
    assert!(collected.err.contains("the IBAN is not in the vendor file"), "{collected:?}");
    assert_eq!(home.run(["approve", "--as", "alice", &challenge, "--yes"]).code, 1);
    assert!(upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_exits_1_and_what_cannot_run_exits_2() {
    let (home, served, _upstream) = running().await;
    let denied = issue(&home, "erp.vendor.transfer_everything", []);
    assert_eq!((denied.code, denied.err.contains("unknown_act")), (1, true), "{denied:?}");
    let nobody = home.run(["approve", "--as", "mallory"]);
    assert_eq!(nobody.code, 2, "{nobody:?}");
    assert!(
        nobody.err.contains("there is no identity `mallory`") && nobody.err.contains("alice, alice-mobile"),
        "{nobody:?}"
    );
    assert_eq!(home.run(["approve", "--as", "procurement"]).code, 1, "an agent is no approver");
    let params = issue(&home, "sap.vendor.change", ["--request", "POST erp /x", "--params", "{"]);
    assert_eq!((params.code, params.err.lines().count()), (2, 1), "{params:?}");
    assert_eq!(issue(&home, "erp.vendor.read", ["--statement", "no-such-file"]).code, 2);
    served.kill();
    let unreachable = issue(&home, "erp.vendor.read", []);
    assert_eq!((unreachable.code, unreachable.err.lines().count()), (2, 1), "{unreachable:?}");
}

#[test]
fn init_makes_a_directory_and_never_replaces_one() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("new");
    let made = Ran::of(atb(["init"]).arg(&dir).args(["--trust-domain", "acme.example"])).ok();
    assert!(made.out.contains("atb serve --dev"), "{made:?}");
    let before = entries(&dir).len();
    let again = Ran::of(atb(["init"]).arg(&dir));
    assert_eq!((again.code, again.err.contains("is not empty")), (2, true), "{again:?}");
    assert_eq!(entries(&dir).len(), before);
    let home = std::fs::read_to_string(dir.join("opa/agents/data.json")).unwrap();
    assert!(home.contains("spiffe://acme.example/agent/procurement"));
}

#[test]
fn an_svid_is_shown_with_whether_it_is_valid() {
    let (home, other) = (Home::new(), Home::new());
    let svid = home.file("svids/procurement/svid.pem");
    let inspect = |home: &Home| {
        let bundle = ["--bundle", "trust/bundle.pem", "--trust-domain", "atb.dev", "--format", "json"];
        Ran::of(home.atb(["svid", "inspect"]).arg(&svid).args(bundle))
    };
    let valid = inspect(&home).ok();
    assert!(valid.out.contains("spiffe://atb.dev/agent/procurement"), "{valid:?}");
    assert_eq!(valid.json()["valid"], true);
    let foreign = inspect(&other);
    assert_eq!((foreign.code, foreign.json()["valid"].as_bool()), (1, Some(false)), "{foreign:?}");
    assert_eq!(home.run(["svid", "inspect", "no-such-file"]).code, 2);
}

#[test]
fn config_check_says_what_a_start_would_refuse() {
    let home = Home::new();
    let good = home.run(["config", "check"]).ok();
    assert!(good.out.contains("is valid (development"), "{good:?}");
    home.edit("atb.toml", "[broker]\nlisten", "[broker]\nlisen");
    let misspelt = home.run(["config", "check"]);
    assert_eq!(misspelt.code, 1, "{misspelt:?}");
    assert!(misspelt.out.contains("atb.toml:27:1: unknown key `lisen`; did you mean `listen`?"), "{misspelt:?}");
    assert_eq!(home.run(["config", "check", "--config", "no-such.toml"]).code, 2);

    let home = Home::new();
    std::fs::remove_file(home.file("keys/mandate.pem")).unwrap();
    home.edit("connectors/erp.toml", "body = \"json\"", "body = \"yaml\"");
    let broken = home.run(["config", "check"]);
    assert_eq!((broken.code, broken.out.lines().count()), (1, 2), "both findings at once: {broken:?}");
}

#[test]
fn connector_lint_names_the_line_to_change() {
    let home = Home::new();
    let good = home.run(["connector", "lint", "connectors", "--format", "json"]).ok().json();
    assert_eq!((&good["valid"], &good["errors"]), (&json!(["erp"]), &json!([])));
    let production = home.run(["connector", "lint", "connectors", "--production"]);
    assert_eq!((production.code, production.out.contains("dev_plain_http")), (1, true), "{production:?}");
    home.edit("connectors/erp.toml", "[limits]", "[limit]");
    let wrong = home.run(["connector", "lint", "connectors"]);
    assert_eq!(wrong.code, 1, "{wrong:?}");
    assert!(format!("{}{}", wrong.out, wrong.err).contains("erp.toml:"), "{wrong:?}");
}

/// The names behind `Commands:` in a help text.
fn subcommands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

fn helped(path: &[String], without_examples: &mut Vec<String>) {
    let ran = Ran::of(atb([]).args(path).arg("--help")).ok();
    let below = subcommands(&ran.out);
    if below.is_empty() && !ran.out.contains("EXAMPLES:") {
        without_examples.push(path.join(" "));
    }
    for name in below {
        helped(&[path, &[name]].concat(), without_examples);
    }
}

#[test]
fn every_command_shows_an_example() {
    let mut without_examples = Vec::new();
    helped(&[], &mut without_examples);
    assert_eq!(without_examples, [""; 0]);
    assert_eq!(Ran::of(&mut atb(["isue"])).code, 2);
}

/// The lines of a command that goes on until it is stopped.
struct Watched {
    child: std::process::Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Watched {
    fn start(mut command: std::process::Command) -> Self {
        use std::io::BufRead as _;
        let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let out = std::io::BufReader::new(child.stdout.take().unwrap());
        let (told, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| told.send(line)));
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(std::time::Duration::from_secs(30)).expect("nothing was printed")
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_watches_the_queue() {
    let (home, _served, _upstream) = running().await;
    let first = ask_for_a_change(&home);
    let watched = Watched::start(home.atb(["approve", "--as", "alice", "--watch"]));
    let line = watched.line();
    assert!(line.starts_with("waits") && line.contains(&first) && line.contains("0/2 approved"), "{line}");
    let second = ask_for_a_change(&home);
    home.run(["approve", "--as", "bob", &second, "--yes"]).ok();
    home.run(["reject", "--as", "carol", &second, "--reason", "twice"]).ok();
    for turn in ["created", "vote", "rejected"] {
        let line = watched.line();
        assert!(line.starts_with(turn) && line.contains(&second), "{line}");
    }
    let json = Watched::start(home.atb(["approve", "--as", "alice", "--watch", "--format", "json"]));
    let told: Value = serde_json::from_str(&json.line()).unwrap();
    assert_eq!((&told["event"], &told["challenge"]["challenge_id"]), (&json!("waits"), &json!(first)));
    let agent = home.run(["approve", "--as", "procurement", "--watch"]);
    assert_eq!((agent.code, agent.err.contains("approver_unknown")), (1, true), "{agent:?}");
}
