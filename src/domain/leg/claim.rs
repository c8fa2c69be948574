//! The `leg` claim. Unknown members are refused; what the tier asks for in addition is the policy's to say.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::commitment::Commitment;
use crate::domain::id::{Sha256Digest, TemplateId};
use crate::domain::jose::present;
use crate::domain::spiffe::SpiffeId;
use crate::domain::text::PlainText;
use crate::domain::time::Timestamp;

/// Why a `leg` is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LegError {
    /// Approvals where only the ground may stand.
    #[error("approvals are proven by statements and cannot be part of what is asked")]
    CarriesApprovals,
    /// Both forms of approval at once.
    #[error("`approval` and `dual_control` exclude each other")]
    BothForms,
}

/// An ISO 3166-1 alpha-2 country, `EU` or `GLOBAL`. Which of them apply is the template's to say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Jurisdiction(String);

/// A text that is not a jurisdiction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a jurisdiction is an ISO 3166-1 alpha-2 code, `EU` or `GLOBAL`")]
pub struct JurisdictionError;

/// ISO 3166-1 alpha-2, officially assigned.
const COUNTRIES: &str = "ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZCACCCDCFCGCHCICKCLCM\
CNCOCRCUCVCWCXCYCZDEDJDKDMDODZECEEEGEHERESETFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGYHKHMHNHRHTHUIDIEILIMINIOIQ\
IRISITJEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNO\
NPNRNUNZOMPAPEPFPGPHPKPLPMPNPRPSPTPWPYQARERORSRURWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTFTGTHTJTKTLTMTNTOTRTTTV\
TWTZUAUGUMUSUYUZVAVCVEVGVIVNVUWFWSYEYTZAZMZW";

impl FromStr for Jurisdiction {
    type Err = JurisdictionError;

    fn from_str(code: &str) -> Result<Self, JurisdictionError> {
        let country = code.len() == 2 && COUNTRIES.as_bytes().chunks_exact(2).any(|known| known == code.as_bytes());
        if country || matches!(code, "EU" | "GLOBAL") { Ok(Self(code.to_owned())) } else { Err(JurisdictionError) }
    }
}

impl TryFrom<String> for Jurisdiction {
    type Error = JurisdictionError;

    fn try_from(code: String) -> Result<Self, JurisdictionError> {
        code.parse()
    }
}

impl From<Jurisdiction> for String {
    fn from(code: Jurisdiction) -> Self {
        code.0
    }
}

impl fmt::Display for Jurisdiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The legal basis (operating model §4; GDPR Art. 6(1) f, b, a, c, d, e).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Basis {
    /// Legitimate interest.
    Li,
    /// Performance of a contract.
    Contract,
    /// Consent of the data subject.
    Consent,
    /// Legal obligation.
    Legal,
    /// Vital interests of a person.
    Vital,
    /// A task in the public interest or official authority.
    PublicTask,
}

impl Basis {
    /// Every basis.
    pub const ALL: [Self; 6] = [Self::Li, Self::Contract, Self::Consent, Self::Legal, Self::Vital, Self::PublicTask];

    /// The name as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Li => "LI",
            Self::Contract => "CONTRACT",
            Self::Consent => "CONSENT",
            Self::Legal => "LEGAL",
            Self::Vital => "VITAL",
            Self::PublicTask => "PUBLIC_TASK",
        }
    }
}

/// Who answers for the act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountableParty {
    /// What kind of party, for example `employee`.
    #[serde(rename = "type")]
    pub kind: PlainText,
    /// The party's id; for people the `PersonId` that the directory uses.
    pub id: PlainText,
    /// How to show it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub display_name: Option<PlainText>,
}

/// The template that the ground was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateRef {
    /// Its id.
    pub id: TemplateId,
    /// Its version.
    pub version: PlainText,
    /// `sha-256:` of the template's RFC 8785 canonical JSON.
    pub digest: Sha256Digest,
}

/// A reference to a ticket in another system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    /// The system.
    pub system: PlainText,
    /// The ticket in it.
    #[serde(rename = "ref")]
    pub reference: PlainText,
}

/// One person's approval, as a medium act asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalClaim {
    /// Who approved.
    pub approver_id: SpiffeId,
    /// When, equal to the statement's `iat`.
    pub approved_at: Timestamp,
    /// The approver's statement, a compact JWS.
    pub statement: String,
}

/// One of several approvals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DualControlApprover {
    /// Who approved.
    pub id: SpiffeId,
    /// In which capacity.
    #[serde(rename = "type")]
    pub kind: ApproverKind,
    /// When, equal to the statement's `iat`.
    pub approved_at: Timestamp,
    /// The approver's statement, a compact JWS.
    pub statement: String,
}

/// In which capacity a person approved; what counts is the policy's directory, this says it to readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApproverKind {
    /// With an executive role.
    Executive,
    /// With any other.
    Approver,
}

/// Two or more approvals, as high and critical acts ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DualControl {
    /// Always `true`.
    pub required: True,
    /// Distinct people.
    pub approvers: Vec<DualControlApprover>,
}

/// The literal `true`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "bool", into = "bool")]
pub struct True;

impl TryFrom<bool> for True {
    type Error = &'static str;

    fn try_from(value: bool) -> Result<Self, &'static str> {
        if value { Ok(Self) } else { Err("`required` is always true") }
    }
}

impl From<True> for bool {
    fn from(_: True) -> Self {
        true
    }
}

/// The whole claim, as it stands in a mandate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leg {
    /// Where the ground holds.
    pub jurisdiction: Jurisdiction,
    /// Who answers for the act.
    pub accountable_party: AccountableParty,
    /// The legal basis.
    pub basis: Basis,
    /// The document that the basis rests on.
    #[serde(rename = "ref")]
    pub reference: PlainText,
    /// What is done and why, in a sentence.
    pub description: PlainText,
    /// The template that this was made from.
    pub template: TemplateRef,
    /// A ticket, which critical acts ask for.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Ticket>,
    /// The articles that apply.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub regulation_refs: Option<Vec<PlainText>>,
    /// How long the data that the act makes may be kept.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// Whose data it is, never in clear.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub data_subject: Option<Commitment>,
    /// What the data is used for.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub purpose: Option<PlainText>,
    /// A reference to an approval process elsewhere; never counts as an approval.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub approval_ref: Option<PlainText>,
    /// One approval.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalClaim>,
    /// Two or more approvals.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub dual_control: Option<DualControl>,
}

/// The claim without approvals: what is asked, shown and signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Leg", into = "Leg")]
pub struct LegGround(Leg);

impl TryFrom<Leg> for LegGround {
    type Error = LegError;

    fn try_from(leg: Leg) -> Result<Self, LegError> {
        if leg.approval.is_some() || leg.dual_control.is_some() {
            return Err(LegError::CarriesApprovals);
        }
        Ok(Self(leg))
    }
}

impl From<LegGround> for Leg {
    fn from(ground: LegGround) -> Self {
        ground.0
    }
}

impl LegGround {
    /// The claim's members; both approval members are absent.
    pub fn as_leg(&self) -> &Leg {
        &self.0
    }

    /// The claim as JSON.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(&self.0).unwrap_or_default()
    }

    /// The claim with the approvals that were given.
    pub fn with(self, approvals: Approvals) -> Leg {
        let mut leg = self.0;
        match approvals {
            Approvals::None => {}
            Approvals::Single(approval) => leg.approval = Some(approval),
            Approvals::Dual(approvers) => leg.dual_control = Some(DualControl { required: True, approvers }),
        }
        leg
    }
}

/// The approvals of a mandate, in the form that its tier asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approvals {
    /// Nobody had to agree.
    None,
    /// `leg.approval`.
    Single(ApprovalClaim),
    /// `leg.dual_control`.
    Dual(Vec<DualControlApprover>),
}

impl Leg {
    /// The claim without its approvals.
    pub fn ground(&self) -> LegGround {
        LegGround(Self { approval: None, dual_control: None, ..self.clone() })
    }

    /// The approvals, `(approver, approved_at, statement)`.
    ///
    /// # Errors
    /// When both forms stand side by side.
    pub fn approvals(&self) -> Result<Vec<(&SpiffeId, Timestamp, &str)>, LegError> {
        match (&self.approval, &self.dual_control) {
            (Some(_), Some(_)) => Err(LegError::BothForms),
            (Some(one), None) => Ok(vec![(&one.approver_id, one.approved_at, one.statement.as_str())]),
            (None, Some(dual)) => {
                Ok(dual.approvers.iter().map(|a| (&a.id, a.approved_at, a.statement.as_str())).collect())
            }
            (None, None) => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ground() -> Value {
        json!({
            "jurisdiction": "DE", "accountable_party": {"type": "employee", "id": "emp-7"}, "basis": "LI",
            "ref": "LI-1", "description": "nightly check",
            "template": {"id": "legitimate-interest", "version": "1.0.0", "digest": Sha256Digest::of(b"t")},
        })
    }

    #[test]
    fn the_ground_is_written_back_as_it_was_read() {
        let read: LegGround = serde_json::from_value(ground()).unwrap();
        assert_eq!(read.to_value(), ground());
    }

    #[test]
    fn a_requester_cannot_supply_approvals_or_unknown_members() {
        for (member, value) in [
            (
                "approval",
                json!({"approver_id": "spiffe://atb.dev/approver/bob", "approved_at": "2026-01-01T00:00:00Z", "statement": "x"}),
            ),
            ("dual_control", json!({"required": true, "approvers": []})),
            ("tier", json!("low")),
            ("bypass", json!(true)),
            ("ticket", json!(null)),
        ] {
            let mut leg = ground();
            leg[member] = value;
            assert!(serde_json::from_value::<LegGround>(leg).is_err(), "{member}");
        }
    }

    #[test]
    fn a_jurisdiction_is_a_country_the_eu_or_global() {
        for good in ["DE", "US", "EU", "GLOBAL", "ZW"] {
            assert!(good.parse::<Jurisdiction>().is_ok(), "{good}");
        }
        for bad in ["", "de", "XX", "DEU", "UK", "ED", "EU "] {
            assert!(bad.parse::<Jurisdiction>().is_err(), "{bad}");
        }
    }
}
