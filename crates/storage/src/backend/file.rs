//! Buckets that are folders of the server itself: `<root>/<bucket>/<key>` is the object, a plain
//! file.
//!
//! An object is written to `<bucket>/.writing/<random>` first, synced, and moved into place, so
//! that it is there whole or not at all, whatever is killed when. The hidden folder is in the
//! bucket and not in the root because a bucket may be a mount of its own. No key leads out of the
//! bucket's folder, neither by `..` nor through a symbolic link.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use model::ErrorCode;
use opendal::{Operator, Writer, services};
use rand::RngExt as _;
use tokio::{runtime::Handle, task};

use crate::{StorageError, key};

/// How often a folder is made again that others remove.
const RIVALS: usize = 100;

/// A bucket that is a folder.
#[derive(Clone)]
pub(crate) struct File {
    operator: Operator,
    /// The folder of all buckets, without symbolic links.
    root: PathBuf,
    bucket: String,
}

/// An object that is being written; removed when it is dropped before it was moved into place.
pub(crate) struct Staged {
    path: String,
    file: PathBuf,
    object: PathBuf,
    uri: String,
    moved: bool,
}

impl Staged {
    /// The operator's path to write to.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Syncs the file, moves it into place and syncs the folder, without which a power cut could
    /// undo the move. All of it off the runtime's threads: opendal syncs on the thread it is on.
    pub(crate) async fn settle(mut self, mut writer: Writer) -> Result<(), StorageError> {
        let runtime = Handle::current();
        off_the_runtime(move || {
            runtime.block_on(writer.close()).map_err(|error| StorageError::of(&self.uri, &error))?;
            self.move_into_place().map_err(|error| StorageError::of_disk(&self.uri, &error))
        })
        .await
    }

    fn move_into_place(&mut self) -> io::Result<()> {
        let folder = self.object.parent().ok_or(io::ErrorKind::InvalidFilename)?;
        // what is deleted meanwhile may take its folder with it
        for _ in 0..RIVALS {
            fs::create_dir_all(folder)?;
            match fs::rename(&self.file, &self.object) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && self.file.exists() => {}
                moved => {
                    moved?;
                    self.moved = true;
                    return fs::File::open(folder)?.sync_all();
                }
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.moved {
            return;
        }
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = %self.file.display(), %error, "could not remove an unfinished object");
            }
            _ => {}
        }
    }
}

impl File {
    /// The folder in a bucket for objects that are being written.
    pub(crate) const WRITING: &str = ".writing";

    /// The bucket of this name below `root`; its folder is made when it is absent.
    pub(crate) fn open(root: &Path, bucket: &str) -> Result<Self, StorageError> {
        key::check_folder_name(bucket)
            .map_err(|problem| StorageError::lasting(ErrorCode::BadParam, format!("bucket: {problem}")))?;
        let uri = format!("file://{bucket}/");
        let of_disk = |error: io::Error| StorageError::of_disk(&uri, &error);
        fs::create_dir_all(root.join(bucket)).map_err(of_disk)?;
        let root = root.canonicalize().map_err(of_disk)?;
        let text = root.to_str().ok_or_else(|| {
            StorageError::lasting(
                ErrorCode::OutputRefused,
                format!("{uri}: the storage folder's name is not UTF-8"),
            )
        })?;
        let operator = Operator::new(services::Fs::default().root(text))
            .map_err(|error| StorageError::of(&uri, &error))?;
        Ok(Self { operator, root, bucket: bucket.to_owned() })
    }

    pub(crate) fn operator(&self) -> &Operator {
        &self.operator
    }

    pub(crate) async fn path(&self, key: &str) -> Result<String, StorageError> {
        self.confine(key).await?;
        Ok(format!("{}/{key}", self.bucket))
    }

    /// Walks the folders by itself: opendal's lister follows symbolic links.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let start = self.confine(folder).await?;
        let (bucket, prefix, uri) = (self.root.join(&self.bucket), prefix.to_owned(), self.uri(prefix));
        off_the_runtime(move || {
            let mut keys = Vec::new();
            walk(&start, &mut |file| {
                let key = file.strip_prefix(&bucket).ok().and_then(Path::to_str);
                keys.extend(
                    key.filter(|key| key.starts_with(&prefix) && !is_writing(key)).map(str::to_owned),
                );
            })
            .map_err(|error| StorageError::of_disk(&uri, &error))?;
            Ok(keys)
        })
        .await
    }

    pub(crate) async fn stage(&self, key: &str) -> Result<Staged, StorageError> {
        let object = self.confine(key).await?;
        let path = format!("{}/{}/{:032x}", self.bucket, Self::WRITING, rand::rng().random::<u128>());
        let file = self.root.join(&path);
        Ok(Staged { path, file, object, uri: self.uri(key), moved: false })
    }

    /// Removes the folders that a deleted object leaves empty: in other stores there are none.
    pub(crate) async fn tidy(&self, key: &str) -> Result<(), StorageError> {
        let (object, depth) = (self.confine(key).await?, key.matches('/').count());
        off_the_runtime(move || {
            let folders = object.ancestors().skip(1).take(depth);
            // one that is not empty ends it, and those above are not empty either
            folders.map(fs::remove_dir).take_while(Result::is_ok).for_each(drop);
        })
        .await;
        Ok(())
    }

    /// The file of a key, after a look that no symbolic link takes it out of the bucket.
    async fn confine(&self, key: &str) -> Result<PathBuf, StorageError> {
        let (folder, key, uri) = (self.root.join(&self.bucket), key.to_owned(), self.uri(key));
        off_the_runtime(move || confined(&folder, &key, &uri)).await
    }

    /// As `confine`, at once.
    pub(crate) fn object(&self, key: &str) -> Result<PathBuf, StorageError> {
        confined(&self.root.join(&self.bucket), key, &self.uri(key))
    }

    fn uri(&self, key: &str) -> String {
        format!("file://{}/{key}", self.bucket)
    }
}

/// Runs what may wait for the disk where it does not hold up anything else.
async fn off_the_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    task::spawn_blocking(work).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// Shows every file below a folder, following no link; a folder that is not there has none.
fn walk(folder: &Path, show: &mut dyn FnMut(&Path)) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), show)?;
        } else if kind.is_file() {
            show(&entry.path());
        }
    }
    Ok(())
}

fn is_writing(key: &str) -> bool {
    key.split('/').next() == Some(File::WRITING)
}

fn confined(folder: &Path, key: &str, uri: &str) -> Result<PathBuf, StorageError> {
    let refused = |why: &str| Err(StorageError::lasting(ErrorCode::OutputRefused, format!("{uri}: {why}")));
    if is_writing(key) {
        return refused("the folder `.writing` is the server's own");
    }
    let of_disk = |error: io::Error| StorageError::of_disk(uri, &error);
    // a bucket that somebody removed is made again, as it was when it was opened
    fs::create_dir_all(folder).map_err(of_disk)?;
    let (folder, object) = (folder.canonicalize().map_err(of_disk)?, folder.join(key));
    for part in object.ancestors() {
        match part.canonicalize() {
            Ok(real) if real.starts_with(&folder) => return Ok(object),
            Ok(_) => return refused("a symbolic link leads out of the bucket"),
            // what is not there cannot lead anywhere; a link to nothing could, once that is made
            Err(error) if error.kind() == io::ErrorKind::NotFound && !part.is_symlink() => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return refused("a symbolic link leads nowhere");
            }
            Err(error) => return Err(of_disk(error)),
        }
    }
    refused("is in no bucket")
}
