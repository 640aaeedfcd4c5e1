//! Runs the program `borealis` as a child process, and reads its output.

use std::{
    env,
    path::Path,
    process::{Output, Stdio},
    sync::{Arc, Mutex},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command},
    sync::mpsc,
};

pub(crate) const ACCESS_KEY: &str = "tester";
pub(crate) const SECRET_KEY: &str = "a secret of the tests";

/// The program with these arguments, without this shell's settings but for the folder of the tools.
pub(crate) fn borealis(args: &[&str]) -> Command {
    borealis_started_by(&[], args)
}

/// As [`borealis`], started by another program that ends in `exec "$@"`.
pub(crate) fn borealis_started_by(starter: &[&str], args: &[&str]) -> Command {
    let mut words = starter.iter().chain([&env!("CARGO_BIN_EXE_borealis")]).chain(args);
    let mut command = Command::new(words.next().expect("the program itself"));
    command.args(words).stdin(Stdio::null()).kill_on_drop(true);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("BOREALIS_") && name != "BOREALIS_TOOLS" {
            command.env_remove(name);
        }
    }
    command
}

/// Runs it to its end.
pub(crate) async fn run(mut command: Command) -> ProgramOutput {
    ProgramOutput::from(command.output().await.expect("the program runs"))
}

/// How a run ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct ProgramOutput {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for ProgramOutput {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("its output is text");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl ProgramOutput {
    /// The standard output of a run that succeeded; fails when it did not.
    pub(crate) fn expect_success(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// The standard error of a run that ended with 1; fails when it did not.
    pub(crate) fn expect_failure(self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        self.stderr
    }
}

/// A run that goes on until it is stopped.
pub(crate) struct RunningProgram {
    child: Child,
    stdout: Option<Lines<BufReader<ChildStdout>>>,
    stderr: Option<Lines<BufReader<ChildStderr>>>,
}

impl RunningProgram {
    pub(crate) fn start(command: Command) -> Self {
        let mut this = Self::start_with_stdout(command, Stdio::piped());
        this.stdout = this.child.stdout.take().map(|stdout| BufReader::new(stdout).lines());
        this
    }

    /// As [`RunningProgram::start`], with its standard output going elsewhere.
    pub(crate) fn start_with_stdout(mut command: Command, stdout: Stdio) -> Self {
        let mut child = command.stdout(stdout).stderr(Stdio::piped()).spawn().expect("the program starts");
        let stderr = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        Self { child, stdout: None, stderr: Some(stderr) }
    }

    /// Reads standard error up to the first line with `word`; gives that line.
    pub(crate) async fn wait_for_error_line(&mut self, word: &str) -> String {
        loop {
            let stderr = self.stderr.as_mut().expect("it is open");
            let line = stderr.next_line().await.expect("readable").expect("it did not end");
            if line.contains(word) {
                return line;
            }
        }
    }

    /// Closes its standard error: nobody reads it any more.
    pub(crate) fn close_stderr(&mut self) {
        self.stderr = None;
    }

    /// The next line on standard output.
    pub(crate) async fn next_line(&mut self) -> String {
        let stdout = self.stdout.as_mut().expect("it is piped");
        stdout.next_line().await.expect("readable").expect("it did not end")
    }

    /// Stops it with SIGTERM; gives the exit code, and what was left on standard output.
    pub(crate) async fn stop(mut self) -> (Option<i32>, String) {
        terminate(&self.child);
        let mut rest = String::new();
        if let Some(stdout) = &mut self.stdout {
            while let Some(line) = stdout.next_line().await.expect("readable") {
                rest += &format!("{line}\n");
            }
        }
        (self.child.wait().await.expect("it ends").code(), rest)
    }
}

/// A server with a data directory of its own, which listens on a port that was free.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) data: TempDir,
    process: Child,
    /// The lines of its log, as they come.
    lines: mpsc::UnboundedReceiver<String>,
    log: Log,
}

/// The log of a server so far.
type Log = Arc<Mutex<String>>;

/// Credentials of the host, with which no storage may ever be opened.
const HOST_CREDENTIALS: &[(&str, &str)] = &[
    ("AWS_ACCESS_KEY_ID", "AKIAOFTHEHOST"),
    ("AWS_SECRET_ACCESS_KEY", "secret-of-the-host"),
    ("AWS_SESSION_TOKEN", "token-of-the-host"),
    ("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAIOFTHEHOST"),
    ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret-of-the-host"),
    ("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0LW9mLXRoZS1ob3N0"),
];

impl Server {
    /// Starts it, and waits until it says where it listens.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        Self::start_in(data, &[], flags).await
    }

    /// As [`Server::start`], but SIGXFSZ is ignored: writes beyond a limit of the size of files fail with an
    /// error and do not kill the server.
    pub(crate) async fn start_under_limits(flags: &[&str]) -> Self {
        let starter = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];
        Self::start_in(tempfile::tempdir().expect("a folder"), &starter, flags).await
    }

    /// As [`Server::start`], with a disk (tmpfs) of this size, such as `64m`, for its work folders. Only the
    /// server sees the disk, which ends with it. It takes root.
    pub(crate) async fn start_on_a_small_disk(size: &str, flags: &[&str]) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let work = data.path().join("work");
        std::fs::create_dir(&work).expect("a folder");
        let mount = format!("mount -t tmpfs -o size={size} tmpfs '{}' && exec \"$@\"", work.display());
        Self::start_in(data, &["unshare", "--mount", "sh", "-c", &mount, "sh"], flags).await
    }

    async fn start_in(data: TempDir, starter: &[&str], flags: &[&str]) -> Self {
        let log = Log::default();
        let (process, url, lines) = serve(starter, data.path(), flags, &log).await;
        Self { url, data, process, lines, log }
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }

    /// Kills it (SIGKILL).
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.expect("it runs");
    }

    /// Starts it again over the same data, on another port.
    pub(crate) async fn restart(&mut self, flags: &[&str]) {
        (self.process, self.url, self.lines) = serve(&[], self.data.path(), flags, &self.log).await;
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> Pid {
        let id = self.process.id().expect("it still runs");
        Pid::from_raw(i32::try_from(id).expect("a process id")).expect("not zero")
    }

    /// Waits until it logs a line with `words`; gives that line.
    pub(crate) async fn wait_for_log(&mut self, words: &str) -> String {
        loop {
            let line = self.lines.recv().await.expect("it did not end");
            if line.contains(words) {
                return line;
            }
        }
    }

    /// A subcommand that calls this server, with the administrator's key.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = borealis(args);
        command
            .env("BOREALIS_SERVER", &self.url)
            .env("BOREALIS_ACCESS_KEY", ACCESS_KEY)
            .env("BOREALIS_SECRET_KEY", SECRET_KEY);
        command
    }

    /// Runs a subcommand that calls this server.
    pub(crate) async fn run_command(&self, args: &[&str]) -> ProgramOutput {
        run(self.command(args)).await
    }

    /// Runs a subcommand that calls this server; gives the JSON that it prints.
    pub(crate) async fn run_json_command(&self, args: &[&str]) -> Value {
        let printed = self.run_command(&[args, &["--output", "json"]].concat()).await.expect_success();
        serde_json::from_str(&printed).expect("JSON")
    }

    /// Adds a `file` storage; gives its id and the secret that was made for it.
    pub(crate) async fn add_storage(&self, bucket: &str, notify: &str) -> (String, String) {
        let add = ["storage", "add", "--bucket", bucket, "--notify", notify, "--notify-interval", "1"];
        let added = self.run_json_command(&add).await;
        let text = |field: &str| added[field].as_str().expect("a text").to_owned();
        (text("storage_id"), text("notify_secret"))
    }

    /// Stops it with SIGTERM; fails unless it ends with 0.
    pub(crate) async fn stop(mut self) {
        terminate(&self.process);
        assert_eq!(self.process.wait().await.expect("it ends").code(), Some(0));
    }
}

/// Starts a server; gives its process, its URL and the lines of its log. They are kept in `kept`, too, and
/// go on to the test's own output.
async fn serve(
    starter: &[&str],
    data: &Path,
    flags: &[&str],
    kept: &Log,
) -> (Child, String, mpsc::UnboundedReceiver<String>) {
    let mut command =
        borealis_started_by(starter, &["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]);
    command
        .arg("--data-dir")
        .arg(data)
        .args(flags)
        .env("BOREALIS_ALLOW_NETWORKS", "127.0.0.0/8")
        .env("BOREALIS_ACCESS_KEY", ACCESS_KEY)
        .env("BOREALIS_SECRET_KEY", SECRET_KEY)
        .envs(HOST_CREDENTIALS.iter().copied())
        .stderr(Stdio::piped());
    let keep = |log: &Log, line: &str| {
        println!("{line}");
        let mut log = log.lock().expect("no panic");
        log.push_str(line);
        log.push('\n');
    };
    let mut process = command.spawn().expect("the program starts");
    let mut log = BufReader::new(process.stderr.take().expect("it is piped")).lines();
    let url = loop {
        let line = log.next_line().await.expect("readable").expect("it did not end");
        keep(kept, &line);
        match serde_json::from_str::<Value>(&line) {
            Ok(line) if line["message"] == "listening" => {
                break format!("http://{}", line["address"].as_str().expect("an address"));
            }
            _ => {}
        }
    };
    let (lines, logged) = mpsc::unbounded_channel();
    let kept = Arc::clone(kept);
    tokio::spawn(async move {
        while let Ok(Some(line)) = log.next_line().await {
            keep(&kept, &line);
            // it fails when the test does not read them any more
            let _ = lines.send(line);
        }
    });
    (process, url, logged)
}

fn terminate(process: &Child) {
    let id = process.id().expect("it still runs");
    let pid = Pid::from_raw(i32::try_from(id).expect("a process id")).expect("not zero");
    kill_process(pid, Signal::TERM).expect("it takes signals");
}
