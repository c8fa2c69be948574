//! What a thief of AgentAuth's signing key can write.

use std::path::PathBuf;

use atb::adapters::clock::{SystemClock, SystemEntropy};
use atb::adapters::signer;
use atb::domain::approval::{Delegation, Statement};
use atb::domain::id::Jti;
use atb::domain::jose;
use atb::domain::time::Timestamp;
use atb::service::ports::{Clock as _, Entropy as _};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use josekit::jws::JwsHeader;
use serde_json::{Value, json};

use crate::app::{Caller, TestApp};

/// The thief, who also has every mandate that was ever issued.
pub struct Thief {
    key: PathBuf,
}

impl Thief {
    pub fn of_the_mandate_key(app: &TestApp) -> Self {
        Self { key: app.home().path("keys/mandate.pem") }
    }

    /// A mandate of these claims under AgentAuth's key, fresh: a new `jti`, good from now.
    pub fn mints(&self, claims: &Value) -> String {
        let now = SystemClock.now();
        let mut claims = claims.clone();
        let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
        (claims["iat"], claims["nbf"], claims["exp"]) =
            (json!(now.as_secs()), json!(now.as_secs()), json!(now.as_secs() + life));
        claims["jti"] = json!(Jti::new(now, SystemEntropy.bytes()).to_string());
        self.signs("poa+jwt", None, &claims.to_string())
    }

    /// A statement under AgentAuth's key, with any chain in its header.
    pub fn states(&self, statement: &Statement, x5c: &[Vec<u8>]) -> String {
        self.signs("approval+jwt", Some(x5c), &serde_json::to_string(statement).unwrap())
    }

    /// A delegation under AgentAuth's key, with any chain in its header.
    pub fn delegates(&self, delegation: &Delegation, x5c: &[Vec<u8>]) -> String {
        self.signs("delegation+jwt", Some(x5c), &serde_json::to_string(delegation).unwrap())
    }

    /// A mandate for `ask` on whatever statements there are; `low` is any mandate, for the claims that all have.
    pub fn forges(&self, low: &Value, ask: &Value, tier: &str, approvers: Vec<Value>) -> String {
        self.mints(&with(low, |claims| {
            for member in ["act", "con", "leg", "req"] {
                claims[member] = ask[member].clone();
            }
            claims["tier"] = json!(tier);
            claims["exp"] = json!(claims["iat"].as_u64().unwrap() + ask["ttl"].as_u64().unwrap());
            claims["leg"]["dual_control"] = json!({"required": true, "approvers": approvers});
        }))
    }

    fn signs(&self, typ: &str, x5c: Option<&[Vec<u8>]>, payload: &str) -> String {
        let (signer, public) = signer::mandate_signer(signer::read_ed25519(&self.key).unwrap()).unwrap();
        let mut header = JwsHeader::new();
        header.set_token_type(typ);
        match x5c {
            Some(chain) => header.set_x509_certificate_chain(&chain.to_vec()),
            None => header.set_key_id(public.kid().as_str()),
        }
        jose::sign(&header, payload.as_bytes(), signer.signer.as_ref()).unwrap()
    }
}

/// The claims of a mandate or a statement.
pub fn claims_of(jws: &str) -> Value {
    let payload = jws.split('.').nth(1).unwrap();
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(payload).unwrap()).unwrap()
}

/// The claims of a mandate with one change.
pub fn with(claims: &Value, change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = claims.clone();
    change(&mut claims);
    claims
}

/// `name` signs what is shown, with one change: her approval as it stands in a mandate.
pub fn approval(app: &TestApp, name: &str, shown: &Value, change: impl FnOnce(&mut Statement)) -> Value {
    let caller: Caller = app.to_issuer(name);
    let mut statement = caller.statement(shown);
    change(&mut statement);
    json!({
        "id": caller.id(), "type": "approver", "statement": caller.sign(&statement),
        "approved_at": Timestamp::from_secs(statement.iat),
    })
}

/// `name` signs exactly what is shown.
pub fn handed_in(app: &TestApp, name: &str, shown: &Value) -> Value {
    approval(app, name, shown, |_| {})
}
