//! Statements by an approver's own key, genuine unless a test makes them otherwise.

use atb::adapters::clock::{SystemClock, SystemEntropy};
use atb::adapters::signer;
use atb::domain::approval::{Decision, Delegation, Statement};
use atb::domain::attestation::Attested;
use atb::domain::catalogue::Tier;
use atb::domain::id::{DelegationId, StatementId};
use atb::service::ports::{Clock as _, Entropy as _};
use rustls::pki_types::CertificateDer;
use serde_json::Value;

use super::Caller;

impl Caller {
    /// The statement that answers a challenge as shown (`/challenges/{id}`, or the answer of `/issue`).
    pub fn statement(&self, shown: &Value) -> Statement {
        let asked = &shown["statement"];
        let text = |name: &str| asked[name].as_str().unwrap();
        let now = SystemClock.now();
        Statement {
            iss: self.id(),
            sub: text("sub").parse().unwrap(),
            aud: text("aud").parse().unwrap(),
            cid: text("cid").parse().unwrap(),
            sum: text("sum").parse().unwrap(),
            view: text("view").parse().unwrap(),
            decision: Decision::Approve,
            iat: now.as_secs(),
            exp: asked["exp"].as_u64().unwrap(),
            jti: StatementId::new(now, SystemEntropy.bytes()),
            del: None,
            att: Attested::default(),
        }
    }

    /// A delegation by this identity, good for two hours and for every act of this workspace, before a test narrows it.
    pub fn delegation(&self, to: &Caller, shown: &Value) -> Delegation {
        let now = SystemClock.now();
        Delegation {
            iss: self.id(),
            sub: to.id(),
            aud: shown["statement"]["aud"].as_str().unwrap().parse().unwrap(),
            tiers: Tier::ALL.to_vec(),
            acts: vec!["*".to_owned().try_into().unwrap()],
            workspaces: vec!["default".parse().unwrap()],
            iat: now.as_secs(),
            nbf: now.as_secs(),
            exp: now.as_secs() + 2 * 3600,
            jti: DelegationId::new(now, SystemEntropy.bytes()),
        }
    }

    /// Signs a delegation with this identity's key, under its chain.
    pub fn delegate(&self, delegation: &Delegation) -> String {
        delegation.sign(signer::svid_signer(&self.key).unwrap().as_ref(), &self.chain()).unwrap()
    }

    /// Signs with this identity's key, under its chain.
    pub fn sign(&self, statement: &Statement) -> String {
        self.sign_under(statement, &self.chain())
    }

    /// Signs with this identity's key, under any chain.
    pub fn sign_under(&self, statement: &Statement, chain: &[CertificateDer<'_>]) -> String {
        let signer = signer::svid_signer(&self.key).unwrap();
        statement.sign(signer.as_ref(), chain).unwrap()
    }

    /// This identity's chain, leaf first.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.identity.current().svid().chain_der().to_vec()
    }
}
