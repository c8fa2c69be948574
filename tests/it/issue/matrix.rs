//! `tests/golden/decision_matrix.txt`, line by line, through the doors.

use std::collections::BTreeSet;

use atb::domain::catalogue::Tier;
use atb::domain::leg::ApproverKind;
use atb::domain::mandate::UnverifiedMandate;
use serde_json::Value;

use crate::app::{Answer, TestApp, asking, ground, the_call};

const MATRIX: &str = include_str!("../../golden/decision_matrix.txt");

/// One line: what is done, and what is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    tier: String,
    asked: String,
    votes: Vec<String>,
    issue: String,
    each: String,
    mandate: String,
    call: String,
}

impl Line {
    fn parse(line: &str) -> Self {
        let cells: Vec<_> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        let [tier, asked, votes, issue, each, mandate, call] = cells.try_into().unwrap();
        let votes = votes.split_whitespace().map(str::to_owned).collect();
        Self { tier, asked, votes, issue, each, mandate, call }
    }

    fn all() -> Vec<Self> {
        MATRIX.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(Self::parse).collect()
    }

    fn ask(&self) -> Value {
        let mut ask = asking(&self.tier);
        if self.asked.contains("ticket") {
            ask["leg"] = ground(&[("ticket_system", "jira"), ("ticket_ref", "OPS-77")]);
        }
        if self.asked.contains("dual") {
            ask["requires_dual_control"] = true.into();
        }
        ask
    }

    /// Does what the line says to `vendor` and writes down what came out.
    async fn play(&self, app: &TestApp, vendor: &str) -> Self {
        let mut played = Self { issue: String::new(), each: String::new(), mandate: String::new(), ..self.clone() };
        played.call = String::new();
        let asked = app.issue(&about(vendor, &self.ask())).await;
        played.issue = progress(&asked);
        let mut mandate = asked.text("/token");
        if asked.status == 202 {
            let challenge = asked.text("/challenge_id");
            let mut each = Vec::new();
            for name in &self.votes {
                each.push(vote(&app.approve(name, &challenge).await));
            }
            played.each = each.join(", ");
            let collected = app.collect(&challenge).await;
            mandate = collected.text("/token");
            played.mandate = format!("{}{}", progress(&collected), signed_by(&mandate));
        }
        if !mandate.is_empty() {
            let (method, path, body) = the_call(&self.tier);
            let path = path.replace("V-1005", vendor);
            played.call = app.call(method, &path, &mandate, body.as_ref()).await.status.to_string();
        }
        played
    }
}

/// The critical act deletes its vendor, so that each line needs one of its own.
fn about(vendor: &str, ask: &Value) -> Value {
    serde_json::from_str(&ask.to_string().replace("V-1005", vendor)).unwrap()
}

fn progress(answer: &Answer) -> String {
    match answer.status {
        201 => "201".to_owned(),
        202 => format!("202 {}/{}", answer.json["approved"], answer.json["required"]),
        _ => answer.verdict(),
    }
}

fn vote(answer: &Answer) -> String {
    if answer.status != 200 {
        return answer.verdict();
    }
    format!("{} {}/{}", answer.text("/state"), answer.json["approved"], answer.json["required"])
}

/// Who stands in the mandate, an executive with a star.
fn signed_by(mandate: &str) -> String {
    let Ok(mandate) = UnverifiedMandate::parse(mandate) else { return String::new() };
    let leg = &mandate.unverified_claims().leg;
    let name = |id: &str| id.rsplit('/').next().unwrap().to_owned();
    if let Some(approval) = &leg.approval {
        return format!(" approval {}", name(approval.approver_id.as_str()));
    }
    let Some(dual) = &leg.dual_control else { return String::new() };
    let star = |kind| if kind == ApproverKind::Executive { "*" } else { "" };
    let names: Vec<_> = dual.approvers.iter().map(|a| format!("{}{}", name(a.id.as_str()), star(a.kind))).collect();
    format!(" dual_control {}", names.join(" "))
}

#[tokio::test]
async fn every_tier_takes_the_approvals_of_the_matrix_and_no_fewer() {
    let mut wrong = Vec::new();
    let app = TestApp::start().await;
    let mut vendors = ["V-1002", "V-1003", "V-1004", "V-1005"].into_iter();
    for line in Line::all() {
        let deletes = line.tier == "critical" && !line.call.is_empty();
        let vendor = if deletes { vendors.next().expect("the ERP has no vendor left to delete") } else { "V-1001" };
        let played = line.play(&app, vendor).await;
        if played != line {
            wrong.push(format!("expected {line:?}\n     got {played:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    app.finish().await;
}

#[test]
fn no_tier_and_no_way_to_ask_is_missing_from_the_matrix() {
    let lines = Line::all();
    for tier in Tier::ALL {
        let of_tier: Vec<_> = lines.iter().filter(|line| line.tier == tier.as_str()).collect();
        let asked: BTreeSet<_> = of_tier.iter().map(|line| line.asked.as_str()).collect();
        for way in ["plain", "dual", "ticket"] {
            assert!(asked.contains(way), "{tier:?} is not asked for `{way}`");
        }
        assert!(of_tier.iter().any(|line| !line.call.is_empty()), "no mandate of {tier:?} is used");
        assert!(of_tier.iter().any(|line| line.call.is_empty()), "nothing of {tier:?} is held back");
    }
    assert!(lines.iter().all(|line| Tier::ALL.iter().any(|tier| tier.as_str() == line.tier)));
}
