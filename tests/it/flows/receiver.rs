//! A receiver of callbacks that answers as it is told, and keeps what it got.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing,
};
use callback::sign;
use model::{Secret, Timestamp};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};

/// One request that arrived.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) at: Instant,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Bytes,
}

impl Received {
    pub(super) fn body(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("JSON")
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().expect("ASCII")
    }

    /// Fails unless the signature is that of `secret`.
    pub(super) fn verify(&self, secret: &str) {
        let sent = self.header("webhook-timestamp").parse::<i64>().expect("a number");
        let headers = sign::SignatureHeaders {
            id: self.header("webhook-id"),
            timestamp: self.header("webhook-timestamp"),
            signature: self.header("webhook-signature"),
        };
        sign::verify(&Secret::new(secret), headers, &self.bytes, Timestamp::from_millis(sent * 1000))
            .expect("a good signature");
    }

    /// The task it tells of.
    pub(super) fn task(&self) -> String {
        self.body()["data"][0]["task_id"].as_str().expect("an id").to_owned()
    }
}

/// What a receiver says to one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Says {
    pub(super) status: u16,
    /// Seconds that it asks to be left alone.
    pub(super) retry_after: Option<u32>,
}

impl From<u16> for Says {
    fn from(status: u16) -> Self {
        Self { status, retry_after: None }
    }
}

impl IntoResponse for Says {
    fn into_response(self) -> Response {
        let mut response = StatusCode::from_u16(self.status).expect("a status").into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// The receiver.
pub(super) struct Receiver {
    pub(super) url: String,
    received: mpsc::UnboundedReceiver<Received>,
    open: watch::Sender<bool>,
}

impl Receiver {
    /// Starts one that answers every request with `status`.
    pub(super) async fn start(status: u16) -> Self {
        Self::saying(vec![status.into()]).await
    }

    /// Starts one that answers the first request with the first of these and so on, the last one for
    /// ever.
    pub(super) async fn saying(says: Vec<Says>) -> Self {
        let (sender, received) = mpsc::unbounded_channel();
        let (open, opened) = watch::channel(true);
        let count = Arc::new(AtomicUsize::new(0));
        let post = move |headers: HeaderMap, bytes: Bytes| {
            let (sender, mut opened) = (sender.clone(), opened.clone());
            let answer = says[count.fetch_add(1, Ordering::Relaxed).min(says.len() - 1)];
            async move {
                // a test that is over does not listen any more
                let _ = sender.send(Received { at: Instant::now(), headers, bytes });
                let _ = opened.wait_for(|open| *open).await;
                answer
            }
        };
        let router = Router::new().route("/hook", routing::post(post));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, received, open }
    }

    /// From now on it takes requests and does not answer them.
    pub(super) fn hold(&self) {
        self.open.send_replace(false);
    }

    /// It answers what it held, and goes on.
    pub(super) fn release(&self) {
        self.open.send_replace(true);
    }

    /// The next request.
    pub(super) async fn next(&mut self) -> Received {
        self.received.recv().await.expect("the receiver lives as long as the test")
    }

    /// A request that arrived already and was not asked for.
    pub(super) fn extra(&mut self) -> Option<Received> {
        self.received.try_recv().ok()
    }
}
