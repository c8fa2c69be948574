//! Who a client command is and whom it talks to: a directory made by `atb init`, or each part by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use axum::http::{HeaderMap, HeaderValue, Method};

use crate::adapters::clock::SystemClock;
use crate::adapters::http::client::{MtlsClient, Response};
use crate::adapters::http::event_stream::EventStream;
use crate::adapters::pem::{self, KeyPermissions};
use crate::adapters::tls::{SharedTrust, SvidSource};
use crate::config::{Config, Door};
use crate::domain::spiffe::{SpiffeId, TrustBundles};

/// Who the command is.
#[derive(Debug, Clone, clap::Args)]
pub struct ClientArgs {
    /// A directory made by `atb init`; its atb.toml says where the services are.
    #[arg(long, env = "ATB_HOME", default_value = ".", value_name = "DIR")]
    pub home: PathBuf,
    /// Which of the directory's identities to use: the name of a folder in svids/.
    #[arg(long = "as", value_name = "NAME")]
    pub identity: String,
    /// Another SVID (PEM chain) than that identity's.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub svid: Option<PathBuf>,
    /// The key of that SVID (PKCS#8 PEM).
    #[arg(long, value_name = "FILE", requires = "svid")]
    pub key: Option<PathBuf>,
    /// Another address of the service than the configuration's, https://host:port.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
}

/// Which service a command talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// AgentAuth.
    AgentAuth,
    /// The broker.
    Broker,
}

/// A connected identity.
pub struct Client {
    http: MtlsClient,
    identity: Arc<SvidSource>,
    key_path: PathBuf,
}

impl ClientArgs {
    /// The configuration of the directory.
    pub fn config(&self) -> anyhow::Result<Config> {
        Ok(Config::load(&self.home.join("atb.toml"))?)
    }

    /// A client of `service`.
    pub fn connect(&self, service: Service) -> anyhow::Result<Client> {
        let config = self.config()?;
        let door = door(&config, service)?;
        let folder = self.home.join("svids").join(&self.identity);
        let svid = self.svid.clone().unwrap_or_else(|| folder.join("svid.pem"));
        let key_path = self.key.clone().unwrap_or_else(|| folder.join("key.pem"));
        if !svid.exists() {
            bail!(
                "there is no identity `{}`: `{}` is missing; known: {}",
                self.identity,
                svid.display(),
                known(&self.home)
            );
        }
        let url = self.url.clone().unwrap_or_else(|| format!("https://{}", door.listen));
        Client::new(&config, &svid, &key_path, &door.spiffe_id, &url)
    }
}

fn door(config: &Config, service: Service) -> anyhow::Result<&Door> {
    match service {
        Service::AgentAuth => {
            config.agentauth.as_ref().map(|part| &part.door).context("the configuration has no [agentauth]")
        }
        Service::Broker => config.broker.as_ref().map(|part| &part.door).context("the configuration has no [broker]"),
    }
}

fn known(home: &Path) -> String {
    let entries = std::fs::read_dir(home.join("svids")).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The trust bundle that a configuration names.
pub fn trust(config: &Config) -> anyhow::Result<SharedTrust> {
    let bundle = pem::read_bundle(&config.trust_bundle, config.trust_domain.clone())?;
    Ok(Arc::new(ArcSwap::from_pointee(TrustBundles::new([bundle]))))
}

impl Client {
    /// A client with this identity for the service `expected` at `url`.
    pub fn new(config: &Config, svid: &Path, key: &Path, expected: &SpiffeId, url: &str) -> anyhow::Result<Self> {
        use crate::domain::spiffe::Purpose;
        use crate::service::ports::Clock as _;
        let trust = trust(config)?;
        let clock = SystemClock;
        let identity =
            SvidSource::load(svid, key, KeyPermissions::OwnerOnly, Purpose::Client, &trust.load(), clock.now())?;
        let identity = Arc::new(identity);
        let http = MtlsClient::new(Arc::clone(&identity), trust, Arc::new(clock), expected.clone(), url)?;
        Ok(Self { http, identity, key_path: key.to_owned() })
    }

    /// Who we are.
    pub fn id(&self) -> SpiffeId {
        self.identity.current().svid().id().clone()
    }

    /// Until when our SVID is good.
    pub fn expires_at(&self) -> crate::domain::time::Timestamp {
        self.identity.current().svid().expires_at()
    }

    /// Our chain, leaf first.
    pub fn chain(&self) -> Vec<rustls::pki_types::CertificateDer<'static>> {
        self.identity.current().svid().chain_der().to_vec()
    }

    /// The file of our key.
    pub fn key_path(&self) -> &Path {
        &self.key_path
    }

    /// Sends a request without a body.
    pub async fn get(&self, path: &str) -> anyhow::Result<Response> {
        Ok(self.http.request(Method::GET, path, HeaderMap::new(), Vec::new()).await?)
    }

    /// Sends a request without a body and with one more header.
    pub async fn get_with(&self, path: &str, name: &'static str, value: &str) -> anyhow::Result<Response> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).with_context(|| format!("`{name}` has no such value"))?);
        Ok(self.http.request(Method::GET, path, headers, Vec::new()).await?)
    }

    /// Sends a request whose answer is read as it comes.
    pub async fn stream(&self, path: &str, headers: HeaderMap) -> anyhow::Result<EventStream> {
        Ok(self.http.stream(path, headers).await?)
    }

    /// Sends JSON.
    pub async fn post(&self, path: &str, body: &serde_json::Value) -> anyhow::Result<Response> {
        self.send(Method::POST, path, None, Some(body.to_string().into_bytes())).await
    }

    /// Sends any request, with a mandate and a JSON body where given.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        mandate: Option<&str>,
        body: Option<Vec<u8>>,
    ) -> anyhow::Result<Response> {
        let mut headers = HeaderMap::new();
        if let Some(mandate) = mandate {
            let value = HeaderValue::from_str(&format!("Bearer {mandate}")).context("the mandate is not a token")?;
            headers.insert(axum::http::header::AUTHORIZATION, value);
        }
        if body.is_some() {
            headers.insert(axum::http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(self.http.request(method, path, headers, body.unwrap_or_default()).await?)
    }
}
