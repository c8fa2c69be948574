//! Standing in with commands alone.

use serde_json::json;

use super::process::{Home, Ran, Upstream};

const BOB: &str = "spiffe://atb.dev/approver/bob";

fn sign<const N: usize>(home: &Home, name: &str, until: &str, more: [&str; N]) -> Ran {
    let mut command =
        home.atb(["delegation", "sign", "--as", name, "--tiers", "medium,high", "--workspaces", "default"]);
    Ran::of(command.args(["--until", until]).args(more))
}

/// Three days from now, to the second.
fn soon() -> String {
    use atb::service::ports::Clock as _;
    let now = atb::adapters::clock::SystemClock.now().truncate_to_secs();
    now.plus(std::time::Duration::from_secs(3 * 86_400)).to_string()
}

#[test]
fn a_delegation_is_signed_and_read_without_any_service() {
    let (home, until) = (Home::new(), soon());
    let scope = ["--to", BOB, "--acts", "sap.*,erp.order.create", "--out", "a.jwt"];
    let signed = sign(&home, "alice", &until, scope).ok();
    assert!(signed.out.contains("bob may stand in for spiffe://atb.dev/approver/alice"), "{signed:?}");
    let shown = home.run(["delegation", "verify", "a.jwt"]).ok();
    for text in ["valid: ", "medium, high", "sap.*, erp.order.create", "default", &until] {
        assert!(shown.out.contains(text), "{text}: {shown:?}");
    }
    let read = home.run(["delegation", "verify", "a.jwt", "--format", "json"]).ok().json();
    assert_eq!((&read["valid"], &read["claims"]["sub"]), (&json!(true), &json!(BOB)));
    let late = home.run(["delegation", "verify", "a.jwt", "--at", "2999-01-01T00:00:00Z"]);
    assert_eq!((late.code, late.out.starts_with("not valid (delegation_")), (1, true), "{late:?}");
    let elsewhere = Home::new();
    std::fs::copy(home.file("a.jwt"), elsewhere.file("a.jwt")).unwrap();
    let foreign = elsewhere.run(["delegation", "verify", "a.jwt"]);
    assert_eq!((foreign.code, foreign.out.contains("delegation_chain")), (1, true), "{foreign:?}");
    let over = sign(&home, "alice", &until, scope);
    assert_eq!((over.code, over.err.contains("a.jwt")), (2, true), "never over a file that is there: {over:?}");
}

#[test]
fn what_no_reader_would_believe_is_not_signed() {
    let (home, until) = (Home::new(), soon());
    for (what, until, to, acts, told) in [
        ("oneself", until.as_str(), "spiffe://atb.dev/approver/alice", "*", "delegator and delegate are one"),
        ("longer than the SVID", "2999-01-01T00:00:00Z", BOB, "*", "your SVID ends at"),
        ("over already", "2020-01-01T00:00:00Z", BOB, "*", "`iat` <= `nbf` < `exp`"),
        ("no pattern", until.as_str(), BOB, "erp*", "is not an act"),
        ("no identity", until.as_str(), "bob", "*", "bob"),
    ] {
        let refused = sign(&home, "alice", until, ["--to", to, "--acts", acts, "--out", "x.jwt"]);
        assert_eq!((refused.code, refused.err.contains(told)), (2, true), "{what}: {refused:?}");
        assert!(!home.file("x.jwt").exists(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_stands_in_for_another_from_the_command_line() {
    let (home, upstream) = (Home::new(), Upstream::open().await);
    home.connect(upstream.address);
    let served = home.serve();
    served.publish(&home);
    sign(&home, "alice", &soon(), ["--to", BOB, "--acts", "sap.*", "--out", "a.jwt"]).ok();

    let vars = ["contract_ref=MSA-1001", "accountable_id=dave", "jurisdiction=DE", "order=V-1001"];
    let mut issue = home.atb(["issue", "--as", "procurement", "sap.vendor.change", "--template", "contract"]);
    for var in vars {
        issue.args(["--var", var]);
    }
    let change = r#"{"vendor_id":"V-1001","iban":"DE02120300000000202051","payment_limit":25000}"#;
    let call = "POST erp /vendors/V-1001/bank-account";
    let challenge = Ran::of(issue.args(["--request", call, "--params", change])).ok().out.trim().to_owned();

    let not_hers = home.run(["approve", "--as", "carol", "--delegation", "a.jwt", &challenge, "--yes"]);
    assert_eq!((not_hers.code, not_hers.err.contains("and you are")), (2, true), "{not_hers:?}");
    let bob = home.run(["approve", "--as", "bob", "--delegation", "a.jwt", &challenge, "--yes"]).ok();
    assert!(bob.out.contains("on behalf of spiffe://atb.dev/approver/alice"), "{bob:?}");
    let carol = home.run(["approve", "--as", "carol", &challenge, "--yes"]).ok();
    assert!(carol.out.contains("by spiffe://atb.dev/approver/bob for spiffe://atb.dev/approver/alice"), "{carol:?}");

    let collect = ["--template", "contract", "--collect", &challenge, "--out", "change.jwt"];
    let mut issue = home.atb(["issue", "--as", "procurement", "sap.vendor.change"]);
    for var in vars {
        issue.args(["--var", var]);
    }
    Ran::of(issue.args(collect)).ok();
    let verified = home.run(["mandate", "verify", "change.jwt"]).ok();
    assert!(verified.out.contains("bob for spiffe://atb.dev/approver/alice"), "{verified:?}");
    let read = home.run(["mandate", "inspect", "change.jwt"]).ok().json();
    assert_eq!(read["statements"][0]["delegation"]["sub"], BOB, "{read}");
    let body = r#"{"iban":"DE02120300000000202051","payment_limit":25000}"#;
    let target = "erp/vendors/V-1001/bank-account";
    home.run(["call", "--as", "procurement", "--mandate", "change.jwt", "POST", target, "--body", body]).ok();
    assert_eq!(upstream.seen(), ["/vendors/V-1001/bank-account"]);
}
