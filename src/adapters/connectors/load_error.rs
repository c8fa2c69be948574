//! Why a connector file is refused, and where.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::yaml::YamlError;
use crate::domain::action::{ActionNameError, MethodError};
use crate::domain::id::IdError;
use crate::domain::spiffe::SpiffeIdError;

/// Why the connectors cannot be used. One bad file refuses all of them.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The directory, or a file that a connector names, cannot be read.
    #[error("`{}` cannot be read", .path.display())]
    Io {
        /// What was read.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file above the size limit.
    #[error("`{}` is larger than {limit} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// More files than a directory may hold.
    #[error("`{}` holds more than {limit} connector files", .path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// Not TOML or YAML, not the shape of a connector, or a key that does not exist.
    #[error("{place}: {detail}{}", Hint(.nearest.as_deref()))]
    Shape {
        /// Where.
        place: Place,
        /// What the reader expected.
        detail: String,
        /// The known key or value that resembles the unknown one most.
        nearest: Option<String>,
    },
    /// The shape is right and the meaning is not.
    #[error("{place}: {problem}")]
    Invalid {
        /// Where.
        place: Place,
        /// What is wrong.
        problem: Problem,
    },
}

impl LoadError {
    pub(super) fn shape(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let detail = error.message().to_owned();
        let place = Place::of(file, text, error.span().unwrap_or(0..0));
        Self::Shape { place, nearest: nearest_in_message(&detail), detail }
    }

    pub(super) fn yaml_shape(file: &Path, text: &str, error: YamlError) -> Self {
        let YamlError { detail, span } = error;
        Self::Shape { place: Place::of(file, text, span.unwrap_or(0..0)), nearest: nearest_in_message(&detail), detail }
    }

    /// Where in which file, for errors that have a place.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Shape { place, .. } | Self::Invalid { place, .. } => Some(place),
            Self::Io { .. } | Self::TooLarge { .. } | Self::TooMany { .. } => None,
        }
    }
}

struct Hint<'a>(Option<&'a str>);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |nearest| write!(f, "; did you mean `{nearest}`?"))
    }
}

/// A place in a file that a person wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl Place {
    pub(super) fn of(file: &Path, text: &str, span: Range<usize>) -> Self {
        let before = text.get(..span.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            file: file.to_owned(),
            line: before.bytes().filter(|b| *b == b'\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// What is wrong with the meaning of a connector file.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant is its documentation")]
pub enum Problem {
    #[error(transparent)]
    Name(#[from] IdError),
    #[error("connector `{name}` is already defined in `{}`", .other.display())]
    DuplicateConnector { name: String, other: PathBuf },
    #[error("`{key}` is 1 to {max} characters without control characters")]
    Text { key: &'static str, max: usize },
    #[error("the upstream is `https://host[:port][/base]` without user, query or fragment")]
    Upstream,
    #[error("the upstream's address is link-local, multicast or unspecified: cloud metadata lives there")]
    UpstreamAddress,
    #[error("the upstream is plain `http`: use `https`, or `dev_plain_http = true` on a development machine")]
    PlainHttp,
    #[error("`dev_plain_http` is a development key and refused in production")]
    DevKey,
    #[error("`ca_file` has no meaning for a plain `http` upstream")]
    CaOverPlainHttp,
    #[error("workload: {0}")]
    Workload(#[from] SpiffeIdError),
    #[error("the workload is named twice")]
    DuplicateWorkload,
    #[error("`{key}` is {min} to {max}")]
    Range { key: &'static str, min: u64, max: u64 },
    #[error("`[credentials]` names exactly one of `value_file`, `value_env`, `jwt_svid` and `oauth`")]
    CredentialsKind,
    #[error("a value of `value_file` or `value_env` needs `header`, the header that carries it")]
    CredentialsNoHeader,
    #[error("the environment has no variable `{0}` of 1 to 8192 visible ASCII characters")]
    CredentialsEnv(String),
    #[error("`{0}` is 1 to 512 visible ASCII characters")]
    CredentialsText(&'static str),
    #[error("the token endpoint: {0}")]
    TokenUrl(String),
    #[error("`{0}` cannot carry credentials")]
    CredentialsHeader(String),
    #[error("the credentials file is 1 to 8192 bytes of visible ASCII on one line")]
    CredentialsValue,
    #[error("the credentials file can be read by others: `chmod 600` it")]
    CredentialsMode,
    #[error("a connector has 1 to {0} routes")]
    RouteCount(usize),
    #[error(transparent)]
    Method(#[from] MethodError),
    #[error(transparent)]
    Act(#[from] ActionNameError),
    #[error("a path template is `/` and segments that are plain text or one `{{name}}`")]
    Template,
    #[error("`{0}` is not a parameter name: expected 1 to 64 of a-z A-Z 0-9 _ - that start with a letter")]
    ParamName(String),
    #[error("parameter `{0}` is declared twice in this route")]
    DuplicateParam(String),
    #[error("`query_types` names `{name}`, which `query` does not{}", Hint(.nearest.as_deref()))]
    UndeclaredType { name: String, nearest: Option<String> },
    #[error("`tls` has no meaning for a plain `http` upstream")]
    TlsOverPlainHttp,
    #[error(
        "`tls` is `spiffe_id` alone, or `client = \"svid\"`, or `cert_file` with `key_file`; `ca_file` does not go with `spiffe_id`"
    )]
    TlsChoice,
    #[error("`{0}` cannot carry a parameter, or carries another one")]
    ParameterHeader(String),
    #[error("`header_types` names `{name}`, which `headers` does not{}", Hint(.nearest.as_deref()))]
    UndeclaredHeaderType { name: String, nearest: Option<String> },
    #[error("`{0}` needs `body = \"json\"`")]
    NeedsJsonBody(&'static str),
    #[error("`{0}` is not an RFC 6901 pointer into the body such as `/payment/amount`")]
    Pointer(String),
    #[error("the body's schema is not usable: {0}")]
    BodySchema(String),
    #[error("`{burst}` is said without `{rate}`")]
    BurstAlone { burst: &'static str, rate: &'static str },
    #[error("a connector file ends with `.toml`, `.yaml` or `.yml`")]
    FileForm,
    #[error("`{}` has the same name but for its ending: the two would share their sign-offs", .other.display())]
    SameStem { other: PathBuf },
    #[error("a {0} has no body")]
    BodyOnMethod(&'static str),
    #[error("`body = \"stream\"` needs `media_type`, and only that body has one")]
    MediaTypePresence,
    #[error("`{0}` is not a media type such as `application/pdf`")]
    MediaType(String),
    #[error("the same call matches the route of line {line}: {method} {path}")]
    AmbiguousRoute { method: &'static str, path: String, line: usize },
}

/// Of the names that serde lists behind the unknown one, the one that resembles it most.
fn nearest_in_message(message: &str) -> Option<String> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    nearest(unknown, quoted)
}

/// The candidate that resembles `unknown` enough to be meant.
pub(super) fn nearest<'a>(unknown: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(unknown, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 3 && *distance < candidate.len())
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}
