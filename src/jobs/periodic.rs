//! Background work runs in rounds. A round that panics is logged and counted, and the next one runs as
//! usual: what one customer's data does to a round never ends the process.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;

use crate::telemetry;

/// Runs one round. `work` names it in the log and in the figures.
pub(crate) async fn run_round(work: &'static str, round: impl Future<Output = ()>) {
    if AssertUnwindSafe(round).catch_unwind().await.is_err() {
        tracing::error!(work, "a round of background work panicked");
        telemetry::count_background_panic(work);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_round_that_panics_is_followed_by_the_next() {
        let mut rounds = 0;
        for _ in 0..3 {
            run_round("test", async {
                rounds += 1;
                assert!(rounds > 1, "the first one fails");
            })
            .await;
        }
        assert_eq!(rounds, 3);
    }
}
