//! The product as a benchmark sees it: the release binary as a process of its own, called over HTTP,
//! with a file server for inputs and a receiver for callbacks beside it.

#![expect(dead_code, reason = "each benchmark uses a part of it")]

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::header::CONTENT_LENGTH,
    routing,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::io::ReaderStream;

/// An input that never comes, which keeps the worker that waits for it busy.
pub(crate) const NEVER: &str = "never";

/// The administrator's key of every server.
pub(crate) const KEYS: [(&str, &str); 2] =
    [("BOREALIS_ACCESS_KEY", "bench"), ("BOREALIS_SECRET_KEY", "bench-secret")];

/// Calls of a server's API, as a customer makes them.
#[derive(Clone)]
pub(crate) struct Api {
    base: String,
    client: reqwest::Client,
}

impl Api {
    /// Of the server on this port of loopback.
    #[expect(clippy::disallowed_methods, reason = "the customer's client, which has no guard")]
    pub(crate) fn on(port: u16) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { base: format!("http://127.0.0.1:{port}"), client }
    }

    /// Waits until the server is ready.
    pub(crate) async fn ready(&self) {
        let began = Instant::now();
        loop {
            let ready = self.client.get(format!("{}/readyz", self.base)).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "the server did not become ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A call; gives `data`.
    pub(crate) async fn call(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let [(_, access_key), (_, secret_key)] = KEYS;
        let answer = self
            .client
            .request(method, format!("{}/vodencoding/v1/{path}", self.base))
            .basic_auth(access_key, Some(secret_key))
            .json(&body)
            .send()
            .await
            .expect("an answer");
        let mut envelope: Value = answer.json().await.expect("JSON");
        assert_eq!(envelope["code"], 0, "{path}: {envelope}");
        envelope["data"].take()
    }
}

/// A port of loopback that is free.
pub(crate) async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound").port()
}

/// A running server with a data directory of its own; killed when dropped.
pub(crate) struct Product {
    child: Child,
    api: Api,
    /// Inputs lie here and are served over HTTP.
    pub(crate) files: TempDir,
    files_url: String,
    /// When which callback arrived.
    pub(crate) callbacks: mpsc::UnboundedReceiver<(Instant, Value)>,
    notify: String,
    data: TempDir,
}

impl Product {
    /// Starts a server over SQLite and waits until it is ready.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same, with these settings in its environment.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        let (files, data) = (tempdir(), tempdir());
        let files_url = serve_files(files.path().to_owned()).await;
        let (notify, callbacks) = receive().await;
        let port = free_port().await;
        let child = Command::new(env!("CARGO_BIN_EXE_borealis"))
            .args(["serve", "--listen", &format!("127.0.0.1:{port}")])
            .arg("--data-dir")
            .arg(data.path())
            .envs(KEYS)
            .env("BOREALIS_ALLOW_NETWORKS", "127.0.0.0/8")
            .env("BOREALIS_TOOLS", tools())
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let api = Api::on(port);
        let product = Self { child, api, files, files_url, callbacks, notify, data };
        product.api.ready().await;
        product
    }

    /// A call of the API; gives `data`.
    pub(crate) async fn call(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        self.api.call(method, path, body).await
    }

    /// A storage whose callbacks come to `self.callbacks`.
    pub(crate) async fn add_storage(&self) -> String {
        self.add_storage_of(json!({"type": "file", "bucket": "bench"})).await
    }

    /// The same, in a bucket of another kind.
    pub(crate) async fn add_storage_of(&self, mut body: Value) -> String {
        body["notify"] = json!(self.notify);
        self.call(reqwest::Method::POST, "add_storage", body).await["storage_id"]
            .as_str()
            .expect("an id")
            .to_owned()
    }

    /// Creates a task for a file of `self.files`.
    pub(crate) async fn create_task(
        &self,
        storage: &str,
        template: &str,
        file: &str,
        output: &str,
    ) -> String {
        self.create_task_with(storage, template, file, output, json!({})).await
    }

    /// The same, with `extra_options`.
    pub(crate) async fn create_task_with(
        &self,
        storage: &str,
        template: &str,
        file: &str,
        output: &str,
        extra_options: Value,
    ) -> String {
        let body = json!({
            "template_name": template, "storage_id": storage, "extra_options": extra_options,
            "input": format!("{}/{file}", self.files_url), "output": output,
        });
        self.call(reqwest::Method::POST, "create_task", body).await["task_id"]
            .as_str()
            .expect("an id")
            .to_owned()
    }

    /// Cancels a task, and waits until its worker has let go of it.
    pub(crate) async fn cancel(&self, task: &str) {
        self.call(reqwest::Method::POST, &format!("cancel_task?task_id={task}"), Value::Null).await;
        let works = || {
            let workers = std::fs::read_dir(self.data.path().join("work")).into_iter().flatten().flatten();
            workers.map(|worker| worker.path().join(task)).any(|work| work.exists())
        };
        while works() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where the objects of the storage lie.
    pub(crate) fn objects(&self) -> PathBuf {
        self.data.path().join("storage/bench")
    }

    /// Waits for the callback of a task, which must have succeeded; gives when it came.
    pub(crate) async fn told(&mut self, task: &str) -> Instant {
        loop {
            let (at, body) = self.callbacks.recv().await.expect("a callback");
            let entry = &body["data"][0];
            if entry["task_id"] == task {
                assert_eq!(entry["status"], "succeeded", "{body}");
                return at;
            }
        }
    }

    /// The greatest resident memory of the server itself so far, in MiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        peak_memory(self.child.id())
    }

    /// The address of the API, for load generators.
    pub(crate) fn base(&self) -> &str {
        &self.api.base
    }
}

/// The greatest resident memory of a process so far, in MiB.
pub(crate) fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

impl Drop for Product {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of the media tools.
pub(crate) fn tools() -> PathBuf {
    std::env::var_os("BOREALIS_TOOLS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools"), PathBuf::from)
}

/// Runs FFmpeg to its end and gives how long it took.
pub(crate) fn ffmpeg(args: &[&str]) -> Duration {
    let began = Instant::now();
    let status = Command::new(tools().join("ffmpeg"))
        .args(["-nostdin", "-y", "-v", "error"])
        .args(args)
        .status()
        .expect("FFmpeg runs");
    assert!(status.success(), "FFmpeg failed: {args:?}");
    began.elapsed()
}

/// A folder that goes away.
pub(crate) fn tempdir() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The middle of an odd number of measurements.
pub(crate) fn median(mut values: Vec<Duration>) -> Duration {
    values.sort();
    values[values.len() / 2]
}

async fn serve_files(folder: PathBuf) -> String {
    let get = move |axum::extract::Path(name): axum::extract::Path<String>| {
        let path = folder.join(name);
        async move {
            let file = tokio::fs::File::open(path).await.map_err(|_| axum::http::StatusCode::NOT_FOUND)?;
            let size = file.metadata().await.map_err(|_| axum::http::StatusCode::NOT_FOUND)?.len();
            let body = Body::from_stream(ReaderStream::with_capacity(file, 1 << 20));
            Ok::<_, axum::http::StatusCode>(([(CONTENT_LENGTH, size.to_string())], body))
        }
    };
    let router = Router::new().route("/{name}", routing::get(get));
    serve(router.route(&format!("/{NEVER}"), routing::get(std::future::pending::<&str>))).await
}

async fn receive() -> (String, mpsc::UnboundedReceiver<(Instant, Value)>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let post = |State(sender): State<mpsc::UnboundedSender<(Instant, Value)>>, body: Bytes| async move {
        let body = serde_json::from_slice(&body).expect("JSON");
        sender.send((Instant::now(), body)).expect("someone listens");
    };
    let url = serve(Router::new().route("/", routing::post(post)).with_state(sender)).await;
    (format!("{url}/"), receiver)
}

/// Serves on loopback; gives the URL, without a slash at its end.
pub(crate) async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
    url
}
