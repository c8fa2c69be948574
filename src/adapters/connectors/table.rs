//! The keys of a connector file as TOML and YAML have them, and their reading into a [`Connector`].

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::http::Uri;
use axum::http::uri::Scheme;
use serde::Deserialize;
use toml::Spanned;

use super::address::HostKind;
use super::config::{Connector, UpstreamBase};
use super::credentials::CredentialsTable;
use super::load_error::{LoadError, Place, Problem};
use super::percent;
use super::route::Route;
use super::route_table::RouteTable;
use super::settings::{BreakerTable, LimitsTable, RateTable, TlsTable};
use crate::domain::action::CallPath;
use crate::domain::catalogue::DataClass;
use crate::domain::id::Sha256Digest;
use crate::domain::spiffe::SpiffeId;

/// The most routes of one connector.
const MAX_ROUTES: usize = 512;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectorTable {
    pub(super) name: Spanned<String>,
    title: Spanned<String>,
    owner: Spanned<String>,
    data_class: DataClass,
    upstream: Spanned<String>,
    #[serde(default = "enabled")]
    enabled: bool,
    dev_plain_http: Option<Spanned<bool>>,
    #[serde(default)]
    allow_private: bool,
    ca_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    workloads: Vec<Spanned<String>>,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    rate: RateTable,
    #[serde(default)]
    breaker: BreakerTable,
    tls: Option<Spanned<TlsTable>>,
    credentials: Option<Spanned<CredentialsTable>>,
    #[serde(default)]
    routes: Vec<Spanned<RouteTable>>,
}

fn enabled() -> bool {
    true
}

/// Turns a byte range of the file into an error with its line and column.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    file: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    pub(super) fn error(self, span: Range<usize>, problem: impl Into<Problem>) -> LoadError {
        LoadError::Invalid { place: Place::of(self.file, self.text, span), problem: problem.into() }
    }

    /// A path that the file names, relative to the file.
    pub(super) fn beside(self, path: &Path) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }
}

impl ConnectorTable {
    pub(super) fn into_connector(self, file: &Path, text: &str, dev: bool) -> Result<Connector, LoadError> {
        let source = Source { file, text };
        let name = self
            .name
            .get_ref()
            .parse()
            .map_err(|error: crate::domain::id::IdError| source.error(self.name.span(), error))?;
        let upstream = upstream(source, &self.upstream)?;
        plain_http_is_meant(source, &upstream, &self.upstream, self.dev_plain_http.as_ref(), dev)?;
        if let (Some(ca_file), true) = (&self.ca_file, upstream.scheme == Scheme::HTTP) {
            return Err(source.error(ca_file.span(), Problem::CaOverPlainHttp));
        }
        let tls = match self.tls {
            Some(table) if upstream.scheme == Scheme::HTTP => {
                return Err(source.error(table.span(), Problem::TlsOverPlainHttp));
            }
            Some(table) => TlsTable::read(table, source, self.ca_file.is_some())?,
            None => super::client_identity::UpstreamTls::default(),
        };
        let mut beside: Vec<PathBuf> = tls.files().map(Path::to_owned).collect();
        beside.extend(self.ca_file.as_ref().map(|path| source.beside(path.get_ref())));
        beside
            .extend(self.credentials.iter().flat_map(|table| table.get_ref().files()).map(|path| source.beside(path)));
        Ok(Connector {
            file: file.to_owned(),
            digest: Sha256Digest::of(text.as_bytes()),
            beside,
            enabled: self.enabled,
            rate: self.rate.read(source)?,
            breaker: self.breaker.read(source)?,
            tls,
            name,
            title: line(source, "title", 120, self.title)?,
            owner: line(source, "owner", 120, self.owner)?,
            data_class: self.data_class,
            upstream,
            workloads: workloads(source, &self.workloads)?,
            limits: self.limits.read(source)?,
            credentials: self.credentials.map(|table| CredentialsTable::read(table, source, dev)).transpose()?,
            ca_file: self.ca_file.map(|path| source.beside(path.get_ref())),
            allow_private: self.allow_private,
            routes: routes(source, self.routes)?,
        })
    }
}

fn line(source: Source<'_>, key: &'static str, max: usize, text: Spanned<String>) -> Result<String, LoadError> {
    let span = text.span();
    let text = text.into_inner();
    if text.trim().is_empty() || text.chars().count() > max || text.chars().any(char::is_control) {
        return Err(source.error(span, Problem::Text { key, max }));
    }
    Ok(text)
}

fn upstream(source: Source<'_>, text: &Spanned<String>) -> Result<UpstreamBase, LoadError> {
    let refused = |problem| source.error(text.span(), problem);
    // `Uri` drops a fragment without a word.
    if text.get_ref().contains('#') {
        return Err(refused(Problem::Upstream));
    }
    let uri: Uri = text.get_ref().parse().map_err(|_| refused(Problem::Upstream))?;
    let (Some(scheme), Some(authority)) = (uri.scheme().cloned(), uri.authority().cloned()) else {
        return Err(refused(Problem::Upstream));
    };
    let known = scheme == Scheme::HTTPS || scheme == Scheme::HTTP;
    if !known || authority.as_str().contains('@') || authority.host().is_empty() || uri.query().is_some() {
        return Err(refused(Problem::Upstream));
    }
    let host = HostKind::of(authority.host());
    if host.is_never_an_upstream() {
        return Err(refused(Problem::UpstreamAddress));
    }
    let base = uri.path().trim_end_matches('/');
    let base_path = match base.parse::<CallPath>() {
        _ if base.is_empty() => String::new(),
        Ok(path) => percent::encode_path(&path),
        Err(_) => return Err(refused(Problem::Upstream)),
    };
    Ok(UpstreamBase { scheme, authority, base_path, host })
}

fn plain_http_is_meant(
    source: Source<'_>,
    upstream: &UpstreamBase,
    url: &Spanned<String>,
    dev_plain_http: Option<&Spanned<bool>>,
    dev: bool,
) -> Result<(), LoadError> {
    if let (Some(key), false) = (dev_plain_http, dev) {
        return Err(source.error(key.span(), Problem::DevKey));
    }
    let meant = dev_plain_http.is_some_and(|key| *key.get_ref());
    if upstream.scheme == Scheme::HTTP && !meant {
        return Err(source.error(url.span(), Problem::PlainHttp));
    }
    Ok(())
}

fn workloads(source: Source<'_>, ids: &[Spanned<String>]) -> Result<Vec<SpiffeId>, LoadError> {
    let mut workloads = Vec::new();
    for id in ids {
        let workload: SpiffeId = id
            .get_ref()
            .parse()
            .map_err(|error: crate::domain::spiffe::SpiffeIdError| source.error(id.span(), error))?;
        if workloads.contains(&workload) {
            return Err(source.error(id.span(), Problem::DuplicateWorkload));
        }
        workloads.push(workload);
    }
    Ok(workloads)
}

fn routes(source: Source<'_>, tables: Vec<Spanned<RouteTable>>) -> Result<Vec<Arc<Route>>, LoadError> {
    if tables.is_empty() || tables.len() > MAX_ROUTES {
        let span = tables.first().map_or(0..0, Spanned::span);
        return Err(source.error(span, Problem::RouteCount(MAX_ROUTES)));
    }
    let mut routes: Vec<(Arc<Route>, Range<usize>)> = Vec::new();
    for table in tables {
        let path_span = table.get_ref().path.span();
        let route = table.into_inner().read(source)?;
        if let Some((other, span)) = routes.iter().find(|(other, _)| other.overlaps(&route)) {
            let line = Place::of(source.file, source.text, span.clone()).line;
            let (method, path) = (other.method.as_str(), other.path.to_string());
            return Err(source.error(path_span, Problem::AmbiguousRoute { method, path, line }));
        }
        routes.push((Arc::new(route), path_span));
    }
    Ok(routes.into_iter().map(|(route, _)| route).collect())
}
