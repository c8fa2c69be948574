//! What HTTP receivers are sent: one request a batch, or one a record. Golden files: `tests/vectors/sinks`.
//!
//! | shape | content type | body |
//! | --- | --- | --- |
//! | Splunk HEC | `application/json` | one event object a line; `event` is the entry |
//! | Elastic bulk | `application/x-ndjson` | `{"create":{"_id":…}}`, then the entry, a line each |
//! | JSON | `application/json` | the entry |
//! | JSON lines | `application/jsonl` | one entry a line |
//! | CloudEvents | as its HTTP binding 1.0.2 §3 says | the entry is `data` |

use axum::http::header::CONTENT_TYPE;
use axum::http::request::Builder;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::config::HttpShape;
use crate::service::ports::OutboundRecord;

/// One request: headers and body.
pub(super) struct Shaped {
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Shaped {
    fn new(content_type: &'static str, body: Vec<u8>) -> Self {
        Self { headers: vec![(CONTENT_TYPE.as_str(), content_type.to_owned())], body }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Puts the headers on a request.
    pub(super) fn onto(&self, request: Builder) -> Builder {
        self.headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
    }
}

/// Whether a request of this shape holds one record.
pub(super) fn is_one_by_one(shape: &HttpShape) -> bool {
    matches!(shape, HttpShape::Json | HttpShape::CloudEventBinary | HttpShape::CloudEventStructured)
}

/// The request that sends `records`; of a shape for one record, the first.
///
/// # Errors
/// When an entry is not JSON, which the ledger never writes.
pub(super) fn request(
    shape: &HttpShape,
    writer: &str,
    records: &[OutboundRecord],
) -> Result<Shaped, serde_json::Error> {
    let (Some(first), Some(last)) = (records.first(), records.last()) else {
        return Ok(Shaped::new("application/json", Vec::new()));
    };
    Ok(match shape {
        HttpShape::Splunk(index) => {
            let line =
                |record: &OutboundRecord| serde_json::to_vec(&SplunkEvent::of(record, writer, index.as_deref())?);
            Shaped::new("application/json", lines(records, line)?)
        }
        HttpShape::Elastic(_) => Shaped::new("application/x-ndjson", lines(records, elastic)?),
        // The key of a retry is the key of the first attempt; of another batch it is another.
        HttpShape::Json => Shaped::new("application/json", first.body.clone())
            .with("idempotency-key", format!("\"{}\"", first.event_id)),
        HttpShape::JsonLines => Shaped::new("application/jsonl", lines(records, |record| Ok(record.body.clone()))?)
            .with("idempotency-key", format!("\"{}.{}\"", first.event_id, last.event_id)),
        HttpShape::CloudEventBinary => binary(first, writer),
        HttpShape::CloudEventStructured => {
            Shaped::new("application/cloudevents+json", serde_json::to_vec(&CloudEvent::of(first, writer)?)?)
        }
        HttpShape::CloudEventBatch => {
            let events = records.iter().map(|record| CloudEvent::of(record, writer));
            let events: Vec<_> = events.collect::<Result<_, _>>()?;
            Shaped::new("application/cloudevents-batch+json", serde_json::to_vec(&events)?)
        }
    })
}

fn lines(
    records: &[OutboundRecord],
    line: impl Fn(&OutboundRecord) -> Result<Vec<u8>, serde_json::Error>,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut body = Vec::new();
    for record in records {
        body.extend(line(record)?);
        body.push(b'\n');
    }
    Ok(body)
}

fn raw(record: &OutboundRecord) -> Result<&RawValue, serde_json::Error> {
    serde_json::from_slice(&record.body)
}

/// An event of Splunk's HTTP Event Collector.
#[derive(Serialize)]
struct SplunkEvent<'a> {
    /// Seconds since the epoch with three digits behind the point.
    time: Box<RawValue>,
    host: &'a str,
    source: &'static str,
    sourcetype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<&'a str>,
    fields: SplunkFields,
    event: &'a RawValue,
}

/// Indexed fields: a record that came twice has the same.
#[derive(Serialize)]
struct SplunkFields {
    seq: u64,
    event_id: String,
}

impl<'a> SplunkEvent<'a> {
    fn of(record: &'a OutboundRecord, writer: &'a str, index: Option<&'a str>) -> Result<Self, serde_json::Error> {
        let millis = record.at.as_millis();
        Ok(Self {
            time: RawValue::from_string(format!("{}.{:03}", millis / 1000, millis % 1000))?,
            host: writer,
            source: "atb",
            sourcetype: "atb:ledger",
            index,
            fields: SplunkFields { seq: record.seq, event_id: record.event_id.to_string() },
            event: raw(record)?,
        })
    }
}

/// An action of the bulk API and its document. `create` under the entry's id: the second attempt finds it there.
fn elastic(record: &OutboundRecord) -> Result<Vec<u8>, serde_json::Error> {
    let mut pair = serde_json::to_vec(&serde_json::json!({"create": {"_id": record.event_id.to_string()}}))?;
    pair.push(b'\n');
    pair.extend(&record.body);
    Ok(pair)
}

/// CloudEvents 1.0.2, JSON format; `sequence` is the extension of that name.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    time: String,
    datacontenttype: &'static str,
    sequence: String,
    data: &'a RawValue,
}

impl<'a> CloudEvent<'a> {
    fn of(record: &'a OutboundRecord, writer: &str) -> Result<Self, serde_json::Error> {
        Ok(Self {
            specversion: "1.0",
            id: record.event_id.to_string(),
            source: format!("//{writer}"),
            event_type: event_type(record),
            time: record.at.to_string(),
            datacontenttype: "application/json",
            sequence: sequence(record),
            data: raw(record)?,
        })
    }
}

fn event_type(record: &OutboundRecord) -> String {
    format!("atb.ledger.{}", record.event_type.as_str())
}

/// Texts that sort as the indices do.
fn sequence(record: &OutboundRecord) -> String {
    format!("{:020}", record.seq)
}

/// HTTP binding §3.1: attributes as `ce-` headers. None of ours needs percent-encoding: ASCII letters, digits, `.-_:/`.
fn binary(record: &OutboundRecord, writer: &str) -> Shaped {
    Shaped::new("application/json", record.body.clone())
        .with("ce-specversion", "1.0")
        .with("ce-id", record.event_id.to_string())
        .with("ce-source", format!("//{writer}"))
        .with("ce-type", event_type(record))
        .with("ce-time", record.at.to_string())
        .with("ce-sequence", sequence(record))
}

#[cfg(test)]
pub(super) mod tests;
