//! When a callback is sent again. Pure.
//!
//! Every failure is tried again but the ones that no attempt can mend; the distance counts from the
//! end of one attempt to the start of the next. With the policy `aurora` that is all, to the letter
//! of AuroraCloud's documentation. With `extended` the documented attempts are followed by others at
//! growing distances, for about three days, and what the receiver says is heeded.

use std::time::Duration;

use model::{CallbackNext, NotifyPolicy, NotifySettings, Timestamp};

use crate::send::Outcome;

/// The first distance after the documented attempts; each later one is twice the one before.
const FIRST: Duration = Duration::from_secs(15);

/// The longest distance, and the longest that a receiver may ask for.
const LONGEST: Duration = Duration::from_secs(10 * 60 * 60);

/// Attempts after the documented ones: 17 h until the distance is at its longest, then 60 h.
const MORE: u32 = 18;

/// The status by which a receiver says that there is nobody any more.
const GONE: u16 = 410;

/// What becomes of a callback after an attempt that ended `now`; `attempts_made` counts that one, and
/// begins anew when a callback is owed again. `chance` is between 0 and 1, new for each attempt: it
/// spreads what failed together.
pub fn next(
    settings: &NotifySettings,
    attempts_made: u32,
    outcome: &Outcome,
    now: Timestamp,
    chance: f64,
) -> CallbackNext {
    match outcome {
        Outcome::Accepted => CallbackNext::Delivered,
        Outcome::Forbidden => CallbackNext::Refused,
        Outcome::Rejected { .. } | Outcome::Unreachable => match settings.policy {
            NotifyPolicy::Aurora if attempts_made < settings.attempts => {
                CallbackNext::RetryAt(now + settings.interval)
            }
            NotifyPolicy::Aurora => CallbackNext::Exhausted,
            NotifyPolicy::Extended => extended(settings, attempts_made, outcome, now, chance),
        },
    }
}

fn extended(
    settings: &NotifySettings,
    attempts_made: u32,
    outcome: &Outcome,
    now: Timestamp,
    chance: f64,
) -> CallbackNext {
    if matches!(outcome, Outcome::Rejected { status: GONE, .. }) {
        return CallbackNext::Exhausted;
    }
    let planned = match attempts_made.checked_sub(settings.attempts) {
        None => settings.interval,
        Some(beyond) if beyond < MORE => spread(distance(beyond), chance),
        Some(_) => return CallbackNext::Exhausted,
    };
    let asked_for = match outcome {
        Outcome::Rejected { retry_after: Some(after), .. } => (*after).min(LONGEST),
        _ => Duration::ZERO,
    };
    CallbackNext::RetryAt(now + planned.max(asked_for))
}

fn distance(beyond: u32) -> Duration {
    FIRST.saturating_mul(2_u32.saturating_pow(beyond)).min(LONGEST)
}

/// A fifth more or less.
fn spread(distance: Duration, chance: f64) -> Duration {
    distance.mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn rejected(status: u16) -> Outcome {
        Outcome::Rejected { status, retry_after: None }
    }

    fn asks_for(after: Duration) -> Outcome {
        Outcome::Rejected { status: 503, retry_after: Some(after) }
    }

    fn outcomes() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            1 => Just(Outcome::Accepted),
            1 => Just(Outcome::Forbidden),
            10 => Just(Outcome::Unreachable),
            20 => (100..600_u16, proptest::option::of(0..1_000_000_u64)).prop_map(|(status, after)| {
                Outcome::Rejected { status, retry_after: after.map(Duration::from_secs) }
            }),
        ]
    }

    fn settings(policy: NotifyPolicy) -> NotifySettings {
        NotifySettings { policy, ..NotifySettings::default() }
    }

    fn wait(settings: &NotifySettings, made: u32, outcome: &Outcome, chance: f64) -> Option<Duration> {
        match next(settings, made, outcome, NOW, chance) {
            CallbackNext::RetryAt(at) => Some(at.since(NOW)),
            _ => None,
        }
    }

    #[test]
    fn three_attempts_five_seconds_apart() {
        let aurora = settings(NotifyPolicy::Aurora);
        for outcome in [rejected(500), rejected(GONE), asks_for(LONGEST), Outcome::Unreachable] {
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
    fn gone_is_the_end_and_a_wish_is_heeded() {
        let extended = settings(NotifyPolicy::Extended);
        assert_eq!(next(&extended, 1, &rejected(GONE), NOW, 0.5), CallbackNext::Exhausted);
        let hour = Duration::from_secs(3600);
        assert_eq!(wait(&extended, 1, &asks_for(hour), 0.5), Some(hour));
        assert_eq!(wait(&extended, 1, &asks_for(Duration::from_secs(1)), 0.5), Some(Duration::from_secs(5)));
        assert_eq!(wait(&extended, 1, &asks_for(hour * 24), 0.5), Some(LONGEST));
    }

    proptest! {
        /// Whatever the receiver does, a callback comes to an end within its attempts, is never sent
        /// after that end, never sooner than its schedule says, and never more than 10 h later than
        /// a fifth beyond it.
        #[test]
        fn every_callback_ends(
            policy in prop_oneof![Just(NotifyPolicy::Aurora), Just(NotifyPolicy::Extended)],
            attempts in 1..20_u32,
            interval in 0..100_000_u64,
            answers in proptest::collection::vec((outcomes(), 0.0..1.0), 40),
        ) {
            let interval = Duration::from_millis(interval);
            let settings = NotifySettings { attempts, interval, policy, ..NotifySettings::default() };
            let most = attempts + if policy == NotifyPolicy::Extended { MORE } else { 0 };
            let mut now = NOW;
            for (made, (outcome, chance)) in (1..).zip(&answers) {
                prop_assert!(made <= most);
                let failed = matches!(outcome, Outcome::Rejected { .. } | Outcome::Unreachable);
                match next(&settings, made, outcome, now, *chance) {
                    CallbackNext::RetryAt(at) if failed => {
                        let wait = at.since(now);
                        let planned = if made < attempts { interval } else { distance(made - attempts) };
                        match policy {
                            NotifyPolicy::Aurora => prop_assert_eq!(wait, interval),
                            NotifyPolicy::Extended => {
                                let slack = Duration::from_millis(1);
                                let least = if made < attempts { planned } else { planned.mul_f64(0.8) };
                                prop_assert!(wait + slack >= least);
                                prop_assert!(wait <= planned.mul_f64(1.2).max(LONGEST));
                            }
                        }
                        now = at;
                    }
                    CallbackNext::Exhausted if failed => {
                        let gone = matches!(outcome, Outcome::Rejected { status: GONE, .. });
                        prop_assert!(made == most || gone && policy == NotifyPolicy::Extended);
                        return Ok(());
                    }
                    CallbackNext::Delivered if *outcome == Outcome::Accepted => return Ok(()),
                    CallbackNext::Refused if *outcome == Outcome::Forbidden => return Ok(()),
                    next => prop_assert!(false, "{outcome:?} led to {next:?}"),
                }
            }
            prop_assert!(false, "it never ended");
        }
    }
}
