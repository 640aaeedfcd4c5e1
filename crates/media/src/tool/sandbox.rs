//! The sandbox around a child, made of namespaces by bubblewrap: no network, no processes but its own, nothing of
//! the system but read-only libraries, one folder for its output, and no system calls that no media tool makes
//! ([`seccomp`]). It costs about 5 ms, and needs no root.

use std::{
    ffi::OsString,
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use model::ErrorCode;
use tokio::{process::Command, time::timeout};

use crate::{
    error::MediaError,
    settings::{ResourceLimits, SandboxMode},
    tool::{
        child::{Access, Child},
        programs, seccomp,
        spawn::Launch,
    },
};

/// Folders that hold the libraries of dynamically linked programs.
const LIBRARY_FOLDERS: [&str; 6] = ["/usr", "/bin", "/lib", "/lib32", "/lib64", "/nix/store"];

/// How long the trial run may take.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes that it may write.
const MAX_TRIAL_BYTES: usize = 1 << 20;

/// No program inside makes a user namespace, in which it would have capabilities again.
const NO_USER_NAMESPACES: [&str; 2] = ["--unshare-user", "--disable-userns"];

/// How children are started.
#[derive(Clone, Debug)]
pub(crate) enum Sandbox {
    /// In bubblewrap.
    Bubblewrap {
        /// The program.
        bwrap: PathBuf,
        /// The arguments that are the same for every child.
        base: Vec<OsString>,
        /// Folders and files that are empty inside.
        hidden: Vec<PathBuf>,
    },
    /// Without a sandbox, with limits alone.
    None {
        /// Why, as a sentence.
        reason: String,
    },
}

impl Sandbox {
    /// What the mode asks for and this machine can do: tried with a real run. Children see nothing of
    /// `hidden`.
    ///
    /// # Errors
    /// When it is required and does not work here.
    pub(crate) async fn find(
        mode: SandboxMode,
        program: &Path,
        hidden: &[PathBuf],
    ) -> Result<Self, MediaError> {
        if mode == SandboxMode::Off {
            return Ok(Self::None { reason: "it is switched off".to_owned() });
        }
        match Self::bubblewrap(program, hidden).await {
            Ok(sandbox) => Ok(sandbox),
            Err(reason) if mode == SandboxMode::Required => Err(MediaError::new(
                ErrorCode::Internal,
                format!("the sandbox is required and does not work here: {reason}"),
            )),
            Err(reason) => Ok(Self::None { reason }),
        }
    }

    async fn bubblewrap(program: &Path, hidden: &[PathBuf]) -> Result<Self, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let bwrap = std::env::split_paths(&path)
            .map(|folder| folder.join("bwrap"))
            .find(|bwrap| programs::is_program(bwrap))
            .ok_or("bubblewrap (`bwrap`) is not installed")?;
        let hidden = hidden.iter().filter_map(|path| path.canonicalize().ok()).filter(|path| is_shown(path));
        let hidden: Vec<PathBuf> = hidden.collect();
        let sandbox = |options: &[&str]| Self::Bubblewrap {
            bwrap: bwrap.clone(),
            base: base_options(options, &hidden),
            hidden: hidden.clone(),
        };
        let strict = sandbox(&NO_USER_NAMESPACES);
        let Err(problem) = strict.try_run(program).await else { return Ok(strict) };
        // before 0.8, and where /proc/sys cannot be written to; the filter of system calls denies them too
        let plain = sandbox(&[]);
        plain.try_run(program).await?;
        tracing::info!("bubblewrap cannot switch user namespaces off here: {problem}");
        Ok(plain)
    }

    /// Runs the program in it.
    async fn try_run(&self, program: &Path) -> Result<(), String> {
        let trial = async {
            let launch = self.launch(program, &["-version".into()], &Access::default())?;
            let limits = ResourceLimits::default();
            Child::start(launch, None, limits).await?.lines(Some(MAX_TRIAL_BYTES), |_| {}).await
        };
        let ended = timeout(TRIAL_TIMEOUT, trial)
            .await
            .map_err(|_| format!("its trial run took over {} s", TRIAL_TIMEOUT.as_secs()))?
            .map_err(|error| format!("bubblewrap does not start: {error}"))?;
        if ended.status.success() {
            return Ok(());
        }
        let words = ended.stderr_tail.lines().next().unwrap_or_default();
        Err(format!("bubblewrap said `{words}` ({})", ended.status))
    }

    /// How a program is started inside.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub(crate) fn launch(&self, program: &Path, args: &[OsString], access: &Access) -> io::Result<Launch> {
        let (mut command, inherited) = match self {
            Self::None { .. } => {
                let mut command = Command::new(program);
                command.current_dir(access.current_dir());
                (command, None)
            }
            Self::Bubblewrap { bwrap, base, hidden } => {
                let mut command = Command::new(bwrap);
                command.args(base);
                if !is_shown(program) || hidden.iter().any(|path| program.starts_with(path)) {
                    command.args(same_path("--ro-bind", program));
                }
                command.args(binds(access));
                let filter = seccomp::pipe()?;
                if let Some(filter) = &filter {
                    command.arg("--seccomp").arg(filter.as_raw_fd().to_string());
                }
                command.arg("--").arg(program);
                (command, filter.map(OwnedFd::from))
            }
        };
        command.args(args).env_clear().env("LC_ALL", "C.UTF-8");
        Ok(Launch { command, inherited })
    }

    /// Why children run without it; none when they run inside.
    pub(crate) fn missing(&self) -> Option<&str> {
        match self {
            Self::Bubblewrap { .. } => None,
            Self::None { reason } => Some(reason),
        }
    }
}

/// Whether the sandbox shows what lies there.
fn is_shown(path: &Path) -> bool {
    LIBRARY_FOLDERS.iter().any(|folder| path.starts_with(folder))
}

fn base_options(options: &[&str], hidden: &[PathBuf]) -> Vec<OsString> {
    let mut args: Vec<OsString> =
        ["--unshare-all", "--die-with-parent", "--cap-drop", "ALL", "--hostname", "sandbox"]
            .iter()
            .chain(options)
            .map(OsString::from)
            .collect();
    for folder in LIBRARY_FOLDERS.map(Path::new) {
        match folder.read_link() {
            Ok(target) => args.extend(["--symlink".into(), target.into(), folder.into()]),
            Err(_) => args.extend(same_path("--ro-bind-try", folder)),
        }
    }
    args.extend(same_path("--ro-bind-try", Path::new("/etc/ld.so.cache")));
    args.extend(["--dev", "/dev", "--remount-ro", "/dev"].map(OsString::from));
    for path in hidden {
        if path.is_dir() {
            args.extend(["--tmpfs".into(), path.into()]);
        } else {
            args.extend(["--ro-bind".into(), "/dev/null".into(), path.into()]);
        }
    }
    args
}

fn binds(access: &Access) -> Vec<OsString> {
    let mut args = Vec::new();
    // writable folders first: a readable file inside one of them stays read-only
    args.extend(access.writable.iter().flat_map(|path| same_path("--bind", path)));
    args.extend(access.readable.iter().flat_map(|path| same_path("--ro-bind", path)));
    // the root itself is memory, which nobody would count
    args.extend(["--remount-ro", "/"].map(OsString::from));
    args.extend(["--chdir".into(), access.current_dir().into()]);
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
        let sandbox = Sandbox::find(SandboxMode::Required, &programs.ffmpeg, &[]).await.expect("a sandbox");
        Some((sandbox, programs))
    }

    /// A folder with one file in it.
    fn folder() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "within").expect("written");
        (folder, file)
    }

    /// What a program inside writes, and whether it ends well.
    async fn run(sandbox: &Sandbox, program: &Path, args: &[OsString], access: &Access) -> (bool, String) {
        let launch = sandbox.launch(program, args, access).expect("a filter");
        let mut child = Child::start(launch, None, ResourceLimits::default()).await.expect("started");
        let mut written = Vec::new();
        let ended = child.lines(None, |line| written.extend_from_slice(line)).await.expect("read");
        (ended.status.success(), String::from_utf8_lossy(&written).into_owned())
    }

    async fn run_shell(sandbox: &Sandbox, script: &str, access: &Access) -> (bool, String) {
        run(sandbox, Path::new("/bin/sh"), &["-c".into(), script.into()], access).await
    }

    #[tokio::test]
    async fn only_what_is_given_is_there() {
        let Some((sandbox, _)) = sandbox().await else { return };
        let ((read, file), (write, _), (_other, hidden)) = (folder(), folder(), folder());
        let write = write.path();
        let access = Access {
            readable: vec![file.clone()],
            writable: vec![write.to_owned()],
            current: Some(write.to_owned()),
        };
        let script = format!(
            "cat {}; pwd; echo new > new; echo more > {}; ls {} /etc/passwd /root /home /proc /sys /run /tmp/*",
            file.display(),
            file.display(),
            hidden.display()
        );
        let (well, words) = run_shell(&sandbox, &script, &access).await;
        assert!(!well, "{words}");
        let (before, after) = words.split_once('\n').expect("lines");
        assert_eq!(before, format!("within{}", write.display()));
        // what is listed of /tmp is what was given
        assert!(!after.contains(&hidden.display().to_string()), "{after}");
        assert_eq!(fs::read_to_string(write.join("new")).expect("written"), "new\n");
        assert_eq!(fs::read_to_string(read.path().join("file")).expect("still there"), "within");
    }

    /// `NAME=value` for each variable, and a line for each thing that should not work and does.
    const WAYS_OUT: &str = "env; cd $0 || echo no folder
        ln -s /etc/passwd link 2>/dev/null && echo a symbolic link
        ln file second 2>/dev/null && echo a hard link
        mkfifo pipe 2>/dev/null && echo a pipe
        mknod device c 1 3 2>/dev/null && echo a device
        unshare -U true 2>/dev/null && echo a user namespace
        unshare -m true 2>/dev/null && echo a mount namespace
        mount -t tmpfs none /usr 2>/dev/null && echo a mount
        echo > /new 2>/dev/null && echo a file in the root
        echo > /dev/shm/new 2>/dev/null && echo a file in memory
        kill -0 2 2>/dev/null && [ $$ != 2 ] && echo another process
        true";

    #[tokio::test]
    async fn there_is_no_way_out() {
        let Some((sandbox, _)) = sandbox().await else { return };
        let (write, _file) = folder();
        let writable = vec![write.path().to_owned()];
        let access = Access { writable, ..Access::default() };
        let args = ["-c".into(), WAYS_OUT.into(), write.path().into()];
        let (well, words) = run(&sandbox, Path::new("/bin/sh"), &args, &access).await;
        let shells_own =
            |line: &&str| !["PWD=", "OLDPWD=", "_=", "SHLVL="].iter().any(|own| line.starts_with(own));
        let words: Vec<&str> = words.lines().filter(shells_own).collect();
        assert_eq!((well, words.as_slice()), (true, ["LC_ALL=C.UTF-8"].as_slice()));
    }

    #[test]
    fn what_is_hidden_is_empty_where_it_would_be_shown() {
        let args = base_options(&[], &["/usr/share".into(), "/usr/bin/env".into()]);
        let text = args.iter().map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ");
        assert!(text.ends_with("--tmpfs /usr/share --ro-bind /dev/null /usr/bin/env"), "{text}");
    }

    #[tokio::test]
    async fn there_is_no_network() {
        let Some((sandbox, programs)) = sandbox().await else { return };
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        listener.set_nonblocking(true).expect("set");
        let url = format!("tcp://{}", listener.local_addr().expect("an address"));
        let args: Vec<OsString> = ["-v", "quiet", "-i", &url].map(OsString::from).to_vec();
        let (well, _) = run(&sandbox, &programs.ffmpeg, &args, &Access::default()).await;
        assert!(!well);
        assert_eq!(listener.accept().expect_err("nobody came").kind(), io::ErrorKind::WouldBlock);
    }

    #[tokio::test]
    async fn off_is_off() {
        let off = Sandbox::find(SandboxMode::Off, Path::new("/bin/sh"), &[]).await.expect("nothing to try");
        assert_eq!(off.missing(), Some("it is switched off"));
    }

    #[tokio::test]
    async fn what_does_not_run_is_not_required_in_silence() {
        let absent = Path::new("/absent/ffmpeg");
        let error = Sandbox::find(SandboxMode::Required, absent, &[]).await.expect_err("refused");
        assert!(error.detail.starts_with("the sandbox is required and does not work here"), "{error}");
        assert!(Sandbox::find(SandboxMode::Auto, absent, &[]).await.expect("without").missing().is_some());
    }
}
