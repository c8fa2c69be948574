//! Identifiers as newtypes. No `String` id crosses a function boundary.
//!
//! Two kinds: UUIDv7 (RFC 9562 §5.7) for things that happen, short names for things that people configure.
//! Parsing accepts one spelling only (lower-case hyphenated UUIDs; the stated alphabet for names), so that equal ids
//! have equal bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use uuid::Uuid;

use super::time::Timestamp;

/// A text that is not an identifier of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind}: {rule}")]
pub struct IdError {
    kind: &'static str,
    rule: &'static str,
    text: String,
}

impl IdError {
    fn new(kind: &'static str, rule: &'static str, text: &str) -> Self {
        Self { kind, rule, text: text.chars().take(80).collect() }
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// A UUIDv7 of the instant `now` with 74 of the `random` bits.
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &random).into_uuid())
            }

            /// The 16 bytes as stored.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The millisecond that the UUIDv7 carries.
            pub fn created_at(&self) -> Timestamp {
                let mut millis = [0_u8; 8];
                for (to, from) in millis.iter_mut().skip(2).zip(self.0.as_bytes()) {
                    *to = *from;
                }
                Timestamp::from_millis(u64::from_be_bytes(millis))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                const RULE: &str = "expected a lower-case hyphenated UUIDv7";
                let uuid = Uuid::try_parse(text).map_err(|_| IdError::new($kind, RULE, text))?;
                let canonical = uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text;
                if !canonical || uuid.get_version_num() != 7 || uuid.get_variant() != uuid::Variant::RFC4122 {
                    return Err(IdError::new($kind, RULE, text));
                }
                Ok(Self(uuid))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    };
}

uuid_id!(
    /// A mandate's identifier (`jti`, RFC 7519 §4.1.7); burned when the mandate is used.
    Jti, "mandate id"
);
uuid_id!(
    /// A request for a mandate that waits for approvals.
    ChallengeId, "challenge id"
);
uuid_id!(
    /// One verdict, of AgentAuth or of the broker.
    DecisionId, "decision id"
);
uuid_id!(
    /// One ledger entry.
    EventId, "event id"
);
uuid_id!(
    /// One approval statement (`jti` of the statement).
    StatementId, "statement id"
);
uuid_id!(
    /// One delegation (`jti` of the delegation).
    DelegationId, "delegation id"
);

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal, $rule:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let allowed: fn(u8) -> bool = $allowed;
                if text.is_empty() || text.len() > $max || !text.bytes().all(allowed) {
                    return Err(IdError::new($kind, $rule, text));
                }
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_id!(
    /// A person, however many identities that person has; distinct approvers are distinct `PersonId`s.
    PersonId, "person id", 128, "expected 1 to 128 of a-z A-Z 0-9 . _ - @ +",
    |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@' | b'+')
);
name_id!(
    /// The name of an upstream that the broker may call.
    ConnectorId, "connector name", 64, "expected 1 to 64 of a-z 0-9 -",
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'
);
name_id!(
    /// The team that an identity belongs to; `default` where none is configured.
    WorkspaceId, "workspace", 64, "expected 1 to 64 of a-z 0-9 - _",
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_')
);
name_id!(
    /// The name of a legal template.
    TemplateId, "template id", 64, "expected 1 to 64 of a-z 0-9 -",
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'
);
name_id!(
    /// The revision of a bundle; every mandate and decision names it.
    Revision, "bundle revision", 128, "expected 1 to 128 of a-z A-Z 0-9 . _ - + :",
    |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+' | b':')
);
name_id!(
    /// The RFC 7638 thumbprint (base64url SHA-256) that names a signing key.
    KeyId, "key id", 43, "expected 43 characters of base64url",
    |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')
);

impl Default for WorkspaceId {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

/// A SHA-256 digest (FIPS 180-4), written `sha-256:` + 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The raw 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A digest that was computed elsewhere (a hash over several parts, a stored tree node).
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 64 hexadecimal digits without the prefix.
    pub fn to_hex(&self) -> String {
        base16ct::lower::encode_string(&self.0)
    }
}

impl FromStr for Sha256Digest {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError::new("digest", "expected `sha-256:` and 64 lower-case hexadecimal digits", text);
        let hex = text.strip_prefix("sha-256:").ok_or_else(error)?;
        let mut bytes = [0_u8; 32];
        let decoded = base16ct::lower::decode(hex, &mut bytes).map_err(|_| error())?;
        if decoded.len() == 32 { Ok(Self(bytes)) } else { Err(error()) }
    }
}

impl TryFrom<String> for Sha256Digest {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Sha256Digest> for String {
    fn from(digest: Sha256Digest) -> Self {
        let mut text = Self::with_capacity(72);
        text.push_str("sha-256:");
        text.push_str(&digest.to_hex());
        text
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha-256:")?;
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_id_has_one_spelling_and_carries_its_millisecond() {
        let now = Timestamp::from_millis(1_790_000_000_123);
        let jti = Jti::new(now, [7; 10]);
        assert_eq!(jti.created_at(), now);
        assert_eq!(jti.to_string().parse::<Jti>().unwrap(), jti);
        assert!(jti.to_string().to_uppercase().parse::<Jti>().is_err());
        assert!(jti.to_string().replace('-', "").parse::<Jti>().is_err());
        assert!(format!("{{{jti}}}").parse::<Jti>().is_err());
        assert!("936da01f-9abd-4d9d-80c7-02af85c822a8".parse::<Jti>().is_err(), "version 4");
    }

    #[test]
    fn names_keep_to_their_alphabet_and_length() {
        assert!("erp-1".parse::<ConnectorId>().is_ok());
        for bad in ["", "ERP", "a/b", "a.b", "..", "a b", "é"] {
            assert!(bad.parse::<ConnectorId>().is_err(), "{bad:?}");
        }
        assert!("a".repeat(64).parse::<ConnectorId>().is_ok());
        assert!("a".repeat(65).parse::<ConnectorId>().is_err());
    }

    #[test]
    fn a_digest_has_one_spelling() {
        let digest = Sha256Digest::of(b"abc");
        assert_eq!(digest.to_string(), "sha-256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digest.to_string().parse::<Sha256Digest>().unwrap(), digest);
        assert!(digest.to_string().to_uppercase().parse::<Sha256Digest>().is_err());
        assert!(
            "sha-256:+a7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".parse::<Sha256Digest>().is_err()
        );
    }
}
