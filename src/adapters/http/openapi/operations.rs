//! The table of operations: every route of both doors, once.

/// One of the two doors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// AgentAuth's.
    AgentAuth,
    /// The broker's.
    Broker,
}

/// A method at a path.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// Where it is.
    pub doors: &'static [Door],
    /// The method.
    pub method: &'static str,
    /// The path as the router has it.
    pub path: &'static str,
    /// Names it among those of its door.
    pub id: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// The schema of its JSON body.
    pub takes: Option<&'static str>,
    /// What it answers when it refuses nothing: status, in words, and content.
    pub gives: &'static [(u16, &'static str, Content)],
}

impl Operation {
    /// The path as OpenAPI writes it: a parameter is one name, whether it takes one segment or more.
    pub fn template(&self) -> String {
        self.path.replace("{*", "{")
    }
}

/// A parameter: its name, where it stands, and its schema by name or as JSON.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// The name.
    pub name: &'static str,
    /// Where it stands.
    pub place: Place,
    /// Its schema.
    pub schema: &'static str,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// In the path; always there.
    Path,
    /// In the query; may be absent.
    Query,
    /// In the head; may be absent.
    Header,
}

/// What an answer is made of.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// JSON of this schema.
    Json(&'static str),
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// Server-sent events.
    Events,
    /// Whatever the upstream answers.
    Upstreams,
}

use Content::{Bytes, Events, Json, Text, Upstreams};

const BOTH: &[Door] = &[Door::AgentAuth, Door::Broker];
const AGENTAUTH: &[Door] = &[Door::AgentAuth];
const BROKER: &[Door] = &[Door::Broker];

const OBJECT: Content = Json(r#"{"type": "object"}"#);
const REASON: &str = r##"{"type": "object", "additionalProperties": false, "required": ["reason"],
    "properties": {"reason": {"$ref": "#/components/schemas/common/$defs/plain_text"}}}"##;
const STATEMENT: &str = r##"{"type": "object", "additionalProperties": false, "required": ["statement"],
    "properties": {"statement": {"$ref": "#/components/schemas/common/$defs/jws"}}}"##;
const EMPTY: &str = r#"{"type": "object", "additionalProperties": false}"#;
const WITHDRAWALS: &str = r##"{"type": "object", "additionalProperties": false, "required": ["withdrawals"],
    "properties": {"withdrawals": {"type": "array", "items": {"$ref": "#/components/schemas/leg-withdrawal"}}}}"##;
const TEXT: &str = r#"{"type": "string"}"#;

/// Of a challenge, several with commas.
const STATES: &str = r#"{"type": "string",
    "pattern": "^(pending|approved|redeemed|rejected|expired|withdrawn)(,(pending|approved|redeemed|rejected|expired|withdrawn))*$"}"#;
const CALL: &[Parameter] =
    &[path("connector", "common/connector"), path("path", TEXT), header("X-PoA-Token", "common/jws")];
const CHALLENGE: &[Parameter] = &[path("id", "common/uuid7")];
const MINTED: (u16, &str, Content) = (201, "The mandate.", Json("issue-minted"));
const WAITING: (u16, &str, Content) = (202, "Approvals are missing.", Json("issue-pending"));
const SHOWN: (u16, &str, Content) = (200, "The challenge.", Json("challenge"));

const fn path(name: &'static str, schema: &'static str) -> Parameter {
    Parameter { name, place: Place::Path, schema }
}

const fn query(name: &'static str, schema: &'static str) -> Parameter {
    Parameter { name, place: Place::Query, schema }
}

const fn header(name: &'static str, schema: &'static str) -> Parameter {
    Parameter { name, place: Place::Header, schema }
}

const fn at(doors: &'static [Door], method: &'static str, path: &'static str, id: &'static str) -> Operation {
    Operation { doors, method, path, id, summary: "", parameters: &[], takes: None, gives: &[] }
}

impl Operation {
    const fn says(self, summary: &'static str) -> Self {
        Self { summary, ..self }
    }

    const fn with(self, parameters: &'static [Parameter]) -> Self {
        Self { parameters, ..self }
    }

    const fn takes(self, schema: &'static str) -> Self {
        Self { takes: Some(schema), ..self }
    }

    const fn gives(self, gives: &'static [(u16, &'static str, Content)]) -> Self {
        Self { gives, ..self }
    }

    const fn call(method: &'static str, id: &'static str) -> Self {
        at(BROKER, method, "/c/{connector}/{*path}", id)
            .says("Calls a connector with a mandate; its route table says what else the call takes.")
            .with(CALL)
            .gives(&[(200, "The upstream's answer, with its own status.", Upstreams)])
    }
}

/// The routes of both doors.
pub const OPERATIONS: &[Operation] = &[
    at(AGENTAUTH, "POST", "/issue", "issue")
        .says("Asks for a mandate.")
        .takes("issue-request")
        .gives(&[MINTED, WAITING]),
    at(AGENTAUTH, "GET", "/issue/{id}", "collect")
        .says("Collects the mandate once its approvals are there.")
        .with(&[path("id", "common/uuid7"), query("wait", r#"{"type": "integer", "minimum": 0, "maximum": 60}"#)])
        .gives(&[MINTED, WAITING]),
    at(AGENTAUTH, "POST", "/issue/{id}/withdraw", "withdraw")
        .says("Takes a request back.")
        .with(CHALLENGE)
        .takes(REASON)
        .gives(&[(200, "Withdrawn.", Json("issue-withdrawn"))]),
    at(AGENTAUTH, "POST", "/issue/{id}/reask", "reask")
        .says("Asks again for what expired or was withdrawn.")
        .with(CHALLENGE)
        .takes(EMPTY)
        .gives(&[WAITING]),
    at(AGENTAUTH, "GET", "/challenges", "challenges")
        .says("Lists what waits, or waited, for approvals.")
        .with(&[
            query("status", STATES),
            query("tier", "common/tier"),
            query("act", "common/act"),
            query("agent", "common/spiffe_id"),
            query("workspace", "common/workspace"),
            query("mine", r#"{"type": "boolean"}"#),
            query("since", r#"{"type": "string", "format": "date-time"}"#),
            query("until", r#"{"type": "string", "format": "date-time"}"#),
            query("order", r#"{"enum": ["oldest", "newest"]}"#),
            query("limit", r#"{"type": "integer", "minimum": 1, "maximum": 200}"#),
            query("cursor", TEXT),
        ])
        .gives(&[(200, "A page.", Json("challenge-list"))]),
    at(AGENTAUTH, "GET", "/challenges/events", "challenge_events")
        .says("Follows the queue.")
        .with(&[header("Last-Event-ID", TEXT)])
        .gives(&[(200, "Events until the client goes.", Events)]),
    at(AGENTAUTH, "GET", "/challenges/{id}", "challenge")
        .says("Shows an approver exactly what is asked.")
        .with(&[path("id", "common/uuid7"), header("ATB-Delegation", "common/jws")])
        .gives(&[SHOWN]),
    at(AGENTAUTH, "POST", "/challenges/{id}/approve", "approve")
        .says("Hands in an approver's signed statement.")
        .with(CHALLENGE)
        .takes(STATEMENT)
        .gives(&[SHOWN]),
    at(AGENTAUTH, "POST", "/challenges/{id}/reject", "reject")
        .says("Says no.")
        .with(CHALLENGE)
        .takes(REASON)
        .gives(&[SHOWN]),
    at(AGENTAUTH, "GET", "/templates", "templates").says("Lists the legal templates in force.").gives(&[(
        200,
        "The templates.",
        OBJECT,
    )]),
    at(AGENTAUTH, "GET", "/templates/{id}", "template")
        .says("Shows a legal template.")
        .with(&[path("id", "common/template_id")])
        .gives(&[(200, "The template.", Json("leg-template"))]),
    at(AGENTAUTH, "GET", "/.well-known/jwks.json", "jwks").says("The keys that mandates are signed with.").gives(&[(
        200,
        "A JSON Web Key Set (RFC 7517).",
        OBJECT,
    )]),
    at(AGENTAUTH, "GET", "/.well-known/atb-configuration", "configuration").says("Endpoints and limits.").gives(&[(
        200,
        "The configuration.",
        OBJECT,
    )]),
    Operation::call("GET", "call_get"),
    Operation::call("POST", "call_post"),
    Operation::call("PUT", "call_put"),
    Operation::call("PATCH", "call_patch"),
    Operation::call("DELETE", "call_delete"),
    Operation::call("HEAD", "call_head"),
    Operation::call("OPTIONS", "call_options"),
    at(BROKER, "POST", "/v1/decide", "decide")
        .says("Judges a call that the asking workload would make itself.")
        .takes("decide-request")
        .gives(&[(200, "The verdict.", Json("decide-answer"))]),
    at(BROKER, "POST", "/v1/data/{*path}", "data")
        .says("What a rule of the policy says (OPA's Data API).")
        .with(&[path("path", TEXT)])
        .takes("data-request")
        .gives(&[(200, "Its value.", Json("data-answer"))]),
    at(BROKER, "GET", "/v1/data/{*path}", "data_by_parameter")
        .says("As by POST, the input in the query.")
        .with(&[path("path", TEXT), query("input", r#"{"type": "string", "contentMediaType": "application/json"}"#)])
        .gives(&[(200, "Its value.", Json("data-answer"))]),
    at(BROKER, "POST", "/access/v1/evaluation", "evaluation")
        .says("OpenID AuthZEN 1.0: one decision.")
        .with(&[header("X-Request-ID", TEXT)])
        .takes("authzen-evaluation-request")
        .gives(&[(200, "The decision.", Json("authzen-evaluation-answer"))]),
    at(BROKER, "POST", "/access/v1/evaluations", "evaluations")
        .says("OpenID AuthZEN 1.0: several decisions, in order.")
        .with(&[header("X-Request-ID", TEXT)])
        .takes("authzen-evaluations-request")
        .gives(&[(200, "The decisions.", Json("authzen-evaluations-answer"))]),
    at(BROKER, "GET", "/.well-known/authzen-configuration", "authzen_configuration")
        .says("OpenID AuthZEN 1.0: where the endpoints are.")
        .gives(&[(200, "The metadata.", Json("authzen-configuration"))]),
    at(BOTH, "POST", "/leg/withdrawals", "withdraw_ground")
        .says("Ends a template's version or a consent, for legal officers.")
        .takes("leg-withdrawal-request")
        .gives(&[
            (200, "It was withdrawn before.", Json("leg-withdrawal")),
            (201, "Withdrawn.", Json("leg-withdrawal")),
        ]),
    at(BOTH, "GET", "/leg/withdrawals", "withdrawals").says("Lists what was withdrawn.").gives(&[(
        200,
        "The withdrawals.",
        Json(WITHDRAWALS),
    )]),
    at(BOTH, "GET", "/audit", "audit")
        .says("Asks the record, for auditors; further parameters are conditions (docs/auditors.md).")
        .with(&[
            query("order", r#"{"enum": ["oldest", "newest"]}"#),
            query("limit", r#"{"type": "integer", "minimum": 1, "maximum": 1000}"#),
            query("from", r#"{"type": "integer", "minimum": 0}"#),
        ])
        .gives(&[(200, "A page.", Json("audit-page"))]),
    at(BOTH, "GET", "/reports/governance", "governance")
        .says("Figures of a period, for auditors.")
        .with(&[
            query("since", r#"{"type": "string", "format": "date-time"}"#),
            query("until", r#"{"type": "string", "format": "date-time"}"#),
            query("workspace", "common/workspace"),
        ])
        .gives(&[(200, "The report.", Json("governance-report"))]),
    at(BOTH, "GET", "/log/checkpoint", "checkpoint")
        .says("The newest checkpoint (C2SP tlog-checkpoint), for readers of the log.")
        .gives(&[(200, "A signed note.", Text)]),
    at(BOTH, "GET", "/log/checkpoint/cosigned", "cosigned_checkpoint")
        .says("The newest checkpoint that enough witnesses signed.")
        .gives(&[(200, "A signed note.", Text)]),
    at(BOTH, "GET", "/log/tile/{*name}", "tile")
        .says("A tile of the log (C2SP tlog-tiles).")
        .with(&[path("name", TEXT)])
        .gives(&[(200, "Its bytes.", Bytes)]),
    at(BOTH, "GET", "/openapi.json", "openapi").says("This document.").gives(&[(200, "The document.", OBJECT)]),
];
