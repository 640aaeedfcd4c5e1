//! Waiting for what tells nobody: files in another process's folder, and processes that end. Everything else tells
//! the test itself, by a callback, an answer or a line of output.

use std::time::Duration;

/// Between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Asks again and again until it is so; the runner's limit of time ends a test that waits in vain.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
