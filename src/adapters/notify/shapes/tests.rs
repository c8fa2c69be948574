//! The three shapes, and texts that try to be more than text.

use super::*;
use crate::domain::catalogue::Tier;
use crate::domain::id::Sha256Digest;
use crate::service::notifier::NoticeData;

fn notice() -> Notice {
    let at = Timestamp::from_secs(1_790_000_000);
    let challenge_id = "01890000-0000-7000-8000-000000000001".parse().unwrap();
    Notice {
        event_id: "01890000-0000-7000-8000-000000000002".parse().unwrap(),
        kind: NoticeKind::Created,
        at,
        data: NoticeData {
            challenge_id,
            state: NoticeKind::Created.state(),
            tier: Tier::High,
            act: "sap.vendor.change".parse().unwrap(),
            agent: "spiffe://atb.dev/agent/procurement".parse().unwrap(),
            workspace: "procurement".parse().unwrap(),
            required: 2,
            approved: 0,
            expires_at: at.plus(std::time::Duration::from_secs(3600)),
            digest: Sha256Digest::of(b"what is asked"),
            link: format!("https://approvals.example/challenges/{challenge_id}"),
        },
    }
}

/// A golden is changed by hand and read in review.
#[test]
fn every_shape_is_as_its_receivers_know_it() {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (shape, name) in [(Shape::Standard, "standard"), (Shape::Slack, "slack"), (Shape::Teams, "teams")] {
        let text = std::fs::read_to_string(golden.join(format!("notification-{name}.json"))).unwrap();
        let known: Value = serde_json::from_str(&text).unwrap();
        let made = body(&Message::Notice(&notice()), shape);
        assert_eq!(made, known, "{name}: {made:#}");
    }
}

const HOSTILE: [&str; 8] = [
    "<!channel> <@U123>",
    "<https://evil.example|Approve here>",
    "`escape` *bold* <!here>",
    "[Approve](https://evil.example)",
    "https://evil.example/approve",
    "<at>Everyone</at>",
    "&lt;!channel&gt;",
    "@here #general",
];

#[test]
fn in_slack_no_text_becomes_a_link_or_a_mention() {
    for text in HOSTILE {
        let code = slack_code(text);
        let inner = code.strip_prefix('`').and_then(|code| code.strip_suffix('`')).unwrap();
        assert!(!inner.contains(['<', '>', '`']), "{code}");
        let unescaped = inner.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        assert_eq!(unescaped, text.replace('`', "'"), "it reads otherwise than it is");
    }
    let message = slack(&Message::Notice(&notice()));
    for block in message["blocks"].as_array().unwrap().iter().filter(|block| block["type"] == "section") {
        assert_eq!(block["text"]["verbatim"], true, "Slack would look for links by itself: {block}");
    }
}

#[test]
fn in_teams_every_value_stands_in_a_run_without_markup() {
    for text in HOSTILE {
        let message = teams(&Message::Test { id: notice().event_id, at: notice().at, endpoint: text });
        let card = &message["attachments"][0]["content"];
        let holders = card["body"].as_array().unwrap().iter().filter(|block| block.to_string().contains("Endpoint"));
        for holder in holders {
            assert_eq!(holder["type"], "RichTextBlock");
            assert!(holder["inlines"].as_array().unwrap().iter().any(|run| run["text"] == text), "{holder}");
        }
        assert!(message.get("entities").is_none() && card.get("msteams").is_none(), "a mention needs an entity");
        assert_eq!(card["actions"], json!([]));
    }
}

#[test]
fn a_link_leads_to_the_challenge_and_nothing_decides() {
    for shape in [Shape::Standard, Shape::Slack, Shape::Teams] {
        let text = body(&Message::Notice(&notice()), shape).to_string();
        assert!(text.contains("https://approvals.example/challenges/01890000-0000-7000-8000-000000000001"));
        for deciding in ["/approve", "/reject", "Action.Submit", "Action.Http", "Action.Execute", "\"button\""] {
            assert!(!text.contains(deciding), "{shape:?} offers {deciding}");
        }
    }
}
