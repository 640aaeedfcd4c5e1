//! Bodies of requests and answers: neither may stand still for longer than the idle time-out.

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

use super::TransportError;

/// How much is handed to a connection at once, in bytes: little, so that a slow connection is seen to move.
const CHUNK_BYTES: usize = 64 << 10;

/// When a byte was last sent, and an idle time-out that counts from then.
pub(super) struct IdleWatch(Mutex<Instant>);

impl IdleWatch {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    fn touch(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last_moved(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a future; none when nothing moved for the idle time before it was done.
    pub(super) async fn run<T>(&self, idle: Duration, future: impl Future<Output = T>) -> Option<T> {
        let mut future = std::pin::pin!(future);
        loop {
            let last_moved = self.last_moved();
            tokio::select! {
                done = &mut future => return Some(done),
                () = sleep_until(last_moved + idle) => {
                    if self.last_moved() == last_moved {
                        return None;
                    }
                }
            }
        }
    }
}

/// A request's body in chunks; the watch is touched when one is taken.
pub(super) fn chunked(
    body: Buffer,
    watch: Arc<IdleWatch>,
) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send + 'static {
    stream::unfold((body, Bytes::new()), move |(mut body, mut rest)| {
        watch.touch();
        let chunk = loop {
            if !rest.is_empty() {
                break Some(rest.split_to(rest.len().min(CHUNK_BYTES)));
            }
            match Iterator::next(&mut body) {
                Some(more) => rest = more,
                None => break None,
            }
        };
        std::future::ready(chunk.map(|chunk| (Ok(chunk), (body, rest))))
    })
}

/// The body of an answer, each chunk of which comes within the idle time.
pub(super) fn stream_of(
    answer: reqwest::Response,
    idle: Duration,
) -> impl Stream<Item = opendal::Result<Buffer>> + Send + Sync + Unpin + 'static {
    let chunks = stream::unfold(Some(answer), move |answer| async move {
        let mut answer = answer?;
        match within(idle, answer.chunk()).await {
            Ok(Ok(Some(chunk))) => Some((Ok(Buffer::from(chunk)), Some(answer))),
            Ok(Ok(None)) => None,
            Ok(Err(error)) => Some((Err(body_error(&error).into()), None)),
            Err(_) => Some((Err(TransportError::Idle(idle).into()), None)),
        }
    });
    SyncStream::new(chunks.boxed())
}

/// The first `max_bytes` of a body; what comes after them is not read.
pub(super) async fn read_beginning(
    mut answer: reqwest::Response,
    max_bytes: usize,
) -> Result<Bytes, TransportError> {
    let mut bytes = BytesMut::new();
    while bytes.len() < max_bytes
        && let Some(chunk) = answer.chunk().await.map_err(|error| body_error(&error))?
    {
        bytes.extend_from_slice(&chunk[..chunk.len().min(max_bytes - bytes.len())]);
    }
    Ok(bytes.freeze())
}

/// A whole body, counted while it is read: a server may announce less than it sends, or nothing.
///
/// # Errors
/// [`TransportError::TooLong`] at the first byte over `max_bytes`.
pub(super) async fn read_whole(
    mut answer: reqwest::Response,
    max_bytes: usize,
) -> Result<Bytes, TransportError> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| body_error(&error))? {
        if bytes.len() + chunk.len() > max_bytes {
            return Err(TransportError::TooLong(max_bytes));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// Runs a future under a time-out.
pub(super) async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    timeout(limit, future).await
}

fn body_error(error: &reqwest::Error) -> TransportError {
    TransportError::Net(NetError::from_body(error, Timing::default()))
}
