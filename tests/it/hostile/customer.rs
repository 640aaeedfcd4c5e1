//! The tenant that is not to notice: its tasks, its receiver, and what its outputs have to be.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::HeaderMap,
    middleware::{self, Next},
    routing,
};
use callback::sign::{self, SignatureHeaders};
use model::{Secret, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, time::interval};

use super::{
    attacker::client_from,
    product::{Product, call, now},
    run_tool,
};

/// The name of the tenant.
pub(super) const TENANT: &str = "customer";

/// The address of its input and of its receiver.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);

/// Its templates, whose names are the extensions of outputs as well. Most outputs are copies: what is tried is the
/// server, not the encoder.
const TEMPLATES: [(&str, &str); 4] = [
    ("copy", r#"{"format": "mp4", "vcodec": "copy", "acodec": "copy"}"#),
    ("audio", r#"{"format": "mp4", "vcodec": "none", "acodec": "copy"}"#),
    ("segments", r#"{"format": "hls", "vcodec": "copy", "acodec": "copy"}"#),
    ("encode", r#"{"format": "mp4", "resolution": "64x36"}"#),
];

/// A callback as it arrived.
struct Received {
    at: Timestamp,
    headers: HeaderMap,
    body: Bytes,
}

/// One task, and what was told of it.
pub(crate) struct CustomerTask {
    pub(super) task: String,
    template: &'static str,
    output: String,
    created: Instant,
    /// How often it was told.
    pub(super) times: usize,
    /// When the first byte of the first callback came.
    pub(super) at: Option<Timestamp>,
    /// From the creation to that.
    pub(super) took: Duration,
    /// What is wrong with its callback.
    problem: Option<String>,
}

/// The tenant.
pub(super) struct Customer {
    /// The URL of its clip.
    pub(super) input: String,
    client: reqwest::Client,
    server: SocketAddr,
    key: (String, String),
    storage: String,
    notify_secret: String,
    received: mpsc::UnboundedReceiver<Received>,
    /// Its calls that failed, which it made again.
    pub(super) failed_calls: Vec<String>,
    /// What outputs of each template decode to.
    references: HashMap<&'static str, String>,
}

impl Customer {
    /// Makes everything that its tasks need, and one output of each template while nobody disturbs.
    pub(super) async fn prepare(product: &Product, files: &Path) -> Self {
        let input = serve_clip(files).await;
        let (notify, received) = receive().await;
        let key = product.add_key(TENANT).await;
        let mut this = Self {
            input,
            client: client_from(IpAddr::from(Ipv4Addr::new(127, 2, 0, 4)), Duration::from_secs(60)),
            server: product.address(),
            key,
            storage: String::new(),
            notify_secret: String::new(),
            received,
            failed_calls: Vec::new(),
            references: HashMap::new(),
        };
        let storage = json!({"type": "file", "bucket": TENANT, "notify": notify});
        let added = this.call(Method::POST, "add_storage", storage).await.expect("a storage");
        let text = |field: &str| added[field].as_str().expect("a text").to_owned();
        (this.storage, this.notify_secret) = (text("storage_id"), text("notify_secret"));
        for (name, template) in TEMPLATES {
            let mut template: Value = serde_json::from_str(template).expect("JSON");
            template["template_name"] = json!(name);
            this.call(Method::POST, "add_template", template).await.expect("a template");
        }
        for task in this.run_tasks(TEMPLATES.len(), Duration::from_millis(1), Duration::from_secs(120)).await
        {
            assert_eq!((task.times, &task.problem), (1, &None), "{}", task.output);
            let path = product.object(&format!("{TENANT}/{}", task.output));
            let seconds = run_tool(
                "ffprobe",
                &["-show_entries", "format=duration", "-of", "csv=p=0", &path.display().to_string()],
            );
            let seconds: f64 = seconds.trim().parse().expect("a duration");
            assert!((0.9..1.2).contains(&seconds), "{} has {seconds} s", task.output);
            this.references.insert(task.template, decoded(&path));
        }
        this
    }

    pub(super) fn access_key(&self) -> &str {
        &self.key.0
    }

    /// What may be in no log.
    pub(super) fn secrets(&self) -> Vec<String> {
        vec![self.key.1.clone(), self.notify_secret.clone()]
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Result<Value, String> {
        call(&self.client, self.server, (&self.key.0, &self.key.1), method, path, body).await
    }

    /// Creates tasks evenly over a time, and waits until all have told their end, at most so long after it.
    pub(super) async fn run_tasks(
        &mut self,
        count: usize,
        time: Duration,
        overtime: Duration,
    ) -> Vec<CustomerTask> {
        let mut tasks: Vec<CustomerTask> = Vec::with_capacity(count);
        let mut tick = interval(time / u32::try_from(count).expect("a few"));
        let end = tokio::time::Instant::now() + time + overtime;
        // after the last callback it goes on until the time is over
        let least = tokio::time::Instant::now() + time;
        loop {
            let all_told = tasks.len() == count && tasks.iter().all(|task| task.times > 0);
            tokio::select! {
                _ = tick.tick(), if tasks.len() < count => {
                    match self.create_task(tasks.len()).await {
                        Ok(task) => tasks.push(task),
                        Err(problem) => self.failed_calls.push(problem),
                    }
                }
                received = self.received.recv() => {
                    let received = received.expect("the receiver lives");
                    self.note(&mut tasks, &received);
                }
                () = tokio::time::sleep_until(least), if all_told => return tasks,
                () = tokio::time::sleep_until(end) => return tasks,
            }
        }
    }

    async fn create_task(&self, number: usize) -> Result<CustomerTask, String> {
        // the first few are one of each; then every second is a copy
        let template = TEMPLATES[if number < 4 || number % 2 == 1 { number % 4 } else { 0 }].0;
        let extension = if template == "segments" { "m3u8" } else { "mp4" };
        let output = format!("{}-{number}.{extension}", self.references.len());
        let created = Instant::now();
        let body = json!({
            "template_name": template, "storage_id": self.storage, "input": self.input, "output": output,
        });
        let task = self.call(Method::POST, "create_task", body).await?;
        let task = task["task_id"].as_str().expect("an id").to_owned();
        Ok(CustomerTask {
            task,
            template,
            output,
            created,
            times: 0,
            at: None,
            took: Duration::ZERO,
            problem: None,
        })
    }

    /// Notes what a callback says of one of the tasks.
    fn note(&self, tasks: &mut [CustomerTask], received: &Received) {
        let body: Value = serde_json::from_slice(&received.body).expect("JSON");
        let entry = &body["data"][0];
        let task = tasks.iter_mut().find(|task| entry["task_id"] == task.task.as_str());
        let Some(task) = task else { return };
        let header = |name: &str| received.headers[name].to_str().expect("ASCII");
        let headers = SignatureHeaders {
            id: header(sign::ID_HEADER),
            timestamp: header(sign::TIMESTAMP_HEADER),
            signature: header(sign::SIGNATURE_HEADER),
        };
        let verified = sign::verify(&Secret::new(self.notify_secret.clone()), headers, &received.body, now());
        if verified.is_err() || entry["status"] != "succeeded" {
            task.problem = Some(format!("{}: {verified:?} {entry}", task.output));
        }
        task.times += 1;
        if task.at.is_none() {
            (task.at, task.took) = (Some(received.at), task.created.elapsed());
        }
    }

    /// Looks at every output; gives what is wrong with them, a line for each task.
    pub(super) async fn check_outputs(&self, product: &Product, tasks: &[CustomerTask]) -> Vec<String> {
        let mut problems = Vec::new();
        for task in tasks {
            let path = product.object(&format!("{TENANT}/{}", task.output));
            if let Some(problem) = &task.problem {
                problems.push(problem.clone());
            } else if !path.exists() {
                let seen =
                    self.call(Method::GET, &format!("query_task?task_id={}", task.task), Value::Null).await;
                problems.push(format!("{} is not there: {seen:?}", task.output));
            } else if decoded(&path) != self.references[task.template] {
                problems.push(format!("{} is not what it would be on a quiet server", task.output));
            }
        }
        problems
    }
}

/// A hash over every decoded frame and its time.
fn decoded(path: &Path) -> String {
    run_tool(
        "ffmpeg",
        &["-nostdin", "-i", &path.display().to_string(), "-map", "0", "-f", "framehash", "-hash", "md5", "-"],
    )
}

/// A clip of a second, which is served over HTTP; gives its URL.
async fn serve_clip(files: &Path) -> String {
    let clip = files.join("clip.mp4");
    let [video, audio] = ["testsrc2=size=64x36:rate=10:duration=1", "sine=frequency=440:duration=1"];
    let sources = ["-f", "lavfi", "-i", video, "-f", "lavfi", "-i", audio];
    let coded = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest"];
    run_tool("ffmpeg", &[&sources[..], &coded, &[&clip.display().to_string()]].concat());
    let bytes = Bytes::from(std::fs::read(&clip).expect("it was made"));
    let router = Router::new().route("/clip.mp4", routing::get(move || std::future::ready(bytes.clone())));
    format!("{}/clip.mp4", serve(ADDRESS, router).await)
}

/// Starts the receiver; gives its URL and what it receives.
async fn receive() -> (String, mpsc::UnboundedReceiver<Received>) {
    let (sender, received) = mpsc::unbounded_channel();
    let post = |State(sender): State<Arc<mpsc::UnboundedSender<Received>>>,
                axum::Extension(at): axum::Extension<Timestamp>,
                headers: HeaderMap,
                body: Bytes| async move {
        // it fails when the hour is over
        let _ = sender.send(Received { at, headers, body });
    };
    // the time before the body is read
    let stamp = middleware::from_fn(|mut request: axum::extract::Request, next: Next| {
        request.extensions_mut().insert(now());
        next.run(request)
    });
    let router = Router::new().route("/", routing::post(post)).layer(stamp).with_state(Arc::new(sender));
    (format!("{}/", serve(ADDRESS, router).await), received)
}

/// Serves on this address; gives the URL, without a slash at its end.
pub(super) async fn serve(address: Ipv4Addr, router: Router) -> String {
    let listener = TcpListener::bind((address, 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
