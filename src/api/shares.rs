//! Shares of what there is a fixed number of, such as connections: how many all holders have together, and
//! how many each of them.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// So many for all holders together, and so many for each.
pub(super) struct Shares<H: Eq + Hash> {
    max_total: usize,
    max_each: usize,
    held: Arc<Mutex<HeldShares<H>>>,
}

/// Who holds how many.
struct HeldShares<H> {
    total: usize,
    /// Without those who hold none: their number would have no bound.
    by_holder: HashMap<H, usize>,
}

/// One of them; free again when it is dropped.
pub(super) struct Share<H: Eq + Hash> {
    holder: H,
    held: Arc<Mutex<HeldShares<H>>>,
}

/// Why there is none left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The holder has as many as one may have.
    ByHolder,
    /// All are taken.
    ByAll,
}

impl<H: Clone + Eq + Hash> Shares<H> {
    /// At most `max_total`, and `max_each` for one holder.
    pub(super) fn new(max_total: usize, max_each: usize) -> Self {
        let held = HeldShares { total: 0, by_holder: HashMap::new() };
        Self { max_total, max_each, held: Arc::new(Mutex::new(held)) }
    }

    /// Takes one.
    ///
    /// # Errors
    /// When there is none left.
    pub(super) fn acquire(&self, holder: &H) -> Result<Share<H>, Taken> {
        let mut held = lock(&self.held);
        if held.by_holder.get(holder).is_some_and(|count| *count >= self.max_each) {
            return Err(Taken::ByHolder);
        }
        if held.total >= self.max_total {
            return Err(Taken::ByAll);
        }
        held.total += 1;
        *held.by_holder.entry(holder.clone()).or_default() += 1;
        Ok(Share { holder: holder.clone(), held: Arc::clone(&self.held) })
    }
}

impl<H: Eq + Hash> Drop for Share<H> {
    fn drop(&mut self) {
        let mut held = lock(&self.held);
        held.total -= 1;
        if let Some(count) = held.by_holder.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                held.by_holder.remove(&self.holder);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_more_than_a_share_and_all_together_no_more_than_there_is() {
        let shares = Shares::new(3, 2);
        let mut of_a = vec![shares.acquire(&"a").expect("free"), shares.acquire(&"a").expect("free")];
        assert_eq!(shares.acquire(&"a").err(), Some(Taken::ByHolder));
        let of_b = shares.acquire(&"b").expect("free");
        assert_eq!(shares.acquire(&"b").err(), Some(Taken::ByAll));
        of_a.pop();
        drop(of_b);
        let _of_c = [shares.acquire(&"c").expect("free"), shares.acquire(&"c").expect("free")];
        assert_eq!(shares.acquire(&"a").err(), Some(Taken::ByAll));
        assert_eq!(lock(&shares.held).by_holder.len(), 2, "who holds none is forgotten");
    }
}
