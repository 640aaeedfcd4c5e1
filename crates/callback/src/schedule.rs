//! When a callback is sent again. Pure.

use model::{CallbackNext, NotifySettings, Timestamp};

use crate::send::Outcome;

/// What becomes of a callback after an attempt that ended `now`; `attempts_made` counts that one.
pub fn next(
    _settings: &NotifySettings,
    _attempts_made: u32,
    _outcome: &Outcome,
    _now: Timestamp,
) -> CallbackNext {
    todo!()
}
