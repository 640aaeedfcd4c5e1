//! The files of uploads, all in one folder. A file is written under another name and renamed when it is
//! complete. Whose an upload is, and how long it is needed, is in the database; a file that is not
//! there belongs to nobody and is swept.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use model::{TenantId, UploadId};
use store::{Store, StoreError};
use tokio::{
    fs::{self, File},
    io::{AsyncWriteExt as _, BufWriter},
};

use crate::data_folder;

/// Bytes that are gathered before they are written.
const WRITE_BUFFER_BYTES: usize = 256 * 1024;

/// What the name of a file ends with while it is written.
const PARTIAL_SUFFIX: &str = ".part";

/// The folder of uploads.
#[derive(Clone, Debug)]
pub(crate) struct Uploads {
    folder: PathBuf,
    in_flight: BytesInFlight,
}

/// Bytes that were written of files that are not finished, by tenant.
type BytesInFlight = Arc<Mutex<HashMap<TenantId, u64>>>;

/// Why the folder could not be swept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SweepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the folder of uploads: {0}")]
    Folder(#[from] io::Error),
}

impl Uploads {
    /// Uploads in this folder, which is made when it is needed.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, in_flight: BytesInFlight::default() }
    }

    /// Bytes that were written of the tenant's files that are not finished.
    pub(crate) fn bytes_in_flight(&self, tenant: &TenantId) -> u64 {
        lock(&self.in_flight).get(tenant).copied().unwrap_or_default()
    }

    /// Bytes that are free on the disk of the folder. One that cannot be asked counts as empty: a write fails
    /// where it really is full.
    pub(crate) fn free_disk_bytes(&self) -> u64 {
        match rustix::fs::statvfs(&self.folder) {
            Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
            Err(_) => u64::MAX,
        }
    }

    /// Removes the file of an upload that did not come about.
    pub(crate) async fn remove(&self, id: &UploadId) {
        if let Err(error) = fs::remove_file(self.path(id)).await {
            // it is swept later
            tracing::warn!(upload = %id, %error, "could not remove an upload");
        }
    }

    /// Where the file of an upload is.
    pub(crate) fn path(&self, id: &UploadId) -> PathBuf {
        self.folder.join(id.as_str())
    }

    /// Creates the file of an upload; it is removed again unless it is finished.
    pub(crate) async fn create(&self, id: &UploadId, tenant: &TenantId) -> io::Result<UploadWriter> {
        data_folder::create_dir(&self.folder)?;
        let partial = self.folder.join(format!("{id}{PARTIAL_SUFFIX}"));
        let file =
            BufWriter::with_capacity(WRITE_BUFFER_BYTES, File::from_std(data_folder::create_file(&partial)?));
        Ok(UploadWriter {
            file,
            partial: Some(partial),
            complete: self.path(id),
            bytes_written: 0,
            tenant: tenant.clone(),
            in_flight: Arc::clone(&self.in_flight),
        })
    }

    /// Removes the files with names of ours that nobody has written to for `min_age` and that belong to no
    /// upload; gives their number. The folder may be one that has other files, too: these are somebody else's.
    pub(crate) async fn sweep(&self, store: &Store, min_age: Duration) -> Result<usize, SweepError> {
        let mut removed = 0;
        let mut entries = match fs::read_dir(&self.folder).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries?,
        };
        while let Some(entry) = entries.next_entry().await? {
            let Some((id, is_partial)) = parse_name(&entry.path()) else { continue };
            let metadata = entry.metadata().await?;
            let age = metadata.modified()?.elapsed().unwrap_or_default();
            if metadata.is_file() && age >= min_age && (is_partial || !store.has_upload(&id).await?) {
                fs::remove_file(entry.path()).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The upload that a file is of, by its name, and whether it is still being written; none for a file of
/// somebody else's.
fn parse_name(file: &Path) -> Option<(UploadId, bool)> {
    let name = file.file_name()?.to_str()?;
    match name.strip_suffix(PARTIAL_SUFFIX) {
        Some(id) => Some((id.parse().ok()?, true)),
        None => Some((name.parse().ok()?, false)),
    }
}

/// Writes the file of an upload.
#[derive(Debug)]
pub(crate) struct UploadWriter {
    file: BufWriter<File>,
    /// The name it has while it is written; none when it is finished.
    partial: Option<PathBuf>,
    /// The name it has when it is finished.
    complete: PathBuf,
    bytes_written: u64,
    tenant: TenantId,
    in_flight: BytesInFlight,
}

impl UploadWriter {
    /// Appends to the file; gives its size so far, in bytes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<u64> {
        self.file.write_all(bytes).await?;
        self.bytes_written += bytes.len() as u64;
        *lock(&self.in_flight).entry(self.tenant.clone()).or_default() += bytes.len() as u64;
        Ok(self.bytes_written)
    }

    /// Finishes the file: it is complete, and survives a power cut.
    pub(crate) async fn finish(mut self) -> io::Result<()> {
        self.file.flush().await?;
        self.file.get_ref().sync_all().await?;
        if let Some(partial) = self.partial.take() {
            fs::rename(&partial, &self.complete).await?;
        }
        match self.complete.parent() {
            // the new name is on the disk only when its folder is synced, too
            Some(folder) => File::open(folder).await?.sync_all().await,
            None => Ok(()),
        }
    }
}

impl UploadWriter {
    /// No longer in flight.
    fn count_as_written(&self) {
        let mut in_flight = lock(&self.in_flight);
        if let Some(bytes) = in_flight.get_mut(&self.tenant) {
            *bytes = bytes.saturating_sub(self.bytes_written);
            if *bytes == 0 {
                in_flight.remove(&self.tenant);
            }
        }
    }
}

impl Drop for UploadWriter {
    fn drop(&mut self) {
        self.count_as_written();
        if let Some(partial) = &self.partial {
            // a file that cannot be removed is swept later
            let _ = std::fs::remove_file(partial);
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Upload;
    use store::{Cipher, StoreOptions, testing::DatabaseKind};

    use super::*;

    async fn names(folder: &Path) -> Vec<String> {
        let mut entries = fs::read_dir(folder).await.expect("a folder");
        let mut names = Vec::new();
        while let Some(entry) = entries.next_entry().await.expect("readable") {
            names.push(entry.file_name().into_string().expect("a text"));
        }
        names.sort();
        names
    }

    #[tokio::test]
    async fn what_is_no_uploads_is_swept() {
        let database = store::testing::database(DatabaseKind::Sqlite).await;
        let clock = std::sync::Arc::new(model::SystemClock);
        let options = StoreOptions {
            url: database.url.clone(),
            cipher: Cipher::new([7; 32]),
            clock,
            compose: callback::payload::compose,
        };
        let store = Store::open(options).await.expect("opened");
        let folder = tempfile::tempdir().expect("a folder");
        let uploads = Uploads::new(folder.path().join("uploads"));
        assert_eq!(uploads.sweep(&store, Duration::ZERO).await.expect("swept"), 0);

        let [kept, unknown, broken] = [(); 3].map(|()| UploadId::generate(&mut rand::rng()));
        for id in [&kept, &unknown] {
            let mut writer = uploads.create(id, &TenantId::main()).await.expect("created");
            assert_eq!(writer.write(b"abc").await.expect("written"), 3);
            writer.finish().await.expect("finished");
        }
        let upload = Upload {
            id: kept.clone(),
            tenant: TenantId::main(),
            name: String::new(),
            size: 3,
            host: String::new(),
            created: model::Timestamp::from_millis(0),
        };
        store.add_upload(&upload, None).await.expect("added");
        let mut writer = uploads.create(&broken, &TenantId::main()).await.expect("created");
        writer.write(b"ab").await.expect("written");
        assert_eq!(uploads.bytes_in_flight(&TenantId::main()), 2);
        drop(writer);
        assert_eq!(uploads.bytes_in_flight(&TenantId::main()), 0);
        // as a killed process leaves it
        fs::write(uploads.folder.join(format!("{broken}.part")), b"ab").await.expect("written");
        let others = ["thesis.docx", "thesis.part", "0123"];
        for name in others {
            fs::write(uploads.folder.join(name), b"somebody else's").await.expect("written");
        }
        assert_eq!(names(&uploads.folder).await.len(), 6);

        assert_eq!(uploads.sweep(&store, Duration::from_secs(3600)).await.expect("swept"), 0);
        assert_eq!(uploads.sweep(&store, Duration::ZERO).await.expect("swept"), 2);
        let mut left = [&[kept.as_str()], &others[..]].concat();
        left.sort_unstable();
        assert_eq!(names(&uploads.folder).await, left);
    }
}
