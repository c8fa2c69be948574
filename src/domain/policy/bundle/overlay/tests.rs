use serde_json::{Value, json};

use super::super::Bundle;
use super::super::samples::with;

fn act(tier: &str, reversibility: &str, limits: &Value) -> Value {
    json!({
        "title": "t", "view": "v", "tier": tier, "data_class": "internal", "reversibility": reversibility,
        "bind_request": false, "limits": limits,
        "parameters": {"type": "object", "additionalProperties": false, "properties": {
            "amount": {"type": "number"}, "name": {"type": "string"}}},
    })
}

/// A bundle whose every new document says something sound.
fn sound() -> Value {
    let tier = |approvals: u32, roles: Value| {
        json!({"approvals": approvals, "roles": roles, "delegable": true, "ticket": false, "challenge_seconds": 3600,
            "max_ttl_seconds": 300})
    };
    json!({
        "catalogue": {
            "erp.order.read": act("low", "read_only", &json!({})),
            "erp.note.write": act("low", "reversible", &json!({})),
            "erp.order.create": act("medium", "reversible", &json!({"amount": {"max": 500, "min": 1}, "name": {"pattern": "^[A-Z]"}})),
            "crm.contact.delete": act("high", "irreversible", &json!({})),
        },
        "roles": {"executive": {"ceo": true}, "finance": {"treasurer": true}},
        "tiers": {"low": tier(0, json!({})), "medium": tier(1, json!({})), "high": tier(2, json!({})),
            "critical": tier(2, json!({"executive": 1}))},
        "agents": {"spiffe://atb.dev/agent/a": {"operator": "alice", "workspace": "sales", "platform": {
            "authorities": [format!("sha-256:{}", "ab".repeat(32))], "connectors": ["erp"], "max_svid_seconds": 3600}}},
        "workspaces": {"sales": {
            "free_form_leg": false, "team": "field",
            "denied": ["crm.*"],
            "limits": {"erp.order.create": {"amount": {"max": 100}}},
            "approvals": {"medium": {"approvals": 2, "roles": {"finance": 1}}},
            "rates": [{"acts": ["erp.*"], "per": "agent", "window": 60, "max": 10}],
            "hours": {"acts": ["erp.order.create"], "calendar": "office"},
            "sensitive_paths": ["/payroll", "/board/"],
            "restricted": [{"acts": ["*"], "parameter": "name", "pattern": "(?i)secret"},
                {"acts": ["erp.order.create"], "parameter": "*", "pattern": "^X"}],
            "risk_threshold": 60,
        }},
        "environments": {"production": {"risk_threshold": 50}, "staging": {}},
        "teams": {"field": {"risk_threshold": 70}},
        "calendars": {"office": {"timezone": "Europe/Berlin",
            "hours": {"mon": [["09:00", "12:30"], ["13:00", "24:00"]], "sat": []}, "holidays": ["2026-12-25", "2026-12-26"]}},
        "freezes": {"year-end": {"from": "2026-12-18T18:00:00+01:00", "until": "2027-01-04T06:00:00+01:00",
            "acts": ["erp.order.create"], "workspaces": ["*"], "reason": "Closing of the books"}},
        "maintenance": {"crm": {"from": "2026-12-01T00:00:00Z", "until": "2026-12-02T00:00:00Z", "acts": ["crm.*"],
            "workspaces": ["sales", "default"], "reason": "Upgrade"}},
        "rates": [{"acts": ["erp.*"], "per": "agent", "window": 60, "max": 20}],
        "low_risk_allowlist": {"acts": {"erp.order.read": true}},
    })
}

fn load(data: &Value) -> Result<Bundle, String> {
    let texts: Vec<_> =
        data.as_object().unwrap().iter().map(|(name, value)| (format!("{name}/data.json"), pretty(value))).collect();
    let files: Vec<_> = texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    Bundle::parse(&with(&files)).map_err(|error| error.to_string())
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

/// `sound` with `value` at `pointer`.
fn changed(pointer: &str, value: Value) -> Value {
    let mut data = sound();
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    match data.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}")) {
        Value::Object(members) => drop(members.insert(member.to_owned(), value)),
        Value::Array(list) => list[member.parse::<usize>().unwrap()] = value,
        _ => panic!("{pointer}"),
    }
    data
}

#[test]
fn an_overlay_that_tightens_is_read_into_types() {
    let bundle = load(&sound()).unwrap();
    let overlays = bundle.overlays();
    let sales = &overlays.workspaces[&"sales".parse().unwrap()];
    assert_eq!(sales.risk_threshold.unwrap().as_u8(), 60);
    assert_eq!((sales.rates.len(), sales.restricted.len(), sales.sensitive_paths.len()), (1, 2, 2));
    assert_eq!(bundle.workspace(&"sales".parse().unwrap()).team.unwrap().as_str(), "field");
    let agent = bundle.agent(&"spiffe://atb.dev/agent/a".parse().unwrap()).unwrap();
    assert_eq!(agent.platform.as_ref().unwrap().max_svid_seconds, Some(3600));
    assert_eq!((overlays.calendars.len(), overlays.freezes.len(), overlays.maintenance.len()), (1, 1, 1));
}

#[test]
fn everything_is_optional() {
    let mut data = sound();
    let members = data.as_object_mut().unwrap();
    for name in ["environments", "teams", "calendars", "freezes", "maintenance", "rates", "low_risk_allowlist"] {
        members.remove(name);
    }
    members.insert("workspaces".to_owned(), json!({"sales": {"free_form_leg": true}}));
    let bundle = load(&data).unwrap();
    assert!(bundle.workspace(&"sales".parse().unwrap()).free_form_leg);
    assert!(!bundle.is_low_risk(&"erp.order.read".parse().unwrap()));
}

#[test]
fn only_reads_of_tier_low_that_are_listed_may_go_without_a_mandate() {
    let low = |data: &Value, act: &str| load(data).unwrap().is_low_risk(&act.parse().unwrap());
    assert!(low(&sound(), "erp.order.read"));
    assert!(!low(&sound(), "erp.note.write"));
    assert!(!low(&changed("/low_risk_allowlist/acts", json!({"erp.order.read": false})), "erp.order.read"));
    for act in ["erp.note.write", "erp.order.create", "crm.contact.delete", "erp.order.gone"] {
        assert!(load(&changed(&format!("/low_risk_allowlist/acts/{act}"), json!(true))).is_err(), "{act}");
    }
}

#[test]
fn what_loosens_or_names_what_is_not_there_is_refused_at_its_place() {
    let sales = "/workspaces/sales";
    let cases = [
        (format!("{sales}/team"), json!("office"), "there is no team `office`"),
        (format!("{sales}/denied"), json!(["hr.*"]), "`hr.*` is no act of the catalogue"),
        (format!("{sales}/denied"), json!(["crm.*", "crm.*"]), "is there twice"),
        (format!("{sales}/limits/erp.order.create/amount"), json!({"max": 501}), "has max 501, and the catalogue 500"),
        (format!("{sales}/limits/erp.order.create/amount"), json!({"min": 0}), "has min 0, and the catalogue 1"),
        (format!("{sales}/limits/erp.order.create/amount"), json!({"in": [5, 900]}), "allows 900"),
        (format!("{sales}/limits/erp.order.create/name"), json!({"pattern": "^[a-z]"}), "another pattern"),
        (format!("{sales}/limits/erp.order.create/amount"), json!({"max_length": 3}), "does not fit"),
        (format!("{sales}/limits/erp.order.create/price"), json!({"max": 3}), "no parameter"),
        (format!("{sales}/limits/erp.order.gone"), json!({"amount": {"max": 3}}), "has no act `erp.order.gone`"),
        (format!("{sales}/approvals/high"), json!({"approvals": 1}), "expected 2 to 8"),
        (format!("{sales}/approvals/high"), json!({"approvals": 9}), "expected 2 to 8"),
        (format!("{sales}/approvals/critical"), json!({"roles": {"executive": 0}}), "fewer than its tier"),
        (format!("{sales}/approvals/medium"), json!({"roles": {"legal": 1}}), "does not have"),
        (format!("{sales}/approvals/low"), json!({"roles": {"finance": 1}}), "expected 1 to its 0"),
        (format!("{sales}/rates/0/max"), json!(21), "is wider than the base, which has 20"),
        (format!("{sales}/rates/0/max"), json!(0), "a rate of 0 allows nothing"),
        (format!("{sales}/rates/0/acts"), json!([]), "it is about no act"),
        (format!("{sales}/hours/calendar"), json!("night"), "there is no calendar `night`"),
        (format!("{sales}/hours/acts"), json!(["erp.order.gone"]), "is no act of the catalogue"),
        (format!("{sales}/restricted/0/parameter"), json!("price"), "has a parameter `price`"),
        ("/environments/production/denied".to_owned(), json!(["hr.*"]), "is no act of the catalogue"),
        ("/freezes/year-end/until".to_owned(), json!("2026-12-18T17:00:00Z"), "ends before it begins"),
        ("/freezes/year-end/workspaces".to_owned(), json!([]), "holds in no workspace"),
        ("/freezes/year-end/workspaces".to_owned(), json!(["slaes"]), "nobody is in the workspace `slaes`"),
        ("/maintenance/crm/acts".to_owned(), json!(["hr.*"]), "is no act of the catalogue"),
        ("/calendars/office/hours".to_owned(), json!({}), "is never open"),
        ("/calendars/office/hours/mon".to_owned(), json!([["09:00", "12:00"], ["11:00", "13:00"]]), "overlap"),
        ("/calendars/office/holidays".to_owned(), json!(["2026-12-25", "2026-12-25"]), "names a day twice"),
        ("/rates/0/acts".to_owned(), json!(["hr.*"]), "is no act of the catalogue"),
        ("/low_risk_allowlist/acts/erp.order.create".to_owned(), json!(true), "is not a read of tier low"),
    ];
    for (pointer, value, what) in cases {
        let error = load(&changed(&pointer, value.clone())).expect_err(&pointer);
        let file = format!("{}/data.json", pointer.split('/').nth(1).unwrap());
        assert!(error.contains(what), "{pointer} {value}: {error}");
        // A list at the root has no names to find its members by.
        let placed = file.starts_with("rates/") || !error.starts_with(&format!("{file}:1:1:"));
        assert!(error.starts_with(&format!("{file}:")) && placed, "{pointer}: {error}");
    }
}

#[test]
fn a_value_that_the_rules_could_not_use_is_refused() {
    let sales = "/workspaces/sales";
    for (pointer, values) in [
        (
            "/calendars/office/timezone".to_owned(),
            vec![json!("Europe/Berln"), json!("europe/berlin"), json!("Local"), json!("+01:00"), json!("")],
        ),
        (
            "/calendars/office/hours/mon".to_owned(),
            vec![
                json!([["9:00", "17:00"]]),
                json!([["17:00", "09:00"]]),
                json!([["09:00", "09:00"]]),
                json!([["09:00", "24:01"]]),
                json!([["09:00"]]),
                json!([["09:00", "10:00", "11:00"]]),
                json!("09:00-17:00"),
            ],
        ),
        ("/calendars/office/hours/monday".to_owned(), vec![json!([["09:00", "17:00"]])]),
        ("/calendars/office/holidays".to_owned(), vec![json!(["2026-02-30"]), json!(["25.12.2026"])]),
        (
            "/freezes/year-end/from".to_owned(),
            vec![
                json!("2026-12-18"),
                json!("2026-12-18T18:00:00"),
                json!(1_790_000_000),
                json!("2300-01-01T00:00:00Z"),
                json!(null),
            ],
        ),
        ("/freezes/year-end/reason".to_owned(), vec![json!(""), json!("two\nlines"), json!("a\u{202e}b")]),
        ("/freezes/year end".to_owned(), vec![sound()["freezes"]["year-end"].clone()]),
        (format!("{sales}/rates/0/window"), vec![json!(61), json!(0), json!("60"), json!(60.5)]),
        (format!("{sales}/rates/0/per"), vec![json!("team"), json!(null)]),
        (format!("{sales}/rates/0/max"), vec![json!(-1), json!("10")]),
        (
            format!("{sales}/sensitive_paths"),
            vec![json!(["payroll"]), json!(["/"]), json!(["/a/../b"]), json!(["/a%2fb"]), json!(["//a"]), json!([""])],
        ),
        (
            format!("{sales}/restricted/0/pattern"),
            vec![
                json!("("),
                json!("(?=a)b"),
                json!("(a)\\1"),
                json!("a".repeat(257)),
                json!("a{1000}{1000}"),
                json!(""),
            ],
        ),
        (format!("{sales}/risk_threshold"), vec![json!(101), json!(-1), json!(50.5), json!("50"), json!(null)]),
        (format!("{sales}/denied"), vec![json!(["*.read"]), json!("crm.*"), json!(null)]),
        (format!("{sales}/allowed"), vec![json!(["crm.*"])]),
        ("/environments/prod".to_owned(), vec![json!({})]),
        ("/environments/production/free_form_leg".to_owned(), vec![json!(true)]),
        ("/teams/field".to_owned(), vec![json!({}), json!({"risk_threshold": 101})]),
        (
            "/agents/spiffe:~1~1atb.dev~1agent~1a/platform".to_owned(),
            vec![
                json!({}),
                json!(null),
                json!({"authorities": []}),
                json!({"authorities": ["ab"]}),
                json!({"connectors": ["ERP"]}),
                json!({"max_svid_seconds": 0}),
                json!({"authority": "x"}),
            ],
        ),
    ] {
        for value in values {
            let mut data = sound();
            let (parent, member) = pointer.rsplit_once('/').unwrap();
            data.pointer_mut(parent).unwrap()[member.replace("~1", "/")] = value.clone();
            assert!(load(&data).is_err(), "{pointer} {value}");
        }
    }
}

#[test]
fn points_that_the_policy_could_not_add_up_are_refused() {
    let part = |kind: &str, name: &str, points: u64| json!({"factor": format!("{kind}:{name}"), "points": points});
    let kind = |kind: &str, names: &[&str]| -> Value {
        names.iter().map(|name| ((*name).to_owned(), part(kind, name, 25))).collect::<serde_json::Map<_, _>>().into()
    };
    let risk = json!({
        "threshold": 60, "near_limit_percent": 80, "calendar": "office",
        "base": {
            "tier": kind("tier", &["low", "medium", "high", "critical"]),
            "data_class": kind("data_class", &["public", "internal", "confidential", "personal", "sensitive"]),
            "reversibility": kind("reversibility", &["read_only", "reversible", "externally_reversible", "irreversible"]),
            "environment": kind("environment", &["production", "staging", "development"]),
        },
        "points": {"near_limit": 10, "outside_hours": 0, "privileged_target": 100},
    });
    let with = |pointer: &str, value: Value| {
        let mut data = sound();
        data["risk"] = risk.clone();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        match value {
            Value::Null => drop(data.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(member)),
            value => data.pointer_mut(parent).unwrap()[member] = value,
        }
        load(&data)
    };
    assert!(with("/risk/threshold", json!(0)).is_ok());
    for (pointer, value, what) in [
        ("/risk/threshold", Value::Null, "threshold"),
        ("/risk/threshold", json!(101), "0 to 100"),
        ("/risk/near_limit_percent", json!(0), "no share"),
        ("/risk/calendar", json!("moon"), "no calendar `moon`"),
        ("/risk/base/tier/low", Value::Null, "are missing"),
        ("/risk/base/environment", Value::Null, "are missing"),
        ("/risk/base/tier/severe", part("tier", "severe", 1), "nothing has this name"),
        ("/risk/base/mood", json!({}), "nothing reads"),
        ("/risk/base/tier/low/factor", json!("tier:high"), "is `tier:low`"),
        ("/risk/base/tier/low/points", json!(-1), "invalid value"),
        ("/risk/base/tier/critical/points", json!(26), "add up to 101"),
        ("/risk/points/near_limit", Value::Null, "near_limit"),
        ("/risk/discount", json!(5), "discount"),
    ] {
        let error = with(pointer, value).expect_err(pointer);
        assert!(error.contains(what) && error.starts_with("risk/data.json:"), "{pointer}: {error}");
    }
}
