//! Starts children from one thread that lives as long as the program.
//!
//! A child asks the kernel to be killed when its parent dies (PR_SET_PDEATHSIG), and Linux means the *thread*
//! that spawned it: a child that a thread of the blocking pool spawned would die when that thread goes idle.
//! So all children are spawned from here, whichever runtime or thread asks.

use std::{
    io,
    sync::{LazyLock, mpsc},
    thread,
};

use rustix::{
    fd::OwnedFd,
    fs::{Mode, OFlags},
    io::FdFlags,
    process::{Pid, Resource, Rlimit, Signal},
};
use tokio::{process::Command, runtime::Handle, sync::oneshot};

use crate::settings::ResourceLimits;

/// When memory is short, the kernel ends children before anything else: their work can be done again.
const OOM_SCORE_ADJ: &[u8] = b"1000";

/// What is started.
pub(crate) struct Launch {
    /// The program and its arguments.
    pub command: Command,
    /// A descriptor that it finds under the number that it has here.
    pub inherited: Option<OwnedFd>,
}

impl From<Command> for Launch {
    fn from(command: Command) -> Self {
        Self { command, inherited: None }
    }
}

/// As setrlimit(2) takes them; a child that dies leaves no core file.
fn rlimits(limits: ResourceLimits) -> [(Resource, u64); 6] {
    [
        (Resource::As, limits.address_space_bytes),
        (Resource::Data, limits.memory_bytes),
        (Resource::Cpu, limits.cpu_time.as_secs()),
        (Resource::Fsize, limits.file_bytes),
        (Resource::Nofile, limits.open_files),
        (Resource::Core, 0),
    ]
}

struct SpawnRequest {
    command: Command,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<tokio::process::Child>>,
}

static SPAWNER: LazyLock<mpsc::Sender<SpawnRequest>> = LazyLock::new(|| {
    let (sender, requests) = mpsc::channel::<SpawnRequest>();
    thread::Builder::new()
        .name("spawner".to_owned())
        .spawn(move || {
            for SpawnRequest { mut command, runtime, reply } in requests {
                let _context = runtime.enter();
                // nobody may be waiting any more: the child is killed when it is dropped
                let _ = reply.send(command.spawn());
            }
        })
        .expect("one thread can be started");
    sender
});

/// Starts a child in a session and process group of its own, with limits, dying with this program.
///
/// # Errors
/// When the program cannot be executed.
pub(crate) async fn spawn(launch: Launch, limits: ResourceLimits) -> io::Result<tokio::process::Child> {
    let Launch { mut command, inherited } = launch;
    command.kill_on_drop(true);
    prepare(&mut command, inherited, rlimits(limits));
    let (reply, child) = oneshot::channel();
    let request = SpawnRequest { command, runtime: Handle::current(), reply };
    SPAWNER.send(request).map_err(|_| io::Error::other("the spawning thread is gone"))?;
    child.await.map_err(|_| io::Error::other("the spawning thread is gone"))?
}

/// What the child does between fork and exec.
#[expect(unsafe_code, reason = "limits, session and death signal can only be set in the child itself")]
fn prepare(command: &mut Command, inherited: Option<OwnedFd>, limits: [(Resource, u64); 6]) {
    let parent = rustix::process::getpid();
    let before_exec = move || {
        // A session of its own has no terminal to push input into, and is a process group too.
        rustix::process::setsid()?;
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        if rustix::process::getppid() != Some(parent) {
            return Err(io::Error::from_raw_os_error(rustix::io::Errno::SRCH.raw_os_error()));
        }
        if let Some(descriptor) = &inherited {
            rustix::io::fcntl_setfd(descriptor, FdFlags::empty())?;
        }
        raise_oom_score();
        for (resource, asked) in limits {
            let hard = rustix::process::getrlimit(resource).maximum;
            let limit = Some(hard.map_or(asked, |hard| hard.min(asked)));
            rustix::process::setrlimit(resource, Rlimit { current: limit, maximum: limit })?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. The closure makes plain
    // system calls through rustix, allocates nothing and takes no lock; of its captures only a descriptor is not `Copy`.
    unsafe { command.pre_exec(before_exec) };
}

/// A kernel without this file has no such score.
fn raise_oom_score() {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    if let Ok(file) = rustix::fs::open(c"/proc/self/oom_score_adj", flags, Mode::empty()) {
        let _ = rustix::io::write(file, OOM_SCORE_ADJ);
    }
}

/// Sends a signal to a whole process group; one that is gone is no error.
pub(crate) fn signal_group(group: u32, signal: Signal) {
    if let Some(group) = i32::try_from(group).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, signal);
    }
}
