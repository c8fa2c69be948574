//! One route: method and path template, the act that they are, and where the parameters stand.

use std::fmt;
use std::str::FromStr;

use super::body_schema::BodySchema;
use super::load_error::Problem;
use super::places::{HeaderParam, PointerParam};
use crate::domain::action::{ActionName, CallPath, Method};

/// One row of a connector's route table.
#[derive(Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path behind the connector's name.
    pub path: PathTemplate,
    /// The act that this call is.
    pub act: ActionName,
    /// The query parameters that may be sent, in the order in which they are forwarded.
    pub query: Vec<QueryParam>,
    /// The parameters that stand in headers.
    pub headers: Vec<HeaderParam>,
    /// What the body may be.
    pub body: RouteBody,
    /// The parameters that are copies of values inside the body.
    pub pointers: Vec<PointerParam>,
    /// What a JSON body must fit.
    pub schema: Option<BodySchema>,
}

impl Route {
    /// Whether `name` is a parameter of its own, and so cannot be a member of the body.
    pub fn declares(&self, name: &str) -> bool {
        self.declared().any(|declared| declared.as_str() == name)
    }

    /// Every parameter that has a name in the route: of path, query, headers and places in the body.
    pub fn declared(&self) -> impl Iterator<Item = &ParamName> {
        let (query, headers) = (self.query.iter().map(|q| &q.name), self.headers.iter().map(|h| &h.param.name));
        self.path.names().chain(query).chain(headers).chain(self.pointers.iter().map(|p| &p.name))
    }

    /// Whether one call could match both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.method == other.method && self.path.overlaps(&other.path)
    }
}

/// What the body of a route may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteBody {
    /// No body.
    None,
    /// A JSON object whose members are parameters.
    Json,
    /// Bytes of this media type, passed through and not bound: the policy does not see them.
    Stream(String),
}

/// A declared query parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryParam {
    /// Its name, which is also the parameter's.
    pub name: ParamName,
    /// How its text is read.
    pub kind: ParamKind,
}

/// How the text of a query parameter becomes a value. Each value has one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParamKind {
    /// The decoded text itself.
    #[default]
    String,
    /// A decimal integer within ±(2^53 - 1), without leading zeros or `+`.
    Integer,
    /// A number in the spelling of RFC 8785.
    Number,
    /// `true` or `false`.
    Boolean,
}

impl ParamKind {
    /// The kind as written in a connector's file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

/// The name of a parameter: 1 to 64 of `a-z A-Z 0-9 _ -`, starting with a letter, so that it is never encoded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParamName(String);

impl ParamName {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ParamName {
    type Err = Problem;

    fn from_str(name: &str) -> Result<Self, Problem> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !starts || name.len() > 64 || !name.bytes().all(allowed) {
            return Err(Problem::ParamName(name.chars().take(80).collect()));
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for ParamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A path whose segments are text or one parameter each: `/vendors/{vendor_id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Text(String),
    Param(ParamName),
}

impl PathTemplate {
    /// The parameters in order.
    pub fn names(&self) -> impl Iterator<Item = &ParamName> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Param(name) => Some(name),
            Segment::Text(_) => None,
        })
    }

    /// The values of the parameters if `path` is of this shape.
    pub fn matches<'p>(&self, path: &'p CallPath) -> Option<Vec<(&ParamName, &'p str)>> {
        let mut values = Vec::new();
        let mut parts = path.segments();
        for segment in &self.segments {
            let part = parts.next()?;
            match segment {
                Segment::Text(text) if text == part => {}
                Segment::Text(_) => return None,
                Segment::Param(name) => values.push((name, part)),
            }
        }
        parts.next().is_none().then_some(values)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let meet = |(a, b): (&Segment, &Segment)| match (a, b) {
            (Segment::Text(a), Segment::Text(b)) => a == b,
            _ => true,
        };
        self.segments.len() == other.segments.len() && self.segments.iter().zip(&other.segments).all(meet)
    }
}

impl FromStr for PathTemplate {
    type Err = Problem;

    fn from_str(template: &str) -> Result<Self, Problem> {
        // A template is a path in which `{name}` stands for a segment: everything that makes a path ambiguous is
        // refused by the same rule.
        template.parse::<CallPath>().map_err(|_| Problem::Template)?;
        let segment = |text: &str| match text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
            Some(name) => name.parse().map(Segment::Param),
            None if text.contains(['{', '}']) => Err(Problem::Template),
            None => Ok(Segment::Text(text.to_owned())),
        };
        let segments = template.split('/').skip(1).map(segment).collect::<Result<_, _>>()?;
        Ok(Self { segments })
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments.iter().try_for_each(|segment| match segment {
            Segment::Text(text) => write!(f, "/{text}"),
            Segment::Param(name) => write!(f, "/{{{name}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> PathTemplate {
        text.parse().unwrap()
    }

    #[test]
    fn a_template_matches_whole_segments_and_nothing_longer() {
        let vendor = template("/vendors/{vendor_id}");
        let path: CallPath = "/vendors/V-1001".parse().unwrap();
        let values: Vec<_> = vendor.matches(&path).unwrap().into_iter().map(|(n, v)| (n.as_str(), v)).collect();
        assert_eq!(values, [("vendor_id", "V-1001")]);
        for other in ["/vendors", "/vendors/V-1001/x", "/Vendors/V-1001", "/orders/V-1001"] {
            assert!(vendor.matches(&other.parse().unwrap()).is_none(), "{other}");
        }
        assert_eq!(vendor.to_string(), "/vendors/{vendor_id}");
    }

    #[test]
    fn a_template_that_is_not_plain_is_refused() {
        for bad in ["", "/", "a", "/a/", "/{a}{b}", "/{a", "/x{a}", "/{}", "/{1}", "/a%2f", "/../a", "/a?b"] {
            assert!(bad.parse::<PathTemplate>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_parameter_overlaps_any_text_in_its_place() {
        assert!(template("/a/{x}").overlaps(&template("/{y}/b")));
        assert!(template("/a/{x}").overlaps(&template("/a/search")));
        assert!(!template("/a/{x}").overlaps(&template("/b/{x}")));
        assert!(!template("/a/{x}").overlaps(&template("/a/{x}/c")));
    }
}
