//! What the demo plays on: a directory, the services, the sample ERP, and everybody's client.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::net::TcpListener;

use super::erp::{self, ErpHandle};
use crate::adapters::clock::SystemClock;
use crate::app::{Addresses, App, Mode};
use crate::cli::client::Client;
use crate::cli::init;
use crate::config::Config;
use crate::service::ports::Clock as _;

/// Whom the story needs.
const AT_AGENTAUTH: [&str; 5] = ["procurement", "alice", "alice-mobile", "bob", "carol"];

/// The running stage.
pub(super) struct Stage {
    dir: PathBuf,
    app: Option<App>,
    addresses: Addresses,
    erp: ErpHandle,
    people: BTreeMap<&'static str, Client>,
    agent_at_broker: Client,
    config: Config,
}

impl Stage {
    /// Makes the directory and starts everything on free ports.
    pub(super) async fn set(dir: PathBuf) -> anyhow::Result<Self> {
        init::create(&dir, &"atb.dev".parse()?, SystemClock.now())?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        for file in ["connectors/erp.toml", "atb.toml"] {
            replace(&dir.join(file), "127.0.0.1:9000", &listener.local_addr()?.to_string())?;
        }
        let erp = erp::start(listener, &dir.join("sample-erp.db")).await?;
        let mut config = Config::load(&dir.join("atb.toml"))?;
        let written = (config.agentauth.clone(), config.broker.clone(), config.ops);
        let doors = [config.agentauth.as_mut().map(|a| &mut a.door), config.broker.as_mut().map(|b| &mut b.door)];
        for door in doors.into_iter().flatten() {
            door.listen.set_port(0);
        }
        config.ops.set_port(0);
        let app = App::start(config, Mode::Both, &std::env::current_exe()?).await?;
        let addresses = app.addresses();
        // The clients read the addresses from the file.
        let file = dir.join("atb.toml");
        if let (Some(old), Some(new)) = (written.0, addresses.agentauth) {
            replace(&file, &old.door.listen.to_string(), &new.to_string())?;
        }
        if let (Some(old), Some(new)) = (written.1, addresses.broker) {
            replace(&file, &old.door.listen.to_string(), &new.to_string())?;
        }
        replace(&file, &written.2.to_string(), &addresses.ops.to_string())?;
        let config = Config::load(&file)?;
        let mut people = BTreeMap::new();
        for name in AT_AGENTAUTH {
            people.insert(name, client(&dir, &config, name, true)?);
        }
        let agent_at_broker = client(&dir, &config, "procurement", false)?;
        Ok(Self { dir, app: Some(app), addresses, erp, people, agent_at_broker, config })
    }

    /// The directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the services listen.
    pub(super) fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The configuration as it runs.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// The sample ERP.
    pub(super) fn erp(&self) -> &ErpHandle {
        &self.erp
    }

    /// Somebody's client of AgentAuth.
    pub(super) fn of(&self, name: &str) -> anyhow::Result<&Client> {
        self.people.get(name).with_context(|| format!("nobody is called {name}"))
    }

    /// The agent's client of the broker.
    pub(super) fn broker(&self) -> &Client {
        &self.agent_at_broker
    }

    /// Stops the services in order and starts them again on the same directory.
    pub(super) async fn restart(
        &mut self,
        between: impl AsyncFnOnce(&Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if let Some(app) = self.app.take() {
            app.stop().await?;
        }
        between(self).await?;
        self.app = Some(App::start(self.config.clone(), Mode::Both, &std::env::current_exe()?).await?);
        Ok(())
    }

    /// Stops the services in order.
    pub(super) async fn close(mut self) -> anyhow::Result<()> {
        match self.app.take() {
            Some(app) => app.stop().await,
            None => Ok(()),
        }
    }
}

fn client(dir: &Path, config: &Config, name: &str, agentauth: bool) -> anyhow::Result<Client> {
    let door = if agentauth {
        config.agentauth.as_ref().map(|part| &part.door)
    } else {
        config.broker.as_ref().map(|part| &part.door)
    };
    let door = door.context("the demo runs both services")?;
    let folder = dir.join("svids").join(name);
    let url = format!("https://{}", door.listen);
    Client::new(config, &folder.join("svid.pem"), &folder.join("key.pem"), &door.spiffe_id, &url)
}

fn replace(path: &Path, from: &str, to: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    anyhow::ensure!(text.contains(from), "`{}` does not name {from}", path.display());
    std::fs::write(path, text.replace(from, to)).with_context(|| format!("cannot write `{}`", path.display()))
}
