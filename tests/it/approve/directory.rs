//! A follower of the queue who leaves the approvers' directory: a change of the policy, which the doors cannot make yet.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atb::adapters::clock::{SystemClock, SystemEntropy};
use atb::adapters::dev_identity::{DevCa, KeyKind, new_signing_key_pem};
use atb::adapters::pdp::{PdpConfig, PdpPool};
use atb::adapters::signer::mandate_signer;
use atb::adapters::store::OpenMode;
use atb::adapters::tickets::HttpTickets;
use atb::adapters::{bundle_dir, pem};
use atb::domain::action::{CallPath, CallRequest, Method};
use atb::domain::id::ConnectorId;
use atb::domain::json::Object;
use atb::domain::policy::{Bundle, bundle::BundleFiles};
use atb::domain::spiffe::{Purpose, SpiffeId, TrustBundle, TrustBundles, UnverifiedSvid};
use atb::domain::time::Ttl;
use atb::service::issuer::queue::Start;
use atb::service::issuer::{Issuer, IssuerPorts, IssuerSettings};
use atb::service::ports::{CallDirectory, Challenges as _, Clock as _, NotACall};
use atb::service::withdrawals::{LegWithdrawals, WithdrawalPorts};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use serde_json::{Value, json};

use crate::store_contract;

const ALICE: &str = "spiffe://atb.dev/approver/alice";

/// The shipped policy with the directory changed.
fn bundle(edit: impl Fn(&mut Value)) -> Arc<Bundle> {
    let files = bundle_dir::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("opa")).unwrap();
    let files = files.iter().map(|(path, content)| {
        if path != "approvers/data.json" {
            return (path.to_owned(), content.to_vec());
        }
        let mut people: Value = serde_json::from_slice(content).unwrap();
        edit(&mut people);
        (path.to_owned(), people.to_string().into_bytes())
    });
    Arc::new(Bundle::parse(&BundleFiles::new(files.collect::<Vec<_>>()).unwrap()).unwrap())
}

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

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_the_directory_is_told_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemClock.now();
    let ca = DevCa::create("atb.dev".parse().unwrap(), now).unwrap();
    let trust = TrustBundle::parse_pem("atb.dev".parse().unwrap(), ca.bundle_pem().as_bytes()).unwrap();
    let trust = Arc::new(TrustBundles::new([trust]));
    let issued = ca.issue(&ALICE.parse().unwrap(), KeyKind::P256, now, Duration::from_secs(600)).unwrap();
    std::fs::write(dir.path().join("svid.pem"), issued.svid_pem).unwrap();
    let chain = pem::read_certificates(&dir.path().join("svid.pem")).unwrap();
    let alice = trust.verify(UnverifiedSvid::parse(&chain).unwrap(), Purpose::Client, now).unwrap();
    let store = Arc::new(store_contract::open(&dir.path().join("ledger.db"), OpenMode::Create).await.unwrap());
    let policy = Arc::new(PdpPool::start(bundle(|_| {}), PdpConfig::default()).unwrap());
    let key = SigningKey::from_pkcs8_pem(&new_signing_key_pem().unwrap()).unwrap();
    let settings = IssuerSettings {
        id: "spiffe://atb.dev/agentauth".parse().unwrap(),
        brokers: Vec::new(),
        default_ttl: Ttl::DEFAULT,
        max_ttl: Ttl::MAX,
        environment: atb::domain::policy::Environment::Production,
    };
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
        policy: policy.clone(),
        calls: Arc::new(NoCalls),
        trust: Arc::new(move || Arc::clone(&trust)),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    let issuer = Issuer::new(settings, mandate_signer(key).unwrap().0, ports);

    let Ok(Start::Here(place)) = issuer.follow(&alice, None).await else { panic!("she cannot follow") };
    let asks = async || {
        let challenge = store_contract::challenge();
        let mut entry = store_contract::entry(atb::domain::ledger::EventType::PoaChallengeCreated, None);
        entry.subject.challenge_id = Some(challenge.id());
        store.open(&challenge, entry).await.unwrap();
    };
    asks().await;
    let (told, place) = issuer.turns(&alice, place).await.unwrap().unwrap();
    assert_eq!(told.len(), 1);

    // Another team's approver now: what happens here is not hers any more.
    policy.activate(&bundle(|people| people[ALICE]["workspaces"] = json!(["team-b"]))).unwrap();
    asks().await;
    let (told, place) = issuer.turns(&alice, place).await.unwrap().unwrap();
    assert_eq!(told, []);

    policy.activate(&bundle(|people| drop(people.as_object_mut().unwrap().remove(ALICE)))).unwrap();
    assert_eq!(issuer.turns(&alice, place).await.unwrap(), None, "the stream ends");
    assert_eq!(issuer.follow(&alice, None).await.unwrap_err().reason, "approver_unknown");
    store.close().await.unwrap();
}
