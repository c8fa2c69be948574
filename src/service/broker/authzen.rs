//! OpenID AuthZEN, Authorization API 1.0 (access evaluation §6, access evaluations §7).
//!
//! The subject's type says who decides. An agent's call (`agent`, `spiffe_id`) is the question of `POST /v1/decide` in
//! another form: the same mandate, the same caller check, the same judgement, burn and record. What a bundle says about
//! any other subject is a rule of its own (`data.atb.authzen.evaluation`), for the identities that may ask the policy at
//! all; such an answer spends nothing, and is a permission only to whoever takes it for one.
//!
//! INVARIANT: evaluations of one request are judged one after the other, in order, and none after the one that ends
//! them (§7.1.2.1): a mandate behind it is not spent.
//!
//! Not here: the search APIs (§8). To list who may do what would list the directory.

mod wire;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Broker;
use super::data::Asked;
use super::decide::{Answer, Question};
use crate::domain::spiffe::VerifiedSvid;
use crate::service::broker::Stop;
use crate::service::refusal::{Code, Refusal};
pub use wire::MAX_EVALUATIONS;
use wire::{Evaluation, Evaluations, Semantic};

/// The bundle's rule about subjects that are no agents, as a path of the Data API.
const RULE: &str = "atb/authzen/evaluation";

/// An answer (§6.2).
#[derive(Debug, Clone, Serialize)]
pub struct Evaluated {
    /// Whether it may be done.
    pub decision: bool,
    /// Why, and where it is on record.
    pub context: Map<String, Value>,
}

/// What a request for several answers asked for.
#[derive(Debug)]
pub enum AllEvaluated {
    /// It named no evaluations: one answer, as for one (§7.1).
    One(Evaluated),
    /// One for each that was judged, in order. A refusal is about that one alone.
    Each(Vec<Result<Evaluated, Refusal>>),
}

/// Reads a body as both doors would and goes no further: an entry for `fuzz/`.
#[cfg(fuzzing)]
pub fn read_evaluations(body: &[u8]) -> Result<(), Refusal> {
    let values = match wire::all(body)? {
        Evaluations::One(value) => vec![value],
        Evaluations::Many(values, _) => values,
    };
    for value in values {
        if let Ok(Evaluation::OfAgent(call)) = Evaluation::read(value) {
            let _ = Question::try_from(call);
        }
    }
    Ok(())
}

impl Broker {
    /// `POST /access/v1/evaluation`.
    ///
    /// # Errors
    /// A refusal, on record, when the question itself is refused. A denial is an answer.
    pub async fn evaluate(&self, caller: &VerifiedSvid, body: &[u8]) -> Result<Evaluated, Refusal> {
        self.evaluate_one(caller, wire::one(body)).await
    }

    /// `POST /access/v1/evaluations`.
    ///
    /// # Errors
    /// As [`Broker::evaluate`], when the request as a whole is refused.
    pub async fn evaluate_all(&self, caller: &VerifiedSvid, body: &[u8]) -> Result<AllEvaluated, Refusal> {
        let (items, semantic) = match wire::all(body) {
            Ok(Evaluations::One(value)) => {
                return self.evaluate_one(caller, Ok(value)).await.map(AllEvaluated::One);
            }
            Ok(Evaluations::Many(items, semantic)) => (items, semantic),
            Err(refusal) => return self.evaluate_one(caller, Err(refusal)).await.map(AllEvaluated::One),
        };
        let mut answers = Vec::with_capacity(items.len());
        for item in items {
            let answer = self.evaluate_one(caller, Ok(item)).await;
            let allowed = answer.as_ref().is_ok_and(|answer| answer.decision);
            answers.push(answer);
            match semantic {
                Semantic::DenyOnFirstDeny if !allowed => break,
                Semantic::PermitOnFirstPermit if allowed => break,
                _ => {}
            }
        }
        Ok(AllEvaluated::Each(answers))
    }

    async fn evaluate_one(&self, caller: &VerifiedSvid, asked: Result<Value, Refusal>) -> Result<Evaluated, Refusal> {
        let mut attempt = self.asked_by(caller);
        attempt.subject.detail.insert("api".to_owned(), "authzen".to_owned());
        match asked.and_then(Evaluation::read) {
            Err(refusal) => Err(self.stopped(attempt, Stop::Refused(refusal)).await),
            Ok(Evaluation::OfAgent(call)) => {
                // Who may not ask about the connector is not told whether the rest of the question is well-formed.
                let question = self.may_ask(&call.connector, caller).and_then(|()| Question::try_from(call));
                self.answer(attempt, caller, question).await.map(Evaluated::from)
            }
            Ok(Evaluation::OfOther(input)) => self.evaluate_by_rule(caller, &input).await,
        }
    }

    async fn evaluate_by_rule(&self, caller: &VerifiedSvid, input: &Value) -> Result<Evaluated, Refusal> {
        let body = json!({ "input": input }).to_string();
        let answer = self.data(caller, RULE, Asked::Body(body.as_bytes())).await?;
        let (decision, mut context) = match answer.result {
            Some(Value::Bool(decision)) => (decision, Map::new()),
            Some(Value::Object(mut members)) => match (members.remove("decision"), members.remove("context")) {
                (Some(Value::Bool(decision)), Some(Value::Object(context))) => (decision, context),
                (Some(Value::Bool(decision)), None) => (decision, Map::new()),
                _ => (false, reason("policy_malformed")),
            },
            Some(_) => (false, reason("policy_malformed")),
            None => (false, reason("policy_undefined")),
        };
        context.insert("decision_id".to_owned(), json!(answer.decision_id));
        Ok(Evaluated { decision, context })
    }
}

fn reason(name: &str) -> Map<String, Value> {
    Map::from_iter([("reason".to_owned(), Value::from(name))])
}

impl From<Answer> for Evaluated {
    fn from(answer: Answer) -> Self {
        let decision = answer.allow;
        let context = match serde_json::to_value(answer) {
            Ok(Value::Object(mut members)) => {
                members.remove("allow");
                members
            }
            // INVARIANT: an answer is an object of texts and numbers. Even so a reason is never missing.
            _ => reason(Code::Internal.as_str()),
        };
        Self { decision, context }
    }
}
