//! A receiver of callbacks that answers as the test says, and keeps what it received.

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
pub(super) struct ReceivedCallback {
    pub(super) at: Instant,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Bytes,
}

impl ReceivedCallback {
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

    /// The id of the task that it reports.
    pub(super) fn task(&self) -> String {
        self.body()["data"][0]["task_id"].as_str().expect("an id").to_owned()
    }
}

/// How a receiver answers one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReceiverAnswer {
    pub(super) status: u16,
    /// Its `Retry-After`, in seconds.
    pub(super) retry_after: Option<u32>,
}

impl From<u16> for ReceiverAnswer {
    fn from(status: u16) -> Self {
        Self { status, retry_after: None }
    }
}

impl IntoResponse for ReceiverAnswer {
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
    received: mpsc::UnboundedReceiver<ReceivedCallback>,
    open: watch::Sender<bool>,
}

impl Receiver {
    /// Starts one that answers every request with `status`.
    pub(super) async fn start(status: u16) -> Self {
        Self::start_with(vec![status.into()]).await
    }

    /// Starts one that answers the first request with the first of these and so on, the last one for
    /// ever.
    pub(super) async fn start_with(answers: Vec<ReceiverAnswer>) -> Self {
        let (sender, received) = mpsc::unbounded_channel();
        let (open, opened) = watch::channel(true);
        let count = Arc::new(AtomicUsize::new(0));
        let post = move |headers: HeaderMap, bytes: Bytes| {
            let (sender, mut opened) = (sender.clone(), opened.clone());
            let answer = answers[count.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1)];
            async move {
                // it fails when the test is over
                let _ = sender.send(ReceivedCallback { at: Instant::now(), headers, bytes });
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

    /// Holds answers back: from now on requests come in and are not answered.
    pub(super) fn hold(&self) {
        self.open.send_replace(false);
    }

    /// Answers the requests that were held, and all later ones.
    pub(super) fn release(&self) {
        self.open.send_replace(true);
    }

    /// The next request.
    pub(super) async fn next(&mut self) -> ReceivedCallback {
        self.received.recv().await.expect("the receiver lives as long as the test")
    }

    /// A request that has come in and was not taken with [`Receiver::next`].
    pub(super) fn take_unexpected(&mut self) -> Option<ReceivedCallback> {
        self.received.try_recv().ok()
    }
}
