//! The slots of open connections, of which there is a fixed number.
//!
//! A new connection gets a slot at once unless every other one is busy: the one that has been idle for
//! longest is closed for it. So nobody blocks the server by opening connections and keeping them, or by
//! sending a request byte by byte (slowloris): a connection is idle until the head of its request is
//! complete.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// All slots.
pub(super) struct ConnectionSlots {
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<IdleConnections>>,
    /// Woken when a connection becomes idle.
    became_idle: Arc<Notify>,
}

/// The idle connections, in the order in which they became idle.
#[derive(Default)]
struct IdleConnections {
    next_number: u64,
    /// Cancelling a token closes its connection.
    tokens: BTreeMap<u64, CancellationToken>,
}

/// The slot of one connection; free again when it is dropped.
pub(super) struct ConnectionSlot {
    idle: Arc<Mutex<IdleConnections>>,
    became_idle: Arc<Notify>,
    /// Its number among the idle connections; none while it is busy.
    idle_number: Mutex<Option<u64>>,
    evicted: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl ConnectionSlots {
    /// At most `max` connections.
    pub(super) fn new(max: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(max)), idle: Arc::default(), became_idle: Arc::default() }
    }

    /// The slot of another connection, which is idle at first. Waits while every slot is taken and busy.
    pub(super) async fn acquire(&self) -> Arc<ConnectionSlot> {
        let slot = ConnectionSlot {
            idle: Arc::clone(&self.idle),
            became_idle: Arc::clone(&self.became_idle),
            idle_number: Mutex::new(None),
            evicted: CancellationToken::new(),
            _permit: self.acquire_permit().await,
        };
        slot.set_idle();
        Arc::new(slot)
    }

    async fn acquire_permit(&self) -> OwnedSemaphorePermit {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return permit;
        }
        let freed = Arc::clone(&self.permits).acquire_owned();
        tokio::pin!(freed);
        loop {
            let longest_idle = lock(&self.idle).tokens.pop_first();
            let was_evicted = longest_idle.is_some();
            if let Some((_, token)) = longest_idle {
                token.cancel();
            }
            tokio::select! {
                permit = freed.as_mut() => return permit.expect("the semaphore is never closed"),
                // the evicted connection frees its slot; another must not be evicted for the same newcomer
                () = self.became_idle.notified(), if !was_evicted => {}
            }
        }
    }
}

impl ConnectionSlot {
    /// Resolves when the slot is taken from this connection, for another.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    /// A call begins. HTTP/1.1 has one at a time on a connection.
    pub(super) fn set_busy(&self) {
        if let Some(number) = lock(&self.idle_number).take() {
            lock(&self.idle).tokens.remove(&number);
        }
    }

    /// The call has ended.
    pub(super) fn set_idle(&self) {
        let mut idle_number = lock(&self.idle_number);
        let mut idle = lock(&self.idle);
        idle.next_number += 1;
        let number = idle.next_number;
        idle.tokens.insert(number, self.evicted.clone());
        *idle_number = Some(number);
        self.became_idle.notify_one();
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        // no longer among the idle ones
        self.set_busy();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
