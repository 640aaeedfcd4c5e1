//! When a callback is sent again. Pure.
//!
//! Every failure is tried again but the ones that no attempt can mend; the distance counts from the
//! end of one attempt to the start of the next, as AuroraCloud documents it.

use model::{CallbackNext, NotifySettings, Timestamp};

use crate::send::Outcome;

/// What becomes of a callback after an attempt that ended `now`; `attempts_made` counts that one.
pub fn next(
    settings: &NotifySettings,
    attempts_made: u32,
    outcome: &Outcome,
    now: Timestamp,
) -> CallbackNext {
    match outcome {
        Outcome::Accepted => CallbackNext::Delivered,
        Outcome::Forbidden => CallbackNext::Refused,
        Outcome::Rejected { .. } | Outcome::Unreachable if attempts_made < settings.attempts => {
            CallbackNext::RetryAt(now + settings.interval)
        }
        Outcome::Rejected { .. } | Outcome::Unreachable => CallbackNext::Exhausted,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn outcomes() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            Just(Outcome::Accepted),
            Just(Outcome::Forbidden),
            Just(Outcome::Unreachable),
            (100..600_u16).prop_map(|status| Outcome::Rejected { status }),
        ]
    }

    #[test]
    fn three_attempts_five_seconds_apart() {
        let settings = NotifySettings::default();
        let now = Timestamp::from_millis(1_000);
        let failed = Outcome::Rejected { status: 500 };
        let again = CallbackNext::RetryAt(Timestamp::from_millis(6_000));
        assert_eq!(next(&settings, 1, &failed, now), again);
        assert_eq!(next(&settings, 2, &failed, now), again);
        assert_eq!(next(&settings, 3, &failed, now), CallbackNext::Exhausted);
    }

    proptest! {
        /// Whatever the receiver does, a callback comes to an end within its attempts, is never sent
        /// after that end, and never sooner than its interval.
        #[test]
        fn every_callback_ends(
            attempts in 1..20_u32,
            interval in 0..100_000_u64,
            answers in proptest::collection::vec(outcomes(), 20),
        ) {
            let settings = NotifySettings {
                attempts,
                interval: Duration::from_millis(interval),
                ..NotifySettings::default()
            };
            let mut now = Timestamp::from_millis(0);
            for (made, outcome) in (1..).zip(&answers) {
                prop_assert!(made <= attempts);
                match (next(&settings, made, outcome, now), outcome) {
                    (CallbackNext::RetryAt(at), Outcome::Rejected { .. } | Outcome::Unreachable) => {
                        prop_assert_eq!(at.since(now), settings.interval);
                        now = at;
                    }
                    (CallbackNext::Exhausted, Outcome::Rejected { .. } | Outcome::Unreachable) => {
                        prop_assert_eq!(made, attempts);
                        return Ok(());
                    }
                    (CallbackNext::Delivered, Outcome::Accepted)
                    | (CallbackNext::Refused, Outcome::Forbidden) => return Ok(()),
                    (next, outcome) => prop_assert!(false, "{outcome:?} led to {next:?}"),
                }
            }
            prop_assert!(false, "it never ended");
        }
    }
}
