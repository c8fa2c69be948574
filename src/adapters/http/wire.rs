//! The bytes of one connection: HTTP/1.1 behind its [`Gate`], and no write that waits without end.
//!
//! A reader that takes nothing would hold its answer, and with it the connector's place, for as long as the connection
//! lives. After [`super::server::ConnectionLimits::stall`] without one byte taken the connection ends.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::strict_h1::Gate;

/// Bytes that are read at once while a head is looked at.
const PIECE: usize = 8 * 1024;

/// A stream whose reads go through the gate, if there is one, and whose writes do not wait longer than its patience.
pub(super) struct Wire<S> {
    inner: S,
    gate: Option<Gate>,
    /// What went through the gate and was not read yet.
    ready: Vec<u8>,
    read: usize,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Wire<S> {
    pub(super) fn new(inner: S, gate: Option<Gate>, patience: Duration) -> Self {
        Self { inner, gate, ready: Vec::new(), read: 0, patience, stalled: None }
    }

    /// Hands out what is ready; whether there was anything.
    fn hand_out(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let rest = self.ready.get(self.read..).unwrap_or_default();
        if rest.is_empty() {
            return false;
        }
        let count = rest.len().min(buf.remaining());
        buf.put_slice(rest.get(..count).unwrap_or_default());
        self.read += count;
        if self.read == self.ready.len() {
            // An idle connection holds nothing.
            (self.ready, self.read) = (Vec::new(), 0);
        }
        true
    }

    fn patiently<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.stalled = None;
            return done;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.hand_out(buf) || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let Some(gate) = &mut this.gate else { return Pin::new(&mut this.inner).poll_read(cx, buf) };
            if gate.is_shut() {
                return Poll::Ready(Ok(()));
            }
            let unseen = gate.unseen().min(buf.remaining());
            if unseen > 0 {
                // A body goes on without a copy of ours.
                let mut body = ReadBuf::new(buf.initialize_unfilled_to(unseen));
                ready!(Pin::new(&mut this.inner).poll_read(cx, &mut body))?;
                let count = body.filled().len();
                buf.advance(count);
                gate.went_on(count);
                return Poll::Ready(Ok(()));
            }
            let mut piece = [0; PIECE];
            let mut piece = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut piece))?;
            if piece.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            gate.feed(piece.filled(), &mut this.ready);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.patiently(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
        this.patiently(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.inner).poll_flush(cx);
        this.patiently(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.inner).poll_shutdown(cx);
        this.patiently(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_body_comes_through_whole_and_a_second_reading_does_not() {
        let (mut there, here) = tokio::io::duplex(64);
        let mut wire = Wire::new(here, Some(Gate::new(8192)), Duration::from_secs(60));
        let body = "x".repeat(100_000);
        let good = format!("POST /a HTTP/1.1\r\nhost: b\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let sent = format!("{good}GET /b HTTP/1.1\nhost: b\n\nGET /c HTTP/1.1\r\nhost: b\r\n\r\n");
        let sending = tokio::spawn(async move {
            let _ = there.write_all(sent.as_bytes()).await;
            there
        });
        let mut got = Vec::new();
        wire.read_to_end(&mut got).await.unwrap();
        assert!(got.starts_with(good.as_bytes()));
        assert_eq!(&got[good.len()..], b"\0\0\0\0\r\n\r\n");
        drop(wire);
        drop(sending.await);
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_given_up_and_a_slow_one_is_not() {
        let (mut there, here) = tokio::io::duplex(16);
        let mut wire = Wire::new(here, None, Duration::from_secs(1));
        wire.write_all(&[0; 16]).await.unwrap();
        assert_eq!(wire.write_all(&[0; 1]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let mut taken = [0; 16];
        there.read_exact(&mut taken).await.unwrap();
        // Longer in all than the patience, and never that long without a byte.
        let slow = tokio::spawn(async move {
            let mut byte = [0; 8];
            for _ in 0..15 {
                sleep(Duration::from_millis(100)).await;
                there.read_exact(&mut byte).await.unwrap();
            }
            there
        });
        wire.write_all(&[0; 8 * 15]).await.unwrap();
        slow.await.unwrap();
    }
}
