//! A bucket: objects go in, come out, are listed and deleted by key.

use std::{io, ops::Range, path::Path, time::Duration};

use bytes::{Bytes, BytesMut};
use model::ErrorCode;
use opendal::{FuturesBytesStream, Metadata, Writer};
use tokio::{fs, io::AsyncReadExt as _, runtime::Handle, time::timeout};
use tracing::Instrument as _;

use crate::{
    StorageError,
    backend::{Backend, PARTS_AT_ONCE, Place, Remote},
    key,
    transport::Trouble,
};

/// How much of a file is read at once, in bytes.
const CHUNK: usize = 1 << 20;

/// How long the end of a failed upload is waited for.
const PATIENCE_OF_ABORT: Duration = Duration::from_secs(15);

/// An open bucket of any kind. Keys are those of the whole bucket, the storage's prefix included.
#[derive(Clone)]
pub struct Bucket {
    backend: Backend,
    /// `file://bucket/`, which a key makes a URI.
    base: String,
}

impl Bucket {
    pub(crate) fn new(backend: Backend, base: String) -> Self {
        Self { backend, base }
    }

    /// Puts a local file, streamed; `progress` is told the bytes sent so far. Gives its size in
    /// bytes. An object that was there is replaced in one step.
    ///
    /// # Errors
    /// 1201, 1202 and 1203 for the bucket; 1500 when the local file cannot be read.
    pub async fn put_file(
        &self,
        key: &str,
        path: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<u64, StorageError> {
        let unreadable = |error: std::io::Error| {
            StorageError::passing(ErrorCode::Internal, format!("cannot read {}: {error}", path.display()))
        };
        let mut file = fs::File::open(path).await.map_err(unreadable)?;
        let size = file.metadata().await.map_err(unreadable)?.len();
        let mut object = self.begin(key, size).await?;
        let sending = async {
            loop {
                let mut chunk = BytesMut::with_capacity(CHUNK);
                while chunk.len() < CHUNK && file.read_buf(&mut chunk).await.map_err(unreadable)? > 0 {}
                if chunk.is_empty() {
                    return Ok(());
                }
                object.write(chunk.freeze()).await?;
                progress(object.sent);
            }
        };
        match sending.await {
            Ok(()) => object.end().await,
            Err(error) => {
                object.give_up().await;
                Err(error)
            }
        }
    }

    /// Puts a small object that is in memory already.
    ///
    /// # Errors
    /// As `put_file`.
    pub async fn put_bytes(&self, key: &str, bytes: Bytes) -> Result<(), StorageError> {
        let mut object = self.begin(key, bytes.len() as u64).await?;
        object.write(bytes).await?;
        object.end().await.map(|_| ())
    }

    /// A small object, whole.
    ///
    /// # Errors
    /// 1004 when there is no such object; 1201 and 1202.
    pub async fn read(&self, key: &str) -> Result<Bytes, StorageError> {
        let path = self.path(key).await?;
        let bytes = self.backend.operator().read(&path).await.map_err(|error| self.error(key, &error))?;
        Ok(bytes.to_bytes())
    }

    /// The keys of all objects that begin with `prefix`, sorted.
    ///
    /// # Errors
    /// 1201 and 1202.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        self.list_some(prefix, usize::MAX).await
    }

    /// The first keys that begin with `prefix`, at most so many, sorted.
    ///
    /// # Errors
    /// 1201 and 1202.
    pub async fn list_some(&self, prefix: &str, most: usize) -> Result<Vec<String>, StorageError> {
        key::check_prefix(prefix).map_err(|problem| self.refused(prefix, &problem))?;
        let mut keys = match &self.backend {
            Backend::File(file) => file.list(prefix).await?,
            Backend::Remote(remote) => {
                remote.list(prefix, most).await.map_err(|error| self.error(prefix, &error))?
            }
        };
        keys.sort();
        keys.truncate(most);
        Ok(keys)
    }

    /// The size of an object in bytes; `None` when there is no such object.
    ///
    /// # Errors
    /// 1201 and 1202.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, StorageError> {
        let path = self.path(key).await?;
        match self.backend.operator().stat(&path).await {
            Ok(object) => Ok(object.is_file().then(|| object.content_length())),
            Err(error) => match self.error(key, &error) {
                error if error.is_missing() => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Deletes an object; nothing happens when there is none.
    ///
    /// # Errors
    /// 1201 and 1202.
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let path = self.path(key).await?;
        match self.backend.operator().delete(&path).await.map_err(|error| self.error(key, &error)) {
            Err(error) if error.is_missing() => {}
            deleted => deleted?,
        }
        match &self.backend {
            Backend::File(file) => file.tidy(key).await,
            Backend::Remote(_) => Ok(()),
        }
    }

    async fn begin(&self, key: &str, size: u64) -> Result<Writing<'_>, StorageError> {
        key::check(key).map_err(|problem| self.refused(key, &problem))?;
        let place = self.backend.place(&self.base, key).await?;
        let operator = self.backend.operator();
        let capability = operator.info().capability();
        let mut writer = operator.writer_with(place.path());
        if let Place::Sent(_) = place {
            let part = usize::try_from(Remote::part_of(size)).unwrap_or(usize::MAX);
            writer = writer.chunk(part).concurrent(PARTS_AT_ONCE);
        }
        if capability.write_with_content_type {
            writer = writer.content_type(key::content_type(key));
        }
        if let Some(cache) = key::cache_control(key).filter(|_| capability.write_with_cache_control) {
            writer = writer.cache_control(cache);
        }
        let writer = writer.await.map_err(|error| self.error(key, &error))?;
        Ok(Writing { bucket: self, key: key.to_owned(), open: Some((writer, place)), sent: 0 })
    }

    /// The URI of an object.
    pub(crate) fn uri(&self, key: &str) -> String {
        format!("{}{key}", self.base)
    }

    /// What is known of an object.
    pub(crate) async fn stat(&self, key: &str) -> Result<Metadata, StorageError> {
        let path = self.path(key).await?;
        self.backend.operator().stat(&path).await.map_err(|error| self.error(key, &error))
    }

    /// A part of an object, piece by piece, as long as it is the version with this ETag; see
    /// [`Bucket::broken`].
    pub(crate) async fn pieces(
        &self,
        key: &str,
        range: Range<u64>,
        etag: Option<&str>,
    ) -> Result<FuturesBytesStream, Option<StorageError>> {
        let path = self.path(key).await?;
        let operator = self.backend.operator();
        let mut reader = operator.reader_with(&path);
        if let Some(etag) = etag.filter(|_| operator.info().capability().read_with_if_match) {
            reader = reader.if_match(etag);
        }
        let opened = async { reader.await?.into_bytes_stream(range).await };
        opened.await.map_err(|error| self.unless_changed(key, &error))
    }

    /// What broke while an object's pieces came; none when it is another version now.
    pub(crate) fn broken(&self, key: &str, error: &io::Error) -> Option<StorageError> {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<opendal::Error>()) {
            Some(error) => self.unless_changed(key, error),
            None => {
                let detail = format!("{}: {error}", self.uri(key));
                Some(StorageError::passing(ErrorCode::OutputUnreachable, detail))
            }
        }
    }

    fn unless_changed(&self, key: &str, error: &opendal::Error) -> Option<StorageError> {
        let changed = Trouble::within(error).is_some_and(Trouble::is_changed);
        (!changed).then(|| self.error(key, error))
    }

    /// Whether what was read is what was written.
    pub(crate) fn compare(&self, key: &str, found: &[u8], written: &[u8]) -> Result<(), StorageError> {
        if found == written {
            return Ok(());
        }
        let detail = format!("{}: holds something else than was just written", self.uri(key));
        Err(StorageError::lasting(ErrorCode::OutputRefused, detail))
    }

    /// A URL with which anybody may read an object for as long as `valid`; `None` where that is not
    /// the store's business but the server's own. The object need not be there.
    ///
    /// # Errors
    /// 1202 when it cannot be signed.
    pub async fn sign(&self, key: &str, valid: Duration) -> Result<Option<String>, StorageError> {
        self.path(key).await?;
        match &self.backend {
            Backend::File(_) => Ok(None),
            Backend::Remote(remote) => {
                remote.sign(key, valid).await.map(Some).map_err(|error| self.error(key, &error))
            }
        }
    }

    async fn path(&self, key: &str) -> Result<String, StorageError> {
        key::check(key).map_err(|problem| self.refused(key, &problem))?;
        self.backend.path(&self.base, key).await
    }

    fn refused(&self, key: &str, problem: &str) -> StorageError {
        StorageError::lasting(ErrorCode::OutputRefused, format!("{}{key}: {problem}", self.base))
    }

    fn error(&self, key: &str, error: &opendal::Error) -> StorageError {
        StorageError::of(&format!("{}{key}", self.base), error)
    }
}

/// An object that is being written; it is there when it has ended, and never was when this is
/// dropped before.
struct Writing<'a> {
    bucket: &'a Bucket,
    key: String,
    /// None when it has ended.
    open: Option<(Writer, Place)>,
    /// Bytes so far.
    sent: u64,
}

impl Writing<'_> {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        let Some((writer, _)) = &mut self.open else { return Ok(()) };
        let size = bytes.len() as u64;
        writer.write(bytes).await.map_err(|error| self.bucket.error(&self.key, &error))?;
        self.sent += size;
        Ok(())
    }

    /// Gives the object's size in bytes.
    async fn end(mut self) -> Result<u64, StorageError> {
        match self.open.take() {
            Some((writer, Place::Staged(staged))) => staged.settle(writer).await?,
            Some((mut writer, place @ Place::Sent(_))) => {
                if let Err(error) = writer.close().await {
                    self.open = Some((writer, place));
                    self.ended_nevertheless(&error).await?;
                }
            }
            None => {}
        }
        Ok(self.sent)
    }

    /// When the answer to the end of an upload is lost, asking again says that there is no such
    /// upload: the object tells whether it ended.
    async fn ended_nevertheless(&mut self, error: &opendal::Error) -> Result<(), StorageError> {
        let unknown = Trouble::within(error).is_some_and(Trouble::is_unknown_upload);
        if unknown && self.bucket.size(&self.key).await == Ok(Some(self.sent)) {
            self.open = None;
            return Ok(());
        }
        self.give_up().await;
        Err(self.bucket.error(&self.key, error))
    }

    /// Takes back what was sent.
    async fn give_up(&mut self) {
        if let Some((writer, Place::Sent(path))) = self.open.take() {
            abort(writer, path).await;
        }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if let Some((writer, Place::Sent(path))) = self.open.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(abort(writer, path).in_current_span());
        }
    }
}

/// Takes back the parts of an upload, which would be paid for and never seen.
async fn abort(mut writer: Writer, path: String) {
    match timeout(PATIENCE_OF_ABORT, writer.abort()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) if Trouble::within(&error).is_some_and(Trouble::is_unknown_upload) => {}
        Ok(Err(error)) => tracing::warn!(path, %error, "could not take back the parts of an upload"),
        Err(_) => tracing::warn!(path, "could not take back the parts of an upload in time"),
    }
}
