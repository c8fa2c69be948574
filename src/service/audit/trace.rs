//! The story of one case: everything on record about a request, its approvals, its mandate and what was done with it.
//!
//! A case is known by any of its ids (challenge, mandate, decision). Entries that name one id name others, and a challenge
//! that was asked again names the one before; the case is what is reached from the id that was asked about. Nothing on
//! record is called a session: this chain is what one is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use crate::domain::id::{ChallengeId, DecisionId, Jti};
use crate::domain::ledger::EventType;
use crate::domain::ledger::query::{Facts, IdPattern, Query};
use crate::domain::policy::bundle::ActPattern;
use crate::domain::time::Timestamp;
use crate::service::ports::{AuditLog, AuditPage, AuditQuestion, MAX_AUDIT_PAGE, Order, StoreError};

/// Ids that one case has at the most. A case has a handful; a mandate that is replayed all day has more decisions.
const MAX_IDS: usize = 256;
/// Pages that are searched for the challenge by which an agent asked again.
const SUCCESSOR_PAGES: usize = 8;

/// One case in order.
#[derive(Debug, Clone, Serialize)]
pub struct Trace {
    /// The id that was asked about.
    pub asked: String,
    /// Its challenges, in order.
    pub challenges: Vec<String>,
    /// Its mandates, in order.
    pub mandates: Vec<String>,
    /// Its decisions, in order.
    pub decisions: Vec<String>,
    /// From the first event to the last one, in milliseconds.
    pub duration_ms: u64,
    /// Whether this is all; a case with very many ids is cut.
    pub complete: bool,
    /// Who takes part, by the short name that the steps use.
    pub people: BTreeMap<String, String>,
    /// What happened.
    pub steps: Vec<Step>,
}

/// One event of a case.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// The entry's number.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Since the step before, in milliseconds; absent at the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
    /// The kind of event.
    pub event_type: String,
    /// What happened, in words.
    pub what: String,
}

/// Follows the case that `id` belongs to; none when nothing on record has that id.
///
/// # Errors
/// When the record cannot be read.
pub async fn trace(log: &dyn AuditLog, id: &str) -> Result<Option<Trace>, StoreError> {
    let mut case = Case::default();
    case.learn(id);
    while let Some(id) = case.pending.pop() {
        for query in questions_about(&id) {
            case.add(log.page(&question(query, None)).await?);
        }
        for (agent, act, at) in case.asked_by(&id) {
            case.find_successors(log, &agent, &act, at).await?;
        }
    }
    Ok((!case.found.is_empty()).then(|| case.told(id)))
}

fn question(query: Query, from: Option<u64>) -> AuditQuestion {
    AuditQuestion { query, order: Order::Oldest, from, limit: MAX_AUDIT_PAGE }
}

/// Whatever kind of id it is.
fn questions_about(id: &str) -> Vec<Query> {
    let any = Query::default;
    [
        id.parse::<Jti>().ok().map(|id| Query { jti: Some(id), ..any() }),
        id.parse::<ChallengeId>().ok().map(|id| Query { challenge: Some(id), ..any() }),
        id.parse::<DecisionId>().ok().map(|id| Query { decision_id: Some(id), ..any() }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A case while it is gathered.
#[derive(Default)]
struct Case {
    known: BTreeSet<String>,
    pending: Vec<String>,
    found: BTreeMap<u64, Facts>,
    cut: bool,
}

impl Case {
    fn learn(&mut self, id: &str) {
        if self.known.contains(id) {
            return;
        }
        if self.known.len() >= MAX_IDS {
            self.cut = true;
            return;
        }
        self.known.insert(id.to_owned());
        self.pending.push(id.to_owned());
    }

    fn add(&mut self, page: AuditPage) {
        self.cut |= page.more;
        for found in page.items {
            if let Some(facts) = Facts::of_body(&found.body) {
                self.take(found.seq, facts);
            }
        }
    }

    fn take(&mut self, seq: u64, facts: Facts) {
        let ids = [
            facts.challenge_id.as_deref(),
            facts.jti.as_deref(),
            facts.decision_id.as_deref(),
            facts.detail("reask_of"),
        ];
        ids.into_iter().flatten().for_each(|id| self.learn(id));
        self.found.insert(seq, facts);
    }

    /// Who opened the challenge `id`, with what act and when.
    fn asked_by(&self, id: &str) -> Vec<(IdPattern, ActPattern, Timestamp)> {
        let created = EventType::PoaChallengeCreated.as_str();
        let opened = self.found.values().filter(|f| f.event_type == created && f.challenge_id.as_deref() == Some(id));
        opened
            .filter_map(|facts| {
                let act = ActPattern::try_from(facts.act.as_ref()?.to_string()).ok()?;
                Some((facts.agent.as_ref()?.parse().ok()?, act, facts.at?))
            })
            .collect()
    }

    /// A successor names its predecessor, and nothing leads the other way but looking.
    async fn find_successors(
        &mut self,
        log: &dyn AuditLog,
        agent: &IdPattern,
        act: &ActPattern,
        since: Timestamp,
    ) -> Result<(), StoreError> {
        let query = Query {
            agent: Some(agent.clone()),
            act: Some(act.clone()),
            since: Some(since),
            event_types: vec![EventType::PoaChallengeCreated],
            ..Query::default()
        };
        let mut from = None;
        for _ in 0..SUCCESSOR_PAGES {
            let page = log.page(&question(query.clone(), from)).await?;
            from = Some(page.seen);
            for found in page.items {
                let Some(facts) = Facts::of_body(&found.body) else { continue };
                if facts.detail("reask_of").is_some_and(|earlier| self.known.contains(earlier)) {
                    self.take(found.seq, facts);
                }
            }
            if !page.more {
                return Ok(());
            }
        }
        self.cut = true;
        Ok(())
    }

    fn told(&self, asked: &str) -> Trace {
        let people = People::of(self.found.values());
        let mut before: Option<Timestamp> = None;
        let mut steps = Vec::with_capacity(self.found.len());
        for (seq, facts) in &self.found {
            let Some(at) = facts.at else { continue };
            let after_ms = before.replace(at).map(|before| millis_between(before, at));
            let what = in_words(facts, &people);
            steps.push(Step { seq: *seq, at, after_ms, event_type: facts.event_type.clone(), what });
        }
        let ids = |of: fn(&Facts) -> Option<&String>| {
            let mut ids: Vec<String> = Vec::new();
            self.found.values().filter_map(of).for_each(|id| {
                if !ids.contains(id) {
                    ids.push(id.clone());
                }
            });
            ids
        };
        let ends = steps.first().zip(steps.last());
        Trace {
            asked: asked.to_owned(),
            challenges: ids(|facts| facts.challenge_id.as_ref()),
            mandates: ids(|facts| facts.jti.as_ref()),
            decisions: ids(|facts| facts.decision_id.as_ref()),
            duration_ms: ends.map_or(0, |(first, last)| millis_between(first.at, last.at)),
            complete: !self.cut,
            people: people.listed(),
            steps,
        }
    }
}

fn millis_between(earlier: Timestamp, later: Timestamp) -> u64 {
    u64::try_from(later.since(earlier).as_millis()).unwrap_or(u64::MAX)
}

/// Short names for SPIFFE IDs: the last segment, or all of it where two would be the same.
struct People(BTreeMap<String, String>);

impl People {
    fn of<'a>(all: impl Iterator<Item = &'a Facts>) -> Self {
        let mut ids = BTreeSet::new();
        for facts in all {
            ids.extend(facts.agent.iter().chain(&facts.caller).chain(&facts.approvers).cloned());
            ids.extend(facts.detail("on_behalf_of").map(str::to_owned));
        }
        let last = |id: &str| id.rsplit('/').next().unwrap_or(id).to_owned();
        let shared = |name: &str| ids.iter().filter(|id| last(id) == name).count() > 1;
        let named = |id: &String| (id.clone(), if shared(&last(id)) { id.clone() } else { last(id) });
        Self(ids.iter().map(named).collect())
    }

    fn name<'a>(&'a self, id: Option<&'a str>) -> &'a str {
        let id = id.unwrap_or("somebody");
        self.0.get(id).map_or(id, String::as_str)
    }

    fn names(&self, ids: &[String]) -> String {
        let names: Vec<_> = ids.iter().map(|id| self.name(Some(id))).collect();
        names.join(" and ")
    }

    fn listed(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(id, name)| (name.clone(), id.clone())).collect()
    }
}

/// One sentence for one event.
fn in_words(facts: &Facts, people: &People) -> String {
    let kind = EventType::ALL.into_iter().find(|kind| kind.as_str() == facts.event_type);
    let (agent, caller) = (people.name(facts.agent.as_deref()), people.name(facts.caller.as_deref()));
    let reason = facts.reason.as_deref().unwrap_or("no reason on record");
    let told = |name| facts.detail(name).map(|text| format!(": {text}")).unwrap_or_default();
    match kind {
        Some(EventType::PoaChallengeCreated) => {
            let again = if facts.detail("reask_of").is_some() { "asked again for" } else { "asked for" };
            format!("{agent} {again} {}; it waits for approvals", subject(facts))
        }
        Some(EventType::PoaApprovalRecorded) => {
            let last = if facts.allow == Some(true) { "; nobody is missing any more" } else { "" };
            format!("{caller}{} approved{last}", stands_in(facts, people))
        }
        Some(EventType::PoaApprovalRefused) => format!("{caller} was not let approve ({reason})"),
        Some(EventType::PoaChallengeRejected) => format!("{caller} rejected it{}", told("rejection")),
        Some(EventType::PoaChallengeExpired) => "it ran out of time".to_owned(),
        Some(EventType::PoaChallengeWithdrawn) => format!("{agent} took it back{}", told("withdrawal")),
        Some(EventType::PoaIssued) => format!("{agent} got a mandate for {}, no approval was needed", subject(facts)),
        Some(EventType::PoaIssuedDualControl) => {
            format!(
                "{agent} got a mandate for {} on the approvals of {}",
                subject(facts),
                people.names(&facts.approvers)
            )
        }
        Some(EventType::PoaDenied) => format!("{agent} was refused a mandate ({reason})"),
        Some(EventType::PoaSingleUseReplayBlocked) => format!("{agent} used the mandate again and was stopped"),
        Some(EventType::BrokerDecision) => decision(facts, agent, reason),
        Some(EventType::ConnectorOutcome) => outcome(facts),
        _ => facts.event_type.replace('_', " "),
    }
}

/// What a request is about: the act, its tier, and the call where it is tied to one.
fn subject(facts: &Facts) -> String {
    let mut text = facts.act.as_ref().map_or_else(|| "an act without a name".to_owned(), ToString::to_string);
    if let Some(tier) = &facts.tier {
        let _ = write!(text, " ({tier})");
    }
    if let (Some(method), Some(path)) = (&facts.method, &facts.path) {
        let _ = write!(text, " by {method} {}{path}", facts.connector.as_deref().unwrap_or_default());
    }
    text
}

fn stands_in(facts: &Facts, people: &People) -> String {
    facts.detail("on_behalf_of").map(|id| format!(", standing in for {},", people.name(Some(id)))).unwrap_or_default()
}

fn decision(facts: &Facts, agent: &str, reason: &str) -> String {
    let risk = facts.risk_score.map(|score| format!(", risk {}", score.as_u8())).unwrap_or_default();
    let bundle = facts.bundle.as_ref().map(|bundle| format!(", by bundle {bundle}")).unwrap_or_default();
    match facts.allow {
        Some(true) => format!("the broker let {agent} do {}{risk}{bundle}", subject(facts)),
        _ => format!("the broker stopped {agent} ({reason}){risk}{bundle}"),
    }
}

fn outcome(facts: &Facts) -> String {
    let took = facts.duration_us.map(|us| format!(" after {} ms", us / 1000)).unwrap_or_default();
    let upstream = facts.connector.as_deref().unwrap_or("the upstream");
    match (facts.outcome.as_deref(), facts.status) {
        (Some("ok"), Some(status)) => format!("{upstream} answered {status}{took}"),
        (Some("ok"), None) => format!("{upstream} answered{took}"),
        (Some("failed"), _) => {
            format!(
                "the call to {upstream} failed{took} ({})",
                facts.reason.as_deref().unwrap_or("no reason on record")
            )
        }
        _ => format!("what became of the call to {upstream} is unknown"),
    }
}
