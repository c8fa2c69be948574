//! The whole life of a chain of challenges against a model that knows nothing of votes, statements or states but what
//! the documentation says.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::tests::{assessment, both, challenge, now, redeem, two_people};
use super::*;
use crate::domain::id::ChallengeId;
use crate::domain::time::Timestamp;

/// What may happen to one of the challenges of a chain, in any order and any number of times.
#[derive(Debug, Clone, Copy)]
enum Event {
    Vote(usize),
    Reject,
    Withdraw,
    Redeem,
    Sweep,
    Reask,
    Restart,
    Minutes(u64),
}

fn events() -> impl Strategy<Value = Vec<(usize, Event)>> {
    let event = prop_oneof![
        8 => (0_usize..2).prop_map(Event::Vote), 1 => Just(Event::Reject), 2 => Just(Event::Withdraw),
        4 => Just(Event::Redeem), 2 => Just(Event::Sweep), 5 => Just(Event::Reask), 3 => Just(Event::Restart),
        2 => (1_u64..90).prop_map(Event::Minutes),
    ];
    proptest::collection::vec((0_usize..4, event), 0..40)
}

/// What a challenge should be.
#[derive(Debug)]
struct Model {
    state: ChallengeState,
    people: BTreeSet<usize>,
    until: Timestamp,
    nth: u32,
    asked_again: bool,
    mandates: usize,
}

impl Model {
    fn opened(at: Timestamp, nth: u32) -> Self {
        let until = at.plus(Duration::from_secs(3600));
        Self { state: ChallengeState::Pending, people: BTreeSet::new(), until, nth, asked_again: false, mandates: 0 }
    }

    /// Whether `event` should happen at `at`; the model moves on if so.
    fn takes(&mut self, event: Event, at: Timestamp) -> bool {
        use ChallengeState::{Approved, Expired, Pending, Redeemed, Rejected, Withdrawn};
        let in_time = at < self.until;
        match (event, self.state) {
            (Event::Vote(person), Pending) if in_time && self.people.insert(person) => {
                if self.people.len() == 2 {
                    self.state = Approved;
                }
            }
            (Event::Reject, Pending) if in_time => self.state = Rejected,
            (Event::Withdraw, Pending | Approved) if in_time => self.state = Withdrawn,
            (Event::Redeem, Approved) if in_time => {
                self.state = Redeemed;
                self.mandates += 1;
            }
            (Event::Sweep, Pending | Approved) if !in_time => self.state = Expired,
            (Event::Reask, Rejected | Expired | Withdrawn) if !self.asked_again && self.nth < 3 => {
                self.asked_again = true;
            }
            _ => return false,
        }
        true
    }
}

/// The challenge after `event`, or none where it is refused.
fn apply(stored: Challenge, event: Event, at: Timestamp, statements: &[VerifiedStatement; 2]) -> Option<Challenge> {
    let text = |text: &str| text.parse().unwrap();
    match event {
        Event::Vote(who) => {
            let statement = &statements[who];
            let assessment = assessment(&stored, statement.approver(), two_people);
            stored.pending(at).ok()?.approve(statement, &assessment, at).ok().map(Voted::into_challenge)
        }
        Event::Reject => {
            Some(stored.pending(at).ok()?.reject(statements[0].approver().clone(), text("not this vendor"), at))
        }
        Event::Withdraw => stored.withdraw(text("not needed any more"), at).ok(),
        Event::Redeem => {
            let (redeemed, approvals) = redeem(stored.approved(at).ok()?, at).ok()?;
            assert!(matches!(approvals, crate::domain::leg::Approvals::Dual(both) if both.len() == 2));
            Some(redeemed)
        }
        Event::Sweep => {
            let before = stored.clone();
            Some(stored.expire(at)).filter(|swept| *swept != before)
        }
        Event::Reask | Event::Restart | Event::Minutes(_) => unreachable!("played on the chain"),
    }
}

/// Asks again for `stored`: it with its successor's name, and the successor.
fn reask(stored: Challenge, at: Timestamp, id: ChallengeId) -> Option<(Challenge, Challenge)> {
    let ended = stored.ended().ok()?;
    let draft = ChallengeDraft { reask_of: Some(ended.reask_of()), ..ended.as_challenge().draft().clone() };
    Some((ended.reasked_as(id), Challenge::open(id, draft, at)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_interleaving_yields_two_mandates_a_wrong_count_or_two_successors(events in events()) {
        let statements = both();
        let (mut at, mut chain, mut models) = (now(), vec![challenge(2)], vec![Model::opened(now(), 0)]);
        for (which, event) in events {
            let which = which % chain.len();
            let stored = chain[which].clone();
            match event {
                Event::Minutes(minutes) => at = at.plus(Duration::from_secs(60 * minutes)),
                Event::Restart => {
                    let json = serde_json::to_string(&stored).unwrap();
                    chain[which] = serde_json::from_str(&json).unwrap();
                    prop_assert_eq!(&chain[which], &stored);
                }
                Event::Reask => {
                    let successor = ChallengeId::new(at, [u8::try_from(chain.len()).unwrap(); 10]);
                    let asked = reask(stored, at, successor);
                    prop_assert_eq!(asked.is_some(), models[which].takes(event, at), "{:?}", models[which]);
                    if let Some((earlier, next)) = asked {
                        prop_assert!(next.votes().is_empty());
                        models.push(Model::opened(at, models[which].nth + 1));
                        chain[which] = earlier;
                        chain.push(next);
                    }
                }
                _ => {
                    let next = apply(stored, event, at, &statements);
                    prop_assert_eq!(next.is_some(), models[which].takes(event, at), "{:?} {:?}", event, models[which]);
                    chain[which] = next.unwrap_or_else(|| chain[which].clone());
                }
            }
        }
        prop_assert!(chain.len() <= 4, "asked again more than three times");
        for (challenge, model) in chain.iter().zip(&models) {
            prop_assert_eq!(challenge.state(), model.state);
            prop_assert_eq!(challenge.votes().len(), model.people.len());
            prop_assert!(model.mandates <= 1);
            prop_assert_eq!(challenge.successor().is_some(), model.asked_again);
        }
        for pair in chain.windows(2) {
            prop_assert_eq!(pair[0].successor(), Some(pair[1].id()));
            prop_assert_eq!(pair[1].draft().reask_of.map(|reask| reask.challenge), Some(pair[0].id()));
        }
    }
}

#[test]
fn every_way_to_end_is_told_apart_by_whoever_comes_later() {
    let text = |text: &str| text.parse().unwrap();
    let by = both()[0].approver().clone();
    let late = now().plus(Duration::from_secs(3600));
    let ended = [
        challenge(2).pending(now()).unwrap().reject(by, text("no"), now()),
        challenge(2).withdraw(text("no"), now()).unwrap(),
        challenge(2).expire(late),
        challenge(2),
    ];
    let said: Vec<_> = ended.into_iter().map(|c| format!("{:?}", c.approved(now()).unwrap_err())).collect();
    assert_eq!(said.iter().collect::<BTreeSet<_>>().len(), said.len(), "{said:?}");
}

#[test]
fn what_is_missing_counts_people_and_names_who_was_asked() {
    let [bob, carol] = both();
    let fresh = challenge(2);
    let asked = vec![bob.approver().clone(), carol.approver().clone()];
    let draft = ChallengeDraft { asked: asked.clone(), ..fresh.draft().clone() };
    let fresh = Challenge::open(fresh.id(), draft, now());
    let missing = Missing::of(&fresh);
    assert_eq!((missing.approvals, &missing.approvers, missing.until), (2, &asked, fresh.expires_at()));
    let assessed = assessment(&fresh, bob.approver(), two_people);
    let voted = fresh.pending(now()).unwrap().approve(&bob, &assessed, now()).unwrap().into_challenge();
    let missing = Missing::of(&voted);
    assert_eq!((missing.approvals, missing.approvers), (1, vec![carol.approver().clone()]));
}
