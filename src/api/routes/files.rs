//! The objects of `file` storages, as players want them: read-only, with ranges, validators and
//! cross-origin headers, for whoever signs in and whoever has a signed link.

use std::{io::SeekFrom, path::PathBuf, time::UNIX_EPOCH};

use axum::{
    body::Body,
    extract::{FromRequestParts as _, Path, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use model::{Storage, StorageId, StorageType};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
};
use tokio_util::io::ReaderStream;

use crate::{
    api::{auth::Caller, error::ApiError, ids::wanted, state::ApiState},
    app::App,
};

/// Where they are, before the storage's id and the key.
pub(super) const PATH: &str = "/storage";

/// How much is read from disk at once, in bytes.
const CHUNK: usize = 256 << 10;

/// Serves an object: `/storage/<storage_id>/<key>`, or with a signature before the key.
pub(super) async fn serve(
    State(state): State<ApiState>,
    Path((storage_id, path)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    if request.method() == Method::OPTIONS {
        return Ok(with_cors(StatusCode::NO_CONTENT.into_response()));
    }
    let id: StorageId = wanted("storage", &storage_id)?;
    let (storage, key) = allowed(&state, &id, &path, request).await?;
    let (storage, key, headers) = (storage, key.0, key.1);
    let missing = || ApiError::not_found(format!("there is no object `{key}` in this storage"));
    if storage.kind != StorageType::File {
        let kind = storage.kind;
        return Err(ApiError::not_found(format!(
            "this server holds objects of `file` storages alone, and this is one of type `{kind}`; \
             `sign_output` gives an address"
        )));
    }
    if !storage.prefix.is_empty() && !key.starts_with(&format!("{}/", storage.prefix)) {
        return Err(missing());
    }
    let object = Object::open(&state.app, storage, &key).await.ok_or_else(missing)?;
    Ok(with_cors(object.answer(&headers).await.map_err(ApiError::internal)?))
}

/// The storage and the key, for somebody who may read it.
async fn allowed(
    state: &ApiState,
    id: &StorageId,
    path: &str,
    request: Request,
) -> Result<(Storage, (String, HeaderMap)), ApiError> {
    let (mut parts, _) = request.into_parts();
    if let Some((signature, key)) = path.split_once('/').filter(|(first, _)| first.starts_with('@'))
        && state.app.link_signer.verify(signature, id, key, state.app.clock.now())
    {
        let storage = state.app.store.storage_of_any_tenant(id).await?;
        return Ok((storage, (key.to_owned(), parts.headers)));
    }
    let caller = Caller::from_request_parts(&mut parts, state).await?;
    let storage = state.app.store.storage(&caller.tenant, id).await?;
    Ok((storage, (path.to_owned(), parts.headers)))
}

/// An object that is open.
struct Object {
    file: File,
    key: String,
    size: u64,
    etag: String,
    modified: i64,
}

impl Object {
    async fn open(app: &App, storage: Storage, key: &str) -> Option<Self> {
        let (storages, owned) = (app.storages.clone(), key.to_owned());
        let path: Option<PathBuf> =
            tokio::task::spawn_blocking(move || storages.local_path(&storage, &owned)).await.ok()?;
        let file = File::open(path?).await.ok()?;
        let about = file.metadata().await.ok().filter(std::fs::Metadata::is_file)?;
        let modified = about.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let etag = format!("\"{:x}-{:x}\"", modified.as_nanos(), about.len());
        let modified = i64::try_from(modified.as_secs()).unwrap_or_default();
        Some(Self { file, key: key.to_owned(), size: about.len(), etag, modified })
    }

    /// The whole, the part that was asked for (RFC 9110, 14), or that nothing changed.
    async fn answer(mut self, asked: &HeaderMap) -> std::io::Result<Response> {
        let text = |name: HeaderName| asked.get(name).and_then(|value| value.to_str().ok());
        let known = text(header::IF_NONE_MATCH).is_some_and(|tags| {
            tags.split(',').any(|tag| matches!(tag.trim(), "*") || tag.trim() == self.etag)
        });
        if known {
            return Ok(self.with_headers(StatusCode::NOT_MODIFIED.into_response()));
        }
        let same = text(header::IF_RANGE).is_none_or(|tag| tag == self.etag);
        let range =
            text(header::RANGE).filter(|_| same).map_or(Wanted::Whole, |range| wanted_part(range, self.size));
        let (status, from, length) = match range {
            Wanted::Whole => (StatusCode::OK, 0, self.size),
            Wanted::Part(from, length) => (StatusCode::PARTIAL_CONTENT, from, length),
            Wanted::Nothing => {
                let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
                set(&mut response, header::CONTENT_RANGE, &format!("bytes */{}", self.size));
                return Ok(response);
            }
        };
        self.file.seek(SeekFrom::Start(from)).await?;
        let (size, file) = (self.size, self.file.try_clone().await?);
        let body = Body::from_stream(ReaderStream::with_capacity(file.take(length), CHUNK));
        let mut response = self.with_headers((status, body).into_response());
        set(&mut response, header::CONTENT_LENGTH, &length.to_string());
        if status == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {from}-{}/{size}", from + length - 1);
            set(&mut response, header::CONTENT_RANGE, &range);
        }
        Ok(response)
    }

    fn with_headers(&self, mut response: Response) -> Response {
        set(&mut response, header::CONTENT_TYPE, storage::content_type(&self.key));
        let cache = storage::cache_control(&self.key).unwrap_or("no-cache");
        // who signed in, or has a link for a while, has it for himself
        set(&mut response, header::CACHE_CONTROL, &cache.replace("public", "private"));
        set(&mut response, header::ACCEPT_RANGES, "bytes");
        set(&mut response, header::ETAG, &self.etag);
        let modified = chrono::DateTime::from_timestamp(self.modified, 0).unwrap_or_default();
        let modified = modified.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        set(&mut response, header::LAST_MODIFIED, &modified);
        // an object is whatever a customer put there, on the server's own origin
        set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(&mut response, header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
        response
    }
}

/// The part of an object that is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    /// From where, and how much.
    Part(u64, u64),
    /// What there is not.
    Nothing,
}

/// Reads a `Range`. What is not one range of bytes is ignored, as RFC 9110 allows.
fn wanted_part(range: &str, size: u64) -> Wanted {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Wanted::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    let (from, end) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(from), Ok(last)) if last >= from => (from, last.saturating_add(1).min(size)),
        (Ok(from), Err(_)) if last.is_empty() => (from, size),
        (Err(_), Ok(suffix)) if first.is_empty() => {
            (if suffix == 0 { size } else { size.saturating_sub(suffix) }, size)
        }
        _ => return Wanted::Whole,
    };
    if from >= size { Wanted::Nothing } else { Wanted::Part(from, end - from) }
}

/// Players of any site may read what they have a link to.
fn with_cors(mut response: Response) -> Response {
    set(&mut response, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(&mut response, header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS");
    set(&mut response, header::ACCESS_CONTROL_ALLOW_HEADERS, "Range, If-Range, If-None-Match, Authorization");
    let exposed = "Content-Length, Content-Range, ETag, Last-Modified, Accept-Ranges";
    set(&mut response, header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    set(&mut response, header::ACCESS_CONTROL_MAX_AGE, "86400");
    set(&mut response, HeaderName::from_static("cross-origin-resource-policy"), "cross-origin");
    response
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("bytes=0-9", Wanted::Part(0, 10))]
    #[case("bytes=90-", Wanted::Part(90, 10))]
    #[case("bytes=90-200", Wanted::Part(90, 10))]
    #[case("bytes=-10", Wanted::Part(90, 10))]
    #[case("bytes=-200", Wanted::Part(0, 100))]
    #[case("bytes=100-", Wanted::Nothing)]
    #[case("bytes=-0", Wanted::Nothing)]
    #[case("bytes=9-0", Wanted::Whole)]
    #[case("bytes=0-1,5-6", Wanted::Whole)]
    #[case("bytes=x-", Wanted::Whole)]
    #[case("pages=0-1", Wanted::Whole)]
    fn ranges(#[case] range: &str, #[case] wanted: Wanted) {
        assert_eq!(wanted_part(range, 100), wanted);
    }
}
