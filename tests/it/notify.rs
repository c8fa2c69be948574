//! Notifications over real sockets: signed, in order, at least once, and never in the way.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use atb::domain::ledger::EventType;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use base64ct::{Base64, Encoding as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

use crate::app::{TestApp, asking};
use crate::process::{self, Home};

pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEXT_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const PATIENCE: Duration = Duration::from_secs(60);

/// One delivery as it arrived.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub text: String,
}

impl Delivery {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }

    fn challenge(&self) -> String {
        self.json()["data"]["challenge_id"].as_str().unwrap().to_owned()
    }

    /// As a receiver would: HMAC by RFC 2104 over SHA-256, written out here and not the library that signed.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let mut key = Base64::decode_vec(secret.strip_prefix("whsec_").unwrap()).unwrap();
        key.resize(64, 0);
        let pad = |byte: u8| key.iter().map(|k| k ^ byte).collect::<Vec<_>>();
        let text = format!("{}.{}.{}", self.id, self.timestamp, self.text);
        let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
        let mac = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
        let wanted = format!("v1,{}", Base64::encode_string(&mac));
        self.signature.split(' ').any(|signature| signature == wanted)
    }
}

type Mood = Arc<Mutex<Box<dyn FnMut(&Delivery) -> u16 + Send>>>;

/// A receiver that keeps what arrives and answers as it is told to. Status 0: it does not answer.
#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Delivery>>>,
    mood: Mood,
}

impl Receiver {
    pub async fn start(mood: impl FnMut(&Delivery) -> u16 + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let receiver = Self { address, seen: Arc::default(), mood: Arc::new(Mutex::new(Box::new(mood))) };
        let app = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        receiver
    }

    pub async fn good() -> Self {
        Self::start(|_| 204).await
    }

    pub fn seen(&self) -> Vec<Delivery> {
        self.seen.lock().unwrap().clone()
    }

    /// What arrived once there are `count` deliveries.
    pub async fn arrived(&self, count: usize) -> Vec<Delivery> {
        until(|| self.seen().len() >= count, &format!("{count} deliveries; there are {:?}", self.seen())).await;
        self.seen()
    }
}

async fn take(State(receiver): State<Receiver>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let text = |name: &str| head.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    assert_eq!((head.method.as_str(), text("content-type").as_str()), ("POST", "application/json"));
    let body = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
    let delivery = Delivery {
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp"),
        signature: text("webhook-signature"),
        text: body,
    };
    receiver.seen.lock().unwrap().push(delivery.clone());
    let status = receiver.mood.lock().unwrap()(&delivery);
    if status == 0 {
        tokio::time::sleep(Duration::from_secs(600)).await;
    }
    let location = format!("http://{}/elsewhere", receiver.address);
    (StatusCode::from_u16(status).unwrap(), [("location", location)], "SECRET-ANSWER").into_response()
}

async fn until(done: impl Fn() -> bool, what: &str) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Dead letters on record, once there are `count`.
async fn dead_events(app: &TestApp, count: usize) -> Vec<atb::domain::ledger::Entry> {
    let end = Instant::now() + PATIENCE;
    loop {
        let dead = app.events_of(EventType::NotificationDead).await;
        if dead.len() >= count {
            return dead;
        }
        assert!(Instant::now() < end, "{} of {count} were given up", dead.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn endpoint(name: &str, receiver: &Receiver, more: &str) -> String {
    let address = receiver.address;
    format!(
        "[[notify.endpoints]]\nname = \"{name}\"\nurl = \"http://{address}/hook\"\nsecret = \"hook-{name}\"\n\
         timeout_ms = 400\n{more}\n"
    )
}

async fn notified(receivers: &[(&str, &Receiver, &str)], retry: &str) -> TestApp {
    TestApp::start_with(|home| {
        home.configure(&format!("[notify]\nlink = \"https://approvals.example/atb/\"\nretry_seconds = {retry}\n"));
        for (name, receiver, more) in receivers {
            home.secret(&format!("hook-{name}"), &format!("{SECRET}\n{NEXT_SECRET}\n"));
            home.configure(&endpoint(name, receiver, more));
        }
    })
    .await
}

async fn reject(app: &TestApp, challenge: &str) {
    let no = app.to_issuer("bob").post(&format!("/challenges/{challenge}/reject"), &json!({"reason": "no"})).await;
    assert_eq!(no.status, 200, "{no}");
}

#[tokio::test]
async fn each_step_of_a_challenge_is_told_once_signed_and_without_what_is_asked() {
    let hook = Receiver::good().await;
    let app = notified(&[("hook", &hook, "")], "[1]").await;
    let agreed = app.challenge(&asking("high")).await;
    let shown = app.shown(&agreed).await;
    app.approve("alice", &agreed).await;
    app.approve("bob", &agreed).await;
    assert_eq!(app.collect(&agreed).await.status, 201);
    let refused = app.challenge(&asking("high")).await;
    reject(&app, &refused).await;
    let told = hook.arrived(4).await;
    let kinds: Vec<_> = told.iter().map(|d| (d.challenge(), d.kind())).collect();
    let of = |challenge: &String, kind: &str| (challenge.clone(), format!("challenge.{kind}"));
    assert_eq!(
        kinds,
        [of(&agreed, "created"), of(&agreed, "approved"), of(&refused, "created"), of(&refused, "rejected")]
    );
    let events: BTreeMap<_, _> = app.events().await.into_iter().map(|e| (e.event_id.to_string(), e)).collect();
    for delivery in &told {
        assert!(delivery.is_signed_with(SECRET) && delivery.is_signed_with(NEXT_SECRET), "{delivery:?}");
        assert!(!delivery.is_signed_with("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
        let now = atb::service::ports::Clock::now(&atb::adapters::clock::SystemClock).as_secs();
        assert!(now.abs_diff(delivery.timestamp.parse().unwrap()) < 120);
        let document = delivery.json();
        crate::schemas::fits("notification", &document);
        assert_eq!(document["timestamp"], json!(events[&delivery.id].at), "the id is the event's");
        let link = format!("https://approvals.example/atb/challenges/{}", delivery.challenge());
        assert_eq!(document["data"]["link"], link);
        for private in ["DE02120300000000202051", "25000", "MSA-1001", "erin", "eyJ", "approve\"", "/approve"] {
            assert!(!delivery.text.contains(private), "{private} is told: {}", delivery.text);
        }
    }
    assert_eq!(told[0].json()["data"]["digest"], shown["statement"]["sum"], "the digest is the one that is signed");
    let approvals = |index: usize| told[index].json()["data"]["approved"].clone();
    assert_eq!((approvals(0), approvals(1), approvals(2), approvals(3)), (json!(0), json!(2), json!(0), json!(0)));
    let (_, metrics) = app.ops("/metrics").await;
    assert!(metrics.contains(r#"atb_notify_deliveries_total{endpoint="hook",outcome="delivered"} 4"#), "{metrics}");
    assert!(metrics.contains(r#"atb_notify_lag_seconds{endpoint="hook"} "#), "{metrics}");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(hook.seen().len(), 4, "something was told twice");
    app.finish().await;
}

#[tokio::test]
async fn an_expired_challenge_is_told_and_an_endpoint_hears_only_what_it_asked_for() {
    let (all, one) = (Receiver::good().await, Receiver::good().await);
    let app = TestApp::start_with(|home| {
        home.challenges_last(1);
        for (name, receiver, more) in [("all", &all, ""), ("one", &one, "events = [\"expired\"]")] {
            home.secret(&format!("hook-{name}"), SECRET);
            home.configure(&endpoint(name, receiver, more));
        }
    })
    .await;
    app.challenge(&asking("high")).await;
    let kinds: Vec<_> = all.arrived(2).await.iter().map(Delivery::kind).collect();
    assert_eq!(kinds, ["challenge.created", "challenge.expired"]);
    assert_eq!(one.arrived(1).await[0].kind(), "challenge.expired");
    // Without `notify.link` the link is AgentAuth's own door, where a look changes nothing.
    let link = all.seen()[0].json()["data"]["link"].as_str().unwrap().to_owned();
    let path = link.strip_prefix("https://127.0.0.1:").unwrap().split_once('/').unwrap().1.to_owned();
    assert_eq!(app.to_issuer("alice").get(&format!("/{path}")).await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn following_a_link_or_asking_by_get_approves_nothing() {
    let hook = Receiver::good().await;
    let app = notified(&[("hook", &hook, "")], "[1]").await;
    let challenge = app.challenge(&asking("high")).await;
    let link = hook.arrived(1).await[0].json()["data"]["link"].as_str().unwrap().to_owned();
    let path = link.strip_prefix("https://approvals.example/atb").unwrap();
    for (path, status) in [(path.to_owned(), 200), (format!("{path}/approve"), 405), (format!("{path}/reject"), 405)] {
        for method in ["GET", "HEAD"] {
            for who in ["alice", "bob", "carol"] {
                let answer = app.to_issuer(who).send(method, &path, &[], Vec::new()).await;
                assert_eq!(answer.status, status, "{method} {path}: {answer}");
            }
        }
    }
    let shown = app.shown(&challenge).await;
    assert_eq!((&shown["state"], &shown["approved"]), (&json!("pending"), &json!(0)));
    app.finish().await;
}

#[tokio::test]
async fn what_fails_is_tried_again_under_the_same_id_and_in_the_order_of_its_challenge() {
    // The first two tries of every event fail: one with 500, one without an answer.
    let mut tries: BTreeMap<String, u32> = BTreeMap::new();
    let hook = Receiver::start(move |delivery| {
        let tries = tries.entry(delivery.id.clone()).or_default();
        *tries += 1;
        [500, 0, 200][usize::try_from(*tries - 1).unwrap().min(2)]
    })
    .await;
    let app = notified(&[("hook", &hook, "")], "[1, 1, 1]").await;
    let challenge = app.challenge(&asking("high")).await;
    app.approve("alice", &challenge).await;
    app.approve("bob", &challenge).await;
    let told = hook.arrived(6).await;
    let kinds: Vec<_> = told.iter().map(Delivery::kind).collect();
    let (created, approved) = ("challenge.created", "challenge.approved");
    assert_eq!(kinds, [created, created, created, approved, approved, approved]);
    for three in told.chunks(3) {
        assert!(three.iter().all(|d| d.id == three[0].id && d.text == three[0].text && d.is_signed_with(SECRET)));
        assert!(three[2].timestamp > three[0].timestamp, "each attempt is signed at its own time");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_dead_endpoint_is_given_up_with_an_event_and_delays_nobody() {
    let (good, dead) = (Receiver::good().await, Receiver::start(|_| 0).await);
    let (moved, gone) = (Receiver::start(|_| 302).await, Receiver::start(|_| 410).await);
    let receivers =
        [("good", &good, ""), ("dead", &dead, ""), ("moved", &moved, "shape = \"slack\""), ("gone", &gone, "")];
    let app = notified(&receivers, "[1]").await;
    let started = Instant::now();
    for _ in 0..3 {
        let challenge = app.challenge(&asking("high")).await;
        reject(&app, &challenge).await;
    }
    assert_eq!(good.arrived(6).await.len(), 6);
    assert!(started.elapsed() < Duration::from_secs(20), "the good endpoint waited for the dead one");
    let events = dead_events(&app, 18).await;
    let of = |name: &str, fact: &str| -> BTreeSet<String> {
        let mine = events.iter().filter(|e| e.subject.detail["endpoint"] == name);
        mine.map(|e| e.subject.detail[fact].clone()).collect()
    };
    assert_eq!(of("dead", "last"), ["no answer in time".to_owned()].into());
    assert_eq!(of("dead", "attempts"), ["2".to_owned()].into());
    assert_eq!(of("moved", "last"), ["status 302".to_owned()].into(), "a redirect was followed");
    assert_eq!(
        (of("gone", "last"), of("gone", "attempts")),
        (["status 410".to_owned()].into(), ["1".to_owned()].into())
    );
    assert_eq!(of("dead", "event_id").len(), 6);
    for event in &events {
        crate::schemas::fits("ledger-entry", &serde_json::to_value(event).unwrap());
        let told = serde_json::to_string(event).unwrap();
        for private in ["SECRET-ANSWER", "whsec_", "http://", "MfKQ9r8"] {
            assert!(!told.contains(private), "{private} is on record: {told}");
        }
    }
    assert_eq!(good.seen().len(), 6, "giving up was itself told");
    let (_, metrics) = app.ops("/metrics").await;
    assert!(metrics.contains("atb_notify_dead_total 18"), "{metrics}");
    assert!(metrics.contains(r#"atb_events_total{event_type="notification_dead",allow="none"} 18"#), "{metrics}");
    assert!(metrics.contains(r#"atb_notify_deliveries_total{endpoint="dead",outcome="failed"} 6"#), "{metrics}");
    app.finish().await;
}

fn configured(home: &Home, receiver: SocketAddr, more: &str) {
    std::fs::write(home.file("hook-secret"), SECRET).unwrap();
    std::fs::set_permissions(home.file("hook-secret"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let table = format!(
        "[notify]\nretry_seconds = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n{more}\n\
         [[notify.endpoints]]\nname = \"hook\"\nurl = \"http://{receiver}/hook\"\nsecret = \"hook-secret\"\n\
         timeout_ms = 400\n\n[ops]"
    );
    home.edit("atb.toml", "[ops]", &table);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_before_a_crash_is_told_after_the_restart_and_the_past_is_not() {
    let home = Home::new();
    let mut served = home.serve();
    let params = json!({"vendor_id": "V-1001", "iban": "DE02120300000000202051", "payment_limit": 25_000});
    let request =
        json!({"connector": "erp", "method": "POST", "path": "/vendors/V-1001/bank-account", "params": params});
    let ask = json!({"act": "sap.vendor.change", "leg": process::ground(), "request": request});
    let open = async |served: &process::Served| {
        let asked = served.at_agentauth("procurement").post("/issue", &ask).await.unwrap();
        assert_eq!(asked.status.as_u16(), 202, "{}", process::body(&asked));
        process::body(&asked)["challenge_id"].as_str().unwrap().to_owned()
    };
    // Before there was an endpoint.
    open(&served).await;
    served.kill();
    // The endpoint's place: an address where nobody listens yet.
    let place = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = place.local_addr().unwrap();
    drop(place);
    configured(&home, address, "");
    served = home.serve();
    let mut opened = vec![open(&served).await];
    served.kill();
    served = home.serve();
    opened.push(open(&served).await);
    served.kill();
    let seen: Arc<Mutex<Vec<Delivery>>> = Arc::default();
    let mood: Mood = Arc::new(Mutex::new(Box::new(|_: &Delivery| 200)));
    let receiver = Receiver { address, seen, mood };
    let listener = TcpListener::bind(address).await.unwrap();
    let app = Router::new().fallback(take).with_state(receiver.clone());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    served = home.serve();
    let told = receiver.arrived(2).await;
    let told: Vec<_> = told.iter().map(|d| (d.kind(), d.challenge())).collect();
    let created = |id: &String| ("challenge.created".to_owned(), id.clone());
    assert_eq!(BTreeSet::from_iter(told), opened.iter().map(created).collect(), "new and old");
    served.terminate();
    assert!(served.exited().await.success());
    home.assert_intact();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_tries_an_endpoint_and_sends_dead_letters_again() {
    let healed = Arc::new(Mutex::new(false));
    let sick = Arc::clone(&healed);
    let hook = Receiver::start(
        move |delivery| if delivery.text.contains("\"test\"") || *sick.lock().unwrap() { 200 } else { 503 },
    )
    .await;
    let home = Home::new();
    configured(&home, hook.address, "max_age_seconds = 1");
    let served = home.serve();
    let log = home.run(["notify", "test", "hook"]).ok();
    assert_eq!(log.out, "hook: taken, status 200\n");
    let test = hook.arrived(1).await.remove(0);
    assert!(test.is_signed_with(SECRET));
    crate::schemas::fits("notification", &test.json());
    let unknown = home.run(["notify", "test", "hok"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("`hok`") && unknown.err.contains("hook"), "{unknown:?}");
    assert_eq!(home.run(["notify", "dead"]).ok().out, "nothing was given up in the last 30 days\n");

    let ask = json!({"act": "erp.order.create", "leg": process::ground()});
    let asked = served.at_agentauth("procurement").post("/issue", &ask).await.unwrap();
    assert_eq!(asked.status.as_u16(), 202, "{}", process::body(&asked));
    let end = Instant::now() + PATIENCE;
    let dead = loop {
        let listed = home.run(["notify", "dead", "--format", "json"]).ok();
        match listed.out.lines().next() {
            Some(line) => break serde_json::from_str::<Value>(line).unwrap(),
            None => assert!(Instant::now() < end, "nothing was given up"),
        }
    };
    assert_eq!((&dead["endpoint"], &dead["last"]), (&json!("hook"), &json!("status 503")), "{dead}");
    assert_eq!(home.run(["notify", "dead", "--retry"]).code, 1, "it was not taken, and that is said");
    *healed.lock().unwrap() = true;
    let retried = home.run(["notify", "dead", "--retry", "--endpoint", "hook"]).ok();
    assert!(retried.out.contains("now taken, status 200"), "{retried:?}");
    let last = hook.seen().pop().unwrap();
    assert_eq!(dead["event_id"], last.id, "the same event under the same id");
    assert!(last.is_signed_with(SECRET) && last.kind() == "challenge.created");
    served.kill();
    home.assert_intact();
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_secrets_nor_urls_are_in_the_log() {
    use std::process::Stdio;
    let hook = Receiver::start(|_| 500).await;
    let home = Home::new();
    configured(&home, hook.address, "");
    let url = format!("http://{}/services/T0/B0/HOOK-URL-SECRET", hook.address);
    std::fs::write(home.file("hook-url"), &url).unwrap();
    std::fs::set_permissions(home.file("hook-url"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    home.edit("atb.toml", &format!("url = \"http://{}/hook\"", hook.address), "url_file = \"hook-url\"");
    std::fs::write(home.file("token"), "TICKET-TOKEN-SECRET").unwrap();
    std::fs::set_permissions(home.file("token"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    home.edit("atb.toml", "state = \"/status\"", "state = \"/status\"\nsecret = \"token\"");
    let log = home.file("log");
    let mut command = home.serving();
    command.env("ATB_LOG__LEVEL", "trace").stderr(Stdio::piped());
    let mut child = command.stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    let read = || std::fs::read_to_string(&log).unwrap();
    until(|| read().contains(r#""message":"started""#), "the start").await;
    let line = read().lines().find(|line| line.contains(r#""message":"started""#)).unwrap().to_owned();
    let address = serde_json::from_str::<Value>(&line).unwrap()["agentauth"].as_str().unwrap().to_owned();
    let (config, folder) = (home.config(), home.file("svids/procurement"));
    let door = &config.agentauth.as_ref().unwrap().door;
    let (svid, key) = (folder.join("svid.pem"), folder.join("key.pem"));
    let client =
        atb::cli::client::Client::new(&config, &svid, &key, &door.spiffe_id, &format!("https://{address}")).unwrap();
    let ask = json!({"act": "erp.order.create", "leg": process::ground()});
    assert_eq!(client.post("/issue", &ask).await.unwrap().status.as_u16(), 202);
    let mut critical = asking("critical");
    critical["leg"] = crate::app::ground(&[("ticket_system", "jira"), ("ticket_ref", "OPS-77")]);
    assert_eq!(client.post("/issue", &critical).await.unwrap().status.as_u16(), 403, "nobody answers there");
    hook.arrived(2).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let said = read();
    assert!(said.len() > 1000, "there is a log to look at");
    for secret in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "HOOK-URL-SECRET", "TICKET-TOKEN-SECRET"] {
        assert!(!said.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn an_endpoint_that_cannot_be_meant_is_refused_with_its_name() {
    let rows = [
        ("url = \"https://h.example/\"", "", "`url` or `url_file`"),
        ("url = \"https://h.example/\"", "url = \"http://h.example/\"", "plain http"),
        ("url = \"https://h.example/\"", "url = \"https://[fe80::1]/\"", "link-local"),
        ("secret = \"hook-secret\"", "", "`secret` is missing"),
        ("secret = \"hook-secret\"", "secret = \"loose\"", "chmod 600"),
        ("secret = \"hook-secret\"", "secret = \"weak\"", "24 to 64 bytes"),
        ("name = \"h\"", "name = \"h\"\nevents = [\"made\"]", "no `made`"),
        ("name = \"h\"", "name = \"h\"\ntimeout_ms = 1", "`timeout_ms`"),
        ("name = \"h\"", "name = \"h\"\nshape = \"irc\"", "irc"),
        ("name = \"h\"", "name = \"H h\"", "`name`"),
    ];
    for (from, to, words) in rows {
        let home = Home::new();
        configured(&home, "127.0.0.1:9".parse().unwrap(), "");
        std::fs::write(home.file("loose"), SECRET).unwrap();
        std::fs::write(home.file("weak"), "whsec_c2VjcmV0").unwrap();
        std::fs::set_permissions(home.file("weak"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let table = "[[notify.endpoints]]\nname = \"h\"\nurl = \"https://h.example/\"\nsecret = \"hook-secret\"\n";
        home.edit("atb.toml", "[ops]", &format!("{}\n[ops]", table.replace(from, to)));
        let checked = home.run(["config", "check", "--config", "atb.toml"]);
        assert_eq!(checked.code, 1, "{to}: {checked:?}");
        assert!(checked.out.contains(words), "{to}: {checked:?}");
        assert!(!checked.out.contains("c2VjcmV0"), "{checked:?}");
    }
}

#[test]
fn a_notification_of_another_shape_does_not_fit_its_schema() {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/notification-standard.json");
    let document: Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    crate::schemas::refuses(
        "notification",
        &document,
        vec![
            ("/type", json!("challenge.redeemed")),
            ("/data/state", json!("open")),
            ("/data/digest", json!("md5:00")),
            ("/data/link", json!("javascript:alert(1)")),
            ("/data/params", json!({"iban": "DE02"})),
            ("/data/approve_url", json!("https://approvals.example/approve")),
            ("/statement", json!("e30.e30.e30")),
        ],
    );
}
