//! `atb audit erase`: what opens a case goes, the entries stay, and the record says who was forgotten and why.

use std::collections::BTreeSet;

use atb::adapters::store::SqliteReader;
use atb::domain::id::Sha256Digest;
use atb::domain::ledger::Entry;
use serde_json::{Value, json};

use super::process::{Home, Ran, Served, Upstream, body, get, low_mandate};

/// The entries that can be opened.
async fn opened(home: &Home) -> BTreeSet<u64> {
    let reader = SqliteReader::open(&home.file("data/ledger.db")).await.unwrap();
    let decisions = reader.recorded_decisions(0, 1000).await.unwrap();
    reader.close().await;
    decisions.into_iter().filter(|entry| entry.openings.is_some()).map(|entry| entry.seq).collect()
}

/// The digest of the request in the entry `seq`, as it stands there and opened.
async fn request(home: &Home, seq: u64) -> (Sha256Digest, Option<Sha256Digest>) {
    let reader = SqliteReader::open(&home.file("data/ledger.db")).await.unwrap();
    let found = reader.entry_at(seq).await.unwrap().unwrap();
    reader.close().await;
    let entry: Entry = serde_json::from_slice(&found.body).unwrap();
    let commitment = entry.subject.request_digest.unwrap();
    (commitment, found.openings.and_then(|openings| openings.request(commitment)))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_case_is_erased_on_record_and_nothing_else_changes() {
    let upstream = Upstream::open().await;
    let home = Home::new();
    home.connect(upstream.address);
    let served = home.serve();
    let (issuer, broker) = (served.at_agentauth("procurement"), served.at_broker("procurement"));
    for _ in 0..2 {
        let mandate = low_mandate(&issuer).await;
        let answer = get(&broker, "/c/erp/vendors/V-1001", &mandate).await.unwrap();
        assert_eq!(answer.status.as_u16(), 200, "{}", body(&answer));
    }
    let erase = |id: &str, more: &[&str]| {
        let mut command = home.atb(["audit", "erase", "--reason", "request 2026-17"]);
        super::process::Ran::of(command.args(["--id", id]).args(more))
    };
    let ledger = home.ledger().await;
    let decisions: Vec<(u64, &Value)> =
        (0..).zip(&ledger).filter(|(_, event)| event["event_type"] == "broker_decision").collect();
    let [(first, one), (second, _)] = decisions[..] else { panic!("{decisions:?}") };
    let jti = one["jti"].as_str().unwrap();
    // The same call twice: one digest, two commitments, and neither is the digest.
    let ((a, opened_a), (b, opened_b)) = (request(&home, first).await, request(&home, second).await);
    assert!(a != b && opened_a.is_some() && opened_a == opened_b && opened_a != Some(a));
    assert!(!ledger.iter().any(|event| event.to_string().contains(&opened_a.unwrap().to_string())));

    let running = erase(jti, &[]);
    assert!(running.code == 2 && running.err.contains("stop the service first"), "{running:?}");
    served.kill();
    let before = opened(&home).await;
    assert!(before.contains(&first) && before.contains(&second));
    let told = erase(jti, &["--dry-run"]).ok();
    assert!(told.out.starts_with("would erase"), "{told:?}");
    assert_eq!(opened(&home).await, before);

    let erased = erase(jti, &[]).ok();
    assert!(erased.out.starts_with("erased what opens"), "{erased:?}");
    let after = opened(&home).await;
    assert!(!after.contains(&first) && after.contains(&second), "{before:?} {after:?}");
    assert_eq!(request(&home, first).await, (a, None));
    let event = home.ledger().await.pop().unwrap();
    assert_eq!((&event["event_type"], &event["detail"]["of"]), (&"openings_erased".into(), &jti.into()));
    assert_eq!(event["reason"], "request 2026-17");
    crate::schemas::fits("ledger-entry", &event);
    home.assert_intact();

    let again = erase(jti, &[]);
    assert!(again.code == 1 && again.err.contains("erased before"), "{again:?}");
    // The service goes on from it.
    drop(home.serve());
    home.assert_intact();
}

/// A mandate on that person's consent, and the call that it allows.
async fn act_on(served: &Served, person: &str) -> String {
    let vars = json!({
        "jurisdiction": "DE", "accountable_id": "erin", "consent_ref": "C-17", "data_subject": person,
        "purpose": "newsletter",
    });
    let asked = json!({"act": "erp.vendor.read", "leg": {"template": "consent@1.0.0", "vars": vars}});
    let issued = served.at_agentauth("procurement").post("/issue", &asked).await.unwrap();
    let token = body(&issued)["token"].as_str().unwrap_or_else(|| panic!("{}", body(&issued))).to_owned();
    let answer = get(&served.at_broker("procurement"), "/c/erp/vendors/V-1001", &token).await.unwrap();
    assert_eq!(answer.status.as_u16(), 200, "{}", body(&answer));
    body(&issued)["jti"].as_str().unwrap().to_owned()
}

/// What `atb leg commit` prints for that person.
fn commitment(home: &Home, person: &str) -> String {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut command = home.atb(["leg", "commit", "--template", "consent", "--variable", "data_subject"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(person.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_about_one_person_is_erased_by_her_commitment_and_the_log_still_proves_what_happened() {
    let upstream = Upstream::open().await;
    let home = Home::new();
    home.connect(upstream.address);
    home.edit("opa/leg_templates/consent/data.yaml", "acts: [\"crm.*\"", "acts: [\"erp.*\", \"crm.*\"");
    let served = home.serve();
    let zoe = [act_on(&served, "zoe@example.com").await, act_on(&served, "zoe@example.com").await];
    let other = act_on(&served, "yan@example.com").await;
    // Stopped in order: every outcome is on record.
    served.terminate();
    served.exited().await;
    let person = commitment(&home, "zoe@example.com");
    assert!(person.starts_with("hmac-sha-256:"), "{person}");
    let ledger = home.ledger().await;
    let of = |jtis: &[String]| -> BTreeSet<u64> {
        let about = |event: &Value| event["jti"].as_str().is_some_and(|jti| jtis.iter().any(|known| known == jti));
        (0..).zip(&ledger).filter(|(_, event)| about(event)).map(|(seq, _)| seq).collect()
    };
    let (hers, his) = (of(&zoe), of(std::slice::from_ref(&other)));
    let before = opened(&home).await;
    let (hers_open, his_open): (BTreeSet<_>, BTreeSet<_>) = (&hers & &before, &his & &before);
    assert!(hers_open.len() >= 4 && his_open.len() >= 2, "{before:?} {hers:?} {his:?}");

    let erase = |person: &str| {
        let mut command = home.atb(["audit", "erase", "--reason", "request 2026-18"]);
        Ran::of(command.args(["--data-subject", person]))
    };
    let nobody = erase(&commitment(&home, "nobody@example.com"));
    assert!(nobody.code == 1 && nobody.err.contains("no entry of it"), "{nobody:?}");
    let erased = erase(&person).ok();
    assert!(erased.out.contains("they stay"), "{erased:?}");
    let after = opened(&home).await;
    assert!(after.is_disjoint(&hers), "{after:?} {hers:?}");
    assert!(his_open.is_subset(&after), "{after:?} {his:?}");
    assert_eq!(home.ledger().await[..ledger.len()], ledger[..], "entries stay as they were");
    let event = home.ledger().await.pop().unwrap();
    assert_eq!((&event["event_type"], &event["detail"]["of"]), (&"openings_erased".into(), &person.into()));
    home.assert_intact();

    // What is left proves that it happened, and says what nobody can say any more.
    let at = |seq: u64| &ledger[usize::try_from(seq).unwrap()];
    let decision = hers.iter().find(|seq| at(**seq)["event_type"] == "broker_decision").unwrap();
    let proven = home.run(["audit", "prove", &decision.to_string()]).ok();
    assert!(proven.out.contains("c2sp.org/tlog-proof"), "{proven:?}");
    home.run(["audit", "case", &zoe[0], "--out", "case.zip"]).ok();
    let verified = home.run(["audit", "verify", "case.zip", "--key", "keys/ledger.vkey"]).ok();
    assert!(verified.out.contains("case.zip: sound"), "{verified:?}");
    let unsaid = |line: &str| line.starts_with("not checked") && line.contains("opening_erased");
    assert!(verified.out.lines().any(unsaid), "{verified:?}");
    home.run(["audit", "case", &other, "--out", "his.zip"]).ok();
    let verified = home.run(["audit", "verify", "his.zip", "--key", "keys/ledger.vkey"]).ok();
    assert!(!verified.out.contains("opening_erased"), "{verified:?}");
    let again = erase(event["detail"]["of"].as_str().unwrap());
    assert!(again.code == 1 && again.err.contains("erased before"), "{again:?}");
}
