//! Which files of a segmented output are finished while others are still being made: the packager writes a
//! segment in one go and closes it, and renames each new state of a playlist into place.
//!
//! The kernel's events (inotify(7)) may overflow. A file that is missed here is published with all others
//! when the run has ended.

use std::{
    io,
    mem::MaybeUninit,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use rustix::{
    fd::OwnedFd,
    fs::inotify::{self, CreateFlags, WatchFlags},
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::{layout::OutputLayout, plan::Plan};

/// Bytes of events that are read at once.
const EVENT_BUFFER_BYTES: usize = 4096;

/// Files that are reported of one run, each playlist once with every segment: 12 h in segments of a second, of many
/// renditions.
const MAX_REPORTED_FILES: usize = model::limits::MAX_FINISHED_FILES;

/// Watches the folders of an output.
pub(super) struct FileWatch {
    events: AsyncFd<OwnedFd>,
    folders: Vec<WatchedFolder>,
    reported: AtomicUsize,
}

struct WatchedFolder {
    /// The kernel's number of it.
    descriptor: i32,
    /// What precedes the names of its files in their paths below the output's folder.
    prefix: String,
}

impl FileWatch {
    /// Begins to watch each stream's folder, which is made, and the main playlist's.
    pub(super) fn start(plan: &Plan, dir: &Path) -> io::Result<Self> {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let streams =
            OutputLayout::stream_names(plan).map(|name| format!("{}/", OutputLayout::stream_folder(name)));
        let mut folders = Vec::new();
        for prefix in streams.chain([String::new()]) {
            let folder = dir.join(&prefix);
            std::fs::create_dir_all(&folder)?;
            let flags = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
            folders.push(WatchedFolder { descriptor: inotify::add_watch(&events, folder, flags)?, prefix });
        }
        Ok(Self { events: register(events)?, folders, reported: AtomicUsize::new(0) })
    }

    /// Tells of every finished file by its path below the output's folder. It has no end of its own.
    pub(super) async fn follow(&self, on_finished: &(dyn Fn(&str) + Send + Sync)) -> io::Result<()> {
        loop {
            let mut guard = self.events.readable().await?;
            self.read(on_finished)?;
            guard.clear_ready();
        }
    }

    /// Tells of what has happened up to now.
    pub(super) fn read(&self, on_finished: &(dyn Fn(&str) + Send + Sync)) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); EVENT_BUFFER_BYTES];
        let mut reader = inotify::Reader::new(self.events.get_ref(), &mut buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let folder = self.folders.iter().find(|folder| folder.descriptor == event.wd());
            let name = event.file_name().and_then(|name| name.to_str().ok());
            if let (Some(folder), Some(name)) = (folder, name)
                && OutputLayout::is_published_early(name)
            {
                if self.reported.fetch_add(1, Ordering::Relaxed) >= MAX_REPORTED_FILES {
                    return Err(io::Error::other("far more files are written than an output has"));
                }
                on_finished(&format!("{}{name}", folder.prefix));
            }
        }
    }
}

#[expect(unsafe_code, reason = "tokio cannot see that the descriptor stays open as long as it is registered")]
fn register(events: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` keeps its one descriptor, and closes it only when it is dropped, which is after
    // the `AsyncFd` has taken it off the list of those that are watched.
    unsafe { AsyncFd::register_with_interest(events, Interest::READABLE) }.map_err(io::Error::from)
}
