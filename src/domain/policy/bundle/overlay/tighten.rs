//! The proof that overlays only tighten, and that what they name exists.

use std::collections::BTreeSet;

use super::{Overlay, Overlays, Period, Rate, Where, values};
use crate::domain::action::ActionName;
use crate::domain::catalogue::{ActApproval, Catalogue};
use crate::domain::id::WorkspaceId;
use crate::domain::policy::bundle::data::Data;
use crate::domain::policy::bundle::directory::{ActPattern, Directories};
use crate::domain::policy::bundle::finding::{BundleError, Finding};
use crate::domain::policy::bundle::limits::{self, Operators};
use crate::domain::policy::bundle::quorum::Quorums;

const FIX_ACTS: &str = "name an act of the catalogue, a family such as `erp.*`, or `*`";
const FIX_LIMIT: &str = "an overlay may narrow a limit of the catalogue, never widen it";
const FIX_APPROVALS: &str = "an overlay may ask for more people or more roles than the tier, never for less";

pub(super) fn findings(
    overlays: &Overlays,
    data: &Data,
    catalogue: &Catalogue,
    directories: &Directories,
) -> Result<Vec<Finding>, BundleError> {
    let quorums = Quorums::read(data)?;
    let mut check = Check { overlays, data, catalogue, directories, quorums, findings: Vec::new() };
    for (environment, overlay) in &overlays.environments {
        let name = serde_json::to_value(environment).unwrap_or_default();
        check.overlay("environments", &format!("/{}", name.as_str().unwrap_or_default()), overlay);
    }
    for (workspace, overlay) in &overlays.workspaces {
        check.overlay("workspaces", &format!("/{workspace}"), overlay);
    }
    check.teams();
    check.calendars();
    check.periods("freezes", overlays.freezes.iter().map(|(id, period)| (id.as_str(), period)));
    check.periods("maintenance", overlays.maintenance.iter().map(|(id, period)| (id.as_str(), period)));
    check.rates("rates", "", &overlays.rates);
    check.low_risk();
    check.risk();
    check.platforms();
    Ok(check.findings)
}

struct Check<'a> {
    overlays: &'a Overlays,
    data: &'a Data,
    catalogue: &'a Catalogue,
    directories: &'a Directories,
    quorums: Quorums,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn find(&mut self, root: &str, pointer: &str, what: impl Into<String>, fix: &str) {
        let what: String = what.into();
        let what = format!("data.{root}{}: {what}", pointer.replace('/', "."));
        self.findings.push(Finding::new(self.data.place(root, pointer), what, fix));
    }

    fn overlay(&mut self, root: &str, at: &str, overlay: &Overlay) {
        self.acts(root, &format!("{at}/denied"), &overlay.denied);
        self.limits(root, at, overlay);
        self.approvals(root, at, overlay);
        self.rates(root, &format!("{at}/rates"), &overlay.rates);
        if let Some(hours) = &overlay.hours {
            let at = format!("{at}/hours");
            self.some_acts(root, &format!("{at}/acts"), &hours.acts);
            if !self.overlays.calendars.contains_key(&hours.calendar) {
                let what = format!("there is no calendar `{}`", hours.calendar.as_str());
                self.find(root, &format!("{at}/calendar"), what, "add it to data.calendars, or name one that is there");
            }
        }
        for (i, restricted) in overlay.restricted.iter().enumerate() {
            let at = format!("{at}/restricted/{i}");
            self.some_acts(root, &format!("{at}/acts"), &restricted.acts);
            let name = restricted.parameter.as_str();
            if name != "*" && !self.takes(&restricted.acts, name) {
                let what = format!("none of the acts has a parameter `{}`", name.chars().take(80).collect::<String>());
                self.find(root, &format!("{at}/parameter"), what, "name a parameter of one of the acts, or `*`");
            }
        }
    }

    fn limits(&mut self, root: &str, at: &str, overlay: &Overlay) {
        for (act, parameters) in &overlay.limits {
            let at = format!("{at}/limits/{act}");
            let Some(entry) = self.catalogue.find(act) else {
                self.find(root, &at, format!("the catalogue has no act `{act}`"), "name an act of the catalogue");
                continue;
            };
            for (name, limit) in parameters.as_map() {
                let defect = limits::defect(entry, name, limit).or_else(|| {
                    let base = entry.limits.as_map().get(name).and_then(Operators::of)?;
                    Operators::of(limit)?.wider_than(&base)
                });
                if let Some(what) = defect {
                    self.find(root, &format!("{at}/{name}"), format!("`{name}` {what}"), FIX_LIMIT);
                }
            }
        }
    }

    fn approvals(&mut self, root: &str, at: &str, overlay: &Overlay) {
        for (tier, more) in &overlay.approvals {
            let asked = ActApproval { approvals: more.approvals, roles: more.roles.clone(), challenge_seconds: None };
            if let Some(what) = self.quorums.loosened(*tier, &asked) {
                let what = format!("tier `{tier}` here {what}");
                self.find(root, &format!("{at}/approvals/{tier}"), what, FIX_APPROVALS);
            }
        }
    }

    fn rates(&mut self, root: &str, at: &str, rates: &[Rate]) {
        for (i, rate) in rates.iter().enumerate() {
            let at = format!("{at}/{i}");
            self.some_acts(root, &format!("{at}/acts"), &rate.acts);
            if rate.max == 0 {
                self.find(
                    root,
                    &format!("{at}/max"),
                    "a rate of 0 allows nothing",
                    "use `denied` for acts that may not run",
                );
            }
            let same = |base: &&Rate| base.acts == rate.acts && base.per == rate.per && base.window == rate.window;
            let base = self.overlays.rates.iter().find(same).map(|base| base.max);
            if let Some(base) = base.filter(|base| root != "rates" && rate.max > *base) {
                let what = format!("at most {} is wider than the base, which has {base}", rate.max);
                self.find(root, &format!("{at}/max"), what, "an overlay may narrow a rate, never widen it");
            }
        }
    }

    fn teams(&mut self) {
        for (workspace, entry) in &self.directories.workspaces {
            if let Some(team) = entry.team.as_ref().filter(|team| !self.overlays.teams.contains_key(*team)) {
                let what = format!("there is no team `{}`", team.as_str());
                let fix = "add it to data.teams, or name one that is there";
                self.find("workspaces", &format!("/{workspace}/team"), what, fix);
            }
        }
    }

    fn calendars(&mut self) {
        for (name, calendar) in &self.overlays.calendars {
            if let Some((member, what)) = calendar.defect() {
                let fix = "write the hours of a day in order, each day of holidays once";
                self.find("calendars", &format!("/{}/{member}", name.as_str()), what, fix);
            }
        }
    }

    fn periods<'p>(&mut self, root: &str, periods: impl Iterator<Item = (&'p str, &'p Period)>) {
        for (id, period) in periods {
            self.some_acts(root, &format!("/{id}/acts"), &period.acts);
            if period.from >= period.until {
                self.find(root, &format!("/{id}/until"), "it ends before it begins", "write `until` after `from`");
            }
            if period.workspaces.is_empty() {
                let fix = "name workspaces, or `*`";
                self.find(root, &format!("/{id}/workspaces"), "it holds in no workspace", fix);
            }
            for place in &period.workspaces {
                let Where::In(workspace) = place else { continue };
                if !self.is_workspace(workspace) {
                    let what = format!("nobody is in the workspace `{workspace}`");
                    let fix = "name a workspace of data.workspaces or of an agent, or `*`";
                    self.find(root, &format!("/{id}/workspaces"), what, fix);
                }
            }
        }
    }

    fn low_risk(&mut self) {
        for act in self.overlays.low_risk.acts.keys() {
            let harmless = self.catalogue.find(act).map(|entry| values::is_harmless(entry.tier, entry.reversibility));
            let what = match harmless {
                Some(true) => continue,
                Some(false) => format!("act `{act}` is not a read of tier low"),
                None => format!("the catalogue has no act `{act}`"),
            };
            let fix = "list acts of tier low that are read_only; every other act needs a mandate";
            self.find("low_risk_allowlist", &format!("/acts/{act}"), what, fix);
        }
    }

    fn risk(&mut self) {
        let Some(risk) = &self.overlays.risk else { return };
        for (pointer, what) in risk.defects(&self.overlays.calendars) {
            self.find("risk", &pointer, what, "give every name its points, as the policy adds them up");
        }
    }

    fn platforms(&mut self) {
        for (id, agent) in &self.directories.agents {
            if let Some(what) = agent.platform.as_ref().and_then(|platform| platform.defect()) {
                let pointer = format!("/{}/platform", id.as_str().replace('~', "~0").replace('/', "~1"));
                let fix = "say what the platform must be, or leave `platform` out";
                let place = self.data.place("agents", &pointer);
                self.findings.push(Finding::new(place, format!("agent `{id}`: its platform {what}"), fix));
            }
        }
    }

    /// A list that says nothing when it is empty.
    fn some_acts(&mut self, root: &str, at: &str, patterns: &[ActPattern]) {
        if patterns.is_empty() {
            self.find(root, at, "it is about no act", FIX_ACTS);
        }
        self.acts(root, at, patterns);
    }

    fn acts(&mut self, root: &str, at: &str, patterns: &[ActPattern]) {
        let mut seen = BTreeSet::new();
        for pattern in patterns {
            if !self.catalogue.iter().any(|(act, _)| pattern.covers(act)) {
                self.find(root, at, format!("`{}` is no act of the catalogue", pattern.as_str()), FIX_ACTS);
            } else if !seen.insert(pattern.as_str()) {
                self.find(root, at, format!("`{}` is there twice", pattern.as_str()), "write it once");
            }
        }
    }

    fn takes(&self, patterns: &[ActPattern], parameter: &str) -> bool {
        let covered = |act: &ActionName| patterns.iter().any(|pattern| pattern.covers(act));
        self.catalogue.iter().any(|(act, entry)| covered(act) && limits::property(entry, parameter).is_some())
    }

    fn is_workspace(&self, workspace: &WorkspaceId) -> bool {
        *workspace == WorkspaceId::default()
            || self.directories.workspaces.contains_key(workspace)
            || self.directories.agents.values().any(|agent| agent.workspace == *workspace)
    }
}
