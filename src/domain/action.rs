//! What is asked: the act's name, and one call in the canonical form that is matched, shown, digested and forwarded.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::{ConnectorId, Sha256Digest};
use super::json::{self, Object};

/// The name of an act: two to six segments of lower-case letters, digits and `_`, joined by dots.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ActionName(String);

/// A text that is not an act's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an act: expected dotted lower case such as `erp.order.read`")]
pub struct ActionNameError(String);

impl ActionName {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first part of the name: the system or the field that the act belongs to.
    pub fn family(&self) -> &str {
        self.0.split('.').next().unwrap_or(&self.0)
    }
}

impl FromStr for ActionName {
    type Err = ActionNameError;

    fn from_str(name: &str) -> Result<Self, ActionNameError> {
        let segment = |s: &str| {
            s.starts_with(|c: char| c.is_ascii_lowercase())
                && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        let segments = name.split('.').count();
        if name.len() > 128 || !(2..=6).contains(&segments) || !name.split('.').all(segment) {
            return Err(ActionNameError(name.chars().take(80).collect()));
        }
        Ok(Self(name.to_owned()))
    }
}

impl TryFrom<String> for ActionName {
    type Error = ActionNameError;

    fn try_from(name: String) -> Result<Self, ActionNameError> {
        name.parse()
    }
}

impl From<ActionName> for String {
    fn from(name: ActionName) -> Self {
        name.0
    }
}

impl fmt::Display for ActionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An HTTP method that a route may name. TRACE and CONNECT do not exist here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "RFC 9110 §9.3 gives the meaning of each")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    /// The token of RFC 9110 §9.1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

impl FromStr for Method {
    type Err = MethodError;

    fn from_str(token: &str) -> Result<Self, MethodError> {
        Ok(match token {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            _ => return Err(MethodError),
        })
    }
}

/// A method that no route may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the method is none of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")]
pub struct MethodError;

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A decoded absolute path without dot segments, empty segments, control characters, `\`, `;`, `?` or `#`.
///
/// Held decoded and without ambiguity: a segment cannot contain `/` or `%`, so that decoding twice changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallPath(String);

/// A path that two readers could read differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the path is not plain: `/` and non-empty segments without `%`, `;`, `\\`, `?`, `#`, dot segments or control characters, at most 1024 bytes"
)]
pub struct CallPathError;

impl CallPath {
    /// The path as matched.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments between the slashes.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').skip(1)
    }
}

impl FromStr for CallPath {
    type Err = CallPathError;

    fn from_str(path: &str) -> Result<Self, CallPathError> {
        let rest = path.strip_prefix('/').ok_or(CallPathError)?;
        let plain = |s: &str| {
            !s.is_empty()
                && s != "."
                && s != ".."
                && s.chars().all(|c| !c.is_control() && !matches!(c, '%' | ';' | '\\' | '?' | '#') && !is_invisible(c))
        };
        if path.len() > 1024 || !rest.split('/').all(plain) {
            return Err(CallPathError);
        }
        Ok(Self(path.to_owned()))
    }
}

impl TryFrom<String> for CallPath {
    type Error = CallPathError;

    fn try_from(path: String) -> Result<Self, CallPathError> {
        path.parse()
    }
}

impl From<CallPath> for String {
    fn from(path: CallPath) -> Self {
        path.0
    }
}

impl fmt::Display for CallPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Characters that a reader cannot see or that reorder what a reader sees (Unicode TR 36 §2.5, TR 39 §3).
pub fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// One call in its canonical form: what the act is, where it goes and with which parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRequest {
    /// The upstream.
    pub connector: ConnectorId,
    /// The method of the call.
    pub method: Method,
    /// The path behind the connector's name, decoded.
    pub path: CallPath,
    /// The act that the connector's route table gives for method and path.
    pub act: ActionName,
    /// Every parameter of path, query and body under its own name.
    pub params: Object,
    digest: Sha256Digest,
}

impl CallRequest {
    /// A call; its digest is taken here and cannot be set.
    pub fn new(connector: ConnectorId, method: Method, path: CallPath, act: ActionName, params: Object) -> Self {
        let digest = digest_of(&params);
        Self { connector, method, path, act, params, digest }
    }

    /// `sha-256:` of the RFC 8785 canonical JSON of the parameters: the mandate's `req.digest`.
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// The `req` claim that ties a mandate to exactly this call.
    pub fn binding(&self) -> RequestBinding {
        RequestBinding {
            connector: self.connector.clone(),
            method: self.method,
            path: self.path.clone(),
            digest: self.digest,
        }
    }
}

fn digest_of(params: &Object) -> Sha256Digest {
    json::digest(&Value::Object(params.as_map().clone()))
}

/// The mandate's `req` claim: one exact call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestBinding {
    /// The upstream.
    pub connector: ConnectorId,
    /// The method.
    pub method: Method,
    /// The decoded path behind the connector's name.
    pub path: CallPath,
    /// Digest of the canonical parameters.
    pub digest: Sha256Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_is_dotted_lower_case_and_nothing_else() {
        for good in ["erp.order.read", "hr.employee.view_limited", "sap.vendor.change"] {
            assert!(good.parse::<ActionName>().is_ok());
        }
        for bad in
            ["erp", "ERP.order.read", "erp.order.read ", "erp..read", "erp.*", "еrp.order.read", "erp.order.", ""]
        {
            assert!(bad.parse::<ActionName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_path_that_can_be_read_in_two_ways_is_refused() {
        assert!("/vendors/V-1001".parse::<CallPath>().is_ok());
        for bad in [
            "",
            "vendors",
            "/",
            "//a",
            "/a/",
            "/a/../b",
            "/a/%2e",
            "/a;v=1",
            "/a\\b",
            "/a?b",
            "/a#b",
            "/a\u{202e}b",
            "/a\n",
        ] {
            assert!(bad.parse::<CallPath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_digest_does_not_depend_on_member_order() {
        let one: Object = serde_json::from_str(r#"{"b":1,"a":"x"}"#).unwrap();
        let two: Object = serde_json::from_str(r#"{"a":"x","b":1.0}"#).unwrap();
        assert_eq!(digest_of(&one), digest_of(&two));
        assert_eq!(digest_of(&one), Sha256Digest::of(br#"{"a":"x","b":1}"#));
    }
}
