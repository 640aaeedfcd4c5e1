//! PostgreSQL clusters for tests: one that all test processes share, and those that a test has for
//! itself. PostgreSQL refuses to run as root, so for root it runs as the user nobody.

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

/// The user and the group nobody.
const NOBODY_ID: u32 = 65534;

/// Options of the shared server: its data need not survive a crash, so nothing waits for the disk.
const SHARED_OPTIONS: &str = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off \
    -c max_connections=400 -c shared_buffers=32MB";

/// The URL of the shared cluster, which is started when it does not run.
pub(super) fn url() -> String {
    static CLUSTER: OnceLock<SharedCluster> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(SharedCluster::join);
    cluster.server.url()
}

/// A cluster that nobody else uses, with PostgreSQL's own defaults: commits wait for the disk. Stopped and
/// removed when dropped.
#[derive(Debug)]
pub struct OwnCluster(PostgresServer);

impl OwnCluster {
    /// Makes one and starts it.
    ///
    /// # Panics
    /// When that is not possible.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder").keep();
        let server = PostgresServer::of(folder, "");
        server.init();
        server.start();
        Self(server)
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// Stops it without waiting for its clients to disconnect.
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
        // best effort
        let _ = self.0.control().args(["stop", "-w", "-m", "immediate"]).status();
        let _ = fs::remove_dir_all(&self.0.folder);
    }
}

struct SharedCluster {
    server: PostgresServer,
    /// Locked, shared, as long as this process lives: so the watchdog sees that the cluster is in use.
    _in_use: File,
}

impl SharedCluster {
    fn join() -> Self {
        let folder = std::env::temp_dir().join(format!("borealis-test-postgres-{}", user_id()));
        fs::create_dir_all(&folder).expect("a folder for the cluster");
        let server = PostgresServer::of(folder, SHARED_OPTIONS);
        let open = |name| {
            let path = server.folder.join(name);
            let file = File::options().create(true).append(true).open(&path).expect("a lock file");
            server.give_to_server(&path);
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

fn user_id() -> u32 {
    fs::metadata("/proc/self").expect("the process's own folder").uid()
}

#[derive(Debug)]
struct PostgresServer {
    programs: PathBuf,
    folder: PathBuf,
    /// Command-line options of the server.
    options: &'static str,
    /// Whether this process is root's.
    is_root: bool,
}

impl PostgresServer {
    fn of(folder: PathBuf, options: &'static str) -> Self {
        Self { programs: programs(), folder, options, is_root: user_id() == 0 }
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

    /// Makes the user that the server runs as the owner of a file.
    fn give_to_server(&self, path: &Path) {
        if self.is_root {
            chown(path, Some(NOBODY_ID), Some(NOBODY_ID)).expect("root may give files away");
        }
    }

    fn init(&self) {
        self.give_to_server(&self.folder);
        if self.data().exists() {
            fs::remove_dir_all(self.data()).expect("what a killed cluster left can be removed");
        }
        let mut initdb = self.command(self.programs.join("initdb"));
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"]);
        run(initdb.arg(self.data()));
    }

    fn start(&self) {
        let options = format!("-k {} -c listen_addresses= {}", self.folder.display(), self.options);
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

    /// A command in the cluster's folder, as a user that may run PostgreSQL.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = if self.is_root {
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={NOBODY_ID}"), format!("--regid={NOBODY_ID}")]);
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

/// The folder of programs of the newest PostgreSQL that is installed as Debian does.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions
        .map(|version| version.path().join("bin"))
        .filter(|programs| programs.join("initdb").exists())
        .max()
        .expect("PostgreSQL is missing; install it with `apt-get install postgresql`")
}
