//! `atb policy diff`: exactly the flips of a change, and who agreed to them.

use std::path::Path;
use std::sync::Arc;

use atb::adapters::bundle_dir;
use atb::domain::id::{DecisionId, EventId};
use atb::domain::ledger::{Entry, EventType, PolicyRecord, PolicyRule, Salt, Subject};
use atb::domain::policy::engine::Evaluator;
use atb::domain::policy::{Bundle, PolicyInput};
use atb::domain::time::Timestamp;
use atb::service::toolchain::replay::{Counted, HistoryLine, Judge, Past, Question, Shelf, WhichBundle};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::{Ran, copy, edit, exported, lines, policy, text};

/// The recorded input of the medium call that was allowed, in clear.
fn medium_call(history: &Path) -> Value {
    let calls = std::fs::read_to_string(history).unwrap();
    let mut inputs = calls.lines().filter_map(Past::of_history_line).filter_map(|past| {
        let input: Value = serde_json::from_str(&past.input.ok()?).ok()?;
        (past.act == "erp.order.create" && input["phase"] == "call" && past.reason == "ok").then_some(input)
    });
    inputs.next().expect("a day has such a call")
}

fn raise_the_limit(bundle: &Path, to: u64) {
    edit(&bundle.join("catalogue/data.json"), |acts| acts["erp.order.create"]["limits"]["amount"]["max"] = json!(to));
}

fn diff(base: &Path, candidate: &Path, history: &Path, more: &[&str]) -> Ran {
    let args =
        ["diff", "--base", text(base), "--candidate", text(candidate), "--history", text(history), "--format", "json"];
    policy(&[&args, more].concat())
}

#[tokio::test]
async fn one_limit_that_is_raised_flips_exactly_the_calls_between_the_two() {
    let (folder, history, base) = exported().await;
    let candidate = folder.path().join("candidate");
    copy(&base, &candidate);
    let unchanged = diff(&base, &candidate, &history, &[]);
    assert_eq!((unchanged.code, &unchanged.json()["totals"]), (0, &json!({})), "{unchanged:?}");
    raise_the_limit(&candidate, 70_000);
    let ran = diff(&base, &candidate, &history, &[]);
    let report = ran.json();
    crate::schemas::fits("policy-diff-report", &report);
    assert_eq!((ran.code, &report["totals"]), (1, &json!({"deny_to_allow": 1})), "{ran:?}");
    let (flip, loosening) = (&report["flips"][0], &report["loosenings"][0]);
    assert_eq!((&flip["act"], &flip["to"]), (&json!("erp.order.create"), &json!("ok")), "{ran:?}");
    assert_eq!(loosening["at"], "/catalogue/erp.order.create/limits/amount/max");
    assert!(!ran.out.contains("60000") && !ran.out.contains("order 7"), "a report holds no parameter: {ran:?}");
    let accept = folder.path().join("accept.yaml");
    let entry = |kind: &str, until: &str| {
        format!("- {{kind: {kind}, act: erp.order.create, reason: CHG-17, until: {until}}}\n")
    };
    let agreed = format!("accept:\n{}{}", entry("deny_to_allow", "2999-12-31"), entry("limit_widened", "2999-12-31"));
    std::fs::write(&accept, &agreed).unwrap();
    let ran = diff(&base, &candidate, &history, &["--accept", text(&accept)]);
    assert_eq!((ran.code, &ran.json()["stale"]), (0, &json!([])), "{ran:?}");
    crate::schemas::fits("policy-diff-report", &ran.json());
    std::fs::write(&accept, agreed.replacen("2999", "2020", 1)).unwrap();
    let ran = diff(&base, &candidate, &history, &["--accept", text(&accept)]);
    assert_eq!((ran.code, ran.json()["stale"].as_array().unwrap().len()), (1, 1), "{ran:?}");
    std::fs::write(&accept, "accept:\n- {kind: deny_to_allow}\n").unwrap();
    let ran = diff(&base, &candidate, &history, &["--accept", text(&accept)]);
    assert!(ran.code == 2 && ran.err.contains("accept.yaml:2"), "{ran:?}");
}

#[tokio::test]
async fn a_tier_that_asks_fewer_people_is_a_lost_approval_and_a_history_that_cannot_be_asked_is_no_pass() {
    let (folder, history, base) = exported().await;
    let candidate = folder.path().join("candidate");
    copy(&base, &candidate);
    edit(&candidate.join("tiers/data.json"), |tiers| tiers["medium"]["approvals"] = json!(0));
    let ran = diff(&base, &candidate, &history, &[]);
    let report = ran.json();
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(report["totals"]["approvals_lost"].as_u64().unwrap() >= 4, "{ran:?}");
    assert!(report["flips"].as_array().unwrap().iter().any(|f| f["from"] == "1 approvals" && f["to"] == "0 approvals"));
    let structure = policy(&["diff", "--base", text(&base), "--candidate", text(&candidate), "--no-history"]);
    assert!(structure.code == 1 && structure.out.contains("approvals_fewer /tiers/medium/approvals"), "{structure:?}");

    let mut closed = lines(&history);
    closed.retain(|line| line["openings"].is_object());
    closed.iter_mut().for_each(|line| drop(line.as_object_mut().unwrap().remove("openings")));
    super::write_lines(&history, &closed);
    let ran = diff(&base, &candidate, &history, &[]);
    assert!(ran.code == 2 && ran.err.contains("opening_erased"), "{ran:?}");
}

/// A history of `count` calls of growing amounts, decided by the bundle.
fn generate(call: &Value, bundle: &Arc<Bundle>, count: u64) -> String {
    const DISTINCT: u64 = 1_000;
    let act: atb::domain::action::ActionName = "erp.order.create".parse().unwrap();
    let loggable = &bundle.catalogue().find(&act).unwrap().loggable;
    let mut engine = Evaluator::new(Arc::clone(bundle)).unwrap().within(std::time::Duration::from_secs(60));
    engine.prepare().unwrap();
    let records: Vec<_> = (0..DISTINCT)
        .map(|nth| {
            let mut input = call.clone();
            input["request"]["params"]["amount"] = json!(100 * nth);
            let text = input.to_string();
            let verdict = engine.decide(&PolicyInput::from_recorded(text.clone()));
            let record =
                PolicyRecord::of(PolicyRule::PoaDecision, &text, &verdict, loggable, Salt::from_bytes([9; 16]));
            (record, verdict)
        })
        .collect();
    let line = |nth: u64| {
        let (record, verdict) = &records[usize::try_from(nth % DISTINCT).unwrap()];
        let (at, mut random) = (Timestamp::from_millis(1_790_000_000_000 + nth), [0; 10]);
        random[2..].copy_from_slice(&nth.to_be_bytes());
        let mut subject = Subject {
            act: Some(act.clone()),
            allow: Some(verdict.allow),
            reason: Some(verdict.reason.clone()),
            decision_id: Some(DecisionId::new(at, random)),
            bundle_digest: Some(bundle.digest()),
            ..Subject::default()
        };
        record.clone().onto(&mut subject);
        let event_id = EventId::new(at, random);
        let event_type = EventType::BrokerDecision;
        let entry = Entry { event_id, event_type, at, workspace: atb::domain::id::WorkspaceId::default(), subject };
        let line = HistoryLine::of(nth, entry.to_bytes(), entry.subject.openings.as_deref()).unwrap();
        serde_json::to_string(&line).unwrap() + "\n"
    };
    (0..count).map(line).collect()
}

/// `ATB_REPLAY_DECISIONS` asks for another number, for a figure of a release build.
#[tokio::test]
async fn ten_thousand_generated_decisions_are_reproduced_and_flip_by_their_amount_alone() {
    #[expect(clippy::disallowed_methods, reason = "a figure is asked for from outside")]
    let count: u64 = std::env::var("ATB_REPLAY_DECISIONS").map_or(10_000, |count| count.parse().unwrap());
    let (folder, history, base) = exported().await;
    let call = medium_call(&history);
    let bundle = Arc::new(Bundle::parse(&bundle_dir::read(&base).unwrap()).unwrap());
    let made = std::thread::Builder::new().stack_size(16 << 20);
    let many = made.spawn(move || generate(&call, &bundle, count)).unwrap().join().unwrap();
    let path = folder.path().join("many.jsonl");
    std::fs::write(&path, many).unwrap();
    let started = std::time::Instant::now();
    let ran = policy(&["replay", "--history", text(&path), "--bundle", text(&base), "--format", "json"]);
    println!("{count} decisions replayed in {:?}", started.elapsed());
    assert_eq!((ran.code, ran.json()["replay"]["reproduced"].as_u64()), (0, Some(count)), "{ran:?}");
    let candidate = folder.path().join("candidate");
    copy(&base, &candidate);
    raise_the_limit(&candidate, 70_000);
    let part: String = std::fs::read_to_string(&path).unwrap().split_inclusive('\n').take(2_000).collect();
    std::fs::write(&path, part).unwrap();
    let report = diff(&base, &candidate, &path, &[]).json();
    // 50,100 to 70,000 by 100: 200 of each 1,000.
    assert_eq!(report["totals"], json!({"deny_to_allow": 400}));
    assert_eq!(report["flips"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn no_input_whatever_flips_between_a_bundle_and_itself() {
    let (_folder, history, base) = exported().await;
    let call = medium_call(&history);
    let bundle = Arc::new(Bundle::parse(&bundle_dir::read(&base).unwrap()).unwrap());
    let place = prop::sample::select(vec![
        "/request/params/amount",
        "/poa/con",
        "/poa/leg",
        "/agent/id",
        "/approvals",
        "/time",
    ]);
    let value = prop_oneof![
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |f| serde_json::Number::from_f64(f).map(Value::Number)),
        "[^\0]{0,20}".prop_map(Value::from),
        Just(Value::Null),
        Just(json!([])),
        Just(json!({"amount": {"max": "x"}})),
    ];
    let rule = prop::sample::select(PolicyRule::ALL.to_vec());
    let asked = move || {
        let judge = || Judge::new(Shelf::new(vec![Arc::clone(&bundle)]));
        let (base, candidate) = (std::cell::RefCell::new(judge()), std::cell::RefCell::new(judge()));
        let config = Config { cases: 64, failure_persistence: None, ..Config::default() };
        TestRunner::new(config)
            .run(&(place, value, rule), |(place, value, rule)| {
                let mut input = call.clone();
                *input.pointer_mut(place).unwrap() = value;
                let past = Past {
                    id: "1".to_owned(),
                    question: Question::Rule(rule),
                    workspace: "default".to_owned(),
                    agent: "-".to_owned(),
                    act: "erp.order.create".to_owned(),
                    bundle: WhichBundle::Unnamed,
                    reason: "-".to_owned(),
                    input: Ok(input.to_string()),
                    verdict: None,
                };
                let mut counted = Counted::default();
                counted.take(&mut base.borrow_mut(), &mut candidate.borrow_mut(), &past).unwrap();
                prop_assert_eq!(counted.flips(), 0);
                Ok(())
            })
            .unwrap();
    };
    std::thread::Builder::new().stack_size(16 << 20).spawn(asked).unwrap().join().unwrap();
}
