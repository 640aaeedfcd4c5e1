//! A receiver of callbacks that answers as it is told, and keeps what it got.

use std::time::Instant;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing,
};
use callback::sign;
use model::{Secret, Timestamp};
use serde_json::Value;
use tokio::{net::TcpListener, sync::mpsc};

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
        let headers = sign::Headers {
            id: self.header("webhook-id"),
            timestamp: self.header("webhook-timestamp"),
            signature: self.header("webhook-signature"),
        };
        sign::verify(&Secret::new(secret), headers, &self.bytes, Timestamp::from_millis(sent * 1000))
            .expect("a good signature");
    }
}

/// The receiver.
pub(super) struct Receiver {
    pub(super) url: String,
    received: mpsc::UnboundedReceiver<Received>,
}

impl Receiver {
    /// Starts one that answers every request with `status`.
    pub(super) async fn start(status: u16) -> Self {
        let (sender, received) = mpsc::unbounded_channel();
        let answer = StatusCode::from_u16(status).expect("a status");
        let post = move |State(sender): State<mpsc::UnboundedSender<Received>>,
                         headers: HeaderMap,
                         bytes: Bytes| async move {
            // a test that is over does not listen any more
            let _ = sender.send(Received { at: Instant::now(), headers, bytes });
            answer
        };
        let router = Router::new().route("/hook", routing::post(post)).with_state(sender);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, received }
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
