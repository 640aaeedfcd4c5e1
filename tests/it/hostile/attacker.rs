//! A hostile client: its key, its address, and the tally of what it was answered.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::{Body, Method, StatusCode};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpSocket, TcpStream},
    time::{Interval, MissedTickBehavior, interval},
};

/// How long an attacker waits for an answer.
const MAX_WAIT: Duration = Duration::from_secs(90);

/// What is attacked.
pub(super) struct Target {
    pub(super) server: SocketAddr,
    /// The access key of the customer, which is no secret.
    pub(super) victim: String,
    /// The URL of a small clip.
    pub(super) clip: String,
}

/// How often an attack was answered what.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<BTreeMap<String, u64>>>);

impl Tally {
    pub(super) fn count(&self, what: impl Into<String>) {
        *self.0.lock().expect("nobody panicked").entry(what.into()).or_default() += 1;
    }

    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        self.0.lock().expect("nobody panicked").clone()
    }
}

/// One attacker, or a fork of it.
pub(super) struct Attacker {
    pub(super) target: Arc<Target>,
    pub(super) tally: Tally,
    pub(super) rng: StdRng,
    /// The media that were made for attacks.
    pub(super) files: PathBuf,
    access_key: String,
    secret_key: String,
    address: IpAddr,
    client: reqwest::Client,
}

impl Attacker {
    /// What it does is decided by `seed`.
    pub(super) fn new(
        target: Arc<Target>,
        (access_key, secret_key): (String, String),
        address: IpAddr,
        seed: u64,
        files: &Path,
    ) -> Self {
        Self {
            target,
            tally: Tally::default(),
            rng: StdRng::seed_from_u64(seed),
            files: files.to_owned(),
            access_key,
            secret_key,
            address,
            client: client_from(address, MAX_WAIT),
        }
    }

    /// The same attacker with another connection and chances of its own.
    pub(super) fn fork(&mut self) -> Self {
        Self {
            target: Arc::clone(&self.target),
            tally: self.tally.clone(),
            rng: StdRng::seed_from_u64(self.rng.random()),
            files: self.files.clone(),
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone(),
            address: self.address,
            client: self.client.clone(),
        }
    }

    /// The value of the `Authorization` header.
    pub(super) fn basic(&self) -> String {
        basic(&self.access_key, &self.secret_key)
    }

    /// Sends a request and counts the status; gives the body of a success.
    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> Option<String> {
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                self.tally.count(if error.is_timeout() { "no answer" } else { "connection lost" });
                return None;
            }
        };
        let status = answer.status();
        self.tally.count(status.as_str());
        let body = answer.text().await.ok()?;
        (status == StatusCode::OK).then_some(body)
    }

    /// A request with this method and path below the base path, not signed in.
    pub(super) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("http://{}/vodencoding/v1/{path}", self.target.server))
    }

    /// A call with its key; gives `data` of a success.
    pub(super) async fn call(&self, method: Method, path: &str, body: impl Into<Body>) -> Option<Value> {
        let request = self.request(method, path).header("authorization", self.basic()).body(body);
        let mut envelope: Value = serde_json::from_str(&self.send(request).await?).ok()?;
        Some(envelope["data"].take())
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Option<Value> {
        self.call(Method::POST, path, body.to_string()).await
    }

    pub(super) async fn get(&self, path: &str) -> Option<Value> {
        self.call(Method::GET, path, "").await
    }

    /// Adds a storage; gives its id.
    pub(super) async fn add_storage(&self, storage: Value) -> Option<String> {
        Some(self.post("add_storage", storage).await?["storage_id"].as_str()?.to_owned())
    }

    /// Creates a task with the predefined template of small MP4s; gives its id.
    pub(super) async fn create_task(&self, storage: &str, input: &str, output: &str) -> Option<String> {
        let body = serde_json::json!({
            "template_name": "mp4-360p", "storage_id": storage, "input": input, "output": output,
        });
        Some(self.post("create_task", body).await?["task_id"].as_str()?.to_owned())
    }

    /// Opens a connection and writes the beginning of a request; none when that does not go.
    pub(super) async fn connect(&self, begin: &str) -> Option<TcpStream> {
        let connected = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((self.address, 0).into())?;
            let mut stream = socket.connect(self.target.server).await?;
            stream.write_all(begin.as_bytes()).await?;
            Ok::<_, std::io::Error>(stream)
        };
        let stream = connected.await.ok();
        self.tally.count(if stream.is_some() { "connected" } else { "not connected" });
        stream
    }

    /// Reads the status line of the answer and counts it; gives the connection, of which nothing more was asked.
    pub(super) async fn read_status(&self, stream: TcpStream) -> Option<BufReader<TcpStream>> {
        // a small buffer: what is not read stays with the server
        let (mut stream, mut line) = (BufReader::with_capacity(64, stream), String::new());
        let status =
            stream.read_line(&mut line).await.ok().and_then(|_| line.split(' ').nth(1).map(str::to_owned));
        self.tally.count(status.as_deref().unwrap_or("closed"));
        status.map(|_| stream)
    }
}

/// A client that comes from this address.
#[expect(clippy::disallowed_methods, reason = "the customer's client, which has no guard")]
pub(super) fn client_from(address: IpAddr, timeout: Duration) -> reqwest::Client {
    let client = reqwest::Client::builder().local_address(address).timeout(timeout);
    client.redirect(reqwest::redirect::Policy::none()).no_proxy().build().expect("a client")
}

pub(super) fn basic(access_key: &str, secret_key: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{access_key}:{secret_key}")))
}

/// Ticks at most so often, late or not.
pub(super) fn pace(millis: u64) -> Interval {
    let mut interval = interval(Duration::from_millis(millis));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Runs so many of them at once, each by a fork of the attacker, until all end, which none does.
pub(super) async fn at_once<F>(attacker: &mut Attacker, count: usize, run: impl Fn(Attacker) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..count {
        running.spawn(run(attacker.fork()));
    }
    running.join_all().await;
}
