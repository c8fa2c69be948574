//! How dangerous an act is: the catalogue gives each act its tier, its parameters and its limits, never the caller.
//!
//! An act that is not here does not exist. The parameters are a closed JSON Schema (draft 2020-12) that refers to
//! nothing outside itself and whose patterns run in linear time; it is compiled when the act is first used, so that a
//! large catalogue loads fast. [`Catalogue::check_schemas`] compiles all of them; a bundle is not activated before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::OnceLock;

use jsonschema::{Draft, PatternOptions, Validator};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::action::ActionName;
use super::attestation::{AttestationName, MAX_ATTESTED};
use super::json::Object;
use super::role::RoleClass;
use super::sentence::Sentence;
use super::time::Ttl;

/// The longest sentence about one parameter.
const MAX_DETAIL_CHARS: usize = 200;
/// The most parameter errors that one answer lists.
const MAX_PARAM_ERRORS: usize = 16;
/// The longest lifetime that any act may allow its mandates, in seconds.
pub const MAX_TTL_SECONDS: u64 = 900;

/// How dangerous an act is (operating model §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Read-only, internal, not personal: a mandate is enough.
    Low,
    /// Writes, limited personal data: one approver.
    Medium,
    /// Bulk, export of personal data, money: two approvers.
    High,
    /// Cross-tenant, privileged, deletion: two approvers, one of them an executive, and a ticket.
    Critical,
}

impl Tier {
    /// Every tier, from harmless to dangerous.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The name as written in mandates.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What kind of data an act touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataClass {
    /// Known to everybody.
    Public,
    /// For the company.
    Internal,
    /// For those who need it.
    Confidential,
    /// About a person.
    Personal,
    /// A special category of personal data (GDPR Art. 9).
    Sensitive,
}

/// Whether an act can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reversibility {
    /// It changes nothing.
    ReadOnly,
    /// It can be undone in the same system.
    Reversible,
    /// It can be undone only with somebody else's help.
    ExternallyReversible,
    /// It cannot be undone.
    Irreversible,
}

/// One act.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueEntry {
    /// One line for people.
    pub title: String,
    /// What an approver reads: one sentence with `{{parameter}}` placeholders.
    pub view: Sentence,
    /// How dangerous it is.
    pub tier: Tier,
    /// What kind of data it touches.
    pub data_class: DataClass,
    /// Whether it can be undone.
    pub reversibility: Reversibility,
    /// Whether a mandate for it must be tied to one exact call.
    pub bind_request: bool,
    /// The longest lifetime of a mandate for it, where that is shorter than the tier's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ttl_seconds: Option<u64>,
    /// What it asks beyond its tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ActApproval>,
    /// The JSON Schema of its parameters; an object that names every member.
    pub parameters: Value,
    /// Bounds that no constraint can widen.
    pub limits: Object,
    /// The legal template to start from, where the act has a usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ground: Option<String>,
    /// The least that a call may say: parameters that fit the schema and the limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Object>,
    /// Parameters whose values may be on record in clear; of the others the record keeps commitments.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub loggable: BTreeSet<String>,
    /// What an approver must attest in the statement that is signed, by name, each as a sentence.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attestations: BTreeMap<AttestationName, String>,
    /// Values of parameters that ask for the approvals and the ticket of the critical tier.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub privileged: BTreeMap<String, Vec<Value>>,
    #[serde(skip)]
    schema: OnceLock<Result<Box<Validator>, String>>,
}

/// What an act asks of its approvers beyond what its tier asks. It can only tighten: a bundle in which it loosens is
/// not loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActApproval {
    /// Distinct people, more than the tier's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<u32>,
    /// How many of them must have a role of each class, beside the tier's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<RoleClass, u32>,
    /// How long a challenge waits, in seconds, less than the tier's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge_seconds: Option<u64>,
}

/// One parameter that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParamError {
    /// RFC 6901 pointer into the parameters.
    pub pointer: String,
    /// What is wrong; never repeats the value.
    pub detail: String,
}

impl CatalogueEntry {
    /// The longest lifetime of a mandate for it, where that is shorter than the tier's.
    pub fn max_ttl(&self) -> Option<Ttl> {
        Ttl::from_secs(self.max_ttl_seconds?).ok()
    }

    /// Holds the parameters of a call against the act's schema.
    ///
    /// # Errors
    /// Every parameter that does not fit, up to a bound; one error for the whole if the schema itself is unusable.
    pub fn check_params(&self, params: &Object) -> Result<(), Vec<ParamError>> {
        let unusable = |_: &String| {
            vec![ParamError {
                pointer: String::new(),
                detail: "the act's schema of parameters is not usable".to_owned(),
            }]
        };
        let schema = self.compiled().map_err(unusable)?;
        schema_errors(schema, &params.to_value())
    }

    /// What makes the entry unusable although each of its members has the right type.
    fn defect(&self) -> Option<String> {
        if self.max_ttl_seconds.is_some_and(|ttl| ttl == 0 || ttl > MAX_TTL_SECONDS) {
            return Some(format!("`max_ttl_seconds` is 1 to {MAX_TTL_SECONDS}"));
        }
        let member = |name: &str| self.parameters.get(name);
        if member("type").and_then(Value::as_str) != Some("object")
            || member("additionalProperties") != Some(&Value::Bool(false))
            || !member("properties").is_some_and(Value::is_object)
        {
            return Some(
                "`parameters` says `\"type\": \"object\"`, `\"additionalProperties\": false` and `\"properties\"`"
                    .to_owned(),
            );
        }
        if self.attestations.len() > MAX_ATTESTED {
            return Some(format!("more than {MAX_ATTESTED} attestations"));
        }
        let properties = member("properties").and_then(Value::as_object);
        let is_unknown = |name: &&str| !properties.is_some_and(|known| known.contains_key(*name));
        let named = [
            ("view", self.view.parameters().find(is_unknown)),
            ("loggable", self.loggable.iter().map(String::as_str).find(is_unknown)),
            ("privileged", self.privileged.keys().map(String::as_str).find(is_unknown)),
        ];
        let unknown = named.into_iter().find_map(|(member, name)| Some((member, name?)));
        unknown.map(|(member, name)| format!("`{member}` names `{name}`, which is no parameter of the act"))
    }

    fn compiled(&self) -> Result<&Validator, &String> {
        self.schema.get_or_init(|| compile(&self.parameters)).as_ref().map(Box::as_ref)
    }
}

/// Every place at which `value` does not fit, up to a bound; no value is repeated.
pub(crate) fn schema_errors(schema: &Validator, value: &Value) -> Result<(), Vec<ParamError>> {
    if schema.is_valid(value) {
        return Ok(());
    }
    Err(schema.iter_errors(value).take(MAX_PARAM_ERRORS).map(|error| param_error(&error)).collect())
}

/// Compiles a schema that points to nothing outside itself.
pub(crate) fn compile(schema: &Value) -> Result<Box<Validator>, String> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .offline()
        .with_pattern_options(PatternOptions::regex())
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .build(schema)
        .map(Box::new)
        .map_err(|error| brief(&error.to_string()))
}

fn param_error(error: &jsonschema::ValidationError<'_>) -> ParamError {
    ParamError { pointer: error.instance_path().to_string(), detail: brief(&error.masked().to_string()) }
}

fn brief(text: &str) -> String {
    text.chars().take(MAX_DETAIL_CHARS).collect()
}

/// Every act that there is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Catalogue(BTreeMap<ActionName, CatalogueEntry>);

impl Catalogue {
    /// The act, if there is one of that name.
    pub fn find(&self, act: &ActionName) -> Option<&CatalogueEntry> {
        self.0.get(act)
    }

    /// Every act by name.
    pub fn iter(&self) -> impl Iterator<Item = (&ActionName, &CatalogueEntry)> {
        self.0.iter()
    }

    /// How many acts there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no act.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first act whose entry contradicts itself, and what is wrong with it.
    pub fn defect(&self) -> Option<(&ActionName, String)> {
        self.0.iter().find_map(|(act, entry)| Some((act, entry.defect()?)))
    }

    /// Compiles the schema of every act.
    ///
    /// # Errors
    /// The first act whose schema does not compile, and why.
    pub fn check_schemas(&self) -> Result<(), (ActionName, String)> {
        self.0.iter().try_for_each(|(act, entry)| {
            compile(&entry.parameters).map_err(|detail| (act.clone(), detail))?;
            let Some(example) = &entry.example else { return Ok(()) };
            entry.check_params(example).map_err(|errors| {
                let first =
                    errors.into_iter().next().map(|e| format!("{}: {}", e.pointer, e.detail)).unwrap_or_default();
                (act.clone(), format!("the example does not fit: {first}"))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(parameters: Value) -> CatalogueEntry {
        serde_json::from_value(json!({
            "title": "Read one order", "view": "Read an order", "tier": "low", "data_class": "internal", "reversibility": "read_only",
            "bind_request": false, "parameters": parameters, "limits": {}
        }))
        .unwrap()
    }

    fn params(value: &Value) -> Object {
        Object::from(value.as_object().unwrap().clone())
    }

    fn orders() -> CatalogueEntry {
        entry(json!({
            "type": "object", "additionalProperties": false, "required": ["order_id"],
            "properties": {"order_id": {"type": "string", "pattern": "^O-[0-9]{4}$"}, "limit": {"type": "integer"}}
        }))
    }

    #[test]
    fn each_parameter_that_does_not_fit_is_named_by_its_pointer() {
        assert_eq!(orders().check_params(&params(&json!({"order_id": "O-1234", "limit": 3}))), Ok(()));
        let pointers = |value: &Value| -> Vec<String> {
            let mut pointers: Vec<_> =
                orders().check_params(&params(value)).unwrap_err().into_iter().map(|e| e.pointer).collect();
            pointers.sort();
            pointers
        };
        assert_eq!(pointers(&json!({"order_id": "x", "limit": "3"})), ["/limit", "/order_id"]);
        assert_eq!(pointers(&json!({})), [""]);
        assert_eq!(pointers(&json!({"order_id": "O-1234", "admin": true})), [""]);
        assert_eq!(pointers(&json!({"order_id": null})), ["/order_id"]);
    }

    #[test]
    fn an_error_does_not_repeat_the_value() {
        let secret = "s3cret".repeat(100);
        let errors = orders().check_params(&params(&json!({"order_id": secret}))).unwrap_err();
        assert!(errors.iter().all(|e| !e.detail.contains("s3cret") && e.detail.len() <= 800), "{errors:?}");
    }

    #[test]
    fn a_schema_that_does_not_compile_or_points_outside_refuses_every_call() {
        for broken in [
            json!({"type": "object", "properties": {"a": {"pattern": "("}}}),
            json!({"$ref": "https://evil.example/s"}),
        ] {
            let entry = entry(broken);
            assert!(entry.check_params(&Object::default()).is_err());
            assert!(compile(&entry.parameters).is_err());
        }
    }

    #[test]
    fn an_open_schema_and_a_long_lifetime_are_defects() {
        assert!(orders().defect().is_none());
        assert!(entry(json!({"type": "object", "properties": {}})).defect().is_some());
        let mut long = orders();
        long.max_ttl_seconds = Some(901);
        assert!(long.defect().is_some());
    }

    #[test]
    fn a_sentence_may_name_the_acts_own_parameters_only() {
        let mut orders = orders();
        orders.view = "Read order {{order_id}}, at most {{limit}}".parse().unwrap();
        assert_eq!(orders.defect(), None);
        orders.view = "Read order {{vendor_id}}".parse().unwrap();
        assert!(orders.defect().unwrap().contains("vendor_id"));
    }

    #[test]
    fn a_pattern_made_to_backtrack_is_answered_at_once() {
        let entry = entry(json!({
            "type": "object", "additionalProperties": false, "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}
        }));
        let start = std::time::Instant::now();
        assert!(entry.check_params(&params(&json!({"a": format!("{}!", "a".repeat(20_000))}))).is_err());
        assert!(start.elapsed().as_secs() < 2);
    }
}
