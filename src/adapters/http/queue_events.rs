//! `GET /challenges/events`: the approvers' queue, live, as server-sent events (WHATWG HTML §9.2).
//!
//! ```text
//! event: ready       here you are; list now and nothing is missed            id: the last entry of the record
//! event: challenge   {event, at, challenge}: what happened, as the list has it  id: the entry that records it
//! event: reset       more happened than is told again; list anew             id: the last entry of the record
//! ```
//!
//! Events are read from the record, so that a reader who comes back with `Last-Event-ID` misses nothing. Each is
//! filtered by the directory in force when it is sent.
//!
//! INVARIANT: what one reader costs is bounded: a few events wait for it, one that does not take them in time is left;
//! a stream ends with its reader's SVID, when the directory does not know her any more, at its age, or with the service.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;

use super::agentauth::{AgentAuth, no_store};
use super::problem::Problem;
use super::server::Peer;
use crate::domain::spiffe::{SpiffeId, VerifiedSvid};
use crate::service::issuer::Issuer;
use crate::service::issuer::queue::{Place, QueueEvent, Start};
use crate::service::ports::Clock;
use crate::service::refusal::{Code, Refusal};

/// Streams at a time.
pub const MAX_STREAMS: usize = 256;
/// Streams of one identity at a time.
pub const MAX_STREAMS_EACH: usize = 4;
/// Events that wait for one reader.
const WAITING: usize = 16;
/// How long a reader may leave them waiting.
const SLOW_READER: Duration = Duration::from_secs(10);
/// A comment is sent when nothing else was for so long, so that both ends notice a connection that is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often the queue and the directory are looked at when nothing happens.
const LOOK_MILLIS: u64 = 5_000;
/// A stream ends in good order at this age; the reader comes back.
const MAX_AGE: Duration = Duration::from_secs(3000);
/// What a browser waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);

/// The streams that are open.
pub struct Streams {
    clock: Arc<dyn Clock>,
    stopping: watch::Receiver<bool>,
    open: Mutex<BTreeMap<SpiffeId, usize>>,
}

impl Streams {
    /// No streams; each will end once `stopping` is true.
    pub fn new(clock: Arc<dyn Clock>, stopping: watch::Receiver<bool>) -> Self {
        Self { clock, stopping, open: Mutex::default() }
    }

    fn take(self: &Arc<Self>, reader: &SpiffeId) -> Result<Seat, Refusal> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.get(reader).is_some_and(|count| *count >= MAX_STREAMS_EACH) {
            let detail = format!("you follow the queue {MAX_STREAMS_EACH} times already; end one of them first");
            return Err(Refusal::because(Code::TooManyRequests, "streams_of_identity", detail));
        }
        if open.values().sum::<usize>() >= MAX_STREAMS {
            let detail = "too many follow the queue at the moment; list it instead, or ask again";
            return Err(Refusal::because(Code::Busy, "streams_full", detail));
        }
        *open.entry(reader.clone()).or_default() += 1;
        Ok(Seat { streams: Arc::clone(self), reader: reader.clone() })
    }
}

/// One stream's place among the streams; free again when it is dropped.
struct Seat {
    streams: Arc<Streams>,
    reader: SpiffeId,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.reader) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.reader);
            }
        }
    }
}

/// `GET /challenges/events`
pub(super) async fn events(
    State(state): State<AgentAuth>,
    Extension(Peer(peer)): Extension<Peer>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = match no_query(&uri).and_then(|()| last_event_id(&headers)) {
        Ok(last) => last,
        Err(refusal) => return Err(state.issuer.refuse_at_door(peer.id(), refusal).await.into()),
    };
    let start = state.issuer.follow(&peer, last).await?;
    let seat = match state.streams.take(peer.id()) {
        Ok(seat) => seat,
        Err(refusal) => return Err(state.issuer.refuse_at_door(peer.id(), refusal).await.into()),
    };
    let (events, waiting) = mpsc::channel(WAITING);
    let teller = Teller { issuer: Arc::clone(&state.issuer), reader: peer, events };
    tokio::spawn(teller.run(start, seat));
    let stream = ReceiverStream::new(waiting);
    let mut response = no_store(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response());
    // A proxy in between must pass each event on when it comes.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn no_query(uri: &Uri) -> Result<(), Refusal> {
    match uri.query() {
        None | Some("") => Ok(()),
        Some(_) => Err(Refusal::because(Code::RequestMalformed, "query_unknown", "the live queue takes no query")),
    }
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let mut values = headers.get_all("last-event-id").iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return if headers.contains_key("last-event-id") { Err(not_an_event()) } else { Ok(None) };
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    id.map(Some).ok_or_else(not_an_event)
}

fn not_an_event() -> Refusal {
    let detail = "`Last-Event-ID` is the id of an event of this stream, once; leave it away to begin here";
    Refusal::because(Code::RequestMalformed, "last_event_id", detail)
}

type Events = mpsc::Sender<Result<Event, Infallible>>;

/// Tells one reader what happens.
struct Teller {
    issuer: Arc<Issuer>,
    reader: Arc<VerifiedSvid>,
    events: Events,
}

/// The reader is gone, or too slow.
struct Left;

impl Teller {
    async fn run(self, start: Start, seat: Seat) {
        let streams = &seat.streams;
        let mut stopping = streams.stopping.clone();
        let age = MAX_AGE.min(self.reader.expires_at().since(streams.clock.now()));
        tokio::select! {
            _ = self.tell(start, streams.clock.as_ref()) => {}
            () = self.events.closed() => {}
            () = sleep(age) => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    }

    async fn tell(&self, start: Start, clock: &dyn Clock) -> Result<(), Left> {
        let mut place = self.begin(start).await?;
        // The clock may have been moved since the age was taken.
        while clock.now() < self.reader.expires_at() {
            let turns = match self.issuer.turns(&self.reader, place).await {
                Ok(Some((turns, next))) => {
                    place = next;
                    turns
                }
                Ok(None) => return Ok(()),
                Err(refusal) => {
                    tracing::warn!(reason = refusal.reason, "the live queue could not be read; its readers come back");
                    return Ok(());
                }
            };
            if turns.is_empty() {
                self.issuer.moved(place, LOOK_MILLIS).await;
            }
            for turn in &turns {
                self.send(challenge_event(turn)).await?;
            }
        }
        Ok(())
    }

    async fn begin(&self, start: Start) -> Result<Place, Left> {
        let (name, place) = match start {
            Start::Resumed(place) => return Ok(place),
            Start::Here(place) => ("ready", place),
            Start::Reset(place) => ("reset", place),
        };
        let event = Event::default().retry(RETRY).event(name).id(place.seen().to_string());
        self.send(event.data(json!({ "list": "/challenges" }).to_string())).await?;
        Ok(place)
    }

    async fn send(&self, event: Event) -> Result<(), Left> {
        offer(&self.events, event, SLOW_READER).await
    }
}

/// Leaves a reader that does not take what waits for it.
async fn offer(to: &Events, event: Event, patience: Duration) -> Result<(), Left> {
    match timeout(patience, to.send(Ok(event))).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Left),
    }
}

fn challenge_event(event: &QueueEvent) -> Event {
    let data = json!({ "event": event.turn, "at": event.at, "challenge": event.challenge });
    Event::default().event("challenge").id(event.seq.to_string()).data(data.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::clock::SystemClock;

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_left_and_not_buffered_for() {
        let (events, mut waiting) = mpsc::channel(WAITING);
        let patience = Duration::from_millis(20);
        for _ in 0..WAITING {
            assert!(offer(&events, Event::default(), patience).await.is_ok());
        }
        assert!(offer(&events, Event::default(), patience).await.is_err());
        assert!(waiting.recv().await.is_some());
        assert!(offer(&events, Event::default(), patience).await.is_ok());
    }

    #[test]
    fn a_seat_is_free_again_when_its_stream_ends() {
        let (_stop, stopping) = watch::channel(false);
        let streams = Arc::new(Streams::new(Arc::new(SystemClock), stopping));
        let id = |n: usize| format!("spiffe://atb.dev/approver/a{n}").parse::<SpiffeId>().unwrap();
        let mut seats: Vec<_> = (0..MAX_STREAMS_EACH).map(|_| streams.take(&id(0)).ok().unwrap()).collect();
        let refused = streams.take(&id(0)).err().unwrap();
        assert_eq!((refused.code, refused.reason.as_str()), (Code::TooManyRequests, "streams_of_identity"));
        seats.pop();
        seats.push(streams.take(&id(0)).ok().unwrap());
        for n in 1.. {
            match streams.take(&id(n)) {
                Ok(seat) => seats.push(seat),
                Err(refused) => {
                    assert_eq!((refused.code, refused.reason.as_str()), (Code::Busy, "streams_full"));
                    break;
                }
            }
        }
        assert_eq!(seats.len(), MAX_STREAMS);
        drop(seats);
        assert!(streams.open.lock().unwrap().is_empty());
    }
}
