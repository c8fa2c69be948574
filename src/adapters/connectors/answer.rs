//! The body of an upstream's answer on its way to the agent: counted, bounded, timed, and reported exactly once.

use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

/// How a call ended, told once for each call that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallEnd {
    /// What went wrong; nothing when the whole answer was passed on, whatever its status.
    pub fault: Option<CallFault>,
    /// The upstream's status, if there was one.
    pub status: Option<u16>,
    /// Bytes of the answer's body that were passed on.
    pub bytes: u64,
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
}

impl Completion {
    pub(super) fn start(on_end: impl FnOnce(CallEnd) + Send + 'static) -> Self {
        Self { on_end: Some(Box::new(on_end)), started: Instant::now(), status: None, bytes: 0 }
    }

    pub(super) fn finish(&mut self, fault: Option<CallFault>) {
        if let Some(on_end) = self.on_end.take() {
            on_end(CallEnd { fault, status: self.status, bytes: self.bytes, duration: self.started.elapsed() });
        }
    }

    fn is_finished(&self) -> bool {
        self.on_end.is_none()
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        self.finish(Some(CallFault::Abandoned));
    }
}

/// The answer's body. Holds at most the frame in hand; a slow reader slows the upstream down.
///
/// Trailers are dropped. After a fault the body ends with an error, so that a cut answer cannot pass for a whole one.
pub struct AnswerBody {
    inner: Incoming,
    left: u64,
    idle: Duration,
    /// Runs only while the upstream is waited for, so that a slow reader is not taken for a silent upstream.
    silence: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    completion: Completion,
    _slot: OwnedSemaphorePermit,
}

/// The answer broke off behind its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the upstream's answer ended early: {}", .0.code())]
pub struct AnswerError(pub CallFault);

impl AnswerBody {
    pub(super) fn new(
        inner: Incoming,
        limit: u64,
        idle: Duration,
        completion: Completion,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        Self { inner, left: limit, idle, silence: None, waiting: false, completion, _slot: slot }
    }

    fn fail(&mut self, fault: CallFault) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        self.completion.finish(Some(fault));
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
        if this.completion.is_finished() {
            return Poll::Ready(None);
        }
        loop {
            let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) else {
                ready!(this.is_silent_for_too_long(cx));
                return this.fail(CallFault::Idle);
            };
            this.waiting = false;
            match frame.map(|frame| frame.map(Frame::into_data)) {
                None => {
                    this.completion.finish(None);
                    return Poll::Ready(None);
                }
                Some(Err(_)) => return this.fail(CallFault::Broken),
                Some(Ok(Err(_trailers))) => {}
                Some(Ok(Ok(data))) => {
                    let size = u64::try_from(data.len()).unwrap_or(u64::MAX);
                    let Some(left) = this.left.checked_sub(size) else { return this.fail(CallFault::TooLarge) };
                    this.left = left;
                    this.completion.bytes += size;
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.completion.is_finished() || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        // A reader that knows the length stops at the last byte without asking for the end behind it.
        if self.inner.is_end_stream() {
            self.completion.finish(None);
        }
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerBody").field("status", &self.completion.status).finish_non_exhaustive()
    }
}
