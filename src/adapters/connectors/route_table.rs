//! One route of a connector file as TOML and YAML have it, and its reading into a [`Route`].

use std::collections::BTreeMap;
use std::ops::Range;

use axum::http::HeaderName;
use serde::Deserialize;
use toml::Spanned;

use super::body_schema::BodySchema;
use super::headers;
use super::load_error::{LoadError, Problem, nearest};
use super::places::{self, HeaderParam, PointerParam};
use super::route::{ParamKind, ParamName, PathTemplate, QueryParam, Route, RouteBody};
use super::table::Source;
use crate::domain::action::Method;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteTable {
    method: Spanned<String>,
    pub(super) path: Spanned<String>,
    act: Spanned<String>,
    #[serde(default)]
    query: Vec<Spanned<String>>,
    #[serde(default)]
    query_types: BTreeMap<Spanned<String>, ParamKind>,
    #[serde(default)]
    headers: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    header_types: BTreeMap<Spanned<String>, ParamKind>,
    body: Option<Spanned<BodyKind>>,
    media_type: Option<Spanned<String>>,
    #[serde(default)]
    body_params: BTreeMap<Spanned<String>, Spanned<String>>,
    body_schema: Option<Spanned<serde_json::Value>>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "lowercase")]
enum BodyKind {
    #[default]
    None,
    Json,
    Stream,
}

impl RouteTable {
    pub(super) fn read(self, source: Source<'_>) -> Result<Route, LoadError> {
        let at = |span: Range<usize>| move |problem: Problem| source.error(span, problem);
        let method = self.method.get_ref().parse::<Method>().map_err(|error| at(self.method.span())(error.into()))?;
        let path = self.path.get_ref().parse::<PathTemplate>().map_err(at(self.path.span()))?;
        let act = self
            .act
            .get_ref()
            .parse()
            .map_err(|error: crate::domain::action::ActionNameError| at(self.act.span())(error.into()))?;
        let body = body(source, method, self.body, self.media_type)?;
        let mut seen: Vec<ParamName> = Vec::new();
        for name in path.names() {
            if seen.contains(name) {
                return Err(at(self.path.span())(Problem::DuplicateParam(name.to_string())));
            }
            seen.push(name.clone());
        }
        let query = query(source, &seen, &self.query, &self.query_types)?;
        seen.extend(query.iter().map(|param| param.name.clone()));
        let headers = header_params(source, &mut seen, &self.headers, &self.header_types)?;
        let pointers = pointer_params(source, &mut seen, &body, &self.body_params)?;
        let schema = self.body_schema.map(|schema| body_schema(source, &body, &schema)).transpose()?;
        Ok(Route { method, path, act, query, headers, body, pointers, schema })
    }
}

/// A parameter's name that none before it has.
fn new_name(source: Source<'_>, seen: &mut Vec<ParamName>, written: &Spanned<String>) -> Result<ParamName, LoadError> {
    let name: ParamName =
        written.get_ref().parse().map_err(|problem: Problem| source.error(written.span(), problem))?;
    if seen.contains(&name) {
        return Err(source.error(written.span(), Problem::DuplicateParam(name.to_string())));
    }
    seen.push(name.clone());
    Ok(name)
}

fn header_params(
    source: Source<'_>,
    seen: &mut Vec<ParamName>,
    written: &BTreeMap<Spanned<String>, Spanned<String>>,
    types: &BTreeMap<Spanned<String>, ParamKind>,
) -> Result<Vec<HeaderParam>, LoadError> {
    let mut params: Vec<HeaderParam> = Vec::new();
    for (name, header) in written {
        let name = new_name(source, seen, name)?;
        let known = HeaderName::from_bytes(header.get_ref().as_bytes()).ok().filter(places::may_carry_a_parameter);
        let refused = || source.error(header.span(), Problem::ParameterHeader(header.get_ref().clone()));
        let known = known.filter(|known| params.iter().all(|other| other.header != *known)).ok_or_else(refused)?;
        let kind = types.iter().find(|(key, _)| key.get_ref() == name.as_str()).map(|(_, kind)| *kind);
        params.push(HeaderParam { header: known, param: QueryParam { name, kind: kind.unwrap_or_default() } });
    }
    if let Some(key) = types.keys().find(|key| params.iter().all(|p| p.param.name.as_str() != key.get_ref())) {
        let name = key.get_ref().clone();
        let nearest = nearest(&name, params.iter().map(|p| p.param.name.as_str()));
        return Err(source.error(key.span(), Problem::UndeclaredHeaderType { name, nearest }));
    }
    Ok(params)
}

fn pointer_params(
    source: Source<'_>,
    seen: &mut Vec<ParamName>,
    body: &RouteBody,
    written: &BTreeMap<Spanned<String>, Spanned<String>>,
) -> Result<Vec<PointerParam>, LoadError> {
    let mut params = Vec::new();
    for (name, pointer) in written {
        if *body != RouteBody::Json {
            return Err(source.error(name.span(), Problem::NeedsJsonBody("body_params")));
        }
        let name = new_name(source, seen, name)?;
        if !places::is_pointer(pointer.get_ref()) {
            return Err(source.error(pointer.span(), Problem::Pointer(pointer.get_ref().clone())));
        }
        params.push(PointerParam { name, pointer: pointer.get_ref().clone() });
    }
    Ok(params)
}

fn body_schema(
    source: Source<'_>,
    body: &RouteBody,
    schema: &Spanned<serde_json::Value>,
) -> Result<BodySchema, LoadError> {
    if *body != RouteBody::Json {
        return Err(source.error(schema.span(), Problem::NeedsJsonBody("body_schema")));
    }
    BodySchema::new(schema.get_ref()).map_err(|detail| source.error(schema.span(), Problem::BodySchema(detail)))
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
    path_names: &[ParamName],
    names: &[Spanned<String>],
    types: &BTreeMap<Spanned<String>, ParamKind>,
) -> Result<Vec<QueryParam>, LoadError> {
    let mut query: Vec<QueryParam> = Vec::new();
    for written in names {
        let name: ParamName =
            written.get_ref().parse().map_err(|problem: Problem| source.error(written.span(), problem))?;
        if path_names.contains(&name) || query.iter().any(|q| q.name == name) {
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
