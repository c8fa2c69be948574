//! When it is tried again, and who is told of what.

use super::*;

fn schedule() -> RetrySchedule {
    RetrySchedule { pauses: vec![Duration::from_secs(10), Duration::from_secs(100)], max_age: Duration::from_secs(60) }
}

#[test]
fn a_pause_is_spread_by_a_tenth_and_no_more() {
    let now = Timestamp::from_secs(1_790_000_000);
    let pause = |jitter| schedule().next(1, now, now, jitter).unwrap().since(now).as_millis();
    assert!((9_000..9_050).contains(&pause(0)) && (10_950..=11_020).contains(&pause(255)), "{}", pause(255));
    assert!((0..=255).all(|jitter| (9_000..=11_020).contains(&pause(jitter))));
}

#[test]
fn it_ends_with_the_pauses_or_with_the_age() {
    let now = Timestamp::from_secs(1_790_000_000);
    assert!(schedule().next(1, now, now, 128).is_some());
    assert!(schedule().next(2, now, now, 128).is_none(), "older than a minute by then");
    assert!(schedule().next(1, now.minus(Duration::from_secs(55)), now, 128).is_none());
    let patient = RetrySchedule { max_age: Duration::from_secs(9999), ..schedule() };
    assert!(patient.next(2, now, now, 128).is_some() && patient.next(3, now, now, 128).is_none());
}

#[test]
fn nobody_is_told_of_an_approval_that_leaves_others_missing() {
    let entry = |event_type, allow| Entry {
        event_id: EventId::new(Timestamp::from_secs(1), [0; 10]),
        event_type,
        at: Timestamp::from_secs(1),
        workspace: WorkspaceId::default(),
        subject: Subject { allow, ..Subject::default() },
    };
    assert_eq!(NoticeKind::of(&entry(EventType::PoaApprovalRecorded, None)), None);
    assert_eq!(NoticeKind::of(&entry(EventType::PoaApprovalRecorded, Some(true))), Some(NoticeKind::Approved));
    let told = EventType::ALL.into_iter().filter(|kind| NoticeKind::of(&entry(*kind, Some(true))).is_some());
    assert!(told.clone().all(|kind| kind.as_str().starts_with("poa_")), "a dead letter is not itself told");
    assert!(told.count() >= 4);
}
