//! What legal templates and the points of risk allow beyond the base's.

use serde_json::{Map, Value};

use super::{Found, escaped, object};

/// Lists of a template that each cover more with every member.
const COVERS: [&str; 3] = ["acts", "data_classes", "jurisdictions"];
/// What a template asks of its ground; whether another asks for less is for its owner to say.
const ASKS: [&str; 5] = ["accountable_party", "basis", "claim", "evidence", "variables"];

impl Found {
    pub(super) fn templates(&mut self, base: &Map<String, Value>, candidate: &Map<String, Value>) {
        for (id, to) in candidate {
            let at = format!("/leg_templates/{}", escaped(id));
            let Some(from) = base.get(id) else {
                self.add("template_added", at, None, None, to.get("basis"));
                continue;
            };
            for name in COVERS {
                self.members_added("template_widened", &format!("{at}/{name}"), None, from.get(name), to.get(name));
            }
            for name in ASKS.into_iter().filter(|name| from.get(name) != to.get(name)) {
                self.add("template_changed", format!("{at}/{name}"), None, from.get(name), to.get(name));
            }
            self.in_force(&at, from, to);
        }
    }

    /// Days as texts: ISO dates sort as they follow each other.
    fn in_force(&mut self, at: &str, from: &Value, to: &Value) {
        for (name, ends) in [("valid_from", false), ("valid_until", true), ("withdrawn", true)] {
            let (from, to) = (from.get(name), to.get(name));
            let days = (from.and_then(Value::as_str), to.and_then(Value::as_str));
            let longer = match days {
                (Some(before), Some(after)) if ends => after > before,
                (Some(before), Some(after)) => after < before,
                (Some(_), None) => true,
                (None, _) => false,
            };
            if longer {
                self.add("template_longer", format!("{at}/{name}"), None, from, to);
            }
        }
    }

    pub(super) fn risk(&mut self, from: Option<&Value>, to: Option<&Value>) {
        const ROOT: &str = "/risk";
        let (Some(from), Some(to)) = (from, to) else { return self.restricting(ROOT, None, from, to) };
        for name in ["threshold", "near_limit_percent"] {
            self.number(("risk_lowered", name, true), ROOT, None, from, to);
        }
        let at = format!("{ROOT}/calendar");
        self.restricting(&at, None, from.get("calendar"), to.get("calendar"));
        let of = |risk: &'_ Value, kind: &str| object(risk.get("base")).get(kind).cloned().unwrap_or_default();
        for kind in object(from.get("base")).keys() {
            let (before, after) = (of(from, kind), of(to, kind));
            for (name, part) in object(Some(&before)) {
                let at = format!("{ROOT}/base/{}/{}", escaped(kind), escaped(name));
                let other = after.get(name).unwrap_or(&Value::Null);
                self.number(("risk_lowered", "points", false), &at, None, part, other);
            }
        }
        let points = |risk: &Value| risk.get("points").cloned().unwrap_or_default();
        let (before, after) = (points(from), points(to));
        for name in object(Some(&before)).keys() {
            self.number(("risk_lowered", name, false), &format!("{ROOT}/points"), None, &before, &after);
        }
    }
}
