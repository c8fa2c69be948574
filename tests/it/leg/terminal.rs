//! `atb leg withdraw` and `atb leg commit`, as a legal officer types them.

use std::io::Write as _;
use std::process::Stdio;

use crate::process::{Home, Ran};

fn withdraw(home: &Home, what: &str, name: &str) -> Ran {
    home.run(["leg", "withdraw", what, name, "--reason", "the form was wrong"])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_officer_is_told_what_each_door_withdrew_and_when_it_was_a_slip_of_the_pen() {
    let home = Home::new();
    let served = home.serve();
    served.publish(&home);
    let slip = withdraw(&home, "--template", "contract@1.0.1").ok();
    assert!(slip.err.contains("the bundle in force has no template contract@1.0.1"), "{slip:?}");
    let first = withdraw(&home, "--template", "contract@1.0.0").ok();
    let lines: Vec<_> = first.out.lines().collect();
    let [broker, agentauth] = lines.as_slice() else { panic!("{first:?}") };
    assert!(broker.starts_with("broker: template contract@1.0.0 withdrawn by "), "{first:?}");
    assert!(agentauth.starts_with("agentauth: template contract@1.0.0 withdrawn by "), "{first:?}");
    assert_eq!(first.err, "");
    let again = withdraw(&home, "--template", "contract").ok();
    assert_eq!(again.out.matches("was withdrawn before").count(), 2, "{again:?}");
    let consent = withdraw(&home, "--consent", "CON-17").ok();
    assert_eq!(consent.out.matches("consent CON-17 withdrawn").count(), 2, "{consent:?}");

    let told = home.run(["audit", "query", "--event-type", "leg_withdrawn"]).ok();
    for fact in ["template=contract@1.0.0  withdrawal_reason=\"the form was wrong\"", "consent_ref=CON-17"] {
        assert!(told.out.contains(fact), "{told:?}");
    }
    let stranger =
        home.run(["leg", "withdraw", "--as", "procurement", "--template", "consent@1.0.0", "--reason", "mine"]);
    assert_eq!((stranger.code, stranger.err.matches("not_a_legal_officer").count()), (1, 2), "{stranger:?}");
}

#[test]
fn a_commitment_is_computed_for_a_variable_that_is_committed_to_and_no_other() {
    let home = Home::new();
    let commit = |variable: &str| {
        let mut command = home.atb(["leg", "commit", "--template", "consent", "--variable", variable]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"zoe@example.com").unwrap();
        let done = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (done.status.code(), text(done.stdout), text(done.stderr))
    };
    let (code, out, _) = commit("data_subject");
    assert!(code == Some(0) && out.starts_with("hmac-sha-256:"), "{out}");
    assert!(commit("purpose").2.contains("does not commit to `purpose`"));
    assert!(commit("name").2.contains("has no variable `name`"));
}
