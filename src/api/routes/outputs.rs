//! Signed links to outputs: URLs that open an object for a while, without a key.

use std::time::Duration;

use axum::{
    extract::State,
    http::{HeaderMap, header},
};
use media::OutputLayout;
use model::{
    ErrorCode, FieldError, Storage, StorageType, Task, TaskStatus, Timestamp, limits::MAX_SIGNED_LINKS_BYTES,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::files;
use crate::{
    api::{
        auth::Caller,
        connection::MaybeConnection,
        envelope::{Answer, Envelope, Reply},
        error::{ApiError, BadParam, Conflict, NotFound},
        extract::Query,
        ids::parse_id_or_not_found,
        memory,
        request::number,
        state::ApiState,
    },
    app::App,
    signed_links::{self, LinkScope},
};

/// For how long a link is valid unless the call says so, in seconds.
const DEFAULT_VALIDITY_SECS: u64 = 3600;

/// What is percent-encoded in the path of a URL: all but the unreserved characters (RFC 3986, 2.3) and the
/// slash.
const PATH_ENCODE_SET: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The task whose output is signed, and for how long.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SignOutput {
    /// The id of a task that succeeded.
    task_id: String,
    /// For how many seconds the links are valid, at most 604800; unset: 3600.
    #[serde(default, deserialize_with = "number")]
    valid: Option<u64>,
    /// `true`: a link to every object of the output, not to the main one alone.
    #[serde(default)]
    all: Option<String>,
}

/// Signed links to an output.
#[derive(Serialize, ToSchema)]
pub(super) struct SignedOutput {
    /// The link to the main object.
    url: String,
    /// When the links expire, in Unix seconds.
    expires_time: i64,
    /// Every object with `all=true`, the main one first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    objects: Vec<SignedObject>,
}

/// One object of an output.
#[derive(Serialize, ToSchema)]
pub(super) struct SignedObject {
    /// Its path relative to the folder of the main object.
    #[schema(example = "cat.hls/720p/1.ts")]
    path: String,
    /// The link.
    url: String,
}

/// Signs links that open the output of a task for a while, without a key.
#[utoipa::path(
    get, path = "/sign_output", tag = "task",
    params(SignOutput),
    responses(
        (status = 200, description = "the links", body = Envelope<Answer<SignedOutput>>),
        BadParam, NotFound, Conflict
    )
)]
pub(super) async fn sign_output(
    State(state): State<ApiState>,
    caller: Caller,
    connection: MaybeConnection,
    headers: HeaderMap,
    Query(request, mut warnings): Query<SignOutput>,
) -> Reply<SignedOutput> {
    let app = &state.app;
    let validity = parse_validity(request.valid)?;
    let task = app.store.task(&caller.tenant, &parse_id_or_not_found("task", &request.task_id)?).await?;
    if task.state.status() != TaskStatus::Succeeded {
        let problem = format!("the task `{}` has no output: it is {}", task.id, task.state.status());
        return Err(ApiError::new(ErrorCode::Conflict, problem));
    }
    let storage = app.store.storage(&caller.tenant, &task.spec.storage_id).await?;
    let expires = app.clock.now() + validity;
    let base_url = base_url(&headers);
    let signer = OutputSigner { app, expires, validity, base_url, storage: &storage, task: &task };
    let url = signer.sign(task.spec.output.key()).await?;
    let mut objects = Vec::new();
    if request.all.as_deref() == Some("true") {
        let _turn = memory::wait_for(&state.memory.listings, &caller.tenant, &connection).await?;
        objects = signer.sign_all().await?;
    } else if task.spec.template.format.is_segmented() && storage.kind != StorageType::File {
        warnings.push(
            "`url` opens the playlist or manifest, but no segment; `all=true` gives a link to each object"
                .to_owned(),
        );
    }
    Ok(Answer::new(SignedOutput { url, expires_time: expires.as_secs(), objects }, warnings))
}

fn check_links_bytes(bytes: usize) -> Result<(), FieldError> {
    if bytes > MAX_SIGNED_LINKS_BYTES {
        let problem =
            format!("the links have more than {MAX_SIGNED_LINKS_BYTES} bytes; sign the main object alone");
        return Err(FieldError::new("all", problem));
    }
    Ok(())
}

fn parse_validity(seconds: Option<u64>) -> Result<Duration, ApiError> {
    let seconds = seconds.unwrap_or(DEFAULT_VALIDITY_SECS);
    let max = signed_links::MAX_VALIDITY.as_secs();
    if seconds > max {
        return Err(ApiError::field("valid", format!("{seconds} is out of range; give 1 to {max}")));
    }
    Ok(Duration::from_secs(seconds))
}

/// Scheme and host of this server, as the caller or its reverse proxy knows them; empty without a `Host`.
fn base_url(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match text(header::HOST.as_str()) {
        "" => String::new(),
        host if text("x-forwarded-proto").eq_ignore_ascii_case("https") => format!("https://{host}"),
        host => format!("http://{host}"),
    }
}

/// Signs links to the objects of one output.
struct OutputSigner<'a> {
    app: &'a App,
    expires: Timestamp,
    validity: Duration,
    base_url: String,
    storage: &'a Storage,
    task: &'a Task,
}

impl OutputSigner<'_> {
    /// A link to one object: presigned by the object store where the storage is in one, else to this server.
    async fn sign(&self, key: &str) -> Result<String, ApiError> {
        let bucket = self.app.storages.open(self.storage)?;
        if let Some(url) = bucket.presign(key, self.validity).await? {
            return Ok(url);
        }
        let (output, template) = (&self.task.spec.output, &self.task.spec.template);
        let folder = template.has_folder().then(|| output.folder(template.format));
        let scope = LinkScope { object: output.key(), folder: folder.as_deref() };
        let signature = self.app.link_signer.sign(&self.storage.id, scope, self.expires);
        let (base_url, id) = (&self.base_url, &self.storage.id);
        Ok(format!(
            "{base_url}{}/{id}/{signature}/{}",
            files::PATH,
            utf8_percent_encode(key, PATH_ENCODE_SET)
        ))
    }

    async fn sign_all(&self) -> Result<Vec<SignedObject>, ApiError> {
        let (output, format) = (&self.task.spec.output, self.task.spec.template.format);
        let main = output.key();
        let folder = main.rfind('/').map_or(0, |slash| slash + 1);
        let mut keys = vec![main.to_owned()];
        if format.is_segmented() || self.task.spec.template.thumbnail.is_some() {
            let bucket = self.app.storages.interactive().open(self.storage)?;
            let prefix = format!("{}/", output.folder(format));
            let is_of_an_output =
                |key: &String| key.strip_prefix(&prefix).and_then(OutputLayout::try_folder_of).is_some();
            keys.extend(bucket.list(&prefix).await?.into_iter().filter(is_of_an_output));
        }
        let mut objects = Vec::with_capacity(keys.len());
        let mut bytes = 0;
        for key in keys {
            let object = SignedObject { path: key[folder..].to_owned(), url: self.sign(&key).await? };
            bytes += object.path.len() + object.url.len();
            check_links_bytes(bytes)?;
            objects.push(object);
            // signing is work, and waits for nothing that would let others go on
            tokio::task::consume_budget().await;
        }
        Ok(objects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_have_so_many_bytes() {
        assert_eq!(check_links_bytes(MAX_SIGNED_LINKS_BYTES), Ok(()));
        let refused = check_links_bytes(MAX_SIGNED_LINKS_BYTES + 1).expect_err("too many").to_string();
        assert!(refused.starts_with("all: the links have more than 16777216 bytes"), "{refused}");
    }
}
