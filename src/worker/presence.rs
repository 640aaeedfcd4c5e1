//! Which worker processes live on this machine.
//!
//! Each has a folder `<data-dir>/work/<worker id>` for its work, and holds a lock on a file in it
//! for as long as it lives: the kernel releases the lock however the process dies. Whoever can take the
//! lock in another folder knows that its process is gone, gives its work back at once, and removes
//! what it left, child processes too.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use model::WorkerId;
use rustix::{
    fs::{FlockOperation, flock},
    process::{Pid, Signal, kill_process},
};
use store::{Store, StoreError};

use crate::data_folder;

/// The file that a live process holds a lock on.
const LOCK_FILE: &str = "alive";

/// A folder without a lock that is younger than this belongs to a process that is just starting.
const STARTUP_GRACE: Duration = Duration::from_secs(60);

/// The presence of this process.
#[derive(Debug)]
pub(crate) struct Presence {
    /// Its id, new at each start.
    pub(crate) id: WorkerId,
    /// Where its work lies.
    pub(crate) folder: PathBuf,
    _lock: File,
}

impl Presence {
    /// Makes this process known below `work`, the folder of all work on this machine.
    pub(crate) fn announce(work: &Path) -> io::Result<Self> {
        let id = WorkerId::generate(&mut rand::rng());
        let folder = work.join(id.as_str());
        data_folder::create_dir(&folder)?;
        let lock = data_folder::create_file(&folder.join(LOCK_FILE))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { id, folder, _lock: lock })
    }

    /// Gives back what dead processes of this machine had, kills what still works for them, and removes
    /// their folders. Returns how many jobs and callbacks were given back.
    pub(crate) async fn release_dead_workers(&self, store: &Store) -> Result<u64, StoreError> {
        let mut given_back = 0;
        for (dead, folder) in self.dead_workers() {
            given_back += store.release_worker_claims(&dead).await?;
            kill_orphans(&dead);
            if let Err(error) = fs::remove_dir_all(&folder) {
                tracing::warn!(%error, folder = %folder.display(), "could not remove the work folder of a dead process");
            }
        }
        Ok(given_back)
    }

    /// The dead processes of this machine, each with its folder.
    fn dead_workers(&self) -> Vec<(WorkerId, PathBuf)> {
        let mut dead = Vec::new();
        let Some(folders) = self.folder.parent().and_then(|work| fs::read_dir(work).ok()) else {
            return dead;
        };
        for entry in folders.flatten() {
            let id = entry.file_name().to_str().and_then(|name| name.parse::<WorkerId>().ok());
            if let Some(id) = id
                && id != self.id
                && !is_alive(&entry.path())
            {
                dead.push((id, entry.path()));
            }
        }
        dead
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        // a folder that cannot be removed is left to the next process: its lock is free
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Kills the child processes of a dead process, which are known by its id in their arguments. The kernel
/// did so when it died (PR_SET_PDEATHSIG), but not where a sandbox was just being set up: a child that asks
/// for that signal after its parent has died never gets it.
fn kill_orphans(dead: &WorkerId) {
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) =
            process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw)
        else {
            continue;
        };
        let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&arguments).contains(dead.as_str()) {
            tracing::info!(pid = pid.as_raw_nonzero(), worker = %dead, "killed a child of a dead process");
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Whether the process of a folder lives.
fn is_alive(folder: &Path) -> bool {
    match File::open(folder.join(LOCK_FILE)) {
        Ok(lock) => flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err(),
        Err(_) => age(folder).is_some_and(|age| age < STARTUP_GRACE),
    }
}

fn age(folder: &Path) -> Option<Duration> {
    fs::metadata(folder).ok()?.modified().ok()?.elapsed().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_still_works_for_the_dead_is_ended() {
        let dead = WorkerId::generate(&mut rand::rng());
        // waits for a line that never comes, without a process of its own that could outlive it
        let script = format!("read line # {dead}");
        let mut orphan = std::process::Command::new("sh")
            .args(["-c", &script])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("sh runs");
        let mut other = std::process::Command::new("sleep").arg("600").spawn().expect("sleep runs");
        kill_orphans(&dead);
        assert!(!orphan.wait().expect("it ends").success());
        assert!(other.try_wait().expect("asked").is_none(), "somebody else's goes on running");
        other.kill().expect("killed");
        other.wait().expect("it ends");
    }

    #[test]
    fn the_dead_are_told_from_the_living() {
        let work = tempfile::tempdir().expect("a folder");
        let first = Presence::announce(work.path()).expect("announced");
        let second = Presence::announce(work.path()).expect("announced");
        assert_eq!(first.dead_workers(), Vec::new());

        // a process that was killed leaves its folder, and its lock is free
        let dead = WorkerId::generate(&mut rand::rng());
        let folder = work.path().join(dead.as_str());
        fs::create_dir_all(&folder).expect("made");
        File::create(folder.join(LOCK_FILE)).expect("made");
        assert_eq!(second.dead_workers(), vec![(dead, folder)]);
    }
}
