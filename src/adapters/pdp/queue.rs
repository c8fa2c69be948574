//! A bounded queue for threads that sleep. A full queue refuses at once; nothing in it is dropped before it is closed.
//!
//! Receivers come in generations. After [`Queue::next_generation`] no receiver of an earlier one is given an item: it is
//! told that it is retired, and what waits is for the next.

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
    /// Whom items are for.
    generation: u64,
    closed: bool,
}

/// What a receiver finds.
pub(super) enum Next<T> {
    Item(T),
    /// A later generation took over.
    Retired,
    Closed,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let state = State { items: VecDeque::with_capacity(capacity.min(1024)), generation: 0, closed: false };
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

    /// Waits for an item, as a receiver of this generation, or for its end.
    pub(super) fn pop(&self, generation: u64) -> Next<T> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return Next::Closed;
            }
            if state.generation > generation {
                return Next::Retired;
            }
            if let Some(item) = state.items.pop_front() {
                return Next::Item(item);
            }
            state = self.signal.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Retires every receiver of now; the number of the generation that comes after. A receiver that was woken for an
    /// item and finds itself retired loses nothing: the next generation looks at the items before it sleeps.
    pub(super) fn next_generation(&self) -> u64 {
        let mut state = self.lock();
        state.generation += 1;
        let next = state.generation;
        drop(state);
        self.signal.notify_all();
        next
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
