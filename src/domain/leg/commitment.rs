//! Keyed commitments: a value stands in the record as HMAC-SHA-256 (RFC 2104) of itself.
//!
//! Who has the key and the value can check that they belong together; nobody else learns the value, not even by trying
//! all of them. The same value of the same variable of the same template gives the same commitment, so that acts about
//! one person can be found without naming that person; another template or variable gives another one.
//!
//! The key is not here: [`Commit`] is implemented where keys live.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use crate::domain::id::TemplateId;

/// The first bytes of what is authenticated, so that the key's other uses (there are none) could not be confused.
const DOMAIN: &[u8] = b"atb/leg-commitment/v1";
const PREFIX: &str = "hmac-sha-256";

/// Holds the key of commitments.
pub trait Commit: Send + Sync {
    /// The key's public name: 16 lower-case hexadecimal digits.
    fn kid(&self) -> &str;

    /// HMAC-SHA-256 of `message`.
    fn mac(&self, message: &[u8]) -> [u8; 32];
}

/// `hmac-sha-256:<kid>:<hex>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Commitment(String);

/// A text that is no commitment: maybe the value itself, so it is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a keyed commitment, `hmac-sha-256:<key>:<64 hexadecimal digits>`, never the value in clear")]
pub struct CommitmentError;

impl Commitment {
    /// The commitment to `value` as the variable `variable` of `template`.
    pub fn to(key: &dyn Commit, template: &TemplateId, variable: &str, value: &str) -> Self {
        let mac = base16ct::lower::encode_string(&key.mac(&message(template, variable, value)));
        Self(format!("{PREFIX}:{}:{mac}", key.kid()))
    }

    /// As it stands in the claim.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Each part behind its length, so that no two triples give the same bytes. The value in Unicode form NFC, so that two
/// spellings of one name are one person.
fn message(template: &TemplateId, variable: &str, value: &str) -> Zeroizing<Vec<u8>> {
    let value: Zeroizing<String> = Zeroizing::new(value.nfc().collect());
    let mut message = Zeroizing::new(DOMAIN.to_vec());
    for part in [template.as_str(), variable, &value] {
        message.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        message.extend_from_slice(part.as_bytes());
    }
    message
}

impl FromStr for Commitment {
    type Err = CommitmentError;

    fn from_str(text: &str) -> Result<Self, CommitmentError> {
        let hex =
            |text: &str, len: usize| text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let mut parts = text.split(':');
        let formed = parts.next() == Some(PREFIX)
            && parts.next().is_some_and(|kid| hex(kid, 16))
            && parts.next().is_some_and(|mac| hex(mac, 64))
            && parts.next().is_none();
        if formed { Ok(Self(text.to_owned())) } else { Err(CommitmentError) }
    }
}

impl TryFrom<String> for Commitment {
    type Error = CommitmentError;

    fn try_from(text: String) -> Result<Self, CommitmentError> {
        text.parse()
    }
}

impl From<Commitment> for String {
    fn from(commitment: Commitment) -> Self {
        commitment.0
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key for the tests of this layer: shows the bytes that are authenticated and is no MAC.
#[cfg(test)]
pub(crate) mod testing {
    use super::Commit;

    pub(crate) struct Digest;

    impl Commit for Digest {
        fn kid(&self) -> &str {
            "0123456789abcdef"
        }

        fn mac(&self, message: &[u8]) -> [u8; 32] {
            *crate::domain::id::Sha256Digest::of(message).as_bytes()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::testing::Digest;
    use super::*;

    fn to(template: &str, variable: &str, value: &str) -> Commitment {
        Commitment::to(&Digest, &template.parse().unwrap(), variable, value)
    }

    #[test]
    fn a_commitment_is_read_back_in_its_one_spelling() {
        let made = to("consent", "data_subject", "person-7");
        assert_eq!(made.as_str().parse::<Commitment>().unwrap(), made);
        for bad in [
            "",
            "person-7",
            "hmac-sha-256:0123456789abcdef:person-7",
            "HMAC-SHA-256:0123456789abcdef:0000000000000000000000000000000000000000000000000000000000000000",
            "hmac-sha-256::0000000000000000000000000000000000000000000000000000000000000000",
            &made.as_str().to_uppercase(),
            &format!("{made}:x"),
            &format!(" {made}"),
        ] {
            let error = bad.parse::<Commitment>().unwrap_err().to_string();
            assert!(!error.contains("person-7"), "{error}");
        }
    }

    #[test]
    fn two_spellings_of_one_name_are_one_person() {
        assert_eq!(to("consent", "who", "Zo\u{eb}"), to("consent", "who", "Zoe\u{308}"));
    }

    proptest! {
        #[test]
        fn another_template_variable_or_value_is_another_commitment(
            a in ("[a-z-]{1,8}", "[a-z_]{1,8}", "[ -~]{1,8}"), b in ("[a-z-]{1,8}", "[a-z_]{1,8}", "[ -~]{1,8}"),
        ) {
            prop_assert_eq!(a == b, to(&a.0, &a.1, &a.2) == to(&b.0, &b.1, &b.2));
        }
    }
}
