//! What an approver attests: named facts that the catalogue asks for, said in the statement that she signs and nowhere else.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// The most that one statement attests.
pub const MAX_ATTESTED: usize = 8;
const MAX_BYTES: usize = 64;

/// A text that is not an attestation's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an attestation: expected lower case such as `callback_done`")]
pub struct AttestationNameError(String);

/// The name of an attestation: lower-case letters, digits and underscores, at most 64.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AttestationName(String);

impl AttestationName {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AttestationName {
    type Error = AttestationNameError;

    fn try_from(name: String) -> Result<Self, AttestationNameError> {
        let sound = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.len() <= MAX_BYTES
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if sound { Ok(Self(name)) } else { Err(AttestationNameError(name)) }
    }
}

impl std::str::FromStr for AttestationName {
    type Err = AttestationNameError;

    fn from_str(name: &str) -> Result<Self, AttestationNameError> {
        Self::try_from(name.to_owned())
    }
}

impl From<AttestationName> for String {
    fn from(name: AttestationName) -> Self {
        name.0
    }
}

impl fmt::Display for AttestationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What one statement attests: each name once, in order, so that there is one spelling of it. Absent where it is nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Attested(BTreeSet<AttestationName>);

impl Attested {
    /// Whether nothing is attested.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &AttestationName> {
        self.0.iter()
    }
}

impl FromIterator<AttestationName> for Attested {
    fn from_iter<I: IntoIterator<Item = AttestationName>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

impl<'de> Deserialize<'de> for Attested {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let names = Vec::<AttestationName>::deserialize(deserializer)?;
        if names.is_empty() || names.len() > MAX_ATTESTED {
            return Err(D::Error::custom(format!("1 to {MAX_ATTESTED} attestations, or no such member")));
        }
        if !names.is_sorted_by(|a, b| a < b) {
            return Err(D::Error::custom("attestations are not in order, or one stands twice"));
        }
        Ok(Self(names.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_spelling_of_what_is_attested() {
        let read = |text: &str| serde_json::from_str::<Attested>(text).map(|a| serde_json::to_string(&a).unwrap());
        assert_eq!(read(r#"["area_clear","callback_done"]"#).unwrap(), r#"["area_clear","callback_done"]"#);
        for bad in
            [r#"[]"#, r#"["b","a"]"#, r#"["a","a"]"#, r#"["A"]"#, r#"[""]"#, r#"["a b"]"#, r#""a""#, "null", "{}"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
        let many: Vec<String> = (0..=MAX_ATTESTED).map(|i| format!("a{i}")).collect();
        assert!(read(&serde_json::to_string(&many).unwrap()).is_err());
    }
}
