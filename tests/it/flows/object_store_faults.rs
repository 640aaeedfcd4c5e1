//! An object store that is busy, drops connections or is slow while a task writes to it: the task waits,
//! says for whom and why, and succeeds; when the retry budget is used up it fails and leaves nothing.

use std::{
    collections::HashMap,
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
    http::{Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt as _, stream};
use rstest::rstest;
use serde_json::{Value, json};
use storage::testing::ObjectStoreServer;
use tokio::{net::TcpListener, time::interval};

use super::{media_files::clip, receiver::Receiver, session::Session};

/// What is wrong with writing.
#[derive(Clone, Copy, Debug, PartialEq)]
enum WriteFault {
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
struct FaultyProxy {
    store: String,
    client: reqwest::Client,
    fault: Arc<Mutex<WriteFault>>,
    /// How many objects it stores before the fault begins.
    before_fault: Arc<AtomicUsize>,
}

impl FaultyProxy {
    /// Starts it; gives its URL, too.
    #[expect(clippy::disallowed_methods, reason = "it stands for an object store, which has no guard")]
    async fn start(store: &ObjectStoreServer, fault: WriteFault, before_fault: usize) -> (Self, String) {
        // each test process installs it once
        let _ = rustls::crypto::ring::default_provider().install_default();
        let proxy = Self {
            store: store.endpoint.clone(),
            client: reqwest::Client::builder().no_proxy().build().expect("a client"),
            fault: Arc::new(Mutex::new(fault)),
            before_fault: Arc::new(AtomicUsize::new(before_fault)),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let router = Router::new().fallback(answer).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (proxy, url)
    }

    fn set_fault(&self, fault: WriteFault) {
        *self.fault.lock().expect("no panic") = fault;
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
        *response.body_mut() = Body::from(answer.bytes().await.expect("a body"));
        response
    }
}

async fn answer(State(proxy): State<FaultyProxy>, request: Request) -> Response {
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

fn storage_at(endpoint: &str, store: &ObjectStoreServer, notify: &str) -> Value {
    json!({
        "type": "s3", "bucket": "videos", "endpoint": endpoint, "notify": notify,
        "storage_ak": store.access_key, "storage_sk": store.secret_key,
    })
}

async fn session_with_clip(flags: &[&str]) -> Session {
    let folder = tempfile::tempdir().expect("a folder");
    let input = std::fs::read(clip(folder.path(), 2)).expect("readable");
    Session::start(flags, HashMap::from([("clip.mp4", input)])).await
}

#[rstest]
#[case(
    WriteFault::Busy,
    "waiting for s3://videos/: the object store answered 503 SlowDown: Reduce your rate (request 4F)"
)]
#[case(WriteFault::Drops, "waiting for s3://videos/: ")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_waits_for_its_store_and_says_why(#[case] fault: WriteFault, #[case] why: &str) {
    let store = ObjectStoreServer::rclone(&["videos"]);
    let (proxy, endpoint) = FaultyProxy::start(&store, fault, 0).await;
    let session = session_with_clip(&[]).await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(storage_at(&endpoint, &store, &receiver.url)).await;
    let id = session.create_task(&storage.id, "mp4-720p", &session.url("clip.mp4"), "cat.mp4").await;
    let waiting = loop {
        let task = session.task(&id).await;
        assert!(task["finished_time"] == 0, "{task}");
        if task["message"] != "" {
            break task;
        }
    };
    assert!(waiting["message"].as_str().expect("text").starts_with(why), "{waiting}");
    assert_eq!((&waiting["status"], &waiting["code"]), (&json!("uploading"), &json!(0)), "{waiting}");
    proxy.set_fault(WriteFault::None);
    let callback = receiver.next().await.body();
    assert_eq!(callback["msg"], "succeeded", "{callback}");
    let task = session.task(&id).await;
    assert_eq!((&task["status"], &task["message"]), (&json!("succeeded"), &json!("")), "{task}");
    let log = session.server.log();
    assert!(log.contains("a request to the object store failed; it is retried"), "{log}");
    assert!(log.contains("the object store answers again"), "{log}");
    session.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_store_is_not_a_dead_one() {
    let store = ObjectStoreServer::rclone(&["videos"]);
    let (_proxy, endpoint) = FaultyProxy::start(&store, WriteFault::Slow, 0).await;
    let session = session_with_clip(&["--set", "storage.idle=2s"]).await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(storage_at(&endpoint, &store, &receiver.url)).await;
    session.create_task(&storage.id, "mp4-720p", &session.url("clip.mp4"), "cat.mp4").await;
    let callback = receiver.next().await.body();
    assert_eq!(callback["msg"], "succeeded", "{callback}");
    assert!(!session.server.log().contains("a request to the object store failed"));
    session.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_end_of_patience_a_task_fails_and_leaves_nothing() {
    let store = ObjectStoreServer::rclone(&["videos"]);
    let (_proxy, endpoint) = FaultyProxy::start(&store, WriteFault::Busy, 3).await;
    let session = session_with_clip(&["--set", "storage.patience=1s", "--set", "worker.tries=1"]).await;
    let mut receiver = Receiver::start(200).await;
    let storage = session.add_storage(storage_at(&endpoint, &store, &receiver.url)).await;
    let id = session.create_task(&storage.id, "hls-h264", &session.url("clip.mp4"), "cat").await;
    let callback = receiver.next().await.body();
    assert_eq!(callback["data"][0]["error_code"], 1201, "{callback}");
    let message = callback["data"][0]["error_msg"].as_str().expect("text");
    assert!(
        message.contains("the object store answered 503 SlowDown: Reduce your rate (request 4F)"),
        "{message}"
    );
    assert_eq!(session.task(&id).await["status"], "failed");
    let listed = session.get(&format!("list_object?storage_id={}", storage.id)).await;
    assert_eq!(listed["num"], 0, "{listed}");
    session.server.stop().await;
}
