//! The slots of a worker: how many tasks it runs at once.
//!
//! A task that only waits for an object store gives its slot to another, so that one bad bucket holds nobody
//! up; before it computes anything again, it takes one. Only so many wait beside the others: what they have
//! made lies on the disk meanwhile.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Tasks that may wait without a slot, for each slot.
const PARKED_PER_SLOT: usize = 4;

/// The slots of one worker; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct WorkerSlots {
    running: Arc<Semaphore>,
    parked: Arc<Semaphore>,
}

/// The slot of one task, which is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: WorkerSlots,
    held: Mutex<SlotPermit>,
}

/// A place among those that run, or among those that wait; dropped, it is free for others.
#[derive(Debug)]
struct SlotPermit {
    is_parked: bool,
    _place: OwnedSemaphorePermit,
}

impl WorkerSlots {
    pub(crate) fn new(count: usize) -> Self {
        let parked = Semaphore::new(count.saturating_mul(PARKED_PER_SLOT));
        Self { running: Arc::new(Semaphore::new(count)), parked: Arc::new(parked) }
    }

    /// Waits for a slot. Whoever has waited the longest gets the next.
    pub(crate) async fn acquire(&self) -> Slot {
        let held = Mutex::new(SlotPermit { is_parked: false, _place: self.acquire_running().await });
        Slot { slots: self.clone(), held }
    }

    async fn acquire_running(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.running).acquire_owned().await.expect("nobody closes it")
    }
}

impl Slot {
    /// Gives the slot to others while its task waits, unless too many wait already.
    pub(crate) fn park(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.is_parked
            && let Ok(place) = Arc::clone(&self.slots.parked).try_acquire_owned()
        {
            *held = SlotPermit { is_parked: true, _place: place };
        }
    }

    /// Whether its task has to take a slot again before it goes on.
    pub(crate) fn is_parked(&self) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).is_parked
    }

    /// Takes a slot again, if it was given to others.
    pub(crate) async fn resume(&self) {
        if self.is_parked() {
            let held = SlotPermit { is_parked: false, _place: self.slots.acquire_running().await };
            *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn who_waits_gives_its_slot_to_another_and_takes_it_again() {
        let slots = WorkerSlots::new(1);
        let first = slots.acquire().await;
        assert!(slots.acquire().now_or_never().is_none());
        first.park();
        let mut parked = Vec::new();
        for _ in 1..PARKED_PER_SLOT {
            let slot = slots.acquire().now_or_never().expect("those before it wait");
            slot.park();
            parked.push(slot);
        }
        let second = slots.acquire().now_or_never().expect("those before it wait");
        second.park();
        assert!(!second.is_parked(), "no more may wait");
        assert!(first.resume().now_or_never().is_none());
        let third = slots.acquire();
        tokio::join!(first.resume(), async { drop(second) });
        assert!(!first.is_parked());
        assert!(third.now_or_never().is_none());
        drop(first);
        assert!(slots.acquire().now_or_never().is_some());
    }
}
