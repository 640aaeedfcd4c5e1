//! What a run leaves behind, for those who look at it.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a run left behind.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOutput {
    /// The folder with `main.<extension>` and, for segmented formats, `files/…`.
    pub dir: PathBuf,
    /// The end of FFmpeg's log; for the server's log.
    pub log: String,
    /// What was copied.
    pub(crate) copied: CopiedPackets,
}

/// The packets of all streams that are copied, in the order of the plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CopiedPackets {
    /// Of renditions.
    pub videos: Vec<Arc<CopiedStream>>,
    /// Of audios.
    pub audios: Vec<Arc<CopiedStream>>,
}

/// A stream of the source as it is copied; all times are seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CopiedStream {
    /// One unit of its time stamps (FFmpeg's time base).
    pub time_base: f64,
    /// The presentation time of each packet, in decoding order.
    pub times: Vec<f64>,
    /// When the last one has been shown.
    pub end: f64,
}

impl CopiedStream {
    /// Seconds from the first packet in decoding order to the end.
    pub(crate) fn duration(&self) -> f64 {
        self.end - self.times.first().copied().unwrap_or_default()
    }
}

/// Bytes of all files in a folder and below.
pub(crate) async fn bytes_below(dir: &Path) -> io::Result<u64> {
    let dir = dir.to_owned();
    tokio::task::spawn_blocking(move || sum(&dir)).await.map_err(io::Error::other)?
}

fn sum(dir: &Path) -> io::Result<u64> {
    std::fs::read_dir(dir)?.map(|entry| bytes_of(&entry?)).sum()
}

/// Bytes of a file, or of all in a folder. The packager has temporary files: one that is gone by now has none.
fn bytes_of(entry: &std::fs::DirEntry) -> io::Result<u64> {
    let bytes =
        entry.metadata().and_then(|meta| if meta.is_dir() { sum(&entry.path()) } else { Ok(meta.len()) });
    match bytes {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        bytes => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_goes_while_sizes_are_summed_has_none() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("stays"), "four").expect("written");
        std::fs::write(dir.path().join("goes"), "gone").expect("written");
        let mut entries: Vec<_> = std::fs::read_dir(dir.path()).expect("a folder").flatten().collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        std::fs::remove_file(entries[0].path()).expect("removed");
        let bytes: Vec<_> = entries.iter().map(|entry| bytes_of(entry).expect("its size")).collect();
        assert_eq!(bytes, [0, 4]);
        assert_eq!(sum(dir.path()).expect("their size"), 4);
        assert!(sum(&dir.path().join("none")).is_err(), "a folder that was never there is no empty one");
    }
}
