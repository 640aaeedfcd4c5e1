//! A thousand quick tasks, a server that is killed again and again, and receivers that fail, hang,
//! reset and trickle: every task's callback is delivered, and none is sent again once its 200 is recorded.

mod receiver;

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use axum::{Router, http::StatusCode};
use rand::RngExt as _;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

use self::receiver::{Behaviour, ReceivedRequest};
use crate::program::{ACCESS_KEY, SECRET_KEY, Server};

const TASKS: usize = 1000;
const KILLS: usize = 10;

/// A short deadline, so that attempts that hang do not take the test's time.
const SERVER_FLAGS: &[&str] = &[
    "--set",
    "worker.capacity=8",
    "--set",
    "callback.deadline=1s",
    "--log-level",
    "warn,borealis::cli=info",
];

/// How long a busy machine takes from an answer to its record, at most.
const MAX_RECORD_DELAY: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_every_task_is_told_and_none_again_once_that_is_recorded() {
    // no task runs before all are created
    let mut server = Server::start(&["--no-worker"]).await;
    let client = AdminClient::new();
    let (sender, mut requests) = mpsc::unbounded_channel();
    let mut secrets = HashMap::new();
    let mut storages = Vec::new();
    for behaviour in Behaviour::ALL {
        let url = receiver::start(behaviour, sender.clone()).await;
        let body = json!({
            "type": "file", "bucket": "b", "notify": url, "notify_interval": 1, "notify_attempts": 20,
        });
        let added = client.post(&server, "add_storage", body).await;
        secrets.insert(format!("{behaviour:?}"), text(&added["notify_secret"]));
        storages.push(text(&added["storage_id"]));
    }
    // an input that is not there ends a task at once
    let input = url_of_missing_file().await;
    for number in 0..TASKS {
        let storage = &storages[number % storages.len()];
        let body = json!({
            "template_name": "mp4-720p", "storage_id": storage, "input": input, "output": format!("{number}.mp4"),
        });
        client.post(&server, "create_task", body).await;
    }

    server.kill().await;
    server.restart(SERVER_FLAGS).await;

    let mut all: Vec<ReceivedRequest> = Vec::new();
    let mut tasks: BTreeMap<String, usize> = BTreeMap::new();
    let mut kills: Vec<Instant> = Vec::new();
    let mut kill_at = 1;
    while tasks.len() < TASKS {
        let (behaviour, request) = requests.recv().await.expect("the receivers live");
        request.verify(&secrets[&format!("{behaviour:?}")]);
        if request.accepted {
            let body: Value = serde_json::from_slice(&request.body).expect("JSON");
            assert_eq!(body["data"][0]["error_code"], 1101, "{body}");
            *tasks.entry(text(&body["data"][0]["task_id"])).or_default() += 1;
        }
        all.push(request);
        if all.len() >= kill_at && kills.len() < KILLS {
            server.kill().await;
            kills.push(Instant::now());
            server.restart(SERVER_FLAGS).await;
            kill_at = all.len() + rand::rng().random_range(1..2 * TASKS / KILLS);
        }
    }
    assert_eq!(kills.len(), KILLS);
    // what was in flight at the last kill may still come; then nothing is owed
    while client.get(&server, "list_callback?status=owed").await["total"] != 0 {}
    let delivered = client.get(&server, "list_callback?status=delivered").await;
    assert_eq!(delivered["total"], TASKS, "each task owed one callback, and each was recorded");
    server.stop().await;
    while let Ok((_, request)) = requests.try_recv() {
        all.push(request);
    }
    assert_none_after_its_record(&all, &kills);
}

/// Fails when a callback came again after its 200, unless a kill came between the answer and its record.
fn assert_none_after_its_record(all: &[ReceivedRequest], kills: &[Instant]) {
    let mut accepted: HashMap<&str, Instant> = HashMap::new();
    let mut repeated = 0;
    for request in all {
        if let Some(first) = accepted.get(request.id.as_str()) {
            repeated += 1;
            let excused = kills
                .iter()
                .any(|kill| *first <= *kill && *kill <= request.at && *kill - *first < MAX_RECORD_DELAY);
            assert!(excused, "{} came again {:?} after its 200", request.id, request.at - *first);
        }
        if request.accepted {
            accepted.insert(&request.id, request.at);
        }
        let body = all.iter().find(|other| other.id == request.id).map(|other| &other.body);
        assert_eq!(Some(&request.body), body, "the same bytes on every attempt");
    }
    println!(
        "{} requests, {} kills, {repeated} came again after a 200 that was not recorded",
        all.len(),
        kills.len()
    );
}

/// Makes calls with the administrator's key.
struct AdminClient(reqwest::Client);

impl AdminClient {
    #[expect(clippy::disallowed_methods, reason = "the customer's client, which has no guard")]
    fn new() -> Self {
        // each test process installs it once
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self(reqwest::Client::builder().no_proxy().build().expect("a client"))
    }

    async fn post(&self, server: &Server, call: &str, body: Value) -> Value {
        let url = format!("{}/vodencoding/v1/{call}", server.url);
        self.answer(self.0.post(url).body(body.to_string())).await
    }

    async fn get(&self, server: &Server, call: &str) -> Value {
        self.answer(self.0.get(format!("{}/vodencoding/v1/{call}", server.url))).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Value {
        let answer = request.basic_auth(ACCESS_KEY, Some(SECRET_KEY)).send().await.expect("an answer");
        let mut envelope: Value =
            serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
        assert_eq!(envelope["code"], 0, "{envelope}");
        envelope["data"].take()
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// The URL of an input that a server answers with 404.
async fn url_of_missing_file() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/none.mp4", listener.local_addr().expect("bound"));
    let router = Router::new().fallback(|| async { StatusCode::NOT_FOUND });
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
