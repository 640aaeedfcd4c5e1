//! Addresses under which an output can be read for a while, by whoever has them.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, header},
};
use model::{Storage, StorageType, Task, TaskStatus, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{files, storages::unusable};
use crate::{
    api::{
        auth::Caller,
        envelope::{Answer, Envelope, Reply},
        error::{ApiError, BadParam, Conflict, NotFound},
        extract::Query,
        ids::wanted,
        request::number,
    },
    app::App,
    signed_links,
};

/// For how long a link is good when nothing is said, in seconds.
const USUAL: u64 = 3600;

/// What stays as it is in the path of a URL (RFC 3986, 2.3), and the slash.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Whose output, and for how long.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SignOutput {
    /// The task's id; it succeeded.
    task_id: String,
    /// For how many seconds the addresses are good, at most 604800; unset: 3600.
    #[serde(default, deserialize_with = "number")]
    valid: Option<u64>,
    /// `true`: addresses of all objects are given, not of the main one alone.
    #[serde(default)]
    all: Option<String>,
}

/// Addresses of an output.
#[derive(Serialize, ToSchema)]
pub(super) struct SignedOutput {
    /// The main object's.
    url: String,
    /// Until when it is good, in Unix seconds.
    expires_time: i64,
    /// Every object, when all were asked for, the main one first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    objects: Vec<SignedObject>,
}

/// One object of an output.
#[derive(Serialize, ToSchema)]
pub(super) struct SignedObject {
    /// Its path beside the main object.
    #[schema(example = "cat.hls/720p/1.ts")]
    path: String,
    /// Its address.
    url: String,
}

/// Gives addresses under which the output of a task can be read for a while, without a key.
#[utoipa::path(
    get, path = "/sign_output", tag = "task",
    params(SignOutput),
    responses(
        (status = 200, description = "the addresses", body = Envelope<Answer<SignedOutput>>),
        BadParam, NotFound, Conflict
    )
)]
pub(super) async fn sign_output(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    Query(request, mut warnings): Query<SignOutput>,
) -> Reply<SignedOutput> {
    let valid = valid(request.valid)?;
    let task = app.store.task(&caller.tenant, &wanted("task", &request.task_id)?).await?;
    if task.state.status() != TaskStatus::Succeeded {
        let problem = format!("the task `{}` has no output: it is {}", task.id, task.state.status());
        return Err(ApiError::new(model::ErrorCode::Conflict, problem));
    }
    let storage = app.store.storage(&caller.tenant, &task.spec.storage_id).await?;
    let end = app.clock.now() + valid;
    let signer = Signer { app: &app, end, valid, base: base(&headers), storage: &storage, task: &task };
    let url = signer.sign(task.spec.output.key()).await?;
    let mut objects = Vec::new();
    if request.all.as_deref() == Some("true") {
        objects = signer.all().await?;
    } else if task.spec.template.format.is_segmented() && storage.kind != StorageType::File {
        warnings
            .push("`url` opens the main object alone, not what it refers to; ask with `all=true`".to_owned());
    }
    Ok(Answer::new(SignedOutput { url, expires_time: end.as_secs(), objects }, warnings))
}

fn valid(seconds: Option<u64>) -> Result<Duration, ApiError> {
    let valid = Duration::from_secs(seconds.filter(|seconds| *seconds > 0).unwrap_or(USUAL));
    if valid > signed_links::MAX_VALIDITY {
        let problem = format!(
            "{} is out of range; give 1 to {}",
            valid.as_secs(),
            signed_links::MAX_VALIDITY.as_secs()
        );
        return Err(ApiError::field("valid", problem));
    }
    Ok(valid)
}

/// The address of this server, as the caller has it.
fn base(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match text(header::HOST.as_str()) {
        "" => String::new(),
        host if text("x-forwarded-proto").eq_ignore_ascii_case("https") => format!("https://{host}"),
        host => format!("http://{host}"),
    }
}

/// Signs the objects of one output.
struct Signer<'a> {
    app: &'a App,
    end: Timestamp,
    valid: Duration,
    base: String,
    storage: &'a Storage,
    task: &'a Task,
}

impl Signer<'_> {
    async fn sign(&self, key: &str) -> Result<String, ApiError> {
        let bucket = self.app.storages.open(self.storage).map_err(unusable)?;
        if let Some(url) = bucket.presign(key, self.valid).await.map_err(unusable)? {
            return Ok(url);
        }
        let signature = self.app.link_signer.sign(&self.storage.id, self.scope(), self.end);
        let (base, id) = (&self.base, &self.storage.id);
        Ok(format!("{base}{}/{id}/{signature}/{}", files::PATH, utf8_percent_encode(key, PATH)))
    }

    /// What the keys of the output begin with: the main object's own of a single file, and its name
    /// without the extension where there is a folder of the same name beside it.
    fn scope(&self) -> &str {
        let (key, format) = (self.task.spec.output.key(), self.task.spec.template.format);
        match key.rfind('.') {
            Some(dot) if format.is_segmented() => &key[..=dot],
            _ => key,
        }
    }

    async fn all(&self) -> Result<Vec<SignedObject>, ApiError> {
        let (output, format) = (&self.task.spec.output, self.task.spec.template.format);
        let main = output.key();
        let folder = main.rfind('/').map_or(0, |slash| slash + 1);
        let mut keys = vec![main.to_owned()];
        if format.is_segmented() || self.task.spec.template.thumbnail.is_some() {
            let bucket = self.app.storages.interactive().open(self.storage).map_err(unusable)?;
            keys.extend(bucket.list(&format!("{}/", output.folder(format))).await.map_err(unusable)?);
        }
        let mut objects = Vec::with_capacity(keys.len());
        for key in keys {
            objects.push(SignedObject { path: key[folder..].to_owned(), url: self.sign(&key).await? });
        }
        Ok(objects)
    }
}
