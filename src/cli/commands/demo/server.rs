//! The demo's server: this program as a child process, as users run it, with settings of its own.

use std::{
    env,
    net::{Ipv4Addr, TcpListener},
    process::Stdio,
    time::Duration,
};

use model::Secret;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

use super::folder::DemoFolder;
use crate::cli::{self, client::ApiClient};

/// How long the server may take to start, and to stop.
const SERVER_TIMEOUT: Duration = Duration::from_secs(60);

/// From one look whether the server is ready to the next.
const READY_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A server process. It is killed when this is dropped.
pub(super) struct DemoServer {
    child: Child,
}

impl DemoServer {
    /// Starts the server on a free port; gives a client with its first administrator's key, too.
    pub(super) fn spawn(folder: &DemoFolder, tools: &media::Programs) -> cli::Result<(Self, ApiClient)> {
        let port = free_port()?;
        let secret_key = Secret::new(format!("{:032x}", rand::random::<u128>()));
        let log = folder.create_log()?;
        let mut command = Command::new(env::current_exe()?);
        command
            .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data-dir"])
            .arg(folder.path())
            // the `borealis.toml` of the current folder is not meant for it, nor the variables removed below
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // a process group of its own: Ctrl-C reaches only the demo, which then ends its server
            .process_group(0)
            .kill_on_drop(true);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("BOREALIS_") {
                command.env_remove(name);
            }
        }
        command
            .env("BOREALIS_ACCESS_KEY", "demo")
            .env("BOREALIS_SECRET_KEY", secret_key.expose())
            .env("BOREALIS_ALLOW_NETWORKS", "127.0.0.0/8");
        if let Some(folder) = tools.ffmpeg.parent() {
            command.env("BOREALIS_TOOLS", std::path::absolute(folder)?);
        }
        let client =
            ApiClient::new(format!("http://127.0.0.1:{port}").parse()?, "demo".to_owned(), secret_key)?;
        Ok((Self { child: command.spawn()? }, client))
    }

    /// Waits until the server has ended by itself, which is an error.
    pub(super) async fn unexpected_end(&mut self) -> cli::Result {
        let status = self.child.wait().await?;
        Err(format!("the server ended too early: {status}").into())
    }

    /// Kills the server, unless it has ended already.
    pub(super) async fn kill(mut self) -> cli::Result {
        if self.child.id().is_some() {
            self.child.kill().await?;
        }
        Ok(())
    }

    /// Asks the server to stop (SIGTERM), and waits until it has.
    pub(super) async fn stop(mut self) -> cli::Result {
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        match timeout(SERVER_TIMEOUT, self.child.wait()).await {
            Ok(status) if status.as_ref().is_ok_and(std::process::ExitStatus::success) => Ok(()),
            Ok(status) => Err(format!("the server did not stop well: {}", status?).into()),
            Err(_) => Err(format!("the server did not stop within {} s", SERVER_TIMEOUT.as_secs()).into()),
        }
    }
}

/// Waits until the server of this client is ready.
pub(super) async fn wait_until_ready(client: &ApiClient) -> cli::Result {
    let ready = async {
        while !client.is_ready().await {
            sleep(READY_POLL_INTERVAL).await;
        }
    };
    timeout(SERVER_TIMEOUT, ready)
        .await
        .map_err(|_| format!("the server was not ready after {} s", SERVER_TIMEOUT.as_secs()).into())
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
