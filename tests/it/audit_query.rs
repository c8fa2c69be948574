//! Questions to the record: from the file, at both doors and from the terminal; cases; exports.

mod door;
mod export;
mod store;
mod terminal;

use atb::service::audit::trace::{Trace, trace};
use atb::service::ports::{AuditLog, AuditQuestion, Found, Order};

use crate::app::{TestApp, asking, bank_account};

/// Who reads the record in these tests: `atb init` makes this identity, the configuration names it.
pub const AUDITOR: &str = "officer";

/// The services with one auditor.
pub async fn with_an_auditor() -> TestApp {
    TestApp::start_with(|home| home.configure("[ledger]\nauditors = [\"spiffe://atb.dev/legal/officer\"]\n")).await
}

/// Challenge and mandate of a high act that was asked for, agreed to, done, and tried once more.
pub async fn a_whole_case(app: &TestApp) -> (String, String) {
    let challenge = app.challenge(&asking("high")).await;
    for name in ["alice", "bob"] {
        assert_eq!(app.approve(name, &challenge).await.status, 200);
    }
    let minted = app.collect(&challenge).await;
    let (token, jti) = (minted.text("/token"), minted.text("/jti"));
    let body = bank_account(25_000);
    let body = serde_json::json!({"iban": body["iban"], "payment_limit": body["payment_limit"]});
    let call = || app.call("POST", "/c/erp/vendors/V-1001/bank-account", &token, Some(&body));
    assert_eq!(call().await.status, 200);
    assert_eq!(call().await.verdict(), "409 mandate_replayed");
    (challenge, jti)
}

/// All pages of a question.
pub async fn pages(log: &dyn AuditLog, query: &str, order: Order, limit: u32) -> Vec<Found> {
    let (mut all, mut from) = (Vec::new(), None);
    loop {
        let page = log.page(&AuditQuestion { query: query.parse().unwrap(), order, from, limit }).await.unwrap();
        assert!(page.items.len() <= limit as usize);
        all.extend(page.items);
        if !page.more {
            return all;
        }
        assert_ne!(from, Some(page.seen), "a page that goes nowhere");
        from = Some(page.seen);
    }
}

/// The case of an id, which must be there.
pub async fn case(log: &dyn AuditLog, id: &str) -> Trace {
    trace(log, id).await.unwrap().unwrap_or_else(|| panic!("nothing on record about {id}"))
}
