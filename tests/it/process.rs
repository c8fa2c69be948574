//! The program as its users run it: a directory made by `atb init`, processes, an upstream that remembers.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use atb::adapters::clock::SystemClock;
use atb::adapters::http::client::Response;
use atb::adapters::store::SqliteReader;
use atb::cli::approve::Shown;
use atb::cli::client::Client;
use atb::config::{Config, Door};
use atb::domain::time::Timestamp;
use atb::service::ports::{Clock as _, EntryFilter};
use axum::extract::{Request, State};
use axum::http::Method;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// Longer than anything here takes on a slow machine; nothing waits this long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The policy's own tests are about the shipped data, and every start runs them, which takes long in a debug build;
/// `bundle_probe` runs them.
pub fn drop_policy_tests(policy: &Path) {
    std::fs::remove_dir_all(policy.join("cases")).unwrap();
    for file in std::fs::read_dir(policy).unwrap() {
        let path = file.unwrap().path();
        if path.to_str().unwrap().ends_with("_test.rego") {
            std::fs::remove_file(path).unwrap();
        }
    }
}

/// A directory made by `atb init`, gone with this value.
pub struct Home(tempfile::TempDir);

impl Home {
    pub fn new() -> Self {
        Self::made_at(SystemClock.now())
    }

    /// As if it had been made at that time: its identities are valid from then on.
    pub fn made_at(now: Timestamp) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let dir = home.0.path().join("dev");
        atb::cli::init::create(&dir, &"atb.dev".parse().unwrap(), now).unwrap();
        drop_policy_tests(&dir.join("opa/policy"));
        home
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.0.path().join("dev")
    }

    pub fn file(&self, name: &str) -> std::path::PathBuf {
        self.path().join(name)
    }

    pub fn config(&self) -> Config {
        Config::load(&self.file("atb.toml")).unwrap()
    }

    /// Replaces a text that must be there.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.file(name)).unwrap();
        assert!(text.contains(from), "`{from}` is not in {name}");
        std::fs::write(self.file(name), text.replacen(from, to, 1)).unwrap();
    }

    /// Points the connector `erp` at an upstream.
    pub fn connect(&self, upstream: SocketAddr) {
        self.edit("connectors/erp.toml", "127.0.0.1:9000", &upstream.to_string());
    }

    /// `atb` in this directory, with nothing of ours in its environment.
    pub fn atb<const N: usize>(&self, args: [&str; N]) -> Command {
        let mut command = atb(args);
        command.current_dir(self.path());
        command
    }

    /// Runs `atb` in this directory.
    pub fn run<const N: usize>(&self, args: [&str; N]) -> Ran {
        Ran::of(&mut self.atb(args))
    }

    /// `atb serve` with free ports, not started yet.
    pub fn serving(&self) -> Command {
        let mut command = self.atb(["serve", "--dev", "--config", "atb.toml"]);
        for section in ["AGENTAUTH", "BROKER", "OPS"] {
            command.env(format!("ATB_{section}__LISTEN"), "127.0.0.1:0");
        }
        command
    }

    /// Starts the services and waits until they serve.
    pub fn serve(&self) -> Served {
        Served::start(self.serving(), self)
    }

    /// Every entry of the ledger.
    pub async fn ledger(&self) -> Vec<Value> {
        let reader = SqliteReader::open(&self.file("data/ledger.db")).await.unwrap();
        let rows = reader.entries(0, 100_000, &EntryFilter::default()).await.unwrap();
        reader.close().await;
        rows.iter().map(|(_, body)| serde_json::from_slice(body).unwrap()).collect()
    }

    pub fn assert_intact(&self) {
        let verified = self.run(["audit", "verify"]);
        assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);
    }
}

pub fn atb<const N: usize>(args: [&str; N]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atb"));
    command.args(args).stdin(Stdio::null()).env_clear();
    command
}

/// What a finished command said.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// `atb serve`, killed with this value.
pub struct Served {
    child: Child,
    config: Config,
    pub ops: SocketAddr,
    home: std::path::PathBuf,
}

impl Served {
    pub fn start(mut command: Command, home: &Home) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (started, waiting) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        // The log is read to its end, so that the process never waits for its reader.
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = started.send(line);
            }
        });
        let mut said = String::new();
        let until = Instant::now() + PATIENCE;
        let addresses = loop {
            match waiting.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(r#""message":"started""#) => {
                    break serde_json::from_str::<Value>(&line).unwrap();
                }
                Ok(line) => said.push_str(&line),
                Err(_) => panic!("the services did not start: {said}"),
            }
        };
        let address = |name: &str| addresses[name].as_str().unwrap().parse().unwrap();
        let mut config = home.config();
        config.agentauth.as_mut().unwrap().door.listen = address("agentauth");
        config.broker.as_mut().unwrap().door.listen = address("broker");
        Self { child, config, ops: address("ops"), home: home.path() }
    }

    /// Writes the addresses into the configuration, where the client commands read them.
    pub fn publish(&self, home: &Home) {
        home.edit("atb.toml", "127.0.0.1:8443", &self.agentauth().listen.to_string());
        home.edit("atb.toml", "127.0.0.1:8444", &self.broker().listen.to_string());
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// kill -9, by whoever shares it; it is waited for when the last one drops it.
    pub fn kill_now(&self) {
        let sent = Command::new("kill").args(["-KILL", &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    pub async fn exited(mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the process does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn agentauth(&self) -> &Door {
        &self.config.agentauth.as_ref().unwrap().door
    }

    fn broker(&self) -> &Door {
        &self.config.broker.as_ref().unwrap().door
    }

    fn client(&self, door: &Door, name: &str) -> Client {
        let folder = self.home.join("svids").join(name);
        let url = format!("https://{}", door.listen);
        Client::new(&self.config, &folder.join("svid.pem"), &folder.join("key.pem"), &door.spiffe_id, &url).unwrap()
    }

    /// Somebody at AgentAuth.
    pub fn at_agentauth(&self, name: &str) -> Client {
        self.client(self.agentauth(), name)
    }

    /// Somebody at the broker.
    pub fn at_broker(&self, name: &str) -> Client {
        self.client(self.broker(), name)
    }

    /// Asks until the process says that it is ready.
    pub async fn ready(&self) {
        let until = Instant::now() + PATIENCE;
        while self.ops("/ready").await.0 != 200 {
            assert!(Instant::now() < until, "it does not become ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the plain listener answers: status and body.
    pub async fn ops(&self, path: &str) -> (u16, String) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut connection = tokio::net::TcpStream::connect(self.ops).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: ops\r\nconnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A ground that the template `contract` takes.
pub fn ground() -> Value {
    json!({"template": "contract", "vars": {
        "contract_ref": "MSA-1001", "accountable_id": "dave", "jurisdiction": "DE", "order": "vendor V-1001",
    }})
}

pub fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_default()
}

/// Asks for a mandate that nobody has to agree to.
pub async fn low_mandate(client: &Client) -> String {
    let response = client.post("/issue", &json!({"act": "erp.vendor.read", "leg": ground()})).await.unwrap();
    assert_eq!(response.status.as_u16(), 201, "{}", body(&response));
    body(&response)["token"].as_str().unwrap().to_owned()
}

/// Reads what is asked and signs it, as `atb approve` does.
pub async fn approve(client: &Client, challenge: &str) -> Value {
    let shown = client.get(&format!("/challenges/{challenge}")).await.unwrap();
    let statement = Shown::check(&shown.body).unwrap().sign(client).unwrap();
    let answer =
        client.post(&format!("/challenges/{challenge}/approve"), &json!({ "statement": statement })).await.unwrap();
    assert_eq!(answer.status.as_u16(), 200, "{}", body(&answer));
    body(&answer)
}

pub async fn get(client: &Client, path: &str, mandate: &str) -> anyhow::Result<Response> {
    client.send(Method::GET, path, Some(mandate), None).await
}

/// An upstream that remembers the paths that reached it and answers as fast as it is let.
pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    count: watch::Receiver<usize>,
    gate: Arc<Semaphore>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Seen(Arc<Mutex<Vec<String>>>, watch::Sender<usize>, Arc<Semaphore>);

impl Upstream {
    /// Answers at once.
    pub async fn open() -> Self {
        Self::start(Semaphore::MAX_PERMITS / 2).await
    }

    /// Answers nobody until [`Upstream::answer`].
    pub async fn closed() -> Self {
        Self::start(0).await
    }

    async fn start(permits: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, count) = watch::channel(0);
        let (seen, gate) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(permits)));
        let state = Seen(Arc::clone(&seen), sender, Arc::clone(&gate));
        let app = Router::new().fallback(take).with_state(state);
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, seen, count, gate, server }
    }

    /// Lets this many answers go.
    pub fn answer(&self, requests: usize) {
        self.gate.add_permits(requests);
    }

    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until this many requests have arrived.
    pub async fn arrived(&self, requests: usize) {
        let mut count = self.count.clone();
        let arrived = tokio::time::timeout(PATIENCE, count.wait_for(|seen| *seen >= requests)).await;
        arrived.expect("the requests arrive").unwrap();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(State(Seen(seen, count, gate)): State<Seen>, request: Request) -> Json<Value> {
    let arrived = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.uri().path().to_owned());
        seen.len()
    };
    count.send_replace(arrived);
    let answer = gate.acquire().await.unwrap();
    answer.forget();
    Json(json!({"vendor_id": request.uri().path()}))
}

/// What is left in a folder.
pub fn entries(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}
