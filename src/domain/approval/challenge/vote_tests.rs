//! What [`has_room`] lets in fits into a mandate, and what it refuses would not have: real claims, really signed.

use josekit::jws::JwsHeader;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::approval::tests::{Key, challenge, now};
use crate::domain::catalogue::Tier;
use crate::domain::id::Jti;
use crate::domain::jose;
use crate::domain::mandate::Claims;

const ISSUER: &str = "spiffe://atb.dev/agentauth";

fn id(text: String) -> SpiffeId {
    text.parse().unwrap()
}

/// A text whose JSON is longer than itself.
fn prose(bytes: usize) -> String {
    "a\"ä".chars().cycle().take(bytes / 4 * 3 + 1).collect()
}

/// Everything whose length an agent, a template or the configuration chooses.
#[derive(Debug, Clone)]
struct Lengths {
    text: usize,
    references: usize,
    constraints: usize,
    path: usize,
    brokers: usize,
    name: usize,
    statements: Vec<usize>,
    tied: bool,
}

fn lengths() -> impl Strategy<Value = Lengths> {
    let statements = prop::collection::vec(prop_oneof![900..3500_usize, 2500..6000_usize, 7000..8193_usize], 1..5);
    (1..511_usize, 0..9_usize, 0..24_usize, 1..1000_usize, 1..17_usize, 1..80_usize, statements, any::<bool>())
        .prop_map(|(text, references, constraints, path, brokers, name, statements, tied)| Lengths {
            text,
            references,
            constraints,
            path,
            brokers,
            name,
            statements,
            tied,
        })
}

fn asked(lengths: &Lengths) -> Challenge {
    let challenge = challenge(u32::try_from(lengths.statements.len()).unwrap());
    let mut draft = serde_json::to_value(challenge.draft()).unwrap();
    let ask = &mut draft["ask"];
    ask["leg"]["description"] = json!(prose(lengths.text));
    ask["leg"]["ref"] = json!(prose(lengths.text / 2));
    ask["leg"]["regulation_refs"] = vec![prose(64); lengths.references].into();
    ask["con"] = (0..lengths.constraints).map(|i| (format!("parameter_{i}"), json!({"in": ["ä\\", i]}))).collect();
    match lengths.tied {
        true => ask["req"]["path"] = json!(format!("/{}", "p".repeat(lengths.path))),
        false => drop(ask.as_object_mut().unwrap().remove("req")),
    }
    let brokers =
        (0..lengths.brokers).map(|i| json!(format!("spiffe://atb.dev/broker/{i}/{}", "b".repeat(lengths.name))));
    draft["aud"] = Value::from_iter(brokers);
    Challenge::open(challenge.id(), serde_json::from_value(draft).unwrap(), now())
}

fn vote_of(lengths: &Lengths, which: usize, statement: usize) -> Vote {
    Vote {
        approver: id(format!("spiffe://atb.dev/approver/{which}/{}", "n".repeat(lengths.name))),
        person: format!("p-{which}").parse().unwrap(),
        roles: vec!["executive".to_owned().try_into().unwrap()],
        approved_at: now(),
        statement: "x".repeat(statement),
        stood_in_for: None,
        attested: crate::domain::attestation::Attested::default(),
    }
}

/// The length of the mandate on these votes.
fn mandate(challenge: &Challenge, votes: &[Vote]) -> usize {
    let (draft, ask) = (challenge.draft(), challenge.ask().clone());
    let claims = Claims {
        iss: id(ISSUER.to_owned()),
        sub: ask.sub,
        aud: draft.aud.clone(),
        act: ask.act,
        con: ask.con,
        leg: ask.leg.with(approvals(votes, draft.requirement.required >= 2)),
        iat: now().as_secs(),
        nbf: now().as_secs(),
        exp: now().as_secs() + 900,
        jti: Jti::new(now(), [9; 10]),
        tier: Tier::Critical,
        pol: draft.pol.clone(),
        req: ask.req,
    };
    let mut header = JwsHeader::new();
    header.set_token_type("poa+jwt");
    header.set_key_id("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    jose::sign(&header, &serde_json::to_vec(&claims).unwrap(), &Key::of(1)).unwrap().len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn votes_that_are_let_in_fit_into_a_mandate_and_none_is_refused_needlessly(lengths in lengths()) {
        let (mut challenge, issuer) = (asked(&lengths), id(ISSUER.to_owned()));
        let required = lengths.statements.len();
        for (which, statement) in lengths.statements.iter().enumerate() {
            let vote = vote_of(&lengths, which, *statement);
            let let_in = has_room(&challenge, &vote, &issuer);
            challenge.votes.push(vote);
            if let_in {
                continue;
            }
            // With those still missing as long as room is kept for them, the mandate is nearly too long at the least.
            let kept = kept(room(&challenge.draft, &issuer), required);
            for missing in which + 1..required {
                let rest = carried(&vote_of(&lengths, missing, 0));
                challenge.votes.push(vote_of(&lengths, missing, kept.saturating_sub(rest)));
            }
            let length = mandate(&challenge, &challenge.votes);
            prop_assert!(length > MAX_MANDATE_BYTES / 10 * 9, "refused, but {length} bytes");
            return Ok(());
        }
        let length = mandate(&challenge, &challenge.votes);
        prop_assert!(length <= MAX_MANDATE_BYTES, "let in, but {length} bytes");
    }
}

/// The property says little if all it tries are let in, or none.
#[test]
fn there_are_votes_on_either_side() {
    let small = |statement: usize| Lengths {
        text: 64,
        references: 1,
        constraints: 1,
        path: 32,
        brokers: 1,
        name: 8,
        statements: vec![statement; 2],
        tied: true,
    };
    let issuer = id(ISSUER.to_owned());
    let fits = |statement: usize| {
        let lengths = small(statement);
        let mut challenge = asked(&lengths);
        (0..2).all(|which| {
            let vote = vote_of(&lengths, which, statement);
            let fits = has_room(&challenge, &vote, &issuer);
            challenge.votes.push(vote);
            fits
        })
    };
    assert!(fits(3 * 1024) && fits(4 * 1024) && !fits(6 * 1024));
}
