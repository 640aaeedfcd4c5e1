//! The server: accepts connections, speaks HTTP/1.1 on each, and lets calls finish when the process stops.

mod connections;
mod paced_stream;

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
};
use hyper::{
    Request,
    body::{Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

use connections::{ConnectionSlot, ConnectionSlots};
use paced_stream::PacedStream;

use crate::{
    api::{connection::ConnectionInfo, envelope, limits, state::ApiState, with_state},
    app::App,
    config::ApiSettings,
};

/// How long to wait after a failed accept, which usually means that the process is out of file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// How long a client is waited for that is not served.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Answers calls until `stop`; then accepts no more connections, and gives running calls the grace time to
/// finish.
pub async fn serve(app: Arc<App>, listener: TcpListener, stop: CancellationToken) {
    let grace = app.settings.server.shutdown_grace;
    let state = ApiState::new(Arc::clone(&app));
    let (router, connections) = (with_state(state.clone()), TaskTracker::new());
    let settings = &app.settings.api;
    let slots = ConnectionSlots::new(settings.connections, settings.address_connections);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, client)) => {
                let slot = tokio::select! {
                    slot = slots.acquire(client.ip().to_canonical()) => slot,
                    () = stop.cancelled() => break,
                };
                match slot {
                    Some(slot) => {
                        let (router, settings) = (router.clone(), settings.clone());
                        connections.spawn(serve_connection(stream, router, slot, settings, stop.clone()));
                    }
                    None => {
                        connections.spawn(refuse(stream));
                    }
                }
            }
            Err(error) if is_connection_lost(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection; waiting a moment");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
    drop(listener);
    state.event_streams.stop();
    connections.close();
    if tokio::time::timeout(grace, connections.wait()).await.is_err() {
        tracing::warn!(calls = connections.len(), "calls were cut off: they took longer than the grace time");
    }
}

/// Whether the client was gone before its connection was accepted, which is no reason to wait before the
/// next one.
fn is_connection_lost(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Tells a client that its address has too many connections, and waits for it but a moment.
async fn refuse(mut stream: TcpStream) {
    let body = envelope::refused_connection();
    let head = "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close";
    let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let say = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    // a client that does not take it learns it from the end of the connection
    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, say).await;
}

async fn serve_connection(
    stream: TcpStream,
    router: Router,
    slot: Arc<ConnectionSlot>,
    settings: ApiSettings,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let service_slot = Arc::clone(&slot);
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, slot) = (router.clone(), Arc::clone(&service_slot));
        async move {
            slot.set_busy();
            let mut request = request.map(Body::new);
            let connection = ConnectionInfo::new(slot.address());
            request.extensions_mut().insert(connection.clone());
            let response = router.oneshot(request).await?;
            Ok::<_, Infallible>(
                response.map(|body| Body::new(BusyBody { body, slot, _connection: connection })),
            )
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.head_timeout)
        // a client that has shut down its sending side still waits for the response
        .half_close(true)
        .max_buf_size(limits::MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(PacedStream::new(stream, settings.stall_timeout)), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = slot.evicted() => return,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// The body of a response: its connection is busy until the body is sent, or dropped.
struct BusyBody {
    body: Body,
    slot: Arc<ConnectionSlot>,
    /// What the call holds until then.
    _connection: ConnectionInfo,
}

impl hyper::body::Body for BusyBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for BusyBody {
    fn drop(&mut self) {
        self.slot.set_idle();
    }
}
