//! The table of tests/vectors/statement/index.txt, the golden statement, and the challenge under any order of events.
//!
//! The signers here are those of the fixtures: the seeds of tests/it/vectors/people.rs.

use std::path::{Path, PathBuf};

use ed25519_dalek::{Signer as _, SigningKey};
use josekit::JoseError;
use josekit::jws::{JwsAlgorithm, JwsSigner};
use proptest::prelude::*;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::*;
use crate::domain::catalogue::Tier;
use crate::domain::id::{ChallengeId, Jti, Sha256Digest, StatementId};
use crate::domain::jose::Alg;
use crate::domain::leg::{Approvals, ApproverKind};
use crate::domain::policy::{Assessment, CountedApproval, RefusedApproval, Requirement};
use crate::domain::spiffe::{SpiffeId, TrustBundle, TrustBundles};
use crate::domain::time::Timestamp;

pub(crate) fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(kind)
}

pub(crate) fn read(kind: &str, name: &str) -> String {
    let path = folder(kind).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of an index: file and expected outcome.
pub(crate) fn rows(kind: &str) -> Vec<(String, String)> {
    let index = read(kind, "index.txt");
    let rows = index.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut fields = line.split_whitespace().map(str::to_owned);
        (fields.next().expect("a file"), fields.next().expect("an outcome"))
    });
    rows.collect()
}

pub(crate) fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-12-01T00:00:00Z").unwrap()
}

pub(crate) fn trust() -> TrustBundles {
    let pem = read("vectors/statement", "trust.pem");
    TrustBundle::parse_pem("atb.dev".parse().unwrap(), pem.as_bytes()).unwrap().into()
}

/// A key whose every byte is its seed.
#[derive(Debug, Clone)]
pub(crate) struct Key(pub SigningKey);

impl Key {
    pub(crate) fn of(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }
}

impl JwsSigner for Key {
    fn algorithm(&self) -> &dyn JwsAlgorithm {
        &Alg::EdDsa
    }

    fn key_id(&self) -> Option<&str> {
        None
    }

    fn signature_len(&self) -> usize {
        64
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        Ok(self.0.sign(message).to_bytes().to_vec())
    }

    fn box_clone(&self) -> Box<dyn JwsSigner> {
        Box::new(self.clone())
    }
}

/// A statement by `name` (bob or carol) over `sum`, as their own client would sign it.
pub(crate) fn signed(name: &str, statement: &Statement) -> String {
    let seed = if name == "bob" { 3 } else { 4 };
    statement.sign(&Key::of(seed), &chain(name)).unwrap()
}

/// The chain of bob or carol.
pub(crate) fn chain(name: &str) -> Vec<CertificateDer<'static>> {
    let pem = read("vectors/statement", &format!("{name}.pem"));
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}

pub(crate) fn statement(name: &str, cid: ChallengeId, sum: Sha256Digest) -> Statement {
    Statement {
        iss: format!("spiffe://atb.dev/approver/{name}").parse().unwrap(),
        sub: "spiffe://atb.dev/agent/procurement".parse().unwrap(),
        aud: "spiffe://atb.dev/agentauth".parse().unwrap(),
        cid,
        sum,
        view: view(),
        decision: Decision::Approve,
        iat: now().as_secs() - 60,
        exp: now().as_secs() + 3540,
        jti: StatementId::new(now(), [1; 10]),
        del: None,
        att: crate::domain::attestation::Attested::default(),
    }
}

/// The digest of what the fixtures' approvers were shown.
pub(crate) fn view() -> Sha256Digest {
    Sha256Digest::of(b"def")
}

fn outcome(jws: &str) -> String {
    let cid = "019ad741-0000-7000-8000-00000000c1d0".parse().unwrap();
    let verified =
        UnverifiedStatement::parse(jws).and_then(|statement| statement.verify(&trust(), now())).and_then(|s| {
            let (agent, agentauth) = ("spiffe://atb.dev/agent/procurement", "spiffe://atb.dev/agentauth");
            s.answers(cid, Sha256Digest::of(b"abc"), &agent.parse().unwrap(), &agentauth.parse().unwrap())?;
            s.shows(view())
        });
    verified.map_or_else(|error| error.code().to_owned(), |()| "ok".to_owned())
}

#[test]
fn every_statement_has_the_outcome_that_the_index_says() {
    let wrong: Vec<_> = rows("vectors/statement")
        .into_iter()
        .map(|(file, expected)| (outcome(&read("vectors/statement", &format!("{file}.jws"))), file, expected))
        .filter(|(outcome, _, expected)| outcome != expected)
        .collect();
    assert!(wrong.is_empty(), "outcome, file, expected: {wrong:#?}");
}

#[test]
fn a_statement_is_written_as_others_parse_it() {
    let claims = read("golden", "statement-claims.json");
    let statement: Statement = serde_json::from_str(&claims).unwrap();
    assert_eq!(serde_json::to_string(&statement).unwrap(), claims);
    assert_eq!(signed("bob", &statement), read("golden", "statement.jws"));
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&claims).unwrap();
    assert_eq!(
        members.keys().map(String::as_str).collect::<std::collections::BTreeSet<_>>(),
        ["aud", "cid", "decision", "exp", "iat", "iss", "jti", "sub", "sum", "view"].into(),
    );
}

#[test]
fn no_character_of_a_statement_can_be_changed() {
    let good = read("golden", "statement.jws");
    assert_eq!(outcome(&good), "ok");
    for at in (0..good.len()).step_by(7) {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert_ne!(outcome(&String::from_utf8(bytes).unwrap()), "ok", "character {at}");
    }
}

/// Two people may approve; Bob has a second identity, which is Carol's key here.
pub(crate) fn assessment(challenge: &Challenge, approver: &SpiffeId, person_of: fn(&str) -> &str) -> Assessment {
    let mut ids: Vec<SpiffeId> = challenge.votes().iter().map(|vote| vote.approver.clone()).collect();
    if !ids.contains(approver) {
        ids.push(approver.clone());
    }
    let (mut counted, mut refused): (Vec<CountedApproval>, Vec<RefusedApproval>) = (Vec::new(), Vec::new());
    for id in ids {
        let person = person_of(id.as_str()).parse().unwrap();
        if counted.iter().any(|c| c.person == person) {
            refused.push(RefusedApproval { id, reason: "same_person".to_owned() });
        } else {
            counted.push(CountedApproval { id, person, roles: Vec::new(), on_behalf_of: None });
        }
    }
    let approved = u32::try_from(counted.len()).unwrap();
    let required = challenge.draft().requirement.required;
    let met = approved >= required;
    Assessment { counted, refused, approved, required, roles_missing: Default::default(), met, fault: None }
}

/// A mandate on every vote.
pub(crate) fn redeem(approved: ApprovedChallenge, at: Timestamp) -> Result<(Challenge, Approvals), NotEnough> {
    let challenge = approved.as_challenge();
    let assessment = assessment(challenge, &challenge.votes()[0].approver, two_people);
    approved.redeem(&assessment, Jti::new(at, [9; 10]), at)
}

pub(crate) fn two_people(id: &str) -> &str {
    if id.ends_with("bob") { "bob" } else { "carol" }
}

fn one_person(_: &str) -> &str {
    "bob"
}

pub(crate) fn challenge(required: u32) -> Challenge {
    let claims: serde_json::Value = serde_json::from_str(&read("golden", "mandate-claims.json")).unwrap();
    let mut leg = claims["leg"].clone();
    leg.as_object_mut().unwrap().remove("dual_control");
    let ask = serde_json::json!({
        "sub": claims["sub"], "act": claims["act"], "con": claims["con"], "leg": leg, "req": claims["req"], "ttl": 300,
    });
    let draft = ChallengeDraft {
        ask: serde_json::from_value(ask).unwrap(),
        call: None,
        view: serde_json::from_value(serde_json::json!({
            "v": 1, "title": "t", "tier": "high", "sentence": "s", "facts": [],
        }))
        .unwrap(),
        workspace: crate::domain::id::WorkspaceId::default(),
        tier: Tier::High,
        aud: vec!["spiffe://atb.dev/broker".parse().unwrap()],
        requirement: Requirement {
            required,
            roles: Default::default(),
            excluded: Vec::new(),
            delegable: true,
            ticket: false,
            challenge_seconds: 3600,
            max_ttl_seconds: 300,
        },
        requires_dual_control: false,
        asked: Vec::new(),
        pol: "2026.12.01".parse().unwrap(),
        free_form_leg: false,
        reask_of: None,
    };
    Challenge::open(ChallengeId::new(now(), [7; 10]), draft, now())
}

/// What may happen to a challenge, in any order and any number of times.
#[derive(Debug, Clone, Copy)]
enum Event {
    Bob,
    Carol,
    Reject,
    Redeem,
    Hour,
    Sweep,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => Just(Event::Bob), 6 => Just(Event::Carol), 1 => Just(Event::Reject), 3 => Just(Event::Redeem), 1 => Just(Event::Hour), 1 => Just(Event::Sweep),
    ];
    proptest::collection::vec(event, 0..16)
}

/// Plays the events; returns the challenge and how many mandates it yielded.
fn play(events: &[Event], person_of: fn(&str) -> &str, statements: &[VerifiedStatement; 2]) -> (Challenge, usize) {
    let (mut challenge, mut redeemed, mut at) = (challenge(2), 0, now());
    for event in events {
        let stored = challenge.clone();
        let next = match event {
            Event::Bob | Event::Carol => {
                let statement = &statements[usize::from(matches!(event, Event::Carol))];
                let assessment = assessment(&stored, statement.approver(), person_of);
                stored
                    .pending(at)
                    .ok()
                    .and_then(|pending| pending.approve(statement, &assessment, at).ok())
                    .map(Voted::into_challenge)
            }
            Event::Reject => {
                let by = statements[0].approver().clone();
                stored.pending(at).ok().map(|pending| pending.reject(by, "no".to_owned().try_into().unwrap(), at))
            }
            Event::Redeem => stored.approved(at).ok().map(|approved| {
                redeemed += 1;
                let (challenge, approvals) = redeem(approved, at).unwrap();
                assert!(matches!(approvals, Approvals::Dual(both) if both.len() == 2));
                challenge
            }),
            Event::Hour => {
                at = at.plus(std::time::Duration::from_secs(3600));
                None
            }
            Event::Sweep => Some(stored.expire(at)),
        };
        let voted = matches!(event, Event::Bob | Event::Carol | Event::Reject | Event::Redeem);
        assert!(!(voted && next.is_some() && at >= challenge.expires_at()), "{event:?} after its time");
        challenge = next.unwrap_or(challenge);
    }
    (challenge, redeemed)
}

fn vote(challenge: Challenge, statement: &VerifiedStatement) -> Result<Voted, VoteRefused> {
    let assessment = assessment(&challenge, statement.approver(), two_people);
    challenge.pending(now()).unwrap().approve(statement, &assessment, now())
}

#[test]
fn an_identity_counts_once() {
    let [bob, _] = both();
    let challenge = vote(challenge(2), &bob).unwrap().into_challenge();
    assert_eq!(vote(challenge, &bob).unwrap_err(), VoteRefused::AlreadyCounted);
}

#[test]
fn who_was_not_asked_does_not_count() {
    let ([bob, carol], challenge) = (both(), challenge(2));
    let draft = ChallengeDraft { asked: vec![carol.approver().clone()], ..challenge.draft().clone() };
    let challenge = Challenge::open(challenge.id(), draft, now());
    assert_eq!(vote(challenge.clone(), &bob).unwrap_err(), VoteRefused::NotAsked);
    assert_eq!(vote(challenge, &carol).unwrap().into_challenge().votes().len(), 1);
}

#[test]
fn one_approval_is_enough_where_one_is_asked_for() {
    let challenge = vote(challenge(1), &both()[0]).unwrap().into_challenge();
    let (challenge, approvals) = redeem(challenge.approved(now()).unwrap(), now()).unwrap();
    assert!(matches!(approvals, Approvals::Single(_)));
    assert_eq!(challenge.approved(now()).unwrap_err(), ChallengeClosed::Redeemed);
}

#[test]
fn a_vote_that_does_not_count_any_more_is_not_carried_and_its_absence_is_not_made_up_for() {
    let votes = |assess: fn(&mut Assessment)| {
        let mut challenge = challenge(2);
        for statement in &both() {
            challenge = vote(challenge, statement).unwrap().into_challenge();
        }
        let mut now_counted = assessment(&challenge, &challenge.votes()[0].approver, two_people);
        assess(&mut now_counted);
        challenge.approved(now()).unwrap().redeem(&now_counted, Jti::new(now(), [9; 10]), now())
    };
    assert!(matches!(votes(|_| {}), Ok((_, Approvals::Dual(both))) if both.len() == 2));
    // Bob left.
    let left = |now: &mut Assessment| drop(now.counted.remove(0));
    assert_eq!(
        votes(|now| {
            now.counted.remove(0);
            now.met = false;
        })
        .unwrap_err(),
        NotEnough
    );
    let (redeemed, carried) = votes(left).unwrap();
    assert!(matches!(carried, Approvals::Dual(one) if one.len() == 1 && one[0].id.as_str().ends_with("carol")));
    assert_eq!(redeemed.votes().len(), 1);
    // One approval is enough by now.
    assert!(matches!(
        votes(|now| {
            now.counted.remove(0);
            now.required = 1;
        }),
        Ok((_, Approvals::Single(_)))
    ));
    // Who never voted is nobody's approval, and neither is a vote counted for another than it was given for.
    let nobody = |now: &mut Assessment| now.counted[1].id = "spiffe://atb.dev/approver/alice".parse().unwrap();
    assert_eq!(votes(nobody).unwrap_err(), NotEnough);
    let stand_in = |now: &mut Assessment| now.counted[1].on_behalf_of = Some("alice".parse().unwrap());
    assert_eq!(votes(stand_in).unwrap_err(), NotEnough);
    // An executive who is none any more is not called one.
    let executive = |now: &mut Assessment| now.counted[0].roles = vec!["executive".to_owned().try_into().unwrap()];
    let (redeemed, carried) = votes(executive).unwrap();
    assert!(matches!(carried, Approvals::Dual(both) if both[0].kind == ApproverKind::Executive));
    assert_eq!(redeemed.votes()[0].roles.len(), 1);
}

pub(crate) fn both() -> [VerifiedStatement; 2] {
    let challenge = challenge(2);
    ["bob", "carol"].map(|name| {
        let jws = signed(name, &statement(name, challenge.id(), challenge.ask().sum()));
        UnverifiedStatement::parse(&jws).unwrap().verify(&trust(), now()).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_events_yields_two_mandates_or_a_wrong_count(events in events()) {
        let (challenge, redeemed) = play(&events, two_people, &both());
        prop_assert!(redeemed <= 1);
        prop_assert_eq!(redeemed == 1, challenge.state() == ChallengeState::Redeemed);
        let people: std::collections::BTreeSet<_> = challenge.votes().iter().map(|vote| &vote.person).collect();
        prop_assert_eq!(people.len(), challenge.votes().len());
        match challenge.state() {
            ChallengeState::Pending => prop_assert!(people.len() < 2),
            ChallengeState::Approved | ChallengeState::Redeemed => prop_assert_eq!(people.len(), 2),
            ChallengeState::Rejected | ChallengeState::Expired | ChallengeState::Withdrawn => prop_assert_eq!(redeemed, 0),
        }
    }

    #[test]
    fn one_person_through_two_identities_never_suffices(events in events()) {
        let (challenge, redeemed) = play(&events, one_person, &both());
        prop_assert_eq!(redeemed, 0);
        prop_assert!(challenge.votes().len() <= 1);
        prop_assert!(!matches!(challenge.state(), ChallengeState::Approved | ChallengeState::Redeemed));
    }
}
