//! Laws of counting, over generated directories and approvals, in the engine that decides.
//!
//! First come, first counted has one consequence that no rule can avoid: an approval on behalf of another uses up two
//! people, so where it comes before the approvals of both of them it counts once where they would have counted twice.
//! Laws about the set of approvals are therefore stated for approvals that share no people; laws about one more, or one
//! fewer, at the end of the list, and about those that do not count, hold for all.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use serde_json::{Map, Value, json};

use super::{ACTS, Case, Evaluator, REQUESTER, id_of, noon, ready, shipped};
use crate::domain::policy::engine::value;
use crate::domain::policy::{Assessment, Requirement};

/// The person behind each identity: two have two, then the operator and the accountable party.
const IDENTITIES: [(&str, &str); 10] = [
    ("a", "a"),
    ("b", "b"),
    ("c", "c"),
    ("d", "d"),
    ("e", "e"),
    ("a-mobile", "a"),
    ("b-mobile", "b"),
    ("f", "f"),
    ("dave", "dave"),
    ("frank", "frank"),
];
const ROLES: [&[&str]; 4] = [&[], &["manager", "finance"], &["cfo"], &["ceo"]];

/// One line of the directory: is it there, and in which respects does it fall short.
#[derive(Debug, Clone)]
struct Line {
    listed: bool,
    tier: bool,
    act: bool,
    space: bool,
    in_force: bool,
}

#[derive(Debug, Clone)]
struct Given {
    by: usize,
    /// On whose behalf, and whether the delegation's scope covers the act.
    of: Option<(usize, bool)>,
}

#[derive(Debug, Clone)]
struct World {
    act: usize,
    lines: Vec<Line>,
    /// By person: index into [`ROLES`].
    roles: Vec<usize>,
    given: Vec<Given>,
}

fn name_of(identity: usize) -> String {
    match IDENTITIES.get(identity) {
        Some((name, _)) => id_of(name),
        None if identity == IDENTITIES.len() => id_of("mallory"),
        None => REQUESTER.to_owned(),
    }
}

impl World {
    fn act(&self) -> &'static str {
        ACTS[self.act]
    }

    fn delegable(&self) -> bool {
        self.act() != "erp.vendor.delete"
    }

    fn roles_of(&self, person: &str) -> &'static [&'static str] {
        ROLES[self.roles[usize::from(person.as_bytes()[0] - b'a') % self.roles.len()]]
    }

    fn directory(&self) -> Value {
        let entry = |(line, (name, person)): (&Line, &(&str, &str))| {
            let pick = |fits: bool, value: &str| if fits { json!([value]) } else { json!([]) };
            let tier = if line.tier { json!(["low", "medium", "high", "critical"]) } else { json!([]) };
            let mut entry = json!({"person": person, "name": "N", "roles": self.roles_of(person), "tiers": tier,
                "acts": pick(line.act, "*"), "workspaces": pick(line.space, "default")});
            if !line.in_force {
                entry["valid_until"] = json!("2026-11-30");
            }
            line.listed.then(|| (id_of(name), entry))
        };
        Value::Object(self.lines.iter().zip(&IDENTITIES).filter_map(entry).collect())
    }

    fn approvals(&self) -> Vec<Value> {
        let approval = |given: &Given| {
            let mut approval = json!({"id": name_of(given.by), "approved_at": noon() - 60});
            if let Some((of, covered)) = given.of {
                let tiers = if covered { json!(["low", "medium", "high", "critical"]) } else { json!([]) };
                approval["on_behalf_of"] =
                    json!({"id": name_of(of), "tiers": tiers, "acts": ["*"], "workspaces": ["default"]});
            }
            approval
        };
        self.given.iter().map(approval).collect()
    }

    /// The model: the person of an identity that is listed, in force and independent.
    fn person(&self, identity: usize) -> Option<&'static str> {
        let line = self.lines.get(identity).filter(|line| line.listed && line.in_force)?;
        let (_, person) = IDENTITIES[identity];
        (line.listed && !matches!(person, "dave" | "frank")).then_some(person)
    }

    fn entitled(&self, identity: usize) -> bool {
        let line = &self.lines[identity];
        line.tier && line.act && line.space
    }

    /// The model: the people whom an approval uses up, and whose roles it brings; none if it does not stand.
    fn stands(&self, given: &Given) -> Option<(BTreeSet<&'static str>, &'static str)> {
        let by = self.person(given.by)?;
        match given.of {
            None => self.entitled(given.by).then(|| (BTreeSet::from([by]), by)),
            Some((of, covered)) => {
                let delegator = self.person(of)?;
                let valid = covered && self.delegable() && delegator != by && self.entitled(of);
                valid.then(|| (BTreeSet::from([by, delegator]), delegator))
            }
        }
    }

    /// The model: positions that count, each with the person whose roles it brings.
    fn counted(&self) -> Vec<(usize, &'static str)> {
        let (mut used, mut counted) = (BTreeSet::new(), Vec::new());
        for (at, given) in self.given.iter().enumerate().take(8) {
            let Some((people, brings)) = self.stands(given) else { continue };
            if used.is_disjoint(&people) {
                used.extend(people);
                counted.push((at, brings));
            }
        }
        counted
    }

    /// No two of the approvals, whether they count or not, share a person.
    fn is_unentangled(&self) -> bool {
        let people = self.given.iter().flat_map(|given| std::iter::once(given.by).chain(given.of.map(|(of, _)| of)));
        let people: Vec<_> = people.map(|id| IDENTITIES.get(id).map_or("?", |(_, person)| person)).collect();
        people.iter().collect::<BTreeSet<_>>().len() == people.len()
    }

    fn with_given(&self, given: Vec<Given>) -> Self {
        Self { given, ..self.clone() }
    }
}

fn worlds() -> impl Strategy<Value = World> {
    let often = || prop::bool::weighted(0.94);
    let line = (often(), often(), often(), often(), often()).prop_map(|(listed, tier, act, space, in_force)| Line {
        listed,
        tier,
        act,
        space,
        in_force,
    });
    let given =
        (0..12_usize, prop::option::weighted(0.3, (0..12_usize, often()))).prop_map(|(by, of)| Given { by, of });
    let sound = (0..8_usize, prop::option::weighted(0.25, (0..8_usize, prop::bool::weighted(0.7))))
        .prop_map(|(by, of)| Given { by, of });
    (
        0..ACTS.len(),
        prop::collection::vec(line, IDENTITIES.len()),
        prop::collection::vec(0..ROLES.len(), 6),
        prop::collection::vec(prop_oneof![1 => given, 3 => sound], 0..7),
    )
        .prop_map(|(act, lines, roles, given)| World { act, lines, roles, given })
}

/// The engine with a directory that changes from case to case.
struct Policy {
    evaluator: Evaluator,
    data: Map<String, Value>,
}

impl Policy {
    fn new() -> Self {
        let evaluator = ready(shipped(&json!({})));
        let mut data = evaluator.bundle().data().clone();
        data["catalogue"].as_object_mut().unwrap().retain(|act, _| ACTS.contains(&act.as_str()));
        data["leg_templates"].as_object_mut().unwrap().retain(|id, _| id == "contract");
        Self { evaluator, data }
    }

    fn enter(&mut self, world: &World) {
        self.data.insert("approvers".to_owned(), world.directory());
        let engine = self.evaluator.engine.as_mut().unwrap();
        engine.clear_data();
        engine.add_data(value::convert(&Value::Object(self.data.clone()))).unwrap();
    }

    fn assess(&mut self, world: &World) -> Assessment {
        let bundle = self.evaluator.bundle().clone();
        let assessment = self.evaluator.assess(&Case::of(world.act(), world.approvals()).draft(&bundle));
        assert_eq!(assessment.fault, None, "{world:?}");
        assessment
    }

    fn requirement(&mut self, world: &World) -> Requirement {
        let bundle = self.evaluator.bundle().clone();
        self.evaluator.issue(&Case::of(world.act(), Vec::new()).draft(&bundle)).requirement.unwrap()
    }

    fn allows(&mut self, world: &World) -> bool {
        let bundle = self.evaluator.bundle().clone();
        let required = self.requirement(world).required;
        self.evaluator.decide(&Case::of(world.act(), world.approvals()).call(&bundle, required)).allow
    }
}

/// Holds a law against `cases` worlds.
fn law(cases: u32, holds: impl Fn(&mut Policy, World) -> TestCaseResult) {
    let policy = RefCell::new(Policy::new());
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    runner
        .run(&worlds(), |world| {
            let policy = &mut policy.borrow_mut();
            policy.enter(&world);
            holds(policy, world)
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

fn lacking(assessment: &Assessment) -> u32 {
    assessment.roles_missing.values().sum()
}

/// No fewer people, no more roles missing, and `met` stays.
fn not_less(after: &Assessment, before: &Assessment, world: &World) -> TestCaseResult {
    prop_assert!(after.approved >= before.approved, "{world:?}");
    prop_assert!(lacking(after) <= lacking(before), "{world:?}");
    prop_assert!(after.met || !before.met, "{world:?}");
    Ok(())
}

#[test]
fn those_count_whom_a_plain_model_counts_and_a_mandate_passes_only_with_all_of_them() {
    let classes = BTreeMap::from([("executive", ["cfo", "ceo"].as_slice()), ("finance", &["finance", "cfo"])]);
    law(64, |policy, world| {
        let (counted, asked, assessment) = (world.counted(), policy.requirement(&world), policy.assess(&world));
        let ids: Vec<_> = counted.iter().map(|(at, _)| name_of(world.given[*at].by)).collect();
        let found: Vec<_> = assessment.counted.iter().map(|one| one.id.as_str().to_owned()).collect();
        prop_assert_eq!(&found, &ids);
        prop_assert_eq!(assessment.counted.len() + assessment.refused.len(), world.given.len());
        let enough = |(class, n): (&_, &u32)| {
            let members = classes[crate::domain::role::RoleClass::as_str(class)];
            let held = counted.iter().filter(|(_, p)| world.roles_of(p).iter().any(|role| members.contains(role)));
            held.count() >= usize::try_from(*n).unwrap()
        };
        let met = ids.len() >= usize::try_from(asked.required).unwrap() && asked.roles.iter().all(enough);
        prop_assert_eq!(assessment.met, met);
        // A lone approval where nobody is asked has no form in a mandate.
        let formed = !(asked.required == 0 && ids.len() == 1);
        prop_assert_eq!(policy.allows(&world), met && formed && ids.len() == world.given.len());
        Ok(())
    });
}

#[test]
fn one_more_approval_never_lowers_the_count_nor_undoes_what_is_met() {
    law(32, |policy, world| {
        let mut before = policy.assess(&world.with_given(Vec::new()));
        for end in 1..=world.given.len() {
            let after = policy.assess(&world.with_given(world.given[..end].to_vec()));
            not_less(&after, &before, &world)?;
            before = after;
        }
        Ok(())
    });
}

#[test]
fn one_more_entry_in_the_directory_never_turns_an_allow_into_a_denial_and_one_fewer_never_the_reverse() {
    law(32, |policy, world| {
        let (met, allowed) = (policy.assess(&world), policy.allows(&world));
        let Some(absent) = world.lines.iter().position(|line| !line.listed) else { return Ok(()) };
        let mut wider = world.clone();
        wider.lines[absent].listed = true;
        policy.enter(&wider);
        // The same comparison read backwards is the entry taken away.
        prop_assert!(policy.allows(&wider) || !allowed, "{world:?}");
        if world.is_unentangled() || world.given.iter().all(|given| given.of.is_none()) {
            not_less(&policy.assess(&wider), &met, &world)?;
        }
        Ok(())
    });
}

#[test]
fn one_more_entitled_and_distinct_approver_never_turns_an_allow_into_a_denial() {
    law(32, |policy, world| {
        let standing: Vec<_> = world.counted().iter().map(|(at, _)| world.given[*at].clone()).collect();
        // Where nobody is asked there is no form for a lone approval: none, or dual control.
        let from = if policy.requirement(&world).required == 0 { 2 } else { 0 };
        let mut before = false;
        for end in from..=standing.len() {
            let allowed = policy.allows(&world.with_given(standing[..end].to_vec()));
            prop_assert!(allowed || !before, "{world:?}");
            before = allowed;
        }
        Ok(())
    });
}

#[test]
fn those_who_do_not_count_change_nothing() {
    law(40, |policy, world| {
        let (all, kept) = (policy.assess(&world), world.counted());
        let kept = kept.iter().map(|(at, _)| world.given[*at].clone()).collect();
        let alone = policy.assess(&world.with_given(kept));
        prop_assert_eq!(&all.counted, &alone.counted);
        prop_assert_eq!((all.met, &all.roles_missing), (alone.met, &alone.roles_missing));
        prop_assert!(alone.refused.is_empty());
        Ok(())
    });
}

#[test]
fn the_order_of_approvals_that_share_no_people_changes_no_count() {
    law(40, |policy, world| {
        // What is left after the first use of each person.
        let mut used = BTreeSet::new();
        let person = |id: usize| IDENTITIES.get(id).map_or("?", |(_, person)| *person);
        let mut fresh = world.given.clone();
        fresh.retain(|given| {
            let people: BTreeSet<_> =
                [Some(given.by), given.of.map(|(of, _)| of)].into_iter().flatten().map(person).collect();
            let free = used.is_disjoint(&people);
            used.extend(people);
            free
        });
        let first = policy.assess(&world.with_given(fresh.clone()));
        for turn in 0..fresh.len() {
            fresh.rotate_left(1);
            if turn % 2 == 1 {
                fresh.reverse();
            }
            let turned = policy.assess(&world.with_given(fresh.clone()));
            prop_assert_eq!((first.approved, first.met), (turned.approved, turned.met), "{:?}", world);
            prop_assert_eq!(&first.roles_missing, &turned.roles_missing, "{:?}", world);
        }
        Ok(())
    });
}
