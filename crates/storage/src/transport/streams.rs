//! Bodies on their way: what is sent is watched for standstill, what comes is waited for piece by
//! piece.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, stream};
use net::{NetError, Timing};
use opendal::Buffer;
use sync_wrapper::SyncStream;
use tokio::time::{Instant, error::Elapsed, sleep_until, timeout};

use super::Trouble;

/// How much is handed to a connection at once, in bytes: small, so that a slow one shows that it
/// moves.
const SLICE: usize = 64 << 10;

/// When a byte moved last.
pub(super) struct Pulse(Mutex<Instant>);

impl Pulse {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something, at most `idle` after the last beat.
    pub(super) async fn watch<T>(&self, idle: Duration, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            let last = self.last();
            tokio::select! {
                done = &mut work => return Some(done),
                () = sleep_until(last + idle) => {
                    if self.last() == last {
                        return None;
                    }
                }
            }
        }
    }
}

/// A body in small pieces; each that is taken is a beat.
pub(super) fn sliced(
    body: Buffer,
    pulse: Arc<Pulse>,
) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send + 'static {
    stream::unfold((body, Bytes::new()), move |(mut body, mut piece)| {
        pulse.beat();
        let next = loop {
            if !piece.is_empty() {
                break Some(piece.split_to(piece.len().min(SLICE)));
            }
            match Iterator::next(&mut body) {
                Some(more) => piece = more,
                None => break None,
            }
        };
        std::future::ready(next.map(|next| (Ok(next), (body, piece))))
    })
}

/// The body of an answer, each piece of which comes within `idle`.
pub(super) fn body_of(
    answer: reqwest::Response,
    idle: Duration,
) -> impl Stream<Item = opendal::Result<Buffer>> + Send + Sync + Unpin + 'static {
    let pieces = stream::unfold(Some(answer), move |answer| async move {
        let mut answer = answer?;
        match within(idle, answer.chunk()).await {
            Ok(Ok(Some(piece))) => Some((Ok(Buffer::from(piece)), Some(answer))),
            Ok(Ok(None)) => None,
            Ok(Err(error)) => Some((Err(broken(&error).into()), None)),
            Err(_) => Some((Err(Trouble::Silent(idle).into()), None)),
        }
    });
    SyncStream::new(pieces.boxed())
}

/// A small body, whole, cut off after `most` bytes.
pub(super) async fn read_all(mut answer: reqwest::Response, most: u64) -> Result<Bytes, Trouble> {
    let mut bytes = BytesMut::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| broken(&error))? {
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 >= most {
            break;
        }
    }
    Ok(bytes.freeze())
}

/// Waits for something this long.
pub(super) async fn within<T>(idle: Duration, work: impl Future<Output = T>) -> Result<T, Elapsed> {
    timeout(idle, work).await
}

fn broken(error: &reqwest::Error) -> Trouble {
    Trouble::Net(NetError::of_body(error, Timing::default()))
}
