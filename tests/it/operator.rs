//! What an operator gets wrong: the program refuses to start, exits 2 and says why.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::process::{Home, PATIENCE, atb};

/// Starts it and expects that it ends by itself with 2 and one line that holds these words.
#[track_caller]
fn refused(mut command: Command, words: &[&str]) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > until {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it started in spite of: {words:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(2), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
    assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "{said}");
}

/// `atb serve` without `--dev`, as production is started.
fn in_production(home: &Home) -> Command {
    home.edit("atb.toml", "dev = true", "dev = false");
    home.atb(["serve", "--config", "atb.toml"])
}

#[test]
fn a_missing_key_refuses_the_start() {
    for key in ["keys/mandate.pem", "keys/ledger.pem", "svids/broker/key.pem"] {
        let home = Home::new();
        std::fs::remove_file(home.file(key)).unwrap();
        refused(home.serving(), &[key]);
    }
    let home = Home::new();
    home.edit("atb.toml", "mandate = \"keys/mandate.pem\"\n", "");
    refused(home.serving(), &["`keys.mandate` is missing"]);
}

#[test]
fn a_key_that_others_can_read_refuses_the_start() {
    for key in ["keys/mandate.pem", "keys/ledger.pem", "svids/agentauth/key.pem"] {
        let home = Home::new();
        std::fs::set_permissions(home.file(key), std::fs::Permissions::from_mode(0o644)).unwrap();
        refused(home.serving(), &[key, "chmod 600"]);
    }
}

#[test]
fn a_wrong_ticket_system_or_endpoint_is_named_and_told_once() {
    let remote = "plain http is taken only to a loopback address";
    let private = "the secret `./wrong` has mode 0644: other users can reach it";
    let ticket = ("http://127.0.0.1:9000/tickets", "http://tickets.example/tickets");
    let secret = ("accept = [\"approved\"]", "accept = [\"approved\"]\nsecret = \"wrong\"");
    let endpoint =
        ("[ops]", "[[notify.endpoints]]\nname = \"ops\"\nurl = \"https://ops.example\"\nsecret = \"wrong\"\n\n[ops]");
    for ((from, to), place, fault) in [
        (ticket, "[tickets.jira]: ", remote),
        (secret, "[tickets.jira]: ", private),
        (endpoint, "notify endpoint `ops`: ", private),
    ] {
        let home = Home::new();
        std::fs::write(home.file("wrong"), "word").unwrap();
        std::fs::set_permissions(home.file("wrong"), std::fs::Permissions::from_mode(0o644)).unwrap();
        home.edit("atb.toml", from, to);
        let checked = home.run(["config", "check", "--config", "./atb.toml"]);
        assert_eq!(checked.code, 1, "{checked:?}");
        assert!(checked.out.contains(&format!("not valid: {place}{fault}")), "{checked:?}");
        assert_eq!(checked.out.matches(fault).count(), 1, "{checked:?}");
    }
}

#[test]
fn a_broker_without_agentauths_keys_says_who_writes_them() {
    let home = Home::new();
    let mut broker = home.atb(["broker", "--dev", "--config", "atb.toml"]);
    broker.env("ATB_BROKER__LISTEN", "127.0.0.1:0").env("ATB_OPS__LISTEN", "127.0.0.1:0");
    refused(broker, &["keys/jwks.json`; AgentAuth writes it when it starts"]);
}

#[test]
fn a_missing_or_foreign_trust_bundle_refuses_the_start() {
    let home = Home::new();
    std::fs::remove_file(home.file("trust/bundle.pem")).unwrap();
    refused(home.serving(), &["trust/bundle.pem"]);
    let home = Home::new();
    std::fs::write(home.file("trust/bundle.pem"), include_str!("../vectors/statement/trust.pem")).unwrap();
    refused(home.serving(), &["agentauth/svid.pem"]);
}

#[test]
fn development_and_production_are_not_mixed() {
    refused(Home::new().atb(["serve", "--config", "atb.toml"]), &["dev = true", "--dev"]);
    refused(in_production(&Home::new()), &["authority made by `atb init`", "production refuses it"]);
    let home = Home::new();
    in_production(&home);
    refused(home.serving(), &["--dev goes with a configuration that says `dev = true`"]);
}

#[test]
fn production_refuses_a_connector_over_plain_http() {
    let home = Home::new();
    std::fs::write(home.file("trust/bundle.pem"), include_str!("../vectors/statement/trust.pem")).unwrap();
    refused(in_production(&home), &["erp.toml", "dev_plain_http"]);
}

#[test]
fn a_misspelt_key_flag_or_variable_is_named_with_what_is_nearest() {
    let home = Home::new();
    home.edit("atb.toml", "connectors =", "conectors =");
    refused(home.serving(), &["atb.toml:31:1: unknown key `conectors`", "`connectors`"]);
    let home = Home::new();
    let mut command = home.serving();
    command.arg("--develop");
    refused(command, &["--develop", "--dev"]);
    let mut command = home.serving();
    command.env("ATB_BROKER__LISTN", "127.0.0.1:0");
    refused(command, &["`ATB_BROKER__LISTN`", "`ATB_BROKER__LISTEN`"]);
}

#[test]
fn a_missing_configuration_says_how_to_make_one() {
    refused(atb(["serve", "--dev", "--config", "/nonexistent/atb.toml"]), &["/nonexistent/atb.toml", "atb init"]);
}

#[tokio::test]
async fn a_ledger_of_another_kind_or_version_refuses_the_start() {
    use sqlx::Connection as _;

    let home = Home::new();
    std::fs::create_dir(home.file("data")).unwrap();
    std::fs::write(home.file("data/ledger.db"), "not a database at all, but long enough to be looked at ".repeat(40))
        .unwrap();
    refused(home.serving(), &["ledger.db` is not an ATB ledger"]);

    let home = Home::new();
    home.serve().kill();
    let url = format!("sqlite://{}", home.file("data/ledger.db").display());
    let mut ledger = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (99990101000000, 'from the future', TRUE, x'00', 0)";
    sqlx::query(newer).execute(&mut ledger).await.unwrap();
    ledger.close().await.unwrap();
    refused(home.serving(), &["ledger.db", "99990101000000 is newer than this program"]);
}

#[test]
fn a_ledger_that_is_gone_is_not_replaced_by_an_empty_one() {
    let home = Home::new();
    home.serve().kill();
    std::fs::remove_dir_all(home.file("data")).unwrap();
    refused(home.serving(), &["ledger.db` is gone", "restore it"]);
}

#[test]
fn a_ledger_has_one_writer() {
    let home = Home::new();
    let first = home.serve();
    refused(home.serving(), &["ledger.db` is in use by another process"]);
    drop(first);
    home.serve().kill();
}

#[test]
fn a_taken_port_refuses_the_start_as_a_whole() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for section in ["AGENTAUTH", "BROKER", "OPS"] {
        let mut command = home.serving();
        command.env(format!("ATB_{section}__LISTEN"), &address);
        refused(command, &["cannot listen on", &address]);
    }
    home.serve().kill();
}

#[test]
fn a_bundle_that_is_missing_broken_or_fails_its_tests_refuses_the_start() {
    let home = Home::new();
    std::fs::remove_dir_all(home.file("opa")).unwrap();
    refused(home.serving(), &["opa"]);

    let home = Home::new();
    std::fs::write(home.file("opa/policy/extra.rego"), "package atb.extra\n\nallow if {\n").unwrap();
    refused(home.serving(), &["extra.rego:"]);

    let home = Home::new();
    let failing = "package atb.extra_test\n\ntest_never if {\n\tfalse\n}\n";
    std::fs::write(home.file("opa/policy/extra_test.rego"), failing).unwrap();
    refused(home.serving(), &["test_never"]);
}
