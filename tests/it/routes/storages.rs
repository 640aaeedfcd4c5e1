//! Storages.

use serde_json::{Value, json};

use crate::app::TestApp;

fn file(changes: Value) -> Value {
    let mut body = json!({"type": "file", "bucket": "videos"});
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn a_storage_is_listed_with_just_the_documented_fields() {
    let app = TestApp::start().await;
    app.add_storage("older").await;
    let body = file(json!({
        "region": "cn-zhangjiakou", "prefix": "/media/", "notify": "https://8.8.8.8/notify?sig=1",
        "storage_ak": "ak", "storage_sk": "very secret", "name": "n", "extra": "e", "name_rule": "r",
        "notify_attempts": 5, "notify_interval": 1, "notify_policy": "extended", "notify_success": "2xx",
    }));
    let added = app.post("add_storage", body).await.data_without_warnings();
    let id = added["storage_id"].as_str().expect("an id");
    assert!(id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");

    let listed = app.get("list_storage").await;
    let data = listed.data_without_warnings();
    assert_eq!(data["num"], 2);
    let created = data["list"][0]["created_time"].as_i64().expect("seconds");
    assert_eq!(
        data["list"][0],
        json!({
            "storage_id": id, "type": "file", "region": "cn-zhangjiakou", "bucket": "videos", "prefix": "media",
            "notify": "https://8.8.8.8/notify?sig=1", "extra": "e", "name_rule": "r", "created_time": created,
        })
    );
    assert_eq!(created, crate::app::START.as_secs());
    let secret = added["notify_secret"].as_str().expect("a secret");
    assert!(!listed.text.contains("very secret") && !listed.text.contains(secret));

    let asked = app.get(&format!("query_storage?storage_id={id}")).await;
    let mut expected = data["list"][0].clone();
    for (name, value) in [
        ("name", json!("n")),
        ("endpoint", json!("")),
        ("path_style", json!(false)),
        ("storage_class", json!("")),
        ("acl", json!("")),
        ("encryption", json!("")),
        ("encryption_key", json!("")),
        ("notify_attempts", json!(5)),
        ("notify_interval", json!(1)),
        ("notify_policy", json!("extended")),
        ("notify_success", json!("2xx")),
    ] {
        expected[name] = value;
    }
    assert_eq!(asked.data_without_warnings(), expected);
    assert!(!asked.text.contains("very secret") && !asked.text.contains(secret));
    app.get("query_storage?storage_id=0123456789abcdef").await.refusal(404, 1004);
}

#[tokio::test]
async fn the_secret_is_made_when_absent_and_answered_only_then() {
    let app = TestApp::start().await;
    let made = app.post("add_storage", file(json!({}))).await.data();
    assert!(made["notify_secret"].as_str().expect("a secret").starts_with("whsec_"));
    let given = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let reply = app.post("add_storage", file(json!({"notify_secret": given}))).await;
    assert_eq!(reply.data().get("notify_secret"), None);
    assert!(!reply.text.contains(given));
}

#[tokio::test]
async fn a_wrong_field_is_named() {
    let app = TestApp::start().await;
    let cases: &[(Value, &str)] = &[
        (json!({"type": ""}), "type: is not set; give one of `file`, "),
        (json!({"type": "ftp"}), "type: `ftp` is not one of `file`, `s3`"),
        (json!({"type": "oss"}), "storage_ak: is not set, or is not a word of printable ASCII characters"),
        (
            json!({"type": "s3", "storage_ak": "a", "storage_sk": "b"}),
            "region: is not set; give the bucket's",
        ),
        (
            json!({"type": "s3", "storage_ak": "a", "storage_sk": "b", "endpoint": "http://10.0.0.1:9000"}),
            "endpoint: is not allowed: 10.0.0.1 is a private address",
        ),
        (
            json!({"type": "s3", "storage_ak": "a", "storage_sk": "b", "endpoint": "http://169.254.169.254"}),
            "endpoint: is not allowed: ",
        ),
        (json!({"type": 7}), "type: `7` is not a text"),
        (json!({"bucket": ""}), "bucket: is not set; give the name of a folder"),
        (json!({"bucket": "../up"}), "bucket: `../up`"),
        (json!({"bucket": "a/b"}), "bucket: `a/b` is a path"),
        (json!({"bucket": ".hidden"}), "bucket: `.hidden` begins with a dot"),
        (json!({"prefix": "a/../b"}), "prefix: has the part `..`"),
        (json!({"notify": "nonsense"}), "notify: "),
        (json!({"notify": "ftp://8.8.8.8/"}), "notify: "),
        (json!({"notify": "https://user:pass@8.8.8.8/"}), "notify: "),
        (json!({"notify": "https://127.0.0.1/"}), "notify: "),
        (json!({"notify": "https://[::ffff:10.0.0.1]/"}), "notify: "),
        (json!({"notify": "http://169.254.169.254/latest"}), "notify: "),
        (json!({"notify": "https://localhost/"}), "notify: "),
        (json!({"notify_secret": "hunter2"}), "notify_secret: "),
        (json!({"notify_attempts": 21}), "notify_attempts: 21 is out of range; give 1 to 20"),
        (json!({"notify_interval": 3601}), "notify_interval: 3601 is out of range; give 1 to 3600"),
        (json!({"notify_attempts": -1}), "notify_attempts: `-1` is not a whole number"),
        (json!({"notify_policy": "never"}), "notify_policy: `never` is not one of `aurora`, `extended`"),
        (json!({"notify_success": "201"}), "notify_success: `201` is not one of `200`, `2xx`"),
    ];
    for (changes, problem) in cases.iter().cloned() {
        let reply = app.post("add_storage", file(changes)).await;
        let message = reply.refusal(400, 1001);
        assert!(message.strip_prefix("BadParam: ").expect("the word").starts_with(problem), "{message}");
        assert!(!message.contains("hunter2") && !message.contains("pass@"), "{message}");
        assert_eq!(app.get("list_storage").await.data()["num"], 0);
    }
}

#[tokio::test]
async fn http_is_accepted_with_a_warning() {
    let app = TestApp::start().await;
    let data = app.post("add_storage", file(json!({"notify": "http://8.8.8.8/n"}))).await.data();
    assert!(data["warnings"][0].as_str().expect("a warning").contains("`notify`"), "{data}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_accepted() {
    let app = TestApp::start().await;
    let body = file(json!({"notify": "https://receiver.invalid/n"}));
    app.post("add_storage", body).await.data_without_warnings();
}

#[tokio::test]
async fn networks_may_be_allowed() {
    let app = TestApp::with(&["net.allow_networks=127.0.0.0/8"]).await;
    app.post("add_storage", file(json!({"notify": "https://127.0.0.1/n"}))).await.data_without_warnings();
}

#[tokio::test]
async fn several_storages_may_share_a_bucket() {
    let app = TestApp::start().await;
    assert_ne!(app.add_storage("videos").await, app.add_storage("videos").await);
}

#[tokio::test]
async fn a_storage_that_is_needed_stays() {
    let app = TestApp::start().await;
    let id = app.add_storage_with_notify("b", "https://8.8.8.8/n").await;
    let task_id = app.create_task(&id, "a.mp4").await;
    let call = format!("del_storage?storage_id={id}");
    assert!(app.delete(&call).await.refusal(409, 1005).starts_with("Conflict: "));
    // the task has ended, but its callback is still owed
    app.post(&format!("cancel_task?task_id={task_id}"), Value::Null).await.data();
    app.delete(&call).await.refusal(409, 1005);
}

#[tokio::test]
async fn a_storage_is_deleted_once() {
    let app = TestApp::start().await;
    let id = app.add_storage("b").await;
    let call = format!("del_storage?storage_id={id}");
    assert_eq!(app.delete(&call).await.data(), json!({}));
    assert!(app.delete(&call).await.refusal(404, 1004).starts_with("EmptyResult: "));
    assert_eq!(app.get("list_storage").await.data(), json!({"num": 0, "list": []}));
    let message = app.delete("del_storage?storage_id=nonsense").await.refusal(404, 1004);
    assert_eq!(message, "EmptyResult: there is no storage `nonsense`");
    let message = app.delete("del_storage").await.refusal(400, 1001);
    assert_eq!(message, "BadParam: storage_id: is not set, and is needed");
}

#[tokio::test]
async fn a_storage_with_unfinished_tasks_stays_where_it_is() {
    let app = TestApp::start().await;
    let id = app.post("add_storage", file(json!({"prefix": "p"}))).await.data()["storage_id"].clone();
    let task_id = app.create_task(id.as_str().expect("an id"), "a.mp4").await;
    let update = |changes: Value| {
        let mut body = file(json!({"storage_id": id, "prefix": "p"}));
        for (name, value) in changes.as_object().expect("an object") {
            body[name] = value.clone();
        }
        app.put("update_storage", body)
    };
    let s3 = json!({"type": "s3", "endpoint": "http://8.8.8.8", "storage_ak": "a", "storage_sk": "b"});
    for (changes, field) in [
        (json!({"bucket": "other"}), "bucket"),
        (json!({"prefix": ""}), "prefix"),
        (json!({"prefix": "p/q"}), "prefix"),
        (s3.clone(), "type"),
    ] {
        let message = update(changes).await.refusal(409, 1005);
        let expected = format!("Conflict: `{field}` cannot change while the storage");
        assert!(message.starts_with(&expected) && message.contains("unfinished tasks (1)"), "{message}");
    }
    update(json!({"name": "n", "notify": "https://8.8.8.8/n", "region": "here"})).await.data();

    app.post(&format!("cancel_task?task_id={task_id}"), Value::Null).await.data();
    update(s3).await.data();
    // the task's record says where its output was to go: it does not run again to go elsewhere
    let message = app.post(&format!("retry_task?task_id={task_id}"), Value::Null).await.refusal(409, 1005);
    assert!(
        message.contains("is another place since") && message.contains("`file://videos/p/a.mp4`"),
        "{message}"
    );
    update(json!({})).await.data();
    app.post(&format!("retry_task?task_id={task_id}"), Value::Null).await.data();
}

#[tokio::test]
async fn who_is_told_no_more_is_said_when_notify_is_emptied() {
    let app = TestApp::start().await;
    let id = app.add_storage_with_notify("b", "https://8.8.8.8/n").await;
    let ended = app.create_task(&id, "a.mp4").await;
    app.create_task(&id, "b.mp4").await;
    app.post(&format!("cancel_task?task_id={ended}"), Value::Null).await.data();
    let empty = json!({"storage_id": id, "type": "file", "bucket": "b"});
    let data = app.put("update_storage", empty.clone()).await.data();
    assert_eq!(
        data["warnings"],
        json!([
            "`notify` is empty now: nobody is told of unfinished tasks (1), and undelivered callbacks (1) are refused"
        ])
    );
    app.put("update_storage", empty).await.data_without_warnings();
}

/// A symbolic link is as a file system that takes two names for one folder.
#[tokio::test]
async fn a_folder_under_another_name_is_still_its_tenants() {
    let app = TestApp::start().await;
    app.add_storage("theirs").await;
    let root = app.app.settings.server.storage_dir();
    std::os::unix::fs::symlink("theirs", root.join("alias")).expect("made");
    let stranger = app.add_key("other", model::Role::Member).await;
    let add = |bucket: &'static str| {
        app.call_as(&stranger, axum::http::Method::POST, "add_storage", file(json!({"bucket": bucket})))
    };
    assert_eq!(
        add("alias").await.refusal(409, 1005),
        "Conflict: the bucket `alias` is taken; give another name"
    );
    let mine = add("mine").await.data()["storage_id"].clone();
    let body = file(json!({"storage_id": mine, "bucket": "alias"}));
    app.call_as(&stranger, axum::http::Method::PUT, "update_storage", body).await.refusal(409, 1005);
    // its own tenant may have two storages in one folder
    app.add_storage("alias").await;
}
