//! One attempt to deliver a callback.

use std::time::Duration;

use model::{Attempt, Callback, Clock, NotifySettings, Secret};

/// What came of an attempt, as the schedule sees it; the record says the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver accepted it.
    Accepted,
    /// The receiver answered something else.
    Rejected {
        /// The status of its answer.
        status: u16,
    },
    /// There was no complete answer.
    Unreachable,
    /// It can never be sent: its address is forbidden, or its URL or secret unusable.
    Forbidden,
}

/// How long an attempt may take, and how much of an answer is read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For everything from the look-up to the end of the answer.
    pub deadline: Duration,
    /// Bytes of the answer's body that are read.
    pub read: usize,
    /// Bytes of the answer's head and body that are kept, each.
    pub keep: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(15), read: 64 * 1024, keep: 4 * 1024 }
    }
}

/// Makes one attempt.
pub async fn send(
    _client: &net::Client,
    _url: &str,
    _callback: &Callback,
    _secret: &Secret,
    _settings: &NotifySettings,
    _clock: &dyn Clock,
    _limits: &Limits,
) -> (Attempt, Outcome) {
    todo!()
}
