//! The approvers' queue: `cargo bench --bench queue`. 10,000 challenges wait in five workspaces; a page may take 50 ms.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a bench that cannot go on stops; criterion makes undocumented items"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atb::adapters::clock::{SystemClock, SystemEntropy};
use atb::adapters::dev_identity::{DevCa, KeyKind, new_signing_key_pem};
use atb::adapters::pdp::{PdpConfig, PdpPool};
use atb::adapters::signer::mandate_signer;
use atb::adapters::store::{OpenMode, SqliteStore};
use atb::adapters::tickets::HttpTickets;
use atb::adapters::{bundle_dir, pem};
use atb::domain::action::{CallPath, CallRequest, Method};
use atb::domain::approval::{Challenge, ChallengeDraft, ChallengeState};
use atb::domain::catalogue::Tier;
use atb::domain::id::{ChallengeId, ConnectorId, EventId, WorkspaceId};
use atb::domain::json::Object;
use atb::domain::ledger::{Entry, EventType, LogKey, Subject};
use atb::domain::policy::{Bundle, Environment, bundle::BundleFiles};
use atb::domain::spiffe::{Purpose, SpiffeId, TrustBundle, TrustBundles, UnverifiedSvid, VerifiedSvid};
use atb::domain::time::{Timestamp, Ttl};
use atb::service::issuer::queue::QueueFilter;
use atb::service::issuer::{Issuer, IssuerPorts, IssuerSettings};
use atb::service::ports::{
    CallDirectory, ChallengeQuery, Challenges as _, Clock as _, Entropy as _, ListKey, NotACall, Order, Viewer,
};
use atb::service::withdrawals::{LegWithdrawals, WithdrawalPorts};
use criterion::{Criterion, criterion_group, criterion_main};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const CHALLENGES: usize = 10_000;
const TEAMS: usize = 5;
const ALICE: &str = "spiffe://atb.dev/approver/alice";

struct World {
    store: Arc<SqliteStore>,
    issuer: Issuer,
    alice: VerifiedSvid,
    _dir: tempfile::TempDir,
}

/// No list asks for a call.
struct NoCalls;

impl CallDirectory for NoCalls {
    fn describe(&self, _: &ConnectorId, _: Method, _: &CallPath, _: &Object) -> Result<CallRequest, NotACall> {
        Err(NotACall { code: "unknown_route", pointer: String::new(), detail: "none".to_owned() })
    }

    fn method_of(&self, _: &ConnectorId, _: &CallPath, _: &str) -> Result<Method, NotACall> {
        Err(NotACall { code: "unknown_route", pointer: String::new(), detail: "none".to_owned() })
    }

    fn may_ask(&self, _: &ConnectorId, _: &SpiffeId) -> bool {
        false
    }
}

impl World {
    async fn new() -> Self {
        let now = SystemClock.now();
        let dir = tempfile::tempdir().unwrap();
        let ca = DevCa::create("atb.dev".parse().unwrap(), now).unwrap();
        let trust = TrustBundle::parse_pem("atb.dev".parse().unwrap(), ca.bundle_pem().as_bytes()).unwrap();
        let trust = Arc::new(TrustBundles::new([trust]));
        let issued = ca.issue(&ALICE.parse().unwrap(), KeyKind::P256, now, Duration::from_secs(86_400)).unwrap();
        let svid = dir.path().join("svid.pem");
        std::fs::write(&svid, issued.svid_pem).unwrap();
        let chain = UnverifiedSvid::parse(&pem::read_certificates(&svid).unwrap()).unwrap();
        let alice = trust.verify(chain, Purpose::Client, now).unwrap();
        let key = LogKey::new(SigningKey::from_bytes(&[9; 32]));
        let path = dir.path().join("ledger.db");
        let origin = "bench/atb".parse().unwrap();
        let store = SqliteStore::open(&path, OpenMode::Create, key, origin, Arc::new(SystemClock)).await.unwrap();
        let store = Arc::new(store);
        fill(&store, now).await;
        let (signer, _) = mandate_signer(SigningKey::from_pkcs8_pem(&new_signing_key_pem().unwrap()).unwrap()).unwrap();
        let settings = IssuerSettings {
            id: "spiffe://atb.dev/agentauth".parse().unwrap(),
            brokers: Vec::new(),
            default_ttl: Ttl::DEFAULT,
            max_ttl: Ttl::MAX,
            environment: Environment::Production,
        };
        let policy = Arc::new(PdpPool::start(bundle(), PdpConfig::default()).unwrap());
        let withdrawal_ports = WithdrawalPorts {
            store: store.clone(),
            policy: policy.clone(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        };
        let withdrawn = Arc::new(LegWithdrawals::open(Vec::new(), withdrawal_ports).await.unwrap());
        let ports = IssuerPorts {
            tickets: Arc::new(HttpTickets::new(&Default::default(), true).unwrap()),
            commit: None,
            withdrawn,
            ledger: store.clone(),
            challenges: store.clone(),
            policy,
            calls: Arc::new(NoCalls),
            trust: Arc::new(move || Arc::clone(&trust)),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        };
        Self { issuer: Issuer::new(settings, signer, ports), store, alice, _dir: dir }
    }
}

/// The shipped policy; Alice approves for five teams.
fn bundle() -> Arc<Bundle> {
    let files = bundle_dir::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("opa")).unwrap();
    let files = files.iter().map(|(path, content)| {
        if path != "approvers/data.json" {
            return (path.to_owned(), content.to_vec());
        }
        let mut people: Value = serde_json::from_slice(content).unwrap();
        people[ALICE]["workspaces"] = (0..TEAMS).map(|n| format!("team-{n}")).collect();
        (path.to_owned(), people.to_string().into_bytes())
    });
    Arc::new(Bundle::parse(&BundleFiles::new(files.collect::<Vec<_>>()).unwrap()).unwrap())
}

async fn fill(store: &Arc<SqliteStore>, now: Timestamp) {
    for group in 0..CHALLENGES / 500 {
        let mut tasks = tokio::task::JoinSet::new();
        for n in group * 500..(group + 1) * 500 {
            let (store, challenge) = (Arc::clone(store), challenge(n, now));
            let subject = Subject { challenge_id: Some(challenge.id()), ..Subject::default() };
            let entry = Entry {
                event_id: EventId::new(now, SystemEntropy.bytes()),
                event_type: EventType::PoaChallengeCreated,
                at: now,
                workspace: WorkspaceId::default(),
                subject,
            };
            tasks.spawn(async move { store.open(&challenge, entry).await.unwrap() });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    }
}

fn challenge(n: usize, now: Timestamp) -> Challenge {
    let digest = "sha-256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let draft: ChallengeDraft = serde_json::from_value(json!({
        "ask": {
            "sub": "spiffe://atb.dev/agent/procurement", "act": "sap.vendor.change", "con": {}, "ttl": 300,
            "leg": {
                "jurisdiction": "DE", "accountable_party": {"type": "employee", "id": "p-1"}, "basis": "CONTRACT",
                "ref": format!("C-{n}"), "description": "Change of a vendor's bank account",
                "template": {"id": "contract", "version": "1", "digest": digest}
            }
        },
        "workspace": format!("team-{}", n % TEAMS), "tier": Tier::ALL[n % 4], "aud": ["spiffe://atb.dev/broker"],
        "view": {"v": 1, "title": "Change a vendor", "tier": "high", "sentence": "Change a vendor", "facts": []},
        "requirement": {"required": 2, "roles": {}, "excluded": [], "delegable": true, "ticket": false,
            "challenge_seconds": 86_400, "max_ttl_seconds": 300},
        "requires_dual_control": false, "asked": [], "pol": "r1"
    }))
    .unwrap();
    let at = now.minus(Duration::from_millis(u64::try_from(CHALLENGES - n).unwrap()));
    Challenge::open(ChallengeId::new(at, SystemEntropy.bytes()), draft, at)
}

fn lists(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    let mut group = c.benchmark_group("queue of 10,000");
    group.sample_size(20);
    let pending = QueueFilter { states: vec![ChallengeState::Pending], ..QueueFilter::default() };
    for (what, filter) in [
        ("pending", pending.clone()),
        ("newest", QueueFilter { order: Order::Newest, ..pending.clone() }),
        ("one team, one tier", {
            let team = Some("team-3".parse().unwrap());
            QueueFilter { workspace: team, tier: Some(Tier::High), ..pending.clone() }
        }),
        ("mine, a family of acts", {
            let act = Some("sap.*".to_owned().try_into().unwrap());
            QueueFilter { mine: true, act, ..pending.clone() }
        }),
        ("any state", QueueFilter::default()),
        ("an agent that asked for nothing", {
            let agent = Some("spiffe://atb.dev/agent/nobody".parse().unwrap());
            QueueFilter { agent, ..pending.clone() }
        }),
    ] {
        for limit in [50, 200] {
            // The last page is meant where there are fewer than forty.
            let fortieth = runtime.block_on(place(&world, &filter, limit, 39));
            for (page, after) in [("first", None), ("40th", fortieth)] {
                group.bench_function(format!("use case: {what}, {page} page of {limit}"), |b| {
                    b.to_async(&runtime).iter(|| world.issuer.challenges(&world.alice, &filter, after, limit));
                });
            }
        }
    }
    for limit in [50, 200] {
        let after = runtime.block_on(place(&world, &pending, limit, 39));
        for (page, after) in [("first", None), ("40th", after)] {
            let workspaces = (0..TEAMS).map(|n| format!("team-{n}").parse().unwrap()).collect();
            let query = ChallengeQuery {
                viewer: Some(Viewer { id: ALICE.parse().unwrap(), workspaces }),
                states: vec![ChallengeState::Pending],
                after,
                limit,
                ..ChallengeQuery::default()
            };
            group.bench_function(format!("store: pending, {page} page of {limit}"), |b| {
                b.to_async(&runtime).iter(|| world.store.list(&query));
            });
        }
    }
    group.finish();
    runtime.block_on(world.store.close()).unwrap();
}

/// Where the page after `pages` others begins, or the last one if there are not so many.
async fn place(world: &World, filter: &QueueFilter, limit: u32, pages: usize) -> Option<ListKey> {
    let mut after = None;
    for _ in 0..pages {
        match world.issuer.challenges(&world.alice, filter, after, limit).await.unwrap().next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    after
}

criterion_group!(benches, lists);
criterion_main!(benches);
