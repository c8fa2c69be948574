//! `atb approve --watch`: what waits, and then a line for each thing that happens, until it is stopped.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use axum::http::{HeaderMap, HeaderValue};
use serde_json::Value;

use super::client::Client;
use super::output::{self, Format};
use crate::adapters::http::event_stream::{EventStream, ServerEvent};

/// Before it comes back after a stream that ended.
const PAUSE: Duration = Duration::from_secs(2);

/// Follows the queue; comes back where it left off when the connection breaks.
///
/// # Errors
/// When the service cannot be reached at first, or answers what this program cannot read.
pub async fn follow(client: &Client, format: Format) -> anyhow::Result<ExitCode> {
    let mut last = String::new();
    let mut stream = open(client, &last).await?;
    loop {
        if !stream.status.is_success() {
            let status = stream.status.as_u16();
            output::note(&output::problem(status, &stream.whole().await?));
            return Ok(ExitCode::from(1));
        }
        // An end is as good as a break: what was missed is told when it comes back.
        while let Ok(Some(event)) = stream.next().await {
            event.id.clone_into(&mut last);
            tell(client, &event, format).await?;
        }
        output::note("the stream ended; coming back");
        stream = loop {
            tokio::time::sleep(PAUSE).await;
            match open(client, &last).await {
                Ok(stream) => break stream,
                Err(error) => output::error(&error),
            }
        };
    }
}

async fn open(client: &Client, last: &str) -> anyhow::Result<EventStream> {
    let mut headers = HeaderMap::new();
    if !last.is_empty() {
        headers.insert("last-event-id", HeaderValue::from_str(last).context("the service sent an odd event id")?);
    }
    client.stream("/challenges/events", headers).await
}

async fn tell(client: &Client, event: &ServerEvent, format: Format) -> anyhow::Result<()> {
    match event.event.as_str() {
        // Begun here: whatever waits already was not told.
        "ready" | "reset" => {
            for challenge in waiting(client).await?.map_err(anyhow::Error::msg)? {
                print("waits", None, &challenge, format);
            }
        }
        "challenge" => {
            let data: Value =
                serde_json::from_str(&event.data).context("the service sent an event that is not JSON")?;
            let turn = data.get("event").and_then(Value::as_str).unwrap_or_default();
            print(turn, data.get("at"), data.get("challenge").unwrap_or(&Value::Null), format);
        }
        _ => {}
    }
    Ok(())
}

/// Every page of what waits, or the problem that the service answered.
pub(super) async fn waiting(client: &Client) -> anyhow::Result<Result<Vec<Value>, String>> {
    let mut waiting = Vec::new();
    let mut cursor = String::new();
    loop {
        let response = client.get(&format!("/challenges?status=pending{cursor}")).await?;
        if !response.status.is_success() {
            return Ok(Err(output::problem(response.status.as_u16(), &response.body)));
        }
        let mut page: Value = serde_json::from_slice(&response.body)?;
        if let Some(Value::Array(challenges)) = page.get_mut("challenges").map(Value::take) {
            waiting.extend(challenges);
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(Ok(waiting)),
        }
    }
}

fn print(what: &str, at: Option<&Value>, challenge: &Value, format: Format) {
    if format == Format::Json {
        let mut line = serde_json::json!({ "event": what, "challenge": challenge });
        if let (Some(at), Some(members)) = (at, line.as_object_mut()) {
            members.insert("at".to_owned(), at.clone());
        }
        output::line(&line.to_string());
        return;
    }
    output::line(&format!("{what:9} {}", line(challenge)));
}

/// A challenge of a list in a line.
pub(super) fn line(challenge: &Value) -> String {
    let text = |pointer: &str| {
        let value = challenge.pointer(pointer);
        value.map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).unwrap_or_default()
    };
    format!(
        "{}  {:8}  {}  {}  {}/{} approved, until {}",
        text("/challenge_id"),
        text("/tier"),
        text("/act"),
        text("/agent"),
        text("/approved"),
        text("/required"),
        text("/expires_at"),
    )
}
