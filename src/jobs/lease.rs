//! A lease as its holder sees it: what the database gave is surely still the holder's for as long as the clock
//! of this machine says so, counted from when the last renewal that the database confirmed was sent.
//!
//! No other is asked whether it holds: a process that was stopped, or cut off from the database, knows by itself
//! that others may have taken its work up. A lease that has ended once stays so.

use std::{sync::Arc, time::Duration};

use rustix::time::{ClockId, clock_gettime};
use storage::WriteGuard;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What is left of a lease when it is no longer relied on, as a part of the whole: a request that was just sent
/// arrives within it.
const MARGIN_DIVISOR: u32 = 10;

/// A lease that is renewed now and then.
#[derive(Debug)]
pub(crate) struct Lease {
    /// How long after a renewal was sent the lease is relied on.
    usable: Duration,
    /// When the last confirmed renewal was sent.
    renewed: watch::Sender<Moment>,
    lost: CancellationToken,
}

/// A time of the clock that goes on while this process, or the machine, is stopped. It is read at each look:
/// [`model::Clock::uptime`] may miss the last second before a look, and in that the machine may have slept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(Duration);

impl Moment {
    /// Now: the time since the machine started.
    pub(crate) fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        Self(Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0)))
    }

    /// The time since then.
    pub(crate) fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

impl Lease {
    /// A lease of this duration, which was asked for at `sent`.
    pub(crate) fn new(duration: Duration, sent: Moment) -> Self {
        let usable = duration - duration / MARGIN_DIVISOR;
        Self { usable, renewed: watch::Sender::new(sent), lost: CancellationToken::new() }
    }

    /// Takes note of a renewal that was asked for at `sent`, and confirmed.
    pub(crate) fn renew(&self, sent: Moment) {
        self.renewed.send_if_modified(|renewed| {
            let is_later = sent > *renewed;
            *renewed = sent.max(*renewed);
            is_later
        });
    }

    /// The time since the last confirmed renewal was sent.
    pub(crate) fn age(&self) -> Duration {
        self.renewed.borrow().elapsed()
    }

    /// Whether it is surely still held.
    pub(crate) fn is_held(&self) -> bool {
        if self.age() >= self.usable {
            self.lost.cancel();
        }
        !self.lost.is_cancelled()
    }

    /// Ends it: the database has said that it is somebody else's.
    pub(crate) fn end(&self) {
        self.lost.cancel();
    }

    /// Waits until it is no longer surely held.
    pub(crate) async fn lost(&self) {
        let mut renewals = self.renewed.subscribe();
        while self.is_held() {
            let left = self.usable.saturating_sub(renewals.borrow_and_update().elapsed());
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                _ = renewals.changed() => {}
                () = self.lost.cancelled() => {}
            }
        }
    }
}

/// Lets a bucket be changed only while the lease is held.
pub(crate) fn write_guard(lease: &Arc<Lease>) -> WriteGuard {
    let lease = Arc::clone(lease);
    Arc::new(move || lease.is_held())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(time: Duration) -> Moment {
        Moment(Moment::now().0.saturating_sub(time))
    }

    #[test]
    fn it_counts_from_when_a_renewal_was_sent() {
        let lease = Lease::new(Duration::from_secs(30), before(Duration::from_secs(26)));
        assert!(lease.is_held());
        lease.renew(before(Duration::from_secs(28)));
        assert!(lease.age() < Duration::from_secs(27), "an older renewal changes nothing");
        lease.renew(before(Duration::from_secs(1)));
        assert!(lease.is_held() && lease.age() < Duration::from_secs(2));
    }

    #[test]
    fn what_was_lost_once_stays_lost() {
        let lease = Lease::new(Duration::from_secs(30), before(Duration::from_secs(27)));
        assert!(!lease.is_held(), "less than the margin is left");
        lease.renew(Moment::now());
        assert!(!lease.is_held());

        let lease = Lease::new(Duration::from_secs(30), Moment::now());
        lease.end();
        assert!(!lease.is_held());
    }

    #[tokio::test]
    async fn who_waits_is_told_when_it_ends() {
        let lease = Lease::new(Duration::from_millis(100), Moment::now());
        lease.lost().await;
        assert!(lease.age() >= Duration::from_millis(90));

        let lease = Lease::new(Duration::from_secs(3600), Moment::now());
        tokio::join!(lease.lost(), async { lease.end() });
    }
}
