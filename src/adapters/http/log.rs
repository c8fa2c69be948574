//! `GET /log/checkpoint`, `/log/checkpoint/cosigned` and `/log/tile/…`, the same at both doors (C2SP tlog-tiles).
//!
//! The name of a tile is read as it stands in the request line: percent-encoding, a query and a second spelling are
//! refused. A full tile never changes and may be kept for good; whoever keeps one is a reader of the ledger, so that the
//! caches are private ones.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use tokio::sync::Semaphore;

use super::body;
use super::problem::Problem;
use super::server::Peer;
use crate::domain::ledger::Checkpoint;
use crate::domain::spiffe::{SpiffeId, VerifiedSvid};
use crate::service::refusal::{Code, Refusal};
use crate::service::transparency::Transparency;

/// Readers that are served at once, over both doors; more are told to come again. A bundle is at most 16 MiB.
const PLACES: usize = 4;
const TILES: &str = "/log/tile/";
const FOREVER: &str = "private, max-age=31536000, immutable";
const BRIEFLY: &str = "private, max-age=60";

/// The log and how many may read it at once.
pub struct LogReading {
    log: Transparency,
    places: Semaphore,
}

impl LogReading {
    /// Over this log.
    pub fn new(log: Transparency) -> Self {
        Self { log, places: Semaphore::new(PLACES) }
    }
}

/// A door that readers of the ledger come to.
pub trait LogDoor: Clone + Send + Sync + 'static {
    /// The log of this process.
    fn log(&self) -> &Arc<LogReading>;

    /// Records a refusal as this door does.
    fn refused_reader(&self, caller: &SpiffeId, refusal: Refusal) -> impl Future<Output = Refusal> + Send;
}

/// The routes.
pub fn routes<D: LogDoor>() -> Router<D> {
    Router::new()
        .route("/log/checkpoint", get(checkpoint::<D>))
        .route("/log/checkpoint/cosigned", get(cosigned::<D>))
        .route("/log/tile/{*name}", get(tile::<D>))
}

/// `GET /log/checkpoint`
async fn checkpoint<D: LogDoor>(
    State(door): State<D>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    admit(&door, &peer, &headers, &uri).await?;
    Ok(note(&door.log().log.checkpoint().await?))
}

/// `GET /log/checkpoint/cosigned`
async fn cosigned<D: LogDoor>(
    State(door): State<D>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    admit(&door, &peer, &headers, &uri).await?;
    Ok(note(&door.log().log.cosigned().await?))
}

/// `GET /log/tile/<L>/<N>[.p/<W>]` and `GET /log/tile/entries/<N>[.p/<W>]`
async fn tile<D: LogDoor>(
    State(door): State<D>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    admit(&door, &peer, &headers, &uri).await?;
    let reading = door.log();
    let busy = |_| Refusal::because(Code::Busy, "log_readers_busy", "too many read the log at once; ask again");
    let _place = reading.places.try_acquire().map_err(busy)?;
    let (path, bytes) = reading.log.tile(uri.path().strip_prefix(TILES).unwrap_or_default()).await?;
    let keep = if path.is_full() { FOREVER } else { BRIEFLY };
    Ok(plain(bytes, "application/octet-stream", keep))
}

/// Who may not read is on record; what a reader asks for in vain is not: it decides nothing, and the log would grow by
/// being watched.
async fn admit<D: LogDoor>(door: &D, peer: &VerifiedSvid, headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
    let admitted = body::no_other_identity(headers, peer.id().as_str()).and_then(|()| door.log().log.admit(peer));
    match admitted {
        Ok(()) => Ok(no_query(uri)?),
        Err(refusal) => Err(door.refused_reader(peer.id(), refusal).await.into()),
    }
}

fn no_query(uri: &Uri) -> Result<(), Refusal> {
    let refused = || Refusal::because(Code::RequestMalformed, "query_invalid", "this path takes no query");
    if uri.query().is_none() { Ok(()) } else { Err(refused()) }
}

fn note(checkpoint: &Checkpoint) -> Response {
    plain(checkpoint.note().to_owned().into_bytes(), "text/plain; charset=utf-8", "no-store")
}

fn plain(bytes: Vec<u8>, kind: &'static str, keep: &'static str) -> Response {
    let headers = [(CONTENT_TYPE, HeaderValue::from_static(kind)), (CACHE_CONTROL, HeaderValue::from_static(keep))];
    (headers, bytes).into_response()
}
