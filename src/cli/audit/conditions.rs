//! The conditions of a question as flags, one for each key of the grammar, and as one text beside them.

use anyhow::Context as _;

use crate::domain::ledger::query::{Key, Query};

/// Which entries. Conditions are joined by *and*; those of `--where` come on top of the flags.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Conditions")]
pub struct Conditions {
    /// Not earlier than this.
    #[arg(long, value_name = "TIME|DAY")]
    since: Option<String>,
    /// Earlier than this.
    #[arg(long, value_name = "TIME|DAY")]
    until: Option<String>,
    /// Only this workspace.
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
    /// Only this agent, or those below a path: spiffe://atb.example/agent/*
    #[arg(long, value_name = "SPIFFE_ID")]
    agent: Option<String>,
    /// Only this act, or this family of acts: erp.*
    #[arg(long, value_name = "ACT")]
    act: Option<String>,
    /// Only these tiers, with commas.
    #[arg(long, value_name = "TIER")]
    tier: Option<String>,
    /// Only these kinds of event, with commas.
    #[arg(long, value_name = "NAME")]
    event_type: Option<String>,
    /// Only what was allowed, or denied.
    #[arg(long, value_name = "allow|deny")]
    decision: Option<String>,
    /// Only this reason.
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// Only these risk scores: 60.. or ..40 or 20..60
    #[arg(long, value_name = "RANGE")]
    risk: Option<String>,
    /// Only this upstream.
    #[arg(long, value_name = "NAME")]
    connector: Option<String>,
    /// Only this mandate.
    #[arg(long, value_name = "ID")]
    jti: Option<String>,
    /// Only this challenge.
    #[arg(long, value_name = "ID")]
    challenge: Option<String>,
    /// Only this decision.
    #[arg(long, value_name = "ID")]
    decision_id: Option<String>,
    /// Only what this bundle judged, by revision or digest.
    #[arg(long, value_name = "REVISION|DIGEST")]
    bundle: Option<String>,
    /// Only what this approver, or those below a path, approved or refused.
    #[arg(long, value_name = "SPIFFE_ID")]
    approver: Option<String>,
    /// Conditions as one text: 'agent=spiffe://atb.example/agent/* act=erp.* decision=deny risk=60..'
    #[arg(long = "where", value_name = "TEXT")]
    text: Option<String>,
}

impl Conditions {
    /// What they ask for together.
    ///
    /// # Errors
    /// When one of them is not understood, or one is given twice.
    pub fn query(&self) -> anyhow::Result<Query> {
        let given = Key::ALL.into_iter().filter_map(|key| Some((key.as_str(), self.flag(key)?)));
        let flags = Query::of_pairs(given)?;
        match &self.text {
            Some(text) => Ok(flags.and(text.parse().context("`--where`")?)?),
            None => Ok(flags),
        }
    }

    fn flag(&self, key: Key) -> Option<&str> {
        let flag = match key {
            Key::Since => &self.since,
            Key::Until => &self.until,
            Key::Workspace => &self.workspace,
            Key::Agent => &self.agent,
            Key::Act => &self.act,
            Key::Tier => &self.tier,
            Key::EventType => &self.event_type,
            Key::Decision => &self.decision,
            Key::Reason => &self.reason,
            Key::Risk => &self.risk,
            Key::Connector => &self.connector,
            Key::Jti => &self.jti,
            Key::Challenge => &self.challenge,
            Key::DecisionId => &self.decision_id,
            Key::Bundle => &self.bundle,
            Key::Approver => &self.approver,
        };
        flag.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        conditions: Conditions,
    }

    #[test]
    fn every_key_is_a_flag_of_its_name() {
        for (key, value) in [
            (Key::Since, "2026-11-01"),
            (Key::Until, "2026-11-01"),
            (Key::Workspace, "finance"),
            (Key::Agent, "spiffe://atb.dev/agent/*"),
            (Key::Act, "erp.*"),
            (Key::Tier, "high"),
            (Key::EventType, "poa_denied"),
            (Key::Decision, "deny"),
            (Key::Reason, "not covered"),
            (Key::Risk, "60.."),
            (Key::Connector, "erp"),
            (Key::Jti, "019a0a3c-5f5e-7b1a-8f00-0123456789ab"),
            (Key::Challenge, "019a0a3c-5f5e-7b1a-8f00-0123456789ab"),
            (Key::DecisionId, "019a0a3c-5f5e-7b1a-8f00-0123456789ab"),
            (Key::Bundle, "2026.11"),
            (Key::Approver, "spiffe://atb.dev/approver/alice"),
        ] {
            let flag = format!("--{}", key.as_str().replace('_', "-"));
            let query = Line::parse_from(["atb", &flag, value]).conditions.query().unwrap();
            assert_eq!(query, Query::of_pairs([(key.as_str(), value)]).unwrap(), "{key}");
            let twice = Line::parse_from(["atb", &flag, value, "--where", &query.to_string()]).conditions.query();
            assert!(twice.unwrap_err().to_string().contains("given twice"), "{key}");
        }
    }
}
