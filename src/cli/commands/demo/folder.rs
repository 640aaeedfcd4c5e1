//! The demo's folder: the server's data directory, its log, and the sample.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use crate::cli;

/// Lines of the log that are shown when something went wrong.
const LOG_TAIL_LINES: usize = 20;

/// The folder of this run, below the system's folder for temporary files.
pub(super) struct DemoFolder {
    path: PathBuf,
}

impl DemoFolder {
    /// Makes the folder, which only this user can read.
    pub(super) fn create() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("borealis-demo-{:08x}", rand::random::<u32>()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file that the server's log goes to.
    pub(super) fn create_log(&self) -> io::Result<File> {
        File::create(self.log())
    }

    fn log(&self) -> PathBuf {
        self.path.join("server.log")
    }

    /// Where `file` storages keep their buckets.
    fn storage(&self) -> PathBuf {
        self.path.join("storage")
    }

    /// The file of an object, given its URI.
    pub(super) fn object_file(&self, uri: &str) -> cli::Result<PathBuf> {
        let path = uri.strip_prefix("file://").map(|key| self.storage().join(key));
        path.filter(|path| path.is_file()).ok_or_else(|| format!("the output {uri} is not there").into())
    }

    /// Removes everything but the outputs.
    pub(super) fn keep_outputs(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            if path == self.storage() {
                continue;
            }
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            } else {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Removes everything.
    pub(super) fn remove_all(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.path)
    }

    /// The end of the server's log, and where all of it is.
    pub(super) fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n");
        format!("the end of the server's log, all of which is in {}:\n{last}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_outputs_stay() {
        let folder = DemoFolder::create().expect("a folder");
        let output = folder.storage().join("demo/mp4/video.mp4");
        fs::create_dir_all(output.parent().expect("a parent")).expect("made");
        fs::create_dir(folder.path().join("work")).expect("made");
        for file in [&output, &folder.log(), &folder.path().join("borealis.db")] {
            fs::write(file, "x").expect("written");
        }
        folder.keep_outputs().expect("removed");
        assert_eq!(folder.object_file("file://demo/mp4/video.mp4").expect("there"), output);
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 1);
        assert!(folder.object_file("file://demo/other.mp4").is_err());
        folder.remove_all().expect("removed");
        assert!(!folder.path().exists());
    }
}
