//! Turns at what is costly, such as memory: so many at once, and so many of them for one holder. Who has to
//! wait, waits: a holder's own first, so that many calls of one are in nobody's way.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Above this number those who wait for nothing any more are forgotten.
const MAX_FORGOTTEN: usize = 256;

/// Turns of all holders.
pub(super) struct Turns<H> {
    all: Arc<Semaphore>,
    max_each: usize,
    by_holder: Mutex<HashMap<H, Weak<Semaphore>>>,
}

/// A turn; over when it is dropped.
pub(super) struct Turn {
    _of_all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
    /// It lives as long as somebody has a turn of it or waits for one.
    _of_holder: Arc<Semaphore>,
}

impl<H: Clone + Eq + Hash> Turns<H> {
    /// At most `max` at once, and `max_each` of one holder.
    pub(super) fn new(max: usize, max_each: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(max)), max_each, by_holder: Mutex::default() }
    }

    /// Waits for a turn.
    pub(super) async fn wait(&self, holder: &H) -> Turn {
        let of_holder = self.semaphore_of(holder);
        let own = acquire(&of_holder).await;
        Turn { _of_all: acquire(&self.all).await, _own: own, _of_holder: of_holder }
    }

    /// Waits for a turn, unless more than so many of the holder wait already.
    pub(super) async fn wait_unless_many(&self, holder: &H, max_waiting: usize) -> Option<Turn> {
        // each that waits has two references, and so has each turn
        let references = Arc::strong_count(&self.semaphore_of(holder));
        if references > 2 * (max_waiting + self.max_each) {
            return None;
        }
        Some(self.wait(holder).await)
    }

    /// A turn, if there is one now.
    pub(super) fn try_turn(&self, holder: &H) -> Option<Turn> {
        let of_holder = self.semaphore_of(holder);
        let own = Arc::clone(&of_holder).try_acquire_owned().ok()?;
        let of_all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Turn { _of_all: of_all, _own: own, _of_holder: of_holder })
    }

    fn semaphore_of(&self, holder: &H) -> Arc<Semaphore> {
        let mut by_holder = self.by_holder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = by_holder.get(holder).and_then(Weak::upgrade) {
            return known;
        }
        if by_holder.len() >= MAX_FORGOTTEN {
            by_holder.retain(|_, semaphore| semaphore.strong_count() > 0);
        }
        let new = Arc::new(Semaphore::new(self.max_each));
        by_holder.insert(holder.clone(), Arc::downgrade(&new));
        new
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(semaphore).acquire_owned().await.expect("the semaphore is never closed")
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn many_of_one_holder_are_in_nobodys_way() {
        let turns = Turns::new(3, 2);
        let mut of_a = vec![turns.wait(&"a").await, turns.wait(&"a").await];
        assert!(turns.try_turn(&"a").is_none());
        let mut third_of_a = Box::pin(turns.wait(&"a"));
        assert!(third_of_a.as_mut().now_or_never().is_none(), "it waits for one of its own");
        let of_b = turns.wait(&"b").await;
        let mut of_c = Box::pin(turns.wait(&"c"));
        assert!(of_c.as_mut().now_or_never().is_none(), "all turns are taken");
        drop(of_b);
        assert!(of_c.as_mut().now_or_never().is_some());
        of_a.pop();
        assert!(third_of_a.as_mut().now_or_never().is_some());
    }

    #[tokio::test]
    async fn very_many_of_one_holder_do_not_wait() {
        let turns = Turns::new(2, 1);
        let _turn = turns.wait(&"a").await;
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(turns.wait_unless_many(&"a", 3))).collect();
        for one in &mut waiting {
            assert!(one.as_mut().now_or_never().is_none(), "it waits");
        }
        let refused = turns.wait_unless_many(&"a", 3).now_or_never().expect("at once");
        assert!(refused.is_none());
        assert!(turns.wait_unless_many(&"b", 3).await.is_some());
    }

    #[tokio::test]
    async fn holders_without_a_turn_are_forgotten() {
        let turns = Turns::new(1, 1);
        for holder in 0..MAX_FORGOTTEN * 4 {
            turns.wait(&holder).await;
        }
        assert!(turns.by_holder.lock().expect("no panic").len() <= MAX_FORGOTTEN);
    }
}
