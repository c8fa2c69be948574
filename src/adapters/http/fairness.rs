//! Fair shares at the doors: how many connections and how many requests at a time one identity may have.
//!
//! An identity is what the SVID of the connection proves; a forwarded address or any other header is never looked at. What
//! is remembered is bounded by what is open: an identity without a connection is forgotten. A request holds its place
//! until its answer has ended, so that a slow reader uses up its own share and nobody else's.
//!
//! What is refused here is counted exactly and written down in sums, once a second ([`Fairness::take`]): a flood must not
//! fill the disk.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Frame, SizeHint};

use super::problem::Problem;
use super::server::Peer;
use crate::domain::spiffe::SpiffeId;
use crate::service::refusal::{Code, Refusal};

/// Agents that are named in one sum; those beyond are counted together.
const MAX_NAMED: usize = 256;

/// The most of everything that one identity may have at a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Open connections.
    pub connections: usize,
    /// Requests whose answers have not ended.
    pub requests: usize,
}

impl Default for Share {
    fn default() -> Self {
        Self { connections: 1024, requests: 1024 }
    }
}

/// What was refused to an identity before anything was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refused {
    /// One more connection.
    AgentConnections,
    /// One more request at a time.
    AgentRequests,
    /// A call so soon again.
    AgentRate,
}

impl Refused {
    /// The reason as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AgentConnections => "agent_connections",
            Self::AgentRequests => "agent_requests",
            Self::AgentRate => "agent_rate",
        }
    }
}

/// Refusals of one kind to one identity; of those beyond the bound together where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedSum {
    /// What.
    pub what: Refused,
    /// To whom.
    pub agent: Option<SpiffeId>,
    /// How often.
    pub count: u64,
}

#[derive(Default)]
struct Held {
    connections: usize,
    requests: usize,
}

/// Who holds what at one door, and what was refused.
#[derive(Default)]
pub struct Fairness {
    share: Share,
    held: Mutex<HashMap<SpiffeId, Held>>,
    sums: Mutex<BTreeMap<(Refused, Option<SpiffeId>), u64>>,
}

/// One connection or one request of an identity, until it is dropped.
pub struct Place {
    fairness: Arc<Fairness>,
    agent: SpiffeId,
    connection: bool,
}

impl Fairness {
    /// Shares of this size.
    pub fn new(share: Share) -> Self {
        Self { share, ..Self::default() }
    }

    /// One more connection of `agent`.
    pub fn connect(self: &Arc<Self>, agent: &SpiffeId) -> Option<Place> {
        self.hold(agent, true)
    }

    /// One more request of `agent`.
    pub fn request(self: &Arc<Self>, agent: &SpiffeId) -> Option<Place> {
        self.hold(agent, false)
    }

    fn hold(self: &Arc<Self>, agent: &SpiffeId, connection: bool) -> Option<Place> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked up first: the name is copied once a connection, not once a request.
        if !held.contains_key(agent) {
            held.insert(agent.clone(), Held::default());
        }
        let mine = held.get_mut(agent)?;
        let (count, most) = match connection {
            true => (&mut mine.connections, self.share.connections),
            false => (&mut mine.requests, self.share.requests),
        };
        if *count >= most {
            drop(held);
            self.refused(if connection { Refused::AgentConnections } else { Refused::AgentRequests }, agent);
            return None;
        }
        *count += 1;
        Some(Place { fairness: Arc::clone(self), agent: agent.clone(), connection })
    }

    /// Counts a refusal.
    pub fn refused(&self, what: Refused, agent: &SpiffeId) {
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let named = (what, Some(agent.clone()));
        let key = if sums.len() < MAX_NAMED || sums.contains_key(&named) { named } else { (what, None) };
        let count = sums.entry(key).or_default();
        *count = count.saturating_add(1);
    }

    /// What was refused since the last time.
    pub fn take(&self) -> Vec<RefusedSum> {
        let sums = std::mem::take(&mut *self.sums.lock().unwrap_or_else(PoisonError::into_inner));
        sums.into_iter().map(|((what, agent), count)| RefusedSum { what, agent, count }).collect()
    }

    /// Puts a sum back that could not be written down.
    pub fn put_back(&self, sum: RefusedSum) {
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sums.entry((sum.what, sum.agent)).or_default();
        *count = count.saturating_add(sum.count);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.fairness.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mine) = held.get_mut(&self.agent) else { return };
        let count = if self.connection { &mut mine.connections } else { &mut mine.requests };
        *count = count.saturating_sub(1);
        if mine.connections == 0 && mine.requests == 0 {
            held.remove(&self.agent);
        }
    }
}

/// The middleware: one place a request, held until its answer has ended.
pub async fn share(
    State(fairness): State<Arc<Fairness>>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let Some(place) = fairness.request(peer.id()) else {
        let detail = "you have as many requests under way as one identity may have; wait for an answer";
        return Problem(Refusal::because(Code::TooManyRequests, "agent_requests", detail)).into_response();
    };
    next.run(request).await.map(|body| Body::new(Holding { body, _place: place }))
}

/// An answer's body with its request's place.
struct Holding {
    body: Body,
    _place: Place,
}

impl hyper::body::Body for Holding {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(n: usize) -> SpiffeId {
        format!("spiffe://atb.dev/agent/n{n}").parse().unwrap()
    }

    fn fairness() -> Arc<Fairness> {
        Arc::new(Fairness::new(Share { connections: 2, requests: 3 }))
    }

    #[test]
    fn one_identity_fills_its_own_share_and_no_other() {
        let fairness = fairness();
        let places: Vec<_> = (0..5).map(|_| fairness.request(&agent(1))).collect();
        assert_eq!(places.iter().flatten().count(), 3);
        assert!(fairness.request(&agent(2)).is_some());
        assert!(fairness.connect(&agent(1)).is_some(), "connections are counted apart");
        drop(places);
        assert!(fairness.request(&agent(1)).is_some());
    }

    #[test]
    fn ten_thousand_identities_that_have_gone_are_forgotten() {
        let fairness = fairness();
        let places: Vec<_> = (0..10_000).map(|n| fairness.connect(&agent(n))).collect();
        assert_eq!(fairness.held.lock().unwrap().len(), 10_000);
        drop(places);
        assert!(fairness.held.lock().unwrap().is_empty());
    }

    #[test]
    fn refusals_are_summed_exactly_and_names_are_bounded() {
        let fairness = fairness();
        for n in 0..10_000 {
            fairness.refused(Refused::AgentRate, &agent(n));
            fairness.refused(Refused::AgentRate, &agent(0));
        }
        let sums = fairness.take();
        assert!(sums.len() <= MAX_NAMED + 3, "{}", sums.len());
        assert_eq!(sums.iter().map(|sum| sum.count).sum::<u64>(), 20_000);
        assert!(sums.iter().any(|sum| sum.agent == Some(agent(0)) && sum.count == 10_001));
        assert!(fairness.take().is_empty());
    }
}
