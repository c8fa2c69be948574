use proptest::prelude::*;

use super::*;
use crate::domain::ledger::{Entry, Subject};

const AGENT: &str = "spiffe://atb.dev/agent/procurement";
const ID: &str = "019a0a3c-5f5e-7b1a-8f00-0123456789ab";

fn parse(text: &str) -> Result<Query, QueryError> {
    text.parse()
}

/// A value of each key that it takes, as it is printed.
fn value(key: Key) -> BoxedStrategy<String> {
    match key {
        // So that `since` is before `until`.
        Key::Since => (0..1_000_000_000_000_u64).prop_map(|ms| Timestamp::from_millis(ms).to_string()).boxed(),
        Key::Until => {
            (2_000_000_000_000..9_000_000_000_000_u64).prop_map(|ms| Timestamp::from_millis(ms).to_string()).boxed()
        }
        Key::Workspace => "[a-z0-9_-]{1,20}".boxed(),
        Key::Agent | Key::Approver => "spiffe://[a-z]{1,8}\\.dev(/[A-Za-z0-9_-]{1,8}){1,3}(/\\*)?".boxed(),
        Key::Act => {
            prop_oneof!["[a-z]{1,8}\\.[a-z0-9_]{0,1}x".prop_map(|act| act.replace("..", ".")), Just("erp.*".to_owned())]
                .prop_filter("an act", |act| ActPattern::try_from(act.clone()).is_ok())
                .boxed()
        }
        Key::Tier => subset(Tier::ALL.iter().map(|tier| tier.as_str()).collect()),
        Key::EventType => subset(EventType::ALL.iter().map(|kind| kind.as_str()).collect()),
        Key::Decision => prop_oneof![Just("allow".to_owned()), Just("deny".to_owned())].boxed(),
        Key::Reason => {
            "[a-z\"\\\\= é]{0,12}[a-z]".prop_filter("plain", |text| text.parse::<PlainText>().is_ok()).boxed()
        }
        Key::Risk => {
            (0..=100_u8, 0..=100_u8).prop_map(|(a, b)| RiskRange::from_bounds(a.min(b), a.max(b)).to_string()).boxed()
        }
        Key::Connector => "[a-z0-9-]{1,12}".boxed(),
        Key::Jti | Key::Challenge | Key::DecisionId => any::<[u8; 10]>()
            .prop_map(|random| Jti::new(Timestamp::from_secs(1_790_000_000), random).to_string())
            .boxed(),
        Key::Bundle => prop_oneof![
            "[A-Za-z0-9._+:-]{1,20}",
            any::<[u8; 4]>().prop_map(|bytes| crate::domain::id::Sha256Digest::of(&bytes).to_string())
        ]
        .boxed(),
    }
}

fn subset(names: Vec<&'static str>) -> BoxedStrategy<String> {
    let size = 1..=names.len();
    proptest::sample::subsequence(names, size).prop_map(|names| names.join(",")).boxed()
}

impl RiskRange {
    fn from_bounds(low: u8, high: u8) -> Self {
        format!("{low}..{high}").parse().unwrap()
    }
}

/// Some keys with a value each, in any order.
fn conditions() -> impl Strategy<Value = Vec<(Key, String)>> {
    proptest::sample::subsequence(Key::ALL.to_vec(), 0..=Key::ALL.len())
        .prop_shuffle()
        .prop_flat_map(|keys| keys.into_iter().map(|key| (Just(key), value(key))).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_as_the_same_query_and_prints_the_same(conditions in conditions()) {
        let query = Query::of_pairs(conditions.iter().map(|(key, value)| (key.as_str(), value.as_str()))).unwrap();
        let printed = query.to_string();
        prop_assert_eq!(&parse(&printed).unwrap(), &query);
        prop_assert_eq!(parse(&printed).unwrap().to_string(), printed);
        let mut sorted = conditions;
        sorted.sort();
        prop_assert_eq!(query.pairs(), sorted);
    }

    #[test]
    fn no_text_is_read_as_another_query_than_it_prints(text in "([a-z_]{1,8}=)?[ -~é\n]{0,40}") {
        if let Ok(query) = parse(&text) {
            prop_assert_eq!(parse(&query.to_string()).unwrap(), query);
        }
    }
}

#[test]
fn a_text_of_many_conditions_is_read_in_any_order_and_printed_in_one() {
    let query = parse(
        "  risk=60..  agent=spiffe://atb.dev/agent/*\tact=erp.* decision=deny\nsince=2026-11-01 \
        reason=\"not \\\"covered\\\"\" tier=high,low,high",
    )
    .unwrap();
    assert_eq!(
        query.to_string(),
        "since=2026-11-01T00:00:00.000Z agent=spiffe://atb.dev/agent/* act=erp.* tier=low,high decision=deny \
         reason=\"not \\\"covered\\\"\" risk=60.."
    );
}

#[test]
fn what_is_not_understood_is_refused_with_its_column_and_what_is_allowed() {
    let refused = |text: &str| parse(text).unwrap_err().to_string();
    let error = refused("act=erp.* agnet=x");
    assert!(error.starts_with("column 11: `agnet` is no key; there are since, until, workspace, agent,"), "{error}");
    assert!(refused("session=7").contains("`atb audit trace ID`"));
    assert_eq!(refused("  risk=101"), format!("column 3: `risk` takes {}", Key::Risk.expected()));
    assert_eq!(refused("act=erp.* act=crm.*"), "column 11: `act` is given twice");
    for text in ["act", "act=erp.* deny", "=x", "a b=c", "\"act\"=x"] {
        assert!(matches!(parse(text), Err(QueryError::NotAPair { .. })), "{text}");
    }
    for text in ["reason=\"x", "reason=\"x\"y", "reason=\"\\x\"", "reason=x\"y", "reason=\"x\\"] {
        assert!(matches!(parse(text), Err(QueryError::Quote { at: 1 })), "{text}");
    }
    assert_eq!(parse("since=2026-11-02 until=2026-11-02"), Err(QueryError::EmptyRange));
    assert_eq!(parse(&" ".repeat(MAX_QUERY_BYTES + 1)), Err(QueryError::TooLong));
    let long = "x".repeat(MAX_QUERY_BYTES);
    assert_eq!(Query::of_pairs([("reason", long.as_str())]), Err(QueryError::TooLong));
    let odd = Query::of_pairs([("a\u{1b}[2J", "x")]).unwrap_err().to_string();
    assert!(odd.starts_with("`a??2J` is no key"), "{odd}");
}

#[test]
fn each_value_has_a_form_and_no_other() {
    for (key, values) in [
        ("since", &["", "yesterday", "2026-13-01", "2026-11-1", "1790000000"][..]),
        ("workspace", &["", "A b", "x/y"]),
        (
            "agent",
            &["", "*", "procurement", "spiffe://atb.dev", "spiffe://atb.dev/age*", "spiffe://*", "spiffe://atb.dev//*"],
        ),
        ("act", &["", "erp", "erp.", "ERP.*", "erp.*.read"]),
        ("tier", &["", "huge", "high,", "high low"]),
        ("event_type", &["", "poa", "poa_issued,,poa_denied"]),
        ("decision", &["", "yes", "true", ID]),
        ("reason", &["", "\u{202e}x"]),
        ("risk", &["", "..", "-1", "101", "60..40", "060", "60..101", "1...2", "+5"]),
        ("connector", &["", "ERP", "a b"]),
        ("jti", &["", "x", "' OR 1=1 --", "019A0A3C-5F5E-7B1A-8F00-0123456789AB"]),
        ("bundle", &["", "a b"]),
    ] {
        for value in values {
            assert!(Query::of_pairs([(key, *value)]).is_err(), "{key}={value}");
        }
    }
}

#[test]
fn conditions_from_two_places_are_joined_and_none_is_overruled() {
    let joined = parse("act=erp.*").unwrap().and(parse("decision=deny").unwrap()).unwrap();
    assert_eq!(joined, parse("act=erp.* decision=deny").unwrap());
    let twice = parse("act=erp.*").unwrap().and(parse("act=crm.*").unwrap());
    assert_eq!(twice, Err(QueryError::Repeated { at: None, key: Key::Act }));
}

fn entry() -> Vec<u8> {
    let id = |text: &str| text.parse().ok();
    let subject = Subject {
        agent: id(AGENT),
        act: "erp.vendor.change".parse().ok(),
        tier: Some(Tier::High),
        risk_score: 70_u64.try_into().ok(),
        allow: Some(false),
        reason: Some("not covered".to_owned()),
        decision_id: ID.parse().ok(),
        jti: ID.parse().ok(),
        challenge_id: ID.parse().ok(),
        caller: id("spiffe://atb.dev/approver/carol"),
        approvers: vec!["spiffe://atb.dev/approver/alice".parse().unwrap()],
        connector: "erp".parse().ok(),
        bundle: "2026.11".parse().ok(),
        bundle_digest: Some(crate::domain::id::Sha256Digest::of(b"bundle")),
        detail: [("on_behalf_of".to_owned(), "spiffe://atb.dev/approver/bob".to_owned())].into(),
        ..Subject::default()
    };
    let at = Timestamp::parse_rfc3339("2026-11-21T10:00:00Z").unwrap();
    let event_id = crate::domain::id::EventId::new(at, [1; 10]);
    Entry { event_id, event_type: EventType::PoaApprovalRefused, at, workspace: "finance".parse().unwrap(), subject }
        .to_bytes()
}

#[test]
fn every_condition_takes_the_entry_that_meets_it_and_no_other() {
    let digest = crate::domain::id::Sha256Digest::of(b"bundle");
    let (revision, by_digest) = ("bundle=2026.11", format!("bundle={digest}"));
    let other = format!("bundle={}", crate::domain::id::Sha256Digest::of(b"other"));
    let id = |key: &str| format!("{key}={ID}");
    let another = |key: &str| format!("{key}=019a0a3c-5f5e-7b1a-8f00-0123456789ac");
    let cases: Vec<(String, String)> = [
        ("since=2026-11-21T10:00:00Z", "since=2026-11-21T10:00:00.001Z"),
        ("until=2026-11-21T10:00:00.001Z", "until=2026-11-21T10:00:00Z"),
        ("workspace=finance", "workspace=default"),
        ("agent=spiffe://atb.dev/agent/procurement", "agent=spiffe://atb.dev/agent/procure"),
        ("agent=spiffe://atb.dev/agent/*", "agent=spiffe://atb.dev/agent/procurement/*"),
        ("agent=spiffe://atb.dev/*", "agent=spiffe://other.dev/*"),
        ("act=erp.vendor.change", "act=erp.vendor.read"),
        ("act=erp.*", "act=crm.*"),
        ("tier=low,high", "tier=low,critical"),
        ("event_type=poa_denied,poa_approval_refused", "event_type=poa_denied"),
        ("decision=deny", "decision=allow"),
        ("reason=\"not covered\"", "reason=not"),
        ("risk=70", "risk=71.."),
        ("risk=..70", "risk=..69"),
        ("connector=erp", "connector=crm"),
        ("approver=spiffe://atb.dev/approver/alice", "approver=spiffe://atb.dev/approver/dave"),
        ("approver=spiffe://atb.dev/approver/bob", "approver=spiffe://atb.dev/agent/*"),
        ("approver=spiffe://atb.dev/approver/carol", "approver=spiffe://atb.dev/approver/carol/*"),
        (revision, other.as_str()),
        (by_digest.as_str(), "bundle=2026.12"),
    ]
    .into_iter()
    .map(|(yes, no)| (yes.to_owned(), no.to_owned()))
    .chain(["jti", "challenge", "decision_id"].map(|key| (id(key), another(key))))
    .collect();
    let body = entry();
    let mut keys = std::collections::BTreeSet::new();
    for (yes, no) in &cases {
        keys.insert(yes.split('=').next().unwrap().to_owned());
        assert!(parse(yes).unwrap().matches_body(&body), "{yes}");
        assert!(!parse(no).unwrap().matches_body(&body), "{no}");
    }
    assert_eq!(keys.len(), Key::ALL.len(), "every key is tried");
    let all = cases.iter().map(|(yes, _)| yes.as_str());
    let first: Vec<_> = all.fold(Vec::<&str>::new(), |mut kept, yes| {
        if !kept.iter().any(|k| k.split('=').next() == yes.split('=').next()) {
            kept.push(yes);
        }
        kept
    });
    assert!(parse(&first.join(" ")).unwrap().matches_body(&body), "all at once");
}

#[test]
fn a_caller_that_is_no_approver_is_none_and_what_is_no_entry_matches_no_condition() {
    let body = br#"{"event_type":"broker_decision","at":"2026-11-21T10:00:00Z","workspace":"default",
        "caller":"spiffe://atb.dev/connector/erp","later_member":{"x":1}}"#;
    assert!(!parse("approver=spiffe://atb.dev/connector/erp").unwrap().matches_body(body));
    assert!(parse("event_type=broker_decision").unwrap().matches_body(body), "unknown members do not disturb");
    assert!(!parse("workspace=default").unwrap().matches_body(b"not JSON"));
    assert!(Query::default().matches_body(b"not JSON"));
}
