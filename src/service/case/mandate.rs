//! The mandates and statements of a case: the ones on record, and good when they were used.

use std::time::Duration;

use super::check::{CaseReport, CheckOutcome, Proven};
use super::{Files, JWKS, TRUST, document_file};
use crate::domain::approval::UnverifiedStatement;
use crate::domain::id::Sha256Digest;
use crate::domain::jose::MandateKeys;
use crate::domain::json;
use crate::domain::ledger::{EventType, KeptDocument};
use crate::domain::mandate::{Expected, ProvenApprovals, UnverifiedMandate};
use crate::domain::spiffe::{TrustBundle, TrustBundles, TrustDomain};
use crate::domain::time::Ttl;

/// By whom documents are believed: only what a proven `service_started` names.
struct Keys<'a> {
    jwks: Option<&'a [u8]>,
    trust: Option<&'a [u8]>,
}

pub(super) fn check(files: &Files, proven: &[Proven], report: &mut CaseReport) {
    for found in proven {
        let keys = keys_at(files, proven, found.seq);
        for document in KeptDocument::ALL {
            let Some(jws) = files.get(&document_file(document.as_str(), found.seq)) else { continue };
            let of = format!("{} {}", found.title(), document.as_str());
            let recorded = found.entry.subject.detail.get(document.digest_member());
            if recorded != Some(&Sha256Digest::of(jws).to_string()) {
                report.push(of, CheckOutcome::Failed, "it is not the document whose digest is on record");
                continue;
            }
            let text = std::str::from_utf8(jws).unwrap_or_default();
            let (outcome, detail) = match document {
                KeptDocument::Mandate => mandate(text, found, &keys),
                KeptDocument::Statement => statement(text, found, &keys),
            };
            report.push(of, outcome, detail);
        }
    }
}

/// The files that the last start before `seq` says were in use.
fn keys_at<'a>(files: &'a Files, proven: &[Proven], seq: u64) -> Keys<'a> {
    let starts = proven.iter().filter(|p| p.entry.event_type == EventType::ServiceStarted && p.seq < seq);
    let start = starts.max_by_key(|start| start.seq);
    let named = |file: &str, member: &str| {
        let bytes = files.get(file)?;
        let digest = start?.entry.subject.detail.get(member)?;
        (*digest == Sha256Digest::of(bytes).to_string()).then_some(bytes.as_slice())
    };
    Keys { jwks: named(JWKS, "jwks_digest"), trust: named(TRUST, "trust_digest") }
}

fn mandate(jws: &str, found: &Proven, keys: &Keys<'_>) -> (CheckOutcome, String) {
    let failed = |detail: String| (CheckOutcome::Failed, detail);
    let (Some(jwks), Some(trust)) = (keys.jwks, keys.trust) else {
        return (CheckOutcome::NotChecked, "the keys that the record names are not in the case".to_owned());
    };
    let parsed = match UnverifiedMandate::parse(jws) {
        Ok(parsed) => parsed,
        Err(error) => return failed(error.to_string()),
    };
    let claims = parsed.unverified_claims();
    let Some(audience) = claims.aud.first().cloned() else { return failed("it is for nobody".to_owned()) };
    let expected = Expected { issuer: claims.iss.clone(), audience, max_ttl: Ttl::MAX };
    let domain = claims.iss.trust_domain();
    let set = json::parse_as(jwks).ok().and_then(|set| MandateKeys::from_jwks(&set).ok());
    let (Some(set), Some(trust)) = (set, bundles(trust, domain)) else {
        return failed("the keys in the case are not readable".to_owned());
    };
    // As of its arrival, which is when it was in time.
    let took = Duration::from_micros(found.entry.subject.duration_us.unwrap_or_default());
    let verified = match parsed.verify(&set, &expected, found.entry.at.minus(took)) {
        Ok(verified) => verified,
        Err(error) => return failed(error.to_string()),
    };
    let claims = verified.claims();
    let subject = &found.entry.subject;
    if subject.jti != Some(claims.jti) || subject.agent.as_ref() != Some(&claims.sub) {
        return failed("the entry is about another mandate or agent".to_owned());
    }
    match ProvenApprovals::of(claims, &trust) {
        Ok(approvals) => {
            let who: Vec<_> = approvals.facts().iter().map(|fact| fact.id.to_string()).collect();
            let approved = if who.is_empty() { String::new() } else { format!(", approved by {}", who.join(" and ")) };
            (CheckOutcome::Ok, format!("signed by {} and in time{approved}, each by the own key", claims.iss))
        }
        Err(error) => failed(error.to_string()),
    }
}

fn statement(jws: &str, found: &Proven, keys: &Keys<'_>) -> (CheckOutcome, String) {
    let failed = |detail: String| (CheckOutcome::Failed, detail);
    let parsed = match UnverifiedStatement::parse(jws) {
        Ok(parsed) => parsed,
        Err(error) => return failed(error.to_string()),
    };
    if found.entry.subject.challenge_id != Some(parsed.unverified_challenge()) {
        return failed("the entry is about another challenge".to_owned());
    }
    let domain = parsed.unverified_claims().iss.trust_domain();
    let Some(trust) = keys.trust else {
        return (CheckOutcome::NotChecked, "the trust bundle that the record names is not in the case".to_owned());
    };
    let Some(trust) = bundles(trust, domain) else { return failed("the trust bundle is not readable".to_owned()) };
    match parsed.verify(&trust, found.entry.at) {
        Ok(verified) if found.entry.subject.caller.as_ref() == Some(verified.approver()) => {
            (CheckOutcome::Ok, format!("signed by {}", verified.approver()))
        }
        Ok(_) => failed("the entry names another approver".to_owned()),
        Err(error) => failed(error.to_string()),
    }
}

fn bundles(pem: &[u8], domain: TrustDomain) -> Option<TrustBundles> {
    Some(TrustBundles::new([TrustBundle::parse_pem(domain, pem).ok()?]))
}
