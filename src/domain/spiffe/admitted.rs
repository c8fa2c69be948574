//! Whom a list of admitted callers means: a whole trust domain, or what a pattern means.
//!
//! ```text
//! spiffe://partner.example              every workload of that trust domain
//! spiffe://partner.example/agent/*      every one below /agent/, at any depth
//! spiffe://partner.example/agent/anna   this one
//! ```

use std::fmt;
use std::str::FromStr;

use super::id::{SpiffeId, SpiffeIdError, TrustDomain};
use super::pattern::SpiffePattern;

/// One entry of a list of admitted callers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Admitted {
    /// Every workload of a trust domain.
    Domain(TrustDomain),
    /// One workload, or all below a path.
    Pattern(SpiffePattern),
}

impl Admitted {
    /// Whether it means `id`.
    pub fn matches(&self, id: &SpiffeId) -> bool {
        match self {
            Self::Domain(domain) => domain.as_str() == id.trust_domain_name(),
            Self::Pattern(pattern) => pattern.matches(id),
        }
    }

    /// The trust domain that it is for.
    pub fn trust_domain_name(&self) -> &str {
        match self {
            Self::Domain(domain) => domain.as_str(),
            Self::Pattern(pattern) => pattern.trust_domain_name(),
        }
    }
}

impl FromStr for Admitted {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, SpiffeIdError> {
        let rest = text.strip_prefix("spiffe://").ok_or(SpiffeIdError::Scheme)?;
        match rest.contains('/') {
            false => rest.parse().map(Self::Domain),
            true => text.parse().map(Self::Pattern),
        }
    }
}

impl fmt::Display for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => write!(f, "spiffe://{domain}"),
            Self::Pattern(pattern) => pattern.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_means_a_domain_a_path_or_one_identity_and_never_everybody() {
        let matches = |entry: &str, id: &str| entry.parse::<Admitted>().unwrap().matches(&id.parse().unwrap());
        assert!(matches("spiffe://a.b", "spiffe://a.b/agent/x"));
        assert!(matches("spiffe://a.b/agent/*", "spiffe://a.b/agent/x"));
        assert!(matches("spiffe://a.b/agent/x", "spiffe://a.b/agent/x"));
        for (entry, id) in [
            ("spiffe://a.b", "spiffe://a.b.c/agent/x"),
            ("spiffe://a.b", "spiffe://x.a.b/agent/x"),
            ("spiffe://a.b/agent/*", "spiffe://a.b/agents/x"),
            ("spiffe://a.b/agent/x", "spiffe://a.b/agent/y"),
        ] {
            assert!(!matches(entry, id), "{entry} {id}");
        }
        for none in ["", "*", "spiffe://", "spiffe://*", "spiffe://A.b", "spiffe://a.b/", "spiffe://a.b/*", "a.b"] {
            assert!(none.parse::<Admitted>().is_err(), "{none}");
        }
    }
}
