//! What the broker lets through, once, and everything that it does not.

mod calls;
mod hostile;
mod mandates;
mod replay;
mod told;
mod unmandated;
mod upstream;

use atb::domain::ledger::{Entry, EventType};

use crate::app::{Answer, Mark, TestApp};

/// `answer` refused a call: a problem document, exactly one decision on record that says the same, and nothing reached
/// the ERP since it had seen `hits` requests.
async fn refused(app: &TestApp, what: &str, answer: &Answer, verdict: &str, mark: Mark, hits: u64) -> Entry {
    assert_eq!(answer.verdict(), verdict, "{what}: {answer}");
    answer.assert_problem();
    let event = TestApp::only(app.events_since(mark).await, what);
    assert_eq!(event.event_type, EventType::BrokerDecision, "{what}");
    assert_eq!(event.subject.allow, Some(false), "{what}");
    assert_eq!(event.subject.reason, Some(answer.reason()), "{what}");
    assert_eq!(event.subject.decision_id.map(|id| id.to_string()), Some(answer.text("/decision_id")), "{what}");
    assert_eq!(app.erp_hits(), hits, "{what}: it reached the ERP");
    event
}
