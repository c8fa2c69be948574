//! Why a call is refused before anybody is asked whether it may be made.

use crate::domain::catalogue::ParamError;
use crate::domain::json::JsonError;

/// Why a request is not one of the connector's calls, or could be read as two.
///
/// Variants are facts; nothing of the request's content is repeated but declared names and a bounded member name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallRefused {
    /// CONNECT, TRACE or a method that no route can name.
    #[error("the method is none of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")]
    Method,
    /// A request target with scheme and authority on HTTP/1 (RFC 9112 §3.2.2).
    #[error("the request target is in absolute form: send the path alone")]
    AbsoluteForm,
    /// A path that two readers could read differently.
    #[error("the path has no single reading: {0}")]
    Path(PathFault),
    /// A query that two readers could read differently.
    #[error("the query has no single reading: {0}")]
    Query(QueryFault),
    /// No connector of that name, or no route for method and path.
    #[error("no route of this connector matches the method and path")]
    UnknownRoute,
    /// Its owner has switched the connector off.
    #[error("the connector is not enabled")]
    Disabled,
    /// A `Host` that is not the request's authority.
    #[error("`Host` is not the authority that the request is for")]
    HostMismatch,
    /// The header of a parameter that is not one visible text.
    #[error("the header of parameter `{0}` is not one text of 1 to 1024 visible ASCII characters")]
    HeaderValue(String),
    /// The body is JSON and not what the route's schema takes.
    #[error("the body does not fit the route's schema")]
    BodySchema(Vec<ParamError>),
    /// A query parameter or body member that the route does not declare.
    #[error("the route declares no parameter `{0}`")]
    UndeclaredParameter(String),
    /// A query parameter that was sent twice.
    #[error("parameter `{0}` was sent more than once")]
    RepeatedParameter(String),
    /// A body member of the name of a path or query parameter.
    #[error("parameter `{0}` belongs to the path or the query and was sent in the body too")]
    AmbiguousParameter(String),
    /// A query parameter whose text is not of its kind in its one spelling.
    #[error("parameter `{name}` is not {article} {kind} in its one spelling", article = if *.kind == "integer" { "an" } else { "a" })]
    ParameterType {
        /// The parameter.
        name: String,
        /// What was declared.
        kind: &'static str,
    },
    /// A given parameter that is not what the path says, or is missing though the path has it.
    #[error("parameter `{0}` is not what the path says")]
    ParameterMismatch(String),
    /// A body where the route has none.
    #[error("the route takes no body")]
    UnexpectedBody,
    /// No body where the route has one.
    #[error("the route takes a JSON object as its body")]
    MissingBody,
    /// Another or no `Content-Type`, or another charset than UTF-8.
    #[error("the body's type is `{expected}`, in UTF-8, said once")]
    MediaType {
        /// What the route takes.
        expected: String,
    },
    /// A `Content-Encoding`, whatever it says.
    #[error("an encoded body is not accepted")]
    ContentEncoding,
    /// Not I-JSON.
    #[error("the body is not acceptable JSON: {0}")]
    Json(JsonError),
    /// JSON, but not an object.
    #[error("the body is not a JSON object")]
    BodyNotObject,
    /// A header that asks for another method or path than the request line.
    #[error("`{0}` asks for another call than the request line")]
    OverrideHeader(&'static str),
    /// `Upgrade`, or a `Connection` that names it.
    #[error("a connection is not upgraded")]
    Upgrade,
    /// A header that has one value was sent twice.
    #[error("`{0}` was sent more than once")]
    RepeatedHeader(&'static str),
    /// `X-ATB-Action` names another act than the route.
    #[error("`X-ATB-Action` names another act than this call is")]
    ActMismatch,
    /// A body above the connector's limit.
    #[error("the body is larger than {limit} bytes")]
    BodyTooLarge {
        /// The limit.
        limit: u64,
    },
    /// The body did not arrive in time.
    #[error("the body did not arrive in time")]
    BodyTimeout,
    /// The body broke off.
    #[error("the body broke off")]
    BodyBroken,
}

impl CallRefused {
    /// The problem's code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Method => "method_not_supported",
            Self::AbsoluteForm => "absolute_form",
            Self::Path(_) => "ambiguous_path",
            Self::Query(_) => "ambiguous_query",
            Self::UnknownRoute => "unknown_route",
            Self::Disabled => "connector_disabled",
            Self::HostMismatch => "host_mismatch",
            Self::HeaderValue(_) => "header_value",
            Self::BodySchema(_) => "body_schema",
            Self::UndeclaredParameter(_) => "undeclared_parameter",
            Self::RepeatedParameter(_) => "repeated_parameter",
            Self::AmbiguousParameter(_) => "ambiguous_parameter",
            Self::ParameterType { .. } => "parameter_type",
            Self::ParameterMismatch(_) => "parameter_mismatch",
            Self::UnexpectedBody => "unexpected_body",
            Self::MissingBody => "missing_body",
            Self::MediaType { .. } => "unsupported_media_type",
            Self::ContentEncoding => "content_encoding",
            Self::Json(_) => "malformed_json",
            Self::BodyNotObject => "body_not_object",
            Self::OverrideHeader(_) => "override_header",
            Self::Upgrade => "upgrade_refused",
            Self::RepeatedHeader(_) => "repeated_header",
            Self::ActMismatch => "act_mismatch",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyBroken => "body_broken",
        }
    }

    /// The status that says so (RFC 9110 §15.5).
    pub fn status(&self) -> u16 {
        match self {
            Self::UnknownRoute | Self::Disabled => 404,
            Self::Method => 405,
            Self::BodyTimeout => 408,
            Self::BodyTooLarge { .. } => 413,
            Self::MediaType { .. } | Self::ContentEncoding => 415,
            Self::ParameterType { .. }
            | Self::ParameterMismatch(_)
            | Self::UndeclaredParameter(_)
            | Self::BodyNotObject
            | Self::BodySchema(_)
            | Self::ActMismatch => 422,
            _ => 400,
        }
    }

    /// RFC 6901 pointer into the call's parameters, where one is to blame.
    pub fn pointer(&self) -> Option<String> {
        match self {
            Self::UndeclaredParameter(name)
            | Self::RepeatedParameter(name)
            | Self::AmbiguousParameter(name)
            | Self::ParameterMismatch(name)
            | Self::HeaderValue(name)
            | Self::ParameterType { name, .. } => Some(format!("/{}", name.replace('~', "~0").replace('/', "~1"))),
            Self::Json(error) => Some(error.pointer.clone()),
            Self::BodySchema(errors) => errors.first().map(|error| error.pointer.clone()),
            _ => None,
        }
    }
}

/// What is ambiguous about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// It does not start with `/`.
    #[error("it does not start with `/`")]
    NotAbsolute,
    /// More bytes than any path of ours.
    #[error("it is too long")]
    TooLong,
    /// `%` without two hexadecimal digits.
    #[error("`%` without two hexadecimal digits")]
    BrokenEscape,
    /// An escaped `/`, `\`, `.`, `%`, `;`, `?`, `#` or control character.
    #[error("a delimiter, dot, percent sign or control character is escaped")]
    EscapedDelimiter,
    /// A character that must be escaped in a path.
    #[error("a character that a path cannot hold")]
    Character,
    /// The escapes are not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// Dot segments, empty segments, invisible characters.
    #[error("a dot segment, an empty segment or an invisible character")]
    NotPlain,
}

/// What is ambiguous about a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryFault {
    /// More bytes than any query of ours.
    #[error("it is too long")]
    TooLong,
    /// Something between `&` that is not `name=value`.
    #[error("each part is `name=value`")]
    NotAPair,
    /// `+`, which is a plus or a space.
    #[error("`+` is a plus or a space: send `%2B` or `%20`")]
    Plus,
    /// `%` without two hexadecimal digits.
    #[error("`%` without two hexadecimal digits")]
    BrokenEscape,
    /// What is left after decoding looks encoded.
    #[error("a value is encoded twice")]
    DoubleEncoding,
    /// A character that must be escaped, or that nobody can see.
    #[error("a character that a query cannot hold")]
    Character,
    /// The escapes are not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
}
