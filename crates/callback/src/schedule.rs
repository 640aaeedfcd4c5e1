//! When a callback is sent again. Pure.
//!
//! Every failed attempt is retried, unless the callback can never be sent; delays count from the end of one
//! attempt to the start of the next. The policy `aurora` makes a fixed number of attempts at a fixed delay,
//! to the letter of AuroraCloud's documentation. `extended` follows them by others with exponential
//! back-off, for about three days, and obeys a receiver's `Retry-After` and 410 Gone.

use std::time::Duration;

use model::{CallbackNext, NotifyPolicy, NotifySettings, Timestamp};

use crate::send::AttemptOutcome;

/// The first delay after the documented attempts; each later one is twice the one before.
const FIRST_BACKOFF_DELAY: Duration = Duration::from_secs(15);

/// The longest delay, and the longest `Retry-After` that is obeyed.
const MAX_DELAY: Duration = Duration::from_secs(10 * 60 * 60);

/// Attempts after the documented ones: 17 h until the delay is at its longest, then 60 h.
const EXTENDED_ATTEMPTS: u32 = 18;

/// 410 Gone: the receiver does not exist any more, and will not come back (RFC 9110, 15.5.11).
const GONE: u16 = 410;

/// What becomes of a callback after an attempt that ended `now`; `attempts_made` counts that one, and
/// begins anew when a callback is owed again. `random` is between 0 and 1, new for each attempt: it is the
/// jitter that spreads callbacks which failed together.
pub fn next(
    settings: &NotifySettings,
    attempts_made: u32,
    outcome: &AttemptOutcome,
    now: Timestamp,
    random: f64,
) -> CallbackNext {
    match outcome {
        AttemptOutcome::Accepted => CallbackNext::Delivered,
        AttemptOutcome::Forbidden => CallbackNext::Refused,
        AttemptOutcome::Rejected { .. } | AttemptOutcome::Unreachable => match settings.policy {
            NotifyPolicy::Aurora if attempts_made < settings.attempts => {
                CallbackNext::RetryAt(now + settings.interval)
            }
            NotifyPolicy::Aurora => CallbackNext::Exhausted,
            NotifyPolicy::Extended => next_extended(settings, attempts_made, outcome, now, random),
        },
    }
}

fn next_extended(
    settings: &NotifySettings,
    attempts_made: u32,
    outcome: &AttemptOutcome,
    now: Timestamp,
    random: f64,
) -> CallbackNext {
    if matches!(outcome, AttemptOutcome::Rejected { status: GONE, .. }) {
        return CallbackNext::Exhausted;
    }
    let planned = match attempts_made.checked_sub(settings.attempts) {
        None => settings.interval,
        Some(extended_made) if extended_made < EXTENDED_ATTEMPTS => {
            with_jitter(backoff_delay(extended_made), random)
        }
        Some(_) => return CallbackNext::Exhausted,
    };
    let retry_after = match outcome {
        AttemptOutcome::Rejected { retry_after: Some(delay), .. } => (*delay).min(MAX_DELAY),
        _ => Duration::ZERO,
    };
    CallbackNext::RetryAt(now + planned.max(retry_after))
}

/// The delay after so many extended attempts.
fn backoff_delay(extended_made: u32) -> Duration {
    FIRST_BACKOFF_DELAY.saturating_mul(2_u32.saturating_pow(extended_made)).min(MAX_DELAY)
}

/// Up to a fifth more or less.
fn with_jitter(delay: Duration, random: f64) -> Duration {
    delay.mul_f64(0.8 + 0.4 * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn rejected(status: u16) -> AttemptOutcome {
        AttemptOutcome::Rejected { status, retry_after: None }
    }

    fn rejected_until(after: Duration) -> AttemptOutcome {
        AttemptOutcome::Rejected { status: 503, retry_after: Some(after) }
    }

    fn outcomes() -> impl Strategy<Value = AttemptOutcome> {
        prop_oneof![
            1 => Just(AttemptOutcome::Accepted),
            1 => Just(AttemptOutcome::Forbidden),
            10 => Just(AttemptOutcome::Unreachable),
            20 => (100..600_u16, proptest::option::of(0..1_000_000_u64)).prop_map(|(status, after)| {
                AttemptOutcome::Rejected { status, retry_after: after.map(Duration::from_secs) }
            }),
        ]
    }

    fn settings(policy: NotifyPolicy) -> NotifySettings {
        NotifySettings { policy, ..NotifySettings::default() }
    }

    fn wait(settings: &NotifySettings, made: u32, outcome: &AttemptOutcome, random: f64) -> Option<Duration> {
        match next(settings, made, outcome, NOW, random) {
            CallbackNext::RetryAt(at) => Some(at.since(NOW)),
            _ => None,
        }
    }

    #[test]
    fn three_attempts_five_seconds_apart() {
        let aurora = settings(NotifyPolicy::Aurora);
        for outcome in [rejected(500), rejected(GONE), rejected_until(MAX_DELAY), AttemptOutcome::Unreachable]
        {
            let five = Some(Duration::from_secs(5));
            assert_eq!(wait(&aurora, 1, &outcome, 0.5), five);
            assert_eq!(wait(&aurora, 2, &outcome, 0.5), five);
            assert_eq!(next(&aurora, 3, &outcome, NOW, 0.5), CallbackNext::Exhausted);
        }
    }

    #[test]
    fn extended_goes_on_for_about_three_days() {
        let extended = settings(NotifyPolicy::Extended);
        let waits: Vec<Duration> =
            (1..).map_while(|made| wait(&extended, made, &rejected(500), 0.5)).collect();
        let seconds: Vec<u64> = waits.iter().map(Duration::as_secs).collect();
        assert_eq!(seconds[..6], [5, 5, 15, 30, 60, 120]);
        let days = waits.iter().sum::<Duration>().as_secs_f64() / 86_400.0;
        assert!((2.8..3.3).contains(&days), "{days} days: {seconds:?}");
    }

    #[test]
    fn gone_is_the_end_and_retry_after_is_obeyed() {
        let extended = settings(NotifyPolicy::Extended);
        assert_eq!(next(&extended, 1, &rejected(GONE), NOW, 0.5), CallbackNext::Exhausted);
        let hour = Duration::from_secs(3600);
        assert_eq!(wait(&extended, 1, &rejected_until(hour), 0.5), Some(hour));
        assert_eq!(
            wait(&extended, 1, &rejected_until(Duration::from_secs(1)), 0.5),
            Some(Duration::from_secs(5))
        );
        assert_eq!(wait(&extended, 1, &rejected_until(hour * 24), 0.5), Some(MAX_DELAY));
    }

    proptest! {
        /// Whatever the receiver does, a callback comes to an end within its attempts and is never sent
        /// after that end, never sooner than its schedule says, and never later than the schedule with its
        /// jitter, or than the longest `Retry-After`.
        #[test]
        fn every_callback_ends(
            policy in prop_oneof![Just(NotifyPolicy::Aurora), Just(NotifyPolicy::Extended)],
            attempts in 1..20_u32,
            interval in 0..100_000_u64,
            answers in proptest::collection::vec((outcomes(), 0.0..1.0), 40),
        ) {
            let interval = Duration::from_millis(interval);
            let settings = NotifySettings { attempts, interval, policy, ..NotifySettings::default() };
            let max_attempts = attempts + if policy == NotifyPolicy::Extended { EXTENDED_ATTEMPTS } else { 0 };
            let mut now = NOW;
            for (made, (outcome, random)) in (1..).zip(&answers) {
                prop_assert!(made <= max_attempts);
                let failed = matches!(outcome, AttemptOutcome::Rejected { .. } | AttemptOutcome::Unreachable);
                match next(&settings, made, outcome, now, *random) {
                    CallbackNext::RetryAt(at) if failed => {
                        let wait = at.since(now);
                        let planned = if made < attempts { interval } else { backoff_delay(made - attempts) };
                        match policy {
                            NotifyPolicy::Aurora => prop_assert_eq!(wait, interval),
                            NotifyPolicy::Extended => {
                                let rounding = Duration::from_millis(1);
                                let least = if made < attempts { planned } else { planned.mul_f64(0.8) };
                                prop_assert!(wait + rounding >= least);
                                prop_assert!(wait <= planned.mul_f64(1.2).max(MAX_DELAY));
                            }
                        }
                        now = at;
                    }
                    CallbackNext::Exhausted if failed => {
                        let gone = matches!(outcome, AttemptOutcome::Rejected { status: GONE, .. });
                        prop_assert!(made == max_attempts || gone && policy == NotifyPolicy::Extended);
                        return Ok(());
                    }
                    CallbackNext::Delivered if *outcome == AttemptOutcome::Accepted => return Ok(()),
                    CallbackNext::Refused if *outcome == AttemptOutcome::Forbidden => return Ok(()),
                    next => prop_assert!(false, "{outcome:?} led to {next:?}"),
                }
            }
            prop_assert!(false, "it never ended");
        }
    }
}
