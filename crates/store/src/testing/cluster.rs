//! The PostgreSQL cluster that test processes share. PostgreSQL refuses to run as root, so that for
//! root it runs as nobody.

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
const SETTINGS: &str = "-c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
    -c max_connections=400 -c shared_buffers=32MB";

/// The URL of the cluster, which is started when it does not run.
pub(super) fn url() -> String {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(Cluster::join);
    let socket: String = url::form_urlencoded::byte_serialize(cluster.folder.as_bytes()).collect();
    format!("postgres://postgres@localhost/postgres?host={socket}")
}

struct Cluster {
    folder: String,
    /// Locked as long as this process lives: the watchdog's sign of use.
    _in_use: File,
}

impl Cluster {
    fn join() -> Self {
        let user = fs::metadata("/proc/self").expect("the process's own folder").uid();
        let root = user == 0;
        let folder = std::env::temp_dir().join(format!("borealis-test-postgres-{user}"));
        fs::create_dir_all(&folder).expect("a folder for the cluster");
        let open = |name| {
            let path = folder.join(name);
            let file = File::options().create(true).append(true).open(&path).expect("a lock file");
            if root {
                chown(&path, Some(NOBODY), Some(NOBODY)).expect("root may give files away");
            }
            file
        };
        let (lock, in_use) = (open("lock"), open("in-use"));
        lock.lock().expect("the lock");
        in_use.lock_shared().expect("the shared lock");
        let server = Server { programs: programs(), folder: &folder, root };
        if !server.is_ready() {
            server.start();
        }
        Self { folder: folder.to_str().expect("a plain temporary folder").to_owned(), _in_use: in_use }
    }
}

struct Server<'a> {
    programs: PathBuf,
    folder: &'a Path,
    root: bool,
}

impl Server<'_> {
    fn is_ready(&self) -> bool {
        let mut ready = self.command(self.programs.join("pg_isready"));
        ready.arg("-q").arg("-h").arg(self.folder).status().is_ok_and(|status| status.success())
    }

    #[expect(clippy::zombie_processes, reason = "the watchdog outlives this process")]
    fn start(&self) {
        if self.root {
            chown(self.folder, Some(NOBODY), Some(NOBODY)).expect("root may give folders away");
        }
        let data = self.folder.join("data");
        if data.exists() {
            fs::remove_dir_all(&data).expect("what a killed cluster left can be removed");
        }
        let data = data.as_os_str();
        let mut initdb = self.command(self.programs.join("initdb"));
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"]);
        run(initdb.arg(data));
        let options = format!("-k {} {SETTINGS}", self.folder.display());
        let mut start = self.command(self.programs.join("pg_ctl"));
        start.args(["start", "-w", "-o", &options, "-l", "log", "-D"]);
        run(start.arg(data));
        let mut watchdog = self.command("sh");
        watchdog.args(["-c", include_str!("watchdog.sh"), "watchdog"]);
        watchdog.arg(&self.programs).arg(self.folder).process_group(0);
        watchdog.spawn().expect("a shell");
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
        command.current_dir(self.folder);
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
