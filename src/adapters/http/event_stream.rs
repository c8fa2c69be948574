//! Server-sent events as a client reads them (WHATWG HTML §9.2.5), as far as our own services send them.

use std::collections::VecDeque;

use axum::http::{Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;

/// The longest line, and the largest answer that is none of events.
const MAX_BYTES: usize = 256 * 1024;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerEvent {
    /// What to go on behind.
    pub id: String,
    /// What kind it is.
    pub event: String,
    /// What it says.
    pub data: String,
}

/// An answer whose body is read as it comes.
pub struct EventStream {
    /// The status; anything but 200 has no events but a problem document.
    pub status: StatusCode,
    body: Incoming,
    parser: Parser,
    /// The connection lives as long as this.
    _connection: SendRequest<Full<Bytes>>,
}

/// Why there is no next event.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] hyper::Error),
    /// The service sends what it never sends.
    #[error("the service sent a line of more than {MAX_BYTES} bytes, or one that is not UTF-8")]
    Malformed,
}

impl EventStream {
    pub(super) fn new(connection: SendRequest<Full<Bytes>>, answer: Response<Incoming>) -> Self {
        let (head, body) = answer.into_parts();
        Self { status: head.status, body, parser: Parser::default(), _connection: connection }
    }

    /// The next event; `None` when the service ended the stream.
    ///
    /// # Errors
    /// When the connection broke.
    pub async fn next(&mut self) -> Result<Option<ServerEvent>, StreamError> {
        loop {
            if let Some(event) = self.parser.ready.pop_front() {
                return Ok(Some(event));
            }
            let Some(frame) = self.body.frame().await.transpose()? else { return Ok(None) };
            if let Ok(bytes) = frame.into_data() {
                self.parser.push(&bytes)?;
            }
        }
    }

    /// The whole body, of an answer that is none of events.
    ///
    /// # Errors
    /// When it broke off or is too large.
    pub async fn whole(self) -> Result<Bytes, StreamError> {
        let body = Limited::new(self.body, MAX_BYTES).collect().await.map_err(|_| StreamError::Malformed)?;
        Ok(body.to_bytes())
    }
}

#[derive(Default)]
struct Parser {
    line: Vec<u8>,
    event: ServerEvent,
    ready: VecDeque<ServerEvent>,
}

impl Parser {
    fn push(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    self.take(std::str::from_utf8(&line).map_err(|_| StreamError::Malformed)?);
                }
                byte if self.line.len() < MAX_BYTES => self.line.push(*byte),
                _ => return Err(StreamError::Malformed),
            }
        }
        Ok(())
    }

    fn take(&mut self, line: &str) {
        if line.is_empty() {
            // The id stays for the events after it.
            let id = self.event.id.clone();
            let event = std::mem::replace(&mut self.event, ServerEvent { id, ..ServerEvent::default() });
            if !event.data.is_empty() {
                self.ready.push_back(event);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => value.clone_into(&mut self.event.id),
            "event" => value.clone_into(&mut self.event.event),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            _ => {} // a comment, or `retry`, which is for browsers
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_apart_however_they_were_cut_in_pieces() {
        let text =
            ": hello\n\nretry: 2000\nevent: ready\nid: 7\ndata: {}\n\ndata: a\ndata: b\n\n: keep\n\nevent: x\n\n";
        let expected = [
            ServerEvent { id: "7".to_owned(), event: "ready".to_owned(), data: "{}".to_owned() },
            ServerEvent { id: "7".to_owned(), event: String::new(), data: "a\nb".to_owned() },
        ];
        for size in 1..text.len() {
            let mut parser = Parser::default();
            text.as_bytes().chunks(size).for_each(|piece| parser.push(piece).unwrap());
            assert_eq!(Vec::from(parser.ready), expected, "pieces of {size}");
        }
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        assert!(Parser::default().push(&vec![b'x'; MAX_BYTES + 1]).is_err());
    }
}
