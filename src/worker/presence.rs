//! Which worker processes live on this machine.
//!
//! Each has a folder `<data-dir>/work/<worker id>` for its work, and holds a lock on a file in it
//! for as long as the process lives: the kernel lets go of it at any kind of death. Whoever can
//! take the lock of another folder knows that its process is gone, gives its work back at once, and
//! removes what it left, children too.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use model::WorkerId;
use rustix::{
    fs::{FlockOperation, flock},
    process::{Pid, Signal, kill_process},
};
use store::{Store, StoreError};

const LOCK: &str = "alive";

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
        fs::create_dir_all(&folder)?;
        let lock = File::create(folder.join(LOCK))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { id, folder, _lock: lock })
    }

    /// Gives back what dead processes of this machine had, and removes their folders and what still
    /// works in them. Returns how many jobs and callbacks were given back.
    pub(crate) async fn take_over(&self, store: &Store) -> Result<u64, StoreError> {
        let mut given_back = 0;
        for (dead, folder) in self.dead() {
            given_back += store.release_worker_claims(&dead).await?;
            end_orphans(&dead);
            if let Err(error) = fs::remove_dir_all(&folder) {
                tracing::warn!(%error, folder = %folder.display(), "could not remove the work folder of a dead process");
            }
        }
        Ok(given_back)
    }

    fn dead(&self) -> Vec<(WorkerId, PathBuf)> {
        let siblings = self.folder.parent().and_then(|work| fs::read_dir(work).ok());
        siblings
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let id: WorkerId = entry.file_name().to_str()?.parse().ok()?;
                (id != self.id && !is_held(&entry.path())).then(|| (id, entry.path()))
            })
            .collect()
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        // what stays behind is removed by the next process that starts
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Kills the children of a dead process, which are known by its id in their arguments. The kernel did
/// so when it died, but for a sandbox that was just being set up: that one asks to die with its parent
/// too late, and waits for it for ever.
fn end_orphans(dead: &WorkerId) {
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) =
            process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw)
        else {
            continue;
        };
        let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&arguments).contains(dead.as_str()) {
            tracing::info!(pid = pid.as_raw_nonzero(), worker = %dead, "ended a child of a dead process");
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn is_held(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)) {
        Ok(lock) => flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err(),
        // not locked yet: a process that is just starting
        Err(_) => fs::metadata(folder).is_ok_and(|folder| {
            folder.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() < 60))
        }),
    }
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
        end_orphans(&dead);
        assert!(!orphan.wait().expect("it ends").success());
        assert!(other.try_wait().expect("asked").is_none(), "somebody else's goes on");
        other.kill().expect("killed");
        other.wait().expect("it ends");
    }

    #[test]
    fn the_dead_are_told_from_the_living() {
        let work = tempfile::tempdir().expect("a folder");
        let first = Presence::announce(work.path()).expect("announced");
        let second = Presence::announce(work.path()).expect("announced");
        assert_eq!(first.dead(), Vec::new());

        // a process that was killed leaves its folder, and its lock is free
        let dead = WorkerId::generate(&mut rand::rng());
        let folder = work.path().join(dead.as_str());
        fs::create_dir_all(&folder).expect("made");
        File::create(folder.join(LOCK)).expect("made");
        assert_eq!(second.dead(), vec![(dead, folder)]);
    }
}
