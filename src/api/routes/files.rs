//! The objects of `file` storages over HTTP, for players: with byte ranges, validators and cross-origin
//! headers, for callers with an access key and for signed links. Nothing can be written here.
//!
//! `tower_http`'s `ServeFile` is not used: it does not know `If-Range`, which players send to continue.

use std::{
    io::{self, SeekFrom},
    path::PathBuf,
    time::{Duration, UNIX_EPOCH},
};

use axum::{
    body::Body,
    extract::{FromRequestParts as _, Path, State},
    http::{HeaderMap, HeaderName, Method, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get},
};
use model::{Storage, StorageId, StorageType};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
};
use tokio_util::io::ReaderStream;
use tower_http::cors::{Any, CorsLayer};

use crate::{
    api::{
        auth::Caller, connection::ConnectionInfo, error::ApiError, ids::parse_id_or_not_found,
        state::ApiState, transfers::TransferHolder,
    },
    app::App,
};

/// The path of all objects; the storage's id and the object's key follow.
pub(super) const PATH: &str = "/storage";

/// Bytes that are read from the disk at once.
const CHUNK_BYTES: usize = 256 << 10;

/// For how long a browser may cache the answer to a preflight request.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The methods of `/storage/<storage_id>/<key>`, and of the same with a signature before the key.
pub(super) fn methods() -> MethodRouter<ApiState> {
    get(serve_object).layer(cors())
}

/// A page of any origin may play what it has a link to.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::OPTIONS])
        .allow_headers([header::RANGE, header::IF_RANGE, header::IF_NONE_MATCH, header::AUTHORIZATION])
        .expose_headers([
            header::CONTENT_LENGTH,
            header::CONTENT_RANGE,
            header::ETAG,
            header::LAST_MODIFIED,
            header::ACCEPT_RANGES,
        ])
        .max_age(PREFLIGHT_MAX_AGE)
        // nothing varies with the origin
        .vary([])
}

async fn serve_object(
    State(state): State<ApiState>,
    Path((storage_id, path)): Path<(String, String)>,
    mut parts: Parts,
) -> Result<Response, ApiError> {
    let id: StorageId = parse_id_or_not_found("storage", &storage_id)?;
    let (storage, key, holder) = authorize(&state, &id, &path, &mut parts).await?;
    if storage.kind != StorageType::File {
        let kind = storage.kind;
        return Err(ApiError::not_found(format!(
            "this server holds objects of `file` storages alone, and this is one of type `{kind}`; \
             `sign_output` gives a link"
        )));
    }
    let missing = || ApiError::not_found(format!("there is no object `{key}` in this storage"));
    if !storage.prefix.is_empty() && !key.starts_with(&format!("{}/", storage.prefix)) {
        return Err(missing());
    }
    let transfer = state.transfers.begin(&holder)?;
    if let Some(connection) = parts.extensions.get::<ConnectionInfo>() {
        connection.hold(transfer);
    }
    let object = Object::open(&state.app, storage, key).await.ok_or_else(missing)?;
    object.respond(&parts.headers).await.map_err(ApiError::internal)
}

/// The storage and the key of an object that the request may read, by a signed link or by its access key;
/// and who reads it.
async fn authorize<'path>(
    state: &ApiState,
    id: &StorageId,
    path: &'path str,
    parts: &mut Parts,
) -> Result<(Storage, &'path str, TransferHolder), ApiError> {
    if let Some((signature, key)) = path.split_once('/')
        && state.app.link_signer.verify(signature, id, key, state.app.clock.now())
    {
        let holder = TransferHolder::Link(signature.to_owned());
        return Ok((state.app.store.storage_of_any_tenant(id).await?, key, holder));
    }
    let caller = Caller::from_request_parts(parts, state).await?;
    let holder = TransferHolder::Tenant(caller.tenant.clone());
    Ok((state.app.store.storage(&caller.tenant, id).await?, path, holder))
}

/// An object that is open.
struct Object {
    file: File,
    key: String,
    /// Bytes.
    size: u64,
    etag: String,
    /// Unix seconds.
    modified: i64,
}

impl Object {
    /// None when there is no such file.
    async fn open(app: &App, storage: Storage, key: &str) -> Option<Self> {
        let (storages, owned_key) = (app.storages.clone(), key.to_owned());
        let path: Option<PathBuf> =
            tokio::task::spawn_blocking(move || storages.local_path(&storage, &owned_key)).await.ok()?;
        let file = File::open(path?).await.ok()?;
        let metadata = file.metadata().await.ok()?;
        if !metadata.is_file() {
            return None;
        }
        let (size, modified) = (metadata.len(), metadata.modified().ok()?);
        let since_epoch = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(Self {
            file,
            key: key.to_owned(),
            size,
            etag: format!("\"{:x}-{size:x}\"", since_epoch.as_nanos()),
            modified: i64::try_from(since_epoch.as_secs()).unwrap_or_default(),
        })
    }

    /// The whole object, the range that was asked for, or 304 (RFC 9110, 13 and 14).
    async fn respond(mut self, request: &HeaderMap) -> io::Result<Response> {
        let text = |name: HeaderName| request.get(name).and_then(|value| value.to_str().ok());
        if text(header::IF_NONE_MATCH).is_some_and(|tags| self.matches_any(tags)) {
            return Ok((StatusCode::NOT_MODIFIED, self.headers()).into_response());
        }
        // If-Range: a range of an object that has changed would not fit to what the client has of it
        let is_unchanged = text(header::IF_RANGE).is_none_or(|tag| tag == self.etag);
        let range = match text(header::RANGE) {
            Some(range) if is_unchanged => parse_range(range, self.size),
            _ => ByteRange::Whole,
        };
        match range {
            ByteRange::Whole => {
                let headers = (self.headers(), [(header::CONTENT_LENGTH, self.size.to_string())]);
                Ok((headers, stream(self.file, self.size)).into_response())
            }
            ByteRange::Part { start, length } => {
                self.file.seek(SeekFrom::Start(start)).await?;
                let last = start + length - 1;
                let content_range = format!("bytes {start}-{last}/{}", self.size);
                let headers = (
                    self.headers(),
                    [(header::CONTENT_LENGTH, length.to_string()), (header::CONTENT_RANGE, content_range)],
                );
                Ok((StatusCode::PARTIAL_CONTENT, headers, stream(self.file, length)).into_response())
            }
            ByteRange::NotSatisfiable => {
                let content_range = [(header::CONTENT_RANGE, format!("bytes */{}", self.size))];
                Ok((StatusCode::RANGE_NOT_SATISFIABLE, content_range).into_response())
            }
        }
    }

    /// Whether the value of `If-None-Match` names this version of the object.
    fn matches_any(&self, tags: &str) -> bool {
        tags.split(',').any(|tag| matches!(tag.trim(), "*") || tag.trim() == self.etag)
    }

    fn headers(&self) -> [(HeaderName, String); 8] {
        // the answer is for one who has a key, or a link that expires: no shared cache may keep it
        let cache_control =
            storage::cache_control(&self.key).unwrap_or("no-cache").replace("public", "private");
        let modified = chrono::DateTime::from_timestamp(self.modified, 0).unwrap_or_default();
        [
            (header::CONTENT_TYPE, storage::content_type(&self.key).to_owned()),
            (header::CACHE_CONTROL, cache_control),
            (header::ACCEPT_RANGES, "bytes".to_owned()),
            (header::ETAG, self.etag.clone()),
            // IMF-fixdate (RFC 9110, 5.6.7)
            (header::LAST_MODIFIED, modified.format("%a, %d %b %Y %H:%M:%S GMT").to_string()),
            // an object may be anything, such as a page with scripts, and this is the origin of the server
            // itself
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
            (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin".to_owned()),
        ]
    }
}

/// The next `length` bytes of a file, as a body.
fn stream(file: File, length: u64) -> Body {
    Body::from_stream(ReaderStream::with_capacity(file.take(length), CHUNK_BYTES))
}

/// The bytes of an object that a request asks for.
#[derive(Debug, PartialEq, Eq)]
enum ByteRange {
    Whole,
    Part { start: u64, length: u64 },
    NotSatisfiable,
}

/// Parses a `Range`. What is not one range of bytes is ignored, as RFC 9110 (14.2) allows.
fn parse_range(range: &str, size: u64) -> ByteRange {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return ByteRange::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    let (start, end) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(start), Ok(last)) if last >= start => (start, last.saturating_add(1).min(size)),
        (Ok(start), Err(_)) if last.is_empty() => (start, size),
        // a suffix: the last bytes, of which 0 are none
        (Err(_), Ok(0)) if first.is_empty() => return ByteRange::NotSatisfiable,
        (Err(_), Ok(suffix)) if first.is_empty() => (size.saturating_sub(suffix), size),
        _ => return ByteRange::Whole,
    };
    if start >= size {
        return ByteRange::NotSatisfiable;
    }
    ByteRange::Part { start, length: end - start }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("bytes=0-9", ByteRange::Part { start: 0, length: 10 })]
    #[case("bytes=90-", ByteRange::Part { start: 90, length: 10 })]
    #[case("bytes=90-200", ByteRange::Part { start: 90, length: 10 })]
    #[case("bytes=-10", ByteRange::Part { start: 90, length: 10 })]
    #[case("bytes=-200", ByteRange::Part { start: 0, length: 100 })]
    #[case("bytes=100-", ByteRange::NotSatisfiable)]
    #[case("bytes=-0", ByteRange::NotSatisfiable)]
    #[case("bytes=9-0", ByteRange::Whole)]
    #[case("bytes=0-1,5-6", ByteRange::Whole)]
    #[case("bytes=x-", ByteRange::Whole)]
    #[case("pages=0-1", ByteRange::Whole)]
    fn ranges(#[case] range: &str, #[case] expected: ByteRange) {
        assert_eq!(parse_range(range, 100), expected);
    }
}
