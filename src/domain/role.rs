//! Classes of roles: what tiers and acts ask for ("one executive"), where the directory names roles ("cfo").

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name of a class.
const MAX_BYTES: usize = 32;
/// What `missing` says beside the names of classes; a class of that name would be mistaken for it.
const TAKEN: [&str; 3] = ["approval", "request", "ticket"];

/// A member of `data.roles`, for example `executive`.
///
/// INVARIANT: `[a-z][a-z0-9_]*`, at most 32 bytes, and none of the other names that a decision's `missing` may hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoleClass(String);

impl RoleClass {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the class that mandates tell readers of (`leg.dual_control.approvers[].type`).
    pub fn is_executive(&self) -> bool {
        self.0 == "executive"
    }
}

impl TryFrom<String> for RoleClass {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let formed = text.len() <= MAX_BYTES
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if formed && !TAKEN.contains(&text.as_str()) {
            return Ok(Self(text));
        }
        let shown: String = text.chars().take(MAX_BYTES).collect();
        Err(format!("`{shown}` is not a class of roles: a-z, 0-9 and _, at most {MAX_BYTES}, not {}", TAKEN.join(", ")))
    }
}

impl From<RoleClass> for String {
    fn from(class: RoleClass) -> Self {
        class.0
    }
}

impl fmt::Display for RoleClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_a_short_name_that_missing_does_not_use_otherwise() {
        for good in ["executive", "finance", "data_protection2"] {
            assert_eq!(RoleClass::try_from(good.to_owned()).unwrap().as_str(), good);
        }
        for bad in ["", "Finance", "2nd", "a-b", "ticket", "approval", "request", &"a".repeat(33)] {
            assert!(RoleClass::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
