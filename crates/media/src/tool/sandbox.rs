//! The sandbox around a child, made of namespaces by bubblewrap: no network, nothing of the system but
//! read-only libraries, and its own work folder. It costs about 5 ms, and needs no root.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    time::Duration,
};

use model::ErrorCode;
use tokio::{process::Command, time::timeout};

use crate::{
    error::MediaError,
    settings::SandboxMode,
    tool::{child::Access, programs},
};

/// Folders that hold the libraries of dynamically linked programs.
const LIBRARY_FOLDERS: [&str; 6] = ["/usr", "/bin", "/lib", "/lib32", "/lib64", "/nix/store"];

/// How long the trial run may take.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(60);

/// How children are started.
#[derive(Clone, Debug)]
pub(crate) enum Sandbox {
    /// In bubblewrap.
    Bubblewrap {
        /// The program.
        bwrap: PathBuf,
        /// The arguments that are the same for every child.
        base: Vec<OsString>,
    },
    /// Without a sandbox, with limits alone.
    None {
        /// Why, as a sentence.
        reason: String,
    },
}

impl Sandbox {
    /// What the mode asks for and this machine can do: tried with a real run.
    ///
    /// # Errors
    /// When it is required and does not work here.
    pub(crate) async fn find(mode: SandboxMode, program: &Path) -> Result<Self, MediaError> {
        if mode == SandboxMode::Off {
            return Ok(Self::None { reason: "it is switched off".to_owned() });
        }
        match Self::bubblewrap(program).await {
            Ok(sandbox) => Ok(sandbox),
            Err(reason) if mode == SandboxMode::Required => Err(MediaError::new(
                ErrorCode::Internal,
                format!("the sandbox is required and does not work here: {reason}"),
            )),
            Err(reason) => Ok(Self::None { reason }),
        }
    }

    async fn bubblewrap(program: &Path) -> Result<Self, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let bwrap = std::env::split_paths(&path)
            .map(|folder| folder.join("bwrap"))
            .find(|bwrap| programs::is_program(bwrap))
            .ok_or("bubblewrap (`bwrap`) is not installed")?;
        let sandbox = Self::Bubblewrap { bwrap, base: base_options() };
        let mut trial = sandbox.command(program, &["-version".into()], &Access::default());
        let trial = trial.kill_on_drop(true).stdin(std::process::Stdio::null()).output();
        let output = timeout(TRIAL_TIMEOUT, trial)
            .await
            .map_err(|_| format!("its trial run took over {} s", TRIAL_TIMEOUT.as_secs()))?
            .map_err(|error| format!("bubblewrap does not start: {error}"))?;
        if output.status.success() {
            return Ok(sandbox);
        }
        let words = String::from_utf8_lossy(&output.stderr);
        Err(format!("bubblewrap said `{}` ({})", words.lines().next().unwrap_or_default(), output.status))
    }

    /// The command that runs a program inside.
    pub(crate) fn command(&self, program: &Path, args: &[OsString], access: &Access) -> Command {
        let mut command = match self {
            Self::None { .. } => {
                let mut command = Command::new(program);
                command.current_dir(access.writable.first().map_or(Path::new("/"), PathBuf::as_path));
                command
            }
            Self::Bubblewrap { bwrap, base } => {
                let mut command = Command::new(bwrap);
                command.args(base).args(binds(program, access)).arg("--").arg(program);
                command
            }
        };
        command.args(args).env_clear().env("LC_ALL", "C.UTF-8");
        command
    }

    /// Why children run without it; none when they run inside.
    pub(crate) fn missing(&self) -> Option<&str> {
        match self {
            Self::Bubblewrap { .. } => None,
            Self::None { reason } => Some(reason),
        }
    }
}

fn base_options() -> Vec<OsString> {
    let mut args: Vec<OsString> =
        ["--unshare-all", "--die-with-parent", "--cap-drop", "ALL", "--hostname", "sandbox"]
            .map(OsString::from)
            .to_vec();
    for folder in LIBRARY_FOLDERS.map(Path::new) {
        match folder.read_link() {
            Ok(target) => args.extend(["--symlink".into(), target.into(), folder.into()]),
            Err(_) => args.extend(same_path("--ro-bind-try", folder)),
        }
    }
    args.extend(same_path("--ro-bind-try", Path::new("/etc/ld.so.cache")));
    args.extend(["--dev".into(), "/dev".into()]);
    args
}

fn binds(program: &Path, access: &Access) -> Vec<OsString> {
    let mut args = Vec::new();
    if !LIBRARY_FOLDERS.iter().any(|folder| program.starts_with(folder)) {
        args.extend(same_path("--ro-bind", program));
    }
    // writable folders first: a readable file inside one of them stays read-only
    args.extend(access.writable.iter().flat_map(|path| same_path("--bind", path)));
    args.extend(access.readable.iter().flat_map(|path| same_path("--ro-bind", path)));
    let current = access.writable.first().map_or(OsStr::new("/"), |path| path.as_os_str());
    args.extend(["--chdir".into(), current.to_owned()]);
    args
}

/// A bind mount at the same path inside as outside.
fn same_path(option: &str, path: &Path) -> [OsString; 3] {
    [option.into(), path.into(), path.into()]
}

#[cfg(test)]
mod tests {
    use std::{fs, io, net::TcpListener};

    use tempfile::TempDir;

    use super::*;
    use crate::tool::programs::Programs;

    /// A sandbox as it must work where tests run; none without tools, which fails when `CI` is set.
    async fn sandbox() -> Option<(Sandbox, Programs)> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folder =
            std::env::var_os("BOREALIS_TOOLS").map_or_else(|| workspace.join(".tools"), PathBuf::from);
        let Ok(programs) = Programs::find(Some(&std::path::absolute(folder).expect("a path"))) else {
            println!("skipped: no tools");
            assert!(std::env::var_os("CI").is_none(), "the tools are absent");
            return None;
        };
        let sandbox = Sandbox::find(SandboxMode::Required, &programs.ffmpeg).await.expect("a sandbox");
        Some((sandbox, programs))
    }

    /// A folder with one file in it.
    fn folder() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "within").expect("written");
        (folder, file)
    }

    async fn said(mut command: Command) -> (bool, String) {
        let output = command.output().await.expect("started");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    #[tokio::test]
    async fn only_what_is_given_is_there() {
        let Some((sandbox, _)) = sandbox().await else { return };
        let ((read, file), (write, _), (_other, hidden)) = (folder(), folder(), folder());
        let access = Access { readable: vec![file.clone()], writable: vec![write.path().to_owned()] };
        let script = format!(
            "cat {}; pwd; echo new > new; echo more > {}; ls {} /etc/passwd /root /home",
            file.display(),
            file.display(),
            hidden.display()
        );
        let shell = sandbox.command(Path::new("/bin/sh"), &["-c".into(), script.into()], &access);
        let (well, words) = said(shell).await;
        assert!(!well, "{words}");
        assert_eq!(words, format!("within{}\n", write.path().display()));
        assert_eq!(fs::read_to_string(write.path().join("new")).expect("written"), "new\n");
        assert_eq!(fs::read_to_string(read.path().join("file")).expect("still there"), "within");
    }

    #[tokio::test]
    async fn there_is_no_network() {
        let Some((sandbox, programs)) = sandbox().await else { return };
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        listener.set_nonblocking(true).expect("set");
        let url = format!("tcp://{}", listener.local_addr().expect("an address"));
        let args: Vec<OsString> = ["-v", "quiet", "-i", &url].map(OsString::from).to_vec();
        let (well, _) = said(sandbox.command(&programs.ffmpeg, &args, &Access::default())).await;
        assert!(!well);
        assert_eq!(listener.accept().expect_err("nobody came").kind(), io::ErrorKind::WouldBlock);
    }

    #[tokio::test]
    async fn off_is_off() {
        let off = Sandbox::find(SandboxMode::Off, Path::new("/bin/sh")).await.expect("nothing to try");
        assert_eq!(off.missing(), Some("it is switched off"));
    }

    #[tokio::test]
    async fn what_does_not_run_is_not_required_in_silence() {
        let absent = Path::new("/absent/ffmpeg");
        let error = Sandbox::find(SandboxMode::Required, absent).await.expect_err("refused");
        assert!(error.detail.starts_with("the sandbox is required and does not work here"), "{error}");
        assert!(Sandbox::find(SandboxMode::Auto, absent).await.expect("without").missing().is_some());
    }
}
