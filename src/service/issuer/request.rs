//! What an agent may ask of `POST /issue`, as types.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::domain::action::{ActionName, CallPath, Method};
use crate::domain::id::ConnectorId;
use crate::domain::jose::present;
use crate::domain::json::{self, Object};
use crate::domain::leg::LegGround;
use crate::domain::spiffe::SpiffeId;
use crate::service::refusal::Refusal;

/// The body of `POST /issue`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssueRequest {
    /// The act.
    pub act: ActionName,
    /// Constraints on the call's parameters; they can only narrow.
    #[serde(default)]
    pub con: Object,
    /// The legal ground.
    pub leg: LegRequest,
    /// The lifetime asked for.
    #[serde(default, deserialize_with = "present")]
    pub ttl_seconds: Option<u64>,
    /// The brokers that the mandate is for; the configured ones if absent.
    #[serde(default, deserialize_with = "present")]
    pub aud: Option<Vec<SpiffeId>>,
    /// The one exact call that the mandate is for.
    #[serde(default, deserialize_with = "present")]
    pub request: Option<CallSpec>,
    /// Two people must agree whatever the tier.
    #[serde(default)]
    pub requires_dual_control: bool,
    /// Who is asked, or their statements.
    #[serde(default)]
    pub approvers: Vec<ApproverSpec>,
}

/// One exact call, named by its parts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallSpec {
    /// The upstream.
    pub connector: ConnectorId,
    /// The method.
    pub method: Method,
    /// The path behind the connector's name.
    pub path: CallPath,
    /// Every parameter of path, query and body.
    #[serde(default)]
    pub params: Object,
}

/// The legal ground, by template or (where allowed) in full.
#[derive(Debug, Clone)]
pub enum LegRequest {
    /// `{"template": "id@version", "vars": {…}}`.
    Template {
        /// `id` or `id@version`.
        template: String,
        /// The template's variables.
        vars: Map<String, Value>,
    },
    /// The claim itself, without approvals.
    Claim(Box<LegGround>),
    /// A ground that a template gave when this was asked before; no request is read as one.
    Bound(Box<LegGround>),
}

impl<'de> Deserialize<'de> for LegRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct ByTemplate {
            template: String,
            #[serde(default)]
            vars: Object,
        }
        let members = Object::deserialize(deserializer)?.to_value();
        let place = |error: json::JsonError| {
            serde::de::Error::custom(format!("{} at `{}` of the ground", error.detail, error.pointer))
        };
        if members.get("template").is_some_and(Value::is_string) {
            let ByTemplate { template, vars } = json::read(members).map_err(place)?;
            return Ok(Self::Template { template, vars: vars.as_map().clone() });
        }
        json::read(members).map(|ground| Self::Claim(Box::new(ground))).map_err(place)
    }
}

/// One of `approvers`: who is asked, or that person's statement.
#[derive(Debug, Clone)]
pub enum ApproverSpec {
    /// A SPIFFE ID.
    Named(SpiffeId),
    /// `{"statement": "<JWS>"}`.
    Carried(String),
}

impl<'de> Deserialize<'de> for ApproverSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Carried {
            statement: String,
        }
        let wrong = || serde::de::Error::custom("expected a SPIFFE ID or {\"statement\": \"<signed statement>\"}");
        match Value::deserialize(deserializer)? {
            Value::String(id) => id.parse().map(Self::Named).map_err(|_| wrong()),
            other => json::read(other).map(|Carried { statement }| Self::Carried(statement)).map_err(|_| wrong()),
        }
    }
}

/// The policy's denial with places in what the agent sent: the policy points into its own input.
pub(super) fn pointed_at(mut refusal: Refusal) -> Refusal {
    refusal.faults.iter_mut().for_each(|fault| fault.pointer = place_in_request(&fault.pointer));
    refusal
}

fn place_in_request(pointer: &str) -> String {
    let moved = [
        ("/poa/leg/template", "/leg/template"),
        ("/poa/leg", "/leg"),
        ("/poa/act", "/act"),
        ("/poa/con", "/con"),
        ("/poa/req", "/request"),
        ("/poa/ttl", "/ttl_seconds"),
        ("/approvals", "/approvers"),
        ("/request", "/request"),
    ];
    let under = |(from, to): (&str, &str)| {
        let rest = pointer.strip_prefix(from).filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
        // A template is named in one text.
        Some(if to == "/leg/template" { to.to_owned() } else { format!("{to}{rest}") })
    };
    // The rest, such as the time or who asks, is nothing that was sent.
    moved.into_iter().find_map(under).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> json::JsonError {
        json::parse_as::<IssueRequest>(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn the_requester_cannot_supply_authority() {
        let ok = r#"{"act":"erp.order.read","leg":{"template":"contract","vars":{}}}"#;
        assert!(json::parse_as::<IssueRequest>(ok.as_bytes()).is_ok());
        for extra in [
            r#""tier":"low""#,
            r#""agent":"spiffe://atb.dev/agent/other""#,
            r#""sub":"spiffe://atb.dev/agent/other""#,
            r#""approved":true"#,
            r#""executive_control":true"#,
            r#""bypass":true"#,
        ] {
            let error = refused(&ok.replacen('{', &format!("{{{extra},"), 1));
            assert!(error.detail.contains("unknown field"), "{extra}: {error}");
        }
    }

    #[test]
    fn a_lookalike_or_foreign_type_is_refused_with_its_place() {
        let body =
            |act: &str, ttl: &str| format!(r#"{{"act":"{act}","ttl_seconds":{ttl},"leg":{{"template":"contract"}}}}"#);
        assert!(json::parse_as::<IssueRequest>(body("erp.order.read", "300").as_bytes()).is_ok());
        for act in ["ERP.order.read", "erp.order.read ", "еrp.order.read", "erp.*", ""] {
            assert_eq!(refused(&body(act, "300")).pointer, "/act");
        }
        for ttl in ["300.5", "-1", "\"300\"", "null", "1e400", "99999999999999999999"] {
            assert_eq!(refused(&body("erp.order.read", ttl)).pointer, "/ttl_seconds", "{ttl}");
        }
    }

    #[test]
    fn a_place_in_the_policys_input_becomes_one_in_the_request() {
        for (given, place) in [
            ("/poa/act", "/act"),
            ("/poa/con/amount", "/con/amount"),
            ("/poa/leg/ticket", "/leg/ticket"),
            ("/poa/leg/template/version", "/leg/template"),
            ("/poa/req", "/request"),
            ("/poa/ttl", "/ttl_seconds"),
            ("/request/params/iban", "/request/params/iban"),
            ("/approvals/1", "/approvers/1"),
            ("/requester", ""),
            ("/poa/sub", ""),
            ("/time", ""),
        ] {
            assert_eq!(place_in_request(given), place, "{given}");
        }
    }

    #[test]
    fn approvals_inside_the_ground_are_refused_not_stripped() {
        let error = refused(r#"{"act":"a.b","leg":{"template":"contract","approval":{"approver_id":"x"}}}"#);
        assert_eq!(error.pointer, "/leg");
        assert!(error.detail.contains("approval"), "{error}");
    }
}
