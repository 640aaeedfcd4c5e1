//! The files of uploads: one folder, in it one file for each, which has another name until it is
//! whole. Whose they are, and how long they are needed, the store knows; a file that it does not
//! know belongs to nobody.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use model::UploadId;
use store::{Store, StoreError};
use tokio::{
    fs::{self, File},
    io::{AsyncWriteExt as _, BufWriter},
};

/// Bytes that are written at once.
const PIECE: usize = 256 * 1024;

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct Uploads {
    folder: PathBuf,
}

/// Why the folder could not be looked through.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SweepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the folder of uploads: {0}")]
    Folder(#[from] io::Error),
}

impl Uploads {
    /// In this folder, which is made when it is needed.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where the file of an upload is.
    pub(crate) fn path(&self, id: &UploadId) -> PathBuf {
        self.folder.join(id.as_str())
    }

    /// Begins a file; one that is not finished goes again.
    pub(crate) async fn begin(&self, id: &UploadId) -> io::Result<Incoming> {
        fs::create_dir_all(&self.folder).await?;
        let part = self.folder.join(format!("{id}.part"));
        let file = BufWriter::with_capacity(PIECE, File::create_new(&part).await?);
        Ok(Incoming { file, part: Some(part), whole: self.path(id), size: 0 })
    }

    /// Removes the files that nobody has written to for so long and that are no upload's; gives
    /// their number.
    pub(crate) async fn sweep(&self, store: &Store, idle: Duration) -> Result<usize, SweepError> {
        let mut removed = 0;
        let mut entries = match fs::read_dir(&self.folder).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries?,
        };
        while let Some(entry) = entries.next_entry().await? {
            let age = entry.metadata().await?.modified()?.elapsed().unwrap_or_default();
            if age >= idle && !is_known(store, &entry.path()).await? {
                fs::remove_file(entry.path()).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

async fn is_known(store: &Store, file: &Path) -> Result<bool, StoreError> {
    match file.file_name().and_then(|name| name.to_str()?.parse().ok()) {
        Some(id) => store.has_upload(&id).await,
        None => Ok(false),
    }
}

/// A file that comes in.
#[derive(Debug)]
pub(crate) struct Incoming {
    file: BufWriter<File>,
    /// None when it is finished.
    part: Option<PathBuf>,
    whole: PathBuf,
    size: u64,
}

impl Incoming {
    /// Adds to it; gives its size so far, in bytes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<u64> {
        self.file.write_all(bytes).await?;
        self.size += bytes.len() as u64;
        Ok(self.size)
    }

    /// It is whole, and on the disk.
    pub(crate) async fn finish(mut self) -> io::Result<()> {
        self.file.flush().await?;
        self.file.get_ref().sync_all().await?;
        if let Some(part) = self.part.take() {
            fs::rename(&part, &self.whole).await?;
        }
        match self.whole.parent() {
            Some(folder) => File::open(folder).await?.sync_all().await,
            None => Ok(()),
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            // what stays all the same is swept
            let _ = std::fs::remove_file(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{TenantId, Upload};
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
            let mut incoming = uploads.begin(id).await.expect("begun");
            assert_eq!(incoming.write(b"abc").await.expect("written"), 3);
            incoming.finish().await.expect("finished");
        }
        let upload = Upload {
            id: kept.clone(),
            tenant: TenantId::main(),
            name: String::new(),
            size: 3,
            host: String::new(),
            created: model::Timestamp::from_millis(0),
        };
        store.add_upload(&upload).await.expect("added");
        let mut incoming = uploads.begin(&broken).await.expect("begun");
        incoming.write(b"ab").await.expect("written");
        drop(incoming);
        // as a killed process leaves it
        fs::write(uploads.folder.join(format!("{broken}.part")), b"ab").await.expect("written");
        assert_eq!(names(&uploads.folder).await.len(), 3);

        assert_eq!(uploads.sweep(&store, Duration::from_secs(3600)).await.expect("swept"), 0);
        assert_eq!(uploads.sweep(&store, Duration::ZERO).await.expect("swept"), 2);
        assert_eq!(names(&uploads.folder).await, [kept.to_string()]);
    }
}
