//! The whole product in one process, as its users run it: a directory of `atb init`, both services on free ports, the
//! sample ERP behind them, and everybody's client.
//!
//! A test ends with [`TestApp::finish`], which stops the services and holds the record against what must always be so;
//! a test that forgets it fails.

mod caller;
mod record;
mod statement;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use atb::adapters::clock::SystemClock;
use atb::adapters::dev_identity::{DevCa, KeyKind};
use atb::adapters::pem::write_private;
use atb::adapters::store::SqliteReader;
use atb::app::{Addresses, App, Mode};
use atb::cli::demo::erp::{self, ErpHandle};
use atb::cli::init;
use atb::config::Config;
use atb::domain::spiffe::{SpiffeId, TrustDomain};
use atb::service::ports::Clock as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::OnceCell;

pub use caller::{Answer, Caller};
pub use record::Mark;

/// The agent of most tests.
pub const AGENT: &str = "procurement";
/// The other agent.
pub const OTHER: &str = "support";

/// Which door a caller knocks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    AgentAuth,
    Broker,
}

/// A running broker and AgentAuth, with everything around them.
pub struct TestApp {
    folder: tempfile::TempDir,
    config: Config,
    addresses: Addresses,
    app: Option<App>,
    erp: Option<ErpHandle>,
    ca: DevCa,
    reader: OnceCell<SqliteReader>,
}

impl TestApp {
    /// As shipped.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With the directory changed by `edit` before the services start.
    pub async fn start_with(edit: impl FnOnce(&Home)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (dir, domain): (_, TrustDomain) = (folder.path().join("home"), "atb.dev".parse().unwrap());
        init::create(&dir, &domain, SystemClock.now()).unwrap();
        let ca = second_authority(&dir, domain);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let home = Home(dir);
        for file in ["connectors/erp.toml", "atb.toml"] {
            home.replace(file, "127.0.0.1:9000", &listener.local_addr().unwrap().to_string());
        }
        crate::process::drop_policy_tests(&home.path("opa/policy"));
        edit(&home);
        let erp = erp::start(listener, &folder.path().join("erp.db")).await.unwrap();
        let mut config = Config::load(&home.path("atb.toml")).unwrap();
        config.agentauth.as_mut().unwrap().door.listen.set_port(0);
        config.broker.as_mut().unwrap().door.listen.set_port(0);
        config.ops.set_port(0);
        config.policy_deadline = Duration::from_secs(60); // a debug build beside other tests
        let app = App::start(config.clone(), Mode::Both, Path::new(env!("CARGO_BIN_EXE_atb"))).await.unwrap();
        Self { folder, config, addresses: app.addresses(), app: Some(app), erp: Some(erp), ca, reader: OnceCell::new() }
    }

    /// The directory that the services run on.
    pub fn home(&self) -> Home {
        Home(self.folder.path().join("home"))
    }

    /// A client with one of the directory's identities, on a connection of its own.
    pub fn caller(&self, name: &str, at: At) -> Caller {
        let (door, address) = match at {
            At::AgentAuth => (&self.config.agentauth.as_ref().unwrap().door, self.addresses.agentauth),
            At::Broker => (&self.config.broker.as_ref().unwrap().door, self.addresses.broker),
        };
        Caller::new(&self.config, &self.home().path("svids").join(name), &door.spiffe_id, address.unwrap())
    }

    /// A client that knocks at one door and expects the identity of another.
    pub fn caller_expecting(&self, name: &str, at: At, expected: At) -> Caller {
        let door = match expected {
            At::AgentAuth => &self.config.agentauth.as_ref().unwrap().door,
            At::Broker => &self.config.broker.as_ref().unwrap().door,
        };
        let address = if at == At::AgentAuth { self.addresses.agentauth } else { self.addresses.broker };
        Caller::new(&self.config, &self.home().path("svids").join(name), &door.spiffe_id, address.unwrap())
    }

    /// A client of AgentAuth.
    pub fn to_issuer(&self, name: &str) -> Caller {
        self.caller(name, At::AgentAuth)
    }

    /// A client of the broker.
    pub fn to_broker(&self, name: &str) -> Caller {
        self.caller(name, At::Broker)
    }

    /// A client of AgentAuth with an SVID of another trust domain; it trusts ours.
    pub fn foreign(&self, name: &str) -> Caller {
        self.of_foreign_domain(name, At::AgentAuth)
    }

    /// The same for the broker.
    pub fn foreign_to_broker(&self, name: &str) -> Caller {
        self.of_foreign_domain(name, At::Broker)
    }

    fn of_foreign_domain(&self, name: &str, at: At) -> Caller {
        let (door, address) = match at {
            At::AgentAuth => (&self.config.agentauth.as_ref().unwrap().door, self.addresses.agentauth),
            At::Broker => (&self.config.broker.as_ref().unwrap().door, self.addresses.broker),
        };
        Caller::foreign(&self.config, &self.home().path("svids").join(name), &door.spiffe_id, address.unwrap())
    }

    /// Who has the SVID of this name.
    pub fn id_of(&self, name: &str) -> SpiffeId {
        self.to_issuer(name).id()
    }

    /// Gives the identity `spiffe://atb.dev/{path}` an SVID under `name`; a client of that name can be made from then on.
    pub fn enrol(&self, name: &str, path: &str, lifetime: Duration) {
        let id = format!("spiffe://atb.dev/{path}").parse().unwrap();
        let issued = self.ca.issue(&id, KeyKind::P256, SystemClock.now(), lifetime).unwrap();
        let folder = self.home().path("svids").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("svid.pem"), issued.svid_pem).unwrap();
        write_private(&folder.join("key.pem"), issued.key_pem.as_bytes()).unwrap();
    }

    /// Asks for a mandate.
    pub async fn issue(&self, ask: &Value) -> Answer {
        self.to_issuer(AGENT).post("/issue", ask).await
    }

    /// A fresh mandate for a low act.
    pub async fn low_mandate(&self) -> String {
        let answer = self.issue(&asking("low")).await;
        assert_eq!(answer.status, 201, "{answer}");
        answer.text("/token")
    }

    /// A challenge that waits; its id.
    pub async fn challenge(&self, ask: &Value) -> String {
        let answer = self.issue(ask).await;
        assert_eq!(answer.status, 202, "{answer}");
        answer.text("/challenge_id")
    }

    /// What an approver is shown.
    pub async fn shown(&self, challenge: &str) -> Value {
        let answer = self.to_issuer("alice").get(&format!("/challenges/{challenge}")).await;
        assert_eq!(answer.status, 200, "{answer}");
        answer.json
    }

    /// `name` reads what is asked, signs it and hands it in.
    pub async fn approve(&self, name: &str, challenge: &str) -> Answer {
        let caller = self.to_issuer(name);
        let shown = self.shown(challenge).await;
        let statement = caller.sign(&caller.statement(&shown));
        caller.post(&format!("/challenges/{challenge}/approve"), &json!({ "statement": statement })).await
    }

    /// The agent asks for its mandate.
    pub async fn collect(&self, challenge: &str) -> Answer {
        self.to_issuer(AGENT).get(&format!("/issue/{challenge}")).await
    }

    /// A mandate on the approvals of `names`.
    pub async fn approved_mandate(&self, ask: &Value, names: &[&str]) -> String {
        let challenge = self.challenge(ask).await;
        for name in names {
            let answer = self.approve(name, &challenge).await;
            assert_eq!(answer.status, 200, "{name}: {answer}");
        }
        let answer = self.collect(&challenge).await;
        assert_eq!(answer.status, 201, "{answer}");
        answer.text("/token")
    }

    /// The agent calls the ERP.
    pub async fn call(&self, method: &str, path: &str, mandate: &str, body: Option<&Value>) -> Answer {
        self.to_broker(AGENT).call(method, path, mandate, body).await
    }

    /// The sample ERP.
    pub fn erp(&self) -> &ErpHandle {
        self.erp.as_ref().unwrap()
    }

    /// How many requests reached the ERP.
    pub fn erp_hits(&self) -> u64 {
        self.erp().hits()
    }

    /// The ERP goes away.
    pub fn stop_erp(&mut self) {
        self.erp = None;
    }

    /// One of the operators' pages: status and text.
    pub async fn ops(&self, path: &str) -> (u16, String) {
        caller::plain_get(self.addresses.ops, path).await
    }

    /// Stops the services in order and starts them again on what they left.
    pub async fn restart(&mut self) {
        self.app.take().unwrap().stop().await.unwrap();
        let exe = Path::new(env!("CARGO_BIN_EXE_atb"));
        let app = App::start(self.config.clone(), Mode::Both, exe).await.unwrap();
        self.addresses = app.addresses();
        self.app = Some(app);
    }

    /// Stops the services in order.
    pub async fn stop(&mut self) {
        self.app.take().unwrap().stop().await.unwrap();
    }

    /// Starts them again on what they left; what they refuse, if they do.
    pub async fn start_again(&mut self) -> Result<(), String> {
        let exe = Path::new(env!("CARGO_BIN_EXE_atb"));
        let started = App::start(self.config.clone(), Mode::Both, exe).await;
        let app = started.map_err(|error| format!("{error:#}"))?;
        self.addresses = app.addresses();
        self.app = Some(app);
        Ok(())
    }

    /// What SIGHUP does.
    pub fn reload(&self) {
        self.app.as_ref().unwrap().reloader().reload();
    }

    /// Stops the services in order, and holds the record against what must always be so.
    pub async fn finish(mut self) {
        if let Some(reader) = self.reader.take() {
            reader.close().await;
        }
        self.app.take().unwrap().stop().await.unwrap();
        record::hold_to_the_invariants(&self.config, self.erp.as_ref().map(ErpHandle::hits)).await;
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        assert!(self.app.is_none() || std::thread::panicking(), "a test ends with `app.finish().await`");
    }
}

/// The directory made by `atb init`.
pub struct Home(PathBuf);

impl Home {
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn replace(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        std::fs::write(self.path(name), text.replace(from, to)).unwrap();
    }

    /// Adds a table at the end of the configuration.
    pub fn configure(&self, table: &str) {
        let text = std::fs::read_to_string(self.path("atb.toml")).unwrap();
        std::fs::write(self.path("atb.toml"), text + "\n" + table).unwrap();
    }

    /// A file that only its owner reads.
    pub fn secret(&self, name: &str, text: &str) {
        write_private(&self.path(name), text.as_bytes()).unwrap();
    }

    /// Puts another upstream behind the connector `erp`.
    pub fn upstream(&self, address: SocketAddr) {
        let path = self.path("connectors/erp.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().map(|line| match line.starts_with("upstream = ") {
            true => format!("upstream = \"http://{address}\"\n"),
            false => format!("{line}\n"),
        });
        std::fs::write(&path, lines.collect::<String>()).unwrap();
    }

    pub fn edit_policy_data(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut value = serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap();
        edit(&mut value);
        std::fs::write(self.path(name), value.to_string()).unwrap();
    }

    /// How long challenges wait, for every tier.
    pub fn challenges_last(&self, seconds: u64) {
        self.edit_policy_data("opa/tiers/data.json", |tiers| {
            for tier in tiers.as_object_mut().unwrap().values_mut() {
                tier["challenge_seconds"] = seconds.into();
            }
        });
    }
}

/// An authority whose key the test holds, trusted beside the one of `atb init`.
fn second_authority(dir: &Path, domain: TrustDomain) -> DevCa {
    let ca = DevCa::create(domain, SystemClock.now()).unwrap();
    let bundle = dir.join("trust/bundle.pem");
    let both = std::fs::read_to_string(&bundle).unwrap() + &ca.bundle_pem();
    std::fs::write(bundle, both).unwrap();
    ca
}

/// A request for a mandate of `tier`.
pub fn asking(tier: &str) -> Value {
    let (act, request) = match tier {
        "low" => ("erp.vendor.read", None),
        "medium" => ("erp.order.create", None),
        "high" => ("sap.vendor.change", Some(("POST", "/vendors/V-1001/bank-account", bank_account(25_000)))),
        "critical" => (
            "erp.vendor.delete",
            Some(("DELETE", "/vendors/V-1005", json!({"vendor_id": "V-1005", "reason": "closed"}))),
        ),
        other => panic!("no tier {other}"),
    };
    let mut ask = json!({"act": act, "leg": ground(&[])});
    if let Some((method, path, params)) = request {
        ask["request"] = json!({"connector": "erp", "method": method, "path": path, "params": params});
    }
    ask
}

/// The critical request with its ticket.
pub fn asking_critical() -> Value {
    let mut ask = asking("critical");
    ask["leg"] = ground(&[("ticket_system", "jira"), ("ticket_ref", "OPS-77")]);
    ask
}

/// A legal ground by the template `contract`, with further variables.
pub fn ground(more: &[(&str, &str)]) -> Value {
    let mut vars = BTreeMap::from([
        ("contract_ref", "MSA-1001"),
        ("accountable_id", "erin"),
        ("jurisdiction", "DE"),
        ("order", "order 7"),
    ]);
    vars.extend(more.iter().copied());
    json!({"template": "contract", "vars": vars})
}

/// The parameters of the high act.
pub fn bank_account(limit: u64) -> Value {
    json!({"vendor_id": "V-1001", "iban": "DE02120300000000202051", "payment_limit": limit})
}

/// The call that [`asking`] asks for: method, path behind the broker, body.
pub fn the_call(tier: &str) -> (&'static str, &'static str, Option<Value>) {
    match tier {
        "low" => ("GET", "/c/erp/vendors/V-1001", None),
        "medium" => {
            let body =
                json!({"vendor_id": "V-1001", "item": "Paper", "quantity": 2, "amount": 10.5, "currency": "EUR"});
            ("POST", "/c/erp/orders", Some(body))
        }
        "high" => {
            let body = json!({"iban": "DE02120300000000202051", "payment_limit": 25_000});
            ("POST", "/c/erp/vendors/V-1001/bank-account", Some(body))
        }
        "critical" => ("DELETE", "/c/erp/vendors/V-1005?reason=closed", None),
        other => panic!("no tier {other}"),
    }
}
