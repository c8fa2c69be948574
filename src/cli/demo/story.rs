//! The story, step by step, in plain words. A step is told with what was expected and what came out.

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use axum::http::Method;
use serde_json::{Value, json};

use super::stage::Stage;
use crate::adapters::signer;
use crate::adapters::store::{SqliteReader, read_verifier_key};
use crate::cli::approve::Shown;
use crate::cli::client::Client;
use crate::cli::output::{self, Format};
use crate::domain::mandate::UnverifiedMandate;
use crate::service::auditor::{AuditReport, Start, verify_log};

const IBAN: &str = "DE02120300000000202051";
const CHANGE: &str = "/c/erp/vendors/V-1001/bank-account";

/// The teller.
pub(super) struct Story {
    format: Format,
    told: usize,
    failed: usize,
    since: Instant,
}

impl Story {
    pub(super) fn new(format: Format) -> Self {
        Self { format, told: 0, failed: 0, since: Instant::now() }
    }

    pub(super) fn introduce(&self, stage: &Stage) {
        self.say(&format!("A trust domain, keys, policy and a sample ERP are in {}.", stage.dir().display()));
        let a = stage.addresses();
        let door = |address: Option<std::net::SocketAddr>| address.map(|a| a.to_string()).unwrap_or_default();
        self.say(&format!(
            "AgentAuth https://{}  broker https://{}  ERP http://{}",
            door(a.agentauth),
            door(a.broker),
            stage.erp().address()
        ));
    }

    /// Says how it ended; whether every step came out as expected.
    pub(super) fn finish(&self) -> bool {
        if self.format == Format::Text {
            output::line(&format!("\n{} of {} steps came out as expected.", self.told - self.failed, self.told));
        }
        self.failed == 0
    }

    fn say(&self, text: &str) {
        if self.format == Format::Text {
            output::line(text);
        }
    }

    pub(super) fn step(&mut self, step: &str, expect: &str, got: &str) {
        let ok = expect == got;
        let ms = self.since.elapsed().as_millis();
        self.since = Instant::now();
        self.told += 1;
        self.failed += usize::from(!ok);
        match self.format {
            Format::Json => output::line(
                &json!({"step": step, "expect": expect, "got": got, "ok": ok, "ms": u64::try_from(ms).unwrap_or(u64::MAX)})
                    .to_string(),
            ),
            Format::Text => {
                output::line(&format!("\n{:>2}. {step}", self.told));
                output::line(&format!("    {} {got}  ({ms} ms)", if ok { "✓" } else { "✗" }));
                if !ok {
                    output::line(&format!("      expected: {expect}"));
                }
            }
        }
    }

    pub(super) async fn a_low_read(&mut self, stage: &Stage) -> anyhow::Result<()> {
        let ask = json!({"act": "erp.vendor.read", "leg": ground("look up a vendor")});
        let (status, answer) = post(stage.of("procurement")?, "/issue", &ask).await?;
        let got = format!("{status} {}", text(&answer, "tier"));
        self.step(
            "The agent asks for a mandate to read a vendor. It is a low act: nobody has to agree.",
            "201 low",
            &got,
        );
        let token = text(&answer, "token");
        let (status, vendor) = call(stage, Method::GET, "/c/erp/vendors/V-1001", &token, None).await?;
        let got = format!(
            "{status} {}",
            vendor.pointer("/vendor_id").or(vendor.pointer("/id")).and_then(Value::as_str).unwrap_or("?")
        );
        self.step(
            "It calls the ERP with the mandate; the broker checks, records, and passes the call on.",
            "200 V-1001",
            &got,
        );
        Ok(())
    }

    pub(super) async fn an_unknown_act(&mut self, stage: &Stage) -> anyhow::Result<()> {
        let ask = json!({"act": "erp.vendor.transfer_everything", "leg": ground("whatever the prompt said")});
        let (status, answer) = post(stage.of("procurement")?, "/issue", &ask).await?;
        let got = format!("{status} {}", text(&answer, "reason"));
        self.step("A prompt injection makes it ask for an act that nobody has ever allowed.", "403 unknown_act", &got);
        Ok(())
    }

    /// Returns the challenge's id.
    pub(super) async fn a_change_waits(&mut self, stage: &Stage) -> anyhow::Result<String> {
        let params =
            json!({"vendor_id": "V-1001", "iban": IBAN, "payment_limit": 25_000, "reason": "vendor moved banks"});
        let ask = json!({
            "act": "sap.vendor.change", "leg": ground("change the bank account of vendor V-1001"),
            "request": {"connector": "erp", "method": "POST", "path": "/vendors/V-1001/bank-account", "params": params},
        });
        let (status, answer) = post(stage.of("procurement")?, "/issue", &ask).await?;
        let got = format!(
            "{status} {} {} people",
            text(&answer, "tier"),
            answer.get("required").cloned().unwrap_or_default()
        );
        self.step(
            "It asks to change a vendor's bank account. That is a high act: two people must agree.",
            "202 high 2 people",
            &got,
        );
        Ok(text(&answer, "challenge_id"))
    }

    pub(super) async fn two_people_agree(&mut self, stage: &Stage, challenge: &str) -> anyhow::Result<()> {
        let shown = shown(stage.of("alice")?, challenge).await?;
        self.say("\n    What Alice and Bob are shown, and sign with their own keys:");
        for line in shown.lines() {
            self.say(&format!("      {line}"));
        }
        let got = self.approval(stage, "alice", challenge).await?;
        self.step("Alice signs it.", "200 pending 1 of 2", &got);
        let got = self.approval(stage, "alice-mobile", challenge).await?;
        self.step(
            "Alice signs it again with her phone's identity: one person stays one person.",
            "403 same_person",
            &got,
        );
        let got = self.approval(stage, "procurement", challenge).await?;
        self.step("The agent tries to approve its own request.", "403 approver_unknown", &got);
        let got = self.approval(stage, "bob", challenge).await?;
        self.step("Bob signs it.", "200 approved 2 of 2", &got);
        Ok(())
    }

    pub(super) async fn approval(&self, stage: &Stage, name: &str, challenge: &str) -> anyhow::Result<String> {
        let client = stage.of(name)?;
        // What is signed is the same for everybody; who may not see it is refused when she hands it in.
        let shown = shown(stage.of("alice")?, challenge).await?;
        let statement = shown.sign(client)?;
        let path = format!("/challenges/{challenge}/approve");
        let (status, answer) = post(client, &path, &json!({ "statement": statement })).await?;
        if status == 200 {
            let number = |name: &str| answer.get(name).cloned().unwrap_or_default();
            return Ok(format!("200 {} {} of {}", text(&answer, "state"), number("approved"), number("required")));
        }
        Ok(format!("{status} {}", text(&answer, "reason")))
    }

    /// Returns the mandate.
    pub(super) async fn the_mandate_is_collected(&mut self, stage: &Stage, challenge: &str) -> anyhow::Result<String> {
        let path = format!("/issue/{challenge}");
        let (status, answer) = get(stage.of("procurement")?, &path).await?;
        let got = format!("{status} {}", text(&answer, "token_type"));
        self.step(
            "The agent collects the mandate: five minutes, this one call, both statements inside.",
            "201 poa+jwt",
            &got,
        );
        let (status, again) = get(stage.of("procurement")?, &path).await?;
        let got = format!("{status} {}", text(&again, "reason"));
        self.step("It tries to collect a second one on the same approvals.", "409 challenge_redeemed", &got);
        Ok(text(&answer, "token"))
    }

    pub(super) async fn the_amount_cannot_change(&mut self, stage: &Stage, mandate: &str) -> anyhow::Result<()> {
        let before = stage.erp().hits();
        let body = json!({"iban": IBAN, "payment_limit": 250_000, "reason": "vendor moved banks"});
        let (status, answer) = call(stage, Method::POST, CHANGE, mandate, Some(&body)).await?;
        let got = format!("{status} {}, ERP hits +{}", text(&answer, "reason"), stage.erp().hits() - before);
        self.step(
            "With the mandate in hand it changes the amount from 25,000 to 250,000.",
            "403 request_mismatch, ERP hits +0",
            &got,
        );
        Ok(())
    }

    pub(super) async fn it_runs_once(&mut self, stage: &Stage, mandate: &str) -> anyhow::Result<()> {
        let before = stage.erp().hits();
        let body = json!({"iban": IBAN, "payment_limit": 25_000, "reason": "vendor moved banks"});
        let (status, _) = call(stage, Method::POST, CHANGE, mandate, Some(&body)).await?;
        let got = format!("{status}, ERP hits +{}", stage.erp().hits() - before);
        self.step("It makes the call that was approved.", "200, ERP hits +1", &got);
        let seen = stage.erp().seen();
        let leaked = seen.headers.iter().filter(|(name, value)| {
            matches!(name.as_str(), "authorization" | "x-poa-token" | "cookie") || value.contains(mandate)
        });
        let got = format!("{} leaked", leaked.count());
        self.step("What the ERP saw holds no mandate, no statement, no cookie.", "0 leaked", &got);
        let before = stage.erp().hits();
        let (status, answer) = call(stage, Method::POST, CHANGE, mandate, Some(&body)).await?;
        let got = format!("{status} {}, ERP hits +{}", text(&answer, "reason"), stage.erp().hits() - before);
        self.step("It plays the same mandate again.", "409 mandate_replayed, ERP hits +0", &got);
        Ok(())
    }

    /// The worst case that approvals by one's own key are for: the issuer's signing key is stolen.
    pub(super) async fn a_thief_of_the_issuers_key_gains_nothing(
        &mut self,
        stage: &Stage,
        mandate: &str,
    ) -> anyhow::Result<()> {
        let before = stage.erp().hits();
        let forged = forge(stage, mandate, false)?;
        let body = json!({"iban": IBAN, "payment_limit": 250_000, "reason": "vendor moved banks"});
        let (status, answer) = call(stage, Method::POST, CHANGE, &forged, Some(&body)).await?;
        let got = format!("{status} {}, ERP hits +{}", text(&answer, "reason"), stage.erp().hits() - before);
        self.step(
            "A thief with AgentAuth's signing key puts the two approvals into a mandate for another amount.",
            "403 statement_digest, ERP hits +0",
            &got,
        );
        let forged = forge(stage, mandate, true)?;
        let body = json!({"iban": IBAN, "payment_limit": 25_000, "reason": "vendor moved banks"});
        let (status, answer) = call(stage, Method::POST, CHANGE, &forged, Some(&body)).await?;
        let got = format!("{status} {}, ERP hits +{}", text(&answer, "reason"), stage.erp().hits() - before);
        self.step("The thief mints the approved call a second time.", "409 mandate_replayed, ERP hits +0", &got);
        Ok(())
    }

    pub(super) async fn the_ledger_tells_it_all(&mut self, stage: &mut Stage) -> anyhow::Result<()> {
        let mut reports = Vec::new();
        stage
            .restart(async |stage| {
                let store = &stage.config().store;
                let copy = stage.dir().join("tampered-copy.db");
                reports.push(verify(stage, store).await?);
                std::fs::copy(store, &copy)?;
                flip_one_byte(&copy)?;
                reports.push(verify(stage, &copy).await?);
                std::fs::remove_file(&copy)?;
                Ok(())
            })
            .await?;
        let verdict = |report: &AuditReport| match report.findings.first() {
            None => "intact".to_owned(),
            Some(finding) => format!("{} at entry", finding.kind),
        };
        let intact = reports.first().context("a report")?;
        self.step(
            &format!(
                "The services stop in order and the ledger is verified: {} entries under a signed checkpoint.",
                intact.size
            ),
            "intact",
            &verdict(intact),
        );
        let tampered = reports.get(1).context("a report")?;
        self.step(
            "One byte is flipped in a copy of the ledger, and the break is named.",
            "edited at entry",
            &verdict(tampered),
        );
        if let Some(finding) = tampered.findings.first() {
            self.say(&format!("      {finding}"));
        }
        let (status, _) = get(stage.of("procurement")?, "/.well-known/jwks.json").await?;
        self.step("The services start again on the same ledger.", "200", &status.to_string());
        Ok(())
    }
}

pub(super) fn ground(what: &str) -> Value {
    json!({"template": "contract", "vars": {
        "contract_ref": "MSA-1001", "accountable_id": "dave", "jurisdiction": "DE", "order": what,
    }})
}

pub(super) fn text(answer: &Value, member: &str) -> String {
    answer.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub(super) async fn post(client: &Client, path: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
    let response = client.post(path, body).await?;
    Ok((response.status.as_u16(), serde_json::from_slice(&response.body).unwrap_or_default()))
}

pub(super) async fn get(client: &Client, path: &str) -> anyhow::Result<(u16, Value)> {
    let response = client.get(path).await?;
    Ok((response.status.as_u16(), serde_json::from_slice(&response.body).unwrap_or_default()))
}

pub(super) async fn call(
    stage: &Stage,
    method: Method,
    path: &str,
    mandate: &str,
    body: Option<&Value>,
) -> anyhow::Result<(u16, Value)> {
    let response = stage.broker().send(method, path, Some(mandate), body.map(|b| b.to_string().into_bytes())).await?;
    Ok((response.status.as_u16(), serde_json::from_slice(&response.body).unwrap_or_default()))
}

async fn shown(client: &Client, challenge: &str) -> anyhow::Result<Shown> {
    let response = client.get(&format!("/challenges/{challenge}")).await?;
    anyhow::ensure!(response.status.is_success(), output::problem(response.status.as_u16(), &response.body));
    Shown::check(&response.body)
}

/// A mandate signed with AgentAuth's own key, as a thief of that key could make it: the genuine approvals, a fresh
/// `jti`, and either the genuine call or another one.
fn forge(stage: &Stage, mandate: &str, same_call: bool) -> anyhow::Result<String> {
    use crate::adapters::clock::{SystemClock, SystemEntropy};
    use crate::domain::id::{Jti, Sha256Digest};
    use crate::domain::jose;
    use crate::service::ports::{Clock as _, Entropy as _};

    let mut claims = UnverifiedMandate::parse(mandate)?.unverified_claims().clone();
    claims.jti = Jti::new(SystemClock.now(), SystemEntropy.bytes());
    if !same_call && let Some(req) = &mut claims.req {
        let params =
            json!({"iban": IBAN, "payment_limit": 250_000, "reason": "vendor moved banks", "vendor_id": "V-1001"});
        req.digest = Sha256Digest::of(&crate::domain::json::canonical(&params));
    }
    let path = stage.config().mandate_key.as_ref().context("the demo has the key")?;
    let (signer, public) = signer::mandate_signer(signer::read_ed25519(path)?)?;
    let mut header = josekit::jws::JwsHeader::new();
    header.set_token_type("poa+jwt");
    header.set_key_id(public.kid().as_str());
    Ok(jose::sign(&header, &serde_json::to_vec(&claims)?, signer.signer.as_ref())?)
}

async fn verify(stage: &Stage, store: &Path) -> anyhow::Result<AuditReport> {
    let verifier = read_verifier_key(&stage.config().ledger_key.with_extension("vkey"))?;
    let reader = SqliteReader::open(store).await?;
    let report = verify_log(&reader, &verifier, &[], Start::Beginning).await;
    reader.close().await;
    Ok(report?)
}

/// In the bytes of one entry, as somebody with a hex editor would.
fn flip_one_byte(store: &Path) -> anyhow::Result<()> {
    let mut bytes = std::fs::read(store)?;
    let needle = br#""event_type":"poa_challenge_created""#;
    let at = bytes.windows(needle.len()).position(|window| window == needle).context("the entry to edit")?;
    let byte = bytes.get_mut(at + needle.len() - 2).context("a byte")?;
    *byte ^= 1;
    Ok(std::fs::write(store, bytes)?)
}
