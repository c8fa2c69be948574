//! The wire form of evaluations, and what they mean here.
//!
//! | AuthZEN | here |
//! | --- | --- |
//! | `subject.type` `agent` or `spiffe_id`, `subject.id` | the agent's SPIFFE ID, as the asking side verified it |
//! | `resource.type`, `resource.id` | the connector, the path behind its name |
//! | `action.name` | the method, or the act where one method is that act at the path |
//! | `context.token` | the mandate |
//! | `context.params` | every parameter of path, query and body |
//! | `context.peek` | judge without spending the mandate |
//!
//! Members that are not known are ignored: the standard says so (§4), and this is the one door where it is so. Texts are
//! I-JSON within limits all the same.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::action::CallPath;
use crate::domain::id::ConnectorId;
use crate::domain::json::{self, JsonError, Object};
use crate::domain::spiffe::SpiffeId;
use crate::service::broker::decide::{Question, Verb};
use crate::service::refusal::{Code, Refusal};

/// The most evaluations of one request.
pub const MAX_EVALUATIONS: usize = 64;

/// What an evaluation is made of (§5); each may be given once for all (§7.1.1).
const MEMBERS: [&str; 4] = ["subject", "action", "resource", "context"];

/// One evaluation, read.
#[derive(Debug)]
pub(super) enum Evaluation {
    /// Of an agent's call.
    OfAgent(AgentCall),
    /// Of anything else: what the bundle's rule is asked, nothing added.
    OfOther(Value),
}

/// The call of an agent, not yet read to its end.
#[derive(Debug)]
pub(super) struct AgentCall {
    pub(super) connector: ConnectorId,
    agent: String,
    path: String,
    action: String,
    context: Context,
}

#[derive(Debug, Deserialize)]
struct Form {
    subject: Entity,
    action: Action,
    resource: Entity,
    #[serde(default)]
    context: Option<Object>,
}

#[derive(Debug, Deserialize)]
struct Entity {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    /// Read for its shape.
    #[serde(default)]
    #[expect(dead_code, reason = "an agent's attributes are the directory's, not the asking side's")]
    properties: Option<Object>,
}

#[derive(Debug, Deserialize)]
struct Action {
    name: String,
    #[serde(default)]
    #[expect(dead_code, reason = "as those of an entity")]
    properties: Option<Object>,
}

#[derive(Debug, Default, Deserialize)]
struct Context {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    params: Object,
    #[serde(default)]
    peek: bool,
}

impl Evaluation {
    /// # Errors
    /// When a member is missing or of another type; everything at this door that is not well-formed is malformed.
    pub(super) fn read(value: Value) -> Result<Self, Refusal> {
        let input = Self::input(&value);
        let form: Form = json::read(value).map_err(malformed)?;
        if !matches!(form.subject.kind.as_str(), "agent" | "spiffe_id") {
            return Ok(Self::OfOther(input));
        }
        let context = form.context.map_or(Ok(Context::default()), |context| json::read(context.to_value()));
        let context =
            context.map_err(|error| malformed(JsonError { pointer: format!("/context{}", error.pointer), ..error }))?;
        // A text that is no name is a connector that nobody may ask about.
        let connector = form.resource.kind.parse().map_err(|_| {
            let detail = "you may not ask for decisions on this connector";
            Refusal::because(Code::CallerNotAllowed, "connector_not_callers", detail)
        })?;
        let (agent, path, action) = (form.subject.id, form.resource.id, form.action.name);
        Ok(Self::OfAgent(AgentCall { connector, agent, path, action, context }))
    }

    fn input(value: &Value) -> Value {
        let given = MEMBERS.iter().filter_map(|name| Some(((*name).to_owned(), value.get(name)?.clone())));
        Value::Object(given.collect())
    }
}

impl TryFrom<AgentCall> for Question {
    type Error = Refusal;

    fn try_from(call: AgentCall) -> Result<Self, Refusal> {
        let AgentCall { connector, agent, path, action, context } = call;
        let wrong = |pointer: &str, detail: String| malformed(JsonError { pointer: pointer.to_owned(), detail });
        let agent: SpiffeId =
            agent.parse().map_err(|error| wrong("/subject/id", format!("not a SPIFFE ID: {error}")))?;
        let path: CallPath = path.parse().map_err(|error| wrong("/resource/id", format!("{error}")))?;
        let verb = action.parse().map_or(Verb::Act(action), Verb::Method);
        let Context { token, params, peek } = context;
        Ok(Self { token, agent, connector, verb, path, params, peek })
    }
}

/// The evaluations of one request.
#[derive(Debug)]
pub(super) enum Evaluations {
    /// None are listed: the request itself is one.
    One(Value),
    /// Each complete, with what was given for all.
    Many(Vec<Value>, Semantic),
}

/// When to stop (§7.1.2.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Semantic {
    /// At the end.
    #[default]
    ExecuteAll,
    /// After the first denial.
    DenyOnFirstDeny,
    /// After the first permission.
    PermitOnFirstPermit,
}

/// The one evaluation of a body.
pub(super) fn one(body: &[u8]) -> Result<Value, Refusal> {
    match json::parse(body).map_err(malformed)? {
        value @ Value::Object(_) => Ok(value),
        _ => Err(malformed(JsonError { pointer: String::new(), detail: "expected an object".to_owned() })),
    }
}

/// The evaluations of a body.
pub(super) fn all(body: &[u8]) -> Result<Evaluations, Refusal> {
    #[derive(Deserialize)]
    struct List {
        #[serde(default)]
        evaluations: Vec<Value>,
        #[serde(default)]
        options: Options,
    }
    #[derive(Default, Deserialize)]
    struct Options {
        #[serde(default)]
        evaluations_semantic: Semantic,
    }
    let whole = one(body)?;
    let List { evaluations, options } = json::read(whole.clone()).map_err(malformed)?;
    if evaluations.is_empty() {
        return Ok(Evaluations::One(whole));
    }
    if evaluations.len() > MAX_EVALUATIONS {
        let detail = format!("at most {MAX_EVALUATIONS} at a time");
        return Err(malformed(JsonError { pointer: "/evaluations".to_owned(), detail }));
    }
    let complete = evaluations.into_iter().map(|own| completed(own, &whole)).collect();
    Ok(Evaluations::Many(complete, options.evaluations_semantic))
}

/// What is not its own is the default's: a member as a whole, and of one that is there its required texts (§7.1.1).
fn completed(own: Value, defaults: &Value) -> Value {
    let Value::Object(mut own) = own else { return own };
    for name in MEMBERS {
        let Some(default) = defaults.get(name) else { continue };
        match own.get_mut(name) {
            None => drop(own.insert(name.to_owned(), default.clone())),
            Some(Value::Object(members)) if name != "context" => fill(members, default),
            Some(_) => {}
        }
    }
    Value::Object(own)
}

fn fill(members: &mut Map<String, Value>, default: &Value) {
    for name in ["type", "id", "name"] {
        if let (false, Some(value)) = (members.contains_key(name), default.get(name)) {
            members.insert(name.to_owned(), value.clone());
        }
    }
}

fn malformed(error: JsonError) -> Refusal {
    Refusal::because(Code::RequestMalformed, "evaluation_malformed", error.to_string()).at(error.pointer, error.detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn many(body: &Value) -> (Vec<Value>, Semantic) {
        match all(body.to_string().as_bytes()).unwrap() {
            Evaluations::Many(items, semantic) => (items, semantic),
            Evaluations::One(value) => panic!("one: {value}"),
        }
    }

    fn agent() -> Value {
        json!({
            "subject": {"type": "agent", "id": "spiffe://atb.dev/agent/a"}, "action": {"name": "GET"},
            "resource": {"type": "erp", "id": "/vendors/V-1"}, "context": {"token": "t", "params": {"vendor_id": "V-1"}}
        })
    }

    #[test]
    fn an_agents_evaluation_is_the_question_of_decide() {
        for kind in ["agent", "spiffe_id"] {
            let mut value = agent();
            value["subject"]["type"] = kind.into();
            let Evaluation::OfAgent(call) = Evaluation::read(value).unwrap() else { panic!("{kind}") };
            let question = Question::try_from(call).unwrap();
            assert_eq!((question.connector.as_str(), question.path.as_str()), ("erp", "/vendors/V-1"));
            assert_eq!((question.token.as_deref(), question.peek), (Some("t"), false));
            assert!(matches!(question.verb, Verb::Method(_)));
        }
        let mut value = agent();
        value["action"]["name"] = "erp.vendor.read".into();
        let Evaluation::OfAgent(call) = Evaluation::read(value).unwrap() else { panic!() };
        assert!(matches!(Question::try_from(call).unwrap().verb, Verb::Act(act) if act == "erp.vendor.read"));
    }

    #[test]
    fn what_is_not_known_is_ignored_and_what_is_known_is_checked() {
        let mut more = agent();
        more["future"] = json!({"nested": true});
        more["subject"]["properties"] = json!({"role": "admin"});
        more["context"]["time"] = json!("now");
        assert!(matches!(Evaluation::read(more), Ok(Evaluation::OfAgent(_))));
        for (pointer, value) in [
            ("/subject", json!("alice")),
            ("/subject/type", json!(1)),
            ("/subject/id", Value::Null),
            ("/subject/properties", json!([])),
            ("/action/name", json!(123)),
            ("/resource/id", json!({})),
            ("/context", json!([])),
            ("/context/token", json!(1)),
            ("/context/params", json!([])),
            ("/context/peek", json!("true")),
        ] {
            let mut wrong = agent();
            if pointer == "/context/peek" || pointer == "/subject/properties" {
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                wrong.pointer_mut(parent).unwrap()[name] = value;
            } else {
                *wrong.pointer_mut(pointer).unwrap() = value;
            }
            let refusal = Evaluation::read(wrong).unwrap_err();
            assert_eq!((refusal.code, refusal.faults[0].pointer.as_str()), (Code::RequestMalformed, pointer));
        }
    }

    #[test]
    fn a_default_gives_way_to_what_an_evaluation_says_itself() {
        let (items, semantic) = many(&json!({
            "subject": {"type": "user", "id": "alice", "properties": {"role": "admin"}}, "resource": {"type": "record"},
            "context": {"a": 1}, "options": {"evaluations_semantic": "deny_on_first_deny"},
            "evaluations": [
                {"action": {"name": "read"}, "resource": {"id": "1"}},
                {"subject": {"id": "bob"}, "context": {"b": 2}},
                7,
            ]
        }));
        assert_eq!(semantic, Semantic::DenyOnFirstDeny);
        assert_eq!(items[0]["resource"], json!({"id": "1", "type": "record"}));
        assert_eq!(items[0]["context"], json!({"a": 1}));
        assert_eq!(items[1]["subject"], json!({"id": "bob", "type": "user"}), "properties are not mixed");
        assert_eq!(items[1]["context"], json!({"b": 2}), "a context is one thing");
        assert_eq!(items[2], json!(7));
    }

    #[test]
    fn none_listed_is_one_and_too_many_or_an_unknown_semantic_are_refused() {
        for body in [agent(), json!({"evaluations": []})] {
            assert!(matches!(all(body.to_string().as_bytes()), Ok(Evaluations::One(_))));
        }
        for (body, pointer) in [
            (json!({"evaluations": vec![json!({}); MAX_EVALUATIONS + 1]}), "/evaluations"),
            (json!({"evaluations": {}}), "/evaluations"),
            (json!({"options": {"evaluations_semantic": "any"}, "evaluations": [{}]}), "/options/evaluations_semantic"),
            (json!([]), ""),
        ] {
            let refusal = all(body.to_string().as_bytes()).unwrap_err();
            assert_eq!((refusal.code, refusal.faults[0].pointer.as_str()), (Code::RequestMalformed, pointer));
        }
    }
}
