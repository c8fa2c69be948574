//! Which identities a configuration means: one, or all below a path.
//!
//! ```text
//! spiffe://example.org/auditor/anna     this one
//! spiffe://example.org/auditor/*        every one below /auditor/, at any depth
//! ```
//!
//! A pattern names its trust domain and at least one segment: there is none that means everybody.

use std::fmt;
use std::str::FromStr;

use super::id::{SpiffeId, SpiffeIdError};

/// An identity, or all below a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SpiffePattern {
    id: SpiffeId,
    below: bool,
}

impl SpiffePattern {
    /// Whether it means `id`.
    pub fn matches(&self, id: &SpiffeId) -> bool {
        if !self.below {
            return *id == self.id;
        }
        id.as_str().strip_prefix(self.id.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The trust domain that it is for.
    pub fn trust_domain_name(&self) -> &str {
        self.id.trust_domain_name()
    }
}

impl FromStr for SpiffePattern {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, SpiffeIdError> {
        let below = text.strip_suffix("/*");
        Ok(Self { id: below.unwrap_or(text).parse()?, below: below.is_some() })
    }
}

impl fmt::Display for SpiffePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.id, if self.below { "/*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, id: &str) -> bool {
        pattern.parse::<SpiffePattern>().unwrap().matches(&id.parse().unwrap())
    }

    #[test]
    fn a_pattern_means_one_identity_or_all_below_a_path_and_no_neighbour() {
        assert!(matches("spiffe://a.b/auditor/anna", "spiffe://a.b/auditor/anna"));
        assert!(matches("spiffe://a.b/auditor/*", "spiffe://a.b/auditor/anna"));
        assert!(matches("spiffe://a.b/auditor/*", "spiffe://a.b/auditor/eu/anna"));
        for (pattern, id) in [
            ("spiffe://a.b/auditor/anna", "spiffe://a.b/auditor/ann"),
            ("spiffe://a.b/auditor/anna", "spiffe://a.b/auditor/anna/x"),
            ("spiffe://a.b/auditor/*", "spiffe://a.b/auditor"),
            ("spiffe://a.b/auditor/*", "spiffe://a.b/auditors/anna"),
            ("spiffe://a.b/auditor/*", "spiffe://a.bc/auditor/anna"),
        ] {
            assert!(!matches(pattern, id), "{pattern} {id}");
        }
    }

    #[test]
    fn there_is_no_pattern_for_everybody() {
        for text in
            ["*", "spiffe://*", "spiffe://a.b/*", "spiffe://a.b/x*", "spiffe://a.b/*/x", "spiffe://a.b/x/**", ""]
        {
            assert!(text.parse::<SpiffePattern>().is_err(), "{text}");
        }
        assert_eq!("spiffe://a.b/x/*".parse::<SpiffePattern>().unwrap().to_string(), "spiffe://a.b/x/*");
    }
}
