//! With `early_playlist`, the first segments are made of an input that is still being fetched; and whatever
//! becomes of the rest of it, no incomplete output stays.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Response, StatusCode, header},
    routing,
};
use futures::{StreamExt as _, stream};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore};

use super::{
    media_files::{assert_decodes, noise},
    receiver::Receiver,
    session::Session,
};
use crate::wait::until;

const MAIN: &str = "file://media/dog/master.m3u8";

/// How a request for the input is answered.
#[derive(Clone, Copy, Debug)]
enum InputAnswer {
    /// The first half, and the second when the test says so.
    Halves,
    /// The first half; the connection breaks when the test says so.
    Breaks,
    /// The range that is asked for, at once.
    Range,
    /// The whole file, whatever range is asked for.
    WholeFile,
    NotFound,
}

/// A server of one file, which answers each request as the test says.
struct FileServer {
    url: String,
    /// A permit lets one answer go on after its first half.
    second_halves: Arc<Semaphore>,
    /// The ranges that were asked for.
    ranges: Arc<Mutex<Vec<Option<String>>>>,
}

impl FileServer {
    async fn start(file: Vec<u8>, answers: &[InputAnswer]) -> Self {
        let (second_halves, ranges) =
            (Arc::new(Semaphore::new(0)), Arc::<Mutex<Vec<Option<String>>>>::default());
        let answers = Arc::new(Mutex::new(answers.iter().copied().collect::<VecDeque<_>>()));
        let (file, gate, asked) = (Bytes::from(file), Arc::clone(&second_halves), Arc::clone(&ranges));
        let get = move |headers: HeaderMap| {
            let range = headers.get(header::RANGE).map(|range| range.to_str().expect("text").to_owned());
            asked.lock().expect("no panic").push(range.clone());
            let answer = answers.lock().expect("no panic").pop_front().expect("as many as are asked for");
            let answer = response(&file, answer, range, Arc::clone(&gate));
            async move { answer }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/input", listener.local_addr().expect("bound"));
        let router = Router::new().route("/input", routing::get(get));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, second_halves, ranges }
    }
}

fn response(
    file: &Bytes,
    answer: InputAnswer,
    range: Option<String>,
    gate: Arc<Semaphore>,
) -> Response<Body> {
    let (whole, half) = (file.len(), file.len() / 2);
    let head = Response::builder();
    let head =
        if matches!(answer, InputAnswer::WholeFile) { head } else { head.header(header::ETAG, "\"one\"") };
    let later = |rest: Result<Bytes, std::io::Error>| {
        stream::once(async move {
            gate.acquire().await.expect("open").forget();
            rest
        })
    };
    let first = stream::iter([Ok(file.slice(..half))]);
    match answer {
        InputAnswer::Halves => head
            .header(header::CONTENT_LENGTH, whole)
            .body(Body::from_stream(first.chain(later(Ok(file.slice(half..)))))),
        InputAnswer::Breaks => head
            .header(header::CONTENT_LENGTH, whole)
            .body(Body::from_stream(first.chain(later(Err(std::io::Error::other("it breaks")))))),
        InputAnswer::Range => {
            let from = range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
            let from: usize = from.expect("a range").parse().expect("a number");
            head.status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_RANGE, format!("bytes {from}-{}/{whole}", whole - 1))
                .body(Body::from(file.slice(from..)))
        }
        InputAnswer::WholeFile => head.body(Body::from(file.clone())),
        InputAnswer::NotFound => head.status(StatusCode::NOT_FOUND).body(Body::empty()),
    }
    .expect("an answer")
}

/// A task whose input comes in halves.
struct GrowingInputTask {
    session: Session,
    receiver: Receiver,
    source: FileServer,
    id: String,
}

impl GrowingInputTask {
    /// Creates the task, and waits until its main playlist is in the storage.
    async fn start_half_way(answers: &[InputAnswer]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let source = FileServer::start(noise(folder.path()), answers).await;
        let session = Session::start(&["--set", "worker.lease=6s"], [].into()).await;
        let receiver = Receiver::start(200).await;
        let storage = session.add_storage(json!({"notify": receiver.url})).await.id;
        let streams = json!([{"resolution": "72p"}, {"resolution": "36p"}]);
        let template =
            json!({"template_name": "small", "format": "hls", "seg_time": 1, "adaptive_streams": streams});
        session.post("add_template", template).await;
        let body = json!({
            "template_name": "small", "storage_id": storage, "input": source.url, "output": "dog",
            "extra_options": {"early_playlist": true},
        });
        let id = session.post("create_task", body).await["task_id"].as_str().expect("an id").to_owned();
        let task = Self { session, receiver, source, id };
        until(|| task.session.object(MAIN).exists()).await;
        task
    }

    /// Lets the answer go on after its first half.
    fn send_second_half(&self) {
        self.source.second_halves.add_permits(1);
    }

    fn ranges(&self) -> Vec<Option<String>> {
        self.source.ranges.lock().expect("no panic").clone()
    }

    /// The task's entry in the next callback.
    async fn next_callback(&mut self) -> Value {
        self.receiver.next().await.body()["data"][0].take()
    }

    /// Waits until the storage is empty.
    async fn wait_until_empty(&self) {
        let bucket = self.session.object("file://media");
        until(|| files_below(&bucket) == 0).await;
    }
}

fn files_below(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { 1 }).sum()
}

#[rstest]
#[case::all_in_one(&[InputAnswer::Halves])]
#[case::taken_up_again(&[InputAnswer::Breaks, InputAnswer::Range])]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_can_be_fetched_before_the_input_is_there(#[case] answers: &[InputAnswer]) {
    let mut task = GrowingInputTask::start_half_way(answers).await;
    // progress is written once a second
    while task.session.task(&task.id).await["status"] == "downloading" {}
    assert_eq!(task.session.task(&task.id).await["status"], "running");
    task.send_second_half();
    let entry = task.next_callback().await;
    assert_eq!(entry["status"], "succeeded", "{entry}");
    let duration = entry["duration"].as_f64().expect("a number");
    assert!((duration - 24.0).abs() < 0.1, "{entry}");
    assert_decodes(&task.session.object(MAIN));
    assert_eq!(task.ranges().len(), answers.len());
    task.session.server.stop().await;
}

/// The next try fetches all of the input before it reads it, however many connections that takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_from_its_start_again_is_not_mixed_with_what_came_before() {
    let mut task = GrowingInputTask::start_half_way(&[
        InputAnswer::Breaks,
        InputAnswer::WholeFile,
        InputAnswer::Breaks,
        InputAnswer::WholeFile,
    ])
    .await;
    task.send_second_half();
    task.send_second_half();
    let entry = task.next_callback().await;
    assert_eq!(entry["status"], "succeeded", "{entry}");
    assert_decodes(&task.session.object(MAIN));
    assert_eq!(task.ranges().len(), 4);
    assert_eq!(task.ranges()[2], None, "another try");
    task.session.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stays_of_what_did_not_come_whole() {
    let mut task = GrowingInputTask::start_half_way(&[InputAnswer::Breaks, InputAnswer::NotFound]).await;
    task.send_second_half();
    let entry = task.next_callback().await;
    assert_eq!((&entry["status"], &entry["error_code"]), (&json!("failed"), &json!(1101)), "{entry}");
    assert!(entry["error_msg"].as_str().is_some_and(|message| message.contains("404")), "{entry}");
    task.wait_until_empty().await;
    task.session.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_its_input_can_be_cancelled() {
    let mut task = GrowingInputTask::start_half_way(&[InputAnswer::Halves]).await;
    task.session.post(&format!("cancel_task?task_id={}", task.id), Value::Null).await;
    assert_eq!(task.next_callback().await["error_code"], 1401);
    task.wait_until_empty().await;
    task.session.server.stop().await;
}
