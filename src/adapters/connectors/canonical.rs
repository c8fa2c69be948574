//! From a raw request to the one form of the call that is matched, shown, digested and forwarded (invariant 4).
//!
//! Two phases, because the route says how much of a body may be read: [`Connector::route`] from method and path, then
//! [`MatchedRoute::bind`] with query and body. [`Connector::describe`] gives the same [`CallRequest`] from parameters
//! that somebody names (`/v1/decide`).
//!
//! A [`Forward`] is rendered from the [`CallRequest`] and its route: path and query in their one encoding, the query in
//! declared order, the body as RFC 8785 bytes. Nothing of the raw request is copied but allow-listed headers and the
//! body of a `stream` route.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Uri};
use serde_json::{Map, Value};

use super::config::Connector;
use super::headers;
use super::percent;
use super::places;
use super::query;
use super::receive::BoundedBody;
use super::refusal::{CallRefused, PathFault};
use super::route::{Route, RouteBody};
use crate::domain::action::{ActionName, CallPath, CallRequest, Method};
use crate::domain::id::ConnectorId;
use crate::domain::json::{self, Object};

/// The two halves of `/c/{connector}/{path}`, still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'u> {
    /// The connector's name as sent.
    pub connector: &'u str,
    /// What stands behind it, with its leading slash.
    pub path: &'u str,
}

impl<'u> Target<'u> {
    /// Splits a request target. The connector's name is never decoded: an escape in it finds no connector.
    ///
    /// # Errors
    /// When the path is not of that shape.
    pub fn of(uri: &'u Uri) -> Result<Self, CallRefused> {
        let rest = uri.path().strip_prefix("/c/").ok_or(CallRefused::UnknownRoute)?;
        let at = rest.find('/').ok_or(CallRefused::UnknownRoute)?;
        let (connector, path) = rest.split_at_checked(at).ok_or(CallRefused::UnknownRoute)?;
        Ok(Self { connector, path })
    }
}

impl Connector {
    /// The route of a call, before its body is read.
    ///
    /// # Errors
    /// When the method or path is not plain, or no route matches.
    pub fn route(self: &Arc<Self>, method: &axum::http::Method, raw_path: &str) -> Result<MatchedRoute, CallRefused> {
        let method = method.as_str().parse().map_err(|_| CallRefused::Method)?;
        let path = percent::decode_path(raw_path).map_err(CallRefused::Path)?;
        self.matching(method, path)
    }

    /// The call of the given parameters, which are all of its parameters.
    ///
    /// # Errors
    /// When no route matches, a parameter of the path disagrees or is missing, or one is not the route's.
    pub fn describe(self: &Arc<Self>, method: Method, path: &str, params: &Object) -> Result<CallRequest, CallRefused> {
        let path = path.parse().map_err(|_| CallRefused::Path(PathFault::NotPlain))?;
        let matched = self.matching(method, path)?;
        let given = params.as_map();
        if let Some((name, _)) = matched.path_params.iter().find(|(name, value)| given.get(*name) != Some(value)) {
            return Err(CallRefused::ParameterMismatch(name.clone()));
        }
        for (name, value) in given {
            matched.check_given(name, value)?;
        }
        matched.check_body(given)?;
        Ok(matched.call(given.clone()))
    }

    /// The methods that are `act` at `path`.
    pub fn methods_of(&self, path: &CallPath, act: &str) -> Vec<Method> {
        let is_it = |route: &&Arc<Route>| route.act.as_str() == act && route.path.matches(path).is_some();
        self.routes.iter().filter(is_it).map(|route| route.method).collect()
    }

    fn matching(self: &Arc<Self>, method: Method, path: CallPath) -> Result<MatchedRoute, CallRefused> {
        let found = self.routes.iter().filter(|route| route.method == method).find_map(|route| {
            let values = route.path.matches(&path)?;
            let params = values.into_iter().map(|(name, value)| (name.to_string(), Value::from(value))).collect();
            Some((Arc::clone(route), params))
        });
        let (route, path_params) = found.ok_or(CallRefused::UnknownRoute)?;
        Ok(MatchedRoute { connector: Arc::clone(self), route, path, path_params })
    }
}

/// A request whose method and path are one route's.
#[derive(Debug, Clone)]
pub struct MatchedRoute {
    connector: Arc<Connector>,
    route: Arc<Route>,
    path: CallPath,
    path_params: Map<String, Value>,
}

impl MatchedRoute {
    /// The connector.
    pub fn connector(&self) -> &Arc<Connector> {
        &self.connector
    }

    /// The route, and with it the act.
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// The path behind the connector's name, decoded.
    pub fn path(&self) -> &CallPath {
        &self.path
    }

    /// The call, and what will be sent if it may be made.
    ///
    /// # Errors
    /// When head, query or body are not the route's, or have more than one reading.
    pub fn bind(&self, parts: &Parts, body: BoundedBody) -> Result<(CallRequest, Forward), CallRefused> {
        self.check_head(parts)?;
        let headers = headers::forwarded(&parts.headers)?;
        let mut params = self.path_params.clone();
        query::read(&self.route.query, parts.uri.query(), &mut params)?;
        places::read(&self.route.headers, &parts.headers, &mut params)?;
        let stream = self.read_body(body, &mut params)?;
        let call = self.call(params);
        let forward = self.forward(&call, headers, stream);
        Ok((call, forward))
    }

    /// Adds the members of a JSON body to `params`; hands back a body that passes through.
    fn read_body(&self, body: BoundedBody, params: &mut Map<String, Value>) -> Result<Option<Body>, CallRefused> {
        match (&self.route.body, body) {
            (RouteBody::None, BoundedBody::Whole(bytes)) if bytes.is_empty() => Ok(None),
            (RouteBody::None, _) | (RouteBody::Json, BoundedBody::Stream(_)) => Err(CallRefused::UnexpectedBody),
            (RouteBody::Json, BoundedBody::Whole(bytes)) if bytes.is_empty() => Err(CallRefused::MissingBody),
            (RouteBody::Json, BoundedBody::Whole(bytes)) => {
                let body = json::parse(&bytes).map_err(CallRefused::Json)?;
                let lifted = places::lift(&self.route.pointers, &body);
                self.fits(&body)?;
                let Value::Object(members) = body else { return Err(CallRefused::BodyNotObject) };
                if let Some(name) = members.keys().find(|name| self.route.declares(name)) {
                    return Err(CallRefused::AmbiguousParameter(name.clone()));
                }
                params.extend(members);
                params.extend(lifted);
                Ok(None)
            }
            (RouteBody::Stream(_), BoundedBody::Stream(body)) => Ok(Some(body)),
            (RouteBody::Stream(_), BoundedBody::Whole(bytes)) => Ok(Some(Body::from(bytes))),
        }
    }

    fn check_given(&self, name: &str, value: &Value) -> Result<(), CallRefused> {
        if let Some(param) = self.route.query.iter().find(|param| param.name.as_str() == name) {
            return query::check(param, value);
        }
        if let Some(param) = self.route.headers.iter().find(|declared| declared.param.name.as_str() == name) {
            return places::check(param, value);
        }
        if self.path_params.contains_key(name) || self.route.body == RouteBody::Json {
            return Ok(());
        }
        Err(CallRefused::UndeclaredParameter(name.chars().take(64).collect()))
    }

    /// The body that the given parameters are: it fits its schema, and what was copied out of it says the same.
    fn check_body(&self, given: &Map<String, Value>) -> Result<(), CallRefused> {
        if self.route.body != RouteBody::Json {
            return Ok(());
        }
        let body = self.body_of(given);
        let lifted = places::lift(&self.route.pointers, &body);
        let names = self.route.pointers.iter().map(|place| place.name.as_str());
        if let Some(name) = names.into_iter().find(|name| lifted.get(*name) != given.get(*name)) {
            return Err(CallRefused::ParameterMismatch(name.to_owned()));
        }
        self.fits(&body)
    }

    fn fits(&self, body: &Value) -> Result<(), CallRefused> {
        if !body.is_object() {
            return Err(CallRefused::BodyNotObject);
        }
        self.route.schema.as_ref().map_or(Ok(()), |schema| schema.check(body).map_err(CallRefused::BodySchema))
    }

    fn call(&self, params: Map<String, Value>) -> CallRequest {
        let (connector, act) = (self.connector.name.clone(), self.route.act.clone());
        CallRequest::new(connector, self.route.method, self.path.clone(), act, params.into())
    }

    fn forward(&self, call: &CallRequest, mut headers: HeaderMap, stream: Option<Body>) -> Forward {
        let params = call.params.as_map();
        let mut target = percent::encode_path(&call.path);
        target.push_str(&query::render(&self.route.query, params));
        places::render(&self.route.headers, params, &mut headers);
        let body = match &self.route.body {
            RouteBody::None => Body::empty(),
            RouteBody::Json => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                Body::from(json::canonical(&self.body_of(params)))
            }
            RouteBody::Stream(media_type) => {
                // A declared media type is visible ASCII, so the conversion does not fail.
                headers.extend(HeaderValue::from_str(media_type).ok().map(|value| (CONTENT_TYPE, value)));
                stream.unwrap_or_default()
            }
        };
        let (connector, act) = (call.connector.clone(), call.act.clone());
        Forward { connector, method: call.method, act, target, headers, body }
    }

    /// The parameters that are the body's own members.
    fn body_of(&self, params: &Map<String, Value>) -> Value {
        let members = params.iter().filter(|(name, _)| !self.route.declares(name));
        Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}

/// What will be sent to the upstream, complete but for what the broker adds last.
#[derive(Debug)]
pub struct Forward {
    pub(super) connector: ConnectorId,
    pub(super) method: Method,
    pub(super) act: ActionName,
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

impl Forward {
    /// The upstream that it is for.
    pub fn connector(&self) -> &ConnectorId {
        &self.connector
    }

    /// Path and query as they will be sent, behind the upstream's base path.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The caller's and the parameters' headers as they will be sent; what the broker adds itself comes on top.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body as it will be sent.
    pub fn into_body(self) -> Body {
        self.body
    }
}

#[cfg(test)]
mod tests;
