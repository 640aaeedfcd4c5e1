//! An application of the tests' own, which speaks the product's language.
//!
//! It runs in this process, over SQLite in a folder that is removed with it. Its clock moves on by a
//! millisecond whenever it is read, so that whatever is made later is newer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, header},
    response::Response,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use borealis::{
    api,
    app::App,
    config::{Flags, Settings},
};
use model::{AccessKey, Clock, Role, Secret, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

/// An application with one administrator; its methods make calls with the administrator's key.
pub(crate) struct TestApp {
    pub(crate) app: Arc<App>,
    pub(crate) admin: Key,
    router: Router,
    /// The data directory, which is removed with it.
    _data: TempDir,
}

/// An access key with its secret.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) access_key: String,
    pub(crate) secret: String,
}

impl Key {
    /// The value of the Authorization header.
    pub(crate) fn basic(&self) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", self.access_key, self.secret)))
    }
}

impl TestApp {
    /// With the default settings.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With these settings, such as `api.error_status=ok`.
    pub(crate) async fn with(settings: &[&str]) -> Self {
        let data = TempDir::new().expect("a folder");
        let flags = Flags {
            data_dir: Some(data.path().display().to_string()),
            set: settings.iter().map(ToString::to_string).collect(),
            ..Flags::default()
        };
        let settings = Settings::load(&flags).expect("settings");
        let app = App::with_clock(settings, Arc::new(TestClock::new())).await.expect("an application");
        let admin = add_key(&app, "main", Role::Admin).await;
        Self { router: api::router(Arc::clone(&app)), app, admin, _data: data }
    }

    /// A new key.
    pub(crate) async fn add_key(&self, tenant: &str, role: Role) -> Key {
        add_key(&self.app, tenant, role).await
    }

    /// Sends a request as it is; gives the response before its body is read.
    pub(crate) async fn open(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.expect("always an answer")
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> ApiReply {
        let response = self.open(request).await;
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("a body");
        ApiReply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(bytes.into()).expect("UTF-8"),
        }
    }

    /// Makes a call with a key; `body` is sent when it is not null.
    pub(crate) async fn call_as(&self, key: &Key, method: Method, call: &str, body: Value) -> ApiReply {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/{call}", api::BASE_PATH))
            .header(header::AUTHORIZATION, key.basic())
            .header("auth-type", "use-basic");
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.send(request.body(body).expect("a request")).await
    }

    /// A `POST` of the administrator's with an `Idempotency-Key`.
    pub(crate) async fn post_named(&self, key: &Key, name: &str, call: &str, body: &Value) -> ApiReply {
        let request = Request::post(format!("{}/{call}", api::BASE_PATH))
            .header(header::AUTHORIZATION, key.basic())
            .header("idempotency-key", name);
        self.send(request.body(Body::from(body.to_string())).expect("a request")).await
    }

    pub(crate) async fn get(&self, call: &str) -> ApiReply {
        self.call_as(&self.admin, Method::GET, call, Value::Null).await
    }

    pub(crate) async fn post(&self, call: &str, body: Value) -> ApiReply {
        self.call_as(&self.admin, Method::POST, call, body).await
    }

    pub(crate) async fn put(&self, call: &str, body: Value) -> ApiReply {
        self.call_as(&self.admin, Method::PUT, call, body).await
    }

    pub(crate) async fn delete(&self, call: &str) -> ApiReply {
        self.call_as(&self.admin, Method::DELETE, call, Value::Null).await
    }

    /// Adds a `file` storage without a callback URL; gives its id.
    pub(crate) async fn add_storage(&self, bucket: &str) -> String {
        let reply = self.post("add_storage", json!({"type": "file", "bucket": bucket})).await;
        reply.data()["storage_id"].as_str().expect("an id").to_owned()
    }

    /// Adds a `file` storage with a callback URL; gives its id.
    pub(crate) async fn add_storage_with_notify(&self, bucket: &str, notify: &str) -> String {
        let reply =
            self.post("add_storage", json!({"type": "file", "bucket": bucket, "notify": notify})).await;
        reply.data()["storage_id"].as_str().expect("an id").to_owned()
    }

    /// Creates a task with a predefined template; gives its id.
    pub(crate) async fn create_task(&self, storage_id: &str, output: &str) -> String {
        let reply = self.post("create_task", task(storage_id, output)).await;
        reply.data()["task_id"].as_str().expect("an id").to_owned()
    }

    /// The answer to `query_task`.
    pub(crate) async fn task(&self, task_id: &str) -> Value {
        self.get(&format!("query_task?task_id={task_id}")).await.data().clone()
    }
}

/// A task with a predefined template, from an input that is never fetched here.
pub(crate) fn task(storage_id: &str, output: &str) -> Value {
    json!({
        "template_name": "mp4-720p", "storage_id": storage_id,
        "input": "https://8.8.8.8/cat.mov", "output": output,
    })
}

async fn add_key(app: &App, tenant: &str, role: Role) -> Key {
    let key = Key { access_key: format!("{tenant}-{role}"), secret: format!("secret of {tenant}: {role}") };
    let stored = AccessKey {
        access_key: key.access_key.clone(),
        tenant: tenant.parse().expect("a tenant"),
        role,
        secret_hash: store::hash_secret(&Secret::new(&key.secret)),
        created: app.clock.now(),
    };
    app.store.add_key(&stored).await.expect("a new key");
    key
}

/// The response to a call.
#[derive(Debug)]
pub(crate) struct ApiReply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl ApiReply {
    /// The envelope; fails when it is not one.
    pub(crate) fn envelope(&self) -> Value {
        let envelope: Value =
            serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        let names: Vec<&str> = envelope.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(names, ["code", "msg", "data", "request_id"], "{self:?}");
        assert!(envelope["data"].is_object(), "{self:?}");
        assert_eq!(envelope["request_id"].as_str(), self.header("x-request-id"), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        envelope
    }

    /// What was asked for; fails when it was refused.
    pub(crate) fn data(&self) -> Value {
        let envelope = self.envelope();
        assert_eq!(
            (self.status, &envelope["code"], &envelope["msg"]),
            (200, &json!(0), &json!("success")),
            "{self:?}"
        );
        envelope["data"].clone()
    }

    /// What was asked for; fails when there is a warning.
    pub(crate) fn data_without_warnings(&self) -> Value {
        let data = self.data();
        assert_eq!(data.get("warnings"), None, "{self:?}");
        data
    }

    /// Why it was refused; fails unless it was, with this status and code.
    pub(crate) fn refusal(&self, status: u16, code: u32) -> String {
        let envelope = self.envelope();
        assert_eq!((self.status, &envelope["code"]), (status, &json!(code)), "{self:?}");
        assert_eq!(envelope["data"], json!({}), "{self:?}");
        envelope["msg"].as_str().expect("a text").to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }
}

/// A clock that moves on by a millisecond whenever it is read.
struct TestClock(AtomicI64);

impl TestClock {
    fn new() -> Self {
        Self(AtomicI64::new(START.as_millis()))
    }
}

/// When every test begins.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_750_000_000_000);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// Long enough for any lease a test takes.
pub(crate) const LEASE: Duration = Duration::from_secs(3600);
