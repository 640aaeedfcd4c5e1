//! The demo's server: this same program as a child, as users run it, with settings of its own.

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

use super::{Client, folder::Folder};

/// How long the server may take to start, and to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server process. It is killed when this is dropped.
pub(super) struct Server {
    child: Child,
}

impl Server {
    /// Starts it on a free port; with it comes a client of its first administrator.
    pub(super) fn spawn(folder: &Folder, tools: &media::Tools) -> crate::cli::Result<(Self, Client)> {
        let port = free_port()?;
        let secret_key = Secret::new(format!("{:032x}", rand::random::<u128>()));
        let log = folder.create_log()?;
        let mut command = Command::new(env::current_exe()?);
        command
            .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data-dir"])
            .arg(folder.path())
            // neither the settings of this shell nor the `borealis.toml` of this folder are meant for it
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is for the demo, which then ends its server
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
        let client = Client::new(format!("http://127.0.0.1:{port}").parse()?, "demo".to_owned(), secret_key)?;
        Ok((Self { child: command.spawn()? }, client))
    }

    /// Waits until it ended by itself; gives why that is wrong.
    pub(super) async fn ended(&mut self) -> crate::cli::Result {
        let status = self.child.wait().await?;
        Err(format!("the server ended too early: {status}").into())
    }

    /// Ends it at once, unless it ended already.
    pub(super) async fn kill(mut self) -> crate::cli::Result {
        if self.child.id().is_some() {
            self.child.kill().await?;
        }
        Ok(())
    }

    /// Asks it to stop, and waits until it did.
    pub(super) async fn stop(mut self) -> crate::cli::Result {
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(status) if status.as_ref().is_ok_and(std::process::ExitStatus::success) => Ok(()),
            Ok(status) => Err(format!("the server did not stop well: {}", status?).into()),
            Err(_) => Err(format!("the server did not stop within {} s", PATIENCE.as_secs()).into()),
        }
    }
}

/// Waits until the server of this client is ready.
pub(super) async fn ready(client: &Client) -> crate::cli::Result {
    let ready = async {
        while !client.is_ready().await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, ready)
        .await
        .map_err(|_| format!("the server was not ready after {} s", PATIENCE.as_secs()).into())
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
