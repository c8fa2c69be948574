//! The engines that decisions of the past are asked of: the one that decides in production, one for each bundle.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::past::{Question, WhichBundle};
use crate::domain::id::Sha256Digest;
use crate::domain::json;
use crate::domain::ledger::{PolicyRule, verdict_digest};
use crate::domain::policy::engine::{EngineError, Evaluator};
use crate::domain::policy::{Assessment, Bundle, Decision, IssueDecision, PolicyInput};

/// Nobody waits for one answer here, and a machine under load must not turn it into another.
const EVALUATION: Duration = Duration::from_secs(5);

/// What the policy answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To `poa.decision`.
    Decision(Decision),
    /// To `issue.decision`.
    Issue(IssueDecision),
    /// To `approval.assessment`.
    Assessment(Assessment),
    /// To anything else.
    Document(Value),
    /// There is no such document, or no answer.
    None,
}

impl Answer {
    /// By which two answers are compared.
    pub fn digest(&self) -> Sha256Digest {
        match self {
            Self::Decision(verdict) => verdict_digest(verdict),
            Self::Issue(verdict) => verdict_digest(verdict),
            Self::Assessment(verdict) => verdict_digest(verdict),
            Self::Document(document) => json::digest(document),
            Self::None => json::digest(&Value::Null),
        }
    }

    /// `allow` or `deny` and the reason, for people.
    pub fn in_words(&self) -> String {
        let decided = |d: &Decision| format!("{} {}", if d.allow { "allow" } else { "deny" }, d.reason);
        match self {
            Self::Decision(verdict) => decided(verdict),
            Self::Issue(verdict) => decided(&verdict.decision),
            Self::Assessment(a) => format!("{} of {} approvals", a.approved, a.required),
            Self::Document(_) => "another result".to_owned(),
            Self::None => "no result".to_owned(),
        }
    }
}

/// The bundles that were given, found as records name them.
#[derive(Debug, Clone, Default)]
pub struct Shelf(Vec<Arc<Bundle>>);

impl Shelf {
    /// The bundles.
    pub fn new(bundles: Vec<Arc<Bundle>>) -> Self {
        Self(bundles)
    }

    /// The place of the bundle that a record names. A record that names none takes the only one, if there is one only.
    fn find(&self, which: &WhichBundle) -> Option<usize> {
        match which {
            WhichBundle::Digest(digest) => self.0.iter().position(|bundle| bundle.digest() == *digest),
            WhichBundle::Revisions(names) => self.0.iter().position(|bundle| names.contains(bundle.revision())),
            WhichBundle::Unnamed => (self.0.len() == 1).then_some(0),
        }
    }
}

/// The engines of one thread.
pub struct Judge {
    shelf: Shelf,
    engines: BTreeMap<usize, Evaluator>,
}

impl Judge {
    /// Over these bundles. To be made in the thread that asks; that needs a deep stack.
    pub fn new(shelf: Shelf) -> Self {
        Self { shelf, engines: BTreeMap::new() }
    }

    /// The answer of the bundle that `which` names; none if it was not given.
    ///
    /// # Errors
    /// When the engine does not take the bundle.
    pub fn ask(
        &mut self,
        which: &WhichBundle,
        question: &Question,
        input: &PolicyInput,
    ) -> Result<Option<Answer>, EngineError> {
        let Some(place) = self.shelf.find(which) else { return Ok(None) };
        self.ask_at(place, question, input).map(Some)
    }

    /// The answer of the only bundle.
    ///
    /// # Errors
    /// When the engine does not take the bundle.
    pub fn ask_only(&mut self, question: &Question, input: &PolicyInput) -> Result<Answer, EngineError> {
        self.ask_at(0, question, input)
    }

    fn ask_at(&mut self, place: usize, question: &Question, input: &PolicyInput) -> Result<Answer, EngineError> {
        if !self.engines.contains_key(&place) {
            let Some(bundle) = self.shelf.0.get(place) else { return Ok(Answer::None) };
            let mut engine = Evaluator::new(Arc::clone(bundle))?.within(EVALUATION);
            engine.prepare()?;
            self.engines.insert(place, engine);
        }
        let Some(engine) = self.engines.get_mut(&place) else { return Ok(Answer::None) };
        Ok(match question {
            Question::Rule(PolicyRule::PoaDecision) => Answer::Decision(engine.decide(input)),
            Question::Rule(PolicyRule::IssueDecision) => Answer::Issue(engine.issue(input)),
            Question::Rule(PolicyRule::ApprovalAssessment) => Answer::Assessment(engine.assess(input)),
            Question::Path(path) => document(engine, path, input),
        })
    }
}

/// The document at a path as OPA's Data API takes it: a rule, or a member of what a rule gives.
fn document(engine: &mut Evaluator, path: &str, input: &PolicyInput) -> Answer {
    let mut rule = path;
    loop {
        if let Ok(value) = engine.query(&rule.replace('/', "."), input) {
            let rest = path.get(rule.len()..).unwrap_or_default();
            return value.pointer(rest).map_or(Answer::None, |found| Answer::Document(found.clone()));
        }
        match rule.rsplit_once('/') {
            Some((parent, _)) => rule = parent,
            None => return Answer::None,
        }
    }
}
