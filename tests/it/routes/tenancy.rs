//! Nobody sees, counts, guesses or names another tenant's things: every call of the document is made
//! with another tenant's ids, and a call without an entry here fails the walk.

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use borealis::api;
use model::Role;
use serde_json::{Value, json};

use super::auth::calls;
use crate::app::{ApiReply, Key, TestApp, task};

/// What one tenant has.
struct TenantObjects {
    storage: String,
    task: String,
    batch: String,
    callback: String,
    upload: String,
    key: Key,
}

impl TenantObjects {
    /// One of each; the names and texts are the ones that a stranger will look for.
    async fn of(app: &TestApp) -> Self {
        let storage = app.add_storage_with_notify("theirs", "https://8.8.8.8/n").await;
        app.post("add_template", json!({"template_name": "mine", "format": "mp4"})).await.data();
        let batch = app.post("create_batch", json!({"tasks": [task(&storage, "b.mp4")]})).await.data();
        let batch = batch["batch_id"].as_str().expect("an id").to_owned();
        let task = app.create_task(&storage, "a.mp4").await;
        app.post(&format!("cancel_task?task_id={task}"), Value::Null).await.data();
        let callbacks = app.get("list_callback").await.data();
        let callback = callbacks["list"][0]["callback_id"].as_str().expect("an id").to_owned();
        let upload = send_file(app, &app.admin).await.data()["input"].as_str().expect("an input").to_owned();
        Self { storage, task, batch, callback, upload, key: app.add_key("main", Role::Member).await }
    }

    /// Texts that no answer to a stranger may hold.
    fn identifiers(&self) -> [&str; 6] {
        [&self.storage, &self.task, &self.batch, &self.callback, &self.upload, &self.key.access_key]
    }
}

async fn send_file(app: &TestApp, key: &Key) -> ApiReply {
    let request =
        Request::post(format!("{}/upload?name=a", api::BASE_PATH)).header(header::AUTHORIZATION, key.basic());
    app.send(request.body(Body::from("some bytes")).expect("a request")).await
}

/// What a stranger is answered.
enum ExpectedAnswer {
    /// 404: there is no such thing.
    NotFound,
    /// An empty list.
    EmptyList,
    /// Things of its own or of everyone, none of the other's.
    OwnObjects,
}

/// How a stranger makes a call about another tenant's things, and what is to come of it.
fn attempt(call: &str, objects: &TenantObjects) -> (String, Value, ExpectedAnswer) {
    let TenantObjects { storage, task: task_id, batch, callback, upload, key } = objects;
    let by_task = || (format!("{call}?task_id={task_id}"), Value::Null, ExpectedAnswer::NotFound);
    let by_storage = || (format!("{call}?storage_id={storage}"), Value::Null, ExpectedAnswer::NotFound);
    let by_callback = || (format!("{call}?callback_id={callback}"), Value::Null, ExpectedAnswer::NotFound);
    let by_template = || (format!("{call}?template_name=mine"), Value::Null, ExpectedAnswer::NotFound);
    let plain = |answer| (call.to_owned(), Value::Null, answer);
    match call {
        "query_storage"
        | "del_storage"
        | "check_storage"
        | "list_object"
        | "ping_storage"
        | "rotate_notify_secret" => by_storage(),
        "query_task" | "cancel_task" | "retry_task" | "del_task" | "task_events" | "sign_output" => by_task(),
        "query_callback" | "redeliver_callback" => by_callback(),
        "query_template" | "del_template" => by_template(),
        "recover_callback" => {
            (call.to_owned(), json!({"storage_id": storage, "since": 1}), ExpectedAnswer::NotFound)
        }
        "update_storage" => {
            let body = json!({"storage_id": storage, "type": "file", "bucket": "another"});
            (call.to_owned(), body, ExpectedAnswer::NotFound)
        }
        "update_template" => {
            (call.to_owned(), json!({"template_name": "mine", "format": "hls"}), ExpectedAnswer::NotFound)
        }
        "add_template" => {
            (call.to_owned(), json!({"template_name": "own", "format": "flv"}), ExpectedAnswer::OwnObjects)
        }
        "add_storage" => (
            call.to_owned(),
            json!({"type": "file", "bucket": "own", "storage_id": storage}),
            ExpectedAnswer::OwnObjects,
        ),
        "create_task" => {
            let body = json!({
                "template_name": "mp4-720p", "storage_id": storage, "input": upload, "output": "x.mp4",
            });
            (call.to_owned(), body, ExpectedAnswer::NotFound)
        }
        "create_batch" => {
            (call.to_owned(), json!({"tasks": [task(storage, "x.mp4")]}), ExpectedAnswer::NotFound)
        }
        "list_task" => (format!("{call}?batch_id={batch}"), Value::Null, ExpectedAnswer::EmptyList),
        "list_callback" => (format!("{call}?task_id={task_id}"), Value::Null, ExpectedAnswer::EmptyList),
        "list_storage" | "list_template" | "list_key" | "info" => plain(ExpectedAnswer::OwnObjects),
        "add_key" => (call.to_owned(), json!({"role": "read"}), ExpectedAnswer::OwnObjects),
        "del_key" => (format!("{call}?access_key={}", key.access_key), Value::Null, ExpectedAnswer::NotFound),
        "upload" => (format!("{call}?name=a"), json!({"some": "bytes"}), ExpectedAnswer::OwnObjects),
        other => panic!("`{other}` has no entry in the walk: say how a stranger would try it"),
    }
}

#[tokio::test]
async fn nobody_sees_another_tenants_objects() {
    let app = TestApp::start().await;
    let objects = TenantObjects::of(&app).await;
    let stranger = app.add_key("other", Role::Admin).await;
    for (method, call) in calls() {
        let (path, body, answer) = attempt(&call, &objects);
        let reply = app.call_as(&stranger, method.clone(), &path, body).await;
        match answer {
            ExpectedAnswer::NotFound => drop(reply.refusal(404, 1004)),
            ExpectedAnswer::EmptyList => {
                let data = reply.data();
                assert_eq!((&data["num"], &data["list"]), (&json!(0), &json!([])), "{call}");
                assert!(data.get("total").is_none_or(|total| *total == 0), "{call}: {data}");
            }
            ExpectedAnswer::OwnObjects => {
                reply.data();
                for identifier in objects.identifiers() {
                    assert!(!reply.text.contains(identifier), "{call} names `{identifier}`: {}", reply.text);
                }
            }
        }
    }
    // the names of one tenant are free for another
    let body = json!({"template_name": "mine", "format": "flv"});
    app.call_as(&stranger, Method::POST, "add_template", body).await.data();
    // nothing of it did anything
    assert_eq!(app.get("query_template?template_name=mine").await.data()["format"], "mp4");
    assert_eq!(
        app.get(&format!("query_storage?storage_id={}", objects.storage)).await.data()["bucket"],
        "theirs"
    );
    assert_eq!(app.task(&objects.task).await["status"], "cancelled");
    app.call_as(&objects.key, Method::GET, "list_storage", Value::Null).await.data();
}

#[tokio::test]
async fn another_tenants_upload_is_no_input() {
    let app = TestApp::start().await;
    let upload = send_file(&app, &app.admin).await.data()["input"].clone();
    let stranger = app.add_key("other", Role::Member).await;
    let body = json!({"type": "file", "bucket": "own"});
    let own = app.call_as(&stranger, Method::POST, "add_storage", body).await.data()["storage_id"].clone();
    let mut body = task(own.as_str().expect("an id"), "x.mp4");
    body["input"] = upload.clone();
    let refused = app.call_as(&stranger, Method::POST, "create_task", body).await.refusal(404, 1004);
    assert!(refused.starts_with("EmptyResult: there is no upload"), "{refused}");
    let storage = app.add_storage("b").await;
    let mut body = task(&storage, "x.mp4");
    body["input"] = upload;
    app.post("create_task", body).await.data_without_warnings();
}

#[tokio::test]
async fn a_folder_of_another_tenant_is_refused_without_its_name() {
    let app = TestApp::start().await;
    app.add_storage("videos").await;
    let stranger = app.add_key("other", Role::Member).await;
    let body = json!({"type": "file", "bucket": "videos"});
    let refused = app.call_as(&stranger, Method::POST, "add_storage", body).await.refusal(409, 1005);
    assert!(refused.contains("give another name") && !refused.contains("main"), "{refused}");
}
