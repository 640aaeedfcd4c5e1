//! Files that are sent to the server.

use std::{io, path::PathBuf};

use axum::{
    body::Body,
    http::{Request, header},
};
use borealis::api;
use serde_json::json;

use crate::app::{ApiReply, TestApp, task};

async fn send(app: &TestApp, announced: Option<u64>, body: Body) -> ApiReply {
    let mut request = Request::post(format!("{}/upload?name=a.mp4", api::BASE_PATH))
        .header(header::AUTHORIZATION, app.admin.basic())
        .header(header::CONTENT_TYPE, "application/octet-stream");
    if let Some(length) = announced {
        request = request.header(header::CONTENT_LENGTH, length);
    }
    app.send(request.body(body).expect("a request")).await
}

/// The files that are there.
fn files(app: &TestApp) -> Vec<PathBuf> {
    match std::fs::read_dir(app.app.settings.server.upload_dir()) {
        Ok(entries) => entries.map(|entry| entry.expect("readable").path()).collect(),
        Err(_) => Vec::new(),
    }
}

fn pieces(pieces: Vec<Result<Vec<u8>, io::Error>>) -> Body {
    Body::from_stream(futures::stream::iter(pieces))
}

#[tokio::test]
async fn a_file_that_was_sent_is_an_input() {
    let app = TestApp::start().await;
    let sent = pieces((0..100).map(|_| Ok(vec![7; 10_000])).collect());
    let data = send(&app, None, sent).await.data_without_warnings();
    assert_eq!(data["size"], 1_000_000);
    let [file] = files(&app).try_into().expect("one file");
    assert_eq!(std::fs::read(&file).expect("readable"), vec![7; 1_000_000]);

    let input = data["input"].as_str().expect("an input");
    assert_eq!(input.strip_prefix("upload://"), file.file_name().and_then(|name| name.to_str()));
    let mut body = task(&app.add_storage("b").await, "a.mp4");
    body["input"] = json!(input);
    let task_id = app.post("create_task", body).await.data_without_warnings()["task_id"].clone();
    assert_eq!(app.task(task_id.as_str().expect("an id")).await["input"], input);
}

#[tokio::test]
async fn what_is_too_much_or_not_whole_leaves_nothing() {
    let app = TestApp::with(&["api.upload_limit=1KiB", "api.body_limit=100B"]).await;
    let limit = "TooLarge: the upload is over the limit of 1024 bytes";
    assert_eq!(send(&app, Some(1 << 40), Body::empty()).await.refusal(413, 1008), limit);
    let much = pieces((0..9).map(|_| Ok(vec![0; 200])).collect());
    assert_eq!(send(&app, None, much).await.refusal(413, 1008), limit);
    let broken = pieces(vec![Ok(vec![0; 200]), Err(io::ErrorKind::ConnectionReset.into())]);
    let message = send(&app, None, broken).await.refusal(400, 1001);
    assert_eq!(message, "BadParam: body: ended before it was complete");
    send(&app, None, Body::empty()).await.refusal(400, 1001);
    assert_eq!(files(&app), Vec::<PathBuf>::new());
    send(&app, Some(1024), Body::from(vec![0; 1024])).await.data();
}

#[tokio::test]
async fn an_upload_that_is_not_there_is_404() {
    let app = TestApp::start().await;
    let mut body = task(&app.add_storage("b").await, "a.mp4");
    body["input"] = json!(format!("upload://{}", "0".repeat(32)));
    let message = app.post("create_task", body.clone()).await.refusal(404, 1004);
    assert!(message.starts_with("EmptyResult: there is no upload `000"), "{message}");
    body["input"] = json!("upload://../../etc/passwd");
    let message = app.post("create_task", body).await.refusal(400, 1001);
    assert!(message.starts_with("BadParam: input: "), "{message}");
}

#[tokio::test]
async fn the_uploads_of_a_tenant_have_so_many_bytes() {
    let app = TestApp::with(&["limits.upload_bytes=1000B"]).await;
    send(&app, None, Body::from(vec![7; 600])).await.data();
    let full = "RateLimited: the uploads of a tenant may have 1000 bytes together";
    // announced, and not announced
    for announced in [Some(500), None] {
        let refused = send(&app, announced, pieces(vec![Ok(vec![7; 500])])).await;
        let message = refused.refusal(429, 1007);
        assert!(message.starts_with(full), "{message}");
    }
    assert_eq!(files(&app).len(), 1);
    send(&app, None, Body::from(vec![7; 400])).await.data();
}

#[tokio::test]
async fn an_upload_leaves_room_on_the_disk() {
    let app = TestApp::with(&["media.min_free_disk=1000TiB"]).await;
    let refused = send(&app, Some(10), Body::from(vec![7; 10])).await;
    let message = refused.refusal(503, 1503);
    let floor = 2000_u64 << 40;
    assert!(message.contains(&format!("it keeps {floor} bytes of its disk free")), "{message}");
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert_eq!(files(&app), Vec::<PathBuf>::new());
}
