//! SPIFFE IDs and trust domains, by the grammar of the SPIFFE-ID standard §2 (strict: what is not in it is refused,
//! upper case and percent-encoding included).

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// SPIFFE-ID §2.3: the longest URI that an implementation must accept, and the longest that we do.
const MAX_ID_BYTES: usize = 2048;
/// SPIFFE-ID §2.1: the longest trust domain name.
const MAX_TRUST_DOMAIN_BYTES: usize = 255;

/// Why a text is not a SPIFFE ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeIdError {
    /// Another scheme, or another case of `spiffe`.
    #[error("a SPIFFE ID starts with `spiffe://`")]
    Scheme,
    /// More than 2048 bytes.
    #[error("a SPIFFE ID is at most 2048 bytes long")]
    TooLong,
    /// An empty or over-long trust domain, or a character outside `a-z 0-9 . - _`.
    #[error("a trust domain is 1 to 255 of a-z 0-9 . - _ without port or user")]
    TrustDomain,
    /// An empty segment, `.` or `..`, a trailing slash, or a character outside `A-Z a-z 0-9 . - _`.
    #[error("a path is `/` and non-empty segments of A-Z a-z 0-9 . - _ other than `.` and `..`")]
    Path,
    /// A trust domain where a workload was expected.
    #[error("a workload's SPIFFE ID has a path")]
    NoPath,
}

/// The name of a trust domain, lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrustDomain(String);

impl TrustDomain {
    /// The name without scheme.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for TrustDomain {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = SpiffeIdError;

    fn from_str(name: &str) -> Result<Self, SpiffeIdError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        if name.is_empty() || name.len() > MAX_TRUST_DOMAIN_BYTES || !name.bytes().all(allowed) {
            return Err(SpiffeIdError::TrustDomain);
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for TrustDomain {
    type Error = SpiffeIdError;

    fn try_from(name: String) -> Result<Self, SpiffeIdError> {
        name.parse()
    }
}

impl From<TrustDomain> for String {
    fn from(domain: TrustDomain) -> Self {
        domain.0
    }
}

/// The identity of one workload: a trust domain and a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpiffeId {
    uri: String,
    /// Length of the trust domain behind `spiffe://`.
    domain_len: usize,
}

impl SpiffeId {
    /// The whole URI.
    pub fn as_str(&self) -> &str {
        &self.uri
    }

    /// The trust domain.
    pub fn trust_domain(&self) -> TrustDomain {
        TrustDomain(self.trust_domain_name().to_owned())
    }

    /// The trust domain's name, borrowed.
    pub fn trust_domain_name(&self) -> &str {
        self.uri.get(SCHEME.len()..SCHEME.len() + self.domain_len).unwrap_or_default()
    }

    /// The path with its leading slash.
    pub fn path(&self) -> &str {
        self.uri.get(SCHEME.len() + self.domain_len..).unwrap_or_default()
    }
}

const SCHEME: &str = "spiffe://";

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;

    fn from_str(uri: &str) -> Result<Self, SpiffeIdError> {
        if uri.len() > MAX_ID_BYTES {
            return Err(SpiffeIdError::TooLong);
        }
        let rest = uri.strip_prefix(SCHEME).ok_or(SpiffeIdError::Scheme)?;
        let (domain, path) = rest.split_once('/').ok_or(SpiffeIdError::NoPath).or_else(|error| {
            rest.parse::<TrustDomain>()?;
            Err(error)
        })?;
        domain.parse::<TrustDomain>()?;
        let segment = |s: &str| {
            !s.is_empty()
                && s != "."
                && s != ".."
                && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        };
        if !path.split('/').all(segment) {
            return Err(SpiffeIdError::Path);
        }
        Ok(Self { uri: uri.to_owned(), domain_len: domain.len() })
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

impl TryFrom<String> for SpiffeId {
    type Error = SpiffeIdError;

    fn try_from(uri: String) -> Result<Self, SpiffeIdError> {
        uri.parse()
    }
}

impl From<SpiffeId> for String {
    fn from(id: SpiffeId) -> Self {
        id.uri
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_workload_id_splits_into_domain_and_path() {
        let id: SpiffeId = "spiffe://atb.dev/agent/procurement".parse().unwrap();
        assert_eq!(id.trust_domain_name(), "atb.dev");
        assert_eq!(id.path(), "/agent/procurement");
    }

    #[test]
    fn every_departure_from_the_grammar_is_refused() {
        for (uri, error) in [
            ("SPIFFE://atb.dev/a", SpiffeIdError::Scheme),
            ("https://atb.dev/a", SpiffeIdError::Scheme),
            ("spiffe://ATB.dev/a", SpiffeIdError::TrustDomain),
            ("spiffe:///a", SpiffeIdError::TrustDomain),
            ("spiffe://atb.dev:443/a", SpiffeIdError::TrustDomain),
            ("spiffe://user@atb.dev/a", SpiffeIdError::TrustDomain),
            ("spiffe://atb.dev", SpiffeIdError::NoPath),
            ("spiffe://atb.dev?x=1", SpiffeIdError::TrustDomain),
            ("spiffe://atb.dev/", SpiffeIdError::Path),
            ("spiffe://atb.dev/a/", SpiffeIdError::Path),
            ("spiffe://atb.dev/a//b", SpiffeIdError::Path),
            ("spiffe://atb.dev/a/../b", SpiffeIdError::Path),
            ("spiffe://atb.dev/./b", SpiffeIdError::Path),
            ("spiffe://atb.dev/a%2fb", SpiffeIdError::Path),
            ("spiffe://atb.dev/a?q=1", SpiffeIdError::Path),
            ("spiffe://atb.dev/a#f", SpiffeIdError::Path),
            ("spiffe://atb.dev/ä", SpiffeIdError::Path),
        ] {
            assert_eq!(uri.parse::<SpiffeId>(), Err(error), "{uri}");
        }
        let long = format!("spiffe://atb.dev/{}", "a".repeat(2048));
        assert_eq!(long.parse::<SpiffeId>(), Err(SpiffeIdError::TooLong));
    }

    /// The grammar of the SPIFFE ID standard (§2.1 to 2.3), written a second time.
    fn by_the_standard(uri: &str) -> bool {
        let grammar = regex_lite::Regex::new("^spiffe://[a-z0-9._-]{1,255}(/[A-Za-z0-9._-]+)+$").unwrap();
        let dots = uri.split('/').skip(3).any(|segment| segment == "." || segment == "..");
        uri.len() <= 2048 && grammar.is_match(uri) && !dots
    }

    proptest! {
        #[test]
        fn what_parses_is_written_back_byte_for_byte(uri in "spiffe://[a-z0-9._-]{1,20}(/[A-Za-z0-9._-]{1,8}){1,4}") {
            if let Ok(id) = uri.parse::<SpiffeId>() {
                prop_assert_eq!(id.as_str(), &uri);
                prop_assert_eq!(format!("spiffe://{}{}", id.trust_domain_name(), id.path()), uri);
            }
        }

        #[test]
        fn exactly_the_standards_grammar_is_taken(
            uri in "(spiffe|spiffe|spiffe|Spiffe|http)://[a-z0-9._-]{0,6}[a-zA-Z:@%]?(/[A-Za-z0-9._~%-]{0,4}){0,4}[?#\\n ]?",
            repeated in 1_usize..600,
        ) {
            for uri in [uri.clone(), format!("{uri}{}", "/abc".repeat(repeated))] {
                prop_assert_eq!(uri.parse::<SpiffeId>().is_ok(), by_the_standard(&uri), "{}", uri);
            }
        }
    }
}
