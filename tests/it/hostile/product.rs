//! The server under attack: a process with a data directory of its own, whose log goes to a file.

use std::{
    collections::HashMap,
    env, fs,
    io::{BufRead as _, BufReader},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::Stdio,
    time::Duration,
};

use model::{SystemClock, Timestamp};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{PEER_NETWORK, attacker::client_from, customer::CustomerTask};

const ADMIN: (&str, &str) = ("the-administrator", "the administrator's secret of the hostile hour");

/// What an operator with tenants he does not know sets: slots for several of them, and bounds that are reached within
/// minutes and with little disk.
const SETTINGS: &[&str] = &[
    "worker.capacity=8",
    "limits.queued_tasks=3000",
    "media.max_size=256MiB",
    "media.input_idle=10s",
    "media.input_rate_window=20s",
    "media.input_deadline=60s",
    "media.threads=1",
    "server.shutdown_grace=5s",
    "storage.patience=10s",
    "storage.idle=10s",
    "api.upload_limit=64MiB",
    "limits.upload_bytes=256MiB",
    "log.format=json",
];

/// The running server.
pub(super) struct Product {
    process: Child,
    address: SocketAddr,
    admin: reqwest::Client,
    data: TempDir,
}

impl Product {
    /// Starts it, and waits until it says where it listens.
    pub(super) async fn start() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let log = fs::File::create(data.path().join("log")).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_borealis"));
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("BOREALIS_") && name != "BOREALIS_TOOLS" {
                command.env_remove(name);
            }
        }
        command.env_remove("RUST_LOG");
        command.args(["serve", "--listen", "127.0.0.1:0"]).arg("--data-dir").arg(data.path());
        for setting in SETTINGS {
            command.args(["--set", setting]);
        }
        let process = command
            .env("BOREALIS_ALLOW_NETWORKS", PEER_NETWORK)
            .env("BOREALIS_ACCESS_KEY", ADMIN.0)
            .env("BOREALIS_SECRET_KEY", ADMIN.1)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let admin = client_from(IpAddr::from(Ipv4Addr::new(127, 2, 0, 1)), Duration::from_secs(60));
        let address = until_listening(&data).await;
        Self { process, address, admin, data }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new key of a tenant.
    pub(super) async fn add_key(&self, tenant: &str) -> (String, String) {
        let body = json!({"tenant": tenant, "role": "member"});
        let key = call(&self.admin, self.address, ADMIN, reqwest::Method::POST, "add_key", body).await;
        let key = key.expect("a key");
        let text = |field: &str| key[field].as_str().expect("a text").to_owned();
        (text("access_key"), text("secret_key"))
    }

    /// Makes and deletes keys from other tasks.
    pub(super) fn administrator(&self) -> (reqwest::Client, SocketAddr, (&'static str, &'static str)) {
        (self.admin.clone(), self.address, ADMIN)
    }

    /// The resident memory of the process itself, in MiB.
    pub(super) fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The greatest resident memory so far, in MiB.
    pub(super) fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> u64 {
        let Some(id) = self.process.id() else { return 0 };
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or("0 kB");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
    }

    /// The bytes of an object of a `file` storage.
    pub(super) fn object(&self, key: &str) -> std::path::PathBuf {
        self.data.path().join("storage").join(key)
    }

    /// Stops it with SIGTERM; gives how it ended.
    pub(super) async fn stop(&mut self) -> String {
        if let Some(id) = self.process.id() {
            let pid = i32::try_from(id).ok().and_then(Pid::from_raw).expect("a process id");
            // it fails when the process has ended
            let _ = kill_process(pid, Signal::TERM);
        }
        match tokio::time::timeout(Duration::from_secs(120), self.process.wait()).await {
            Ok(status) => status.expect("it ends").to_string(),
            Err(_) => "still running two minutes after SIGTERM".to_owned(),
        }
    }

    /// What is to be known of the log.
    pub(super) fn read_log(&self, secrets: &[String]) -> Log {
        let file = fs::File::open(self.data.path().join("log")).expect("the log");
        let mut log = Log::default();
        for line in BufReader::new(file).split(b'\n') {
            log.read_line(&String::from_utf8_lossy(&line.expect("readable")), secrets);
        }
        log
    }
}

/// What the log says.
#[derive(Default)]
pub(crate) struct Log {
    pub(super) lines: u64,
    pub(super) panics: Vec<String>,
    /// The lines that hold a secret, without saying which.
    pub(super) secrets: Vec<String>,
    /// When the callback of which task was owed: the commit of the task's end.
    owed: HashMap<String, Timestamp>,
}

impl Log {
    fn read_line(&mut self, line: &str, secrets: &[String]) {
        self.lines += 1;
        if line.contains("panicked") {
            self.panics.push(line.to_owned());
        }
        if secrets.iter().any(|secret| line.contains(secret.as_str())) {
            self.secrets.push(line.to_owned());
        }
        if !line.contains("\"callback owed\"") {
            return;
        }
        let Ok(line) = serde_json::from_str::<Value>(line) else { return };
        let time =
            line["timestamp"].as_str().and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok());
        if let (Some(time), Some(task)) = (time, line["task_id"].as_str()) {
            self.owed.insert(task.to_owned(), Timestamp::from_millis(time.timestamp_millis()));
        }
    }

    /// From each task's end to the first byte of its callback.
    pub(super) fn callback_waits(&self, tasks: &[CustomerTask]) -> Vec<Duration> {
        let ends = tasks.iter().filter_map(|told| Some((told.at?, *self.owed.get(&told.task)?)));
        ends.map(|(at, owed)| at.since(owed)).collect()
    }
}

/// A call with a key; gives `data`, or what is wrong.
pub(super) async fn call(
    client: &reqwest::Client,
    server: SocketAddr,
    (access_key, secret_key): (&str, &str),
    method: reqwest::Method,
    path: &str,
    body: Value,
) -> Result<Value, String> {
    let request = client.request(method, format!("http://{server}/vodencoding/v1/{path}"));
    let answer = request.basic_auth(access_key, Some(secret_key)).body(body.to_string()).send().await;
    let text = match answer {
        Ok(answer) => answer.text().await.map_err(|error| format!("{path}: {error:?}"))?,
        Err(error) => return Err(format!("{path}: {error:?}")),
    };
    let mut envelope: Value = serde_json::from_str(&text).map_err(|_| format!("{path}: {text}"))?;
    if envelope["code"] == 0 { Ok(envelope["data"].take()) } else { Err(format!("{path}: {envelope}")) }
}

/// The time now, as the log has it.
pub(super) fn now() -> Timestamp {
    model::Clock::now(&SystemClock)
}

/// Asks the log where the server listens.
async fn until_listening(data: &TempDir) -> SocketAddr {
    loop {
        let log = fs::read_to_string(data.path().join("log")).unwrap_or_default();
        for line in log.lines() {
            match serde_json::from_str::<Value>(line) {
                Ok(line) if line["message"] == "listening" => {
                    return line["address"].as_str().and_then(|text| text.parse().ok()).expect("an address");
                }
                _ => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
