//! Each figure from a record that was written for it.

use super::*;
use crate::domain::catalogue::Tier;
use crate::domain::id::{ChallengeId, EventId, Sha256Digest, WorkspaceId};
use crate::domain::ledger::{Entry, EventType, PolicyRule, Subject};
use crate::domain::policy::RiskScore;

const START: u64 = 1_790_000_000;
const DAY: u64 = 24 * 3600;

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(START + secs)
}

fn challenge(n: u8) -> Option<ChallengeId> {
    Some(ChallengeId::new(at(0), [n; 10]))
}

fn entry(event_type: EventType, secs: u64, subject: Subject) -> Entry {
    let workspace = WorkspaceId::default();
    Entry { event_id: EventId::new(at(secs), [1; 10]), event_type, at: at(secs), workspace, subject }
}

fn asked(act: &str) -> Subject {
    Subject {
        agent: Some("spiffe://atb.dev/agent/a".parse().unwrap()),
        act: Some(act.parse().unwrap()),
        tier: Some(Tier::Low),
        request_digest: Some(Sha256Digest::of(act.as_bytes())),
        rule: Some(PolicyRule::PoaDecision),
        ..Subject::default()
    }
}

fn denied(act: &str, reason: &str) -> Subject {
    Subject { allow: Some(false), reason: Some(reason.to_owned()), ..asked(act) }
}

fn allowed(act: &str) -> Subject {
    Subject { allow: Some(true), reason: Some("ok".to_owned()), ..asked(act) }
}

fn of(entries: &[Entry]) -> Report {
    let mut tally = Tally::new(at(0), at(DAY), None);
    entries.iter().for_each(|entry| tally.add(entry));
    tally.report(Integrity::Intact)
}

fn escalation(n: u8, secs: u64) -> Entry {
    entry(EventType::PoaChallengeCreated, secs, Subject { challenge_id: challenge(n), ..asked("sap.vendor.change") })
}

fn vote(n: u8, secs: u64, last: bool) -> Entry {
    let subject = Subject { challenge_id: challenge(n), allow: last.then_some(true), ..Subject::default() };
    entry(EventType::PoaApprovalRecorded, secs, subject)
}

#[test]
fn an_empty_record_has_no_rates_and_a_score_of_its_integrity_alone() {
    let report = of(&[]);
    assert_eq!((report.escalation_rate, report.override_rate, report.denial_rate), (None, None, None));
    assert_eq!((report.policy_coverage, report.risk.mean, report.response.p95_seconds), (None, None, None));
    assert_eq!(report.score.value, Some(100));
    assert_eq!(Tally::new(at(0), at(1), None).report(Integrity::NotVerified).score.value, None);
}

#[test]
fn a_mandate_minted_on_approvals_is_one_evaluation_and_one_mandate() {
    let minted = Subject { challenge_id: challenge(1), ..allowed("sap.vendor.change") };
    let report = of(&[
        escalation(1, 0),
        vote(1, 10, false),
        vote(1, 30, true),
        entry(EventType::PoaIssuedDualControl, 31, minted),
        entry(EventType::PoaIssued, 40, allowed("erp.order.read")),
        entry(EventType::BrokerDecision, 41, allowed("erp.order.read")),
    ]);
    let Volume { evaluations, requests, mandates, calls, .. } = report.volume;
    assert_eq!((evaluations, requests, mandates, calls), (3, 2, 2, 1));
    assert_eq!(report.escalation_rate, Share::new(1, 2));
    assert_eq!(report.override_rate, Share::new(1, 1));
    assert_eq!((report.response.first_mean_seconds, report.response.mean_seconds), (Some(10.0), Some(30.0)));
}

#[test]
fn an_escalation_that_began_before_the_period_is_timed_and_not_counted_as_one() {
    let mut tally = Tally::new(at(100), at(DAY), None);
    for entry in [escalation(1, 40), vote(1, 130, true)] {
        tally.add(&entry);
    }
    let report = tally.report(Integrity::Intact);
    assert_eq!(report.volume.requests, 0);
    assert_eq!((report.response.decided, report.response.mean_seconds), (1, Some(90.0)));
    assert_eq!(report.override_rate, Share::new(1, 1));
}

#[test]
fn what_was_rejected_or_ran_out_of_time_is_no_override_and_what_was_withdrawn_is_not_counted() {
    let ended = |kind, n, secs| entry(kind, secs, Subject { challenge_id: challenge(n), ..Subject::default() });
    let report = of(&[
        escalation(1, 0),
        escalation(2, 0),
        escalation(3, 0),
        escalation(4, 0),
        vote(1, 5, true),
        ended(EventType::PoaChallengeRejected, 2, 7),
        ended(EventType::PoaChallengeExpired, 3, 900),
        ended(EventType::PoaChallengeWithdrawn, 4, 9),
    ]);
    assert_eq!(report.override_rate, Share::new(1, 3));
    assert_eq!((report.response.decided, report.response.expired), (2, 1));
    assert_eq!(report.response.p95_seconds, Some(7.0));
}

#[test]
fn denials_are_a_share_of_all_evaluations_and_told_by_reason() {
    let report = of(&[
        entry(EventType::PoaDenied, 1, denied("erp.order.read", "leg_basis")),
        entry(EventType::BrokerDecision, 2, denied("erp.order.read", "limit_exceeded")),
        entry(EventType::BrokerDecision, 3, denied("erp.order.list", "limit_exceeded")),
        entry(EventType::BrokerDecision, 4, allowed("erp.vendor.read")),
    ]);
    assert_eq!(report.denial_rate, Share::new(3, 4));
    assert_eq!(report.denial_reasons, [("limit_exceeded".to_owned(), 2), ("leg_basis".to_owned(), 1)]);
}

#[test]
fn a_false_positive_was_denied_by_the_policy_and_allowed_unchanged_within_a_day() {
    let elsewhere = Subject { request_digest: Some(Sha256Digest::of(b"changed")), ..allowed("erp.order.list") };
    let by_form = Subject { rule: None, ..denied("erp.vendor.list", "mandate_invalid") };
    let report = of(&[
        entry(EventType::BrokerDecision, 1, denied("erp.order.read", "rate_limited")),
        entry(EventType::BrokerDecision, 2, denied("erp.order.list", "limit_exceeded")),
        entry(EventType::BrokerDecision, 3, by_form),
        entry(EventType::BrokerDecision, 9, allowed("erp.order.read")),
        entry(EventType::BrokerDecision, 10, elsewhere),
        entry(EventType::BrokerDecision, 11, allowed("erp.vendor.list")),
    ]);
    assert_eq!(report.false_positives.rate, Share::new(1, 2), "what was refused for its form is not followed");
    assert_eq!(report.false_positives.reasons, [("rate_limited".to_owned(), 1)]);

    let mut tally = Tally::new(at(0), at(3 * DAY), None);
    tally.add(&entry(EventType::BrokerDecision, 1, denied("erp.order.read", "rate_limited")));
    tally.add(&entry(EventType::BrokerDecision, DAY + 2, allowed("erp.order.read")));
    assert_eq!(tally.report(Integrity::Intact).false_positives.rate, Share::new(0, 1), "a day later it is another one");
}

#[test]
fn coverage_counts_acts_and_not_how_often_they_were_asked_for() {
    let unknown = Subject { tier: None, ..denied("erp.secret.dump", "unknown_act") };
    let mut entries = vec![entry(EventType::PoaDenied, 1, unknown)];
    entries.extend((0..9).map(|secs| entry(EventType::BrokerDecision, secs, allowed("erp.order.read"))));
    let report = of(&entries);
    assert_eq!(report.policy_coverage, Share::new(1, 2));
    assert_eq!(report.uncovered_acts, ["erp.secret.dump"]);
    assert_eq!(report.volume.by_tier, [("low".to_owned(), 9), ("unknown".to_owned(), 1)].into());
}

#[test]
fn other_workspaces_and_other_days_do_not_count() {
    let mut tally = Tally::new(at(10), at(20), Some(WorkspaceId::default()));
    let foreign = Entry {
        workspace: "other".parse().unwrap(),
        ..entry(EventType::BrokerDecision, 15, allowed("erp.order.read"))
    };
    for entry in [
        entry(EventType::BrokerDecision, 9, allowed("erp.order.read")),
        entry(EventType::BrokerDecision, 10, allowed("erp.order.read")),
        entry(EventType::BrokerDecision, 19, allowed("erp.order.read")),
        entry(EventType::BrokerDecision, 20, allowed("erp.order.read")),
        foreign,
    ] {
        tally.add(&entry);
    }
    assert_eq!(tally.report(Integrity::Intact).volume.calls, 2);
}

#[test]
fn a_broken_record_makes_the_score_nothing() {
    let mut tally = Tally::new(at(0), at(DAY), None);
    tally.add(&entry(EventType::BrokerDecision, 1, allowed("erp.order.read")));
    let score = tally.report(Integrity::Broken).score;
    assert_eq!(score.value, Some(0));
    assert_eq!(score.parts[0].points, Some(100.0), "the other parts are still told");
}

#[test]
fn the_score_weighs_what_can_be_judged() {
    let mut entries = Vec::new();
    for n in 0..20 {
        entries.push(escalation(n, 0));
        entries.push(vote(n, 1950, true));
    }
    let score = of(&entries).score;
    let points: Vec<_> = score.parts.iter().map(|part| part.points).collect();
    assert_eq!(points, [Some(100.0), Some(50.0), Some(50.0), Some(100.0)]);
    // 30 × 100 + 25 × 50 + 20 × 50 + 25 × 100, in per cent.
    assert_eq!(score.value, Some(78));
    entries.truncate(38);
    let score = of(&entries).score;
    assert_eq!(score.parts[2].points, None, "with fewer than twenty the share of approvals says nothing");
    // (30 × 100 + 25 × 50 + 25 × 100) / 80
    assert_eq!(score.value, Some(84));
}

#[test]
fn risk_is_told_in_fifths() {
    let scored = |score: u64| {
        let risk_score = Some(RiskScore::try_from(score).unwrap());
        entry(EventType::BrokerDecision, 1, Subject { risk_score, ..allowed("erp.order.read") })
    };
    let risk = of(&[scored(10), scored(10), scored(70)]).risk;
    assert_eq!((risk.scored, risk.buckets, risk.mean, risk.p95), (3, [2, 0, 0, 1, 0], Some(30.0), Some(70)));
}
