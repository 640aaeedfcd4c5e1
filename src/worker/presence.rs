//! Which worker processes live on this machine.
//!
//! Each has a folder `<data-dir>/work/<worker id>` for its work, and holds a lock on a file in it
//! for as long as the process lives: the kernel lets go of it at any kind of death. Whoever can
//! take the lock of another folder knows that its process is gone, gives its work back at once, and
//! removes what it left.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use model::WorkerId;
use rustix::fs::{FlockOperation, flock};
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

    /// Gives back what dead processes of this machine had, and removes their folders. Returns how
    /// many jobs and callbacks were given back.
    pub(crate) async fn take_over(&self, store: &Store) -> Result<u64, StoreError> {
        let mut given_back = 0;
        for (dead, folder) in self.dead() {
            given_back += store.release_worker(&dead).await?;
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
