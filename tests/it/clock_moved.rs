//! The clock of a running service moved by an hour, forth and back, with the real program: by libfaketime (Debian package
//! `faketime`), and skipped where that is not installed. What each part does at a clock that is set is tried without it,
//! at the `Clock` port (`enforce/`, `approve/ends.rs`, `store_contract.rs`).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use atb::adapters::clock::SystemClock;
use atb::cli::client::Client;
use atb::service::ports::Clock as _;

use super::process::{Home, PATIENCE, Served, Upstream, body, get, low_mandate};

/// The library, where the package has put it.
fn libfaketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|library| library.is_file())
}

/// A clock that can be set.
struct Moved {
    library: PathBuf,
    file: PathBuf,
}

impl Moved {
    fn set(&self, seconds: i64) {
        // Whole at once: the service reads it with every look at the clock.
        let draft = self.file.with_extension("draft");
        std::fs::write(&draft, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(draft, &self.file).unwrap();
    }

    /// `command` with this clock. Time that is measured and not told (CLOCK_MONOTONIC) goes on, as it does when the clock
    /// of a machine is set.
    fn told(&self, mut command: Command) -> Command {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_DISABLE_SHM", "1");
        command
    }
}

/// What the broker says to a call with `mandate`: status, and the reason of a refusal.
async fn called(broker: &Client, mandate: &str) -> (u16, String) {
    let answer = get(broker, "/c/erp/vendors/V-1001", mandate).await.unwrap();
    (answer.status.as_u16(), body(&answer)["reason"].as_str().unwrap_or_default().to_owned())
}

/// Everything that reached the upstream was allowed on record, once.
async fn assert_on_record(home: &Home, upstream: &Upstream, allowed: usize) {
    let ledger = home.ledger().await;
    let allows: Vec<_> = ledger
        .iter()
        .filter(|event| event["event_type"] == "broker_decision" && event["allow"] == true)
        .map(|event| event["jti"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(allows.len(), allowed, "{allows:?}");
    assert_eq!(allows.iter().collect::<BTreeSet<_>>().len(), allowed, "no mandate twice");
    upstream.arrived(allowed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_moved_by_an_hour_allows_nothing_without_record_or_out_of_time_and_nobody_has_to_come() {
    let Some(library) = libfaketime() else {
        eprintln!("skipped: no libfaketime (Debian package faketime), so no real process can be told another time");
        return;
    };
    let upstream = Upstream::open().await;
    // Identities that are valid at all three times: with younger ones every handshake is refused.
    let home = Home::made_at(SystemClock.now().minus(Duration::from_secs(2 * 3600)));
    home.connect(upstream.address);
    let clock = Moved { library, file: home.file("clock") };
    clock.set(0);
    let served = Served::start(clock.told(home.serving()), &home);
    let (issuer, broker) = (served.at_agentauth("procurement"), served.at_broker("procurement"));
    let started = Instant::now();
    let (spent, kept) = (low_mandate(&issuer).await, low_mandate(&issuer).await);
    assert_eq!(called(&broker, &spent).await.0, 200);

    // An hour without news of whom to trust closes the doors, until the files were looked at again; nobody has to come.
    clock.set(3600);
    assert_ne!(called(&broker, &kept).await.0, 200);
    served.ready().await;
    assert_eq!(called(&broker, &kept).await.1, "mandate_expired");
    assert_eq!(called(&broker, &spent).await.1, "mandate_expired");
    let ahead = low_mandate(&issuer).await;
    assert_eq!(called(&broker, &ahead).await.0, 200, "what is minted at this time is good at it");
    let unused = low_mandate(&issuer).await;

    clock.set(-3600);
    assert_ne!(called(&broker, &kept).await.0, 200);
    served.ready().await;
    for mandate in [&kept, &spent, &ahead, &unused] {
        let (status, reason) = called(&broker, mandate).await;
        assert!(status != 200 && reason.starts_with("mandate_"), "{status} {reason}");
    }
    let behind = low_mandate(&issuer).await;
    assert_eq!(called(&broker, &behind).await.0, 200);
    // Killed and started at that time: the log's last entries are of an hour later, and it is continued.
    served.kill();
    let served = Served::start(clock.told(home.serving()), &home);
    served.ready().await;
    let (issuer, broker) = (served.at_agentauth("procurement"), served.at_broker("procurement"));
    let (status, reason) = called(&broker, &behind).await;
    assert!(status != 200 && reason == "mandate_replayed", "{status} {reason}");
    assert_eq!(called(&broker, &low_mandate(&issuer).await).await.0, 200);

    clock.set(0);
    served.ready().await;
    assert_eq!(called(&broker, &ahead).await.1, "mandate_not_yet_valid");
    assert_eq!(called(&broker, &unused).await.1, "mandate_not_yet_valid");
    assert_eq!(called(&broker, &behind).await.1, "mandate_expired");
    let in_time = started.elapsed() < Duration::from_secs(200);
    assert!(in_time, "this machine is too slow to tell: a mandate is good for five minutes");
    assert_eq!(called(&broker, &spent).await.1, "mandate_replayed", "what was spent stays spent");
    assert_eq!(called(&broker, &kept).await.0, 200, "what was not used is good again, once");
    assert_eq!(called(&broker, &kept).await.1, "mandate_replayed");
    assert_eq!(called(&broker, &low_mandate(&issuer).await).await.0, 200);

    served.terminate();
    let status = tokio::time::timeout(PATIENCE, served.exited()).await.unwrap();
    assert!(status.success(), "{status}");
    assert_on_record(&home, &upstream, 6).await;
    home.assert_intact();
}
