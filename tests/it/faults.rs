//! Crashes, full disks and shutdowns: no allow without its record, one outcome a call, nothing spent twice.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::process::{Home, Served, Upstream, approve, body, get, ground, low_mandate};

const ACCOUNT: &str = "/c/erp/vendors/V-1001/bank-account";

fn home(upstream: &Upstream) -> Home {
    let home = Home::new();
    home.connect(upstream.address);
    home
}

fn text<'e>(event: &'e Value, member: &str) -> &'e str {
    event[member].as_str().unwrap_or_default()
}

fn of_type<'l>(ledger: &'l [Value], event_type: &str) -> Vec<&'l Value> {
    ledger.iter().filter(|event| event["event_type"] == event_type).collect()
}

/// The mandates that decisions allowed and how each of those calls ended.
fn outcomes(ledger: &[Value]) -> BTreeMap<String, Vec<String>> {
    let allowed = of_type(ledger, "broker_decision").into_iter().filter(|event| event["allow"] == true);
    let mut calls: BTreeMap<String, Vec<String>> =
        allowed.map(|event| (text(event, "jti").to_owned(), Vec::new())).collect();
    for event in of_type(ledger, "connector_outcome") {
        let of = calls.get_mut(text(event, "jti")).unwrap_or_else(|| panic!("an outcome without a decision: {event}"));
        of.push(text(event, "outcome").to_owned());
    }
    calls
}

/// Every request that reached the upstream has its decision, every allowed call exactly one outcome, and the ledger is
/// what was signed. Returns the outcomes, counted.
async fn assert_consistent(home: &Home, upstream: &Upstream) -> BTreeMap<String, usize> {
    let ledger = home.ledger().await;
    let allowed: Vec<_> =
        of_type(&ledger, "broker_decision").into_iter().filter(|event| event["allow"] == true).collect();
    let paths: BTreeSet<_> = allowed.iter().map(|event| text(event, "path")).collect();
    let seen = upstream.seen();
    assert!(seen.len() <= allowed.len(), "{} requests on {} decisions", seen.len(), allowed.len());
    for path in &seen {
        assert!(paths.contains(path.as_str()), "{path} has no decision");
    }
    let mut counted = BTreeMap::new();
    for (jti, outcomes) in outcomes(&ledger) {
        assert_eq!(outcomes.len(), 1, "{jti}: {outcomes:?}");
        *counted.entry(outcomes[0].clone()).or_default() += 1;
    }
    home.assert_intact();
    counted
}

/// Kills the services and starts them again on the same directory.
fn crash(served: Served, home: &Home) -> Served {
    served.kill();
    home.serve()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_continues_where_it_was_after_a_crash_between_any_two_steps() {
    let upstream = Upstream::open().await;
    let home = home(&upstream);
    let mut served = home.serve();
    let params = json!({"vendor_id": "V-1001", "iban": "DE02120300000000202051", "payment_limit": 25_000});
    let request =
        json!({"connector": "erp", "method": "POST", "path": "/vendors/V-1001/bank-account", "params": params});
    let ask = json!({"act": "sap.vendor.change", "leg": ground(), "request": request});
    let asked = served.at_agentauth("procurement").post("/issue", &ask).await.unwrap();
    assert_eq!(asked.status.as_u16(), 202, "{}", body(&asked));
    let challenge = text(&body(&asked), "challenge_id").to_owned();

    served = crash(served, &home);
    let first = approve(&served.at_agentauth("alice"), &challenge).await;
    assert_eq!((&first["state"], &first["approved"]), (&json!("pending"), &json!(1)));

    served = crash(served, &home);
    let second = approve(&served.at_agentauth("bob"), &challenge).await;
    assert_eq!((&second["state"], &second["approved"]), (&json!("approved"), &json!(2)));

    served = crash(served, &home);
    let issued = served.at_agentauth("procurement").get(&format!("/issue/{challenge}")).await.unwrap();
    assert_eq!(issued.status.as_u16(), 201, "{}", body(&issued));
    let mandate = text(&body(&issued), "token").to_owned();

    served = crash(served, &home);
    let again = served.at_agentauth("procurement").get(&format!("/issue/{challenge}")).await.unwrap();
    assert_eq!((again.status.as_u16(), text(&body(&again), "reason")), (409, "challenge_redeemed"));
    let change = json!({"iban": "DE02120300000000202051", "payment_limit": 25_000}).to_string().into_bytes();
    let call = async |served: &Served| {
        let agent = served.at_broker("procurement");
        agent.send(axum::http::Method::POST, ACCOUNT, Some(&mandate), Some(change.clone())).await.unwrap()
    };
    assert_eq!(call(&served).await.status.as_u16(), 200);

    served = crash(served, &home);
    let replayed = call(&served).await;
    assert_eq!((replayed.status.as_u16(), text(&body(&replayed), "code")), (409, "mandate_replayed"));
    assert_eq!(upstream.seen(), ["/vendors/V-1001/bank-account"]);
    let ledger = home.ledger().await;
    assert_eq!(of_type(&ledger, "poa_approval_recorded").len(), 2);
    assert_eq!(of_type(&ledger, "poa_issued_dual_control").len(), 1);
    assert_eq!(of_type(&ledger, "service_started").len(), 6);
    drop(served);
    assert_consistent(&home, &upstream).await;
}

/// What an agent was told about its call, if anything.
struct Told {
    mandate: String,
    path: String,
    answer: Option<(u16, String)>,
}

/// Sends one call a mandate, all at once, each on a connection of its own.
fn burst(served: &Served, mandates: &[String]) -> JoinSet<Told> {
    let mut calls = JoinSet::new();
    for (at, mandate) in mandates.iter().enumerate() {
        let (agent, mandate) = (served.at_broker("procurement"), mandate.clone());
        let path = format!("/vendors/V-{}", 5000 + at);
        calls.spawn(async move {
            let answer = get(&agent, &format!("/c/erp{path}"), &mandate).await.ok().map(|response| {
                let id = response.headers.get("x-atb-decision-id").map(|id| id.to_str().unwrap().to_owned());
                (response.status.as_u16(), id.unwrap_or_default())
            });
            Told { mandate, path, answer }
        });
    }
    calls
}

async fn mandates(served: &Served, count: usize) -> Vec<String> {
    let agent = Arc::new(served.at_agentauth("procurement"));
    let mut mandates = Vec::new();
    for _ in 0..count {
        mandates.push(low_mandate(&agent).await);
    }
    mandates
}

/// Kills the services once `arrived` of 24 calls have reached the upstream and `answered` of them were let go.
async fn crash_in_a_burst(arrived: usize, answered: usize) -> BTreeMap<String, usize> {
    let upstream = Upstream::closed().await;
    upstream.answer(answered);
    let home = home(&upstream);
    let served = home.serve();
    let mandates = mandates(&served, 24).await;
    let calls = burst(&served, &mandates);
    upstream.arrived(arrived).await;
    served.kill();
    let told = calls.join_all().await;
    upstream.answer(1000);

    let served = home.serve();
    let ledger = home.ledger().await;
    let decisions: BTreeSet<_> =
        of_type(&ledger, "broker_decision").iter().map(|event| text(event, "decision_id")).collect();
    for call in &told {
        if let Some((status, decision)) = &call.answer {
            assert_eq!(*status, 200);
            assert!(decisions.contains(decision.as_str()), "{} was answered and is not on record", call.path);
        }
    }
    // Whatever was decided before the crash stays spent, whether or not its caller was told.
    let decided: BTreeSet<_> = of_type(&ledger, "broker_decision").iter().map(|event| text(event, "path")).collect();
    let before = upstream.seen().len();
    let agent = served.at_broker("procurement");
    for call in told.iter().filter(|call| decided.contains(call.path.as_str())) {
        let replayed = get(&agent, &format!("/c/erp{}", call.path), &call.mandate).await.unwrap();
        assert_eq!((replayed.status.as_u16(), text(&body(&replayed), "code")), (409, "mandate_replayed"));
    }
    assert_eq!(upstream.seen().len(), before);
    let outcomes = assert_consistent(&home, &upstream).await;

    // A second crash finds nothing left in doubt.
    let served = crash(served, &home);
    assert_eq!(assert_consistent(&home, &upstream).await, outcomes);
    drop(served);
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_in_doubt_after_a_crash_are_recorded_unknown_once() {
    // Nobody was answered: all that reached the upstream are in doubt.
    let outcomes = crash_in_a_burst(24, 0).await;
    assert_eq!(outcomes, [("unknown".to_owned(), 24)].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_answers_stream_back_loses_no_record() {
    for (arrived, answered) in [(1, 1), (12, 6)] {
        let outcomes = crash_in_a_burst(arrived, answered).await;
        assert!(outcomes.keys().all(|outcome| matches!(outcome.as_str(), "ok" | "unknown")), "{outcomes:?}");
        assert!(outcomes.values().sum::<usize>() >= arrived, "{outcomes:?}");
        assert!(outcomes.get("ok").copied().unwrap_or_default() <= answered, "{outcomes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_under_load_answers_every_call_that_it_made() {
    let upstream = Upstream::closed().await;
    let home = home(&upstream);
    let served = home.serve();
    let mandates = mandates(&served, 24).await;
    let calls = burst(&served, &mandates);
    upstream.arrived(24).await;
    served.terminate();
    let ops = served.ops;
    let exited = tokio::spawn(served.exited());
    // The door for operators closes with the others: then the drain has begun.
    while tokio::net::TcpStream::connect(ops).await.is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    upstream.answer(24);
    for call in calls.join_all().await {
        assert_eq!(call.answer.map(|(status, _)| status), Some(200), "{}", call.path);
    }
    assert_eq!(exited.await.unwrap().code(), Some(0));

    let outcomes = assert_consistent(&home, &upstream).await;
    assert_eq!(outcomes, [("ok".to_owned(), 24)].into());
    let ledger = home.ledger().await;
    assert_eq!(ledger.last().unwrap()["event_type"], "service_stopped");
    let verified = home.run(["audit", "verify", "--format", "json"]).ok().json();
    let checkpoint = verified["checkpoint"].as_str().unwrap();
    assert_eq!(checkpoint.lines().nth(1), Some(ledger.len().to_string().as_str()), "the last checkpoint covers all");
}

/// The services, without dying of a file that cannot grow.
fn serve_on_a_small_disk(home: &Home) -> Served {
    let plain = home.serving();
    let mut command = Command::new("sh");
    command.arg("-c").arg("trap '' XFSZ; exec \"$0\" \"$@\"").arg(plain.get_program()).args(plain.get_args());
    command.current_dir(home.path()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Served::start(command, home)
}

/// No file of the process can grow beyond this many bytes, as on a disk that is full.
fn limit_files(served: &Served, bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    let set = Command::new("prlimit").args(["--pid", &served.pid().to_string(), &limit]).status().unwrap();
    assert!(set.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_not_done() {
    let upstream = Upstream::open().await;
    let home = home(&upstream);
    let served = serve_on_a_small_disk(&home);
    let mandates = mandates(&served, 2).await;
    let (agent, asker) = (served.at_broker("procurement"), served.at_agentauth("procurement"));
    assert_eq!(served.ops("/ready").await.0, 200);
    assert_eq!(get(&agent, "/c/erp/vendors/V-5000", &mandates[0]).await.unwrap().status.as_u16(), 200);

    limit_files(&served, "0");
    for _ in 0..2 {
        let refused = get(&agent, "/c/erp/vendors/V-5001", &mandates[1]).await.unwrap();
        assert_eq!((refused.status.as_u16(), text(&body(&refused), "code")), (503, "record_unavailable"));
        assert!(refused.headers.contains_key("retry-after"), "{:?}", refused.headers);
    }
    let refused = asker.post("/issue", &json!({"act": "erp.vendor.read", "leg": ground()})).await.unwrap();
    assert_eq!((refused.status.as_u16(), body(&refused).get("token")), (503, None));
    // A refusal that cannot be recorded is not told as if it were.
    let refused = get(&agent, "/c/erp/vendors/V-5001", "not-a-mandate").await.unwrap();
    assert_eq!((refused.status.as_u16(), text(&body(&refused), "code")), (503, "record_unavailable"));
    let (status, why) = served.ops("/ready").await;
    assert_eq!(status, 503, "{why}");
    assert!(why.contains("ledger"), "{why}");
    assert_eq!(served.ops("/health").await.0, 200);
    assert_eq!(upstream.seen(), ["/vendors/V-5000"]);

    limit_files(&served, "unlimited");
    served.ready().await;
    assert_eq!(get(&agent, "/c/erp/vendors/V-5001", &mandates[1]).await.unwrap().status.as_u16(), 200);
    assert_eq!(upstream.seen(), ["/vendors/V-5000", "/vendors/V-5001"]);
    served.terminate();
    assert_eq!(served.exited().await.code(), Some(0));
    assert_eq!(assert_consistent(&home, &upstream).await, [("ok".to_owned(), 2)].into());
}
