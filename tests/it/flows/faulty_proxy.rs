//! A proxy in front of an object store that fails requests, or holds them, as a test says.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt as _, stream};
use storage::testing::ObjectStoreServer;
use tokio::{net::TcpListener, sync::watch, time::interval};

/// What is wrong with writing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum WriteFault {
    /// Nothing.
    None,
    /// 503, as S3 says it.
    Busy,
    /// The connection ends in the middle of an answer.
    Drops,
    /// Bodies are taken in slowly.
    Slow,
}

/// A proxy in front of an object store, which forwards requests or fails them.
#[derive(Clone)]
pub(super) struct FaultyProxy {
    store: String,
    client: reqwest::Client,
    fault: Arc<Mutex<WriteFault>>,
    /// How many objects it stores before the fault begins.
    before_fault: Arc<AtomicUsize>,
    hold: Arc<Mutex<Option<Hold>>>,
    /// How many requests are held.
    held: watch::Sender<usize>,
    /// Whether those that are held go on.
    is_released: watch::Sender<bool>,
}

/// Which requests are held.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    pub(super) method: Method,
    /// What their paths end with.
    pub(super) suffix: &'static str,
    /// Whether the object store carries them out before, and the answer alone is held.
    pub(super) is_carried_out: bool,
}

impl FaultyProxy {
    /// Starts it; gives its URL, too.
    #[expect(clippy::disallowed_methods, reason = "it stands for an object store, which has no guard")]
    pub(super) async fn start(
        store: &ObjectStoreServer,
        fault: WriteFault,
        before_fault: usize,
    ) -> (Self, String) {
        // each test process installs it once
        let _ = rustls::crypto::ring::default_provider().install_default();
        let proxy = Self {
            store: store.endpoint.clone(),
            client: reqwest::Client::builder().no_proxy().build().expect("a client"),
            fault: Arc::new(Mutex::new(fault)),
            before_fault: Arc::new(AtomicUsize::new(before_fault)),
            hold: Arc::default(),
            held: watch::Sender::new(0),
            is_released: watch::Sender::new(false),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let router = Router::new().fallback(answer).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (proxy, url)
    }

    /// As [`FaultyProxy::set_fault`], when so many more objects are stored.
    pub(super) fn set_fault_after(&self, fault: WriteFault, objects: usize) {
        self.before_fault.store(objects, Ordering::Relaxed);
        self.set_fault(fault);
    }

    pub(super) fn set_fault(&self, fault: WriteFault) {
        *self.fault.lock().expect("no panic") = fault;
    }

    /// Holds the requests that come from now on and are of this kind; none: lets all pass that come now.
    pub(super) fn hold(&self, hold: Option<Hold>) {
        *self.hold.lock().expect("no panic") = hold;
    }

    /// Waits until a request is held.
    pub(super) async fn wait_until_held(&self) {
        self.held.subscribe().wait_for(|held| *held > 0).await.expect("it lives");
    }

    /// Lets those that are held go on, and waits until the object store has carried them out.
    pub(super) async fn release(&self) {
        self.is_released.send_replace(true);
        self.held.subscribe().wait_for(|held| *held == 0).await.expect("it lives");
    }

    /// Forwards a request, and holds it or its answer. It is carried out whether or not somebody waits for it.
    async fn forward_held(self, request: Request, hold: Hold) -> Response {
        self.held.send_modify(|held| *held += 1);
        let forwarding = tokio::spawn(async move {
            let mut is_released = self.is_released.subscribe();
            let response = if hold.is_carried_out {
                let response = self.forward(request, false).await;
                is_released.wait_for(|is_released| *is_released).await.expect("it lives");
                response
            } else {
                is_released.wait_for(|is_released| *is_released).await.expect("it lives");
                self.forward(request, false).await
            };
            self.held.send_modify(|held| *held -= 1);
            response
        });
        forwarding.await.expect("no panic")
    }

    async fn forward(&self, request: Request, slowly: bool) -> Response {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut content = Vec::new();
        let (mut chunks, mut beat) = (body.into_data_stream(), interval(Duration::from_millis(30)));
        while let Some(Ok(chunk)) = chunks.next().await {
            content.extend_from_slice(&chunk);
            if slowly {
                beat.tick().await;
            }
        }
        let request =
            self.client.request(parts.method, format!("{}{path}", self.store)).headers(parts.headers);
        let answer = request.body(content).send().await.expect("the object store answers");
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        // the body is passed on in one piece
        response.headers_mut().remove(header::TRANSFER_ENCODING);
        *response.body_mut() = Body::from(answer.bytes().await.expect("a body"));
        response
    }
}

async fn answer(State(proxy): State<FaultyProxy>, request: Request) -> Response {
    let hold = proxy.hold.lock().expect("no panic").clone();
    if let Some(hold) = hold
        && request.method() == hold.method
        && request.uri().path().ends_with(hold.suffix)
    {
        return proxy.forward_held(request, hold).await;
    }
    let is_write = request.method() == Method::PUT;
    let is_before_fault = is_write
        && proxy
            .before_fault
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1))
            .is_ok();
    let fault = *proxy.fault.lock().expect("no panic");
    match fault {
        WriteFault::Busy if is_write && !is_before_fault => {
            // read to its end, or the connection is reset, which is another fault
            request.into_body().into_data_stream().for_each(|_| async {}).await;
            let text = "<Error><Code>SlowDown</Code><Message>Reduce your rate.</Message><RequestId>4F</RequestId></Error>";
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
        WriteFault::Drops if is_write && !is_before_fault => {
            // fewer bytes than announced: the connection ends
            let body = Body::from_stream(stream::iter([Err::<Bytes, _>(std::io::Error::other("cut"))]));
            Response::builder().header("content-length", "10").body(body).expect("a response")
        }
        fault => proxy.forward(request, fault == WriteFault::Slow).await,
    }
}
