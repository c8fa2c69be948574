mod in_force;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{PdpConfig, PdpPool};
use crate::domain::policy::bundle::samples::{with, with_poa};
use crate::domain::policy::{Bundle, PolicyInput};
use crate::service::ports::PolicyPoint as _;

const ALLOW: &str =
    r#"{"allow": true, "reason": "ok", "tier": "low", "missing": [], "obligations": [], "violations": []}"#;

fn pool(rego: &str, config: PdpConfig) -> PdpPool {
    PdpPool::start(with_poa(&format!("package atb.poa\n\n{rego}\n")), config).unwrap()
}

fn input(value: &serde_json::Value) -> PolicyInput {
    PolicyInput::from_recorded(value.to_string())
}

fn config(threads: usize, queue: usize, millis: u64) -> PdpConfig {
    PdpConfig { threads, queue, deadline: Duration::from_millis(millis), ..PdpConfig::default() }
}

/// A call of an allowed builtin that takes long on a large text, where the execution timer does not reach.
fn slow_policy() -> String {
    format!("decision := {ALLOW} if input.quick\n\ndecision := {ALLOW} if regex.match(\"a[ab]{{800}}c\", input.text)")
}

/// A text without a period, so that the expression's automaton never gets to know it.
fn slow_input() -> PolicyInput {
    let letters = (0..200_000).scan(1_u32, |seed, _| {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(if *seed >> 31 == 0 { 'a' } else { 'b' })
    });
    input(&json!({"text": letters.collect::<String>()}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_at_once_each_get_their_own_answer() {
    let pool = Arc::new(pool(&format!("decision := {ALLOW} if input.n % 2 == 0"), config(2, 1024, 5_000)));
    let callers = (0..200).map(|n| {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { (n, pool.decide(input(&json!({"n": n}))).await.verdict.allow) })
    });
    for caller in callers.collect::<Vec<_>>() {
        let (n, allow) = caller.await.unwrap();
        assert_eq!(allow, n % 2 == 0, "{n}");
    }
}

#[tokio::test]
async fn an_activated_bundle_answers_the_very_next_question() {
    let pool = pool(&format!("decision := {ALLOW}"), config(2, 16, 5_000));
    for round in 0..10 {
        assert!(pool.decide(input(&json!({}))).await.verdict.allow, "{round}");
        pool.activate(&with_poa(&format!("package atb.poa\n\ndecision := {ALLOW} if input.never\n"))).unwrap();
        assert_eq!(pool.decide(input(&json!({}))).await.verdict.reason, "policy_undefined", "{round}");
        pool.activate(&with_poa(&format!("package atb.poa\n\ndecision := {ALLOW}\n"))).unwrap();
    }
}

#[tokio::test]
async fn issue_assessment_and_query_have_answers_too() {
    let pool = PdpPool::start(Arc::new(Bundle::parse(&with(&[])).unwrap()), config(1, 16, 5_000)).unwrap();
    assert_eq!(pool.issue(input(&json!({}))).await.verdict.decision.reason, "denied");
    assert_eq!(pool.assess(input(&json!({}))).await.verdict.required, 1);
    assert_eq!(pool.query("atb.poa.decision", input(&json!({}))).await.unwrap()["allow"], false);
    assert_eq!(pool.bundle().catalogue().len(), 1);
}

#[tokio::test]
async fn a_builtin_that_does_not_return_is_a_timeout_and_its_thread_is_replaced() {
    let pool = pool(&slow_policy(), config(1, 16, 60));
    let start = Instant::now();
    assert_eq!(pool.decide(slow_input()).await.verdict.reason, "policy_timeout");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(pool.given_up(), 1);
    let mut answered = false;
    for _ in 0..50 {
        answered = answered || pool.decide(input(&json!({"quick": true}))).await.verdict.allow;
    }
    assert!(answered, "the replacement answers");
}

#[tokio::test]
async fn threads_are_not_replaced_without_bound() {
    let pool = pool(&slow_policy(), config(1, 16, 40));
    for _ in 0..40 {
        let reason = pool.decide(slow_input()).await.verdict.reason;
        assert!(reason == "policy_timeout" || reason == "policy_overloaded", "{reason}");
        assert!(pool.given_up() <= 4, "{}", pool.given_up());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_at_once() {
    let pool = Arc::new(pool(&slow_policy(), config(1, 2, 2_000)));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { pool.decide(slow_input()).await.verdict.reason })
        })
        .collect();
    let mut refused = 0;
    for caller in callers {
        refused += usize::from(caller.await.unwrap() == "policy_overloaded");
    }
    assert!(refused >= 4, "{refused}");
}

#[test]
fn a_bundle_that_the_engine_does_not_take_does_not_start() {
    let broken = with_poa("package atb.poa\n\none(x) := x\n\ndecision := one(1, 2, 3)\n");
    assert!(PdpPool::start(broken, PdpConfig::default()).is_err());
}

#[test]
fn dropping_the_pool_ends_its_threads_in_bounded_time() {
    let pool = pool(&format!("decision := {ALLOW}"), config(4, 16, 50));
    let crew = Arc::downgrade(&pool.crew);
    let start = Instant::now();
    drop(pool);
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(crew.upgrade().is_none(), "no thread holds the crew any more");
}
