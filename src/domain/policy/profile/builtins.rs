//! The builtins of OPA, each with what becomes of it here: answered by regorus as OPA answers, answered by an extension
//! of ours, or refused with what to use instead.
//!
//! A builtin that is not on the list, or is refused, does not get past the load. `docs/rego-compatibility.md` is checked
//! against this list, and the list against the corpus (`tests/vectors/rego`): what is supported has cases that a real
//! OPA answered.

mod table;

use std::sync::LazyLock;

pub use table::TABLE;

/// What becomes of a builtin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// regorus answers it as OPA does.
    Same,
    /// An extension of ours answers it (`engine::extensions`): absent, different or unbounded in regorus.
    Extension,
    /// Not to be called; what to use instead.
    Refused(&'static str),
}

/// One builtin of OPA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Builtin {
    /// Its name.
    pub name: &'static str,
    /// How many arguments it takes.
    pub arguments: usize,
    /// What becomes of it.
    pub support: Support,
}

/// The builtin of that name.
pub fn find(name: &str) -> Option<&'static Builtin> {
    TABLE.binary_search_by(|builtin| builtin.name.cmp(name)).ok().and_then(|at| TABLE.get(at))
}

/// Whether a policy may call it.
pub fn is_allowed(name: &str) -> bool {
    find(name).is_some_and(|builtin| !matches!(builtin.support, Support::Refused(_)))
}

/// What tests may call as well: they run at activation, in the child process, and never for a decision.
const IN_TESTS: [&str; 2] = ["json.filter", "json.remove"];

/// Whether a test may call it.
pub(crate) fn is_allowed_in_tests(name: &str) -> bool {
    is_allowed(name) || IN_TESTS.contains(&name)
}

/// Every builtin that a policy may call.
pub fn allowed() -> &'static [&'static str] {
    static ALLOWED: LazyLock<Vec<&'static str>> =
        LazyLock::new(|| TABLE.iter().map(|builtin| builtin.name).filter(|name| is_allowed(name)).collect());
    &ALLOWED
}

/// Whether OPA has a builtin of that name, allowed or not.
#[cfg(feature = "service")]
pub(crate) fn exists(name: &str) -> bool {
    find(name).is_some()
}

/// How many arguments a builtin takes.
#[cfg(feature = "service")]
pub(crate) fn arity(name: &str) -> Option<usize> {
    find(name).map(|builtin| builtin.arguments)
}

/// Whether a rule or an import of that name would hide a builtin or a family of them.
pub(crate) fn would_hide(name: &str) -> bool {
    let family = |builtin: &&str| builtin.split('.').next() == Some(name);
    TABLE.iter().any(|builtin| family(&builtin.name)) || regorus::unstable::BUILTINS.keys().any(family)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::policy::engine::extensions;
    use crate::domain::policy::profile::legacy::WITHDRAWN;

    #[test]
    fn the_list_is_sorted_and_everything_that_is_allowed_is_somewhere() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
        let extensions: BTreeMap<_, _> = extensions::names().collect();
        for Builtin { name, arguments, support } in TABLE {
            let extension = extensions.get(name).map(|n| usize::from(*n));
            match support {
                Support::Same => {
                    let (_, n) = regorus::unstable::BUILTINS.get(name).unwrap_or_else(|| panic!("{name}"));
                    assert!(usize::from(*n) == *arguments && extension.is_none(), "{name}");
                }
                Support::Extension => assert_eq!(extension, Some(*arguments), "{name}"),
                Support::Refused(fix) => assert!(extension.is_none() && fix.len() > 10, "{name}"),
            }
        }
        assert!(extensions.keys().all(|name| is_allowed(name)));
        let withdrawn: Vec<_> = extensions::withdrawn().map(|(name, n)| (name, usize::from(n))).collect();
        let listed = WITHDRAWN.map(|(name, _)| (name, find(name).unwrap().arguments));
        assert_eq!(withdrawn, listed);
    }

    #[test]
    fn what_reads_the_outside_or_runs_without_bound_is_refused() {
        for name in [
            "http.send",
            "net.lookup_ip_addr",
            "rand.intn",
            "opa.runtime",
            "uuid.rfc4122",
            "crypto.x509.parse_and_verify_certificates_with_options",
            "crypto.x509.parse_rsa_private_key",
            "crypto.x509.parse_keypair",
            "io.jwt.encode_sign",
            "graph.reachable_paths",
            "walk",
            "print",
            "trace",
        ] {
            assert!(find(name).is_some() && !is_allowed(name), "{name}");
        }
    }
}
