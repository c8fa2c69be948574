//! The body of an upstream's answer on its way to the agent: counted, bounded, timed, and reported exactly once.

use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};

use super::config::Limits;
use crate::domain::id::Sha256Digest;

/// How a call ended, told once for each call that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallEnd {
    /// What went wrong; nothing when the whole answer was passed on, whatever its status.
    pub fault: Option<CallFault>,
    /// The upstream's status, if there was one.
    pub status: Option<u16>,
    /// Bytes of the answer's body that were passed on.
    pub bytes: u64,
    /// Their SHA-256; of no bytes where there was no answer.
    pub digest: Sha256Digest,
    /// From the start of the call.
    pub duration: Duration,
}

/// What went wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallFault {
    /// No connection: the upstream did not see the call.
    Unreachable,
    /// The upstream's name has no permitted address: it did not see the call.
    ForbiddenAddress,
    /// No head of an answer in time.
    Timeout,
    /// The connection or the answer broke off.
    Broken,
    /// The answer was a protocol switch.
    Switched,
    /// The answer's body is above the limit.
    TooLarge,
    /// No byte of the answer's body for too long.
    Idle,
    /// The answer's body took longer than it may in all.
    TooLong,
    /// The agent went away before the end of the answer.
    Abandoned,
}

impl CallFault {
    /// The fault as recorded.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "upstream_unreachable",
            Self::ForbiddenAddress => "upstream_address_forbidden",
            Self::Timeout => "upstream_timeout",
            Self::Broken => "upstream_broken",
            Self::Switched => "upstream_switched_protocol",
            Self::TooLarge => "upstream_answer_too_large",
            Self::Idle => "upstream_idle",
            Self::TooLong => "upstream_answer_too_long",
            Self::Abandoned => "caller_gone",
        }
    }

    /// Whether the upstream may have acted on the call.
    pub fn may_have_arrived(self) -> bool {
        !matches!(self, Self::Unreachable | Self::ForbiddenAddress)
    }
}

/// Calls back once: with the fault that is reported, or as abandoned when it is dropped before.
pub(super) struct Completion {
    on_end: Option<Box<dyn FnOnce(CallEnd) + Send>>,
    started: Instant,
    pub(super) status: Option<u16>,
    bytes: u64,
    passed: Sha256,
}

impl Completion {
    pub(super) fn start(on_end: impl FnOnce(CallEnd) + Send + 'static) -> Self {
        let (on_end, started) = (Some(Box::new(on_end) as Box<_>), Instant::now());
        Self { on_end, started, status: None, bytes: 0, passed: Sha256::new() }
    }

    pub(super) fn finish(&mut self, fault: Option<CallFault>) {
        if let Some(on_end) = self.on_end.take() {
            let digest = Sha256Digest::from_bytes(std::mem::take(&mut self.passed).finalize().into());
            let (status, bytes, duration) = (self.status, self.bytes, self.started.elapsed());
            on_end(CallEnd { fault, status, bytes, digest, duration });
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        self.finish(Some(CallFault::Abandoned));
    }
}

/// A call whose answer is being passed on, with its place among the connector's calls. Both end at once, whoever ends
/// them: the body, or the clock while nobody reads the body.
#[derive(Clone)]
struct UnderWay(Arc<Mutex<Option<(Completion, OwnedSemaphorePermit)>>>);

impl UnderWay {
    fn finish(&self, fault: Option<CallFault>) {
        let ended = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((mut completion, place)) = ended {
            drop(place);
            completion.finish(fault);
        }
    }

    fn is_finished(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn passed(&self, data: &[u8], bytes: u64) {
        if let Some((completion, _)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            completion.bytes += bytes;
            completion.passed.update(data);
        }
    }
}

/// The answer's body. Holds at most the frame in hand; a slow reader slows the upstream down.
///
/// Trailers are dropped. After a fault the body ends with an error, so that a cut answer cannot pass for a whole one. An
/// answer that is not through by its deadline ends too, and gives its place back even if its reader never asks again.
pub struct AnswerBody {
    inner: Incoming,
    left: u64,
    idle: Duration,
    /// Runs only while the upstream is waited for, so that a slow reader is not taken for a silent upstream.
    silence: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    under_way: UnderWay,
    /// Whether an end was passed on to the reader.
    ended: bool,
    deadline: Option<JoinHandle<()>>,
}

/// The answer broke off behind its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the upstream's answer ended early: {}", .0.code())]
pub struct AnswerError(pub CallFault);

impl AnswerBody {
    pub(super) fn new(inner: Incoming, limits: Limits, completion: Completion, place: OwnedSemaphorePermit) -> Self {
        let under_way = UnderWay(Arc::new(Mutex::new(Some((completion, place)))));
        let late = under_way.clone();
        let deadline = (!inner.is_end_stream()).then(|| {
            tokio::spawn(async move {
                tokio::time::sleep(limits.answer).await;
                late.finish(Some(CallFault::TooLong));
            })
        });
        let (left, idle) = (limits.max_response_bytes, limits.idle);
        Self { inner, left, idle, silence: None, waiting: false, under_way, ended: false, deadline }
    }

    fn fail(&mut self, fault: CallFault) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        self.ended = true;
        self.under_way.finish(Some(fault));
        Poll::Ready(Some(Err(AnswerError(fault))))
    }

    fn is_silent_for_too_long(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = Instant::now() + self.idle;
        let silence = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if !self.waiting {
            silence.as_mut().reset(deadline);
            self.waiting = true;
        }
        silence.as_mut().poll(cx)
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        if this.under_way.is_finished() {
            return this.fail(CallFault::TooLong);
        }
        loop {
            let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) else {
                ready!(this.is_silent_for_too_long(cx));
                return this.fail(CallFault::Idle);
            };
            this.waiting = false;
            match frame.map(|frame| frame.map(Frame::into_data)) {
                None => {
                    this.ended = true;
                    this.under_way.finish(None);
                    return Poll::Ready(None);
                }
                Some(Err(_)) => return this.fail(CallFault::Broken),
                Some(Ok(Err(_trailers))) => {}
                Some(Ok(Ok(data))) => {
                    let size = u64::try_from(data.len()).unwrap_or(u64::MAX);
                    let Some(left) = this.left.checked_sub(size) else { return this.fail(CallFault::TooLarge) };
                    this.left = left;
                    this.under_way.passed(&data, size);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if let Some(deadline) = &self.deadline {
            deadline.abort();
        }
        // A reader that knows the length stops at the last byte without asking for the end behind it.
        let fault = (!self.inner.is_end_stream()).then_some(CallFault::Abandoned);
        self.under_way.finish(fault);
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerBody").field("ended", &self.ended).finish_non_exhaustive()
    }
}
