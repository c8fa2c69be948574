//! SVIDs that rotate every two seconds under load: no request fails. Ten seconds by default;
//! `ATB_ROTATION_SECONDS=60 cargo test --test it workload_api::rotation` for a minute.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{DOORS, FakeAgent, HOUR, start};
use crate::app::{AGENT, At, TestApp};

const EVERY: Duration = Duration::from_secs(2);

#[expect(clippy::disallowed_methods, reason = "how long a test lasts is no configuration of the product")]
fn duration() -> Duration {
    let asked = std::env::var("ATB_ROTATION_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(asked.unwrap_or(10))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn svids_that_rotate_every_two_seconds_under_load_fail_no_request() {
    let agent = FakeAgent::start();
    let app = Arc::new(start(&agent, 60).await);
    let (done, served, shaken) =
        (Arc::new(AtomicBool::new(false)), Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let mut load = tokio::task::JoinSet::new();
    for (at, path) in [(At::AgentAuth, "/.well-known/jwks.json"), (At::Broker, "/nothing")] {
        // One connection that is kept, and one handshake a request.
        for keeps in [true, false] {
            let (app, done, served, shaken) =
                (Arc::clone(&app), Arc::clone(&done), Arc::clone(&served), Arc::clone(&shaken));
            load.spawn(async move {
                let expected = if at == At::AgentAuth { 200 } else { 404 };
                let mut caller = app.caller(AGENT, at);
                while !done.load(Ordering::SeqCst) {
                    if !keeps {
                        caller = app.caller(AGENT, at);
                        shaken.fetch_add(1, Ordering::SeqCst);
                    }
                    assert_eq!(caller.try_get(path).await, Ok(expected), "{at:?} {keeps}");
                    served.fetch_add(1, Ordering::SeqCst);
                    // The point is the rotation, not how much a debug build bears.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
        }
    }
    let (started, mut rotations) = (Instant::now(), 0);
    while started.elapsed() < duration() {
        tokio::time::sleep(EVERY).await;
        rotations += 1;
        agent.issue(&DOORS, HOUR + Duration::from_secs(rotations));
    }
    done.store(true, Ordering::SeqCst);
    while let Some(ended) = load.join_next().await {
        ended.unwrap();
    }
    let (served, shaken) = (served.load(Ordering::SeqCst), shaken.load(Ordering::SeqCst));
    println!("{rotations} rotations, {served} requests, {shaken} handshakes of their own, 0 failed");
    assert!(served > 50 && shaken > 10, "{served} {shaken}");
    let app: TestApp = Arc::into_inner(app).unwrap();
    app.finish().await;
}
