//! The connections that are open, of which there is a greatest number.
//!
//! A new one always gets a place unless every other is at work: the connection that has asked for
//! nothing for the longest time makes room. So nobody holds the server by opening connections and
//! keeping them, or by sending a request letter by letter.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// All of them.
pub(super) struct Connections {
    places: Arc<Semaphore>,
    open: Arc<Mutex<Open>>,
    /// Woken when a connection becomes idle.
    rested: Arc<Notify>,
}

#[derive(Default)]
struct Open {
    /// Grows with each connection and each call, so that the order is that of the last call.
    next: u64,
    /// Those that are not at work, by when they last were.
    idle: BTreeMap<u64, CancellationToken>,
}

/// A connection's place; given back when it is dropped.
pub(super) struct Place {
    open: Arc<Mutex<Open>>,
    rested: Arc<Notify>,
    /// Its number while it is idle.
    idle: Mutex<Option<u64>>,
    /// Cancelled when the place is needed for another.
    needed: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    /// None yet, and at most so many.
    pub(super) fn at_most(count: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(count)), open: Arc::default(), rested: Arc::default() }
    }

    /// A place for another; waits while every one is taken and at work.
    pub(super) async fn place(&self) -> Arc<Place> {
        let place = Place {
            open: Arc::clone(&self.open),
            rested: Arc::clone(&self.rested),
            idle: Mutex::new(None),
            needed: CancellationToken::new(),
            _permit: self.permit().await,
        };
        place.rest();
        Arc::new(place)
    }

    async fn permit(&self) -> OwnedSemaphorePermit {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return permit;
        }
        let freed = Arc::clone(&self.places).acquire_owned();
        tokio::pin!(freed);
        loop {
            let longest = lock(&self.open).idle.pop_first();
            let evicted = longest.is_some();
            if let Some((_, longest)) = longest {
                longest.cancel();
            }
            tokio::select! {
                permit = freed.as_mut() => return permit.expect("it is never closed"),
                () = self.rested.notified(), if !evicted => {}
            }
        }
    }
}

impl Place {
    /// Resolves when the place is needed for another connection.
    pub(super) async fn needed(&self) {
        self.needed.cancelled().await;
    }

    /// A call is under way from now on. HTTP/1.1 has one at a time.
    pub(super) fn work(&self) {
        if let Some(number) = lock(&self.idle).take() {
            lock(&self.open).idle.remove(&number);
        }
    }

    /// No call is under way any more.
    pub(super) fn rest(&self) {
        let mut idle = lock(&self.idle);
        let mut open = lock(&self.open);
        open.next += 1;
        let number = open.next;
        open.idle.insert(number, self.needed.clone());
        *idle = Some(number);
        self.rested.notify_one();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.work();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
