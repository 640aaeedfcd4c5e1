//! A connection whose client is not waited for without end: one that does not take what is sent, or takes it
//! byte by byte, is closed.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::api::pace::Pace;

/// A stream with a least pace for what is written.
pub(super) struct PacedStream<S> {
    stream: S,
    pace: Pace,
    /// Since when, and until when, a write waits for the client.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> PacedStream<S> {
    /// The client has to take enough in each such window in which it is waited for.
    pub(super) fn new(stream: S, window: Duration) -> Self {
        Self { stream, pace: Pace::new(window), waiting: None }
    }

    /// The end of a write: what was written, or the error of a client that is too slow.
    fn poll_pace(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.pace.add_bytes(bytes);
        }
        if written.is_ready() {
            if let Some((since, _)) = self.waiting.take()
                && !self.pace.add_wait(since.elapsed())
            {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            return written;
        }
        let pace = &self.pace;
        let (since, timer) = self.waiting.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + pace.rest_of_window())))
        });
        ready!(timer.as_mut().poll(context));
        let waited = since.elapsed();
        self.waiting = None;
        if !self.pace.add_wait(waited) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        // another window begins with the next poll
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.poll_pace(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.poll_pace(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;
    use crate::api::pace::MIN_BYTES;

    const WINDOW: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_is_not_waited_for() {
        let (server, _client) = duplex(1000);
        let started = Instant::now();
        let sent = PacedStream::new(server, WINDOW).write_all(&[0; 2000]).await;
        assert_eq!(sent.expect_err("too slow").kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_secs(), WINDOW.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_byte_by_byte_is_not_waited_for() {
        let (server, mut client) = duplex(1000);
        let mut server = PacedStream::new(server, WINDOW);
        let trickle = async {
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                client.read_u8().await.expect("a byte");
            }
        };
        let sent = tokio::select! {
            sent = server.write_all(&[0; 1 << 20]) => sent,
            () = trickle => unreachable!("it reads for ever"),
        };
        assert_eq!(sent.expect_err("too slow").kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_gets_all() {
        let (server, mut client) = duplex(1000);
        let mut server = PacedStream::new(server, WINDOW);
        let mut received = 0;
        let read = async {
            let mut buffer = vec![0; MIN_BYTES / 20];
            while received < 1 << 18 {
                tokio::time::sleep(WINDOW / 60).await;
                received += client.read(&mut buffer).await.expect("bytes");
            }
        };
        let (sent, ()) = tokio::join!(server.write_all(&[0; 1 << 18]), read);
        sent.expect("sent");
        assert_eq!(received, 1 << 18);
    }
}
