//! What is in a bucket: listings, versions of objects, and whether one is a certain file.

use std::{io, ops::ControlFlow, path::Path};

use futures::StreamExt as _;
use model::{
    ErrorCode,
    limits::{MAX_LISTED_OBJECTS, MAX_LISTING_BYTES},
};
use tokio::{fs, io::AsyncReadExt as _};

use super::{Bucket, ObjectVersion, ReadError};
use crate::{backend::Backend, error::StorageError, key};

impl Bucket {
    /// The keys of all objects that begin with `prefix`, sorted.
    ///
    /// # Errors
    /// 1201 and 1202.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        self.list_first(prefix, usize::MAX).await
    }

    /// The first keys that begin with `prefix`, at most `max_keys`, sorted.
    ///
    /// # Errors
    /// 1201 and 1202.
    pub async fn list_first(&self, prefix: &str, max_keys: usize) -> Result<Vec<String>, StorageError> {
        let mut keys = Vec::new();
        // a folder's files come in no order: the first ones are known at the end
        let stops_early = matches!(self.backend, Backend::Remote(_));
        self.visit(prefix, &mut |key, _| {
            if stops_early && keys.len() == max_keys {
                return ControlFlow::Break(());
            }
            keys.push(key.to_owned());
            ControlFlow::Continue(())
        })
        .await?;
        keys.sort();
        keys.truncate(max_keys);
        Ok(keys)
    }

    /// Calls `visit` with the key and the size in bytes of every object whose key begins with `prefix`, in no
    /// order, until it breaks.
    ///
    /// # Errors
    /// 1201 and 1202, also for a listing that does not end.
    pub async fn visit(
        &self,
        prefix: &str,
        visit: &mut (dyn FnMut(&str, u64) -> ControlFlow<()> + Send),
    ) -> Result<(), StorageError> {
        key::check_prefix(prefix).map_err(|problem| self.bad_key(prefix, &problem))?;
        let (mut objects, mut bytes) = (0, 0);
        let mut visit_within_limits = |key: &str, size: u64| {
            (objects, bytes) = (objects + 1, bytes + key.len());
            if objects > MAX_LISTED_OBJECTS || bytes > MAX_LISTING_BYTES {
                return ControlFlow::Break(());
            }
            visit(key, size)
        };
        match &self.backend {
            Backend::File(bucket) => {
                let listed = bucket.list(prefix).await?;
                let _ = listed.iter().try_for_each(|(key, size)| visit_within_limits(key, *size));
            }
            Backend::Remote(bucket) => {
                let visited = bucket.visit(prefix, &mut visit_within_limits).await;
                visited.map_err(|error| self.error(prefix, &error))?;
            }
        }
        if objects > MAX_LISTED_OBJECTS || bytes > MAX_LISTING_BYTES {
            let detail = format!("{}: more than {MAX_LISTED_OBJECTS} objects are listed", self.uri(prefix));
            return Err(StorageError::permanent(ErrorCode::OutputRefused, detail));
        }
        Ok(())
    }

    /// The version of an object; `None` when there is no such object.
    ///
    /// # Errors
    /// 1201 and 1202.
    pub async fn version(&self, key: &str) -> Result<Option<ObjectVersion>, StorageError> {
        let asked = async {
            let file_id = match &self.backend {
                Backend::File(bucket) => Some(bucket.file_id(key).await?),
                Backend::Remote(_) => None,
            };
            Ok((self.stat(key).await?, file_id))
        };
        let (metadata, file_id) = match asked.await {
            Ok((metadata, file_id)) if metadata.is_file() => (metadata, file_id),
            Ok(_) => return Ok(None),
            Err(error) if StorageError::is_not_found(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let (bytes, etag) = (metadata.content_length(), metadata.etag());
        let text = format!("{bytes} {etag:?} {:?} {file_id:?}", metadata.last_modified());
        Ok(Some(ObjectVersion { bytes, text }))
    }

    /// Whether an object of this bucket and one of another, which may be this one, are the same file or share
    /// its content on the disk; never so for object stores, where a URI names one object.
    ///
    /// # Errors
    /// 1201 and 1202.
    pub async fn is_same_file(&self, key: &str, other: &Self, other_key: &str) -> Result<bool, StorageError> {
        let (Backend::File(bucket), Backend::File(other)) = (&self.backend, &other.backend) else {
            return Ok(false);
        };
        let mut ids = Vec::new();
        for (bucket, key) in [(bucket, key), (other, other_key)] {
            match bucket.file_id(key).await {
                Ok(id) => ids.push(id),
                Err(error) if error.is_not_found() => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(ids[0] == ids[1])
    }

    /// Whether this version of an object has the very bytes of a local file. An object of another size is not
    /// read.
    ///
    /// # Errors
    /// 1201 and 1202; 1500 when the local file cannot be read.
    pub async fn has_content_of(
        &self,
        key: &str,
        version: &ObjectVersion,
        path: &Path,
    ) -> Result<bool, StorageError> {
        let unreadable = |error: io::Error| {
            StorageError::transient(ErrorCode::Internal, format!("cannot read {}: {error}", path.display()))
        };
        let mut file = fs::File::open(path).await.map_err(unreadable)?;
        if file.metadata().await.map_err(unreadable)?.len() != version.bytes {
            return Ok(false);
        }
        let read_error = |error| match error {
            ReadError::Failed(error) => error,
            ReadError::Changed => {
                let detail = format!("{}: changed while it was read", self.uri(key));
                StorageError::transient(ErrorCode::OutputUnreachable, detail)
            }
        };
        let stream = self.stream_range(key, 0..version.bytes, None).await;
        let mut stream = stream.map_err(read_error)?;
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| read_error(self.stream_error(key, &error)))?;
            let mut local = vec![0; chunk.len()];
            file.read_exact(&mut local).await.map_err(unreadable)?;
            if local != chunk {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
