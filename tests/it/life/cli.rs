//! `atb issue --withdraw` and `--reask`, as an agent's owner types them.

use serde_json::json;

use crate::process::{Home, Ran};

fn ask(home: &Home) -> String {
    let ran = home.run([
        "issue",
        "--as",
        "procurement",
        "erp.order.create",
        "--template",
        "contract",
        "--var",
        "contract_ref=MSA-1001",
        "--var",
        "accountable_id=dave",
        "--var",
        "jurisdiction=DE",
        "--var",
        "order=O-7",
    ]);
    ran.ok().out.trim().to_owned()
}

fn withdraw(home: &Home, challenge: &str) -> Ran {
    home.run(["issue", "--as", "procurement", "--withdraw", challenge, "--reason", "wrong vendor"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_withdrawn_and_asked_again_from_a_terminal() {
    let home = Home::new();
    let served = home.serve();
    served.publish(&home);
    let challenge = ask(&home);
    let early = home.run(["issue", "--as", "procurement", "--reask", &challenge]);
    assert_eq!((early.code, early.err.contains("challenge_pending")), (1, true), "{early:?}");
    assert_eq!(withdraw(&home, &challenge).ok().out.trim(), format!("{challenge}: withdrawn"));
    let late = home.run(["approve", "--as", "alice", &challenge, "--yes", "--out", "late.jwt"]);
    assert_eq!((late.code, late.err.trim()), (1, "nothing to sign: the challenge is withdrawn"));
    assert!(!home.file("late.jwt").exists());
    let late = home.run(["approve", "--as", "alice", &challenge, "--yes"]);
    assert_eq!((late.code, late.err.contains("withdrew its request: wrong vendor")), (1, true), "{late:?}");
    let twice = withdraw(&home, &challenge);
    assert_eq!((twice.code, twice.err.contains("you withdrew it: wrong vendor")), (1, true), "{twice:?}");

    let again = home.run(["issue", "--as", "procurement", "--reask", &challenge, "--format", "json"]).ok().json();
    assert_eq!((&again["reask_of"], &again["missing"]["approvals"]), (&json!(challenge), &json!(1)));
    let next = again["challenge_id"].as_str().unwrap();
    home.run(["approve", "--as", "alice", next, "--yes"]).ok();
    let minted = home.run(["issue", "--as", "procurement", "--collect", next, "--format", "json"]).ok();
    assert_eq!(minted.json()["token_type"], "poa+jwt");

    for incomplete in [
        ["issue", "--as", "procurement", "--withdraw", next, "--format", "json"],
        ["issue", "--as", "procurement", "--reask", next, "--collect", next],
    ] {
        assert_eq!(home.run(incomplete).code, 2, "{incomplete:?}");
    }
    assert_eq!(home.run(["issue", "--as", "procurement"]).code, 2, "neither an act nor a challenge");
}
