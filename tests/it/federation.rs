//! Other trust domains: nobody gets in because a domain is merely federated, a list opens what it names and nothing else,
//! and a bundle endpoint that is down, stale or rolled back does what is stated.

mod endpoint;

use std::time::Duration;

use atb::adapters::clock::SystemClock;
use atb::adapters::dev_identity::{DevCa, KeyKind};
use atb::adapters::pem::write_private;
use atb::domain::ledger::EventType;
use atb::service::ports::Clock as _;
use serde_json::json;

use crate::app::{AGENT, Home, TestApp, asking};
use crate::workload_api::{FakeAgent, eventually, on_workload_api};
use endpoint::{Endpoint, document};

const HOUR: Duration = Duration::from_secs(3600);
const PARTNER: &str = "partner.example";

fn authority() -> DevCa {
    DevCa::create(PARTNER.parse().unwrap(), SystemClock.now()).unwrap()
}

/// Gives the partner's agent an SVID under `name` in this directory. Its clients trust our domain, as everybody here.
fn enrol(home: &Home, ca: &DevCa, name: &str) {
    let id = format!("spiffe://{PARTNER}/agent/{name}").parse().unwrap();
    let issued = ca.issue(&id, KeyKind::P256, SystemClock.now(), HOUR).unwrap();
    let folder = home.path("svids").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("authority.pem"), ca.bundle_pem()).unwrap();
    std::fs::write(folder.join("svid.pem"), issued.svid_pem).unwrap();
    write_private(&folder.join("key.pem"), issued.key_pem.as_bytes()).unwrap();
}

fn federated(table: &str) -> String {
    format!("[federation.\"{PARTNER}\"]\n{table}\n")
}

#[tokio::test]
async fn a_merely_federated_agent_is_not_let_in() {
    let ca = authority();
    let app = TestApp::start_with(|home| {
        std::fs::write(home.path("partner.pem"), ca.bundle_pem()).unwrap();
        home.configure(&federated("profile = \"file\"\nbundle = \"partner.pem\""));
        enrol(home, &ca, "theirs");
    })
    .await;
    assert!(app.foreign("theirs").try_get("/.well-known/jwks.json").await.is_err());
    let on_record = async || {
        let failed = app.events_of(EventType::AuthenticationFailed).await;
        failed.iter().any(|event| event.subject.reason.as_deref() == Some("svid_unknown_trust_domain"))
    };
    eventually("the refusal on record", on_record).await;
    app.finish().await;
}

#[tokio::test]
async fn a_list_opens_what_it_names_and_nothing_else() {
    let ca = authority();
    let app = TestApp::start_with(|home| {
        std::fs::write(home.path("partner.json"), document(&ca, Some(1), None)).unwrap();
        home.configure(&federated("profile = \"file\"\nbundle = \"partner.json\""));
        let list = format!("[\"spiffe://atb.dev\", \"spiffe://{PARTNER}/agent/*\"]");
        home.configure(&format!("[access]\nissue = {list}\ncall = {list}\naudit = []\n"));
        enrol(home, &ca, "theirs");
    })
    .await;
    let theirs = app.foreign("theirs");
    let asked = theirs.post("/issue", &asking("low")).await;
    assert_eq!(asked.status, 201, "the policy lets every agent read: {asked}");
    for (path, reason) in [
        ("/challenges", "not_admitted_to_approve"),
        ("/leg/withdrawals", "not_admitted_to_administer"),
        ("/audit", "not_admitted_to_audit"),
        ("/log/checkpoint", "not_admitted_to_audit"),
    ] {
        let refused = theirs.get(path).await;
        assert_eq!((refused.status, refused.text("/code")), (403, "caller_not_allowed".to_owned()), "{path}");
        assert_eq!(refused.text("/reason"), reason, "{path}");
    }
    let ours = app.to_issuer(AGENT).get("/audit").await;
    assert_eq!(ours.text("/reason"), "not_admitted_to_audit", "an empty list admits nobody");
    assert_eq!(app.issue(&asking("low")).await.status, 201);
    assert_eq!(theirs.get("/.well-known/jwks.json").await.status, 200);
    let decide = app.foreign_to_broker("theirs").post("/v1/decide", &json!({})).await;
    assert_eq!(decide.text("/reason"), "not_admitted_to_decide");
    let sampled = async || {
        let failed = app.events_of(EventType::AuthenticationFailed).await;
        failed.iter().any(|event| {
            event.subject.reason.as_deref() == Some("not_admitted_to_audit")
                && event.subject.detail.get("trust_domain").map(String::as_str) == Some(PARTNER)
        })
    };
    eventually("the refusals on record", sampled).await;
    app.finish().await;
}

#[tokio::test]
async fn an_endpoint_of_the_web_is_followed_and_down_stale_or_rolled_back_it_does_what_is_stated() {
    let (first, second) = (authority(), authority());
    let mut endpoint = Endpoint::of_the_web().await;
    let app = TestApp::start_with(|home| {
        std::fs::write(home.path("web.pem"), endpoint.roots()).unwrap();
        let table = format!(
            "profile = \"https_web\"\nurl = \"{}\"\nca = \"web.pem\"\nmin_refresh_seconds = 1\nmax_age_seconds = 12",
            endpoint.url()
        );
        home.configure(&federated(&table));
        home.configure(&format!("[access]\nissue = [\"spiffe://atb.dev\", \"spiffe://{PARTNER}\"]\n"));
        enrol(home, &first, "theirs");
        enrol(home, &second, "later");
    })
    .await;
    let gets_in = async |name: &str| app.foreign(name).try_get("/.well-known/jwks.json").await.is_ok();
    assert!(!gets_in("theirs").await, "nothing was ever fetched");

    endpoint.publish(document(&first, Some(7), Some(1)));
    eventually("the first bundle", async || gets_in("theirs").await).await;
    endpoint.publish(document(&second, Some(8), Some(1)));
    eventually("the second bundle", async || gets_in("later").await).await;
    assert!(!gets_in("theirs").await, "its authority was taken out");

    for (rolled_back, reason) in [
        (document(&first, Some(7), Some(1)), "rolled_back"),
        (document(&first, Some(8), Some(1)), "sequence_reused"),
        (document(&first, None, Some(1)), "sequence_gone"),
        ("{\"keys\":[]}".to_owned(), "bundle_empty"),
    ] {
        endpoint.publish(rolled_back);
        let counted = format!("source=\"federation.{PARTNER}\",reason=\"{reason}\"");
        eventually(reason, async || app.ops("/metrics").await.1.contains(&counted)).await;
        assert!(!gets_in("theirs").await, "{reason}: the last good one stays");
        endpoint.publish(document(&second, Some(8), Some(1)));
        eventually("the good one again", async || gets_in("later").await).await;
    }

    endpoint.down().await;
    assert!(gets_in("later").await, "down for a moment");
    eventually("the end of a stale bundle", async || !gets_in("later").await).await;
    assert_eq!(app.ops("/ready").await.0, 200, "ours is good");
    let dropped = async || {
        let stale = app.events_of(EventType::IdentityStale).await;
        stale.iter().any(|event| event.subject.reason.as_deref() == Some("federated_bundle_stale"))
    };
    eventually("the loss on record", dropped).await;
    endpoint.up().await;
    eventually("the endpoint found again", async || gets_in("later").await).await;
    app.finish().await;
}

#[tokio::test]
async fn what_was_fetched_is_kept_over_a_restart_and_not_rolled_back_by_it() {
    let (first, second) = (authority(), authority());
    let mut endpoint = Endpoint::of_the_web().await;
    endpoint.publish(document(&second, Some(8), None));
    let mut app = TestApp::start_with(|home| {
        std::fs::write(home.path("web.pem"), endpoint.roots()).unwrap();
        let table =
            format!("profile = \"https_web\"\nurl = \"{}\"\nca = \"web.pem\"\nmin_refresh_seconds = 1", endpoint.url());
        home.configure(&federated(&table));
        home.configure(&format!("[access]\nissue = [\"spiffe://atb.dev\", \"spiffe://{PARTNER}\"]\n"));
        enrol(home, &first, "theirs");
        enrol(home, &second, "later");
    })
    .await;
    eventually("the bundle", async || app.foreign("later").try_get("/templates").await.is_ok()).await;
    endpoint.publish(document(&first, Some(7), None));
    app.restart().await;
    assert_eq!(app.foreign("later").try_get("/templates").await, Ok(200), "before the endpoint was asked");
    eventually("the refusal", async || app.ops("/metrics").await.1.contains("reason=\"rolled_back\"")).await;
    assert!(app.foreign("theirs").try_get("/templates").await.is_err());
    app.finish().await;
}

#[tokio::test]
async fn an_endpoint_with_an_svid_is_believed_by_it_and_by_no_other() {
    let (ca, imposter) = (authority(), authority());
    for (served_by, named, believed) in
        [(&ca, "spire/server", true), (&ca, "agent/x", false), (&imposter, "spire/server", false)]
    {
        let mut endpoint = Endpoint::of(served_by, &format!("spiffe://{PARTNER}/{named}")).await;
        endpoint.publish(document(&ca, Some(1), None));
        let app = TestApp::start_with(|home| {
            std::fs::write(home.path("partner.json"), document(&ca, Some(1), None)).unwrap();
            let table = format!(
                "profile = \"https_spiffe\"\nurl = \"{}\"\nspiffe_id = \"spiffe://{PARTNER}/spire/server\"\n\
                 bundle = \"partner.json\"\nmin_refresh_seconds = 1",
                endpoint.url()
            );
            home.configure(&federated(&table));
            home.configure(&format!("[access]\nissue = [\"spiffe://atb.dev\", \"spiffe://{PARTNER}\"]\n"));
            enrol(home, &ca, "theirs");
        })
        .await;
        match believed {
            true => eventually("the bundle", async || app.foreign("theirs").try_get("/templates").await.is_ok()).await,
            false => {
                let refused = format!("source=\"federation.{PARTNER}\",reason=\"unreachable\"");
                eventually("the refusal", async || app.ops("/metrics").await.1.contains(&refused)).await;
                assert!(app.foreign("theirs").try_get("/templates").await.is_err(), "{named}");
                assert_eq!(endpoint.hits(), 0, "{named}: nothing was asked before the identity was proven");
            }
        }
        app.finish().await;
    }
}

#[tokio::test]
async fn the_workload_apis_federated_bundles_count_where_they_are_named() {
    let (ca, agent) = (authority(), FakeAgent::start());
    agent.federate(PARTNER, Some(&ca.bundle_pem()));
    agent.federate("unnamed.example", Some(&ca.bundle_pem()));
    let app = TestApp::start_with(|home| {
        on_workload_api(home, &agent, 60);
        home.configure(&federated("profile = \"workload_api\""));
        home.configure(&format!("[access]\nissue = [\"spiffe://atb.dev\", \"spiffe://{PARTNER}\"]\n"));
        enrol(home, &ca, "theirs");
    })
    .await;
    let gets_in = async || app.foreign("theirs").try_get("/templates").await.is_ok();
    eventually("the bundle", gets_in).await;
    agent.federate(PARTNER, None);
    eventually("the end of the federation", async || !gets_in().await).await;
    app.finish().await;
}
