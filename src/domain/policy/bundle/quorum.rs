//! What tiers and acts ask of their approvers, checked before any of it decides.
//!
//! The rules merge an act's `approval` over its tier's row without comparing the two, so what stands here is relied on:
//! INVARIANT: an act only tightens; every class of roles that is asked for is one of `data.roles`; no class is asked of
//! more people than must approve; nobody is asked for more than a mandate can carry.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::data::Data;
use super::finding::{BundleError, Finding};
use super::typed_or_empty;
use crate::domain::catalogue::{ActApproval, Catalogue, MAX_TTL_SECONDS, Tier};
use crate::domain::role::RoleClass;

/// A mandate carries at most this many statements.
const MAX_APPROVALS: u32 = 8;
/// A statement lives at most this long, and it must outlive the challenge that it answers.
const MAX_CHALLENGE_SECONDS: u64 = 24 * 60 * 60;

/// One row of `data.tiers`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TierRow {
    approvals: u32,
    roles: BTreeMap<RoleClass, u32>,
    /// Either answer is sound; that there is one is what is checked.
    #[serde(rename = "delegable")]
    _delegable: bool,
    #[serde(rename = "ticket")]
    _ticket: bool,
    challenge_seconds: u64,
    max_ttl_seconds: u64,
}

type Classes = BTreeMap<RoleClass, BTreeMap<String, bool>>;

/// What the tiers ask, to hold overlays against.
pub(super) struct Quorums {
    classes: Classes,
    tiers: BTreeMap<Tier, TierRow>,
}

impl Quorums {
    pub(super) fn read(data: &Data) -> Result<Self, BundleError> {
        Ok(Self { classes: typed_or_empty(data, "roles")?, tiers: typed_or_empty(data, "tiers")? })
    }

    /// In what `asked` is less than the tier asks, or what nobody can meet.
    pub(super) fn loosened(&self, tier: Tier, asked: &ActApproval) -> Option<String> {
        let no_tiers = || Some("asks beyond its tier, and there are no tiers".to_owned());
        self.tiers.get(&tier).map_or_else(no_tiers, |row| row.loosened(asked, &self.classes))
    }
}

/// Checks `data.roles`, `data.tiers` and the `approval` of every act together.
pub(super) fn check(data: &Data, catalogue: &Catalogue) -> Result<(), BundleError> {
    let classes: Classes = typed_or_empty(data, "roles")?;
    let tiers: BTreeMap<Tier, TierRow> = typed_or_empty(data, "tiers")?;
    let refuse = |root: &str, pointer: String, what: String, fix: &str| -> Result<(), BundleError> {
        Err(Finding::new(data.place(root, &pointer), what, fix).into())
    };
    if data.member("tiers").is_some() {
        for tier in Tier::ALL {
            let defect = tiers.get(&tier).map_or(Some("is missing".to_owned()), |row| row.defect(&classes));
            if let Some(what) = defect {
                return refuse("tiers", format!("/{tier}"), format!("tier `{tier}` {what}"), "correct the tier");
            }
        }
    }
    for (act, entry) in catalogue.iter() {
        let Some(asked) = &entry.approval else { continue };
        let defect =
            tiers.get(&entry.tier).map_or(Some("asks beyond its tier, and there are no tiers".to_owned()), |row| {
                row.loosened(asked, &classes)
            });
        if let Some(what) = defect {
            let fix = "an act may ask for more people, more roles or a shorter wait than its tier, never for less";
            return refuse("catalogue", format!("/{act}/approval"), format!("act `{act}` {what}"), fix);
        }
    }
    Ok(())
}

impl TierRow {
    /// What makes the row one that cannot be met, or not be decided.
    fn defect(&self, classes: &Classes) -> Option<String> {
        if self.approvals > MAX_APPROVALS {
            return Some(format!("asks for more than {MAX_APPROVALS} approvals"));
        }
        if !(1..=MAX_CHALLENGE_SECONDS).contains(&self.challenge_seconds) {
            return Some(format!("has `challenge_seconds` outside 1 to {MAX_CHALLENGE_SECONDS}"));
        }
        if !(1..=MAX_TTL_SECONDS).contains(&self.max_ttl_seconds) {
            return Some(format!("has `max_ttl_seconds` outside 1 to {MAX_TTL_SECONDS}"));
        }
        unmet_class(&self.roles, self.approvals, classes)
    }

    /// In what an act asks for less than this row, or for what cannot be met.
    fn loosened(&self, asked: &ActApproval, classes: &Classes) -> Option<String> {
        let approvals = asked.approvals.unwrap_or(self.approvals);
        if approvals < self.approvals || approvals > MAX_APPROVALS {
            return Some(format!("asks for {approvals} approvals, expected {} to {MAX_APPROVALS}", self.approvals));
        }
        let wait = asked.challenge_seconds.unwrap_or(self.challenge_seconds);
        if wait == 0 || wait > self.challenge_seconds {
            return Some(format!("waits {wait} seconds, expected 1 to {}", self.challenge_seconds));
        }
        let fewer = asked.roles.iter().find(|(class, n)| self.roles.get(*class).is_some_and(|least| least > *n));
        if let Some((class, n)) = fewer {
            return Some(format!("asks for {n} of class `{class}`, fewer than its tier"));
        }
        unmet_class(&asked.roles, approvals, classes)
    }
}

fn unmet_class(roles: &BTreeMap<RoleClass, u32>, approvals: u32, classes: &Classes) -> Option<String> {
    roles.iter().find_map(|(class, n)| match classes.get(class) {
        None => Some(format!("asks for class `{class}`, which `data.roles` does not have")),
        Some(_) if *n == 0 || *n > approvals => {
            Some(format!("asks for {n} of class `{class}`, expected 1 to its {approvals} approvals"))
        }
        Some(members) if !members.values().any(|counts| *counts) => {
            Some(format!("asks for class `{class}`, which no role belongs to"))
        }
        Some(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Bundle;
    use super::super::samples::with;

    fn tiers() -> Value {
        let row = |approvals: u32, roles: Value| {
            json!({"approvals": approvals, "roles": roles, "delegable": true, "ticket": false,
                "challenge_seconds": 3600, "max_ttl_seconds": 300})
        };
        json!({"low": row(0, json!({})), "medium": row(1, json!({})), "high": row(2, json!({})),
            "critical": row(2, json!({"executive": 1}))})
    }

    fn catalogue(approval: &Value) -> Value {
        json!({"erp.order.read": {
            "title": "t", "view": "v", "tier": "critical", "data_class": "internal", "reversibility": "read_only", "bind_request": true,
            "approval": approval, "limits": {},
            "parameters": {"type": "object", "additionalProperties": false, "properties": {}},
        }})
    }

    fn load(tiers: &Value, approval: &Value) -> Result<Bundle, String> {
        let roles = r#"{"executive": {"ceo": true}, "finance": {"treasurer": true}, "empty": {"ceo": false}}"#;
        let files = with(&[
            ("tiers/data.json", &tiers.to_string()),
            ("roles/data.json", roles),
            ("catalogue/data.json", &catalogue(approval).to_string()),
        ]);
        Bundle::parse(&files).map_err(|error| error.to_string())
    }

    #[test]
    fn an_act_may_ask_for_more_people_more_roles_and_a_shorter_wait() {
        for approval in [
            json!({}),
            json!({"approvals": 2}),
            json!({"approvals": 8, "roles": {"finance": 2, "executive": 8}, "challenge_seconds": 1}),
            json!({"roles": {"finance": 1}, "challenge_seconds": 3600}),
        ] {
            assert!(load(&tiers(), &approval).is_ok(), "{approval}: {:?}", load(&tiers(), &approval).err());
        }
    }

    #[test]
    fn an_act_that_asks_for_less_than_its_tier_or_for_what_nobody_can_meet_is_refused() {
        for (approval, what) in [
            (json!({"approvals": 1}), "expected 2 to 8"),
            (json!({"approvals": 9}), "expected 2 to 8"),
            (json!({"roles": {"executive": 0}}), "fewer than its tier"),
            (json!({"roles": {"finance": 0}}), "expected 1 to"),
            (json!({"roles": {"finance": 3}}), "expected 1 to"),
            (json!({"roles": {"legal": 1}}), "does not have"),
            (json!({"roles": {"empty": 1}}), "no role belongs to"),
            (json!({"challenge_seconds": 3601}), "expected 1 to 3600"),
            (json!({"challenge_seconds": 0}), "expected 1 to 3600"),
            (json!({"ticket": false}), "unknown field"),
            (json!({"roles": {"ticket": 1}}), "not a class"),
        ] {
            let error = load(&tiers(), &approval).unwrap_err();
            assert!(error.contains(what) && error.contains("catalogue/data.json"), "{approval}: {error}");
        }
    }

    #[test]
    fn a_tier_that_is_missing_or_cannot_be_met_is_refused() {
        for (pointer, value, what) in [
            ("/high/approvals", json!(9), "more than 8"),
            ("/low/roles", json!({"finance": 1}), "expected 1 to"),
            ("/high/roles", json!({"legal": 1}), "does not have"),
            ("/high/challenge_seconds", json!(86_401), "outside 1 to 86400"),
            ("/high/max_ttl_seconds", json!(901), "outside 1 to 900"),
            ("/high/delegable", json!("yes"), "delegable"),
        ] {
            let mut changed = tiers();
            *changed.pointer_mut(pointer).unwrap() = value;
            let error = load(&changed, &json!({})).unwrap_err();
            assert!(error.contains(what) && error.contains("tiers/data.json"), "{pointer}: {error}");
        }
        let mut missing = tiers();
        missing.as_object_mut().unwrap().remove("medium");
        assert!(load(&missing, &json!({})).unwrap_err().contains("tier `medium` is missing"));
        let mut old = tiers();
        old["high"]["executives"] = json!(0);
        assert!(load(&old, &json!({})).unwrap_err().contains("executives"));
    }
}
