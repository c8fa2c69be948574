//! The hot path, piece by piece: `cargo bench`. Figures and commands are in `docs/performance.md`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a bench that cannot go on stops; criterion makes undocumented items"
)]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atb::adapters::bundle_dir;
use atb::adapters::clock::SystemClock;
use atb::adapters::dev_identity::{DevCa, KeyKind, new_signing_key_pem};
use atb::adapters::signer::{mandate_signer, svid_signer};
use atb::adapters::store::{OpenMode, SqliteStore};
use atb::domain::action::CallRequest;
use atb::domain::approval::{Ask, CallView, Decision, Statement, UnverifiedStatement, View};
use atb::domain::catalogue::Tier;
use atb::domain::id::{ChallengeId, EventId, Jti, Sha256Digest, StatementId, WorkspaceId};
use atb::domain::jose::{self, MandateKeys};
use atb::domain::json;
use atb::domain::ledger::{Entry, EventType, LogKey, PolicyRecord, PolicyRule, Salt, Subject};
use atb::domain::leg::{ApprovalClaim, Approvals, ApproverKind, DualControlApprover};
use atb::domain::mandate::{Claims, Expected, ProvenApprovals, UnverifiedMandate};
use atb::domain::policy::engine::Evaluator;
use atb::domain::policy::{Bundle, Counters, Environment, PolicyInput, bundle::BundleFiles};
use atb::domain::spiffe::{TrustBundle, TrustBundles};
use atb::domain::time::{Timestamp, Ttl};
use atb::service::facts;
use atb::service::issuer::MandateSigner;
use atb::service::ports::{Burn, Clock as _, Ledger as _};
use atb::service::view;
use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use ed25519_dalek::{Signer as _, SigningKey};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json as object};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Keys, a trust domain and the shipped policy.
struct World {
    now: Timestamp,
    ca: DevCa,
    trust: TrustBundles,
    signer: MandateSigner,
    keys: MandateKeys,
    public: [u8; 32],
    bundle: Arc<Bundle>,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let now = SystemClock.now();
        let ca = DevCa::create("atb.dev".parse().unwrap(), now).unwrap();
        let trust = TrustBundle::parse_pem("atb.dev".parse().unwrap(), ca.bundle_pem().as_bytes()).unwrap();
        let key = SigningKey::from_pkcs8_pem(&new_signing_key_pem().unwrap()).unwrap();
        let verifying = key.verifying_key().to_bytes();
        let (signer, public) = mandate_signer(key).unwrap();
        Self {
            now,
            ca,
            trust: TrustBundles::new([trust]),
            signer,
            keys: MandateKeys::new(vec![public]),
            public: verifying,
            bundle: bundle(0),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn expected(&self) -> Expected {
        Expected {
            issuer: "spiffe://atb.dev/agentauth".parse().unwrap(),
            audience: "spiffe://atb.dev/broker".parse().unwrap(),
            max_ttl: Ttl::DEFAULT,
        }
    }

    /// A statement by `name` (Bob's key is Ed25519, the others' P-256) over `ask`.
    fn statement(&self, name: &str, ask: &Ask, view: Sha256Digest, cid: ChallengeId) -> String {
        let kind = if name == "bob" { KeyKind::Ed25519 } else { KeyKind::P256 };
        let id = format!("spiffe://atb.dev/approver/{name}").parse().unwrap();
        let issued = self.ca.issue(&id, kind, self.now, Duration::from_secs(3600)).unwrap();
        let key = self.dir.path().join(format!("{}.pem", StatementId::new(self.now, rand())));
        atb::adapters::pem::write_private(&key, issued.key_pem.as_bytes()).unwrap();
        let svid = key.with_extension("svid");
        std::fs::write(&svid, &issued.svid_pem).unwrap();
        let chain = atb::adapters::pem::read_certificates(&svid).unwrap();
        let statement = Statement {
            iss: id,
            sub: ask.sub.clone(),
            aud: self.expected().issuer,
            cid,
            sum: ask.sum(),
            view,
            decision: Decision::Approve,
            iat: self.now.as_secs(),
            exp: self.now.as_secs() + 3600,
            jti: StatementId::new(self.now, rand()),
            del: None,
            att: atb::domain::attestation::Attested::default(),
        };
        statement.sign(svid_signer(&key).unwrap().as_ref(), &chain).unwrap()
    }

    fn ask(&self, scene: &Scene, call: &CallRequest) -> Ask {
        let vars = object!({
            "contract_ref": "MSA-1001", "accountable_id": "dave", "jurisdiction": "DE", "order": "bench",
            "ticket_system": "jira", "ticket_ref": "OPS-17",
        });
        let template = self.bundle.templates().find("contract").unwrap();
        Ask {
            sub: "spiffe://atb.dev/agent/procurement".parse().unwrap(),
            act: call.act.clone(),
            con: serde_json::from_value(scene.con.clone()).unwrap(),
            leg: template.bind(vars.as_object().unwrap(), None).unwrap(),
            req: Some(call.binding()),
            ttl: Ttl::from_secs(if scene.tier == Tier::Critical { 120 } else { 300 }).unwrap(),
        }
    }

    fn claims(&self, scene: &Scene) -> (Claims, CallRequest) {
        let call = scene.call();
        let ask = self.ask(scene, &call);
        let cid = ChallengeId::new(self.now, rand());
        let approvals = self.approvals(scene, &ask, self.view(&ask, &call).digest(), cid);
        let iat = self.now.as_secs();
        let claims = Claims {
            iss: self.expected().issuer,
            sub: ask.sub.clone(),
            aud: vec![self.expected().audience],
            act: ask.act.clone(),
            con: ask.con.clone(),
            leg: ask.leg.clone().with(approvals),
            iat,
            nbf: iat,
            exp: iat + ask.ttl.as_secs(),
            jti: Jti::new(self.now, rand()),
            tier: scene.tier,
            pol: self.bundle.revision().clone(),
            req: ask.req,
        };
        (claims, call)
    }

    /// What an approver is shown of this call.
    fn view(&self, ask: &Ask, call: &CallRequest) -> View {
        let entry = self.bundle.catalogue().find(&ask.act).unwrap();
        View::of(ask, Some(&CallView::from(call)), entry).unwrap()
    }

    fn approvals(&self, scene: &Scene, ask: &Ask, view: Sha256Digest, cid: ChallengeId) -> Approvals {
        let at = self.now.truncate_to_secs();
        let id = |name: &str| format!("spiffe://atb.dev/approver/{name}").parse().unwrap();
        match scene.approvers {
            [] => Approvals::None,
            [one] => Approvals::Single(ApprovalClaim {
                approver_id: id(one),
                approved_at: at,
                statement: self.statement(one, ask, view, cid),
            }),
            several => Approvals::Dual(
                several
                    .iter()
                    .map(|name| DualControlApprover {
                        id: id(name),
                        kind: if *name == "carol" { ApproverKind::Executive } else { ApproverKind::Approver },
                        approved_at: at,
                        statement: self.statement(name, ask, view, cid),
                    })
                    .collect(),
            ),
        }
    }

    fn mint(&self, claims: &Claims) -> String {
        let mut header = josekit::jws::JwsHeader::new();
        header.set_token_type("poa+jwt");
        header.set_key_id(self.signer.kid.as_str());
        jose::sign(&header, &serde_json::to_vec(claims).unwrap(), self.signer.signer.as_ref()).unwrap()
    }

    /// What the broker tells the policy of an allowed call of this tier.
    fn input(&self, scene: &Scene) -> PolicyInput {
        let (claims, call) = self.claims(scene);
        let verified =
            UnverifiedMandate::parse(&self.mint(&claims)).unwrap().verify(&self.keys, &self.expected(), self.now);
        let bound = verified.unwrap().held_as_reported(&claims.sub).unwrap();
        let approvals = ProvenApprovals::of(&claims, &self.trust).unwrap();
        let circumstances = facts::Circumstances {
            workspace: &WorkspaceId::default(),
            environment: Environment::Production,
            platform: None,
            counters: &Counters::default(),
            guardrails: None,
            now: self.now,
        };
        facts::of_call(&bound, &call, &approvals, circumstances)
    }
}

fn rand() -> [u8; 10] {
    let mut bytes = [0; 10];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

/// One call of one tier.
struct Scene {
    tier: Tier,
    act: &'static str,
    method: &'static str,
    path: &'static str,
    params: Value,
    con: Value,
    approvers: &'static [&'static str],
}

impl Scene {
    fn call(&self) -> CallRequest {
        CallRequest::new(
            "erp".parse().unwrap(),
            self.method.parse().unwrap(),
            self.path.parse().unwrap(),
            self.act.parse().unwrap(),
            serde_json::from_value(self.params.clone()).unwrap(),
        )
    }
}

fn scenes() -> [Scene; 4] {
    [
        Scene {
            tier: Tier::Low,
            act: "erp.order.read",
            method: "GET",
            path: "/orders/O-2001",
            params: object!({"order_id": "O-2001"}),
            con: object!({}),
            approvers: &[],
        },
        Scene {
            tier: Tier::Medium,
            act: "erp.order.create",
            method: "POST",
            path: "/orders",
            params: object!({"vendor_id": "V-1001", "item": "paper", "quantity": 3, "amount": 120.5, "currency": "EUR"}),
            con: object!({"amount": {"max": 500}}),
            approvers: &["alice"],
        },
        Scene {
            tier: Tier::High,
            act: "sap.vendor.change",
            method: "POST",
            path: "/vendors/V-1001/bank-account",
            params: object!({"vendor_id": "V-1001", "iban": "DE02120300000000202051", "payment_limit": 25000}),
            con: object!({"vendor_id": "V-1001"}),
            approvers: &["alice", "bob"],
        },
        Scene {
            tier: Tier::Critical,
            act: "erp.vendor.delete",
            method: "DELETE",
            path: "/vendors/V-1001",
            params: object!({"vendor_id": "V-1001", "reason": "duplicate"}),
            con: object!({}),
            approvers: &["bob", "carol"],
        },
    ]
}

/// The shipped bundle, with `extra` further acts in its catalogue.
fn bundle(extra: usize) -> Arc<Bundle> {
    let files = bundle_dir::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("opa")).unwrap();
    let files = files.iter().map(|(path, content)| {
        if path != "catalogue/data.json" {
            return (path.to_owned(), content.to_vec());
        }
        let mut catalogue: Value = serde_json::from_slice(content).unwrap();
        let acts = catalogue.as_object_mut().unwrap();
        let template = acts.get("erp.order.read").unwrap().clone();
        acts.extend((0..extra).map(|n| (format!("bench.act.n{n}"), template.clone())));
        (path.to_owned(), catalogue.to_string().into_bytes())
    });
    Arc::new(Bundle::parse(&BundleFiles::new(files.collect::<Vec<_>>()).unwrap()).unwrap())
}

fn mandates(c: &mut Criterion) {
    let world = World::new();
    let [low, .., high, _] = scenes();
    let (claims, _) = world.claims(&low);
    let token = world.mint(&claims);
    let key = SigningKey::from_bytes(&[7; 32]);
    let message = token.as_bytes();
    let signature = key.sign(message);
    let mut group = c.benchmark_group("mandate");
    group.bench_function("bare ed25519 verify_strict", |b| {
        b.iter(|| key.verifying_key().verify_strict(black_box(message), &signature).unwrap());
    });
    group.bench_function("verify", |b| {
        let (expected, now) = (world.expected(), world.now);
        b.iter(|| UnverifiedMandate::parse(black_box(&token)).unwrap().verify(&world.keys, &expected, now).unwrap());
    });
    group.bench_function("mint", |b| b.iter(|| world.mint(black_box(&claims))));
    let (claims, _) = world.claims(&high);
    group.bench_function("prove two approvals (ES256 and EdDSA, with chains)", |b| {
        b.iter(|| ProvenApprovals::of(black_box(&claims), &world.trust).unwrap());
    });
    group.finish();
}

fn statements(c: &mut Criterion) {
    let world = World::new();
    let [_, _, high, _] = scenes();
    let ask = world.ask(&high, &high.call());
    let view = world.view(&ask, &high.call()).digest();
    let cid = ChallengeId::new(world.now, rand());
    let mut group = c.benchmark_group("statement");
    for (name, alg) in [("alice", "ES256"), ("bob", "EdDSA")] {
        let statement = world.statement(name, &ask, view, cid);
        group.bench_function(format!("verify {alg} with chain"), |b| {
            b.iter(|| {
                UnverifiedStatement::parse(black_box(&statement)).unwrap().verify(&world.trust, world.now).unwrap()
            });
        });
    }
    group.finish();
}

/// What the broker does for two approvals, beside the bare signature checks that it cannot do without: the mandate's,
/// and for each approver her statement's and her certificate's.
fn two_approvals(c: &mut Criterion) {
    let world = World::new();
    let [_, _, high, _] = scenes();
    let (claims, call) = world.claims(&high);
    let (ask, token, expected) = (claims.ask().unwrap(), world.mint(&claims), world.expected());
    let mut group = c.benchmark_group("two approvals");
    group.bench_function("view and its digest", |b| {
        b.iter(|| world.view(black_box(&ask), black_box(&call)).digest());
    });
    group.bench_function("broker verifies mandate, approvals and view", |b| {
        b.iter(|| {
            let mandate = UnverifiedMandate::parse(black_box(&token)).unwrap();
            let mandate = mandate.verify(&world.keys, &expected, world.now).unwrap();
            let bound = mandate.held_as_reported(&claims.sub).unwrap();
            let approvals = ProvenApprovals::of(bound.claims(), &world.trust).unwrap();
            view::was_shown(&world.bundle, &bound, &approvals, &call).unwrap();
        });
    });
    let checks = bare_checks(&world, &claims, &token);
    group.bench_function(format!("sum of its {} bare signature checks", checks.len()), |b| {
        b.iter(|| checks.iter().for_each(|check| check()));
    });
    group.finish();
}

/// One closure a signature: the mandate's (Ed25519), the statements' (P-256 and Ed25519), their leaves' (the CA's P-256).
fn bare_checks(world: &World, claims: &Claims, token: &str) -> Vec<Box<dyn Fn()>> {
    let mut checks: Vec<Box<dyn Fn()>> = Vec::new();
    let (message, signature) = parts(token);
    let key = ed25519_dalek::VerifyingKey::from_bytes(&world.public).unwrap();
    let signature = ed25519_dalek::Signature::from_slice(&signature).unwrap();
    checks.push(Box::new(move || key.verify_strict(black_box(&message), &signature).unwrap()));
    let authority = CertificateDer::from_pem_slice(world.ca.bundle_pem().as_bytes()).unwrap().to_vec();
    for (_, _, statement) in claims.leg.approvals().unwrap() {
        let header: Value = serde_json::from_slice(&decode(statement.split('.').next().unwrap())).unwrap();
        let leaf = Base64::decode_vec(header.pointer("/x5c/0").unwrap().as_str().unwrap()).unwrap();
        let (message, signature) = parts(statement);
        checks.push(bare_check(public_key(&leaf), message, signature, false));
        let (_, certificate) = x509_parser::parse_x509_certificate(&leaf).unwrap();
        let (message, signature) =
            (certificate.tbs_certificate.as_ref().to_vec(), certificate.signature_value.data.to_vec());
        checks.push(bare_check(public_key(&authority), message, signature, true));
    }
    checks
}

/// By the key alone: 32 bytes are Ed25519, a point of 65 is P-256, whose signatures are ASN.1 in certificates.
fn bare_check(key: Vec<u8>, message: Vec<u8>, signature: Vec<u8>, der: bool) -> Box<dyn Fn()> {
    use aws_lc_rs::signature as alg;
    let algorithm: &'static dyn alg::VerificationAlgorithm = match (key.len(), der) {
        (32, _) => &alg::ED25519,
        (_, true) => &alg::ECDSA_P256_SHA256_ASN1,
        (_, false) => &alg::ECDSA_P256_SHA256_FIXED,
    };
    let key = alg::UnparsedPublicKey::new(algorithm, key);
    Box::new(move || key.verify(black_box(&message), &signature).unwrap())
}

fn public_key(certificate: &[u8]) -> Vec<u8> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).unwrap();
    certificate.public_key().subject_public_key.data.to_vec()
}

fn parts(jws: &str) -> (Vec<u8>, Vec<u8>) {
    let (message, signature) = jws.rsplit_once('.').unwrap();
    (message.as_bytes().to_vec(), decode(signature))
}

fn decode(text: &str) -> Vec<u8> {
    Base64UrlUnpadded::decode_vec(text).unwrap()
}

fn policy(c: &mut Criterion) {
    let world = World::new();
    let mut group = c.benchmark_group("policy");
    for extra in [0, 100, 10_000] {
        let mut evaluator = Evaluator::new(bundle(extra)).unwrap();
        evaluator.prepare().unwrap();
        for scene in scenes() {
            let input = world.input(&scene);
            let verdict = evaluator.decide(&input);
            assert!(verdict.allow, "{:?}", verdict);
            group.bench_function(format!("allow {}, {extra} further acts", scene.tier), |b| {
                b.iter(|| evaluator.decide(black_box(&input)));
            });
            let denied = denied(&input);
            assert!(!evaluator.decide(&denied).allow);
            group.bench_function(format!("deny {}, {extra} further acts", scene.tier), |b| {
                b.iter(|| evaluator.decide(black_box(&denied)));
            });
            let draft = draft(&input);
            let verdict = evaluator.issue(&draft);
            assert!(verdict.decision.allow, "{verdict:?}");
            group.bench_function(format!("issue {}, {extra} further acts", scene.tier), |b| {
                b.iter(|| evaluator.issue(black_box(&draft)));
            });
        }
    }
    group.finish();
}

/// What a decision's record costs beside the decision: the input with commitments, canonical, and the verdict's digest.
fn recording(c: &mut Criterion) {
    let world = World::new();
    let mut evaluator = Evaluator::new(Arc::clone(&world.bundle)).unwrap();
    let mut group = c.benchmark_group("recording");
    for scene in scenes() {
        let input = world.input(&scene);
        let verdict = evaluator.decide(&input);
        let loggable = &world.bundle.catalogue().find(&scene.act.parse().unwrap()).unwrap().loggable;
        group.bench_function(format!("decision, {}", scene.tier), |b| {
            b.iter(|| {
                let salt = Salt::from_bytes([7; 16]);
                PolicyRecord::of(PolicyRule::PoaDecision, black_box(input.as_json()), &verdict, loggable, salt)
            });
        });
    }
    group.finish();
}

/// What a new bundle costs before it judges: read, checked, loaded, every entry point asked once. Its tests come on top.
fn activation(c: &mut Criterion) {
    let mut group = c.benchmark_group("activation");
    group.sample_size(10);
    group.bench_function("the shipped bundle parsed", |b| b.iter(|| bundle(0)));
    let shipped = bundle(0);
    group.bench_function("the shipped bundle loaded and prepared", |b| {
        b.iter(|| Evaluator::new(Arc::clone(&shipped)).unwrap().prepare().unwrap());
    });
    group.finish();
}

/// The same call after the mandate's end.
fn denied(input: &PolicyInput) -> PolicyInput {
    let mut document: Value = serde_json::from_str(input.as_json()).unwrap();
    let exp = document.pointer("/poa/exp").unwrap().clone();
    document.as_object_mut().unwrap().insert("time".to_owned(), exp);
    PolicyInput::from_recorded(document.to_string())
}

/// The draft that such a mandate is made from, before anybody has agreed.
fn draft(input: &PolicyInput) -> PolicyInput {
    let mut document: Value = serde_json::from_str(input.as_json()).unwrap();
    let members = document.as_object_mut().unwrap();
    members.remove("counters");
    members.extend([("phase".to_owned(), object!("issue")), ("approvals".to_owned(), object!([]))]);
    let poa = members.get_mut("poa").and_then(Value::as_object_mut).unwrap();
    poa.retain(|name, _| ["sub", "act", "con", "leg", "tier", "req"].contains(&name.as_str()));
    poa.insert("ttl".to_owned(), object!(60));
    let leg = poa.get_mut("leg").and_then(Value::as_object_mut).unwrap();
    leg.retain(|name, _| !["approval", "dual_control"].contains(&name.as_str()));
    PolicyInput::from_recorded(document.to_string())
}

fn canonical(c: &mut Criterion) {
    let params =
        object!({"vendor_id": "V-1001", "iban": "DE02120300000000202051", "payment_limit": 25000, "reason": "x"});
    let bytes = params.to_string().into_bytes();
    c.bench_function("json/parse strict", |b| b.iter(|| json::parse(black_box(&bytes)).unwrap()));
    c.bench_function("json/digest of the canonical form", |b| b.iter(|| json::digest(black_box(&params))));
}

fn ledger(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let key = LogKey::new(SigningKey::from_bytes(&[9; 32]));
    let path = dir.path().join("ledger.db");
    let open = SqliteStore::open(&path, OpenMode::Create, key, "bench/atb".parse().unwrap(), Arc::new(SystemClock));
    let store = Arc::new(runtime.block_on(open).unwrap());
    let mut group = c.benchmark_group("ledger");
    group.sample_size(20);
    for callers in [1_u64, 8, 64, 256] {
        group.throughput(criterion::Throughput::Elements(callers));
        group.bench_function(format!("burn and record, {callers} at once"), |b| {
            b.to_async(&runtime).iter_batched(
                || (0..callers).map(|_| decision()).collect::<Vec<_>>(),
                |decisions| {
                    let store = Arc::clone(&store);
                    async move {
                        let mut tasks = tokio::task::JoinSet::new();
                        for (burn, entry) in decisions {
                            let store = Arc::clone(&store);
                            tasks.spawn(async move {
                                store.burn_and_record(burn, entry.clone(), entry).await.unwrap();
                            });
                        }
                        while let Some(done) = tasks.join_next().await {
                            done.unwrap();
                        }
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
    runtime.block_on(store.close()).unwrap();
}

fn decision() -> (Burn, Entry) {
    let now = SystemClock.now();
    let jti = Jti::new(now, rand());
    let subject = Subject {
        agent: Some("spiffe://atb.dev/agent/procurement".parse().unwrap()),
        act: Some("erp.order.read".parse().unwrap()),
        tier: Some(Tier::Low),
        allow: Some(true),
        reason: Some("ok".to_owned()),
        jti: Some(jti),
        ..Subject::default()
    };
    let entry = Entry {
        event_id: EventId::new(now, rand()),
        event_type: EventType::BrokerDecision,
        at: now,
        workspace: WorkspaceId::default(),
        subject,
    };
    (Burn { jti, challenge: None, keep_until: now.plus(Duration::from_secs(305)), calls: false }, entry)
}

criterion_group!(benches, mandates, statements, two_approvals, policy, recording, activation, canonical, ledger);
criterion_main!(benches);
