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
use url::Url;

use super::{Client, folder::Folder};

/// How long the server may take to start, and to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. It is killed when this is dropped.
pub(super) struct Server {
    child: Child,
    /// Its address.
    pub(super) url: Url,
    /// Calls it as its first administrator.
    pub(super) client: Client,
}

impl Server {
    /// Starts it on a free port, and waits until it is ready.
    pub(super) async fn start(folder: &Folder, tools: &media::Tools) -> super::super::Result<Self> {
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
        let url: Url = format!("http://127.0.0.1:{port}").parse()?;
        let client = Client::new(url.clone(), "demo".to_owned(), secret_key)?;
        let mut server = Self { child: command.spawn()?, url, client };
        server.wait_until_ready().await?;
        Ok(server)
    }

    async fn wait_until_ready(&mut self) -> super::super::Result {
        let ready = async {
            while !self.client.is_ready().await {
                sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            status = self.child.wait() => Err(format!("the server ended at its start: {}", status?).into()),
            ready = timeout(PATIENCE, ready) => {
                ready.map_err(|_| format!("the server was not ready after {} s", PATIENCE.as_secs()).into())
            }
        }
    }

    /// Asks it to stop, and waits until it did.
    pub(super) async fn stop(mut self) -> super::super::Result {
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

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
