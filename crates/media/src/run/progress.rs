//! How much of a run is done, as one share over all of its passes.

use std::sync::{Mutex, PoisonError};

use super::{RunContext, RunObserver, passes::loudness};
use crate::tool::progress::Progress;

/// The share of the loudness pass in a run that has one.
const LOUDNESS_SHARE: f64 = 0.1;
/// The share up to which encoding goes; the rest is what follows it.
const ENCODED_SHARE: f64 = 0.999;

/// Tells the share that is done, which never goes back: not even when the output is made once more.
pub(super) struct RunProgress<'a> {
    observer: RunObserver<'a>,
    output_micros: f64,
    /// The share at which encoding begins.
    encoding_from: f64,
    reported: Mutex<f64>,
}

impl<'a> RunProgress<'a> {
    /// Nothing is done yet.
    pub(super) fn new(context: &RunContext<'a>) -> Self {
        Self {
            observer: context.observer,
            output_micros: context.plan.duration.max(0.001) * 1e6,
            encoding_from: if loudness::is_needed(context.plan) { LOUDNESS_SHARE } else { 0.0 },
            reported: Mutex::new(0.0),
        }
    }

    /// Takes in the progress of the pass that measures loudness.
    pub(super) fn of_loudness_pass(&self) -> impl FnMut(Progress) {
        |progress| self.report(self.share(progress) * self.encoding_from)
    }

    /// Takes in the progress of encoding.
    pub(super) fn of_encoding(&self) -> impl FnMut(Progress) {
        let from = self.encoding_from;
        move |progress| self.report(from + self.share(progress) * (ENCODED_SHARE - from))
    }

    /// Tells a share that is larger than any before.
    pub(super) fn report(&self, share: f64) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if share > *reported {
            *reported = share;
            (self.observer.on_progress)(share);
        }
    }

    /// FFmpeg's time of what is written as a share of the output's duration.
    fn share(&self, progress: Progress) -> f64 {
        (progress.out_time as f64 / self.output_micros).clamp(0.0, 1.0)
    }
}
