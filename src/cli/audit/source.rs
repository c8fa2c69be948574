//! Where a question is put: to a ledger's file, or to a service that somebody else runs.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use async_trait::async_trait;
use clap::ValueEnum;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::adapters::store::SqliteReader;
use crate::cli::client::{Client, ClientArgs, Service};
use crate::cli::output;
use crate::service::ports::{AuditLog, AuditPage, AuditQuestion, Found, Order, StoreError};

/// A ledger's file, or a service and who asks it.
#[derive(Debug, Clone, clap::Args)]
pub struct SourceArgs {
    /// A directory made by `atb init`; the ledger is data/ledger.db in it.
    #[arg(long, env = "ATB_HOME", default_value = ".", value_name = "DIR")]
    home: PathBuf,
    /// The ledger, if it is elsewhere.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    store: Option<PathBuf>,
    /// Ask a service instead, https://host:port; for the identities in its `ledger.auditors`.
    #[arg(long, value_name = "URL", requires = "identity")]
    url: Option<String>,
    /// Who asks it: the name of a folder in svids/.
    #[arg(long = "as", id = "identity", value_name = "NAME", requires = "url")]
    identity: Option<String>,
    /// Which service is there.
    #[arg(long, value_enum, default_value_t, requires = "url")]
    service: Door,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Door {
    #[default]
    Broker,
    Agentauth,
}

impl SourceArgs {
    /// Opens it.
    ///
    /// # Errors
    /// When there is no ledger, or no identity to ask with.
    pub async fn open(&self) -> anyhow::Result<Source> {
        if let (Some(url), Some(identity)) = (&self.url, &self.identity) {
            let client = ClientArgs {
                home: self.home.clone(),
                identity: identity.clone(),
                svid: None,
                key: None,
                url: Some(url.clone()),
            };
            let service = if self.service == Door::Broker { Service::Broker } else { Service::AgentAuth };
            return Ok(Source::Service(Box::new(client.connect(service)?), Mutex::default()));
        }
        let path = self.store.clone().unwrap_or_else(|| self.home.join("data").join("ledger.db"));
        Ok(Source::File(SqliteReader::open(&path).await?))
    }
}

/// Something that answers questions.
pub enum Source {
    /// A file.
    File(SqliteReader),
    /// A service, and why its last answer was none.
    Service(Box<Client>, Mutex<Option<anyhow::Error>>),
}

/// A service said no.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

/// The answer of `GET /audit`.
#[derive(Deserialize)]
struct Page<'a> {
    size: u64,
    #[serde(borrow)]
    items: Vec<Item<'a>>,
    next: Option<u64>,
    more: bool,
}

#[derive(Deserialize)]
struct Item<'a> {
    seq: u64,
    #[serde(borrow, default)]
    entry: Option<&'a RawValue>,
}

impl Source {
    /// The error as it was where it arose.
    pub fn cause(&self, error: StoreError) -> anyhow::Error {
        let kept = match self {
            Self::Service(_, last) => last.lock().unwrap_or_else(PoisonError::into_inner).take(),
            Self::File(_) => None,
        };
        kept.unwrap_or_else(|| anyhow::Error::msg(format!("the ledger cannot be read: {error}")))
    }

    /// Whether there is somebody at the other end who counts questions.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Service(..))
    }
}

#[async_trait]
impl AuditLog for Source {
    async fn page(&self, question: &AuditQuestion) -> Result<AuditPage, StoreError> {
        match self {
            Self::File(reader) => reader.page(question).await,
            Self::Service(client, last) => ask(client, question).await.map_err(|error| {
                let told = StoreError::Unavailable(error.to_string());
                *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                told
            }),
        }
    }
}

async fn ask(client: &Client, question: &AuditQuestion) -> anyhow::Result<AuditPage> {
    let response = client.get(&path(question)).await?;
    if !response.status.is_success() {
        return Err(Refused(output::problem(response.status.as_u16(), &response.body)).into());
    }
    let page: Page<'_> = serde_json::from_slice(&response.body).context("the answer is no page of a ledger")?;
    let found = |item: &Item<'_>| Found {
        seq: item.seq,
        body: item.entry.map(|entry| entry.get().as_bytes().to_vec()).unwrap_or_default(),
    };
    let end = if question.order == Order::Oldest { page.size } else { 0 };
    let items = page.items.iter().map(found).collect();
    Ok(AuditPage { items, seen: page.next.unwrap_or(end), size: page.size, more: page.more })
}

fn path(question: &AuditQuestion) -> String {
    let order = if question.order == Order::Oldest { "oldest" } else { "newest" };
    let mut path = format!("/audit?order={order}&limit={}", question.limit);
    if let Some(from) = question.from {
        path.push_str(&format!("&from={from}"));
    }
    for (key, value) in question.query.pairs() {
        path.push_str(&format!("&{key}={}", escaped(&value)));
    }
    path
}

/// RFC 3986 §2.1: everything but the unreserved characters.
fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
