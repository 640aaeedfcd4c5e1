//! A bucket: objects go in, come out, are listed and deleted by key.

mod look;

use std::{fs::File, io, ops::Range, time::Duration};

use bytes::{Bytes, BytesMut};
use model::ErrorCode;
use opendal::{FuturesBytesStream, Metadata, Writer};
use tokio::{io::AsyncReadExt as _, runtime::Handle, time::timeout};
use tracing::Instrument as _;

use crate::{
    backend::{Backend, CONCURRENT_PARTS, RemoteBucket, UploadTarget},
    error::StorageError,
    key,
    transport::TransportError,
};

/// How much of a local file is read at once, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// How long the end of an aborted upload is waited for.
const ABORT_TIMEOUT: Duration = Duration::from_secs(15);

/// Tells a version of an object from the others that had or will have its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectVersion {
    /// Its size in bytes.
    pub bytes: u64,
    /// All that tells it from others, as one text.
    pub text: String,
}

/// An open bucket of any kind. Keys are those of the whole bucket, the storage's prefix included.
#[derive(Clone)]
pub struct Bucket {
    backend: Backend,
    /// `file://bucket/`; a key behind it makes the object's URI.
    base_uri: String,
}

/// Why reading a range of an object ended early.
pub(crate) enum ReadError {
    /// The object is another version than the one that was asked for.
    Changed,
    /// Anything else.
    Failed(StorageError),
}

impl Bucket {
    pub(crate) fn new(backend: Backend, base_uri: String) -> Self {
        Self { backend, base_uri }
    }

    /// Puts a local file from its current position, streamed; `progress` is called with the bytes sent so far. Gives its size in
    /// bytes. An object that was there is replaced in one step.
    ///
    /// # Errors
    /// 1201, 1202 and 1203 for the bucket; 1500 when the local file cannot be read, or the write guard forbids
    /// it.
    pub async fn put_file(
        &self,
        key: &str,
        file: File,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<u64, StorageError> {
        let unreadable = |error: io::Error| {
            StorageError::transient(ErrorCode::Internal, format!("cannot read the file of {key}: {error}"))
        };
        let mut file = tokio::fs::File::from_std(file);
        let size = file.metadata().await.map_err(unreadable)?.len();
        let mut object = self.start_upload(key, size).await?;
        let sending = async {
            loop {
                let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
                while chunk.len() < CHUNK_BYTES && file.read_buf(&mut chunk).await.map_err(unreadable)? > 0 {}
                if chunk.is_empty() {
                    return Ok(());
                }
                object.write(chunk.freeze()).await?;
                progress(object.sent);
            }
        };
        match sending.await {
            Ok(()) => object.finish().await,
            Err(error) => {
                object.abort().await;
                Err(error)
            }
        }
    }

    /// Puts a small object that is in memory.
    ///
    /// # Errors
    /// As `put_file`.
    pub async fn put_bytes(&self, key: &str, bytes: Bytes) -> Result<(), StorageError> {
        let mut object = self.start_upload(key, bytes.len() as u64).await?;
        object.write(bytes).await?;
        object.finish().await.map(|_| ())
    }

    /// Reads a small object whole: of an object store at most [`model::limits::MAX_STORE_ANSWER_BYTES`].
    ///
    /// # Errors
    /// 1004 when there is no such object; 1201 and 1202.
    pub async fn read(&self, key: &str) -> Result<Bytes, StorageError> {
        let path = self.path(key).await?;
        let bytes = self.backend.operator().read(&path).await.map_err(|error| self.error(key, &error))?;
        Ok(bytes.to_bytes())
    }

    /// The size of an object in bytes; `None` when there is no such object.
    ///
    /// # Errors
    /// 1201 and 1202.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, StorageError> {
        match self.stat(key).await {
            Ok(object) if object.is_file() => Ok(Some(object.content_length())),
            Ok(_) => Ok(None),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes an object; nothing happens when there is none.
    ///
    /// # Errors
    /// 1201 and 1202; 1500 when the write guard forbids it.
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let path = self.path(key).await?;
        if let Backend::File(bucket) = &self.backend {
            bucket.check_may_write(key)?;
        }
        match self.backend.operator().delete(&path).await.map_err(|error| self.error(key, &error)) {
            Err(error) if !error.is_not_found() => return Err(error),
            Ok(()) | Err(_) => {}
        }
        match &self.backend {
            Backend::File(bucket) => bucket.remove_empty_folders(key).await,
            Backend::Remote(_) => Ok(()),
        }
    }

    /// A URL with which anybody may read an object for as long as `valid_for`; `None` for a `file` storage,
    /// whose objects the server itself serves. The object need not be there.
    ///
    /// # Errors
    /// 1202 when it cannot be signed.
    pub async fn presign(&self, key: &str, valid_for: Duration) -> Result<Option<String>, StorageError> {
        self.path(key).await?;
        match &self.backend {
            Backend::File(_) => Ok(None),
            Backend::Remote(bucket) => {
                bucket.presign(key, valid_for).await.map(Some).map_err(|error| self.error(key, &error))
            }
        }
    }

    async fn start_upload(&self, key: &str, size: u64) -> Result<ObjectWriter<'_>, StorageError> {
        key::check(key).map_err(|problem| self.bad_key(key, &problem))?;
        let target = self.backend.upload_target(&self.base_uri, key).await?;
        let operator = self.backend.operator();
        let capability = operator.info().capability();
        let mut writer = operator.writer_with(target.path());
        if let UploadTarget::Object(_) = target {
            let part_bytes = usize::try_from(RemoteBucket::part_bytes(size)).unwrap_or(usize::MAX);
            writer = writer.chunk(part_bytes).concurrent(CONCURRENT_PARTS);
        }
        if capability.write_with_content_type {
            writer = writer.content_type(key::content_type(key));
        }
        if capability.write_with_cache_control
            && let Some(cache_control) = key::cache_control(key)
        {
            writer = writer.cache_control(cache_control);
        }
        let writer = writer.await.map_err(|error| self.error(key, &error))?;
        Ok(ObjectWriter { bucket: self, key: key.to_owned(), open: Some((writer, target)), sent: 0 })
    }

    /// The URI of an object.
    pub(crate) fn uri(&self, key: &str) -> String {
        format!("{}{key}", self.base_uri)
    }

    /// The metadata of an object: its size, ETag and time of change.
    pub(crate) async fn stat(&self, key: &str) -> Result<Metadata, StorageError> {
        let path = self.path(key).await?;
        self.backend.operator().stat(&path).await.map_err(|error| self.error(key, &error))
    }

    /// Streams a range of an object's bytes, as long as the object is the version with this ETag. What ends
    /// the stream early, [`Bucket::stream_error`] reads.
    pub(crate) async fn stream_range(
        &self,
        key: &str,
        range: Range<u64>,
        etag: Option<&str>,
    ) -> Result<FuturesBytesStream, ReadError> {
        let path = self.path(key).await.map_err(ReadError::Failed)?;
        let operator = self.backend.operator();
        let mut reader = operator.reader_with(&path);
        if operator.info().capability().read_with_if_match
            && let Some(etag) = etag
        {
            reader = reader.if_match(etag);
        }
        let opened = async { reader.await?.into_bytes_stream(range).await };
        opened.await.map_err(|error| self.read_error(key, &error))
    }

    /// What an error in a stream of [`Bucket::stream_range`] means.
    pub(crate) fn stream_error(&self, key: &str, error: &io::Error) -> ReadError {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<opendal::Error>()) {
            Some(error) => self.read_error(key, error),
            None => {
                let detail = format!("{}: {error}", self.uri(key));
                ReadError::Failed(StorageError::transient(ErrorCode::OutputUnreachable, detail))
            }
        }
    }

    fn read_error(&self, key: &str, error: &opendal::Error) -> ReadError {
        match TransportError::inside(error) {
            Some(cause) if cause.is_precondition_failed() => ReadError::Changed,
            _ => ReadError::Failed(self.error(key, error)),
        }
    }

    async fn path(&self, key: &str) -> Result<String, StorageError> {
        key::check(key).map_err(|problem| self.bad_key(key, &problem))?;
        self.backend.path(&self.base_uri, key).await
    }

    fn bad_key(&self, key: &str, problem: &str) -> StorageError {
        StorageError::permanent(ErrorCode::OutputRefused, format!("{}: {problem}", self.uri(key)))
    }

    fn error(&self, key: &str, error: &opendal::Error) -> StorageError {
        StorageError::from_opendal(&self.uri(key), error)
    }
}

/// An object that is being written. It appears when it is finished; when this is dropped before, it never
/// does, and the parts that were sent are removed.
struct ObjectWriter<'a> {
    bucket: &'a Bucket,
    key: String,
    /// None when it is finished or aborted.
    open: Option<(Writer, UploadTarget)>,
    /// Bytes so far.
    sent: u64,
}

impl ObjectWriter<'_> {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        let Some((writer, _)) = &mut self.open else { return Ok(()) };
        let size = bytes.len() as u64;
        writer.write(bytes).await.map_err(|error| self.bucket.error(&self.key, &error))?;
        self.sent += size;
        Ok(())
    }

    /// Makes the object appear; gives its size in bytes.
    async fn finish(mut self) -> Result<u64, StorageError> {
        match self.open.take() {
            Some((writer, UploadTarget::StagedFile(file))) => file.commit(writer).await?,
            Some((mut writer, target @ UploadTarget::Object(_))) => {
                if let Err(error) = writer.close().await {
                    self.open = Some((writer, target));
                    self.check_completed(&error).await?;
                }
            }
            None => {}
        }
        Ok(self.sent)
    }

    /// Whether an upload was completed although the object store says that there is none: the answer to its
    /// completion may have been lost, and the retry then finds no upload. The object's size tells.
    async fn check_completed(&mut self, error: &opendal::Error) -> Result<(), StorageError> {
        let is_no_such_upload = TransportError::inside(error).is_some_and(TransportError::is_no_such_upload);
        if is_no_such_upload && self.bucket.size(&self.key).await == Ok(Some(self.sent)) {
            self.open = None;
            return Ok(());
        }
        self.abort().await;
        Err(self.bucket.error(&self.key, error))
    }

    /// Removes the parts that were sent. A staged file is removed when it is dropped.
    async fn abort(&mut self) {
        if let Some((writer, UploadTarget::Object(path))) = self.open.take() {
            abort_upload(writer, path).await;
        }
    }
}

impl Drop for ObjectWriter<'_> {
    fn drop(&mut self) {
        if let Some((writer, UploadTarget::Object(path))) = self.open.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(abort_upload(writer, path).in_current_span());
        }
    }
}

/// Removes the parts of an upload, which would be paid for and never seen.
async fn abort_upload(mut writer: Writer, path: String) {
    match timeout(ABORT_TIMEOUT, writer.abort()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) if TransportError::inside(&error).is_some_and(TransportError::is_no_such_upload) => {}
        Ok(Err(error)) => tracing::warn!(path, %error, "could not remove the parts of an aborted upload"),
        Err(_) => tracing::warn!(path, "could not remove the parts of an aborted upload in time"),
    }
}
