//! Which files of a segmented output are finished while others are still being made: the packager
//! writes a segment in one go and closes it, and moves each new state of a playlist into place.
//!
//! What is missed here is only found later, when all is done.

use std::{io, mem::MaybeUninit, path::Path, time::Duration};

use rustix::{
    fd::OwnedFd,
    fs::inotify::{self, CreateFlags, WatchFlags},
};
use tokio::time::sleep;

use crate::{Plan, formats};

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(25);
/// Bytes of events that are read at once.
const EVENTS: usize = 4096;

/// The folders of an output that are looked at.
pub(super) struct Watch {
    events: OwnedFd,
    /// What each is called before the names in it, by its number.
    folders: Vec<(i32, String)>,
}

impl Watch {
    /// Begins to look: at each stream's folder, which is made, and at the main playlist's.
    pub(super) fn begin(plan: &Plan, dir: &Path) -> io::Result<Self> {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let names = plan.videos.iter().map(|video| &video.name);
        let streams = names.chain(plan.audios.iter().map(|audio| &audio.name));
        let mut folders = Vec::new();
        for before in streams.map(|name| format!("files/{name}/")).chain([String::new()]) {
            let folder = dir.join(&before);
            std::fs::create_dir_all(&folder)?;
            let wanted = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
            folders.push((inotify::add_watch(&events, folder, wanted)?, before));
        }
        Ok(Self { events, folders })
    }

    /// Tells of every finished file by its path below the output's folder. It has no end of its own.
    pub(super) async fn follow(&self, finished: &(dyn Fn(&str) + Send + Sync)) -> io::Result<()> {
        loop {
            sleep(LOOK).await;
            self.read(finished)?;
        }
    }

    /// Tells of what has happened up to now.
    pub(super) fn read(&self, finished: &(dyn Fn(&str) + Send + Sync)) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); EVENTS];
        let mut reader = inotify::Reader::new(&self.events, &mut buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let folder = self.folders.iter().find(|(number, _)| *number == event.wd());
            let name = event.file_name().and_then(|name| name.to_str().ok());
            if let Some(((_, before), name)) = folder.zip(name)
                && is_ours(name)
            {
                finished(&format!("{before}{name}"));
            }
        }
    }
}

/// The packager has files of its own for a moment.
fn is_ours(name: &str) -> bool {
    let main = formats::main_file(model::Format::Hls);
    name.starts_with(formats::SEGMENT) || [main.as_str(), formats::PLAYLIST, formats::INIT].contains(&name)
}
