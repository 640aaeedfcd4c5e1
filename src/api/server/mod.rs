//! Connections: accepts them, speaks HTTP/1.1 on each, and lets calls finish when it is to stop.

mod connections;

use std::{
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
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

use connections::{Connections, Place};

use crate::{
    api::{limits, state::ApiState, with_state},
    app::App,
};

/// How long to wait when the process has no room for another connection.
const BREATH: Duration = Duration::from_millis(100);

/// Answers calls until `stop`; then takes no more, and gives those that run the grace time.
pub async fn serve(app: Arc<App>, listener: TcpListener, stop: CancellationToken) {
    let grace = app.settings.server.shutdown_grace;
    let state = ApiState::new(Arc::clone(&app));
    let (router, connections) = (with_state(state.clone()), TaskTracker::new());
    let places = Connections::at_most(app.settings.api.connections);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let place = tokio::select! {
                    place = places.place() => place,
                    () = stop.cancelled() => break,
                };
                let head_timeout = app.settings.api.head_timeout;
                connections.spawn(talk(stream, router.clone(), place, head_timeout, stop.clone()));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection; waiting a moment");
                tokio::time::sleep(BREATH).await;
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

/// A connection that was lost before it was accepted says nothing about the next one.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn talk(
    stream: TcpStream,
    router: Router,
    place: Arc<Place>,
    head_timeout: Duration,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let at_work = Arc::clone(&place);
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, place) = (router.clone(), Arc::clone(&at_work));
        async move {
            place.work();
            let answer = router.oneshot(request.map(Body::new)).await;
            answer.map(|answer| answer.map(|body| Body::new(Answering { body, place })))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        // who says that nothing more will come still waits for the answer
        .half_close(true)
        .max_buf_size(limits::HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = place.needed() => return,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// The body of an answer: its connection is at work until it is sent.
struct Answering {
    body: Body,
    place: Arc<Place>,
}

impl hyper::body::Body for Answering {
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

impl Drop for Answering {
    fn drop(&mut self) {
        self.place.rest();
    }
}
