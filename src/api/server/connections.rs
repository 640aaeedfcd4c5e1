//! The slots of open connections, of which there is a fixed number, and a number for each address.
//!
//! A new connection gets a slot at once unless every other one is busy: the one that has been idle for
//! longest is closed for it. So nobody blocks the server by opening connections and keeping them, or by
//! sending a request byte by byte (slowloris): a connection is idle until the head of its request is
//! complete. An address that has as many as one may makes room among its own.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::api::turns::{Turn, Turns};

/// All slots.
pub(super) struct ConnectionSlots {
    permits: Arc<Semaphore>,
    of_addresses: Turns<IpAddr>,
    idle: Arc<Mutex<IdleConnections>>,
    /// Woken when a connection becomes idle.
    became_idle: Arc<Notify>,
}

/// The idle connections, in the order in which they became idle.
#[derive(Default)]
struct IdleConnections {
    next_number: u64,
    /// Cancelling a token closes its connection.
    tokens: BTreeMap<u64, (IpAddr, CancellationToken)>,
}

/// The slot of one connection; free again when it is dropped.
pub(super) struct ConnectionSlot {
    address: IpAddr,
    idle: Arc<Mutex<IdleConnections>>,
    became_idle: Arc<Notify>,
    /// Its number among the idle connections; none while it is busy.
    idle_number: Mutex<Option<u64>>,
    evicted: CancellationToken,
    _permit: OwnedSemaphorePermit,
    _turn_of_address: Turn,
}

impl ConnectionSlots {
    /// At most `max` connections, and `max_of_address` from one address.
    pub(super) fn new(max: usize, max_of_address: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(max)),
            of_addresses: Turns::new(Semaphore::MAX_PERMITS, max_of_address),
            idle: Arc::default(),
            became_idle: Arc::default(),
        }
    }

    /// The slot of another connection, which is idle at first. Waits while every slot is taken and busy;
    /// none when those of the address are.
    pub(super) async fn acquire(&self, address: IpAddr) -> Option<Arc<ConnectionSlot>> {
        let turn = match self.of_addresses.try_turn(&address) {
            Some(turn) => turn,
            // the one that is closed ends at once
            None if self.evict(|of| of == address) => self.of_addresses.wait(&address).await,
            None => return None,
        };
        let slot = ConnectionSlot {
            address,
            idle: Arc::clone(&self.idle),
            became_idle: Arc::clone(&self.became_idle),
            idle_number: Mutex::new(None),
            evicted: CancellationToken::new(),
            _permit: self.acquire_permit().await,
            _turn_of_address: turn,
        };
        slot.set_idle();
        Some(Arc::new(slot))
    }

    async fn acquire_permit(&self) -> OwnedSemaphorePermit {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return permit;
        }
        let freed = Arc::clone(&self.permits).acquire_owned();
        tokio::pin!(freed);
        loop {
            let was_evicted = self.evict(|_| true);
            tokio::select! {
                permit = freed.as_mut() => return permit.expect("the semaphore is never closed"),
                // the evicted connection frees its slot; another must not be evicted for the same newcomer
                () = self.became_idle.notified(), if !was_evicted => {}
            }
        }
    }

    /// Closes the connection that has been idle for longest, of those whose address fits. Gives whether there
    /// was one.
    fn evict(&self, fits: impl Fn(IpAddr) -> bool) -> bool {
        let mut idle = lock(&self.idle);
        let longest = idle.tokens.iter().find(|(_, (address, _))| fits(*address)).map(|(number, _)| *number);
        let Some((_, token)) = longest.and_then(|number| idle.tokens.remove(&number)) else { return false };
        token.cancel();
        true
    }
}

impl ConnectionSlot {
    /// Where the client is.
    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

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
        idle.tokens.insert(number, (self.address, self.evicted.clone()));
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
