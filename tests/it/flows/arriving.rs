//! Where a player waits, the first segments are made of an input that is still on its way; and whatever
//! becomes of the rest, nothing stays that is not whole.

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
    media_files::{decodes, noise},
    receiver::Receiver,
    session::Session,
};

const MAIN: &str = "file://media/dog/master.m3u8";

/// What is answered to a request for the input.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// The first half, and the second when the test says so.
    Halves,
    /// The first half; the connection breaks when the test says so.
    Breaks,
    /// What is asked for, at once.
    Rest,
    /// All of it, whatever is asked for.
    All,
    Gone,
}

/// A server of one file, which answers each request as it is told to.
struct Source {
    url: String,
    /// Lets one answer go on after its first half.
    go_on: Arc<Semaphore>,
    /// The ranges that were asked for.
    asked: Arc<Mutex<Vec<Option<String>>>>,
}

impl Source {
    async fn start(file: Vec<u8>, answers: &[Answer]) -> Self {
        let (go_on, asked) = (Arc::new(Semaphore::new(0)), Arc::<Mutex<Vec<Option<String>>>>::default());
        let answers = Arc::new(Mutex::new(answers.iter().copied().collect::<VecDeque<_>>()));
        let (file, gate, told) = (Bytes::from(file), Arc::clone(&go_on), Arc::clone(&asked));
        let get = move |headers: HeaderMap| {
            let range = headers.get(header::RANGE).map(|range| range.to_str().expect("text").to_owned());
            told.lock().expect("whole").push(range.clone());
            let answer = answers.lock().expect("whole").pop_front().expect("as many as are asked for");
            let answer = answered(&file, answer, range, Arc::clone(&gate));
            async move { answer }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/input", listener.local_addr().expect("bound"));
        let router = Router::new().route("/input", routing::get(get));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, go_on, asked }
    }
}

fn answered(file: &Bytes, answer: Answer, range: Option<String>, gate: Arc<Semaphore>) -> Response<Body> {
    let (whole, half) = (file.len(), file.len() / 2);
    let head = Response::builder();
    let head = if matches!(answer, Answer::All) { head } else { head.header(header::ETAG, "\"one\"") };
    let later = |rest: Result<Bytes, std::io::Error>| {
        stream::once(async move {
            gate.acquire().await.expect("open").forget();
            rest
        })
    };
    let first = stream::iter([Ok(file.slice(..half))]);
    match answer {
        Answer::Halves => head
            .header(header::CONTENT_LENGTH, whole)
            .body(Body::from_stream(first.chain(later(Ok(file.slice(half..)))))),
        Answer::Breaks => head
            .header(header::CONTENT_LENGTH, whole)
            .body(Body::from_stream(first.chain(later(Err(std::io::Error::other("it breaks")))))),
        Answer::Rest => {
            let from = range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
            let from: usize = from.expect("a range").parse().expect("a number");
            head.status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_RANGE, format!("bytes {from}-{}/{whole}", whole - 1))
                .body(Body::from(file.slice(from..)))
        }
        Answer::All => head.body(Body::from(file.clone())),
        Answer::Gone => head.status(StatusCode::NOT_FOUND).body(Body::empty()),
    }
    .expect("an answer")
}

/// A task whose input comes in halves.
struct Task {
    session: Session,
    receiver: Receiver,
    source: Source,
    id: String,
}

impl Task {
    /// Creates it, and waits until its main playlist can be fetched.
    async fn shown_half_way(answers: &[Answer]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let source = Source::start(noise(folder.path()), answers).await;
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
        while !task.session.object(MAIN).exists() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        task
    }

    /// Lets the answer go on after its first half.
    fn go_on(&self) {
        self.source.go_on.add_permits(1);
    }

    fn asked(&self) -> Vec<Option<String>> {
        self.source.asked.lock().expect("whole").clone()
    }

    /// What the next callback says.
    async fn told(&mut self) -> Value {
        self.receiver.next().await.body()["data"][0].take()
    }

    /// Waits until the storage is empty.
    async fn until_nothing_stays(&self) {
        let bucket = self.session.object("file://media");
        while files_below(&bucket) > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

fn files_below(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { 1 }).sum()
}

#[rstest]
#[case::all_in_one(&[Answer::Halves])]
#[case::taken_up_again(&[Answer::Breaks, Answer::Rest])]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_can_be_fetched_before_the_input_is_there(#[case] answers: &[Answer]) {
    let mut task = Task::shown_half_way(answers).await;
    // which is written once a second
    while task.session.task(&task.id).await["status"] == "downloading" {}
    assert_eq!(task.session.task(&task.id).await["status"], "running");
    task.go_on();
    let told = task.told().await;
    assert_eq!(told["status"], "succeeded", "{told}");
    let duration = told["duration"].as_f64().expect("a number");
    assert!((duration - 24.0).abs() < 0.1, "{told}");
    decodes(&task.session.object(MAIN));
    assert_eq!(task.asked().len(), answers.len());
    task.session.server.stop().await;
}

/// Another try fetches it whole before it reads, however often that takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_from_its_start_again_is_not_mixed_with_what_came_before() {
    let mut task = Task::shown_half_way(&[Answer::Breaks, Answer::All, Answer::Breaks, Answer::All]).await;
    task.go_on();
    task.go_on();
    let told = task.told().await;
    assert_eq!(told["status"], "succeeded", "{told}");
    decodes(&task.session.object(MAIN));
    assert_eq!(task.asked().len(), 4);
    assert_eq!(task.asked()[2], None, "another try");
    task.session.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stays_of_what_did_not_come_whole() {
    let mut task = Task::shown_half_way(&[Answer::Breaks, Answer::Gone]).await;
    task.go_on();
    let told = task.told().await;
    assert_eq!((&told["status"], &told["error_code"]), (&json!("failed"), &json!(1101)), "{told}");
    assert!(told["error_msg"].as_str().is_some_and(|message| message.contains("404")), "{told}");
    task.until_nothing_stays().await;
    task.session.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_its_input_can_be_cancelled() {
    let mut task = Task::shown_half_way(&[Answer::Halves]).await;
    task.session.post(&format!("cancel_task?task_id={}", task.id), Value::Null).await;
    assert_eq!(task.told().await["error_code"], 1401);
    task.until_nothing_stays().await;
    task.session.server.stop().await;
}
