//! Connector files: a directory of `*.toml`, `*.yaml` and `*.yml`, one connector each, read whole into an immutable snapshot.
//!
//! Both forms go through the same tables (`table.rs`; `yaml.rs` reads the second), so that a file means the same in either.
//!
//! Strict: an unknown key, a duplicate, a name outside its alphabet, a route that could match another route's call is
//! refused with file, line and column. One bad file refuses the snapshot; the owner keeps the last good one.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::uri::{Authority, Scheme};

use super::address::HostKind;
use super::breaker::BreakerSettings;
use super::client_identity::UpstreamTls;
use super::credentials::Credentials;
use super::load_error::{LoadError, Place, Problem};
use super::rate::Rate;
use super::route::Route;
use super::table::ConnectorTable;
use super::yaml;
use crate::domain::catalogue::DataClass;
use crate::domain::id::{ConnectorId, Sha256Digest};
use crate::domain::spiffe::SpiffeId;

/// The largest connector file.
const MAX_FILE_BYTES: u64 = 256 * 1024;
/// The most files in one directory.
const MAX_FILES: usize = 256;

/// All connectors of one directory at one moment.
#[derive(Debug, Clone, Default)]
pub struct Connectors {
    by_name: BTreeMap<ConnectorId, Arc<Connector>>,
}

impl Connectors {
    /// Reads every connector file of `dir`. `dev` permits the keys that start with `dev_`.
    ///
    /// # Errors
    /// At the first thing that is wrong; nothing is skipped.
    pub fn load(dir: &Path, dev: bool) -> Result<Self, LoadError> {
        let (connectors, errors) = Self::check(dir, dev)?;
        errors.into_iter().next().map_or(Ok(connectors), Err)
    }

    /// As [`Connectors::load`], but reads on after an error so that a person sees one for each file.
    ///
    /// # Errors
    /// When the directory itself cannot be read or holds too many files.
    pub fn check(dir: &Path, dev: bool) -> Result<(Self, Vec<LoadError>), LoadError> {
        let mut connectors = Self::default();
        let mut errors = Vec::new();
        let mut files: BTreeMap<ConnectorId, PathBuf> = BTreeMap::new();
        let mut stems: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
        for path in connector_files(dir)? {
            // Their sign-offs would stand in one file.
            if let Some(other) = stems.insert(path.with_extension(""), path.clone()) {
                let problem = Problem::SameStem { other };
                errors.push(LoadError::Invalid { place: Place::of(&path, "", 0..0), problem });
                continue;
            }
            match load_file(&path, dev) {
                Ok((connector, place)) => match files.insert(connector.name.clone(), path) {
                    None => drop(connectors.by_name.insert(connector.name.clone(), Arc::new(connector))),
                    Some(other) => {
                        let name = connector.name.to_string();
                        errors.push(LoadError::Invalid { place, problem: Problem::DuplicateConnector { name, other } });
                    }
                },
                Err(error) => errors.push(error),
            }
        }
        Ok((connectors, errors))
    }

    /// The connector of that name.
    pub fn find(&self, name: &str) -> Option<&Arc<Connector>> {
        // A text that is not a name finds nothing, as any other unknown name.
        name.parse::<ConnectorId>().ok().and_then(|name| self.by_name.get(&name))
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Connector>> {
        self.by_name.values()
    }
}

fn connector_files(dir: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let io = |source| LoadError::Io { path: dir.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if Form::of(&path).is_some() {
            paths.push(path);
        }
        if paths.len() > MAX_FILES {
            return Err(LoadError::TooMany { path: dir.to_owned(), limit: MAX_FILES });
        }
    }
    paths.sort();
    Ok(paths)
}

/// How a connector file is written; its ending says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Toml,
    Yaml,
}

impl Form {
    fn of(path: &Path) -> Option<Self> {
        match path.extension().and_then(std::ffi::OsStr::to_str)? {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// Reads one connector file; also says where its name stands.
///
/// # Errors
/// At the first thing that is wrong.
pub fn load_file(path: &Path, dev: bool) -> Result<(Connector, Place), LoadError> {
    parse_file(path, &read_bounded(path, MAX_FILE_BYTES)?, dev)
}

/// Reads the text of one connector file; `path` gives its form and where the files that it names are looked for.
///
/// # Errors
/// At the first thing that is wrong.
pub fn parse_file(path: &Path, text: &str, dev: bool) -> Result<(Connector, Place), LoadError> {
    let table: ConnectorTable = match Form::of(path) {
        Some(Form::Toml) => toml::from_str(text).map_err(|error| LoadError::shape(path, text, &error)),
        Some(Form::Yaml) => yaml::from_str(text).map_err(|error| LoadError::yaml_shape(path, text, error)),
        None => Err(LoadError::Invalid { place: Place::of(path, "", 0..0), problem: Problem::FileForm }),
    }?;
    let place = Place::of(path, text, table.name.span());
    table.into_connector(path, text, dev).map(|connector| (connector, place))
}

/// The text of a file that a person wrote, if it is not larger than `limit`.
pub(super) fn read_bounded(path: &Path, limit: u64) -> Result<String, LoadError> {
    let io = |source| LoadError::Io { path: path.to_owned(), source };
    let mut text = String::new();
    fs::File::open(path).map_err(io)?.take(limit + 1).read_to_string(&mut text).map_err(io)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > limit {
        return Err(LoadError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(text)
}

/// One upstream and what of it may be called.
#[derive(Debug)]
pub struct Connector {
    /// Where it was read from.
    pub file: PathBuf,
    /// Of the file's exact bytes: what is signed.
    pub digest: Sha256Digest,
    /// The other files that it names, with secrets, keys and certificates.
    pub beside: Vec<PathBuf>,
    /// Whether it may be called at all.
    pub enabled: bool,
    /// How often it may be called.
    pub rate: Rate,
    /// When it is left alone for a while.
    pub breaker: BreakerSettings,
    /// Whom it must be, and who we are there.
    pub tls: UpstreamTls,
    /// Its name in paths, mandates and records.
    pub name: ConnectorId,
    /// For people.
    pub title: String,
    /// Who answers for it.
    pub owner: String,
    /// The most sensitive data behind it.
    pub data_class: DataClass,
    /// Where it is.
    pub upstream: UpstreamBase,
    /// The identities that may ask for decisions about calls to it.
    pub workloads: Vec<SpiffeId>,
    /// What one call may take.
    pub limits: Limits,
    /// What the broker shows the upstream.
    pub credentials: Option<Credentials>,
    /// The only roots that its certificate may chain to; the system's where absent.
    pub ca_file: Option<PathBuf>,
    /// Whether its name may resolve to a private address.
    pub allow_private: bool,
    /// The route table.
    pub routes: Vec<Arc<Route>>,
}

impl Connector {
    /// Whether `workload` may ask for decisions about this connector.
    pub fn admits(&self, workload: &SpiffeId) -> bool {
        self.workloads.contains(workload)
    }

    /// Everything that the broker may reach for it: one host and port.
    pub fn egress(&self) -> String {
        let base = &self.upstream;
        let port = base.authority.port_u16().unwrap_or(if base.scheme == Scheme::HTTP { 80 } else { 443 });
        format!("{}:{port}", base.authority.host())
    }

    /// What it says and what stands in the files that it names, in one digest: as long as it is the same, nothing has
    /// changed.
    pub fn fingerprint(&self) -> Sha256Digest {
        let mut all = self.digest.to_string();
        for path in &self.beside {
            // A file that cannot be read is one state as any other; loading says what is wrong with it.
            let bytes = zeroize::Zeroizing::new(fs::read(path).unwrap_or_default());
            all.push_str(&Sha256Digest::of(&bytes).to_string());
        }
        Sha256Digest::of(all.as_bytes())
    }
}

/// Where an upstream is: scheme, host, port and the path in front of every route.
#[derive(Debug, Clone)]
pub struct UpstreamBase {
    /// `https`, or `http` on a development machine.
    pub scheme: Scheme,
    /// Host and port.
    pub authority: Authority,
    /// Empty, or an encoded path without a trailing slash.
    pub base_path: String,
    pub(super) host: HostKind,
}

/// What one call may take. A value that is absent from the file has the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For a connection to be made.
    pub connect: Duration,
    /// From the start of the call to the head of its answer; also for reading the caller's body.
    pub request: Duration,
    /// Without a byte of the answer's body.
    pub idle: Duration,
    /// From the head of the answer to its end, however slow its reader is.
    pub answer: Duration,
    /// Of the caller's body.
    pub max_request_bytes: u64,
    /// Of the answer's body.
    pub max_response_bytes: u64,
    /// Calls at once.
    pub max_concurrent: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            request: Duration::from_secs(15),
            idle: Duration::from_secs(15),
            answer: Duration::from_secs(600),
            max_request_bytes: 1024 * 1024,
            max_response_bytes: 64 * 1024 * 1024,
            max_concurrent: 64,
        }
    }
}
