//! `tests/golden/approval_matrix.txt`: tier × who × how many × roles × ticket × timing, as the shipped policy answers.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{ACTS, Case, REQUESTER, id_of, noon, ready, shipped, states};
use crate::domain::approval::ChallengeState;
use crate::domain::catalogue::Tier;
use crate::domain::policy::engine::Evaluator;
use crate::domain::policy::{Assessment, Requirement};

const HEAD: &str = "\
# Who may agree to what, as the policy of opa/ answers it, and where a challenge goes from each state. Generated:
#   UPDATE_GOLDEN=1 cargo test --lib approvals::matrix
# It is Dec 1st 2026, noon, and everybody signed two minutes ago where nothing else is said.
#
#   asked    what is in the ground: a ticket or none, `dual` where two people are asked for whatever the tier, `expired`
#            where the legal template is not in force any more, `nobody's agent` where the agent has no operator, `undeclared`
#            where the mandate's ground does not name the approvals. `dual` is the wish of who asks for the mandate: one that
#            carries no dual control does not show it any more
#   who      the approvals in the order in which they came. bob has no role of any class, alice (and alice-mobile, the same
#            person) has a finance role, carol an executive and a finance role; dora acts for others and may approve nothing
#            herself; p1 to p9 are nine more. What is in brackets says what is wrong, or on whose behalf
#   counts   people who count / people needed; the classes of roles that are missing; `met` if nobody is
#   refused  who does not count and why
#   draft    may a mandate be made once they agree: `ok` and what is still missing, or the reason of the refusal
#   call     the mandate that carries all of these approvals: `ok`, or the reason of the refusal
#
";

/// Everybody, also the people who must never count.
fn directory() -> Value {
    let everything = json!({"name": "N", "roles": [], "tiers": ["low", "medium", "high", "critical"], "acts": ["*"],
        "workspaces": ["default"]});
    let mut entries = serde_json::Map::new();
    let mut add = |name: &str, person: &str, changes: Value| {
        let mut entry = everything.clone();
        entry["person"] = json!(person);
        entry.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        entries.insert(id_of(name), entry);
    };
    add("bob", "bob", json!({"roles": ["compliance"]}));
    add("alice", "alice", json!({"roles": ["manager", "finance"]}));
    add("alice-mobile", "alice", json!({"roles": ["manager", "finance"]}));
    add("carol", "carol", json!({"roles": ["executive", "cfo"]}));
    for n in 1..=9 {
        add(&format!("p{n}"), &format!("p{n}"), json!({}));
    }
    add(REQUESTER, "bot", json!({}));
    add("dave", "dave", json!({}));
    add("frank", "frank", json!({}));
    add("no-tier", "no-tier", json!({"tiers": []}));
    add("no-act", "no-act", json!({"acts": ["crm.*", "erp.vendor.list"]}));
    add("elsewhere", "elsewhere", json!({"workspaces": ["team-b"]}));
    add("not-yet", "not-yet", json!({"valid_from": "2026-12-02"}));
    add("no-longer", "no-longer", json!({"valid_until": "2026-11-30"}));
    add("first-day", "first-day", json!({"valid_from": "2026-12-01"}));
    add("last-day", "last-day", json!({"valid_from": "2026-01-01", "valid_until": "2026-12-01"}));
    let nothing = json!({"tiers": [], "acts": [], "workspaces": []});
    add("dora", "dora", nothing.clone());
    let mut lapsed = nothing;
    lapsed["valid_until"] = json!("2026-11-30");
    add("dora-lapsed", "dora-lapsed", lapsed);
    add("bob-deputy", "bob", json!({"roles": ["compliance"]}));
    Value::Object(entries)
}

/// An approval and how the matrix calls it.
type Named = (String, Value);

fn own(name: &str) -> Named {
    (name.rsplit('/').next().unwrap().to_owned(), json!({"id": id_of(name), "approved_at": noon() - 120}))
}

fn behalf(by: &str, of: &str, narrowed: Value, note: &str) -> Named {
    let mut scope = json!({"id": id_of(of), "tiers": ["low", "medium", "high", "critical"], "acts": ["*"], "workspaces": ["default"]});
    scope.as_object_mut().unwrap().extend(narrowed.as_object().unwrap().clone());
    let approval = json!({"id": id_of(by), "approved_at": noon() - 120, "on_behalf_of": scope});
    (format!("{by}[for {}{note}]", of.rsplit('/').next().unwrap()), approval)
}

fn signed_at(name: &str, at: u64, note: &str) -> Named {
    (format!("{name}[{note}]"), json!({"id": id_of(name), "approved_at": at}))
}

fn noted(name: &str, note: &str) -> Named {
    let (_, approval) = own(name);
    (format!("{}[{note}]", name.rsplit('/').next().unwrap()), approval)
}

/// Each kind of approver once: those who count, and those who must not.
fn kinds() -> Vec<Named> {
    const DAY: u64 = 86_400;
    vec![
        own("alice"),
        noted(REQUESTER, "requester"),
        noted("dave", "operator"),
        noted("frank", "accountable"),
        noted("mallory", "unknown"),
        own("no-tier"),
        own("no-act"),
        own("elsewhere"),
        own("not-yet"),
        own("no-longer"),
        own("first-day"),
        own("last-day"),
        signed_at("first-day", noon() - DAY, "signed the day before"),
        signed_at("no-longer", noon() - DAY, "signed while in force"),
        signed_at("bob-deputy", noon() - 120, "bob again"),
        behalf("dora", "alice", json!({}), ""),
        behalf("dora", "bob", json!({}), ""),
        behalf("dora", "bob-deputy", json!({}), ", bob again"),
        behalf("dora", "alice", json!({"tiers": []}), ", other tiers"),
        behalf("dora", "alice", json!({"acts": ["crm.*"]}), ", other acts"),
        behalf("dora", "alice", json!({"workspaces": ["team-b"]}), ", elsewhere"),
        behalf("dora", REQUESTER, json!({}), ", requester"),
        behalf("dora", "dave", json!({}), ", operator"),
        behalf("dora", "frank", json!({}), ", accountable"),
        behalf("dora", "mallory", json!({}), ", unknown"),
        behalf("dora", "no-tier", json!({}), ""),
        behalf("dora", "no-act", json!({}), ""),
        behalf("dora", "no-longer", json!({}), ""),
        behalf("dora-lapsed", "alice", json!({}), ""),
        behalf("alice", "alice-mobile", json!({}), ""),
        behalf("mallory", "alice", json!({}), ""),
        behalf("dave", "alice", json!({}), ""),
        behalf("frank", "alice", json!({}), ""),
        behalf("dora", "alice", json!({"acts": "*"}), ", malformed"),
    ]
}

struct Row {
    asked: &'static str,
    who: Vec<Named>,
}

/// How many and with which roles: every set of the three, in one order and the reverse.
fn sizes() -> Vec<Vec<Named>> {
    let sets: [&[&str]; 11] = [
        &[],
        &["bob"],
        &["alice"],
        &["carol"],
        &["bob", "alice"],
        &["bob", "carol"],
        &["carol", "bob"],
        &["alice", "carol"],
        &["alice", "alice-mobile"],
        &["bob", "alice", "carol"],
        &["carol", "alice", "bob"],
    ];
    sets.iter().map(|names| names.iter().map(|name| own(name)).collect()).collect()
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for asked in ["ticket", "none", "ticket dual", "ticket expired"] {
        rows.extend(sizes().into_iter().map(|who| Row { asked, who }));
    }
    for kind in kinds() {
        for others in [&[][..], &["bob"], &["bob", "carol"]] {
            let who = others.iter().map(|name| own(name)).chain([kind.clone()]).collect();
            rows.push(Row { asked: "ticket", who });
        }
        rows.push(Row { asked: "ticket", who: vec![kind, own("carol")] });
    }
    let crowd = |n: usize| (1..=n).map(|i| own(&format!("p{i}"))).collect();
    rows.extend([8, 9].map(|n| Row { asked: "ticket", who: crowd(n) }));
    rows.extend([0, 2].map(|n| Row { asked: "ticket nobody's agent", who: crowd(n) }));
    rows.extend([0, 1, 2].map(|n| Row { asked: "ticket undeclared", who: crowd(n) }));
    rows
}

/// One line of the matrix.
fn line(policy: &mut Evaluator, act: &str, row: &Row) -> String {
    let bundle = policy.bundle().clone();
    let mut case = Case::of(act, row.who.iter().map(|(_, approval)| approval.clone()).collect());
    case.ticket = row.asked.contains("ticket");
    case.dual = row.asked.contains("dual");
    if row.asked.contains("expired") {
        // The template's last day is in 2099.
        case.time = 4_102_444_800 + 172_800;
    }
    if row.asked.contains("nobody") {
        case.agent = "spiffe://atb.dev/agent/new";
    }
    let draft = case.draft(&bundle);
    let assessment = policy.assess(&draft);
    assert_eq!(assessment.fault, None, "{act} {:?}", row.who);
    let issue = policy.issue(&Case { approvals: counted(&case, &assessment), ..case.clone() }.draft(&bundle));
    let required = issue.requirement.as_ref().map_or(0, |asked| asked.required);
    let call = if row.asked.contains("undeclared") { &Case { approvals: Vec::new(), ..case.clone() } } else { &case };
    let mut input = call.call(&bundle, required).as_json().to_owned();
    if row.asked.contains("undeclared") {
        input = input.replacen("\"approvals\":[]", &format!("\"approvals\":{}", json!(case.approvals)), 1);
    }
    let call = policy.decide(&crate::domain::policy::PolicyInput::from_recorded(input));
    let tier = bundle.catalogue().find(&act.parse().unwrap()).unwrap().tier;
    let who: Vec<_> = row.who.iter().map(|(name, _)| name.as_str()).collect();
    let draft = if issue.decision.allow {
        let missing: Vec<_> = issue.decision.missing.iter().filter_map(Value::as_str).collect();
        if missing.is_empty() { "ok".to_owned() } else { format!("ok, needs {}", missing.join(" ")) }
    } else {
        issue.decision.reason
    };
    let mut text = String::new();
    let cells = [who.join(" "), counts(&assessment), refused(&assessment), draft, call.reason];
    write!(text, "{tier} | {act} | {} ", row.asked).unwrap();
    for cell in cells {
        write!(text, "| {} ", if cell.is_empty() { "-" } else { &cell }).unwrap();
    }
    text.trim_end().to_owned()
}

/// What a challenge would hold: it never keeps an approval that does not count.
fn counted(case: &Case<'_>, assessment: &Assessment) -> Vec<Value> {
    let mut left: Vec<_> = assessment.counted.iter().map(|one| one.id.as_str().to_owned()).collect();
    let keep = |approval: &&Value| {
        let found = left.iter().position(|id| approval["id"] == **id);
        found.map(|at| left.remove(at)).is_some()
    };
    case.approvals.iter().filter(keep).cloned().collect()
}

fn counts(assessment: &Assessment) -> String {
    let mut text = format!("{}/{}", assessment.approved, assessment.required);
    for (class, n) in &assessment.roles_missing {
        write!(text, " {class}-{n}").unwrap();
    }
    text + if assessment.met { " met" } else { "" }
}

fn refused(assessment: &Assessment) -> String {
    let reasons = assessment.refused.iter();
    reasons
        .map(|one| format!("{} {}", one.id.as_str().rsplit('/').next().unwrap(), one.reason))
        .collect::<Vec<_>>()
        .join(", ")
}

fn asked(requirement: &Requirement) -> String {
    serde_json::to_string(requirement).unwrap()
}

fn generate() -> String {
    let mut policy = ready(shipped(&directory()));
    let mut text = HEAD.to_owned();
    text.push_str("## What each act asks\n");
    for act in ACTS {
        let bundle = policy.bundle().clone();
        let issue = policy.issue(&Case::of(act, Vec::new()).draft(&bundle));
        writeln!(text, "{act} | {}", asked(&issue.requirement.unwrap())).unwrap();
    }
    text.push_str("\n## tier | act | asked | who | counts | refused | draft | call\n");
    for act in ACTS {
        for row in rows() {
            writeln!(text, "{}", line(&mut policy, act, &row)).unwrap();
        }
    }
    text.push_str("\n## From each state: state | event | next state, or why not\n");
    text.push_str(&states::table());
    text
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/approval_matrix.txt")
}

fn golden() -> String {
    std::fs::read_to_string(path()).unwrap_or_default()
}

#[test]
fn the_matrix_is_what_the_policy_answers() {
    let generated = generate();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path(), &generated).unwrap();
    }
    let golden = golden();
    let changed: Vec<_> = generated.lines().zip(golden.lines()).filter(|(now, then)| now != then).take(10).collect();
    assert!(changed.is_empty(), "UPDATE_GOLDEN=1 writes it; now and then: {changed:#?}");
    assert_eq!(generated.lines().count(), golden.lines().count(), "UPDATE_GOLDEN=1 writes it");
}

#[test]
fn no_tier_no_class_of_roles_no_reason_and_no_state_is_missing_from_the_matrix() {
    let golden = golden();
    let bundle = shipped(&directory());
    for tier in Tier::ALL {
        for end in ["| ok", "| approval_missing", "| same_person"] {
            let found = golden.lines().any(|line| line.starts_with(&format!("{tier} |")) && line.ends_with(end));
            assert!(found || tier == Tier::Low && end == "| approval_missing", "{tier} {end}");
        }
    }
    for class in classes_asked(bundle.data()) {
        assert!(golden.contains(&format!(" {class}-1")), "nobody lacks the class `{class}`");
        assert!(golden.contains(&format!("\"{class}\":1")), "no act of the matrix asks for the class `{class}`");
    }
    let words: BTreeSet<_> = golden.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    for reason in reasons(bundle.data()) {
        assert!(words.contains(reason.as_str()), "nothing in the matrix is refused for `{reason}`");
    }
    let (_, table) = golden.split_once("## From each state").unwrap();
    for state in ChallengeState::ALL {
        let from = table.lines().any(|line| line.starts_with(state.as_str()));
        let to =
            table.lines().any(|line| line.rsplit("| ").next().is_some_and(|next| next.starts_with(state.as_str())));
        assert!(from && to, "state `{}` is missing", state.as_str());
    }
}

/// Every class that a tier or an act asks for.
fn classes_asked(data: &serde_json::Map<String, Value>) -> BTreeSet<String> {
    let rows = ["tiers", "catalogue"].into_iter().flat_map(|root| data[root].as_object().unwrap().values());
    let roles = rows.flat_map(|row| [&row["roles"], &row["approval"]["roles"]]);
    roles.filter_map(Value::as_object).flat_map(|roles| roles.keys().cloned()).collect()
}

/// Every reason that the rules about approvals name; the last resort of a rule that cannot explain itself is none.
fn reasons(data: &serde_json::Map<String, Value>) -> BTreeSet<String> {
    let rego = |name: &str| {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("opa/policy/{name}.rego"))).unwrap()
    };
    let text = rego("approval") + &rego("approval_explain");
    let known = data["reasons"].as_object().unwrap();
    let named = text.split('"').filter(|word| known.contains_key(*word) && *word != "policy_undefined");
    let found: BTreeSet<_> = named.map(str::to_owned).collect();
    assert!(found.len() >= 20, "{found:?}");
    found
}
