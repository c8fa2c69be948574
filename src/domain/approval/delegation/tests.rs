//! The table of tests/vectors/delegation/index.txt, the golden delegation, and who is used up by whom.

use proptest::prelude::*;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::*;
use crate::domain::approval::tests::{Key, challenge, folder, now, read, rows, signed, statement};
use crate::domain::approval::{
    Challenge, ChallengeDraft, Statement, UnverifiedStatement, VerifiedStatement, VoteRefused, Voted,
};
use crate::domain::policy::{Assessment, CountedApproval};
use crate::domain::spiffe::TrustBundle;

fn trust() -> TrustBundles {
    let pem = read("vectors/delegation", "trust.pem");
    TrustBundle::parse_pem("atb.dev".parse().unwrap(), pem.as_bytes()).unwrap().into()
}

fn chain(file: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(read("vectors", file).as_bytes()).map(Result::unwrap).collect()
}

fn id(name: &str) -> SpiffeId {
    format!("spiffe://atb.dev/{name}").parse().unwrap()
}

/// What a statement of Bob's, good from a minute ago until in 59 minutes, makes of a delegation.
fn outcome(jws: &str) -> String {
    let secs = Duration::from_secs;
    UnverifiedDelegation::parse(jws)
        .and_then(|delegation| delegation.verify(&trust(), now(), &[]))
        .and_then(|verified| {
            let (from, until) = (now().minus(secs(60)), now().plus(secs(3540)));
            verified.lets(&id("approver/bob"), &id("agentauth"), from, until)
        })
        .map_or_else(|error| error.code().to_owned(), |()| "ok".to_owned())
}

#[test]
fn every_delegation_has_the_outcome_that_the_index_says() {
    let rows = rows("vectors/delegation");
    assert!(rows.len() > 60 && folder("vectors/delegation").exists());
    let wrong: Vec<_> = rows
        .into_iter()
        .map(|(file, expected)| (outcome(&read("vectors/delegation", &format!("{file}.jws"))), file, expected))
        .filter(|(outcome, _, expected)| outcome != expected)
        .collect();
    assert!(wrong.is_empty(), "outcome, file, expected: {wrong:#?}");
}

fn golden() -> Delegation {
    serde_json::from_str(&read("golden", "delegation-claims.json")).unwrap()
}

/// As Carol's own client signs it.
fn by_carol(delegation: &Delegation) -> String {
    delegation.sign(&Key::of(4), &chain("statement/carol.pem")).unwrap()
}

#[test]
fn a_delegation_is_written_as_others_parse_it() {
    assert_eq!(serde_json::to_string(&golden()).unwrap(), read("golden", "delegation-claims.json"));
    assert_eq!(by_carol(&golden()), read("golden", "delegation.jws"));
}

#[test]
fn no_character_of_a_delegation_can_be_changed() {
    let good = read("golden", "delegation.jws");
    assert_eq!(outcome(&good), "ok");
    for at in (0..good.len()).step_by(7) {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert_ne!(outcome(&String::from_utf8(bytes).unwrap()), "ok", "character {at}");
    }
}

#[test]
fn nobody_signs_what_no_reader_would_believe() {
    let signs = |delegation: Delegation| {
        delegation.sign(&Key::of(4), &chain("statement/carol.pem")).map_err(|error| error.code())
    };
    let long: Vec<_> = (0..32).map(|i| format!("a{}.b{i}", "x".repeat(110)).try_into().unwrap()).collect();
    for (delegation, code) in [
        (Delegation { sub: golden().iss, ..golden() }, "delegation_to_self"),
        (Delegation { exp: golden().iat + 30 * 86_400 + 1, ..golden() }, "delegation_lifetime"),
        (Delegation { workspaces: Vec::new(), ..golden() }, "delegation_scope_malformed"),
        (Delegation { acts: long, ..golden() }, "delegation_malformed"),
    ] {
        assert_eq!(signs(delegation), Err(code));
    }
}

#[test]
fn a_delegation_of_its_leaf_alone_borrows_the_statements_intermediates() {
    let (bobs, carols) = (chain("delegation/bob-chain.pem"), chain("delegation/carol-chain.pem"));
    let del = golden().sign(&Key::of(4), &carols[..1]).unwrap();
    let statement = Statement { del: Some(del), ..statement("bob", challenge(2).id(), challenge(2).ask().sum()) };
    let verify = |chain: &[CertificateDer<'_>]| {
        let jws = statement.sign(&Key::of(3), chain).unwrap();
        UnverifiedStatement::parse(&jws).unwrap().verify(&trust(), now()).map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(verify(&bobs), Ok(()));
    // Another statement has nothing to lend; and what is lent vouches for nobody.
    assert_eq!(verify(&chain("statement/bob.pem")), Err("delegation_chain"));
    let stranger = Delegation { iss: id("approver/bob"), sub: id("approver/carol"), ..golden() };
    let self_made = stranger.sign(&Key::of(4), &chain("statement/carol.pem")).unwrap();
    let verified = UnverifiedDelegation::parse(&self_made).unwrap().verify(&trust(), now(), &bobs[1..]);
    assert_eq!(verified.unwrap_err().code(), "delegation_issuer");
}

/// A statement by `name` over the challenge's content, for Carol where `del` is given.
fn given(challenge: &Challenge, name: &str, del: Option<&Delegation>) -> VerifiedStatement {
    let plain = statement(name, challenge.id(), challenge.ask().sum());
    let jws = signed(name, &Statement { del: del.map(by_whom), ..plain });
    UnverifiedStatement::parse(&jws).unwrap().verify(&trust(), now()).unwrap()
}

/// Signed by its issuer, Bob or Carol.
fn by_whom(delegation: &Delegation) -> String {
    if delegation.iss == id("approver/carol") {
        return by_carol(delegation);
    }
    delegation.sign(&Key::of(3), &chain("statement/bob.pem")).unwrap()
}

/// A policy that counts whoever signs, under the persons that `person_of` says.
fn counts(statement: &VerifiedStatement, person_of: fn(&str) -> &str) -> Assessment {
    let person = |id: &SpiffeId| person_of(id.as_str().rsplit('/').next().unwrap()).parse().unwrap();
    let counted = CountedApproval {
        id: statement.approver().clone(),
        person: person(statement.approver()),
        roles: Vec::new(),
        on_behalf_of: statement.delegation().map(|delegation| person(delegation.delegator())),
    };
    Assessment {
        counted: vec![counted],
        met: false,
        ..Assessment::fault(crate::domain::policy::PolicyFault::Undefined)
    }
}

fn vote(challenge: Challenge, statement: &VerifiedStatement) -> Result<Voted, VoteRefused> {
    let assessment = counts(statement, |name| name);
    challenge.pending(now()).unwrap().approve(statement, &assessment, now())
}

#[test]
fn a_delegated_vote_uses_up_delegate_and_delegator() {
    let fresh = challenge(2);
    let bob_for_carol = given(&fresh, "bob", Some(&golden()));
    let after = vote(fresh.clone(), &bob_for_carol).unwrap().into_challenge();
    assert_eq!(after.votes().len(), 1);
    for name in ["bob", "carol"] {
        let own = given(&fresh, name, None);
        assert_eq!(vote(after.clone(), &own).unwrap_err(), VoteRefused::AlreadyCounted, "{name} after");
        let before = vote(fresh.clone(), &own).unwrap().into_challenge();
        assert_eq!(vote(before, &bob_for_carol).unwrap_err(), VoteRefused::AlreadyCounted, "{name} before");
    }
}

#[test]
fn a_delegator_who_is_the_delegate_under_another_name_does_not_count() {
    let fresh = challenge(2);
    let statement = given(&fresh, "bob", Some(&golden()));
    let one = counts(&statement, |_| "bob");
    let refused = fresh.pending(now()).unwrap().approve(&statement, &one, now()).unwrap_err();
    assert_eq!(refused, VoteRefused::NotCounted("same_person".to_owned()));
}

#[test]
fn a_policy_that_knows_no_delegation_counts_no_delegate() {
    let fresh = challenge(2);
    let statement = given(&fresh, "bob", Some(&golden()));
    let mut ignorant = counts(&statement, |name| name);
    ignorant.counted[0].on_behalf_of = None;
    let refused = fresh.clone().pending(now()).unwrap().approve(&statement, &ignorant, now()).unwrap_err();
    assert_eq!(refused, VoteRefused::NotAssessed);
    // Nor does one that says so of an approver who acts for herself.
    let own = given(&fresh, "bob", None);
    let mut mistaken = counts(&own, |name| name);
    mistaken.counted[0].on_behalf_of = Some("carol".parse().unwrap());
    assert_eq!(fresh.pending(now()).unwrap().approve(&own, &mistaken, now()).unwrap_err(), VoteRefused::NotAssessed);
}

#[test]
fn a_scope_is_kept_whatever_the_policy_says() {
    let fresh = challenge(2);
    let refused = |delegation: Delegation| vote(fresh.clone(), &given(&fresh, "bob", Some(&delegation))).unwrap_err();
    let acts = |pattern: &str| vec![pattern.to_owned().try_into().unwrap()];
    assert_eq!(
        refused(Delegation { tiers: vec![Tier::Critical], ..golden() }),
        VoteRefused::OutOfScope(OutOfScope::Tier)
    );
    assert_eq!(refused(Delegation { acts: acts("erp.*"), ..golden() }), VoteRefused::OutOfScope(OutOfScope::Act));
    let other = vec!["team-b".parse().unwrap()];
    assert_eq!(refused(Delegation { workspaces: other, ..golden() }), VoteRefused::OutOfScope(OutOfScope::Workspace));
    let wide = Delegation { acts: acts("*"), tiers: Tier::ALL.to_vec(), ..golden() };
    assert!(vote(fresh.clone(), &given(&fresh, "bob", Some(&wide))).is_ok());
}

#[test]
fn where_people_were_named_the_one_who_is_stood_in_for_must_be_among_them() {
    let plain = challenge(2);
    let asked = |name: &str| {
        let draft = ChallengeDraft { asked: vec![id(name)], ..plain.draft().clone() };
        Challenge::open(plain.id(), draft, now())
    };
    let statement = given(&plain, "bob", Some(&golden()));
    assert!(vote(asked("approver/carol"), &statement).is_ok());
    assert_eq!(vote(asked("approver/bob"), &statement).unwrap_err(), VoteRefused::NotAsked);
}

#[test]
fn a_stored_vote_keeps_whom_it_was_given_for() {
    let fresh = challenge(2);
    let stood_in = vote(fresh.clone(), &given(&fresh, "bob", Some(&golden()))).unwrap().into_challenge();
    let stored: Challenge = serde_json::from_str(&serde_json::to_string(&stood_in).unwrap()).unwrap();
    assert_eq!(stored, stood_in);
    assert_eq!(
        stored.approval_facts()[0].on_behalf_of,
        Some(given(&fresh, "bob", Some(&golden())).fact().on_behalf_of.unwrap())
    );
    let own = vote(fresh.clone(), &given(&fresh, "bob", None)).unwrap().into_challenge();
    let text = serde_json::to_string(&own).unwrap();
    assert!(!text.contains("stood_in_for"), "{text}");
    assert!(
        serde_json::from_str::<Challenge>(
            &text.replace(r#""statement":"ey"#, r#""stood_in_for":null,"statement":"ey"#)
        )
        .is_err()
    );
}

#[test]
fn a_statement_that_leaves_no_room_for_the_others_is_refused_when_it_is_given() {
    let refused = |name: &str, seed: u8, of: Delegation, after: Challenge| {
        let acts = (0..32).map(|i| format!("a{}.b{i}", "x".repeat(40)).try_into().unwrap());
        let acts = std::iter::once("*".to_owned().try_into().unwrap()).chain(acts.take(31)).collect();
        let wide = Delegation { acts, ..of };
        let del = wide
            .sign(&Key::of(seed), &chain(&format!("statement/{}.pem", wide.iss.as_str().rsplit('/').next().unwrap())));
        let plain = statement(name, after.id(), after.ask().sum());
        let jws = signed(name, &Statement { del: Some(del.unwrap()), ..plain });
        vote(after, &UnverifiedStatement::parse(&jws).unwrap().verify(&trust(), now()).unwrap())
    };
    // Beside one plain statement it fits; beside another of its length it would not.
    let fresh = challenge(2);
    let first = refused("bob", 4, Delegation { iss: id("approver/carol"), ..golden() }, fresh.clone()).unwrap();
    let third = challenge(3);
    assert_eq!(refused("bob", 4, golden(), third).unwrap_err(), VoteRefused::TooLong);
    assert_eq!(first.into_challenge().votes().len(), 1);
}

fn other_way_round() -> Delegation {
    Delegation { iss: golden().sub, sub: golden().iss, ..golden() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_votes_uses_a_person_twice(order in proptest::collection::vec(0_usize..4, 0..8)) {
        let mut challenge = challenge(2);
        let all = [
            given(&challenge, "bob", None),
            given(&challenge, "carol", None),
            given(&challenge, "bob", Some(&golden())),
            given(&challenge, "carol", Some(&other_way_round())),
        ];
        for one in order {
            challenge = vote(challenge.clone(), &all[one]).map_or(challenge, Voted::into_challenge);
        }
        let votes = challenge.votes();
        let mut people: Vec<_> = votes.iter().map(|vote| vote.person.clone()).collect();
        people.extend(votes.iter().filter_map(|vote| vote.stood_in_for.as_ref()).map(|other| other.person.clone()));
        let used = people.len();
        people.sort();
        people.dedup();
        prop_assert_eq!(people.len(), used);
    }

    #[test]
    fn no_text_breaks_the_parser(text in ".{0,400}") {
        prop_assert!(UnverifiedDelegation::parse(&text).is_err());
    }

    #[test]
    fn no_payload_breaks_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        use base64ct::{Base64UrlUnpadded, Encoding as _};
        let golden = read("golden", "delegation.jws");
        let header = golden.split('.').next().unwrap();
        let jws = format!("{header}.{}.AAAA", Base64UrlUnpadded::encode_string(&bytes));
        prop_assert!(UnverifiedDelegation::parse(&jws).is_err());
    }

    #[test]
    fn no_cut_or_splice_of_a_delegation_is_one(at in any::<prop::sample::Index>(), len in 0_usize..40, put in "[A-Za-z0-9._=\" {}-]{0,40}") {
        let golden = read("golden", "delegation.jws");
        let at = at.index(golden.len());
        let end = at.saturating_add(len).min(golden.len());
        let spliced = format!("{}{put}{}", &golden[..at], &golden[end..]);
        prop_assert!(spliced == golden || outcome(&spliced) != "ok", "{}", spliced);
    }
}
