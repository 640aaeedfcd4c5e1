//! A customer's session: a server, files that it can fetch, and calls as a client makes them.

use std::{collections::HashMap, path::Path};

use axum::{Router, extract, http::StatusCode, routing};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::program::{ACCESS_KEY, SECRET_KEY, Server};

/// A running server, and a client of it.
pub(super) struct Session {
    pub(super) server: Server,
    client: reqwest::Client,
    files: String,
}

/// The answer to `add_storage`.
pub(super) struct SessionStorage {
    pub(super) id: String,
    pub(super) secret: String,
}

impl Session {
    /// Starts a server with these flags, and a file server of these files.
    pub(super) async fn start(flags: &[&str], files: HashMap<&'static str, Vec<u8>>) -> Self {
        Self::with(Server::start(flags).await, files).await
    }

    /// With a server that the test has started itself.
    #[expect(clippy::disallowed_methods, reason = "the customer's client, which has no guard")]
    pub(super) async fn with(server: Server, files: HashMap<&'static str, Vec<u8>>) -> Self {
        // each test process installs it once
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { server, client, files: serve(files).await }
    }

    /// The URL of a file that was given to [`Session::start`].
    pub(super) fn url(&self, file: &str) -> String {
        format!("{}/{file}", self.files)
    }

    /// Makes a call as the Go SDK does: with a content type on every method; gives the `data`.
    pub(super) async fn call(&self, method: Method, call: &str, body: Value) -> Value {
        let mut request = self
            .client
            .request(method, format!("{}/vodencoding/v1/{call}", self.server.url))
            .header("auth-type", "use-basic")
            .header("content-type", "application/json")
            .basic_auth(ACCESS_KEY, Some(SECRET_KEY));
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.expect("an answer");
        let mut envelope: Value =
            serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
        assert_eq!(envelope["code"], 0, "{call}: {envelope}");
        envelope["data"].take()
    }

    pub(super) async fn post(&self, call: &str, body: Value) -> Value {
        self.call(Method::POST, call, body).await
    }

    pub(super) async fn get(&self, call: &str) -> Value {
        self.call(Method::GET, call, Value::Null).await
    }

    /// The answer to `/metrics`.
    pub(super) async fn metrics(&self) -> String {
        self.get_unsigned("metrics").await.1
    }

    /// The status and the text of what is answered without authentication.
    pub(super) async fn get_unsigned(&self, path: &str) -> (u16, String) {
        let answer = self.client.get(format!("{}/{path}", self.server.url)).send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, String::from_utf8(answer.bytes().await.expect("a body").into()).expect("a text"))
    }

    /// Adds a storage: `file` and the bucket `media`, unless `fields` say otherwise.
    pub(super) async fn add_storage(&self, fields: Value) -> SessionStorage {
        let mut body = json!({"type": "file", "region": "", "bucket": "media", "prefix": "", "storage_ak": "", "storage_sk": ""});
        for (name, value) in fields.as_object().expect("fields") {
            body[name] = value.clone();
        }
        let added = self.post("add_storage", body).await;
        let text = |name: &str| added[name].as_str().expect("a text").to_owned();
        SessionStorage { id: text("storage_id"), secret: text("notify_secret") }
    }

    /// Creates a task; gives its id.
    pub(super) async fn create_task(
        &self,
        storage: &str,
        template: &str,
        input: &str,
        output: &str,
    ) -> String {
        let body = json!({
            "template_name": template, "storage_id": storage, "input": input, "output": output,
            "custom_info": format!("about {output}"),
        });
        self.post("create_task", body).await["task_id"].as_str().expect("an id").to_owned()
    }

    pub(super) async fn task(&self, id: &str) -> Value {
        self.get(&format!("query_task?task_id={id}")).await
    }

    /// Where an object of a `file` storage lies.
    pub(super) fn object(&self, uri: &str) -> std::path::PathBuf {
        let path = uri.strip_prefix("file://").expect("a file");
        self.server.data.path().join("storage").join(Path::new(path))
    }
}

async fn serve(files: HashMap<&'static str, Vec<u8>>) -> String {
    let get = move |extract::Path(name): extract::Path<String>| {
        let file = files.get(name.as_str()).cloned().ok_or(StatusCode::NOT_FOUND);
        async move { file }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let router = Router::new().route("/{name}", routing::get(get));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
