use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{ALLOW, config, input, pool, slow_input, slow_policy};
use crate::adapters::bundle_dir;
use crate::adapters::pdp::{Agreement, InForce, PdpConfig, PdpPool, Trial};
use crate::domain::policy::bundle::samples::with_poa;
use crate::domain::policy::{AgentFacts, Bundle, CandidateMode, Phase, Place, PolicyFacts, PolicyInput, Share};
use crate::domain::time::Timestamp;
use crate::service::ports::{Clock, PolicyPoint as _};

/// A clock that a test sets.
#[derive(Default)]
struct Hands(AtomicU64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.0.load(Ordering::Relaxed))
    }

    fn monotonic_micros(&self) -> u64 {
        0
    }
}

type Seen = Arc<Mutex<Vec<(&'static str, Agreement)>>>;

fn in_force(rego: &str, expires_at: Option<u64>, config: PdpConfig) -> (InForce, Arc<Hands>, Seen) {
    let (clock, seen) = (Arc::new(Hands::default()), Seen::default());
    let observed = Arc::clone(&seen);
    let observer = Arc::new(move |question, agreement| observed.lock().unwrap().push((question, agreement)));
    let bundle = with_poa(&format!("package atb.poa\n\n{rego}\n"));
    let end = expires_at.map(Timestamp::from_secs);
    (InForce::start(bundle, end, config, clock.clone(), observer).unwrap(), clock, seen)
}

/// A question of this agent.
fn asked_by(agent: &str) -> PolicyInput {
    let (workspace, id) = ("default".parse().unwrap(), agent.parse().unwrap());
    PolicyInput::new(&PolicyFacts {
        phase: Phase::Call,
        time: 0,
        workspace: &workspace,
        agent: AgentFacts { id: &id, trust_domain: "atb.dev", platform: None },
        poa: serde_json::Value::Null,
        request: None,
        approvals: &[],
        requires_dual_control: false,
        environment: crate::domain::policy::Environment::Production,
        counters: None,
        guardrails: None,
        unmandated: false,
    })
}

fn allow() -> String {
    format!("decision := {ALLOW}")
}

fn deny() -> String {
    format!("decision := {}", ALLOW.replace("true", "false").replace("\"ok\"", "\"no\""))
}

#[tokio::test]
async fn past_its_end_a_bundle_denies_and_a_newer_one_answers_again() {
    let (policy, clock, _) = in_force(&allow(), Some(100), config(1, 16, 5_000));
    clock.0.store(99, Ordering::Relaxed);
    assert!(policy.decide(input(&serde_json::json!({}))).await.verdict.allow);
    clock.0.store(100, Ordering::Relaxed);
    assert_eq!(policy.decide(input(&serde_json::json!({}))).await.verdict.reason, "policy_expired");
    assert_eq!(policy.issue(input(&serde_json::json!({}))).await.verdict.decision.reason, "policy_expired");
    assert!(!policy.assess(input(&serde_json::json!({}))).await.verdict.met);
    assert!(policy.query("atb.poa.decision", input(&serde_json::json!({}))).await.is_err());
    let next = with_poa(&format!("package atb.poa\n\n{}\n", allow()));
    policy.put_in_force(policy.prepare(&next).unwrap(), None);
    assert!(policy.decide(input(&serde_json::json!({}))).await.verdict.allow);
}

#[tokio::test]
async fn an_engine_that_does_not_prepare_leaves_the_one_in_force() {
    let (policy, ..) = in_force(&allow(), None, config(2, 16, 5_000));
    let broken = with_poa("package atb.poa\n\none(x) := x\n\ndecision := one(1, 2, 3)\n");
    assert!(policy.prepare(&broken).is_err());
    assert!(policy.is_alive());
    assert!(policy.decide(input(&serde_json::json!({}))).await.verdict.allow);
}

#[tokio::test]
async fn a_shadow_answers_beside_and_never_instead() {
    let (policy, clock, seen) = in_force(&allow(), None, config(1, 16, 60_000));
    policy.try_out(Some(Trial::new(pool(&deny(), config(1, 16, 60_000)), CandidateMode::Shadow, Some(clock.now()))));
    let judged = policy.decide(asked_by("spiffe://atb.dev/agent/a")).await;
    assert!(judged.verdict.allow && judged.candidate.is_none(), "an expired candidate is not asked");
    policy.try_out(Some(Trial::new(pool(&deny(), config(1, 16, 60_000)), CandidateMode::Shadow, None)));
    let judged = policy.decide(asked_by("spiffe://atb.dev/agent/a")).await;
    let candidate = judged.candidate.unwrap();
    assert!(judged.verdict.allow && !candidate.candidate.allow);
    assert_eq!((candidate.candidate.reason.as_str(), candidate.displaced), ("no", None));
    assert_ne!(candidate.candidate.digest, judged.bundle.digest());
    assert_eq!(*seen.lock().unwrap(), [("decide", Agreement::Stricter)]);
}

#[tokio::test]
async fn a_candidate_that_does_not_return_delays_nobody() {
    let (policy, _, seen) = in_force(&allow(), None, config(1, 16, 2_000));
    policy.try_out(Some(Trial::new(pool(&slow_policy(), config(1, 16, 60_000)), CandidateMode::Shadow, None)));
    let start = Instant::now();
    let judged = policy.decide(slow_input()).await;
    assert!(judged.verdict.allow);
    assert_eq!(judged.candidate.unwrap().candidate.reason, "policy_timeout");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(*seen.lock().unwrap(), [("decide", Agreement::Unanswered)]);
}

#[tokio::test]
async fn a_rollout_decides_for_the_agents_of_its_share_and_for_nobody_else() {
    let (policy, ..) = in_force(&allow(), None, config(1, 64, 60_000));
    let share = Share::of_percent(50).unwrap();
    policy.try_out(Some(Trial::new(pool(&deny(), config(1, 64, 60_000)), CandidateMode::Rollout(share), None)));
    let mut taken = 0;
    for n in 0..40 {
        let agent = format!("spiffe://atb.dev/agent/{n}");
        let is_taken = share.takes(Place::of(&"default".parse().unwrap(), &agent.parse().unwrap()));
        taken += usize::from(is_taken);
        let judged = policy.decide(asked_by(&agent)).await;
        assert_eq!(judged.verdict.allow, !is_taken, "{agent}");
        assert_eq!(policy.bundle_for(&agent.parse().unwrap()).digest(), judged.bundle.digest(), "{agent}");
        let displaced = judged.candidate.unwrap().displaced;
        assert_eq!(displaced.map(|opinion| opinion.allow), is_taken.then_some(true), "{agent}");
    }
    assert!((10..30).contains(&taken), "{taken} of 40");
    // Nobody who asks without a place is decided by a candidate.
    assert!(policy.decide(input(&serde_json::json!({}))).await.verdict.allow);
}

/// Two versions of the shipped policy that differ by their name.
fn shipped() -> [Arc<Bundle>; 2] {
    let files = bundle_dir::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("opa")).unwrap();
    ["one", "two"].map(|revision| {
        let manifest = (".manifest".to_owned(), format!("{{\"revision\": \"{revision}\"}}").into_bytes());
        let rest = files.iter().filter(|(path, _)| *path != ".manifest");
        let rest = rest.map(|(path, content)| (path.to_owned(), content.to_vec()));
        let files = crate::domain::policy::bundle::BundleFiles::new(rest.chain([manifest])).unwrap();
        Arc::new(Bundle::parse(&files).unwrap())
    })
}

/// `cargo test --lib twenty_activations -- --nocapture` prints the figures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_activations_of_the_shipped_policy_drop_no_question() {
    let bundles = shipped();
    let deadline = PdpConfig { deadline: Duration::from_secs(20), ..PdpConfig::default() };
    let pool = Arc::new(PdpPool::start(Arc::clone(&bundles[0]), deadline).unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let askers = [(); 2].map(|()| {
        let (pool, stop) = (Arc::clone(&pool), Arc::clone(&stop));
        tokio::spawn(async move {
            let (mut took, mut faults) = (Vec::new(), 0);
            while !stop.load(Ordering::Acquire) {
                let start = Instant::now();
                let judged = pool.decide(asked_by("spiffe://atb.dev/agent/a")).await;
                took.push(start.elapsed());
                faults += usize::from(judged.verdict.reason.starts_with("policy_"));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            (took, faults)
        })
    });
    let mut prepared = Vec::new();
    for round in 1..=20 {
        let (pool, bundle) = (Arc::clone(&pool), Arc::clone(&bundles[round % 2]));
        let start = Instant::now();
        tokio::task::spawn_blocking(move || pool.activate(&bundle).unwrap()).await.unwrap();
        prepared.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.store(true, Ordering::Release);
    let mut took = Vec::new();
    for asker in askers {
        let (times, faults) = asker.await.unwrap();
        assert_eq!(faults, 0, "questions without an answer");
        took.extend(times);
    }
    took.sort_unstable();
    prepared.sort_unstable();
    let late = took.iter().filter(|took| **took > Duration::from_millis(5)).count();
    println!(
        "{} questions during 20 activations: p50 {:?}, p99 {:?}, max {:?}, {late} above 5 ms; an activation p50 {:?}, max {:?}",
        took.len(),
        took[took.len() / 2],
        took[took.len() * 99 / 100],
        took[took.len() - 1],
        prepared[10],
        prepared[19],
    );
    assert!(took.len() > 100, "{}", took.len());
    // A question that waited for an engine to be built would wait as long as an activation takes.
    assert!(took[took.len() * 9 / 10] < prepared[0], "questions wait for activations");
}
