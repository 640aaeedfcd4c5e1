//! Every status that the document names for a call is seen, and none that it does not name.

use std::collections::BTreeSet;

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use borealis::api;
use model::Role;
use serde_json::{Value, json};

use crate::app::{Key, LEASE, TestApp, task};

/// A call with its status: `POST add_storage 200`.
type StatusSet = BTreeSet<String>;

/// Makes calls and notes how they were answered.
struct Walk<'a> {
    app: &'a TestApp,
    seen: &'a mut StatusSet,
}

impl Walk<'_> {
    async fn call(&mut self, key: Option<&Key>, method: &Method, call: &str, body: &Value) -> Value {
        let mut request = Request::builder().method(method).uri(uri(call));
        if let Some(key) = key {
            request = request.header(header::AUTHORIZATION, key.basic());
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let reply = self.app.send(request.body(body).expect("a request")).await;
        let name = call.split('?').next().expect("a first part");
        self.seen.insert(format!("{method} {name} {}", reply.status));
        match reply.header("content-type") {
            Some("text/event-stream") | None => Value::Null,
            Some(_) => reply.envelope()["data"].clone(),
        }
    }

    /// Two calls with one idempotency key that ask for different things.
    async fn reuse_idempotency_key(&mut self, call: &str, first: Value) {
        for body in [first, json!({"another": "body"})] {
            let reply = self.app.post_named(&self.app.admin, call, call, &body).await;
            self.seen.insert(format!("POST {call} {}", reply.status));
        }
    }

    /// As the administrator; the method and the call in one text.
    async fn call_as_admin(&mut self, call: &str, body: Value) -> Value {
        let (method, call) = call.split_once(' ').expect("a method and a call");
        let admin = self.app.admin.clone();
        self.call(Some(&admin), &method.parse().expect("a method"), call, &body).await
    }
}

fn uri(call: &str) -> String {
    if call.starts_with('/') { call.to_owned() } else { format!("{}/{call}", api::BASE_PATH) }
}

/// What the document says: the operations, with the statuses of each and whether it has a body.
fn documented() -> Vec<(Method, String, BTreeSet<u16>, bool)> {
    let document = serde_json::to_value(api::document()).expect("JSON");
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let statuses = operation["responses"].as_object().expect("responses").keys();
            operations.push((
                method.to_uppercase().parse().expect("a method"),
                path.trim_start_matches(api::BASE_PATH).trim_start_matches('/').to_owned(),
                statuses.map(|status| status.parse().expect("a number")).collect(),
                operation.get("requestBody").is_some(),
            ));
        }
    }
    operations
}

fn call_name(path: &str) -> String {
    if path.ends_with('z') { format!("/{path}") } else { path.to_owned() }
}

#[tokio::test]
async fn every_documented_status_is_seen_and_no_other() {
    let mut seen = StatusSet::new();
    refusals_of_all_calls(&mut seen).await;
    failures(&mut seen).await;
    rate_limited(&mut seen).await;
    answers_of_each_call(&mut seen).await;
    let documented: StatusSet = documented()
        .into_iter()
        .flat_map(|(method, path, statuses, _)| {
            statuses.into_iter().map(move |status| format!("{method} {} {status}", call_name(&path)))
        })
        .collect();
    let unseen: Vec<_> = documented.difference(&seen).collect();
    let undocumented: Vec<_> = seen.difference(&documented).collect();
    assert!(
        unseen.is_empty() && undocumented.is_empty(),
        "unseen: {unseen:?}, undocumented: {undocumented:?}"
    );
}

/// Without a key, with one that may only read, and with a body that is too large.
async fn refusals_of_all_calls(seen: &mut StatusSet) {
    let app = TestApp::with(&["api.body_limit=1KiB", "api.upload_limit=1KiB"]).await;
    let reader = app.add_key("main", Role::Read).await;
    let (mut walk, admin) = (Walk { app: &app, seen }, app.admin.clone());
    for (method, path, statuses, has_body) in documented() {
        let path = call_name(&path);
        if statuses.contains(&401) {
            walk.call(None, &method, &path, &Value::Null).await;
        }
        if statuses.contains(&403) {
            walk.call(Some(&reader), &method, &path, &Value::Null).await;
        }
        if has_body {
            walk.call(Some(&admin), &method, &path, &json!({"extra": "x".repeat(2000)})).await;
        }
    }
}

/// More requests than the rate limit allows; those that it allows are refused for their missing parameters.
async fn rate_limited(seen: &mut StatusSet) {
    let app = TestApp::with(&["limits.requests_per_second=1"]).await;
    let (mut walk, admin) = (Walk { app: &app, seen }, app.admin.clone());
    for (method, path, statuses, _) in documented() {
        let refused = format!("{method} {} 429", call_name(&path));
        while statuses.contains(&429) && !walk.seen.contains(&refused) {
            walk.call(Some(&admin), &method, &path, &Value::Null).await;
        }
    }
}

/// A server whose database lost a table, and one that lost its database.
async fn failures(seen: &mut StatusSet) {
    let (broken, cut_off) = (TestApp::start().await, TestApp::start().await);
    store::testing::break_tables(&broken.app.store).await.expect("broken");
    store::testing::close(&cut_off.app.store).await.expect("closed");
    for (app, status) in [(&broken, 500), (&cut_off, 503)] {
        let (mut walk, admin) = (Walk { app, seen }, app.admin.clone());
        for (method, path, statuses, _) in documented() {
            if statuses.contains(&status) {
                walk.call(Some(&admin), &method, &call_name(&path), &Value::Null).await;
            }
        }
    }
}

/// The statuses that are each call's own.
async fn answers_of_each_call(seen: &mut StatusSet) {
    let app = TestApp::with(&["net.allow_networks=127.0.0.0/8"]).await;
    let mut walk = Walk { app: &app, seen };
    let none = || Value::Null;
    let file = |bucket: &str| json!({"type": "file", "bucket": bucket});
    let template = |name: &str| json!({"template_name": name, "format": "mp4"});
    for call in [
        "GET /healthz",
        "GET /readyz",
        "GET list_storage",
        "GET list_template",
        "GET list_task",
        "GET list_callback",
        "GET list_key",
        "GET info",
    ] {
        walk.call_as_admin(call, none()).await;
    }
    for call in ["GET list_task?count=x", "GET list_callback?count=x"] {
        walk.call_as_admin(call, none()).await;
    }

    let body = json!({"type": "file", "bucket": "told", "notify": "https://8.8.8.8/n"});
    let with_notify =
        walk.call_as_admin("POST add_storage", body).await["storage_id"].as_str().expect("an id").to_owned();
    let without_notify = walk.call_as_admin("POST add_storage", file("quiet")).await["storage_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    walk.call_as_admin("POST add_storage", json!({"type": "tape"})).await;
    let changed =
        |id: &str| json!({"storage_id": id, "type": "file", "bucket": "told", "notify": "https://8.8.8.8/n"});
    walk.call_as_admin("PUT update_storage", changed(&with_notify)).await;
    walk.call_as_admin("PUT update_storage", changed("0000000000000000")).await;
    walk.call_as_admin("PUT update_storage", json!({"storage_id": with_notify, "type": "tape"})).await;
    let stranger = app.add_key("other", Role::Member).await;
    app.call_as(&stranger, Method::POST, "add_storage", file("theirs")).await.data();
    let taken = json!({"storage_id": with_notify, "type": "file", "bucket": "theirs"});
    walk.call_as_admin("PUT update_storage", taken).await;
    walk.reuse_idempotency_key("add_storage", file("quiet")).await;
    keys(&mut walk).await;

    walk.call_as_admin("POST add_template", template("own")).await;
    walk.call_as_admin("POST add_template", template("own")).await;
    walk.call_as_admin("POST add_template", json!({})).await;
    walk.call_as_admin("PUT update_template", template("own")).await;
    walk.call_as_admin("PUT update_template", template("none")).await;
    walk.call_as_admin("PUT update_template", json!({})).await;
    for call in ["GET query_template", "DELETE del_template"] {
        for query in ["?template_name=own", "?template_name=none", ""] {
            walk.call_as_admin(&format!("{call}{query}"), none()).await;
        }
    }

    let created = walk.call_as_admin("POST create_task", task(&with_notify, "a.mp4")).await;
    let id = created["task_id"].as_str().expect("an id").to_owned();
    walk.call_as_admin("POST create_task", task(&with_notify, "a.mp4")).await;
    walk.call_as_admin("POST create_task", task("0000000000000000", "a.mp4")).await;
    walk.call_as_admin("POST create_task", json!({})).await;
    let batch = |output: &str, storage: &str| json!({"tasks": [task(storage, output)]});
    walk.call_as_admin("POST create_batch", batch("b.mp4", &with_notify)).await;
    walk.call_as_admin("POST create_batch", batch("b.mp4", &with_notify)).await;
    walk.call_as_admin("POST create_batch", batch("b.mp4", "0000000000000000")).await;
    walk.call_as_admin("POST create_batch", json!({})).await;

    let unknown_id = "20220420111542664667cccc3d179880";
    walk.call_as_admin(&format!("POST retry_task?task_id={id}"), none()).await;
    walk.call_as_admin(&format!("GET sign_output?task_id={id}"), none()).await;
    for call in
        ["POST cancel_task", "POST retry_task", "GET query_task", "GET sign_output", "DELETE del_task"]
    {
        for query in [format!("?task_id={id}"), format!("?task_id={unknown_id}"), String::new()] {
            walk.call_as_admin(&format!("{call}{query}"), none()).await;
        }
    }
    walk.call_as_admin(&format!("POST cancel_task?task_id={id}"), none()).await;
    walk.call_as_admin(&format!("POST cancel_task?task_id={id}"), none()).await;
    ended_task(&mut walk, &id).await;
    signed_output(&mut walk, &without_notify).await;
    callbacks(&mut walk, &with_notify, &without_notify).await;
    storages(&mut walk, &with_notify).await;
}

async fn keys(walk: &mut Walk<'_>) {
    let made = walk.call_as_admin("POST add_key", json!({"role": "read"})).await;
    walk.call_as_admin("POST add_key", json!({"role": "root"})).await;
    walk.reuse_idempotency_key("add_key", json!({"role": "read"})).await;
    for access_key in [&made["access_key"], &json!("none"), &json!(walk.app.admin.access_key), &json!("")] {
        let access_key = access_key.as_str().expect("a text");
        walk.call_as_admin(&format!("DELETE del_key?access_key={access_key}"), Value::Null).await;
    }
}

/// A task that is watched when it has ended, and then deleted.
async fn ended_task(walk: &mut Walk<'_>, id: &str) {
    for query in [format!("?task_id={id}"), "?task_id=none".to_owned(), String::new()] {
        walk.call_as_admin(&format!("GET task_events{query}"), Value::Null).await;
    }
    let task =
        walk.app.app.store.task(&model::TenantId::main(), &id.parse().expect("an id")).await.expect("there");
    let (finished, _) = task.state.ended().expect("it has ended");
    let request = Request::get(uri(&format!("task_events?task_id={id}")))
        .header(header::AUTHORIZATION, walk.app.admin.basic())
        .header("last-event-id", format!("{}-cancelled-0", finished.as_millis()));
    let reply = walk.app.send(request.body(Body::empty()).expect("a request")).await;
    walk.seen.insert(format!("GET task_events {}", reply.status));
    walk.call_as_admin(&format!("DELETE del_task?task_id={id}"), Value::Null).await;
    walk.call_as_admin("POST upload?name=a", json!({"some": "bytes"})).await;
    walk.call_as_admin("POST upload?name=a", Value::Null).await;
}

/// An output that is there.
async fn signed_output(walk: &mut Walk<'_>, storage: &str) {
    let id = walk.app.create_task(storage, "signed.mp4").await;
    let (store, worker) = (&walk.app.app.store, model::WorkerId::generate(&mut rand::rng()));
    while let Some(claim) = store.claim_job(&worker, LEASE).await.expect("the store") {
        let end = model::TaskEnd::Succeeded(Box::default());
        store.finish_task(&claim, end).await.expect("the store");
    }
    walk.call_as_admin(&format!("GET sign_output?task_id={id}"), Value::Null).await;
}

async fn callbacks(walk: &mut Walk<'_>, with_notify: &str, without_notify: &str) {
    let listed = walk.call_as_admin("GET list_callback", Value::Null).await;
    let id = listed["list"][0]["callback_id"].as_str().expect("one is owed").to_owned();
    for call in ["GET query_callback", "POST redeliver_callback"] {
        for query in [format!("?callback_id={id}"), "?callback_id=cb_none".to_owned(), String::new()] {
            walk.call_as_admin(&format!("{call}{query}"), Value::Null).await;
        }
    }
    let worker = model::WorkerId::generate(&mut rand::rng());
    let requests = [false, true].map(|retry| store::ClaimRequest {
        queue: "https://8.8.8.8:443 main".to_owned(),
        retry,
        limit: 100,
    });
    walk.app.app.store.claim_callbacks(&worker, LEASE, &requests).await.expect("the store");
    walk.call_as_admin(&format!("POST redeliver_callback?callback_id={id}"), Value::Null).await;
    let recover = |storage: &str| json!({"storage_id": storage, "since": 1});
    for body in [recover(with_notify), recover(without_notify), recover("0000000000000000"), json!({})] {
        walk.call_as_admin("POST recover_callback", body).await;
    }
    for (call, id) in [
        ("POST ping_storage", with_notify),
        ("POST ping_storage", without_notify),
        ("POST rotate_notify_secret", with_notify),
    ] {
        walk.call_as_admin(&format!("{call}?storage_id={id}"), Value::Null).await;
    }
    for call in ["POST ping_storage", "POST rotate_notify_secret"] {
        walk.call_as_admin(call, Value::Null).await;
        walk.call_as_admin(&format!("{call}?storage_id=0000000000000000"), Value::Null).await;
    }
}

async fn storages(walk: &mut Walk<'_>, used: &str) {
    let added = walk.call_as_admin("POST add_storage", json!({"type": "file", "bucket": "spare"})).await;
    let spare = added["storage_id"].as_str().expect("an id").to_owned();
    for call in ["GET query_storage", "POST check_storage", "GET list_object", "DELETE del_storage"] {
        for query in
            [format!("?storage_id={spare}"), "?storage_id=0000000000000000".to_owned(), String::new()]
        {
            walk.call_as_admin(&format!("{call}{query}"), Value::Null).await;
        }
    }
    walk.call_as_admin(&format!("DELETE del_storage?storage_id={used}"), Value::Null).await;
    refusing_object_store(walk).await;
}

/// An object store that refuses every request.
async fn refusing_object_store(walk: &mut Walk<'_>) {
    let server = wiremock::MockServer::start().await;
    wiremock::Mock::given(wiremock::matchers::any())
        .respond_with(wiremock::ResponseTemplate::new(403))
        .mount(&server)
        .await;
    let storage = json!({
        "type": "s3", "region": "us-east-1", "bucket": "bbb", "endpoint": server.uri(), "path_style": true,
        "storage_ak": "a", "storage_sk": "b",
    });
    let added = walk.call_as_admin("POST add_storage", storage).await;
    let id = added["storage_id"].as_str().expect("an id").to_owned();
    walk.call_as_admin(&format!("GET list_object?storage_id={id}"), Value::Null).await;
}
