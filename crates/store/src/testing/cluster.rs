//! PostgreSQL clusters for tests: the one that test processes share, and those that a test has for
//! itself. PostgreSQL refuses to run as root, so that for root it runs as nobody.

use std::{
    fs::{self, File},
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

const NOBODY: u32 = 65534;

/// Nothing is kept, so nothing is made durable.
const SHARED: &str = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=400 \
    -c shared_buffers=32MB";

/// The URL of the cluster, which is started when it does not run.
pub(super) fn url() -> String {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(Cluster::join);
    cluster.server.url()
}

/// A cluster that nobody else uses, with the settings of a new installation: what is committed is on
/// the disk. Stopped and removed when dropped.
#[derive(Debug)]
pub struct OwnCluster(Server);

impl OwnCluster {
    /// Makes one and starts it.
    ///
    /// # Panics
    /// When that is not possible.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder").keep();
        let server = Server::of(folder, "");
        server.init();
        server.start();
        Self(server)
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// Stops it, whatever its clients are at.
    ///
    /// # Panics
    /// When it does not run.
    pub fn stop(&self) {
        run(self.0.control().args(["stop", "-w", "-m", "fast"]));
    }

    /// Starts it again.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&self) {
        self.0.start();
    }

    /// The id of its first process, whose children are the others.
    ///
    /// # Panics
    /// When it does not run.
    pub fn process(&self) -> u32 {
        let file = fs::read_to_string(self.0.data().join("postmaster.pid")).expect("it runs");
        file.lines().next().and_then(|id| id.parse().ok()).expect("a process id")
    }
}

impl Drop for OwnCluster {
    fn drop(&mut self) {
        // only tidiness
        let _ = self.0.control().args(["stop", "-w", "-m", "immediate"]).status();
        let _ = fs::remove_dir_all(&self.0.folder);
    }
}

struct Cluster {
    server: Server,
    /// Locked as long as this process lives: the watchdog's sign of use.
    _in_use: File,
}

impl Cluster {
    fn join() -> Self {
        let folder = std::env::temp_dir().join(format!("borealis-test-postgres-{}", user()));
        fs::create_dir_all(&folder).expect("a folder for the cluster");
        let server = Server::of(folder, SHARED);
        let open = |name| {
            let path = server.folder.join(name);
            let file = File::options().create(true).append(true).open(&path).expect("a lock file");
            server.give_away(&path);
            file
        };
        let (lock, in_use) = (open("lock"), open("in-use"));
        lock.lock().expect("the lock");
        in_use.lock_shared().expect("the shared lock");
        if !server.is_ready() {
            server.init();
            server.start();
            server.watch();
        }
        Self { server, _in_use: in_use }
    }
}

fn user() -> u32 {
    fs::metadata("/proc/self").expect("the process's own folder").uid()
}

#[derive(Debug)]
struct Server {
    programs: PathBuf,
    folder: PathBuf,
    /// As options of the server's program.
    settings: &'static str,
    root: bool,
}

impl Server {
    fn of(folder: PathBuf, settings: &'static str) -> Self {
        Self { programs: programs(), folder, settings, root: user() == 0 }
    }

    fn url(&self) -> String {
        let folder = self.folder.to_str().expect("a plain temporary folder");
        let socket: String = url::form_urlencoded::byte_serialize(folder.as_bytes()).collect();
        format!("postgres://postgres@localhost/postgres?host={socket}")
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn is_ready(&self) -> bool {
        let mut ready = self.command(self.programs.join("pg_isready"));
        ready.arg("-q").arg("-h").arg(&self.folder).status().is_ok_and(|status| status.success())
    }

    /// To whom the server runs as.
    fn give_away(&self, path: &Path) {
        if self.root {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("root may give files away");
        }
    }

    fn init(&self) {
        self.give_away(&self.folder);
        if self.data().exists() {
            fs::remove_dir_all(self.data()).expect("what a killed cluster left can be removed");
        }
        let mut initdb = self.command(self.programs.join("initdb"));
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"]);
        run(initdb.arg(self.data()));
    }

    fn start(&self) {
        let options = format!("-k {} -c listen_addresses= {}", self.folder.display(), self.settings);
        run(self.control().args(["start", "-w", "-o", &options, "-l", "log"]));
    }

    #[expect(clippy::zombie_processes, reason = "the watchdog outlives this process")]
    fn watch(&self) {
        let mut watchdog = self.command("sh");
        watchdog.args(["-c", include_str!("watchdog.sh"), "watchdog"]);
        watchdog.arg(&self.programs).arg(&self.folder).process_group(0);
        watchdog.spawn().expect("a shell");
    }

    fn control(&self) -> Command {
        let mut control = self.command(self.programs.join("pg_ctl"));
        control.arg("-D").arg(self.data());
        control
    }

    /// A program run as who may run PostgreSQL, in the cluster's folder.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = if self.root {
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")]);
            command.arg("--clear-groups").arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

fn run(command: &mut Command) {
    let status = command.status().expect("the program is there");
    assert!(status.success(), "{command:?} failed");
}

/// Where the newest PostgreSQL's programs are.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions
        .map(|version| version.path().join("bin"))
        .filter(|programs| programs.join("initdb").exists())
        .max()
        .expect("PostgreSQL is missing; install it with `apt-get install postgresql`")
}
