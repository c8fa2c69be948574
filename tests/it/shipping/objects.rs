//! A bucket: a small server that speaks as much of S3 as is asked of it, checks that requests are signed and locked, and
//! fails now and then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::{Arrived, QUICK, Receiver, assert_all_in_order, ledger, some_entries, until};
use crate::app::TestApp;

pub type Stored = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

fn keep(stored: &Stored, it: &Arrived) {
    let authorization = it.header("authorization");
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{authorization}");
    for signed in ["host", "x-amz-date", "x-amz-content-sha256", "x-amz-object-lock-mode"] {
        assert!(authorization.contains(signed), "{signed} is not signed: {authorization}");
    }
    let digest = sha2::Digest::finalize(sha2::Digest::chain_update(<sha2::Sha256 as sha2::Digest>::new(), &it.body));
    assert_eq!(it.header("x-amz-content-sha256"), atb::domain::id::Sha256Digest::from_bytes(digest.into()).to_hex());
    assert!(!it.header("x-amz-checksum-sha256").is_empty(), "S3 wants a checksum with a lock");
    assert_eq!(it.header("x-amz-object-lock-mode"), "COMPLIANCE");
    let until = atb::domain::time::Timestamp::parse_rfc3339(&it.header("x-amz-object-lock-retain-until-date")).unwrap();
    let days = until.since(atb::service::ports::Clock::now(&atb::adapters::clock::SystemClock)).as_secs() / 86_400;
    assert!((2556..=2557).contains(&days), "{days}");
    stored.lock().unwrap().entry(it.path.clone()).or_default().push(it.body.clone());
}

#[tokio::test]
async fn a_bucket_gets_locked_objects_with_names_that_a_retry_does_not_change() {
    let stored = Stored::default();
    let (mine, mut calls) = (Arc::clone(&stored), 0);
    let s3 = Receiver::start(move |it| {
        calls += 1;
        assert_eq!(it.method, "PUT");
        keep(&mine, it);
        // Every third answer is lost although the object is there.
        if calls % 3 == 1 { (503, String::new()) } else { (200, String::new()) }
    })
    .await;
    let table = format!(
        "[sinks.bucket]\nkind = \"s3\"\nbucket = \"audit\"\nprefix = \"atb/dev\"\nregion = \"eu-central-1\"\n\
         endpoint = \"http://{}\"\nsecret = \"s3\"\nlock_mode = \"compliance\"\nlock_days = 2557\nbatch_records = 6\n{}",
        s3.address,
        QUICK.replace("timeout_ms = 400", "timeout_ms = 2000")
    );
    let app = TestApp::start_with(|home| {
        home.secret("s3", "AKIDEXAMPLE\nS3-SECRET-KEY\n");
        home.configure(&table);
    })
    .await;
    some_entries(&app, 8).await;
    let written = ledger(&app).await;
    let holds = |line: &str| stored.lock().unwrap().values().any(|objects| objects.iter().any(|o| o.contains(line)));
    until("the last entry", || holds(written.last().unwrap())).await;
    let stored = stored.lock().unwrap().clone();
    assert!(stored.keys().all(|path| path.starts_with("/audit/atb/dev/0000")), "{:?}", stored.keys());
    assert!(stored.values().any(|versions| versions.len() > 1), "nothing was sent again");
    for (path, versions) in &stored {
        assert!(versions.iter().all(|version| version == &versions[0]), "{path} was replaced by something else");
    }
    let lines = stored.values().flat_map(|versions| versions[0].lines().map(str::to_owned));
    assert_all_in_order(lines, &written);
    app.finish().await;
}
