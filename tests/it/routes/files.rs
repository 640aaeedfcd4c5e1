//! The objects of `file` storages over HTTP.

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use model::{TaskEnd, WorkerId};
use rstest::rstest;
use serde_json::json;

use crate::app::{ApiReply, LEASE, TestApp};

/// Writes an object into a new storage; gives its path on the server.
async fn put_object(app: &TestApp, content: &str) -> String {
    let storage = app.add_storage("b").await;
    let folder = app.app.settings.server.storage_dir().join("b");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("cat.m3u8"), content).expect("written");
    format!("/storage/{storage}/cat.m3u8")
}

async fn get(app: &TestApp, path: &str, headers: &[(header::HeaderName, &str)]) -> ApiReply {
    let mut request = Request::get(path).header(header::AUTHORIZATION, app.admin.basic());
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    app.send(request.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn a_player_of_another_origin_may_ask_and_read() {
    let app = TestApp::start().await;
    let path = put_object(&app, "0123456789").await;
    let preflight = Request::builder()
        .method(Method::OPTIONS)
        .uri(&path)
        .header(header::ORIGIN, "https://player.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "GET")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "range");
    let answer = app.send(preflight.body(Body::empty()).expect("a request")).await;
    assert!((200..300).contains(&answer.status), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET,HEAD,OPTIONS"));
    let allowed = answer.header("access-control-allow-headers").expect("allowed headers");
    assert!(allowed.split(',').any(|name| name == "range"), "{allowed}");

    let object = get(&app, &path, &[(header::ORIGIN, "https://player.example")]).await;
    assert_eq!((object.status, object.text.as_str()), (200, "0123456789"));
    assert_eq!(object.header("access-control-allow-origin"), Some("*"));
    let exposed = object.header("access-control-expose-headers").expect("exposed headers");
    assert!(exposed.split(',').any(|name| name == "content-range"), "{exposed}");
    assert_eq!(object.header("cross-origin-resource-policy"), Some("cross-origin"));
}

#[tokio::test]
async fn a_range_is_of_the_version_that_the_client_has() {
    let app = TestApp::start().await;
    let path = put_object(&app, "0123456789").await;
    let whole = get(&app, &path, &[]).await;
    let tag = whole.header("etag").expect("a validator");

    let part = get(&app, &path, &[(header::RANGE, "bytes=2-4"), (header::IF_RANGE, tag)]).await;
    assert_eq!((part.status, part.text.as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    let changed = get(&app, &path, &[(header::RANGE, "bytes=2-4"), (header::IF_RANGE, "\"old\"")]).await;
    assert_eq!((changed.status, changed.text.as_str()), (200, "0123456789"));
    let beyond = get(&app, &path, &[(header::RANGE, "bytes=10-")]).await;
    beyond.refusal(416, 1001);
    assert_eq!(beyond.header("content-range"), Some("bytes */10"));
    assert_eq!(get(&app, &path, &[(header::IF_NONE_MATCH, tag)]).await.status, 304);
}

#[rstest]
#[case::segmented(
    "hls-h264",
    "a/cat.m3u8",
    &["a/cat.m3u8", "a/cat.hls/720p/1.ts"],
    &["a/cat.mp4", "a/cat.hls2/1.ts", "a/cat.hls.mp4", "a/cats.m3u8"]
)]
#[case::one_file("mp4-720p", "a/cat.mp4", &["a/cat.mp4"], &["a/cat.mp4.mp4", "a/cat.mp4.files/1.jpg", "a/cat.m3u8"])]
#[tokio::test]
async fn a_signed_link_opens_its_output_and_nothing_that_begins_alike(
    #[case] template: &str,
    #[case] output: &str,
    #[case] opened: &[&str],
    #[case] closed: &[&str],
) {
    let app = TestApp::start().await;
    let storage = app.add_storage("b").await;
    for key in [opened, closed].concat() {
        let file = app.app.settings.server.storage_dir().join("b").join(key);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, key).expect("written");
    }
    let task = json!({
        "template_name": template, "storage_id": storage, "input": "https://8.8.8.8/cat.mov", "output": output,
    });
    let task_id = app.post("create_task", task).await.data()["task_id"].clone();
    let worker = WorkerId::generate(&mut rand::rng());
    let claim = app.app.store.claim_job(&worker, LEASE).await.expect("the store").expect("a job");
    let end = TaskEnd::Succeeded(Box::default());
    app.app.store.finish_task(&claim, end).await.expect("the store");

    let call = format!("sign_output?task_id={}", task_id.as_str().expect("an id"));
    let signed = app.get(&call).await.data();
    let url = signed["url"].as_str().expect("a link");
    let signature = url.strip_suffix(output).expect("the key is at its end");
    let get = async |key: &str| {
        let request = Request::get(format!("{signature}{key}")).body(Body::empty());
        app.send(request.expect("a request")).await
    };
    for key in opened {
        let reply = get(key).await;
        assert_eq!((reply.status, reply.text.as_str()), (200, *key));
    }
    for key in closed {
        get(key).await.refusal(401, 1002);
    }
}
