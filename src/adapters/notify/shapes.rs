//! What a notification looks like to its receiver: the event itself, or a message for Slack or Teams about it.
//!
//! In Slack's markup a text stands in a code span, with the three characters that Slack reads as markup replaced and
//! automatic links turned off. In Teams it stands in a text run, which knows no markup. So no value becomes a link, a
//! mention or a heading; the one link is ours. There is no button that decides: a link is all there is.

use serde_json::{Value, json};

use crate::config::Shape;
use crate::domain::id::EventId;
use crate::domain::time::Timestamp;
use crate::service::notifier::{Notice, NoticeKind};

/// What is sent.
#[derive(Debug)]
pub enum Message<'a> {
    /// An event.
    Notice(&'a Notice),
    /// A trial by `atb notify test`.
    Test {
        /// Its id.
        id: EventId,
        /// When.
        at: Timestamp,
        /// The endpoint's name.
        endpoint: &'a str,
    },
}

impl Message<'_> {
    /// The `webhook-id`.
    pub(super) fn id(&self) -> String {
        match self {
            Self::Notice(notice) => notice.event_id.to_string(),
            Self::Test { id, .. } => id.to_string(),
        }
    }

    fn title(&self) -> &'static str {
        let Self::Notice(notice) = self else { return "ATB: a test" };
        match notice.kind {
            NoticeKind::Created => "An agent asks for approval",
            NoticeKind::Approved => "Approved",
            NoticeKind::Rejected => "Rejected",
            NoticeKind::Expired => "Expired: nobody agreed in time",
            NoticeKind::Withdrawn => "Withdrawn by the agent",
        }
    }

    /// What a person wants to know, name and value.
    fn facts(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Test { endpoint, .. } => vec![("Endpoint", (*endpoint).to_owned())],
            Self::Notice(Notice { data, .. }) => vec![
                ("Act", data.act.to_string()),
                ("Tier", data.tier.as_str().to_owned()),
                ("Agent", data.agent.to_string()),
                ("Workspace", data.workspace.to_string()),
                ("Approvals", format!("{} of {}", data.approved, data.required)),
                ("Until", data.expires_at.to_string()),
                ("Digest", data.digest.to_string()),
            ],
        }
    }

    fn link(&self) -> Option<&str> {
        if let Self::Notice(notice) = self { Some(&notice.data.link) } else { None }
    }
}

pub(super) fn body(message: &Message<'_>, shape: Shape) -> Value {
    match shape {
        Shape::Standard => standard(message),
        Shape::Slack => slack(message),
        Shape::Teams => teams(message),
    }
}

fn standard(message: &Message<'_>) -> Value {
    match message {
        Message::Notice(n) => json!({"type": n.kind.as_str(), "timestamp": n.at, "data": n.data}),
        Message::Test { at, endpoint, .. } => json!({"type": "test", "timestamp": at, "data": {"endpoint": endpoint}}),
    }
}

fn slack(message: &Message<'_>) -> Value {
    let verbatim = |text: String| json!({"type": "mrkdwn", "text": text, "verbatim": true});
    let facts: Vec<_> = message.facts().iter().map(|(name, value)| format!("{name}: {}", slack_code(value))).collect();
    let mut blocks = vec![
        json!({"type": "header", "text": {"type": "plain_text", "text": message.title(), "emoji": false}}),
        json!({"type": "section", "text": verbatim(facts.join("\n"))}),
    ];
    if let Some(link) = message.link() {
        blocks.push(json!({"type": "section", "text": verbatim(format!("<{link}|Read what is asked>"))}));
    }
    json!({"text": message.title(), "blocks": blocks})
}

/// A code span that holds exactly `text`.
fn slack_code(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('`', "'");
    format!("`{escaped}`")
}

fn teams(message: &Message<'_>) -> Value {
    let run = |text: &str| json!({"type": "TextRun", "text": text});
    let facts = message.facts().into_iter().map(|(name, value)| {
        json!({"type": "RichTextBlock", "inlines": [
            {"type": "TextRun", "text": format!("{name}: "), "weight": "Bolder"}, run(&value),
        ]})
    });
    let title =
        json!({"type": "TextBlock", "text": message.title(), "size": "Medium", "weight": "Bolder", "wrap": true});
    let body: Vec<_> = std::iter::once(title).chain(facts).collect();
    let actions: Vec<_> = message
        .link()
        .map(|link| json!({"type": "Action.OpenUrl", "title": "Read what is asked", "url": link}))
        .into_iter()
        .collect();
    json!({"type": "message", "attachments": [{
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": null,
        "content": {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard", "version": "1.4", "body": body, "actions": actions,
        },
    }]})
}

#[cfg(test)]
mod tests;
