//! Buckets that are folders of the server itself: `<root>/<bucket>/<key>` is the object, a plain
//! file.
//!
//! An object is written to `<bucket>/.writing/<random>` first, synced, and moved into place, so that it is
//! there whole or not at all, whatever is killed when. The hidden folder is in the bucket and not in the
//! root because a bucket may be a mount of its own, and files are not moved between mounts. No key leads
//! out of the bucket's folder, neither by `..` nor through a symbolic link.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use model::ErrorCode;
use opendal::{Operator, Writer, services};
use rand::RngExt as _;
use tokio::{runtime::Handle, task};

use crate::{
    error::StorageError,
    key,
    transport::{WRITE_FORBIDDEN, WriteGuard},
};

/// How often the folder of an object is made again when a concurrent delete removes it.
const MAX_MOVE_TRIES: usize = 100;

/// A bucket that is a folder.
#[derive(Clone)]
pub(crate) struct FileBucket {
    operator: Operator,
    /// The folder of all buckets, without symbolic links.
    root: PathBuf,
    bucket: String,
    write_guard: Option<WriteGuard>,
}

/// An object that is being written; removed when it is dropped before it was moved into place.
pub(crate) struct StagedFile {
    /// The operator's path of the staged file.
    path: String,
    /// The staged file.
    file: PathBuf,
    /// The object's place.
    object: PathBuf,
    uri: String,
    write_guard: Option<WriteGuard>,
    is_moved: bool,
}

impl StagedFile {
    /// The operator's path to write to.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Syncs the file, moves it into place and syncs the folder, without which a power cut could undo the
    /// move. All of it on a thread that may block: opendal syncs on the thread it is on.
    pub(crate) async fn commit(mut self, mut writer: Writer) -> Result<(), StorageError> {
        let runtime = Handle::current();
        run_blocking(move || {
            runtime
                .block_on(writer.close())
                .map_err(|error| StorageError::from_opendal(&self.uri, &error))?;
            check_may_write(self.write_guard.as_ref(), &self.uri)?;
            self.move_into_place().map_err(|error| StorageError::from_io(&self.uri, &error))
        })
        .await
    }

    fn move_into_place(&mut self) -> io::Result<()> {
        let folder = self.object.parent().ok_or(io::ErrorKind::InvalidFilename)?;
        for _ in 0..MAX_MOVE_TRIES {
            let moved = fs::create_dir_all(folder).and_then(|()| fs::rename(&self.file, &self.object));
            match moved {
                // the folder or one above it is gone again: a delete of its last object removes it too
                Err(error) if error.kind() == io::ErrorKind::NotFound && self.file.exists() => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    self.is_moved = true;
                    return fs::File::open(folder)?.sync_all();
                }
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if self.is_moved {
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

impl FileBucket {
    /// The folder in a bucket for objects that are being written.
    pub(crate) const STAGING_FOLDER: &str = ".writing";

    /// The bucket of this name below `root`; its folder is made when it is absent.
    pub(crate) fn open(
        root: &Path,
        bucket: &str,
        write_guard: Option<WriteGuard>,
    ) -> Result<Self, StorageError> {
        key::check_folder_name(bucket)
            .map_err(|problem| StorageError::permanent(ErrorCode::BadParam, format!("bucket: {problem}")))?;
        let uri = format!("file://{bucket}/");
        let failed = |error: io::Error| StorageError::from_io(&uri, &error);
        fs::create_dir_all(root.join(bucket)).map_err(failed)?;
        let root = root.canonicalize().map_err(failed)?;
        let text = root.to_str().ok_or_else(|| {
            StorageError::permanent(
                ErrorCode::OutputRefused,
                format!("{uri}: the storage folder's name is not UTF-8"),
            )
        })?;
        let operator = Operator::new(services::Fs::default().root(text))
            .map_err(|error| StorageError::from_opendal(&uri, &error))?;
        Ok(Self { operator, root, bucket: bucket.to_owned(), write_guard })
    }

    pub(crate) fn operator(&self) -> &Operator {
        &self.operator
    }

    pub(crate) async fn path(&self, key: &str) -> Result<String, StorageError> {
        self.resolve(key).await?;
        Ok(format!("{}/{key}", self.bucket))
    }

    /// The keys that begin with `prefix`, each with its size in bytes, in no order. It does not use opendal's
    /// lister, which follows symbolic links.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, StorageError> {
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let start = self.resolve(folder).await?;
        let (bucket, prefix, uri) = (self.root.join(&self.bucket), prefix.to_owned(), self.uri(prefix));
        run_blocking(move || {
            let mut keys = Vec::new();
            visit_files(&start, &mut |file| {
                if let Some(key) = file.strip_prefix(&bucket).ok().and_then(Path::to_str)
                    && key.starts_with(&prefix)
                    && !is_staging(key)
                {
                    // a file that is gone meanwhile is none
                    if let Ok(metadata) = file.symlink_metadata() {
                        keys.push((key.to_owned(), metadata.len()));
                    }
                }
            })
            .map_err(|error| StorageError::from_io(&uri, &error))?;
            Ok(keys)
        })
        .await
    }

    /// A file in the staging folder, for the object of this key.
    pub(crate) async fn stage(&self, key: &str) -> Result<StagedFile, StorageError> {
        let object = self.resolve(key).await?;
        let path = format!("{}/{}/{:032x}", self.bucket, Self::STAGING_FOLDER, rand::rng().random::<u128>());
        let file = self.root.join(&path);
        let write_guard = self.write_guard.clone();
        Ok(StagedFile { path, file, object, uri: self.uri(key), write_guard, is_moved: false })
    }

    /// Fails when the write guard says that the bucket may not be changed any more.
    pub(crate) fn check_may_write(&self, key: &str) -> Result<(), StorageError> {
        check_may_write(self.write_guard.as_ref(), &self.uri(key))
    }

    /// What tells the file of an object from all other files of this machine: its device and inode.
    pub(crate) async fn file_id(&self, key: &str) -> Result<(u64, u64), StorageError> {
        let (file, uri) = (self.resolve(key).await?, self.uri(key));
        run_blocking(move || {
            let metadata = file.metadata().map_err(|error| StorageError::from_io(&uri, &error))?;
            Ok((metadata.dev(), metadata.ino()))
        })
        .await
    }

    /// Removes the folders that a deleted object leaves empty: other kinds of object store have no folders.
    pub(crate) async fn remove_empty_folders(&self, key: &str) -> Result<(), StorageError> {
        let (object, depth) = (self.resolve(key).await?, key.matches('/').count());
        run_blocking(move || {
            for folder in object.ancestors().skip(1).take(depth) {
                // a folder that is not empty is not removed, and those above it are not empty either
                if fs::remove_dir(folder).is_err() {
                    break;
                }
            }
        })
        .await;
        Ok(())
    }

    /// The file of a key, checked to lie in the bucket's folder.
    async fn resolve(&self, key: &str) -> Result<PathBuf, StorageError> {
        let (folder, key, uri) = (self.root.join(&self.bucket), key.to_owned(), self.uri(key));
        run_blocking(move || resolve_in(&folder, &key, &uri)).await
    }

    /// As `resolve`; blocks.
    pub(crate) fn local_path(&self, key: &str) -> Result<PathBuf, StorageError> {
        resolve_in(&self.root.join(&self.bucket), key, &self.uri(key))
    }

    fn uri(&self, key: &str) -> String {
        format!("file://{}/{key}", self.bucket)
    }
}

fn check_may_write(guard: Option<&WriteGuard>, uri: &str) -> Result<(), StorageError> {
    match guard {
        Some(may_write) if !may_write() => {
            Err(StorageError::permanent(ErrorCode::Internal, format!("{uri}: {WRITE_FORBIDDEN}")))
        }
        _ => Ok(()),
    }
}

/// Runs what waits for the disk on a thread that may block.
async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    task::spawn_blocking(work).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// Visits every file below a folder, following no symbolic link; a folder that is not there has none.
fn visit_files(folder: &Path, visit: &mut dyn FnMut(&Path)) -> io::Result<()> {
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
            visit_files(&entry.path(), visit)?;
        } else if kind.is_file() {
            visit(&entry.path());
        }
    }
    Ok(())
}

fn is_staging(key: &str) -> bool {
    key.split('/').next() == Some(FileBucket::STAGING_FOLDER)
}

/// The file of a key below a bucket's folder. A symbolic link may lead to another place in the bucket, not
/// out of it.
fn resolve_in(folder: &Path, key: &str, uri: &str) -> Result<PathBuf, StorageError> {
    let refused = |why: &str| Err(StorageError::permanent(ErrorCode::OutputRefused, format!("{uri}: {why}")));
    if is_staging(key) {
        return refused("the folder `.writing` is kept for the server itself");
    }
    let failed = |error: io::Error| StorageError::from_io(uri, &error);
    // a folder that somebody removed since the bucket was opened is made again
    fs::create_dir_all(folder).map_err(failed)?;
    let (folder, object) = (folder.canonicalize().map_err(failed)?, folder.join(key));
    for part in object.ancestors() {
        match part.canonicalize() {
            Ok(real) if real.starts_with(&folder) => return Ok(object),
            Ok(_) => return refused("a symbolic link leads out of the bucket"),
            // what does not exist leads nowhere; a dangling link would, once its target is made
            Err(error) if error.kind() == io::ErrorKind::NotFound && !part.is_symlink() => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return refused("a symbolic link leads nowhere");
            }
            Err(error) => return Err(failed(error)),
        }
    }
    refused("is in no bucket")
}
