//! The keys of a connector file as TOML has them, and their reading into a [`Connector`].

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use axum::http::uri::Scheme;
use serde::Deserialize;
use toml::Spanned;

use super::address::HostKind;
use super::config::{Connector, Limits, UpstreamBase};
use super::credentials::CredentialsTable;
use super::headers;
use super::load_error::{LoadError, Place, Problem, nearest};
use super::percent;
use super::route::{ParamKind, ParamName, PathTemplate, QueryParam, Route, RouteBody};
use crate::domain::action::{CallPath, Method};
use crate::domain::catalogue::DataClass;
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
    dev_plain_http: Option<Spanned<bool>>,
    #[serde(default)]
    allow_private: bool,
    ca_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    workloads: Vec<Spanned<String>>,
    #[serde(default)]
    limits: LimitsTable,
    credentials: Option<Spanned<CredentialsTable>>,
    #[serde(default)]
    routes: Vec<Spanned<RouteTable>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct LimitsTable {
    connect_ms: Option<Spanned<u64>>,
    request_ms: Option<Spanned<u64>>,
    idle_ms: Option<Spanned<u64>>,
    max_request_bytes: Option<Spanned<u64>>,
    max_response_bytes: Option<Spanned<u64>>,
    max_concurrent: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteTable {
    method: Spanned<String>,
    path: Spanned<String>,
    act: Spanned<String>,
    #[serde(default)]
    query: Vec<Spanned<String>>,
    #[serde(default)]
    query_types: BTreeMap<Spanned<String>, ParamKind>,
    body: Option<Spanned<BodyKind>>,
    media_type: Option<Spanned<String>>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "lowercase")]
enum BodyKind {
    #[default]
    None,
    Json,
    Stream,
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
        Ok(Connector {
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

impl LimitsTable {
    fn read(self, source: Source<'_>) -> Result<Limits, LoadError> {
        const GIB: u64 = 1024 * 1024 * 1024;
        let default = Limits::default();
        let within = |key, value: Option<Spanned<u64>>, max| match value {
            Some(value) if (1..=max).contains(value.get_ref()) => Ok(Some(*value.get_ref())),
            Some(value) => Err(source.error(value.span(), Problem::Range { key, min: 1, max })),
            None => Ok(None),
        };
        let millis =
            |key, value, default| within(key, value, 600_000).map(|value| value.map_or(default, Duration::from_millis));
        Ok(Limits {
            connect: millis("connect_ms", self.connect_ms, default.connect)?,
            request: millis("request_ms", self.request_ms, default.request)?,
            idle: millis("idle_ms", self.idle_ms, default.idle)?,
            max_request_bytes: within("max_request_bytes", self.max_request_bytes, GIB)?
                .unwrap_or(default.max_request_bytes),
            max_response_bytes: within("max_response_bytes", self.max_response_bytes, 64 * GIB)?
                .unwrap_or(default.max_response_bytes),
            max_concurrent: within("max_concurrent", self.max_concurrent, 10_000)?
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(default.max_concurrent),
        })
    }
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

impl RouteTable {
    fn read(self, source: Source<'_>) -> Result<Route, LoadError> {
        let at = |span: Range<usize>| move |problem: Problem| source.error(span, problem);
        let method = self.method.get_ref().parse::<Method>().map_err(|error| at(self.method.span())(error.into()))?;
        let path = self.path.get_ref().parse::<PathTemplate>().map_err(at(self.path.span()))?;
        let act = self
            .act
            .get_ref()
            .parse()
            .map_err(|error: crate::domain::action::ActionNameError| at(self.act.span())(error.into()))?;
        let body = body(source, method, self.body, self.media_type)?;
        let mut seen: Vec<&ParamName> = Vec::new();
        for name in path.names() {
            if seen.contains(&name) {
                return Err(at(self.path.span())(Problem::DuplicateParam(name.to_string())));
            }
            seen.push(name);
        }
        let query = query(source, &seen, &self.query, &self.query_types)?;
        Ok(Route { method, path, act, query, body })
    }
}

fn body(
    source: Source<'_>,
    method: Method,
    kind: Option<Spanned<BodyKind>>,
    media_type: Option<Spanned<String>>,
) -> Result<RouteBody, LoadError> {
    let span = kind.as_ref().map(Spanned::span).or(media_type.as_ref().map(Spanned::span)).unwrap_or(0..0);
    let kind = kind.map(Spanned::into_inner).unwrap_or_default();
    if kind != BodyKind::None && matches!(method, Method::Get | Method::Head | Method::Options) {
        return Err(source.error(span, Problem::BodyOnMethod(method.as_str())));
    }
    match (kind, media_type) {
        (BodyKind::None, None) => Ok(RouteBody::None),
        (BodyKind::Json, None) => Ok(RouteBody::Json),
        (BodyKind::Stream, Some(media_type)) if headers::is_media_type(media_type.get_ref()) => {
            Ok(RouteBody::Stream(media_type.into_inner()))
        }
        (BodyKind::Stream, Some(media_type)) => {
            Err(source.error(media_type.span(), Problem::MediaType(media_type.into_inner())))
        }
        _ => Err(source.error(span, Problem::MediaTypePresence)),
    }
}

fn query(
    source: Source<'_>,
    path_names: &[&ParamName],
    names: &[Spanned<String>],
    types: &BTreeMap<Spanned<String>, ParamKind>,
) -> Result<Vec<QueryParam>, LoadError> {
    let mut query: Vec<QueryParam> = Vec::new();
    for written in names {
        let name: ParamName =
            written.get_ref().parse().map_err(|problem: Problem| source.error(written.span(), problem))?;
        if path_names.contains(&&name) || query.iter().any(|q| q.name == name) {
            return Err(source.error(written.span(), Problem::DuplicateParam(name.to_string())));
        }
        let kind = types.iter().find(|(key, _)| key.get_ref() == name.as_str()).map(|(_, kind)| *kind);
        query.push(QueryParam { name, kind: kind.unwrap_or_default() });
    }
    let declared = |key: &str| query.iter().any(|q| q.name.as_str() == key);
    if let Some(key) = types.keys().find(|key| !declared(key.get_ref())) {
        let name = key.get_ref().clone();
        let nearest = nearest(&name, query.iter().map(|q| q.name.as_str()));
        return Err(source.error(key.span(), Problem::UndeclaredType { name, nearest }));
    }
    Ok(query)
}
