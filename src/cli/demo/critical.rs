//! The part of the story about a critical act and its ticket.

use axum::http::Method;
use serde_json::{Value, json};

use super::stage::Stage;
use super::story::{Story, call, get, ground, post, text};

impl Story {
    /// A critical act: two people, an executive among them, and a ticket that the change board confirms.
    pub(super) async fn a_critical_act_needs_a_ticket(&mut self, stage: &Stage) -> anyhow::Result<()> {
        let (status, answer) = post(stage.of("procurement")?, "/issue", &deletion("OPS-99")).await?;
        let got = format!("{status} {}", text(&answer, "reason"));
        self.step(
            "It asks to delete a vendor, on a ticket that the change board has never seen. That is a critical act.",
            "403 ticket_not_found",
            &got,
        );
        let (status, answer) = post(stage.of("procurement")?, "/issue", &deletion("OPS-77")).await?;
        let got = format!("{status} {}", text(&answer, "tier"));
        self.step("It asks again, on a ticket that the board has approved.", "202 critical", &got);
        let challenge = text(&answer, "challenge_id");
        let got = self.approval(stage, "alice", &challenge).await?;
        self.step("Alice signs it.", "200 pending 1 of 2", &got);
        let got = self.approval(stage, "carol", &challenge).await?;
        self.step("Carol, an executive, signs it.", "200 approved 2 of 2", &got);
        let (_, answer) = get(stage.of("procurement")?, &format!("/issue/{challenge}")).await?;
        let before = stage.erp().hits();
        let path = "/c/erp/vendors/V-1005?reason=closed";
        let (status, _) = call(stage, Method::DELETE, path, &text(&answer, "token"), None).await?;
        let got = format!("{status}, ERP hits +{}", stage.erp().hits() - before);
        self.step(
            "The board is asked once more, the mandate is minted, the vendor is deleted.",
            "204, ERP hits +1",
            &got,
        );
        Ok(())
    }
}

/// A request to delete a vendor on a ticket.
fn deletion(ticket: &str) -> Value {
    let mut leg = ground("close the account of vendor V-1005");
    if let Some(vars) = leg.get_mut("vars").and_then(Value::as_object_mut) {
        vars.insert("ticket_system".to_owned(), json!("jira"));
        vars.insert("ticket_ref".to_owned(), json!(ticket));
    }
    json!({
        "act": "erp.vendor.delete", "leg": leg,
        "request": {"connector": "erp", "method": "DELETE", "path": "/vendors/V-1005",
            "params": {"vendor_id": "V-1005", "reason": "closed"}},
    })
}
