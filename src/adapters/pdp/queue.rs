//! A bounded queue for threads that sleep. A full queue refuses at once; nothing in it is dropped before it is closed.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

/// First in, first out, for many senders and many receivers.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    signal: Condvar,
    capacity: usize,
}

struct State<T> {
    items: VecDeque<T>,
    /// Grows when every receiver must look up from its sleep.
    calls: u64,
    closed: bool,
}

/// What a receiver finds.
pub(super) enum Next<T> {
    Item(T),
    /// Everybody was called, for the first time since the number that this receiver knew.
    Called(u64),
    Closed,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let state = State { items: VecDeque::with_capacity(capacity.min(1024)), calls: 0, closed: false };
        Self { state: Mutex::new(state), signal: Condvar::new(), capacity: capacity.max(1) }
    }

    /// Adds an item, or hands it back when the queue is full or closed.
    pub(super) fn push(&self, item: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed || state.items.len() >= self.capacity {
            return Err(item);
        }
        state.items.push_back(item);
        drop(state);
        self.signal.notify_one();
        Ok(())
    }

    /// Waits for an item, for a call that is newer than `known`, or for the end.
    pub(super) fn pop(&self, known: u64) -> Next<T> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return Next::Closed;
            }
            if let Some(item) = state.items.pop_front() {
                return Next::Item(item);
            }
            if state.calls > known {
                return Next::Called(state.calls);
            }
            state = self.signal.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wakes every receiver.
    pub(super) fn call_everybody(&self) {
        self.lock().calls += 1;
        self.signal.notify_all();
    }

    /// Ends the queue; what is in it is dropped, which answers whoever waits for it.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.items.clear();
        drop(state);
        self.signal.notify_all();
    }

    pub(super) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// The state has no invariant that a panicking holder could have left broken.
    fn lock(&self) -> std::sync::MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
