//! Runs the program, and reads what it says.

use std::{
    env,
    process::{Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command},
};

pub(super) const ACCESS_KEY: &str = "tester";
pub(super) const SECRET_KEY: &str = "a secret of the tests";

/// The program with these arguments, and nothing of this shell's settings but where the tools are.
pub(super) fn borealis(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_borealis"));
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("BOREALIS_") && name != "BOREALIS_TOOLS" {
            command.env_remove(name);
        }
    }
    command
}

/// Runs it to its end.
pub(super) async fn run(mut command: Command) -> Said {
    Said::from(command.output().await.expect("the program runs"))
}

/// What a run came to.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("what it says is text");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Said {
    /// What a successful run printed.
    pub(super) fn printed(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// What a failed run said.
    pub(super) fn failed(self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        self.stderr
    }
}

/// A part of the program that stays until it is stopped.
pub(super) struct Staying {
    child: Child,
    pub(super) stdout: Lines<BufReader<ChildStdout>>,
    pub(super) stderr: Lines<BufReader<ChildStderr>>,
}

impl Staying {
    pub(super) fn start(mut command: Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let stderr = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        Self { child, stdout, stderr }
    }

    /// Reads standard error up to the first line that holds `word`.
    pub(super) async fn says(&mut self, word: &str) -> String {
        loop {
            let line = self.stderr.next_line().await.expect("readable").expect("it did not end");
            if line.contains(word) {
                return line;
            }
        }
    }

    /// The next line on standard output.
    pub(super) async fn prints(&mut self) -> String {
        self.stdout.next_line().await.expect("readable").expect("it did not end")
    }

    /// Stops it as an operator would; gives the exit code and what it printed since.
    pub(super) async fn stop(mut self) -> (Option<i32>, String) {
        let id = self.child.id().expect("it still runs");
        let pid = Pid::from_raw(i32::try_from(id).expect("a process id")).expect("not zero");
        kill_process(pid, Signal::TERM).expect("it takes signals");
        let mut rest = String::new();
        while let Some(line) = self.stdout.next_line().await.expect("readable") {
            rest += &format!("{line}\n");
        }
        (self.child.wait().await.expect("it ends").code(), rest)
    }
}

/// A server with a data directory of its own, which listens on a port that was free.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) data: TempDir,
    running: Staying,
}

impl Server {
    /// Starts it, and waits until it says where it listens.
    pub(super) async fn start(flags: &[&str]) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let mut command = borealis(&["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]);
        command
            .arg("--data-dir")
            .arg(data.path())
            .args(flags)
            .env("BOREALIS_ALLOW_NETWORKS", "127.0.0.0/8")
            .env("BOREALIS_ACCESS_KEY", ACCESS_KEY)
            .env("BOREALIS_SECRET_KEY", SECRET_KEY);
        let mut running = Staying::start(command);
        let line: Value = serde_json::from_str(&running.says("listening").await).expect("a line of JSON");
        let address = line["address"].as_str().expect("an address");
        Self { url: format!("http://{address}"), data, running }
    }

    /// A subcommand that asks this server.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = borealis(args);
        command
            .env("BOREALIS_SERVER", &self.url)
            .env("BOREALIS_ACCESS_KEY", ACCESS_KEY)
            .env("BOREALIS_SECRET_KEY", SECRET_KEY);
        command
    }

    /// What a subcommand that asks this server comes to.
    pub(super) async fn ask(&self, args: &[&str]) -> Said {
        run(self.command(args)).await
    }

    /// The data that a subcommand prints as JSON.
    pub(super) async fn data(&self, args: &[&str]) -> Value {
        let printed = self.ask(&[args, &["--output", "json"]].concat()).await.printed();
        serde_json::from_str(&printed).expect("JSON")
    }

    /// Adds a `file` storage; gives its id and the secret that was made for it.
    pub(super) async fn add_storage(&self, bucket: &str, notify: &str) -> (String, String) {
        let add = ["storage", "add", "--bucket", bucket, "--notify", notify, "--notify-interval", "1"];
        let added = self.data(&add).await;
        let text = |field: &str| added[field].as_str().expect("a text").to_owned();
        (text("storage_id"), text("notify_secret"))
    }

    pub(super) async fn stop(self) {
        assert_eq!(self.running.stop().await.0, Some(0));
    }
}
