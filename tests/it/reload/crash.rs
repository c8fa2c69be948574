use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{Home, PATIENCE, Served, Upstream, get, low_mandate};

/// A quick start: the policy's own tests are for other tests.
fn prepared(upstream: &Upstream) -> Home {
    let home = Home::new();
    home.connect(upstream.address);
    for file in std::fs::read_dir(home.file("opa/policy")).unwrap() {
        let path = file.unwrap().path();
        if path.to_str().unwrap().ends_with("_test.rego") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let text = std::fs::read_to_string(home.file("atb.toml")).unwrap();
    std::fs::write(home.file("atb.toml"), text + "\n[policy]\npoll_seconds = 3600\n").unwrap();
    home
}

fn rename(home: &Home, revision: &str) {
    super::name(&home.file("opa"), revision, &json!({}));
}

fn hang_up(served: &Served) {
    assert!(Command::new("kill").args(["-HUP", &served.pid().to_string()]).status().unwrap().success());
}

async fn revision(served: &Served) -> Value {
    let body = served.ops("/ready").await.1;
    serde_json::from_str::<Value>(&body).unwrap()["policy"]["revision"].clone()
}

#[tokio::test]
async fn sighup_looks_at_once_and_the_process_goes_on() {
    let upstream = Upstream::open().await;
    let home = prepared(&upstream);
    rename(&home, "r1");
    let served = home.serve();
    assert_eq!(revision(&served).await, "r1");
    rename(&home, "r2");
    hang_up(&served);
    let until = std::time::Instant::now() + PATIENCE;
    while revision(&served).await != "r2" {
        assert!(std::time::Instant::now() < until, "SIGHUP is not heard");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mandate = low_mandate(&served.at_agentauth("procurement")).await;
    let answer = get(&served.at_broker("procurement"), "/c/erp/vendors/V-1001", &mandate).await.unwrap();
    assert_eq!(answer.status.as_u16(), 200);
    served.terminate();
    assert!(served.exited().await.success());
    home.assert_intact();
}

/// Wherever it hits, the next start has the newest bundle in force, and the record's last word is that bundle.
#[tokio::test]
async fn kill_9_at_any_point_of_an_activation_leaves_a_start_that_agrees_with_the_record() {
    let upstream = Upstream::open().await;
    let home = prepared(&upstream);
    rename(&home, "r0");
    for round in 1..=6_u64 {
        let served = home.serve();
        rename(&home, &format!("r{round}"));
        hang_up(&served);
        tokio::time::sleep(Duration::from_millis(300 + 150 * round)).await;
        served.kill();
        let served = home.serve();
        assert_eq!(revision(&served).await, format!("r{round}").as_str());
        served.terminate();
        assert!(served.exited().await.success());
        let activated = |entry: &&Value| entry["event_type"] == "policy_activated";
        let ledger = home.ledger().await;
        let last = ledger.iter().rfind(activated).unwrap();
        assert_eq!(last["bundle"], format!("r{round}").as_str());
        home.assert_intact();
    }
}
